/** Which of the processes that are there at a first start takes which slot. */

import { majorityOf } from '../paxos/index.js';

/** A process that would take a slot. */
export interface Candidate {
  readonly process: number;
  /** 1..N for that slot, 0 for any. */
  readonly wish: number;
  readonly name: string;
  readonly host: string;
}

/**
 * Gives out the slots: each fixed slot to the lowest process number that wants it, the others to the lowest of the
 * rest, those first whose hosts have no voter yet. Everybody who sees the same candidates comes to the same result.
 *
 * @returns N entries, slot 1 first; `null` where there is nobody for the slot
 */
export function assignSlots<C extends Candidate>(candidates: readonly C[], size: number): (C | null)[] {
  const slots = Array.from<unknown, C | null>({ length: size }, () => null);
  const ordered = [...candidates].sort((a, b) => a.process - b.process);
  for (const candidate of ordered) {
    const index = candidate.wish - 1;
    if (candidate.wish > 0 && index < size && slots[index] === null) slots[index] = candidate;
  }
  const anyslot = ordered.filter((candidate) => candidate.wish === 0);
  const hosts = new Set(slots.map((holder) => holder?.host));
  const next = (): C | null => {
    const away = anyslot.findIndex(({ host }) => !hosts.has(host));
    const [candidate] = anyslot.splice(Math.max(away, 0), 1);
    hosts.add(candidate?.host);
    return candidate ?? null;
  };
  return slots.map((holder) => holder ?? next());
}

/** A candidate, as the process knows it that would form the farm. */
export interface Applicant extends Candidate {
  /** By how many ms its clock seems to be ahead of that process's; 0 for that process itself. */
  readonly aheadMs: number;
}

/**
 * Gives out the slots among those whose clocks agree: no two of them are further apart than `reachMs`, and of those
 * that get slots a majority of N is within S/2 of one another. Without such a majority nobody's clock is trusted in the
 * farm, so it would do nothing, and those left out could not take a slot of it either.
 *
 * Of several such groups it is the largest, and of equally large ones the one whose clocks are closest together. If
 * there is none because of more candidates than slots, those within S/2 of one another do by themselves.
 *
 * @param own the process that would form the farm: it is one of the group, though perhaps without a slot
 * @param reachMs at most S
 * @returns N entries, slot 1 first; all `null` if no clocks agree
 */
export function assignAgreeing(
  applicants: readonly Applicant[],
  own: number,
  size: number,
  maxSkewMs: number,
  reachMs: number,
): (Applicant | null)[] {
  for (const widthMs of [reachMs, maxSkewMs / 2]) {
    const fitting = groupsWithin(applicants, widthMs).flatMap((group) => {
      if (!group.some(({ process }) => process === own)) return [];
      const slots = assignSlots(group, size);
      return largestWithin(presentOf(slots), maxSkewMs / 2) >= majorityOf(size) ? [{ group, slots }] : [];
    });
    fitting.sort((a, b) => b.group.length - a.group.length || spanOf(a.group) - spanOf(b.group));
    if (fitting[0] !== undefined) return fitting[0].slots;
  }
  return assignSlots([], size);
}

/** The largest groups of which no two clocks are further apart than that. */
function groupsWithin(applicants: readonly Applicant[], widthMs: number): Applicant[][] {
  const ordered = [...applicants].sort((a, b) => a.aheadMs - b.aheadMs);
  const groups: Applicant[][] = [];
  let end = 0;
  for (const [start, { aheadMs }] of ordered.entries()) {
    const before = end;
    while (end < ordered.length && (ordered[end]?.aheadMs ?? 0) - aheadMs <= widthMs) end += 1;
    // What ends where the one before ended is a part of that.
    if (end > before) groups.push(ordered.slice(start, end));
  }
  return groups;
}

function largestWithin(applicants: readonly Applicant[], widthMs: number): number {
  return Math.max(0, ...groupsWithin(applicants, widthMs).map((group) => group.length));
}

function spanOf(group: readonly Applicant[]): number {
  const clocks = group.map(({ aheadMs }) => aheadMs);
  return Math.max(...clocks) - Math.min(...clocks);
}

function presentOf(slots: readonly (Applicant | null)[]): Applicant[] {
  return slots.flatMap((holder) => holder ?? []);
}
