import type { View } from './view.js';

/** Farms remembered that this process has left. */
const MAX_FORSAKEN = 100;

/** The places that a process had in farms that it left: their memory is gone, so it comes back without them. */
export class Forsaken {
  readonly #process: number;
  /** By incarnation; the farm left last is the last. */
  readonly #places = new Map<number, { readonly slot: number; readonly generation: number }>();

  constructor(process: number) {
    this.#process = process;
  }

  has(incarnation: number): boolean {
    return this.#places.has(incarnation);
  }

  /** It leaves that farm, and with it the memory of the slot that it has there; 0 for none. */
  add(view: View, slot: number): void {
    const before = this.#places.get(view.incarnation);
    const place = { slot, generation: view.holders[slot - 1]?.generation ?? 0 };
    this.#places.delete(view.incarnation);
    this.#places.set(view.incarnation, place.slot === 0 && before !== undefined ? before : place);
    const [oldest] = this.#places.keys();
    if (oldest !== undefined && this.#places.size > MAX_FORSAKEN) this.#places.delete(oldest);
  }

  /** Its slot in that view; 0 if it has none but the one whose memory is gone: only a later claim brings that back. */
  placeIn(view: View): number {
    const forsaken = this.#places.get(view.incarnation);
    const index = view.holders.findIndex((holder, at) => {
      const isGone = forsaken?.slot === at + 1 && (holder?.generation ?? 0) <= forsaken.generation;
      return holder?.process === this.#process && !isGone;
    });
    return index + 1;
  }
}
