// What lies around a terminal on the counter: power, paper, cards, codes.

import { h, icon } from "./dom.js";
import { enlarged, isSmall } from "./terminal_view.js";

const TAP_MS = 1800; // as long as a card is held to a terminal
const EXAMPLE_CODE = "6901234567892";

export function desk(app, terminal, board) {
  const has = (kind) => board.devices.includes(kind);
  return h(
    "div",
    { class: "desk" },
    power(app, terminal),
    (isSmall(board) || app.ui.enlarged.has(terminal.id)) &&
      group(app, "enlarged", terminal, app.t("desk.display"), enlarged(app, terminal, board)),
    has("printer") && paper(app, terminal),
    has("card_reader") && cards(app, terminal),
    has("scanner") && scanner(app, terminal),
    h("p", { class: "muted hint", key: "hint" }, app.t("terminal.keys.short")),
  );
}

function group(app, name, terminal, title, ...content) {
  return h(
    "section",
    { class: `group around-${name}`, key: name, "aria-label": title },
    h("h3", {}, title),
    content,
    app.problem(terminal.id, name),
  );
}

function power(app, terminal) {
  const { t } = app;
  const does = (verb) => () => app.act(terminal.id, "power", verb);
  const button = (verb, label) =>
    h(
      "button",
      {
        type: "button",
        key: verb,
        class: "quiet small",
        "data-testid": `power-${verb}-${terminal.id}`,
        onclick: does(verb),
        disabled: app.busy(terminal.id, "power"),
      },
      label,
    );
  const question = `factory_new ${terminal.id}`;
  const asks = app.ui.asks === question;
  /** Asks, or does no longer; the focus goes along. */
  const ask = (wanted) => {
    app.set({ asks: wanted ? question : "" });
    document.querySelector(`[data-asks="${terminal.id}"]`).focus();
  };
  return h(
    "section",
    { class: "group around-power", key: "power", "aria-label": t("desk.power") },
    h(
      "div",
      { class: "row" },
      h(
        "button",
        {
          type: "button",
          class: `switch${terminal.on ? " on" : ""}`,
          role: "switch",
          "aria-checked": String(terminal.on),
          "data-testid": `power-${terminal.id}`,
          "aria-label": t("desk.power"),
          disabled: app.busy(terminal.id, "power"),
          "aria-busy": String(app.busy(terminal.id, "power")),
          onclick: does(terminal.on ? "cut_power" : "boot"),
        },
        icon("power"),
        h("span", {}, terminal.on ? t("power.on") : t("power.off")),
      ),
      h("span", { class: "spread" }),
      app.knows("cut_power_after_write") && terminal.on && button("cut_power_after_write", t("power.cut_after_write")),
      app.knows("factory_new") &&
        !asks &&
        h(
          "button",
          {
            type: "button",
            key: "ask",
            class: "quiet small",
            "data-testid": `power-factory_new-${terminal.id}`,
            "data-asks": terminal.id,
            disabled: app.busy(terminal.id, "power"),
            onclick: () => ask(true),
          },
          t("power.factory_new"),
        ),
    ),
    asks &&
      h(
        "div",
        {
          class: "row ask",
          role: "group",
          "aria-label": t("power.really"),
          onkeydown: (event) => event.key === "Escape" && ask(false),
        },
        h("p", {}, t("power.really")),
        h(
          "button",
          {
            type: "button",
            class: "danger",
            "data-testid": `power-factory_new-yes-${terminal.id}`,
            onclick: () => {
              ask(false);
              does("factory_new")();
            },
          },
          t("power.wipe"),
        ),
        h("button", { type: "button", class: "quiet", "data-asks": terminal.id, onclick: () => ask(false) }, t("cancel")),
      ),
    terminal.failure && h("p", { class: "problem", role: "alert" }, t.said(terminal.failure)),
    app.problem(terminal.id, "keys"),
    app.problem(terminal.id, "power"),
  );
}

// --- paper

