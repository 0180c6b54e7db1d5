// A terminal's keys as a person moves them: a tap is one step, a key kept down is two.

const TAP_MS = 200; // what is let go within it was a tap
const KEYBOARD = {
  Enter: "enter",
  Escape: "cancel",
  Backspace: "clear",
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
  F1: "help",
};

/** The name of the terminal's key for an event of the keyboard, or "". A key comes up whatever else is down. */
export function keyNamed(event, keys) {
  if (event.type === "keydown" && (event.ctrlKey || event.altKey || event.metaKey)) return "";
  const name = KEYBOARD[event.key] ?? event.key;
  return keys.flat().includes(name) ? name : "";
}

/** `send(verb, key)`: press, hold or let_go; `changed()`: `down` has. */
export class Keys {
  down = new Map(); // key -> { timer, held }

  constructor(send, changed) {
    this.send = send;
    this.changed = changed;
  }

  press(key) {
    if (this.down.has(key)) return;
    const state = { held: false, timer: 0 };
    state.timer = setTimeout(() => {
      state.held = true;
      this.send("hold", key);
    }, TAP_MS);
    this.down.set(key, state);
    this.changed();
  }

  release(key) {
    const state = this.down.get(key);
    if (!state) return;
    clearTimeout(state.timer);
    this.down.delete(key);
    this.send(state.held ? "let_go" : "press", key);
    this.changed();
  }

  /** The focus has gone elsewhere: nobody would see the key come up. */
  releaseAll() {
    for (const key of [...this.down.keys()]) this.release(key);
  }
}
