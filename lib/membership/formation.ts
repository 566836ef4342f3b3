/** Which of the processes that are there at a first start takes which slot. */

/** A process that would take a slot. */
export interface Candidate {
  readonly process: number;
  /** 1..N for that slot, 0 for any. */
  readonly wish: number;
  readonly name: string;
}

/**
 * Gives out the slots: each fixed slot to the lowest process number that wants it, the others to the lowest of the
 * rest. Everybody who sees the same candidates comes to the same result.
 *
 * @returns N entries, slot 1 first; `null` where there is nobody for the slot
 */
export function assignSlots(candidates: readonly Candidate[], size: number): (Candidate | null)[] {
  const slots = Array.from<unknown, Candidate | null>({ length: size }, () => null);
  const ordered = [...candidates].sort((a, b) => a.process - b.process);
  for (const candidate of ordered) {
    const index = candidate.wish - 1;
    if (candidate.wish > 0 && index < size && slots[index] === null) slots[index] = candidate;
  }
  const anyslot = ordered.filter((candidate) => candidate.wish === 0);
  return slots.map((holder) => holder ?? anyslot.shift() ?? null);
}