function paper(app, terminal) {
  const { t } = app;
  const last = terminal.slips - 1;
  const at = Math.min(app.ui.slip.get(terminal.id) ?? last, last);
  const go = (to) => app.setIn("slip", terminal.id, to >= last ? undefined : to);
  const codes = app.slipFacts(terminal, at);
  return group(
    app,
    "paper",
    terminal,
    t("desk.paper"),
    h(
      "div",
      {
        class: "paper-way",
        tabindex: "0",
        role: "region",
        "aria-label": at < 0 ? t("paper.none") : t("paper.shown", { number: at + 1, of: terminal.slips }),
        "data-testid": `paper-${terminal.id}`,
      },
      at >= 0 && (at < last || terminal.lines > 0)
        ? h("img", {
            class: "slip",
            key: at,
            "data-slip": `${terminal.id} ${at}`,
            "data-testid": `slip-${terminal.id}`,
            alt: codes?.text.join("\n") || t("paper.slip", { number: at + 1 }),
            "data-src": slipAddress(app, terminal, at),
          })
        : h("p", { class: "nothing", key: "nothing" }, t("paper.none")),
    ),
    h("div", { class: "printer-edge", "aria-hidden": "true" }),
    h(
      "div",
      { class: "row" },
      terminal.slips > 1 && [
        h(
          "button",
          {
            type: "button",
            key: "back",
            class: "quiet square",
            "aria-label": t("paper.earlier"),
            "data-testid": `paper-earlier-${terminal.id}`,
            disabled: at <= 0,
            onclick: () => go(at - 1),
          },
          icon("left"),
        ),
        h("span", { class: "count", key: "count" }, `${at + 1} / ${terminal.slips}`),
        h(
          "button",
          {
            type: "button",
            key: "on",
            class: "quiet square",
            "aria-label": t("paper.later"),
            "data-testid": `paper-later-${terminal.id}`,
            disabled: at >= last,
            onclick: () => go(at + 1),
          },
          icon("right"),
        ),
      ],
      h("span", { class: "spread" }),
      h(
        "button",
        {
          type: "button",
          key: "tear",
          "data-testid": `tear_off-${terminal.id}`,
          disabled: last < 0 || terminal.lines === 0,
          onclick: () => app.act(terminal.id, "paper", "tear_off"),
        },
        icon("scissors"),
        t("paper.tear_off"),
      ),
      at >= 0 &&
        h(
          "a",
          {
            class: "button quiet",
            key: "save",
            href: `/api/terminals/${terminal.id}/slips/${at}.png`,
            download: `${terminal.id}-slip-${at + 1}.png`,
            "data-testid": `save-slip-${terminal.id}`,
          },
          icon("save"),
          t("paper.save"),
        ),
    ),
    codes?.codes.length > 0 &&
      h(
        "ul",
        { class: "codes", "aria-label": t("paper.codes") },
        codes.codes.map((code, number) =>
          h(
            "li",
            { key: number },
            h("code", { class: "one-line", title: code }, code),
            h(
              "button",
              { type: "button", class: "quiet small", "data-testid": `copy-code-${terminal.id}-${number}`, onclick: () => app.copy(code) },
              app.ui.copied === code ? t("copied") : t("copy"),
            ),
          ),
        ),
      ),
  );
}

function slipAddress(app, terminal, at) {
  const lines = at === terminal.slips - 1 ? terminal.lines : "all";
  return `/api/terminals/${terminal.id}/slips/${at}.png?lines=${lines}&device=${app.live.device(terminal.id)}`;
}

/** Loads a slip as it has become; then the new lines move out of the printer, and the paper is scrolled to them. */
export function pacePaper(root) {
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const picture of root.querySelectorAll("img[data-slip]")) {
    if (picture.loads || picture.getAttribute("src") === picture.dataset.src) continue;
    const before = picture.getAttribute("src") ? picture.height : 0;
    picture.onload = picture.onerror = (event) => {
      picture.loads = false;
      const way = picture.parentElement;
      if (event.type === "load" && way) {
        const moved = picture.height - before;
        way.scrollTop = way.scrollHeight;
        if (moved > 0 && !still)
          picture.animate([{ transform: `translateY(${Math.min(moved, 320)}px)` }, { transform: "none" }], {
            duration: 180,
            easing: "linear",
          });
      }
      pacePaper(root);
    };
    picture.loads = true;
    picture.src = picture.dataset.src;
  }
}

