// @ts-check
/** What part this process has had in the farm, and since when: from its start until it votes, and whatever comes then. */

/** A recovery of few records takes milliseconds. */
const LOOK_MS = 10;
/** More than a demo sees: a slot changes hands a few times a minute at most. */
const KEPT = 1000;

/**
 * `records` is what the process held when its part began.
 * @typedef {{ atMs: number, state: string, slot: number, generation: number, records: number }} Part
 */

export class History {
  #store;
  /** @type {Part[]} */ #parts;

  /** @param {import('connect-paxos').PaxosStore} store */
  constructor(store) {
    this.#store = store;
    this.#parts = [{ atMs: Math.round(performance.timeOrigin), state: 'starting', slot: 0, generation: 0, records: 0 }];
    setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Oldest first; the first is the start of the process. @returns {readonly Part[]} */
  get parts() {
    this.#look();
    return this.#parts;
  }

  #look() {
    const { state, slot, voters, records } = this.#store.status();
    const generation = voters.find(({ isSelf }) => isSelf)?.generation ?? 0;
    const last = this.#parts.at(-1);
    if (last?.state === state && last.slot === slot && last.generation === generation) return;
    if (this.#parts.length === KEPT) return;
    this.#parts.push({ atMs: Date.now(), state, slot, generation, records });
  }
}
