// Forms made from what the server says a step takes: one field for each part of its argument.

import { h } from "./dom.js";

/** A form that sends one step. `fields`: [name, {allowed, number, optional}]; `fixed`: parts that nobody chooses. */
export function stepForm(app, terminal, { name, verb, fields, fixed = {}, single = false, send, extra }) {
  const submit = async (event) => {
    event.preventDefault();
    const form = event.target;
    const argument = { ...fixed };
    for (const [field] of fields) {
      const value = form.elements[field].value.trim();
      if (value) argument[field] = value;
    }
    if (await app.act(terminal.id, name, verb, single ? argument[fields[0][0]] : argument))
      for (const input of form.querySelectorAll("input")) input.value = "";
  };
  return h(
    "form",
    { class: "step", "data-testid": `form-${name}`, onsubmit: submit, "aria-label": send },
    extra,
    fields.map(([field, spec]) => formField(app, name, field, spec)),
    h(
      "div",
      { class: "row end" },
      h(
        "button",
        {
          type: "submit",
          class: "primary",
          "data-testid": `send-${name}`,
          disabled: app.busy(terminal.id, name),
          "aria-busy": String(app.busy(terminal.id, name)),
        },
        send,
      ),
    ),
    app.problem(terminal.id, name),
  );
}

export function formField(app, form, field, spec) {
  const { t } = app;
  const allowed = spec.allowed ?? [];
  const id = `${form}-${field}`;
  const attributes = { id, name: field, "data-testid": id, required: !spec.optional };
  const options = () => [
    spec.optional && h("option", { value: "" }, "—"),
    allowed.map((value) => h("option", { value }, app.valueWord(field, value))),
  ];
  return h(
    "div",
    { class: "labelled", key: `${field} ${allowed.length}` },
    h("label", { for: id }, t.or(`field.${field}`, field), spec.optional && h("span", { class: "muted" }, ` ${t("optional")}`)),
    allowed.length
      ? h("select", attributes, options())
      : h("input", {
          ...attributes,
          autocomplete: "off",
          ...(spec.number ? { type: "number", min: "0", step: "1", inputmode: "numeric" } : { type: "text" }),
        }),
  );
}
