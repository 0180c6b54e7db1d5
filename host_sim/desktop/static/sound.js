// The sounders of the terminals, heard: one tone at a time for each, once a person has switched sound on.

const LOUDNESS = 0.04; // a square wave is loud

export class Sound {
  #context = null;
  #tones = new Map(); // terminal -> oscillator

  get on() {
    return this.#context !== null;
  }

  /** Only after a click: browsers keep a page silent until then. */
  switch(on) {
    for (const id of [...this.#tones.keys()]) this.tone(id, 0);
    if (!on) this.#context?.close();
    this.#context = on ? new AudioContext() : null;
  }

  tone(id, hz) {
    this.#tones.get(id)?.stop();
    this.#tones.delete(id);
    if (!this.#context || !hz) return;
    const oscillator = new OscillatorNode(this.#context, { type: "square", frequency: hz });
    oscillator.connect(new GainNode(this.#context, { gain: LOUDNESS })).connect(this.#context.destination);
    oscillator.start();
    this.#tones.set(id, oscillator);
  }
}
