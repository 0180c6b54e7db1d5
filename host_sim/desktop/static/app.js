// The page: what is shown where, what a person has chosen on it, and what the views ask of it.

import { consolePanel, modeTone } from "./console.js";
import { desk, pacePaper } from "./desk.js";
import { h, icon, show, tabs } from "./dom.js";
import { faultsPanel } from "./faults.js";
import { messagesPanel } from "./inspector.js";
import { Keys } from "./keys.js";
import { Live, Refused } from "./live.js";
import { networkPanel } from "./network.js";
import { recordPanel } from "./record.js";
import { Sound } from "./sound.js";
import { paceDisplays, terminalBody, isSmall } from "./terminal_view.js";
import { LANGUAGES, words } from "./words.js";

const PANELS = { acquirer: consolePanel, messages: messagesPanel, faults: faultsPanel, network: networkPanel, record: recordPanel };
const THEMES = ["auto", "light", "dark"];
const COPIED_MS = 1500;
const STILL_MS = 400; // a display that has not changed for so long is read out

class App {
  live = new Live();
  sound = new Sound();
  // What a person has chosen on the page; maps are by terminal.
  ui = {
    selected: "",
    tab: "acquirer",
    asks: "",
    board: "",
    faultSearch: "",
    faultsOn: false,
    action: "",
    verb: "",
    copied: "",
    byte: 0,
    byteSet: 0,
    lit: undefined,
    screen: new Map(),
    slip: new Map(),
    card: new Map(),
    enlarged: new Set(),
    message: new Map(),
    opened: new Map(),
    altered: new Map(),
    hiddenVoices: new Set(),
  };
  #keys = new Map();
  #queues = new Map(); // terminal -> the last key's step: keys arrive in their order
  #problems = new Map();
  #busy = new Map();
  #slips = new Map();
  #asked = false;
  #isDrawing = false;
  #reads = 0;

  start() {
    this.useLanguage(localStorage.getItem("language") ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"));
    this.useTheme(localStorage.getItem("theme") ?? "auto");
    this.live.addEventListener("change", ({ detail }) => this.#changed(detail));
    document
      .getElementById("stage")
      .addEventListener("focusin", (event) => this.select(event.target.closest("[data-terminal]")?.dataset.terminal));
    document
      .getElementById("stage")
      .addEventListener("pointerdown", (event) => this.select(event.target.closest("[data-terminal]")?.dataset.terminal));
    addEventListener("resize", () => this.draw());
    this.live.start();
    this.draw();
  }

  // --- choices of the page itself

  useLanguage(language) {
    this.language = language;
    this.t = words(language, this.live.choices?.texts[language]);
    document.documentElement.lang = language;
    document.title = this.t("title");
    document.getElementById("stage").setAttribute("aria-label", this.t("stage"));
    localStorage.setItem("language", language);
    this.draw();
  }

  useTheme(theme) {
    this.theme = THEMES.includes(theme) ? theme : "auto";
    document.documentElement.dataset.theme = this.theme;
    localStorage.setItem("theme", this.theme);
    this.draw();
  }

  /** At once: what a person does next is done to what he then sees. */
  set(chosen) {
    Object.assign(this.ui, chosen);
    if (this.#isDrawing) this.draw();
    else this.#draw();
  }

  /** undefined: as if nothing had been chosen. */
  setIn(name, id, value) {
    if (value === undefined) this.ui[name].delete(id);
    else this.ui[name].set(id, value);
    this.draw();
  }

  select(id) {
    if (!id || id === this.ui.selected || !this.live.terminals.has(id)) return;
    this.set({ selected: id });
    this.#readSoon(id);
  }

  toggleVoice(who) {
    if (!this.ui.hiddenVoices.delete(who)) this.ui.hiddenVoices.add(who);
    this.draw();
  }

  toggleEnlarged(id) {
    if (!this.ui.enlarged.delete(id)) this.ui.enlarged.add(id);
    this.draw();
  }

  async copy(text) {
    await navigator.clipboard.writeText(text);
    this.set({ copied: text });
    setTimeout(() => this.set({ copied: "" }), COPIED_MS);
  }

  // --- what the server offers, and its words

  verb(name) {
    return this.live.choices.verbs[name];
  }

  knows(verb) {
    return this.verb(verb) !== undefined;
  }

  allowed(verb) {
    return this.verb(verb)?.allowed ?? [];
  }

  /** The argument of a step that takes one thing, as this server has it: by name or alone. */
  argument(verb, name, value) {
    return this.verb(verb)?.fields ? { [name]: value } : value;
  }

  reasonWord(code) {
    return this.t.or(`reason.${code}`, this.t.or(`value.${code}`, code));
  }

  valueWord(field, value) {
    return field === "reason" ? this.reasonWord(value) : this.t.or(`value.${value}`, value);
  }

  #runtimeWord(runtime) {
    return this.t.or(`runtime.${runtime}`, runtime);
  }

  deviceWord(device) {
    return this.t.or(`device.${device}`, device.replaceAll("_", " "));
  }

  /** A moment: Unix seconds as the time of day, with the date if it is not today's; a text as it is. */
  time(value) {
    if (typeof value !== "number" || value < 1e9) return String(value);
    const when = new Date(value * 1000);
    const isToday = when.toDateString() === new Date().toDateString();
    return isToday
      ? when.toLocaleTimeString(this.language)
      : when.toLocaleString(this.language, { dateStyle: "medium", timeStyle: "short" });
  }

  // --- what is done

  /** One step at a terminal. What goes wrong is said at `place`. True: it was done. */
  act(id, place, verb, argument) {
    return this.#try(id, place, () => this.live.step(id, verb, argument));
  }

  fault(terminal, fault, place, on = !fault.on) {
    return this.act(terminal.id, place, "fault", { device: fault.device, name: fault.name, on: on ? "yes" : "no" });
  }

  keys(id) {
    if (!this.#keys.has(id)) {
      const send = (verb, key) => {
        const argument = this.argument(verb, "key", key);
        this.#queues.set(
          id,
          (this.#queues.get(id) ?? Promise.resolve()).then(() => this.#try(id, "keys", () => this.live.step(id, verb, argument), true)),
        );
      };
      this.#keys.set(id, new Keys(send, () => this.draw()));
    }
    return this.#keys.get(id);
  }

  async addTerminal(board, runtime, language) {
    await this.#try("", "add", async () => {
      const { terminal } = await this.live.post("/api/terminals", { board, runtime, language });
      this.live.terminals.set(terminal.id, this.live.terminals.get(terminal.id) ?? terminal);
      this.ui.selected = terminal.id;
    });
  }

