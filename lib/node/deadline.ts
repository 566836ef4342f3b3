import type { TimeLeft } from './registers.js';

export interface DeadlineClock {
  monotonicMs(): number;
  /** See {@link GuardedClock.leaps}. */
  leaps(): number;
}

/**
 * Of a class, though a getter in a literal would be shorter: such an object gets a shape of its own in V8, which, being
 * old, keeps alive until the next full collection whatever the getter reaches. With one for each call that was half of all
 * that survived the collections of a server of sessions.
 */
export class Deadline implements TimeLeft {
  readonly #endMs: number;
  readonly #clock: DeadlineClock;
  readonly #leaps: number;

  constructor(timeoutMs: number, clock: DeadlineClock) {
    this.#endMs = clock.monotonicMs() + timeoutMs;
    this.#clock = clock;
    this.#leaps = clock.leaps();
  }

  /** None is left once the wall clock was set: whatever ends the caller has reckoned by it may be far off. */
  get timeoutMs(): number {
    return this.#clock.leaps() === this.#leaps ? Math.max(0, this.#endMs - this.#clock.monotonicMs()) : 0;
  }
}
