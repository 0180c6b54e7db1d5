// Messages: the list of them, and one taken apart byte by byte; one click turns a bit of it, and sends what has become of it.

import { h, icon } from "./dom.js";

const VERIFIED = "verified";
const SIZE = /^(list|map) of \d+$|^\d+ bytes$|^[0-9a-f]+… \(\d+ bytes\)$|^tag \d+$|^floating point$/; // values that are words, and not the message's own
const SENT = "sent"; // down, and no receipt of it yet

export function messagesPanel(app, terminal) {
  const { t } = app;
  const list = app.live.messagesOf(terminal.id);
  const chosen = app.ui.message.get(terminal.id);
  const hostile = app.allowed("hostile");
  return [
    hostile.length > 0 &&
      h(
        "section",
        { class: "card", key: "hostile", "aria-label": t("hostile.title") },
        h("h3", {}, t("hostile.title")),
        h("p", { class: "muted" }, t("hostile.what")),
        h(
          "div",
          { class: "row" },
          hostile.map((kind) =>
            h(
              "button",
              {
                type: "button",
                class: "small",
                key: kind,
                "data-testid": `hostile-${kind}`,
                disabled: app.busy(terminal.id, "hostile"),
                onclick: () => app.act(terminal.id, "hostile", "hostile", kind),
              },
              t.or(`hostile.${kind}`, kind),
            ),
          ),
        ),
        app.problem(terminal.id, "hostile"),
      ),
    list.length === 0
      ? h("p", { class: "nothing", key: "none" }, t("messages.none"))
      : h(
          "div",
          { class: "table-way messages", key: "list", tabindex: "0", role: "region", "aria-label": t("messages.title") },
          h(
            "table",
            { "data-testid": "messages" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                ["number", "at", "direction", "kind", "bytes", "verdict"].map((name) => h("th", { scope: "col" }, t(`messages.${name}`))),
              ),
            ),
            h(
              "tbody",
              {},
              [...list].reverse().map((message) => row(app, terminal, message, message.number === chosen)),
            ),
          ),
        ),
    chosen !== undefined && detail(app, terminal, chosen),
  ];
}

function row(app, terminal, message, isChosen) {
  const { t } = app;
  return h(
    "tr",
    { key: message.number, class: isChosen ? "chosen" : "" },
    h(
      "td",
      {},
      h(
        "button",
        {
          type: "button",
          class: "link",
          "aria-pressed": String(isChosen),
          "data-testid": `message-${message.number}`,
          "aria-label": t("messages.open", { number: message.number, kind: message.kind }),
          onclick: () => app.openMessage(terminal.id, message.number),
        },
        String(message.number),
      ),
    ),
    h("td", { class: "number" }, (message.at / 1000).toFixed(2)),
    h(
      "td",
      {},
      h(
        "span",
        { class: `way ${message.direction}`, title: t(`messages.${message.direction}`) },
        icon(message.direction === "up" ? "up" : "down"),
        h("span", { class: "visually-hidden" }, t(`messages.${message.direction}`)),
      ),
    ),
    h("td", {}, message.kind),
    h("td", { class: "number" }, String(message.bytes)),
    h("td", {}, verdictPill(app, message.verdict)),
  );
}

/** How a message was judged, by whom it is for. */
export function verdictPill(app, verdict, more = {}) {
  return h("span", { class: `pill ${{ [VERIFIED]: "good", [SENT]: "" }[verdict] ?? "bad"}`, ...more }, verdictWord(app, verdict));
}

export function verdictWord(app, verdict) {
  return app.t.or(`verdict.${verdict}`, app.t.or(`op.detail.${verdict}`, verdict));
}

// --- one message