// --- cards and codes

function cards(app, terminal) {
  const { t } = app;
  const kinds = app.allowed("card");
  const kind = app.ui.card.get(terminal.id) ?? kinds[0];
  const torn = terminal.faults.find(({ device, name }) => device === "card_reader" && name === "card_torn");
  const busy = app.busy(terminal.id, "card");
  const tap = async () => {
    if (!(await app.act(terminal.id, "card", "card", kind))) return;
    await new Promise((resolve) => setTimeout(resolve, TAP_MS));
    await app.act(terminal.id, "card", "remove_card");
  };
  return group(
    app,
    "card",
    terminal,
    t("desk.card"),
    h(
      "div",
      { class: "row" },
      h(
        "select",
        {
          "aria-label": t("card.kind"),
          "data-testid": `card-kind-${terminal.id}`,
          onchange: (event) => app.setIn("card", terminal.id, event.target.value),
        },
        kinds.map((name) => h("option", { value: name, selected: name === kind }, t(`card.${name}`))),
      ),
      h("span", { class: "spread" }),
      h("span", { class: `state${terminal.card ? " lit" : ""}` }, terminal.card ? t("card.there") : t("card.away")),
    ),
    h(
      "div",
      { class: "row" },
      h(
        "button",
        {
          type: "button",
          "data-testid": `card-insert-${terminal.id}`,
          disabled: busy,
          onclick: () => app.act(terminal.id, "card", "card", kind),
        },
        t("card.insert"),
      ),
      h(
        "button",
        { type: "button", "data-testid": `card-tap-${terminal.id}`, disabled: busy || Boolean(terminal.card), onclick: tap },
        t("card.tap"),
      ),
      h(
        "button",
        {
          type: "button",
          "data-testid": `card-remove-${terminal.id}`,
          disabled: !terminal.card,
          onclick: () => app.act(terminal.id, "card", "remove_card"),
        },
        t("card.remove"),
      ),
      torn &&
        h(
          "button",
          {
            type: "button",
            class: "toggle",
            "aria-pressed": String(torn.on),
            "data-testid": `card-tear-${terminal.id}`,
            title: t("card.tear.what"),
            onclick: () => app.fault(terminal, torn, "card"),
          },
          t("card.tear"),
        ),
    ),
  );
}

function scanner(app, terminal) {
  const { t } = app;
  const id = `code-${terminal.id}`;
  const known = [...new Set([EXAMPLE_CODE, ...app.knownCodes(terminal.id)])];
  const scan = (event) => {
    event.preventDefault();
    const code = event.target.elements.code.value;
    if (code) app.act(terminal.id, "scanner", "code", code);
  };
  return group(
    app,
    "scanner",
    terminal,
    t("desk.scanner"),
    h(
      "form",
      { class: "row", onsubmit: scan },
      h("input", {
        name: "code",
        list: `${id}-known`,
        autocomplete: "off",
        value: EXAMPLE_CODE,
        "aria-label": t("scanner.code"),
        "data-testid": id,
        class: "grow",
      }),
      h(
        "datalist",
        { id: `${id}-known` },
        known.map((code) => h("option", { value: code })),
      ),
      h("button", { type: "submit", "data-testid": `scan-${terminal.id}`, disabled: app.busy(terminal.id, "scanner") }, t("scanner.scan")),
    ),
    known.length > 1 &&
      h(
        "ul",
        { class: "codes" },
        known
          .slice(1)
          .map((code) =>
            h(
              "li",
              { key: code },
              h("code", { class: "one-line", title: code }, code),
              h(
                "button",
                { type: "button", class: "quiet small", onclick: () => app.act(terminal.id, "scanner", "code", code) },
                t("scanner.scan"),
              ),
            ),
          ),
      ),
    terminal.code && h("p", { class: "muted one-line" }, t("scanner.before", { code: terminal.code })),
  );
}
