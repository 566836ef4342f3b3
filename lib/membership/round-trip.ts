/**
 * How long an answer takes: smoothed mean and deviation (Jacobson, *Congestion Avoidance and Control*, 1988; RFC 6298).
 * Only questions that were sent once give a sample (Karn): the answer to a repeated one may be to either.
 */
export class RoundTrip {
  #meanMs = 0;
  #deviationMs = 0;
  #samples = 0;

  sample(ms: number): void {
    if (this.#samples === 0) {
      this.#meanMs = ms;
      this.#deviationMs = ms / 2;
    } else {
      this.#deviationMs += (Math.abs(ms - this.#meanMs) - this.#deviationMs) / 4;
      this.#meanMs += (ms - this.#meanMs) / 8;
    }
    this.#samples += 1;
  }

  /** Smoothed mean in ms; `null` before the first sample. */
  get meanMs(): number | null {
    return this.#samples === 0 ? null : this.#meanMs;
  }

  /** Ms after which an answer is late; `null` before the first sample. */
  get timeoutMs(): number | null {
    return this.#samples === 0 ? null : this.#meanMs + 4 * this.#deviationMs;
  }
}
