/**
 * When to look at which key next: a wheel of one-second slots. Each key stands in it once. A key that is not due after
 * all when its slot comes up is filed again by whoever looks, so moving an expiry costs nothing. There is no timer for
 * each key, and no scan of all of them.
 */
export class Agenda {
  readonly #slots = new Map<number, string[]>();
  /** Keys of the slots that have come up and were not handed out yet. */
  #due: string[] = [];
  #nextSlot: number | null = null;

  /** @param atMs wall-clock ms from which on the key is worth looking at */
  add(key: string, atMs: number): void {
    const slot = Math.max(Math.ceil(atMs / SLOT_MS), this.#nextSlot ?? 0);
    const keys = this.#slots.get(slot);
    if (keys === undefined) this.#slots.set(slot, [key]);
    else keys.push(key);
  }

  /** Takes at most `limit` keys whose time has come. */
  take(nowMs: number, limit: number): string[] {
    this.#advance(Math.floor(nowMs / SLOT_MS));
    return this.#due.splice(-limit, limit);
  }

  #advance(current: number): void {
    if (this.#nextSlot !== null && current - this.#nextSlot <= this.#slots.size) {
      for (let slot = this.#nextSlot; slot <= current; slot += 1) this.#raise(slot);
    } else {
      // The first time, or after a leap of the clock: cheaper by the slots that exist than by the seconds between.
      for (const slot of [...this.#slots.keys()]) if (slot <= current) this.#raise(slot);
    }
    // After a leap back it follows, or nothing filed from then on would come up before the clock is where it was.
    this.#nextSlot = current + 1;
  }

  #raise(slot: number): void {
    const keys = this.#slots.get(slot);
    if (keys === undefined) return;
    this.#slots.delete(slot);
    this.#due = this.#due.length === 0 ? keys : this.#due.concat(keys);
  }
}

const SLOT_MS = 1000;
