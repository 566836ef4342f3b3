/**
 * What proposers and acceptors say to each other. A request goes to all acceptors; an answer goes to the process that
 * asked and repeats the request's number, so that it can't be taken for the answer to another question.
 *
 * `type` tells them apart; `request` is a whole number that the asker has given to no other question; `key` names the
 * register. All are plain data, to be left as they are once made. An acceptor and an exchange take them as well formed:
 * whoever decodes them checks types and ranges.
 */
import type { Ballot } from './ballot.js';
import type { OperationId, Proposal } from './record.js';

/** Names a value that the asker holds already, so that answers can leave its bytes out. */
export interface HeldName {
  /** Ballot at which it was proposed. */
  readonly accepted: Ballot;
  /** Operation under whose name it was proposed. */
  readonly operation: OperationId;
}

/**
 * Phase 1a: asks for a promise to accept nothing below the ballot, and for what was accepted (Lamport, *Paxos Made
 * Simple*, section 2.2). A proposer to all acceptors, which answer {@link Promised} or {@link Nack}.
 */
export interface Prepare {
  readonly type: 'prepare';
  readonly request: number;
  readonly key: string;
  /** Of this attempt. */
  readonly ballot: Ballot;
  /**
   * Latest `until` that the operation may write, in ms since 1970; 0 if it writes none. The acceptor keeps the record at
   * least as long.
   */
  readonly bound: number;
  /** The value that the asker holds; `null` if none. */
  readonly held: HeldName | null;
}

/**
 * Phase 2a: asks to accept a value at a ballot. A proposer to all acceptors, once it has promises of a quorum; they answer
 * {@link Accepted} or {@link Nack}.
 */
export interface Accept {
  readonly type: 'accept';
  readonly request: number;
  readonly key: string;
  /** `proposal.accepted` is the ballot. */
  readonly proposal: Proposal;
  /** Latest `until`, in ms since 1970, that the promises know of, or that the operation may write. */
  readonly horizon: number;
}

/**
 * The value named is chosen (*Paxos Made Simple*, section 2.3). A proposer to all acceptors and learners, without an
 * answer. Nothing of safety rests on its arriving: but without it a read takes a majority that holds the same, and the
 * record is not forgotten.
 */
export interface Commit {
  readonly type: 'commit';
  readonly key: string;
  /** With `operation`, the value's name: see `Proposal`. */
  readonly ballot: Ballot;
  /** With `ballot`, the value's name. */
  readonly operation: OperationId;
  /** What the operation did, for those who watch. */
  readonly effect: Effect;
}

/**
 * What an operation did: changed the bytes (or made them: the key was absent), only moved expiry or attributes, removed the
 * value, or nothing that a reader could see.
 */
export type Effect = 'changed' | 'touched' | 'removed' | 'none';

/** Asks for the record, promising nothing. A reader to all acceptors, which answer {@link Held}. */
export interface Read {
  readonly type: 'read';
  readonly request: number;
  readonly key: string;
  /** The value that the asker holds; `null` if none. */
  readonly held: HeldName | null;
}

/**
 * Asks which keys are held, from a shard on. A reader to all acceptors, or a comparison to one; they answer
 * {@link Enumerated}.
 */
export interface Enumerate {
  readonly type: 'enumerate';
  readonly request: number;
  /** Keys that start with this are meant; empty for all. */
  readonly prefix: string;
  /** First shard wanted, 0..255; the answer says how far it got. */
  readonly shard: number;
}

/** Asks one acceptor in which shards it holds other chosen values than the asker. It answers {@link Differs}. */
export interface Compare {
  readonly type: 'compare';
  readonly request: number;
  /** The asker's own, `Acceptor.digests`: 1024 bytes, four for each shard, big-endian. */
  readonly digests: Uint8Array;
}

/** Asks one acceptor for what it knows to be chosen of some keys. It answers {@link Pulled}. */
export interface Pull {
  readonly type: 'pull';
  readonly request: number;
  /** From 1 to {@link MAX_PULLED}. */
  readonly keys: readonly string[];
}

/** Most keys that one {@link Pull} asks for. */
export const MAX_PULLED = 64;

/**
 * Asks one acceptor for all that it holds, page by page: for a process that has taken a slot and has to get the memory
 * that goes with it (Michael, Ports, Sharma, Szekeres, *Recovering Shared Objects Without Stable Storage*, DISC 2017). It
 * answers {@link Transferred}.
 */
export interface Transfer {
  readonly type: 'transfer';
  readonly request: number;
  /** Shard to go on in, 0..255. */
  readonly shard: number;
  /** The last key of the page before, in that shard; empty at its beginning. */
  readonly after: string;
  /** Whether the values need only be named. It answers {@link Named} then, or {@link Transferred} all the same. */
  readonly isByName?: true;
  /** Whether it asks for the memory of the asker's slot, of the process that held it before, and for no other. */
  readonly isOfLegacy?: true;
}

/** Most records that one {@link Transferred} carries. */
export const MAX_TRANSFERRED = 100;

/** Most records that one {@link Named} carries. */
export const MAX_NAMED = 200;

/** What an acceptor is asked, or told: see `Acceptor.receive`. */
export type AcceptorRequest = Prepare | Accept | Commit | Read | Enumerate | Compare | Pull | Transfer;

/** A record's value as an answer carries it. */
export interface Report {
  /** The value; with no bytes and no attributes if `isHeld`. */
  readonly proposal: Proposal;
  /** Whether the acceptor knows it to be chosen. */
  readonly committed: boolean;
  /** Whether it is the value that the asker said it holds: bytes and attributes were left out. */
  readonly isHeld: boolean;
  /** Whether the acceptor has it from others, and it is no vote: see `RegisterRecord.isCopy`. */
  readonly isCopy?: boolean;
}

