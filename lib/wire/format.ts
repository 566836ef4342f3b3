/**
 * The bytes of a body, as far as both directions must agree on them.
 *
 * A body is one envelope and then any number of messages, one MessagePack array after the other. A message's array
 * starts with the number of its type; a ballot is two fields, round and proposer. Fields may be appended by a later
 * version: what is beyond those known is ignored. What must not be ignored needs a new type; a message of a type that
 * is not known is skipped.
 *
 * Fields may be appended to a message, to the envelope, and to what stands in a message as an array of its own: a proposal,
 * a report, what is named as held, a view, a holder (there: no arrays, for they would be nested too deep). Not to a config,
 * which ends with a list; nor to the entries of the flat lists. A field that is left out while it has nothing to say is
 * written out where one behind it has. Earlier versions refuse a whole body for a word or a flag that they don't know, so
 * a new one goes into a field or a type of its own. `recorded.spec.ts` and `later.spec.ts` hold later versions to this.
 */
import { MAX_LINEAGE } from '../paxos/index.js';

/** Numbers of the message types. Never reused for another meaning. */
export const TYPE = {
  prepare: 1,
  accept: 2,
  commit: 3,
  read: 4,
  enumerate: 5,
  promised: 6,
  accepted: 7,
  nack: 8,
  held: 9,
  enumerated: 10,
  compare: 11,
  differs: 12,
  pull: 13,
  pulled: 14,
  transfer: 15,
  transferred: 16,
  named: 17,
  hello: 20,
  who: 21,
  vouch: 22,
  form: 23,
  unform: 24,
  ask: 30,
  told: 31,
} as const;

/** Where a word travels as a number: its place in these lists. Fixed: see above. */
export const EFFECTS = ['changed', 'touched', 'removed', 'none'] as const;
export const REASONS = ['stale', 'clock'] as const;
export const PHASES = ['seeking', 'voter', 'learner', 'leaving', 'recovering'] as const;
export const OUTCOMES = ['answered', 'running', 'no handler', 'failed', 'overloaded', 'closing', 'unknown'] as const;

/** In a proposal's other ballots: the round, or the proposer, of the ballot at which it was accepted. */
export const SAME = -1;
/** In a proposal's lineage: the operation that proposed it. No operation's own name is empty. */
export const SAME_OPERATION = '';

/** Options of msgpackr. Shared structures (`useRecords`) would misread after a lost datagram. */
export const PACK_OPTIONS = { useRecords: false, variableMapSize: true } as const;

/** What a field, a message and a body may be at most. What is beyond is refused by the decoder. */
export const LIMITS = {
  /** UTF-8 bytes of a register's key, and of any string at all. */
  keyBytes: 1024,
  operationLength: 40,
  nameLength: 128,
  lineage: MAX_LINEAGE,
  /** Voter slots of a cluster. */
  slots: 99,
  /** Keys in one answer to an enumeration. */
  enumeratedKeys: 100_000,
  messages: 4096,
  /** Arrays in arrays; a message needs three. */
  depth: 4,
  /** Arrays in one message, itself included; a view of 99 slots needs 102. */
  arrays: 256,
  /** Random numbers that name processes and formations, and request numbers. */
  number48: 2 ** 48 - 1,
  shards: 256,
  topicLength: 128,
  /** Why an application's handler failed. */
  failureLength: 1000,
  /** Bytes of an application's question or answer; a node takes no more than its `maxValueSize`. */
  payloadBytes: 6 * 2 ** 20,
  port: 65_535,
} as const;

/** Most bytes that an envelope takes: an array of six, five of them float64, the slot below 100. */
export const MAX_ENVELOPE_SIZE = 1 + 5 * 9 + 1;

/** Fields that one entry of these flat lists takes. */
export const LINEAGE_FIELDS = 3;
export const ENUMERATED_FIELDS = 6;
export const COPY_FIELDS = 3;
export const KEPT_FIELDS = 6;
export const KEPT_NAME_FIELDS = 8;

/** Bits of a report's flags. */
export const REPORT_COMMITTED = 1;
export const REPORT_IS_HELD = 2;
export const REPORT_IS_COPY = 4;

/** What an enumerated key says of its value: not known to be chosen, chosen, or neither and no vote. */
export const STANDINGS = ['held', 'committed', 'copy'] as const;

/** What a transfer asks for, beside whole records of the slot that its receiver has. */
export const TRANSFER_BY_NAME = 1;
export const TRANSFER_OF_LEGACY = 2;
