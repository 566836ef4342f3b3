import { type Ballot, NO_BALLOT } from './ballot.js';

/**
 * Identifies one operation of one process: `<proposer in base 36>.<sequence>`. Never used twice, whatever became of it: a
 * proposer that finds its operation's name in a value takes it for done.
 */
export type OperationId = string;

/** An operation that went into a value, and the ballot of the attempt that put it there. */
export interface LineageEntry {
  /** Which operation. */
  readonly operation: OperationId;
  /** Of the attempt, one of several that the operation may have made. */
  readonly ballot: Ballot;
}

/** What a register holds, as its users see it. */
export interface State {
  /** The bytes, or `null`: absent (never written, destroyed or expired). */
  readonly value: Uint8Array | null;
  /** A few bytes beside the value that may change without it (for a session: its cookie). Empty when absent. */
  readonly attributes: Uint8Array;
  /** Wall-clock ms since 1970 from which on the value is invisible; {@link FOREVER} for no end. 0 when absent. */
  readonly until: number;
  /** Ballot of the last step from absent to present: two lives of one key are told apart by it. */
  readonly birth: Ballot;
  /** Ballot of the last change of `value`, or write that counts as one; changes of `attributes` and `until` leave it alone. */
  readonly dataBallot: Ballot;
}

/** `until` of a value without an end: the largest safe integer, so that it compares and travels as a number. */
export const FOREVER = Number.MAX_SAFE_INTEGER;

/** The attributes of whatever has none. */
export const NO_BYTES: Uint8Array = new Uint8Array(0);

/** The state of a register that nobody has written. */
export const ABSENT: State = Object.freeze({
  value: null,
  attributes: NO_BYTES,
  until: 0,
  birth: NO_BALLOT,
  dataBallot: NO_BALLOT,
});

/**
 * A value that was proposed at a ballot. `(accepted, operation)` identifies it everywhere: in reads, in commits, and
 * when one side says "I hold that one too".
 */
export interface Proposal extends State {
  /** The ballot it was proposed at. */
  readonly accepted: Ballot;
  /** The operation whose proposer proposed it: not always the one that made it, for a value found is proposed again. */
  readonly operation: OperationId;
  /** The latest operations that went into this value, oldest first; at most {@link MAX_LINEAGE}. */
  readonly lineage: readonly LineageEntry[];
  /**
   * Every operation that went into this value at a ballot above this one is in `lineage`, but for those whose own
   * proposer knows what became of them.
   */
  readonly lineageFrom: Ballot;
}

/** Longest lineage kept, in entries: the writers of a hot key within one operation time-out. */
export const MAX_LINEAGE = 64;

/** What one acceptor keeps of one register. Treated as immutable: a step makes a new record. */
export interface RegisterRecord {
  /** Highest ballot promised; never below `proposal.accepted`. */
  readonly promised: Ballot;
  /** `null`: only promised so far, nothing accepted. */
  readonly proposal: Proposal | null;
  /** Whether `proposal` is known to be chosen. */
  readonly committed: boolean;
  /** Wall-clock ms; the record is not forgotten before it. The latest `until` ever promised or accepted here. */
  readonly horizon: number;
  /** Monotonic ms at which this acceptor last promised, accepted or installed; its own, never sent. */
  readonly touchedMs: number;
  /**
   * Whether `proposal` is only known of here, and was never accepted for this slot as far as that can be told: taken over
   * from another acceptor, or a storage, where it was not known to be chosen. It is no vote.
   */
  readonly isCopy?: boolean;
}

/**
 * Whether `a` is the proposal of that name. Both parts count: with two operations under one ballot, which can't be unless
 * a ballot was issued twice, neither is taken for the other.
 */
export function isSameProposal(a: Proposal, accepted: Ballot, operation: OperationId): boolean {
  return a.accepted.round === accepted.round && a.accepted.proposer === accepted.proposer && a.operation === operation;
}
