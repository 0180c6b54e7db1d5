// What the server tells and is told: one stream of events into one store, steps out as POST.

const RETRY_MS = 1500;
const MESSAGES = 500;
const LOG_LINES = 1000;

/** The server said no, in one clear line; or it does not answer: then `gone`. */
export class Refused extends Error {
  constructor(line, gone = false) {
    super(line);
    this.gone = gone;
  }
}

/** Says with `change` events what of it has changed: all, device, terminal, display, paper, sound, log, message, connection. */
export class Live extends EventTarget {
  connected = false;
  everConnected = false;
  choices = null;
  acquirer = { connected: false, broker: "" };
  terminals = new Map();
  logs = new Map();
  messages = new Map();
  #devices = new Map();
  #lines = 0;
  #startedAt = 0; // Unix milliseconds

  start() {
    const source = new EventSource("/api/live");
    const on = (name, take) => source.addEventListener(name, (event) => take(JSON.parse(event.data)));
    source.onerror = () => {
      this.#told({ connected: false });
      if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
      setTimeout(() => this.start(), RETRY_MS);
    };
    on("snapshot", (state) => this.#begin(state));
    on("terminal", (terminal) => {
      const before = this.terminals.get(terminal.id);
      if (before && (terminal.frame < before.frame || terminal.steps < before.steps)) this.#isAnother(terminal.id);
      this.terminals.set(terminal.id, terminal);
      this.#say("terminal", terminal.id);
    });
    on("gone", ({ id }) => {
      for (const kept of [this.terminals, this.logs, this.messages]) kept.delete(id);
      this.#say("all", id);
    });
    for (const name of ["display", "paper", "sound"]) {
      on(name, ({ id, ...facts }) => {
        const terminal = this.terminals.get(id);
        if (!terminal) return;
        Object.assign(terminal, facts);
        this.#say(name, id);
      });
    }
    on("log", ({ id, ...entry }) => {
      const lines = this.logs.get(id) ?? [];
      this.logs.set(id, [...lines, this.#line(entry)].slice(-LOG_LINES));
      this.#say("log", id);
    });
    on("message", ({ id, ...message }) => {
      const list = this.messages.get(id) ?? [];
      const at = list.findIndex(({ number }) => number === message.number); // there already: its verdict is known now
      if (this.messages.has(id)) this.messages.set(id, at < 0 ? [...list, message].slice(-MESSAGES) : list.with(at, message));
      this.#say("message", id);
    });
    on("acquirer", (acquirer) => {
      this.acquirer = acquirer;
      this.#say("all");
    });
  }

  /** Which device stands there: in the address of each picture, for a browser may keep those of the one before. */
  device(id) {
    return this.#devices.get(id) ?? 0;
  }

  /** The messages of a terminal; asked for once, and then kept up by events. */
  messagesOf(id) {
    if (!this.messages.has(id)) {
      this.messages.set(id, []);
      this.get(`/api/terminals/${id}/messages`).then(
        (list) => {
          const later = this.messages.get(id);
          this.messages.set(id, [...list.filter(({ number }) => later.every((message) => message.number !== number)), ...later]);
          this.#say("message", id);
        },
        (error) => {
          if (!(error instanceof Refused)) throw error;
          this.messages.delete(id); // asked for again when it is shown again
        },
      );
    }
    return this.messages.get(id);
  }

  step(id, verb, argument) {
    return this.#ask("POST", `/api/terminals/${id}/steps`, argument === undefined || argument === "" ? { verb } : { verb, argument });
  }

  get(path) {
    return this.#ask("GET", path);
  }

  post(path, body) {
    return this.#ask("POST", path, body);
  }

  remove(path) {
    return this.#ask("DELETE", path);
  }

  #begin({ terminals, acquirer, logs, started_at: startedAt }) {
    this.acquirer = acquirer;
    this.#startedAt = startedAt;
    for (const { id } of terminals) this.#isAnother(id);
    this.logs = new Map(Object.entries(logs).map(([id, lines]) => [id, lines.map((line) => this.#line(line))]));
    this.terminals = new Map(terminals.map((terminal) => [terminal.id, terminal]));
    this.#ready();
  }

  /** Another device has taken the terminal's place, or may have while nobody looked: what was kept is of the one before. */
  #isAnother(id) {
    this.messages.delete(id);
    this.#devices.set(id, this.device(id) + 1);
    this.#say("device", id);
  }

  async #ready() {
    try {
      this.choices = await this.get("/api/choices"); // each time: it may be a newer server
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setTimeout(() => this.#ready(), RETRY_MS);
      return;
    }
    this.everConnected = true;
    this.#told({ connected: true });
  }

  #line(entry) {
    return { ...entry, number: this.#lines++, when: new Date(this.#startedAt + entry.at) };
  }

  #told(facts) {
    Object.assign(this, facts);
    this.#say("all");
  }

  #say(what, id = "") {
    this.dispatchEvent(new CustomEvent("change", { detail: { what, id } }));
  }

  async #ask(method, path, body) {
    let answer;
    try {
      answer = await fetch(
        path,
        body === undefined ? { method } : { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) },
      );
    } catch (error) {
      throw new Refused(String(error.message), true);
    }
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
    const content = isJson ? await answer.json() : await answer.text();
    if (!answer.ok) throw new Refused((isJson && content.error) || `${answer.status} ${answer.statusText}`);
    return content;
  }
}