  closeTerminal(id) {
    return this.#try(id, "power", () => this.live.remove(`/api/terminals/${id}`));
  }

  beginRecording(id) {
    return this.#try(id, "recording", () => this.live.remove(`/api/terminals/${id}/recording`));
  }

  async openMessage(id, number) {
    this.ui.message.set(id, number);
    this.ui.byte = 0;
    await this.#try(id, "message", async () => {
      const message = await this.live.get(`/api/terminals/${id}/messages/${number}`);
      this.ui.opened.set(`${id} ${number}`, message);
      this.ui.byte = Math.max(0, message.hex.length / 2 - 1);
      this.ui.byteSet += 1;
    });
  }

  /** `anew`: the field for it shows it, too. */
  chooseByte(at, anew = true) {
    this.set({ byte: at, byteSet: this.ui.byteSet + (anew ? 1 : 0) });
  }

  async sendAltered(id, number, at, bit) {
    this.ui.altered.delete(`${id} ${number}`);
    await this.#try(id, "alter", async () => {
      const answer = await this.live.post(`/api/terminals/${id}/messages/${number}/altered`, { at, bit });
      this.ui.altered.set(`${id} ${number}`, { at, ...answer });
    });
  }

  /** What is written on a slip: asked for when it is shown, and again when it is longer. Undefined until it is known. */
  slipFacts(terminal, at) {
    if (at < 0) return undefined;
    const name = `${terminal.id} ${at}`;
    const version = at === terminal.slips - 1 ? terminal.lines : "all";
    const known = this.#slips.get(name);
    if (known?.version !== version && !known?.asked) {
      this.#slips.set(name, { ...known, version, asked: true });
      this.live
        .get(`/api/terminals/${terminal.id}/slips/${at}`)
        .then(
          (facts) => this.#slips.set(name, { version, facts, asked: false }),
          (error) => {
            if (!(error instanceof Refused)) throw error;
            this.#slips.delete(name);
          },
        )
        .then(() => this.draw());
    }
    return known?.facts;
  }

  knownCodes(id) {
    return [...this.#slips].filter(([name]) => name.startsWith(`${id} `)).flatMap(([, { facts }]) => facts?.codes ?? []);
  }

  busy(id, place) {
    return (this.#busy.get(`${id} ${place}`) ?? 0) > 0;
  }

  /** Where what went wrong at this place is said; it is always there, so that it is read out when it fills. */
  problem(id, place) {
    const line = this.#problems.get(`${id} ${place}`);
    return h(
      "p",
      {
        class: `problem${line ? "" : " empty"}`,
        key: `problem ${place}`,
        role: "alert",
        "data-testid": `problem-${place}${id ? `-${id}` : ""}`,
      },
      line ?? "",
    );
  }

  async #try(id, place, work, quietly = false) {
    const where = `${id} ${place}`;
    const count = (by) => this.#busy.set(where, (this.#busy.get(where) ?? 0) + by);
    if (!quietly) count(1);
    this.#problems.delete(where);
    this.draw();
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#problems.set(where, error.gone ? this.t("gone.step") : this.t.said(error.message));
      return false;
    } finally {
      if (!quietly) count(-1);
      this.draw();
    }
  }

  // --- drawing

  #changed({ what, id }) {
    const terminal = this.live.terminals.get(id);
    if (what === "sound" || what === "terminal") this.sound.tone(id, terminal.on ? terminal.hz : 0);
    if (what === "all" && this.live.connected) {
      this.t = words(this.language, this.live.choices.texts[this.language]);
      this.#forget();
      this.#readSoon(this.ui.selected);
    }
    if (what === "device") this.#forgetDevice(id);
    if (what === "display") {
      paceDisplays(document.getElementById("stage"), this.live);
      this.#readSoon(id);
    } else this.draw();
  }

  /** What stands on the display, as text, for those who cannot see it; of the terminal that they are at. */
  #readSoon(id) {
    if (!id || id !== this.ui.selected) return;
    clearTimeout(this.#reads);
    this.#reads = setTimeout(
      () =>
        this.live.terminals.has(id) &&
        this.#try(
          id,
          "screen",
          async () => {
            const { lines } = await this.live.get(`/api/terminals/${id}/screen`);
            this.ui.screen.set(id, lines.join("\n"));
          },
          true,
        ),
      STILL_MS,
    );
  }

  /** Of terminals that are gone. */
  #forget() {
    for (const id of [...this.#keys.keys()]) {
      if (this.live.terminals.has(id)) continue;
      this.#keys.delete(id);
      this.#queues.delete(id);
      this.sound.tone(id, 0);
      this.#forgetDevice(id);
    }
  }

  /** What was kept of the device that stood there before. */
  #forgetDevice(id) {
    const isIts = (name) => name.split(" ")[0] === id;
    for (const kept of [this.#slips, this.#problems, this.ui.slip, this.ui.message, this.ui.screen, this.ui.opened, this.ui.altered]) {
      for (const name of [...kept.keys()]) if (isIts(name)) kept.delete(name);
    }
  }

  /** Soon, and once for all that changes until then. */
  draw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  #draw() {
    this.#isDrawing = true;
    this.#drawAll();
    this.#isDrawing = false;
  }

  #drawAll() {
    const { live, ui } = this;
    const at = (id) => document.getElementById(id);
    show(at("top"), this.#top());
    show(
      at("banner"),
      !live.connected &&
        live.everConnected &&
        h("p", { class: "banner", "data-testid": "banner" }, h("span", { class: "spinner", "aria-hidden": "true" }), this.t("gone")),
    );
    if (!live.choices) {
      show(at("stage"), h("p", { class: "nothing waiting" }, this.t("waiting")));
      return;
    }
    if (!live.terminals.has(ui.selected)) {
      ui.selected = [...live.terminals.keys()][0] ?? "";
      this.#readSoon(ui.selected);
    }
    show(at("stage"), live.terminals.size ? [...live.terminals.values()].map((terminal) => this.#bench(terminal)) : this.#shelf());
    if (ui.selected) at("panel").setAttribute("aria-label", this.t("panel.tabs", { id: ui.selected }));
    show(at("panel"), this.#panel(live.terminals.get(ui.selected)));
    paceDisplays(at("stage"), live);
    pacePaper(at("stage"));
  }

  #top() {
    const { t, live } = this;
    return [
      h(
        "div",
        { class: "title", key: "title" },
        h("img", { src: "/static/icon.svg", alt: "", width: "28", height: "28" }),
        h("h1", {}, "Reinstate"),
        h("span", { class: "muted" }, t("title.what")),
      ),
      live.choices && this.#adder(),
      h(
        "div",
        { class: "row preferences", key: "preferences" },
        h(
          "span",
          { class: `lamp-line${live.connected ? "" : " off"}`, role: "status", "data-testid": "connection" },
          h("span", { class: `lamp ${live.connected ? "good" : "bad"}`, "aria-hidden": "true" }),
          live.connected ? t("connected") : t("not_connected"),
        ),
        h(
          "div",
          { class: "segments", role: "group", "aria-label": t("language") },
          LANGUAGES.map(([id, name]) =>
            h(
              "button",
              {
                type: "button",
                key: id,
                lang: id,
                "aria-pressed": String(this.language === id),
                "data-testid": `language-${id}`,
                onclick: () => this.useLanguage(id),
              },
              name,
            ),
          ),
        ),
        h(
          "select",
          { "aria-label": t("theme"), "data-testid": "theme", onchange: (event) => this.useTheme(event.target.value) },
          THEMES.map((theme) => h("option", { value: theme, selected: theme === this.theme }, t(`theme.${theme}`))),
        ),
        h(
          "button",
          {
            type: "button",
            class: "quiet square",
            "aria-pressed": String(this.sound.on),
            "aria-label": t("sound"),
            title: t("sound"),
            "data-testid": "sound",
            onclick: () => {
              this.sound.switch(!this.sound.on);
              for (const terminal of live.terminals.values()) this.sound.tone(terminal.id, terminal.hz);
              this.draw();
            },
          },
          icon(this.sound.on ? "sound" : "silent"),
        ),
      ),
    ];
  }

  #adder() {
    const { t, ui } = this;
    const { boards, languages, defaults, missing_runtimes: missing } = this.live.choices;
    const board = boards.find(({ id }) => id === ui.board) ?? boards.find(({ id }) => id === defaults.board) ?? boards[0];
    const lacks = missing.find(({ boards: concerned }) => concerned.includes(board.id));
    const runtimeFirst = board.id === defaults.board ? defaults.runtime : board.default_runtime;
    const add = (event) => {
      event.preventDefault();
      const { board: chosen, runtime, language } = event.target.elements;
      this.addTerminal(chosen.value, runtime.value, language.value);
    };
    return h(
      "form",
      { class: "adder", key: "adder", "aria-label": t("add.title"), onsubmit: add },
      h(
        "div",
        { class: "row" },
        h(
          "select",
          {
            name: "board",
            "aria-label": t("add.board"),
            "data-testid": "add-board",
            onchange: (event) => this.set({ board: event.target.value }),
          },
          boards.map(({ id, name }) => h("option", { value: id, selected: id === board.id }, name[this.language] ?? name.en)),
        ),
        h(
          "select",
          { name: "runtime", key: board.id, "aria-label": t("add.runtime"), "data-testid": "add-runtime" },
          board.runtimes.map((runtime) => h("option", { value: runtime, selected: runtime === runtimeFirst }, this.#runtimeWord(runtime))),
        ),
        h(
          "select",
          { name: "language", "aria-label": t("add.language"), "data-testid": "add-language" },
          languages.map((language) =>
            h(
              "option",
              { value: language, selected: language === defaults.language },
              LANGUAGES.find(([id]) => id === language)?.[1] ?? language,
            ),
          ),
        ),
        h(
          "button",
          { type: "submit", class: "primary", "data-testid": "add-terminal", disabled: this.busy("", "add") || !board.runtimes.length },
          icon("plus"),
          t("add"),
        ),
      ),
      lacks && h("p", { class: "note", key: "lacks" }, t.said(lacks.why)),
      this.problem("", "add"),
    );
  }

  /** Where no terminal stands yet. */
  #shelf() {
    const { boards, missing_runtimes: missing } = this.live.choices;
    return h(
      "section",
      { class: "shelf", key: "shelf" },
      h("h2", {}, this.t("shelf.title")),
      h("p", { class: "muted" }, this.t("shelf.what")),
      h(
        "div",
        { class: "row" },
        boards.map((board) =>
          h(
            "button",
            {
              type: "button",
              key: board.id,
              class: "on-shelf",
              disabled: !board.runtimes.length,
              "data-testid": `shelf-${board.id}`,
              onclick: () => this.addTerminal(board.id, board.default_runtime, this.language),
            },
            h("b", {}, board.name[this.language] ?? board.name.en),
            h(
              "span",
              { class: "muted" },
              `${board.display.width_px} × ${board.display.height_px} · ${this.#runtimeWord(board.default_runtime)}`,
            ),
          ),
        ),
      ),
      missing.map(({ why }) => h("p", { class: "note", key: why }, this.t.said(why))),
    );
  }

  #bench(terminal) {
    const { t, ui } = this;
    const board = this.live.choices.boards.find(({ id }) => id === terminal.board);
    const mode = terminal.account?.mode;
    const wrong = terminal.faults.filter((fault) => fault.on && !fault.habit).length;
    return h(
      "article",
      {
        class: `bench${terminal.id === ui.selected ? " selected" : ""}`,
        key: terminal.id,
        "data-terminal": terminal.id,
        "data-testid": `terminal-${terminal.id}`,
        "aria-label": t("terminal.body", { id: terminal.id }),
      },
      h(
        "header",
        { class: "row" },
        h("h2", {}, terminal.id),
        h(
          "span",
          { class: "muted grow one-line" },
          `${board.name[this.language] ?? board.name.en} · ${this.#runtimeWord(terminal.runtime)}`,
        ),
        terminal.device === "second" &&
          h("span", { class: "pill info", key: "second", "data-testid": `second-${terminal.id}` }, t("terminal.second")),
        wrong > 0 &&
          h(
            "button",
            {
              type: "button",
              key: "wrong",
              class: "pill bad",
              "data-testid": `wrong-${terminal.id}`,
              onclick: () => this.set({ selected: terminal.id, tab: "faults", faultsOn: true }),
            },
            t("faults.on", { count: wrong }),
          ),
        mode &&
          h("span", { class: `pill ${modeTone(mode)}`, key: "mode", "data-testid": `mode-${terminal.id}` }, t.or(`mode.${mode}`, mode)),
        !isSmall(board) &&
          h(
            "button",
            {
              type: "button",
              key: "enlarge",
              class: "quiet square",
              "aria-pressed": String(ui.enlarged.has(terminal.id)),
              "aria-label": t("terminal.enlarge"),
              title: t("terminal.enlarge"),
              "data-testid": `enlarge-${terminal.id}`,
              onclick: () => this.toggleEnlarged(terminal.id),
            },
            icon("zoom"),
          ),
        h(
          "button",
          {
            type: "button",
            key: "close",
            class: "quiet square",
            "aria-label": t("terminal.close", { id: terminal.id }),
            title: t("terminal.close", { id: terminal.id }),
            "data-testid": `close-${terminal.id}`,
            onclick: () => this.closeTerminal(terminal.id),
          },
          icon("close"),
        ),
      ),
      h("div", { class: "counter" }, h("div", { class: "stand" }, terminalBody(this, terminal, board)), desk(this, terminal, board)),
    );
  }

  #panel(terminal) {
    if (!terminal) return null;
    const { t, ui, live } = this;
    const list = Object.keys(PANELS).map((id) => [id, t(`tab.${id}`), { faults: terminal.faults.filter((fault) => fault.on).length }[id]]);
    return [
      h("h2", { class: "visually-hidden", key: "heading" }, t("panel.tabs", { id: terminal.id })),
      live.terminals.size > 1 &&
        h(
          "div",
          { class: "row which", key: "which", role: "group", "aria-label": t("panel.which") },
          [...live.terminals.keys()].map((id) =>
            h(
              "button",
              {
                type: "button",
                class: "toggle small",
                key: id,
                "aria-pressed": String(id === terminal.id),
                "data-testid": `choose-${id}`,
                onclick: () => this.select(id),
              },
              id,
            ),
          ),
        ),
      h(
        "div",
        { class: "tabs-way", key: "tabs" },
        tabs("work", t("panel.tabs", { id: terminal.id }), list, ui.tab, (tab) => this.set({ tab })),
      ),
      h(
        "div",
        {
          role: "tabpanel",
          id: "work-panel",
          key: `${ui.tab} ${terminal.id}`,
          class: "panel-content",
          tabindex: "0",
          "aria-labelledby": `work-tab-${ui.tab}`,
        },
        PANELS[ui.tab](this, terminal),
      ),
    ];
  }
}

new App().start();
