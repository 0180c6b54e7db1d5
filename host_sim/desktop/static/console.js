// The acquirer's console: what it verified of a terminal, and what it can send to it.

import { h } from "./dom.js";
import { formField, stepForm } from "./forms.js";
import { verdictPill, verdictWord } from "./inspector.js";

// What an order takes of all that orders can take; an action that is not here is offered every field.
const ORDER_FIELDS = {
  suspend: ["reason", "case", "note", "until_s"],
  lift: ["reason", "probation_s"],
  self_test: ["plan"],
  revoke_badge: ["badge"],
  maintenance: ["since_s", "until_s", "text"],
  message: ["text"],
  configure: ["settings"],
  unlock: [],
};
const CREDENTIALS = ["registration", "renewal"]; // applications that nobody reviews: the acquirer's own machine answers them
const NEEDED = {
  suspend: ["reason"],
  lift: ["reason"],
  self_test: ["plan"],
  revoke_badge: ["badge"],
  message: ["text"],
  configure: ["settings"],
};

export function consolePanel(app, terminal) {
  const { t } = app;
  const account = terminal.account ?? {};
  return [
    state(app, account),
    orders(app, terminal),
    applications(app, terminal, account.applications ?? []),
    notices(app, terminal, account.notices),
    activation(app, terminal),
    reports(app, account),
    list(app, "timeline", newest(account.timeline), (entry) => [moment(app, entry.at), t.said(entry.what)]),
    list(app, "summary", account.summary, (entry) => [t.said(entry)]),
    list(app, "events", newest(account.events), (entry) => [
      moment(app, entry.at),
      h("b", {}, t.or(`op.event.${entry.name}`, entry.name)),
      " ",
      t.detail(entry.detail),
      entry.times > 1 && ` ×${entry.times}`,
    ]),
    list(app, "receipts", newest(account.receipts), (entry) => receipt(app, entry)),
  ];
}

function newest(entries) {
  return Array.isArray(entries) ? [...entries].reverse() : entries;
}

function state(app, account) {
  const { t } = app;
  const mode = account.mode;
  return h(
    "section",
    { class: "card standing", key: "state", "aria-label": t("console.state") },
    h(
      "div",
      { class: "row" },
      h("h3", { class: "grow" }, t("console.state")),
      h(
        "span",
        { class: `pill ${account.online ? "good" : "bad"}`, "data-testid": "online" },
        account.online ? t("console.online") : t("console.offline"),
      ),
    ),
    mode
      ? h(
          "p",
          { class: "mode" },
          h("span", { class: `pill large ${modeTone(mode)}`, "data-testid": "mode" }, t.or(`mode.${mode}`, mode)),
          h("span", { class: "muted", "data-testid": "status" }, ` ${account.status ?? ""}`),
          account.step && h("span", { class: "muted" }, ` · ${t.or(`recovery.${account.step}.title`, account.step)}`),
        )
      : h("p", { class: "nothing" }, t("console.nothing_yet")),
    (account.tests_due ?? []).length > 0 &&
      h("p", {}, t("console.tests_due", { list: account.tests_due.map((name) => app.valueWord("test", name)).join(t("comma")) })),
    (account.reasons ?? []).length > 0 &&
      h(
        "ul",
        { class: "reasons", "data-testid": "reasons" },
        account.reasons.map((reason, at) => h("li", { key: at }, reasonLine(app, reason))),
      ),
  );
}

export function modeTone(mode) {
  return (
    { in_service: "good", probation: "good", suspended: "warn", recovering: "info", commissioning: "info", out_of_order: "bad" }[mode] ?? ""
  );
}

function reasonLine(app, reason) {
  const code = typeof reason === "object" ? (reason.code ?? reason.reason) : reason;
  const rest =
    typeof reason === "object"
      ? Object.entries(reason).filter(
          ([name, value]) => !["code", "reason", "number"].includes(name) && value !== "" && value !== null && value !== 0,
        )
      : [];
  return [
    h("b", {}, app.reasonWord(code)),
    rest.map(([name, value]) =>
      h(
        "span",
        { class: "muted" },
        ` · ${app.t.or(`field.${name}`, name)} `,
        ["since", "until"].includes(name) ? app.time(value) : app.t.or(`${name === "component" ? "device" : "value"}.${value}`, value),
      ),
    ),
  ];
}

// --- what is sent

