// Elements: h() describes them, morph() brings them onto the page and keeps focus, typed text and scroll where they are.

const KEY = Symbol("key");
const HANDLERS = Symbol("handlers");
const SVG = new Set(["svg", "path", "circle", "rect", "g", "line"]);
// Set when they are wanted, and never taken away: a person, or the view itself, looks after them.
const OWN = new Set(["open", "src", "style", "selected", "value", "checked"]);

/**
 * An element. `key` tells it from its siblings, on... are handlers, `style` are custom properties; false, null and undefined leave an
 * attribute out.
 */
export function h(tag, attributes, ...children) {
  const node = SVG.has(tag) ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "key") node[KEY] = String(value);
    else if (name.startsWith("on")) ((node[HANDLERS] ??= new Set()).add(name), (node[name] = value));
    else if (name === "style") for (const [property, text] of Object.entries(value)) node.style.setProperty(property, text);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity))
    if (child !== null && child !== undefined && child !== false && child !== "") node.append(child);
  return node;
}

/** Makes the children of `target` those that are wanted. */
export function show(target, ...wanted) {
  children(target, wanted.flat(Infinity).filter(Boolean));
}

function morph(target, wanted) {
  if (target.nodeType === Node.TEXT_NODE) {
    if (target.data !== wanted.data) target.data = wanted.data;
    return;
  }
  for (const { name } of [...target.attributes]) if (!wanted.hasAttribute(name) && !OWN.has(name)) target.removeAttribute(name);
  for (const { name, value } of wanted.attributes) {
    if (name === "style")
      target.style.cssText = wanted.style.cssText; // an attribute the content security policy would refuse
    else if (!(name === "open" || name === "selected" || name === "checked" || name === "value") && target.getAttribute(name) !== value)
      target.setAttribute(name, value);
  }
  if (wanted.tagName === "BUTTON" || wanted.tagName === "OPTION" || wanted.tagName === "PROGRESS") {
    if (target.value !== wanted.value) target.value = wanted.value;
  }
  for (const name of target[HANDLERS] ?? []) if (!wanted[HANDLERS]?.has(name)) target[name] = null;
  for (const name of wanted[HANDLERS] ?? []) target[name] = wanted[name];
  target[HANDLERS] = wanted[HANDLERS];
  children(target, [...wanted.childNodes]);
}

function children(target, wanted) {
  const keys = new Set(wanted.map((node) => node[KEY]).filter((key) => key !== undefined));
  const kept = new Map();
  for (const child of [...target.childNodes]) {
    if (child[KEY] === undefined) continue;
    if (keys.has(child[KEY])) kept.set(child[KEY], child);
    else child.remove();
  }
  let place = target.firstChild;
  for (const want of wanted) {
    const have = want[KEY] === undefined ? place : kept.get(want[KEY]);
    if (!have || have.nodeName !== want.nodeName || have[KEY] !== want[KEY]) {
      target.insertBefore(want, place);
      continue;
    }
    if (have === place) place = place.nextSibling;
    else target.insertBefore(have, place);
    morph(have, want);
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

/** Tabs as WAI-ARIA has them: one stop of the Tab key, arrows between them. `list`: [id, label, badge]. */
export function tabs(name, label, list, chosen, choose) {
  const move = (event) => {
    const at = list.findIndex(([id]) => id === chosen);
    const step = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: list.length - 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const [id] = list[(step + list.length) % list.length];
    choose(id);
    document.getElementById(`${name}-tab-${id}`).focus();
  };
  return h(
    "div",
    { role: "tablist", "aria-label": label, class: "tabs", onkeydown: move },
    list.map(([id, text, badge]) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          key: id,
          id: `${name}-tab-${id}`,
          "data-testid": `tab-${id}`,
          "aria-selected": String(id === chosen),
          "aria-controls": `${name}-panel`,
          tabindex: id === chosen ? "0" : "-1",
          onclick: () => choose(id),
        },
        text,
        badge ? h("span", { class: "badge" }, String(badge)) : null,
      ),
    ),
  );
}

/** An icon of the page's own: strokes on a field of 24 by 24. */
export function icon(name) {
  return h(
    "svg",
    { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" },
    ICONS[name].map((line) => h("path", { d: line })),
  );
}

const ICONS = {
  power: ["M12 3v9", "M6.3 6.8a8 8 0 1 0 11.4 0"],
  plus: ["M12 5v14", "M5 12h14"],
  close: ["M6 6l12 12", "M18 6L6 18"],
  sound: ["M4 9v6h4l5 4V5L8 9H4z", "M16.5 8.5a5 5 0 0 1 0 7", "M19 6a8.5 8.5 0 0 1 0 12"],
  silent: ["M4 9v6h4l5 4V5L8 9H4z", "M16 9.5l5 5", "M21 9.5l-5 5"],
  bolt: ["M13 3L5 14h6l-1 7 8-11h-6l1-7z"],
  save: ["M12 4v11", "M7 11l5 5 5-5", "M5 20h14"],
  scissors: ["M8.5 8.5L20 18", "M8.5 15.5L20 6", "M6 9a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z", "M6 20a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z"],
  search: ["M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z", "M15.5 15.5L20 20"],
  waves: ["M7 9a5 5 0 0 1 0 6", "M10.5 7a8 8 0 0 1 0 10", "M14 5a11.5 11.5 0 0 1 0 14"],
  left: ["M14.5 6l-6 6 6 6"],
  right: ["M9.5 6l6 6-6 6"],
  zoom: ["M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13z", "M15.5 15.5L20 20", "M10.5 8v5", "M8 10.5h5"],
  up: ["M12 19V6", "M6.5 11L12 5.5 17.5 11"],
  down: ["M12 5v13", "M6.5 13l5.5 5.5 5.5-5.5"],
};