function detail(app, terminal, number) {
  const { t } = app;
  const message = app.ui.opened.get(`${terminal.id} ${number}`);
  const heading = h("h3", { id: "message-title" }, t("messages.one", { number }));
  if (!message) return h("section", { class: "card inspector", key: `message ${number}` }, heading, app.problem(terminal.id, "message"));
  const byte = Math.min(app.ui.byte, message.hex.length / 2 - 1);
  const altered = app.ui.altered.get(`${terminal.id} ${number}`);
  const light = (event) => highlight(app, event.currentTarget, event.target.closest("[data-part]")?.dataset.part);
  const lit = (at) => (app.ui.lit === String(at) ? " lit" : "");
  return h(
    "section",
    {
      class: "card inspector",
      key: `message ${number}`,
      "aria-labelledby": "message-title",
      "data-testid": "inspector",
      onmouseover: light,
      onmouseout: (event) => highlight(app, event.currentTarget, document.activeElement?.closest?.("[data-part]")?.dataset.part),
    },
    heading,
    h(
      "dl",
      { class: "facts" },
      fact(t("messages.topic"), h("code", {}, message.topic)),
      fact(
        t("messages.verdict"),
        verdictPill(app, message.verdict, { "data-testid": "verdict" }),
        message.meaning && ` ${t.meaning(message.meaning)}`,
      ),
      message.receipts.length > 0 && fact(t("messages.receipt"), h("code", {}, message.receipts.map(text).join(", "))),
      message.signed_by && fact(t("messages.signed_by"), h("code", {}, message.signed_by)),
    ),
    h(
      "div",
      { class: "row alter" },
      h(
        "div",
        { class: "labelled" },
        h("label", { for: "alter-at" }, t("alter.at")),
        h("input", {
          id: "alter-at",
          key: `${number} ${app.ui.byteSet}`,
          type: "number",
          min: "0",
          max: String(message.hex.length / 2 - 1),
          value: String(byte),
          "data-testid": "alter-at",
          onchange: (event) => app.chooseByte(Number(event.target.value), false),
        }),
      ),
      h(
        "div",
        { class: "labelled" },
        h("label", { for: "alter-bit" }, t("alter.bit")),
        h(
          "select",
          { id: "alter-bit", "data-testid": "alter-bit" },
          [0, 1, 2, 3, 4, 5, 6, 7].map((bit) => h("option", { value: bit }, String(bit))),
        ),
      ),
      h(
        "button",
        {
          type: "button",
          class: "primary",
          "data-testid": "alter-send",
          disabled: app.busy(terminal.id, "alter"),
          "aria-busy": String(app.busy(terminal.id, "alter")),
          onclick: () => app.sendAltered(terminal.id, number, byte, Number(document.getElementById("alter-bit").value)),
        },
        t("alter.send"),
      ),
    ),
    h("p", { class: "muted" }, t("alter.what")),
    altered &&
      h(
        "p",
        { class: `outcome ${altered.verdict === VERIFIED ? "bad" : "good"}`, role: "status", "data-testid": "altered" },
        [
          t("alter.outcome", { at: altered.at, verdict: verdictWord(app, altered.verdict) }),
          altered.meaning && t.meaning(altered.meaning),
          altered.receipt && t("alter.receipt", { receipt: text(altered.receipt) }),
        ]
          .filter(Boolean)
          .join(" · "),
      ),
    app.problem(terminal.id, "alter"),
    h(
      "div",
      { class: "bytes", "data-testid": "bytes", "aria-hidden": "true", onclick: (event) => chooseHere(app, event) },
      message.parts.map((part, at) =>
        h(
          "span",
          { "data-part": at, class: `part tone-${at % 6}${lit(at)}` },
          Array.from({ length: part.length }, (_, offset) =>
            h(
              "span",
              { "data-at": part.at + offset, class: part.at + offset === byte ? "chosen" : "" },
              message.hex.slice(2 * (part.at + offset), 2 * (part.at + offset) + 2),
            ),
          ),
        ),
      ),
    ),
    h(
      "ul",
      { class: "parts", "aria-label": t("messages.parts"), onkeydown: walk },
      message.parts.map((part, at) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              "data-part": at,
              "data-testid": `part-${at}`,
              class: `part-row${lit(at)}`,
              style: { "--depth": part.depth },
              tabindex: at === 0 ? "0" : "-1",
              onfocus: (event) => highlight(app, event.currentTarget.closest(".inspector"), String(at)),
              onclick: () => app.chooseByte(part.at),
            },
            h("span", { class: `swatch tone-${at % 6}`, "aria-hidden": "true" }),
            h("span", { class: "at" }, t("messages.bytes_at", { at: part.at, to: part.at + part.length - 1 })),
            h("span", { class: "name" }, t.said(part.name)),
            h("span", { class: "value" }, SIZE.test(part.value) ? t.said(part.value) : part.value),
            part.meaning && h("span", { class: "meaning" }, t.meaning(part.meaning)),
          ),
        ),
      ),
    ),
  );
}

/** The byte that was clicked, and what part it is of. */
function chooseHere(app, event) {
  const { at } = event.target.dataset;
  if (at === undefined) return;
  app.chooseByte(Number(at));
  const part = event.target.closest("[data-part]").dataset.part;
  event.currentTarget.closest(".inspector").querySelector(`.parts [data-part="${part}"]`).focus();
}

function fact(name, ...value) {
  return [h("dt", {}, name), h("dd", {}, value)];
}

function text(receipt) {
  return [receipt.result, receipt.refusal].filter(Boolean).join(": ");
}

/** At once, without drawing; whatever draws later finds it in `ui`. */
function highlight(app, root, part) {
  app.ui.lit = part;
  for (const lit of root.querySelectorAll(".lit")) if (lit.dataset.part !== part) lit.classList.remove("lit");
  if (part === undefined) return;
  for (const node of root.querySelectorAll(`[data-part="${part}"]`)) node.classList.add("lit");
  const way = root.querySelector(".bytes");
  const first = way.querySelector(".lit");
  if (first && !way.matches(":hover")) way.scrollTop = first.offsetTop - way.offsetTop - way.clientHeight / 3;
}

/** Arrows go from part to part: the list is one stop of the Tab key. */
function walk(event) {
  const rows = [...event.currentTarget.querySelectorAll("button")];
  const at = rows.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (to === undefined || !rows[to]) return;
  event.preventDefault();
  rows[to].focus();
}
