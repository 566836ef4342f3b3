/**
 * Ballots: the numbers that order attempts to change a register (Lamport, *Paxos Made Simple*, section 2.2).
 *
 * A ballot is `(round, proposer)`, ordered by round, then by proposer. The round is a hybrid logical clock in one safe
 * integer, so ballots of different proposers follow wall time without anyone having to agree on a counter first.
 */
export interface Ballot {
  /** Milliseconds since 1970 × {@link ROUNDS_PER_MS} plus a counter; 0 only in {@link NO_BALLOT}. */
  readonly round: number;
  /** Random 48-bit number of the process that issued it, drawn anew at each process start. 0 is nobody's. */
  readonly proposer: number;
}

/** Rounds that one millisecond has room for. */
export const ROUNDS_PER_MS = 1024;

/** Below every ballot that is ever issued. */
export const NO_BALLOT: Ballot = Object.freeze({ round: 0, proposer: 0 });

/** Negative, 0 or positive as `a` is below, equal to or above `b`. */
export function compareBallots(a: Ballot, b: Ballot): number {
  return a.round - b.round || a.proposer - b.proposer;
}

/** Whether both are the same ballot: the same attempt of the same proposer, since no ballot is issued twice. */
export function sameBallot(a: Ballot, b: Ballot): boolean {
  return a.round === b.round && a.proposer === b.proposer;
}

/** The higher of the two; `a` where they are the same. */
export function higherBallot(a: Ballot, b: Ballot): Ballot {
  return compareBallots(a, b) >= 0 ? a : b;
}

/** The wall-clock time, in ms since 1970, that a round stands for. */
export function roundTimeMs(round: number): number {
  return Math.floor(round / ROUNDS_PER_MS);
}

/** For logs: `time.counter@proposer`, the proposer in base 36. */
export function formatBallot(ballot: Ballot): string {
  return `${roundTimeMs(ballot.round)}.${ballot.round % ROUNDS_PER_MS}@${ballot.proposer.toString(36)}`;
}

/**
 * Issues the ballots of one process, each once: every round is above the one before it, and no other process has this
 * one's `proposer` number (Lamport, *Paxos Made Simple*, section 2.5: disjoint sets of numbers). All rounds of a process
 * share one source, which is not stored: a process that starts again takes another number. (Invariant 1.)
 */
export class BallotSource {
  /** The number that every ballot of this source carries. */
  readonly proposer: number;
  #last = 0;

  /** @param proposer random integer in 1..2⁴⁸−1, never used by another process or an earlier start of this one */
  constructor(proposer: number) {
    this.proposer = proposer;
  }

  /**
   * A ballot above all that were issued or observed here.
   *
   * @param wallMs ms since 1970: the round is this time's, unless one as late was issued or observed already
   */
  next(wallMs: number): Ballot {
    this.#last = Math.max(this.#last + 1, Math.floor(wallMs) * ROUNDS_PER_MS);
    return { round: this.#last, proposer: this.proposer };
  }

  /**
   * Learns a round that another process has used, so that the next ballot is above it. A round more than `maxAheadMs`
   * ahead of the wall clock is not learnt: one wrong clock must not run away with everybody's.
   *
   * @param wallMs ms since 1970
   * @param maxAheadMs S
   */
  observe(round: number, wallMs: number, maxAheadMs: number): void {
    if (round > this.#last && round <= (wallMs + maxAheadMs) * ROUNDS_PER_MS) this.#last = round;
  }
}
