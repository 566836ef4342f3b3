import { FOREVER } from '../paxos/index.js';

/** How exactly ends are told, in ms. */
const SLOT_MS = 250;

/** When keys end by their time, each once. */
export class Expiries {
  readonly #slots = new Map<number, Set<string>>();
  readonly #slotOf = new Map<string, number>();
  /** The latest slot that was looked at. */
  #past: number;

  constructor(nowMs: number) {
    this.#past = Math.floor(nowMs / SLOT_MS);
  }

  set(id: string, untilMs: number): void {
    this.delete(id);
    if (untilMs >= FOREVER) return;
    // Not in one that is past: a clock may be set back.
    const slot = Math.max(Math.floor(untilMs / SLOT_MS), this.#past) + 1;
    this.#slotOf.set(id, slot);
    const ids = this.#slots.get(slot);
    if (ids === undefined) this.#slots.set(slot, new Set([id]));
    else ids.add(id);
  }

  delete(id: string): void {
    const slot = this.#slotOf.get(id);
    if (slot === undefined) return;
    this.#slotOf.delete(id);
    const ids = this.#slots.get(slot);
    ids?.delete(id);
    if (ids?.size === 0) this.#slots.delete(slot);
  }

  /** Those that have ended since it was asked last. */
  take(nowMs: number): string[] {
    const now = Math.floor(nowMs / SLOT_MS);
    const ids = this.#between(now).flatMap((slot) => [...(this.#slots.get(slot) ?? [])]);
    for (const id of ids) this.delete(id);
    this.#past = Math.max(this.#past, now);
    return ids;
  }

  #between(now: number): number[] {
    const count = Math.max(0, now - this.#past);
    // After a leap of the clock.
    if (count > this.#slots.size) return [...this.#slots.keys()].filter((slot) => slot <= now);
    return Array.from({ length: count }, (_, i) => this.#past + 1 + i);
  }
}