/**
 * Phase 1b: nothing below the ballot will be accepted here any more, and this is what was. An acceptor to the proposer that
 * asked.
 */
export interface Promised {
  readonly type: 'promised';
  readonly request: number;
  /** The one promised: that of the {@link Prepare}. */
  readonly ballot: Ballot;
  /** What is held; `null` if no value is. */
  readonly report: Report | null;
  /** The record's horizon before this promise, in ms since 1970; 0 where there was no record. */
  readonly horizon: number;
  /** The acceptor's: no operation above it has been forgotten there. */
  readonly floor: Ballot;
}

/** Phase 2b: the value is held. An acceptor to the proposer that asked; by a quorum of them it is chosen. */
export interface Accepted {
  readonly type: 'accepted';
  readonly request: number;
  /** That of the {@link Accept}. */
  readonly ballot: Ballot;
}

/**
 * Refuses a prepare or an accept. An acceptor to the proposer that asked, which it saves a time-out: nothing rests on its
 * arriving.
 */
export interface Nack {
  readonly type: 'nack';
  readonly request: number;
  /** The phase it refuses: a nack of one phase says nothing of the other. */
  readonly phase: 1 | 2;
  /** The one refused. */
  readonly ballot: Ballot;
  /** `stale`: a higher ballot is promised; `clock`: the ballot is too far ahead of this acceptor's clock. */
  readonly reason: 'stale' | 'clock';
  /** If `stale`, what the next ballot has to be above; if `clock`, the highest round that would have been taken. */
  readonly promised: Ballot;
}

/** Answer to {@link Read}, to whoever asked. Its proposal's lineage is left empty. */
export interface Held {
  readonly type: 'held';
  readonly request: number;
  /** What is held; `null` if no value is. */
  readonly report: Report | null;
  /** Latest `until`, in ms since 1970, that this acceptor has promised or accepted for the key; 0 without a record. */
  readonly horizon: number;
  /** Every key counts as promised up to this. */
  readonly floor: Ballot;
}

/** What a list of keys says of one: which value is held, and not the value itself. */
export interface EnumeratedKey {
  readonly key: string;
  /** With `operation`, the value's name: see `Proposal`. */
  readonly accepted: Ballot;
  /** With `accepted`, the value's name. */
  readonly operation: OperationId;
  /** Whether the acceptor knows it to be chosen. */
  readonly committed: boolean;
  /** `until` of the value, in ms since 1970; 0 for a tombstone. */
  readonly until: number;
  /** Whether it is no vote: see {@link Report}. */
  readonly isCopy?: boolean;
}

/** Answer to {@link Enumerate}: whole shards, as many as a page has room for. */
export interface Enumerated {
  readonly type: 'enumerated';
  readonly request: number;
  /** The first shard: the one that was asked for. */
  readonly shard: number;
  /** The shard to ask for next; 256 when there is none. */
  readonly nextShard: number;
  /** Tombstones too; keys of which there is a bare promise only are left out. */
  readonly keys: readonly EnumeratedKey[];
}

/** Answer to {@link Compare}. */
export interface Differs {
  readonly type: 'differs';
  readonly request: number;
  /** Each once, 0..255. */
  readonly shards: readonly number[];
}

/** What is known to be chosen of one register, as one acceptor gives it to another. */
export interface Copy {
  readonly key: string;
  /** The value, or tombstone. */
  readonly proposal: Proposal;
  /** Latest `until`, in ms since 1970, that its acceptor has promised or accepted for the key. */
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
  /** See `RegisterRecord.promised`. */
  readonly promised: Ballot;
  /** See `RegisterRecord.proposal`. */
  readonly proposal: Proposal | null;
  /** See `RegisterRecord.committed`. */
  readonly committed: boolean;
  /** See `RegisterRecord.horizon`. */
  readonly horizon: number;
}

/** Answer to {@link Transfer}. */
export interface Transferred {
  readonly type: 'transferred';
  readonly request: number;
  /** That of the {@link Transfer}. */
  readonly shard: number;
  /** That of the {@link Transfer}. */
  readonly after: string;
  /** Where to go on; 256 when there is no more. */
  readonly nextShard: number;
  /** The last key of this page, in `nextShard`; empty at its beginning. */
  readonly nextAfter: string;
  /** The acceptor's floor, read after these records. */
  readonly floor: Ballot;
  /** At most {@link MAX_TRANSFERRED}. */
  readonly records: readonly Kept[];
}

/** What {@link Kept} tells of a record, but its value's name only: for whoever holds most of the values already. */
export interface KeptName extends Omit<Kept, 'proposal'> {
  /** With `operation`, the value's name; `NO_BALLOT` if there is none. */
  readonly accepted: Ballot;
  /** Empty if there is no value. */
  readonly operation: OperationId;
}

/** Answer to {@link Transfer} by name. */
export interface Named extends Omit<Transferred, 'type' | 'records'> {
  readonly type: 'named';
  /** At most {@link MAX_NAMED}. */
  readonly names: readonly KeptName[];
}

/** What an acceptor answers to whoever asked: see `Exchange.receive`. */
export type AcceptorAnswer = Promised | Accepted | Nack | Held | Enumerated | Differs | Pulled | Transferred | Named;

/** Whatever passes between the two. */
export type PaxosMessage = AcceptorRequest | AcceptorAnswer;
