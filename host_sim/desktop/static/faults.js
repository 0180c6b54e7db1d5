// Everything that can be wrong with a terminal, and the habits of sound parts: a button for each, as the server lists them.

import { h, icon } from "./dom.js";
import { faultWords } from "./fault_words.js";

const AROUND = ["network", "uplink", "names"]; // the way to the acquirer

export function faultsPanel(app, terminal) {
  const { t } = app;
  const wanted = app.ui.faultSearch.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const found = terminal.faults.filter((fault) => {
    const text = [
      fault.device,
      app.deviceWord(fault.device),
      fault.name,
      fault.seen,
      faultWords(fault, app.language),
      fault.cause,
      t.or(`cause.${fault.cause}`, ""),
      t(fault.habit ? "faults.habit" : "faults.fault"),
    ]
      .join(" ")
      .toLowerCase();
    return wanted.every((word) => text.includes(word));
  });
  const on = terminal.faults.filter((fault) => fault.on);
  const shown = app.ui.faultsOn ? found.filter((fault) => fault.on) : found;
  return [
    h(
      "div",
      { class: "row tools", key: "tools" },
      h(
        "label",
        { class: "search grow" },
        h("span", { class: "visually-hidden" }, t("faults.search")),
        icon("search"),
        h("input", {
          type: "search",
          "data-testid": "fault-search",
          placeholder: t("faults.search"),
          oninput: (event) => app.set({ faultSearch: event.target.value }),
        }),
      ),
      h(
        "button",
        {
          type: "button",
          class: "toggle",
          "aria-pressed": String(app.ui.faultsOn),
          "data-testid": "faults-on-only",
          onclick: () => app.set({ faultsOn: !app.ui.faultsOn }),
        },
        t("faults.on_only", { count: on.length }),
      ),
      h(
        "button",
        {
          type: "button",
          class: "quiet",
          "data-testid": "faults-mend-all",
          disabled: !on.length,
          onclick: async () => {
            for (const fault of on) await app.fault(terminal, fault, "faults", false);
          },
        },
        t("faults.mend_all"),
      ),
    ),
    app.problem(terminal.id, "faults"),
    h(
      "p",
      { class: "muted", key: "count", role: "status", "data-testid": "fault-count" },
      t("faults.count", { shown: shown.length, all: terminal.faults.length }),
    ),
    faultGroups(app, terminal, shown, "faults"),
  ];
}

/** What is wrong on the way to the acquirer. */
export function networkFaults(app, terminal) {
  return faultGroups(
    app,
    terminal,
    terminal.faults.filter(({ device }) => AROUND.includes(device)),
    "network",
  );
}

function faultGroups(app, terminal, faults, where) {
  const groups = new Map();
  for (const fault of faults) groups.set(fault.device, [...(groups.get(fault.device) ?? []), fault]);
  return [...groups].map(([device, list]) =>
    h(
      "section",
      { class: "fault-group", key: `${where} ${device}`, "aria-label": app.deviceWord(device) },
      h("h3", {}, app.deviceWord(device), h("span", { class: "muted" }, ` ${device}`)),
      h(
        "div",
        { class: "faults" },
        list.map((fault) => faultButton(app, terminal, fault, where)),
      ),
    ),
  );
}

function faultButton(app, terminal, fault, where) {
  const { t } = app;
  return h(
    "button",
    {
      type: "button",
      key: fault.name,
      class: `fault toggle${fault.habit ? " habit" : ""}`,
      "aria-pressed": String(fault.on),
      "data-testid": `fault-${fault.device}-${fault.name}`,
      onclick: () => app.fault(terminal, fault, where),
    },
    h("span", { class: "name" }, fault.name, fault.habit && h("span", { class: "tag" }, t("faults.habit"))),
    h("span", { class: "seen" }, faultWords(fault, app.language)),
    fault.cause && h("span", { class: "cause" }, t("faults.cause", { cause: t.or(`cause.${fault.cause}`, fault.cause) })),
  );
}
