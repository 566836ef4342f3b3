import type { RandomBytes } from './seal.js';

/** Ms over which derivations are counted. */
export const TICK_MS = 100;

/** Derivations spent on strangers in one tick: at 10 µs each, little over 1 % of a core. */
export const DERIVATIONS_A_TICK = 128;

/**
 * Decides which strangers (salts that no key is cached for) are worth a key derivation, so that a flood of forged salts
 * costs a bounded amount of work.
 *
 * First come, first served would let some 1300 forgeries a second, each at the start of a tick, lock every newcomer out. So
 * strangers are drawn by lot: each is admitted with a probability such that the number seen in the last tick (or this
 * one, if that is more already) would use the budget up. A newcomer repeats its hello and asks questions besides; each
 * of its datagrams has the same chance as a forged one, and one admitted is enough, since its key is cached from
 * then on. No state is kept of a stranger, so there is none to exhaust.
 */
export class Admission {
  #tick = Number.NEGATIVE_INFINITY;
  #spent = 0;
  #strangers = 0;
  #strangersBefore = 0;
  /** State of a small generator (xorshift32): it decides on datagrams of which there may be 100 000 a second. */
  #lot: number;

  constructor(randomBytes: RandomBytes) {
    const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
    this.#lot = a | (b << 8) | (c << 16) | (d << 24) || 1; // 0 would stay 0
  }

  /**
   * Spends `derivations` on a stranger, if it is admitted. Room is left for one more, should it prove to be genuine:
   * see {@link spend}.
   */
  admit(nowMs: number, derivations: number): boolean {
    this.#turn(Math.floor(nowMs / TICK_MS));
    this.#strangers++;
    if (this.#spent + derivations + 1 > DERIVATIONS_A_TICK) return false;
    const expected = Math.max(this.#strangers, this.#strangersBefore) * derivations;
    if (expected > DERIVATIONS_A_TICK && this.#draw() * expected >= DERIVATIONS_A_TICK) return false;
    this.#spent += derivations;
    return true;
  }

  /** Spends one derivation more on the stranger just admitted. */
  spend(): void {
    this.#spent++;
  }

  #turn(tick: number): void {
    if (tick === this.#tick) return;
    this.#strangersBefore = tick === this.#tick + 1 ? this.#strangers : 0;
    this.#strangers = 0;
    this.#spent = 0;
    this.#tick = tick;
  }

  /** In [0, 1). */
  #draw(): number {
    this.#lot ^= this.#lot << 13;
    this.#lot ^= this.#lot >>> 17;
    this.#lot ^= this.#lot << 5;
    return (this.#lot >>> 0) / 2 ** 32;
  }
}