function orders(app, terminal) {
  const { t } = app;
  const takes = app.verb("order")?.fields;
  if (!takes) return null;
  const actions = takes.action.allowed;
  const action = actions.includes(app.ui.action) ? app.ui.action : actions[0];
  const names = ORDER_FIELDS[action] ?? Object.keys(takes).filter((name) => name !== "action");
  const fields = names
    .filter((name) => takes[name])
    .map((name) => [name, { ...takes[name], optional: !(NEEDED[action] ?? []).includes(name) }]);
  return h(
    "section",
    { class: "card", key: "orders", "aria-label": t("console.orders") },
    h("h3", {}, t("console.orders")),
    h(
      "div",
      { class: "choices", role: "group", "aria-label": t("field.action") },
      actions.map((name) =>
        h(
          "button",
          {
            type: "button",
            class: "toggle small",
            key: name,
            "aria-pressed": String(name === action),
            "data-testid": `action-${name}`,
            onclick: () => app.set({ action: name }),
          },
          app.valueWord("action", name),
        ),
      ),
    ),
    stepForm(app, terminal, {
      name: "order",
      verb: "order",
      fields,
      fixed: { action },
      send: t("console.send_order", { action: app.valueWord("action", action) }),
    }),
  );
}

function applications(app, terminal, list) {
  const { t } = app;
  const takes = app.verb("review")?.fields;
  const send = (status) => async (event) => {
    const remark = event.target.closest("form").elements.remark;
    const argument = remark.value.trim() ? { status, remark: remark.value.trim() } : { status };
    if (await app.act(terminal.id, "review", "review", argument)) remark.value = "";
  };
  return h(
    "section",
    { class: "card", key: "applications", "aria-label": t("console.applications") },
    h("h3", {}, t("console.applications"), list.length > 0 && h("span", { class: "badge" }, String(list.length))),
    list.length === 0
      ? h("p", { class: "nothing" }, t("console.no_applications"))
      : h(
          "ol",
          { class: "entries", "data-testid": "applications" },
          newest(list).map((entry, at) => h("li", { key: list.length - at }, application(app, entry))),
        ),
    takes &&
      list.some(({ purpose }) => !CREDENTIALS.includes(purpose)) &&
      h(
        "form",
        { class: "step", onsubmit: (event) => event.preventDefault() },
        takes.remark && formField(app, "review", "remark", takes.remark),
        h(
          "div",
          { class: "row" },
          takes.status.allowed.map((status) =>
            h(
              "button",
              {
                type: "button",
                key: status,
                class: { approved: "primary", rejected: "danger" }[status] ?? "",
                "data-testid": `review-${status}`,
                disabled: app.busy(terminal.id, "review"),
                onclick: send(status),
              },
              app.valueWord("status", status),
            ),
          ),
        ),
      ),
    app.problem(terminal.id, "review"),
  );
}

function notices(app, terminal, told) {
  const { t } = app;
  const takes = app.verb("notice")?.fields;
  return (
    takes &&
    h(
      "details",
      { class: "card", key: "notices" },
      h("summary", { "data-testid": "section-notices" }, h("h3", {}, t("console.notices"))),
      Array.isArray(told) &&
        told.length > 0 &&
        h(
          "ul",
          { class: "entries" },
          newest(told).map((notice, at) =>
            h(
              "li",
              { key: told.length - at },
              moment(app, notice.at),
              h("b", {}, app.valueWord("about", notice.about)),
              ` ${notice.text} `,
              verdictPill(app, notice.verdict),
            ),
          ),
        ),
      stepForm(app, terminal, { name: "notice", verb: "notice", fields: Object.entries(takes), send: t("console.send_notice") }),
    )
  );
}

function activation(app, terminal) {
  const { t } = app;
  const typed = app.allowed("type_code");
  return (
    app.knows("activation_code") &&
    h(
      "details",
      { class: "card", key: "activation" },
      h("summary", { "data-testid": "section-activation" }, h("h3", {}, t("console.activation"))),
      h("p", { class: "muted" }, t("console.activation.what")),
      h(
        "div",
        { class: "row" },
        h("output", { class: "grow code-issued", "data-testid": "activation-code" }, terminal.activation_code ?? ""),
        h(
          "button",
          {
            type: "button",
            "data-testid": "issue-code",
            disabled: app.busy(terminal.id, "activation"),
            onclick: () => app.act(terminal.id, "activation", "activation_code"),
          },
          t("console.issue_code"),
        ),
      ),
      typed.length > 0 &&
        h(
          "div",
          { class: "row", role: "group", "aria-label": t("console.type_code") },
          h("span", { class: "muted" }, t("console.type_code")),
          typed.map((which) =>
            h(
              "button",
              {
                type: "button",
                class: "small",
                key: which,
                "data-testid": `type_code-${which}`,
                disabled: app.busy(terminal.id, "activation"),
                onclick: () => app.act(terminal.id, "activation", "type_code", which),
              },
              app.valueWord("code", which),
            ),
          ),
        ),
      app.problem(terminal.id, "activation"),
    )
  );
}

