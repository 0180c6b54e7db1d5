// The terminal's surroundings: the way to the acquirer, its broker, the access point, the time.

import { h } from "./dom.js";
import { networkFaults } from "./faults.js";
import { stepForm } from "./forms.js";

const LATENCIES_MS = [0, 200, 1000, 3000];
const JUMPS_S = [-86400, -3600, 3600, 86400, 30 * 86400];

export function networkPanel(app, terminal) {
  const { t } = app;
  const { up, latency_ms } = terminal.uplink;
  const running = app.live.acquirer.broker === "running";
  const choose = (event) => {
    event.preventDefault();
    app.act(terminal.id, "latency", "latency", app.argument("latency", "ms", event.target.elements.ms.value));
  };
  return [
    h(
      "section",
      { class: "card", key: "link", "aria-label": t("network.link") },
      h("h3", {}, t("network.link")),
      line(
        t("network.uplink"),
        up ? t("network.passes") : t("network.is_cut"),
        up,
        h(
          "button",
          { type: "button", "data-testid": "uplink", onclick: () => app.act(terminal.id, "link", "uplink", up ? "cut" : "restore") },
          up ? t("network.cut") : t("network.restore"),
        ),
      ),
      line(
        t("network.broker"),
        t.or(`broker.${app.live.acquirer.broker}`, app.live.acquirer.broker),
        running,
        h(
          "button",
          { type: "button", "data-testid": "broker", onclick: () => app.act(terminal.id, "link", "broker", running ? "stop" : "start") },
          running ? t("network.broker_stop") : t("network.broker_start"),
        ),
      ),
      app.problem(terminal.id, "link"),
      app.knows("latency") && [
        h(
          "form",
          { class: "row bottom", key: "latency", onsubmit: choose },
          h(
            "div",
            { class: "labelled grow" },
            h("label", { for: "latency" }, t("network.latency", { ms: latency_ms })),
            h("input", {
              id: "latency",
              name: "ms",
              type: "number",
              min: "0",
              max: "60000",
              step: "1",
              value: String(latency_ms),
              required: true,
              "data-testid": "latency",
            }),
          ),
          h("button", { type: "submit", "data-testid": "set-latency" }, t("set")),
        ),
        h(
          "div",
          { class: "row", key: "latencies" },
          LATENCIES_MS.map((ms) =>
            h(
              "button",
              {
                type: "button",
                class: "toggle small",
                key: ms,
                "aria-pressed": String(latency_ms === ms),
                "data-testid": `latency-${ms}`,
                onclick: () => app.act(terminal.id, "latency", "latency", app.argument("latency", "ms", String(ms))),
              },
              `${ms} ms`,
            ),
          ),
        ),
        app.problem(terminal.id, "latency"),
      ],
    ),
    app.knows("clock") &&
      h(
        "section",
        { class: "card", key: "clock", "aria-label": t("network.clock") },
        h("h3", {}, t("network.clock")),
        h(
          "div",
          { class: "row" },
          JUMPS_S.map((jump) =>
            h(
              "button",
              {
                type: "button",
                class: "small",
                key: jump,
                "data-testid": `clock-${jump}`,
                onclick: () => app.act(terminal.id, "clock", "clock", app.argument("clock", "jump_s", String(jump))),
              },
              t(`jump.${jump}`),
            ),
          ),
        ),
        app.problem(terminal.id, "clock"),
      ),
    app.knows("access_point") &&
      h(
        "section",
        { class: "card", key: "access_point", "aria-label": t("network.access_point") },
        h("h3", {}, t("network.access_point")),
        h("p", { class: "muted" }, t("network.access_point.what")),
        stepForm(app, terminal, {
          name: "access_point",
          verb: "access_point",
          fields: Object.entries(app.verb("access_point").fields),
          send: t("network.access_point.set"),
        }),
      ),
    h(
      "section",
      { class: "card", key: "faults", "aria-label": t("network.faults") },
      h("h3", {}, t("network.faults")),
      app.problem(terminal.id, "network"),
      networkFaults(app, terminal),
    ),
  ];
}

function line(label, state, good, button) {
  return h(
    "div",
    { class: "row line", key: label },
    h("span", { class: `lamp ${good ? "good" : "bad"}`, "aria-hidden": "true" }),
    h("span", { class: "grow" }, h("b", {}, label), " ", h("span", { class: "muted" }, state)),
    button,
  );
}
