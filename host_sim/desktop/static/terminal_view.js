// One terminal as it stands on the counter: its body as the board's `face` says, its display, its keys.

import { h, icon } from "./dom.js";
import { keyNamed } from "./keys.js";

const PIXELS_PER_MM = 4.4; // as near to it as whole pixels of the display allow
const ABOVE_MM = 18; // of the case around display and keys, at most: it is drawn with narrower edges, so that all of it is in sight
const BELOW_MM = 8;
const SMALL_PX = 220; // a display that is narrower is shown enlarged beside the terminal too
const ENLARGED_PX = 384;

/** How many pixels of the page are a millimetre of this board: each of the display's own pixels is a whole number of them. */
function scale(board) {
  const { width_mm } = board.face.display;
  const times = Math.max(1, Math.round((PIXELS_PER_MM * width_mm) / board.display.width_px));
  return { times, mm: (board.display.width_px * times) / width_mm };
}

export function isSmall(board) {
  return board.display.width_px * scale(board).times < SMALL_PX;
}

/** `cut`: by how much the upper edge is narrower than it is on the board. */
function place({ x_mm, y_mm, width_mm, height_mm }, cut) {
  return { "--x": x_mm, "--y": y_mm - cut, "--w": width_mm, "--h": height_mm };
}

export function terminalBody(app, terminal, board) {
  const { t } = app;
  const { face } = board;
  const { mm } = scale(board);
  const keys = app.keys(terminal.id);
  const cut = Math.max(0, face.display.y_mm - ABOVE_MM);
  const height = Math.min(face.height_mm, face.keypad.y_mm + face.keypad.height_mm + BELOW_MM) - cut;
  const gap = (face.display.y_mm + face.display.height_mm + face.keypad.y_mm) / 2 - cut;
  const hint = `keys-of-${terminal.id}`;
  const down = (event) => {
    const key = keyNamed(event, board.keys);
    if (!key) return;
    event.preventDefault();
    if (!event.repeat) keys.press(key);
  };
  const up = (event) => keys.release(keyNamed(event, board.keys));
  return h(
    "div",
    {
      class: `body${terminal.on ? " is-on" : ""}`,
      tabindex: "0",
      role: "group",
      "data-testid": `body-${terminal.id}`,
      "aria-label": t("terminal.body", { id: terminal.id }),
      "aria-describedby": hint,
      style: { "--mm-wanted": `${mm / 16}rem`, "--face-w": face.width_mm, "--face-h": height },
      onkeydown: down,
      onkeyup: up,
      onblur: () => keys.releaseAll(),
    },
    h("p", { class: "visually-hidden", "aria-live": "polite", "data-testid": `screen-${terminal.id}` }, app.ui.screen.get(terminal.id)),
    h("p", { id: hint, class: "visually-hidden" }, t("terminal.keys")),
    board.devices.includes("printer") && h("div", { class: `slit${terminal.lines ? " has-paper" : ""}`, "aria-hidden": "true" }),
    h(
      "div",
      { class: "brand", "aria-hidden": "true", style: { "--y": face.display.y_mm - cut } },
      h("span", { class: "led" }),
      h("span", {}, terminal.id),
      board.devices.includes("sounder") && h("span", { class: `grille${terminal.hz ? " sounds" : ""}` }, h("i"), h("i"), h("i"), h("i")),
    ),
    h("div", { class: "screen", style: place(face.display, cut) }, display(app, terminal, board, "display")),
    board.devices.includes("card_reader") &&
      h("div", { class: `field${terminal.card ? " has-card" : ""}`, "aria-hidden": "true", style: { "--y": gap } }, icon("waves")),
    h(
      "div",
      { class: "keypad", style: { ...place(face.keypad, cut), "--columns": board.keys[0].length, "--rows": board.keys.length } },
      board.keys.flat().map((key) => keyButton(app, terminal, face, keys, key)),
    ),
    terminal.card && h("div", { class: "card-in", "aria-hidden": "true" }, t(`card.${terminal.card}`)),
  );
}

function display(app, terminal, board, name) {
  return h("img", {
    class: "pixels",
    alt: app.t("terminal.display", { id: terminal.id }),
    "data-testid": `${name}-${terminal.id}`,
    "data-display": terminal.id,
    width: board.display.width_px,
    height: board.display.height_px,
    draggable: "false",
  });
}

/** The display by itself, larger; for those that are small on the terminal, or on demand. */
export function enlarged(app, terminal, board) {
  const times = Math.max(1, Math.floor(ENLARGED_PX / board.display.width_px));
  return h(
    "div",
    { class: "enlarged", style: { "--w": `${(board.display.width_px * times) / 16}rem` } },
    display(app, terminal, board, "enlarged"),
  );
}

function keyButton(app, terminal, face, keys, key) {
  const label = face.labels[key];
  const text = label ? (label[terminal.language] ?? label.en) : key;
  const colour = label?.colour;
  return h(
    "button",
    {
      type: "button",
      key,
      tabindex: "-1",
      "data-testid": `key-${terminal.id}-${key}`,
      "aria-label": label ? `${text} (${key})` : key,
      class: [
        "key",
        label && "named",
        colour && "coloured",
        colour && (isBright(colour) ? "dark-text" : "light-text"),
        keys.down.has(key) && "down",
      ]
        .filter(Boolean)
        .join(" "),
      style: colour ? { "--colour": colour } : {},
      onpointerdown: (event) => {
        if (event.button !== 0) return;
        event.preventDefault();
        event.currentTarget.closest(".body").focus({ preventScroll: true });
        event.currentTarget.setPointerCapture(event.pointerId);
        keys.press(key);
      },
      onpointerup: () => keys.release(key),
      onpointercancel: () => keys.release(key),
      onlostpointercapture: () => keys.release(key),
      oncontextmenu: (event) => event.preventDefault(), // a long touch holds the key down
      onclick: (event) => {
        if (event.detail === 0) keys.send("press", key); // assistive technology clicks without a pointer
      },
    },
    text,
  );
}

function isBright(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const share = parseInt(colour.slice(at, at + 2), 16) / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18;
}

/** Shows the newest frame on each picture of a display; while one loads, those in between are left out. */
export function paceDisplays(root, live) {
  for (const picture of root.querySelectorAll("img[data-display]")) {
    const terminal = live.terminals.get(picture.dataset.display);
    if (!terminal) continue;
    // Where it is smaller than its own pixels, none may be left out.
    picture.style.imageRendering = picture.clientWidth < Number(picture.getAttribute("width")) ? "auto" : "";
    picture.wanted = `/api/terminals/${terminal.id}/display.png?frame=${terminal.frame}&device=${live.device(terminal.id)}`;
    if (picture.loads || picture.getAttribute("src") === picture.wanted) continue;
    picture.onload = picture.onerror = () => {
      picture.loads = false;
      if (picture.getAttribute("src") !== picture.wanted) load(picture);
    };
    load(picture);
  }
}

function load(picture) {
  picture.loads = true;
  picture.src = picture.wanted;
}
