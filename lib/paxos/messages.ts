/**
 * What proposers and acceptors say to each other. A request goes to all acceptors; an answer goes to the process that
 * asked and repeats the request's number, so that it can't be taken for the answer to another question.
 */
import type { Ballot } from './ballot.js';
import type { OperationId, Proposal } from './record.js';

/** Names a value that the asker holds already, so that answers can leave its bytes out. */
export interface HeldName {
  readonly accepted: Ballot;
  readonly operation: OperationId;
}

/** Phase 1a. To all acceptors. */
export interface Prepare {
  readonly type: 'prepare';
  readonly request: number;
  readonly key: string;
  readonly ballot: Ballot;
  /** Latest `until` that the operation may write: the acceptor keeps the record at least as long. */
  readonly bound: number;
  readonly held: HeldName | null;
}

/** Phase 2a. To all acceptors. */
export interface Accept {
  readonly type: 'accept';
  readonly request: number;
  readonly key: string;
  /** `proposal.accepted` is the ballot. */
  readonly proposal: Proposal;
  readonly horizon: number;
}

/** To all acceptors and learners, without an answer: the value named is chosen. */
export interface Commit {
  readonly type: 'commit';
  readonly key: string;
  readonly ballot: Ballot;
  readonly operation: OperationId;
  /** What the operation did, for those who watch: changed the bytes, only moved expiry or attributes, removed. */
  readonly effect: Effect;
}

export type Effect = 'changed' | 'touched' | 'removed' | 'none';

/** Asks for the record, promising nothing. To all acceptors. */
export interface Read {
  readonly type: 'read';
  readonly request: number;
  readonly key: string;
  readonly held: HeldName | null;
}

/** Asks which keys of a bucket are held, from a shard on. To all acceptors. */
export interface Enumerate {
  readonly type: 'enumerate';
  readonly request: number;
  /** Keys that start with this are meant. */
  readonly prefix: string;
  /** First shard wanted, 0..255; the answer says how far it got. */
  readonly shard: number;
}

/** Asks one acceptor in which shards it holds other chosen values than the asker. */
export interface Compare {
  readonly type: 'compare';
  readonly request: number;
  /** Four bytes for each shard, big-endian: see `digest.ts`. */
  readonly digests: Uint8Array;
}

/** Asks one acceptor for whole records. */
export interface Pull {
  readonly type: 'pull';
  readonly request: number;
  /** At most {@link MAX_PULLED}. */
  readonly keys: readonly string[];
}

/** Most keys that one {@link Pull} asks for. */
export const MAX_PULLED = 64;

/**
 * Asks one acceptor for all that it holds, page by page: for a process that has taken a slot and has to get the memory
 * that goes with it.
 */
export interface Transfer {
  readonly type: 'transfer';
  readonly request: number;
  /** 0..255 */
  readonly shard: number;
  /** The last key of the page before, in that shard; empty at its beginning. */
  readonly after: string;
}

/** Most records that one {@link Transferred} carries. */
export const MAX_TRANSFERRED = 100;

export type AcceptorRequest = Prepare | Accept | Commit | Read | Enumerate | Compare | Pull | Transfer;

/** A record's value as an answer carries it; `isHeld` stands for the bytes and attributes that the asker named. */
export interface Report {
  readonly proposal: Proposal;
  readonly committed: boolean;
  readonly isHeld: boolean;
  /** Whether the acceptor has it from others, and it is no vote: see `RegisterRecord.isCopy`. */
  readonly isCopy?: boolean;
}

/** Phase 1b. */
export interface Promised {
  readonly type: 'promised';
  readonly request: number;
  readonly ballot: Ballot;
  readonly report: Report | null;
  /** The record's horizon before this promise; 0 where there was no record. */
  readonly horizon: number;
  /** No operation above it has been forgotten by this acceptor. */
  readonly floor: Ballot;
}

/** Phase 2b. */
export interface Accepted {
  readonly type: 'accepted';
  readonly request: number;
  readonly ballot: Ballot;
}

/** Refuses a prepare or an accept. */
export interface Nack {
  readonly type: 'nack';
  readonly request: number;
  /** The phase it refuses: a nack of one phase says nothing of the other. */
  readonly phase: 1 | 2;
  readonly ballot: Ballot;
  /** `stale`: another ballot is promised; `clock`: the ballot is too far ahead of this acceptor's clock. */
  readonly reason: 'stale' | 'clock';
  /** What the next ballot has to be above. */
  readonly promised: Ballot;
}

/** Answer to {@link Read}. Its proposal's lineage is left empty. */
export interface Held {
  readonly type: 'held';
  readonly request: number;
  readonly report: Report | null;
  /** Latest `until` that this acceptor has promised or accepted for the key; 0 without a record. */
  readonly horizon: number;
  /** Every key counts as promised up to this. */
  readonly floor: Ballot;
}

export interface EnumeratedKey {
  readonly key: string;
  readonly accepted: Ballot;
  readonly operation: OperationId;
  readonly committed: boolean;
  /** `until` of the value; 0 for a tombstone. */
  readonly until: number;
  /** See {@link Report}. */
  readonly isCopy?: boolean;
}

/** Answer to {@link Enumerate}. */
export interface Enumerated {
  readonly type: 'enumerated';
  readonly request: number;
  readonly shard: number;
  /** The shard to ask for next; 256 when there is none. */
  readonly nextShard: number;
  readonly keys: readonly EnumeratedKey[];
}

/** Answer to {@link Compare}. */
export interface Differs {
  readonly type: 'differs';
  readonly request: number;
  readonly shards: readonly number[];
}

/** What is known to be chosen of one register, as one acceptor gives it to another. */
export interface Copy {
  readonly key: string;
  readonly proposal: Proposal;
  readonly horizon: number;
}

/** Answer to {@link Pull}: as many as fit, in the order in which they were asked for. */
export interface Pulled {
  readonly type: 'pulled';
  readonly request: number;
  /** The first key that was asked for. */
  readonly first: string;
  /** How many of the keys have been looked at; the others have to be asked for again. At least 1. */
  readonly looked: number;
  /** Those of them that are known to be chosen here. */
  readonly copies: readonly Copy[];
}

/** A record with all that its acceptor is bound to. */
export interface Kept {
  readonly key: string;
  readonly promised: Ballot;
  readonly proposal: Proposal | null;
  readonly committed: boolean;
  readonly horizon: number;
}

/** Answer to {@link Transfer}. */
export interface Transferred {
  readonly type: 'transferred';
  readonly request: number;
  readonly shard: number;
  readonly after: string;
  /** Where to go on; 256 when there is no more. */
  readonly nextShard: number;
  readonly nextAfter: string;
  /** The acceptor's floor, read after these records. */
  readonly floor: Ballot;
  readonly records: readonly Kept[];
}

export type AcceptorAnswer = Promised | Accepted | Nack | Held | Enumerated | Differs | Pulled | Transferred;

export type PaxosMessage = AcceptorRequest | AcceptorAnswer;
