import type { TimeLeft } from './registers.js';

/**
 * Of a class, though a getter in a literal would be shorter: such an object gets a shape of its own in V8, which, being
 * old, keeps alive until the next full collection whatever the getter reaches. With one for each call that was a megabyte
 * for every 13 that a server of sessions allocated, and the longer part of its pauses.
 */
export class Deadline implements TimeLeft {
  readonly #endMs: number;
  readonly #monotonicMs: () => number;

  constructor(endMs: number, monotonicMs: () => number) {
    this.#endMs = endMs;
    this.#monotonicMs = monotonicMs;
  }

  get timeoutMs(): number {
    return Math.max(0, this.#endMs - this.#monotonicMs());
  }
}
