import { type Ballot, compareBallots, higherBallot, NO_BALLOT, roundTimeMs } from './ballot.js';
import { type LineageEntry, MAX_LINEAGE, type OperationId } from './record.js';

/**
 * The latest operations that went into a value, and how far back the list is complete. By it a proposer whose attempt
 * got lost learns whether somebody else finished it (exactly once).
 */
export interface Lineage {
  readonly lineage: readonly LineageEntry[];
  readonly lineageFrom: Ballot;
}

/** The fate of an operation, as a lineage tells it. */
export type Fate =
  /** It went in, by the attempt at this ballot. */
  | { readonly kind: 'applied'; readonly ballot: Ballot }
  /** It did not go in before this value. */
  | { readonly kind: 'absent' }
  /** The lineage does not reach back to the operation's first attempt. */
  | { readonly kind: 'unknown' };

/**
 * Age in ms, by the times of ballots, at which operations drop out of the lineage. Whoever looks for an operation does
 * so within the time-out of its call, which may have waited as long behind another; and the ballots of two processes
 * differ by what their clocks do.
 *
 * @param timeoutMs longest time-out of an operation, of all proposers
 * @param maxClockSkewMs S
 */
export function lineageAgeMs(timeoutMs: number, maxClockSkewMs: number): number {
  return 2 * timeoutMs + maxClockSkewMs;
}

/** @param firstBallot ballot of the first attempt of the operation that sent an accept */
export function fateOf(lineage: Lineage, operation: OperationId, firstBallot: Ballot): Fate {
  const entry = lineage.lineage.find((candidate) => candidate.operation === operation);
  if (entry !== undefined) return { kind: 'applied', ballot: entry.ballot };
  return compareBallots(firstBallot, lineage.lineageFrom) > 0 ? { kind: 'absent' } : { kind: 'unknown' };
}

/**
 * The lineage with one more operation, less what nobody will ask about: entries too old, and those that the proposer
 * itself has done with. It is at most {@link MAX_LINEAGE} long. `lineageFrom` rises over all that is left out for its
 * age or for want of room; for those done with it need not, since only their own proposer would look for them.
 *
 * @param keepMs age from which on an entry may go: {@link lineageAgeMs}
 * @param isDone whether an operation is the proposer's own, and its outcome known to its caller
 */
export function extendLineage(
  past: Lineage,
  operation: OperationId,
  ballot: Ballot,
  keepMs: number,
  isDone: (operation: OperationId) => boolean,
): Lineage {
  const { lineageFrom } = past;
  const lineage = past.lineage.filter((entry) => !isDone(entry.operation));
  const oldestMs = roundTimeMs(ballot.round) - keepMs;
  let from = Math.max(0, lineage.length - (MAX_LINEAGE - 1));
  // Entries stand in the order of their ballots, since each attempt was built on the ones before it.
  while (from < lineage.length && roundTimeMs(lineage[from]?.ballot.round ?? 0) < oldestMs) from += 1;
  const dropped = lineage[from - 1]?.ballot ?? NO_BALLOT;
  return {
    lineage: [...lineage.slice(from), { operation, ballot }],
    lineageFrom: higherBallot(lineageFrom, dropped),
  };
}
