// @ts-check
/** How long the store's operations take, as the app that calls them feels it. */

const CAPACITY = 4096;
const MAX_ANSWERED = 1000;

/**
 * A touch mostly needs no network (see the option `touchAfter`), so it would only flatter the figures.
 * @typedef {'read' | 'write'} Kind
 * @type {Readonly<Record<'get' | 'set' | 'destroy', Kind>>}
 */
const KINDS = { get: 'read', set: 'write', destroy: 'write' };

export class Latency {
  /** @type {{ atMs: number, ms: number, kind: Kind }[]} the newest `CAPACITY`, oldest first */
  #samples = [];

  /**
   * Measures every call from now on: of express-session and of the background traffic alike.
   * @param {import('connect-paxos').PaxosStore} store
   */
  constructor(store) {
    for (const [name, kind] of Object.entries(KINDS)) this.#wrap(/** @type {any} */ (store), name, kind);
  }

  /**
   * @param {number} sinceMs ms since 1970
   * @returns {[atMs: number, ms: number, isWrite: 0 | 1][]} the newest at most, rounded to µs
   */
  since(sinceMs) {
    return this.#samples
      .filter(({ atMs }) => atMs > sinceMs)
      .slice(-MAX_ANSWERED)
      .map(({ atMs, ms, kind }) => [atMs, Math.round(ms * 1000) / 1000, kind === 'write' ? 1 : 0]);
  }

  /** @param {Record<string, (...parameters: any[]) => any>} store @param {string} name @param {Kind} kind */
  #wrap(store, name, kind) {
    const original = /** @type {(...parameters: any[]) => any} */ (store[name]).bind(store);
    store[name] = (...parameters) => {
      const start = performance.now();
      const done = () => this.#add(performance.now() - start, kind);
      const callback = parameters.at(-1);
      if (typeof callback === 'function') {
        return original(...parameters.slice(0, -1), (/** @type {unknown[]} */ ...results) => {
          if (!results[0]) done();
          callback(...results);
        });
      }
      const promise = original(...parameters);
      promise.then(done, () => undefined);
      return promise;
    };
  }

  /** @param {number} ms @param {Kind} kind */
  #add(ms, kind) {
    this.#samples.push({ atMs: Date.now(), ms, kind });
    if (this.#samples.length >= 2 * CAPACITY) this.#samples = this.#samples.slice(-CAPACITY);
  }
}
