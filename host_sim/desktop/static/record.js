// What happened, line by line; any step by hand; and what was done as a scenario.

import { h, icon } from "./dom.js";
import { stepForm } from "./forms.js";

export function recordPanel(app, terminal) {
  const { t } = app;
  const verbs = Object.keys(app.live.choices.verbs).filter((verb) => !verb.startsWith("expect_"));
  const verb = verbs.includes(app.ui.verb) ? app.ui.verb : verbs[0];
  const takes = app.verb(verb);
  const fields = takes === null ? [] : takes.fields ? Object.entries(takes.fields) : [["argument", takes]];
  return [
    h(
      "section",
      { class: "card", key: "recording", "aria-label": t("record.title") },
      h("h3", {}, t("record.title")),
      h("p", { class: "muted" }, t("record.what")),
      h(
        "div",
        { class: "row" },
        h("span", { class: "grow" }, h("b", { "data-testid": "recorded" }, t("record.steps", { count: terminal.steps }))),
        h(
          "a",
          {
            class: "button",
            href: `/api/terminals/${terminal.id}/recording`,
            download: `${terminal.id}.yaml`,
            "data-testid": "save-recording",
          },
          icon("save"),
          t("record.save"),
        ),
        h(
          "button",
          { type: "button", class: "quiet", "data-testid": "new-recording", onclick: () => app.beginRecording(terminal.id) },
          t("record.begin"),
        ),
      ),
      app.problem(terminal.id, "recording"),
    ),
    h(
      "section",
      { class: "card", key: "step", "aria-label": t("step.title") },
      h("h3", {}, t("step.title")),
      h("p", { class: "muted" }, t("step.what")),
      stepForm(app, terminal, {
        name: "step",
        verb,
        fields,
        single: takes !== null && !takes.fields,
        send: t("step.do"),
        extra: h(
          "div",
          { class: "labelled" },
          h("label", { for: "step-verb" }, t("step.verb")),
          h(
            "select",
            { id: "step-verb", "data-testid": "step-verb", onchange: (event) => app.set({ verb: event.target.value }) },
            verbs.map((name) => h("option", { value: name, selected: name === verb }, name)),
          ),
        ),
      }),
    ),
    log(app, terminal),
  ];
}

function log(app, terminal) {
  const { t } = app;
  const lines = app.live.logs.get(terminal.id) ?? [];
  const who = [...new Set(lines.map((line) => line.who))].sort();
  const shown = lines.filter((line) => !app.ui.hiddenVoices.has(line.who));
  return h(
    "section",
    { class: "card", key: "log", "aria-label": t("log.title") },
    h("h3", {}, t("log.title")),
    who.length > 1 &&
      h(
        "div",
        { class: "row", role: "group", "aria-label": t("log.who") },
        who.map((name) =>
          h(
            "button",
            {
              type: "button",
              class: `toggle small voice ${name}`,
              key: name,
              "aria-pressed": String(!app.ui.hiddenVoices.has(name)),
              "data-testid": `log-${name}`,
              onclick: () => app.toggleVoice(name),
            },
            t.or(`who.${name}`, name),
          ),
        ),
      ),
    shown.length === 0
      ? h("p", { class: "nothing" }, t("log.none"))
      : h(
          "div",
          { class: "log", tabindex: "0", role: "log", "aria-label": t("log.title"), "data-testid": "log" },
          h(
            "ol",
            {},
            [...shown]
              .reverse()
              .map((line) =>
                h(
                  "li",
                  { key: line.number },
                  h("time", {}, line.when.toLocaleTimeString("en-GB")),
                  h("span", { class: `who ${line.who}` }, t.or(`who.${line.who}`, line.who)),
                  // What the terminal writes on its console is in its own words.
                  line.who === "terminal" ? h("code", { class: "line" }, line.line) : h("span", { class: "line" }, t.said(line.line)),
                ),
              ),
          ),
        ),
  );
}