// --- what was told

function reports(app, account) {
  const { t } = app;
  return [
    list(app, "reports", newest(account.reports), (entry) => report(app, entry)),
    list(app, "tests", newest(account.tests), (entry) => [
      moment(app, entry.at),
      h("b", {}, app.valueWord("test", entry.name)),
      " ",
      outcome(app, entry.outcome),
      entry.cause && ` ${t.or(`cause.${entry.cause}`, entry.cause)}`,
    ]),
  ];
}

/** What did not pass is in sight; all that passed is one click away. */
function report(app, entry) {
  const { t } = app;
  const results = entry.results ?? [];
  const bad = results.filter((result) => !["pass", "skip"].includes(result.outcome));
  const line = (result) =>
    h(
      "li",
      {},
      outcome(app, result.outcome),
      " ",
      t.or(`phase.${result.phase}`, result.phase),
      result.cause && ` · ${t.or(`cause.${result.cause}`, result.cause)}`,
      result.detail && h("code", { class: "muted" }, ` · ${result.detail}`),
      h("span", { class: "muted" }, ` · ${result.duration_ms} ms`),
    );
  return [
    moment(app, entry.at),
    h("b", {}, t.or(`value.${entry.plan}`, entry.plan)),
    " ",
    bad.length
      ? h("span", { class: "pill bad" }, t("report.failed", { count: bad.length, all: results.length }))
      : h("span", { class: "pill good" }, t("report.passed", { all: results.length })),
    bad.length > 0 && h("ul", { class: "inner" }, bad.map(line)),
    h("details", {}, h("summary", {}, t("report.all")), h("ul", { class: "inner" }, results.map(line))),
  ];
}

function outcome(app, word) {
  return h("span", { class: `pill ${{ pass: "good", skip: "" }[word] ?? "bad"}` }, app.t.or(`outcome.${word}`, word));
}

function application(app, entry) {
  const { t } = app;
  return [
    moment(app, entry.at),
    h("b", {}, t("application.number", { number: entry.application })),
    " ",
    h("span", { class: "pill info" }, t.or(`value.${entry.purpose}`, entry.purpose)),
    entry.level > 1 && h("span", { class: "muted" }, ` · ${t("application.superior")}`),
    entry.decided &&
      h(
        "span",
        { class: "muted", "data-testid": "decided" },
        ` · ${t("application.decided", { status: t.or(`value.${entry.decided}`, entry.decided) })}`,
      ),
    entry.applicant && h("div", {}, t.masked(entry.applicant)),
    entry.materials?.length > 0 &&
      h(
        "div",
        { class: "muted" },
        t("application.materials", { list: entry.materials.map((number) => t.or(`material.${number}`, number)).join(t("comma")) }),
      ),
  ];
}

function receipt(app, entry) {
  const good = !entry.refusal;
  return [
    moment(app, entry.at),
    h(
      "span",
      { class: `pill ${good ? "good" : "bad"}` },
      good ? app.t("verdict.accepted") : verdictWord(app, entry.refusal),
    ),
    h("span", { class: "muted" }, ` ${entry.result}`),
    entry.of && h("code", { class: "muted" }, ` ${entry.of.slice(0, 8)}…`),
  ];
}

function list(app, name, entries, line) {
  const all = Array.isArray(entries) ? entries : entries ? [entries] : [];
  return h(
    "details",
    { class: "card", key: name },
    h(
      "summary",
      { "data-testid": `section-${name}` },
      h("h3", {}, app.t(`console.${name}`), all.length > 0 && h("span", { class: "badge" }, String(all.length))),
    ),
    all.length === 0
      ? h("p", { class: "nothing" }, app.t("console.none"))
      : h(
          "ul",
          { class: "entries", "data-testid": name },
          all.map((entry, at) => h("li", { key: all.length - at }, line(entry))),
        ),
  );
}

function moment(app, at) {
  return at ? h("time", {}, `${app.time(at)} `) : null;
}
