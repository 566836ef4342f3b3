/** Counters that a {@link ReplayWindow} looks back on. */
export const WINDOW_SIZE = 4096;

const WORDS = WINDOW_SIZE / 32;

/** Which counters of one sealer have been seen: each opens once, in any order, and none that is too far behind. */
export class ReplayWindow {
  /** One bit a counter, at the counter modulo the window's size. */
  readonly #seen = new Uint32Array(WORDS);
  #highest = 0;

  /** Whether `counter` may still be opened. */
  isFresh(counter: number): boolean {
    if (counter > this.#highest) return true;
    if (counter <= this.#highest - WINDOW_SIZE) return false;
    const bit = counter % WINDOW_SIZE;
    return ((this.#seen[bit >>> 5] as number) & (1 << (bit & 31))) === 0; // bit >>> 5 is below WORDS
  }

  /** Notes a counter that {@link isFresh}; only after its tag was found good, or a forger could close the window. */
  mark(counter: number): void {
    this.#advance(counter);
    const bit = counter % WINDOW_SIZE;
    this.#seen[bit >>> 5] = (this.#seen[bit >>> 5] as number) | (1 << (bit & 31)); // bit >>> 5 is below WORDS
  }

  /** Clears the bits that the counters up to this one stand on now. */
  #advance(counter: number): void {
    if (counter - this.#highest >= WINDOW_SIZE) this.#seen.fill(0);
    else for (let passed = this.#highest + 1; passed <= counter; passed++) this.#clear(passed % WINDOW_SIZE);
    this.#highest = Math.max(this.#highest, counter);
  }

  #clear(bit: number): void {
    this.#seen[bit >>> 5] = (this.#seen[bit >>> 5] as number) & ~(1 << (bit & 31)); // bit >>> 5 is below WORDS
  }
}
