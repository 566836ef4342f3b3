/**
 * What is stored: an entry for each register, one that says whose memory this is, and a head, written with every batch.
 * Numbers are float64, or 48 bits where they are random; big-endian.
 */
import type { Ballot } from '../paxos/index.js';

/** The version that is written. Bodies of earlier ones are read through {@link UPGRADES}. */
export const FORMAT = 1;

export const HEAD_KEY = 'head';
export const IDENTITY_KEY = 'identity';
/** In front of a register's key. */
export const REGISTER_PREFIX = 'r';

/** UTF-8 bytes of an identity, as JSON: 99 slots, each with a name of 128 characters, take half of it. */
export const MAX_IDENTITY_SIZE = 131_072;

/** What is written in each batch, beside what changed. */
export interface Head {
  /** Of the batch. */
  readonly number: number;
  /** Entries in the storage, the head itself not counted. */
  readonly count: number;
  /** Sum of the tags of these, 32 bits. */
  readonly digest: number;
  readonly floor: Ballot;
}

/**
 * Whose memory it is: which slot of which formation of which farm. Whoever opens the storage compares it with what the
 * farm says, and takes the memory for lost where they differ.
 */
export interface Identity {
  readonly cluster: string;
  /** See `View.incarnation`. */
  readonly incarnation: number;
  readonly slot: number;
  readonly generation: number;
  /** Number of the process that holds the slot, under which it goes on. */
  readonly process: number;
  /** See `View.formedAtMs`. */
  readonly formedAtMs: number;
  /** All that is known of the slots' holders, and whatever else has to outlive the process; kept as JSON, unread. */
  readonly view: object | null;
}

/** Makes of the body of an entry, under the key given, the same in the next version. */
export type Upgrade = (key: string, body: Buffer) => Buffer;

/**
 * At index v − 1, what leads from version v to v + 1; so one less than {@link FORMAT}. Entries are upgraded as they are
 * read, and written in the new version when they change: an upgrade takes no time, and can't be cut off half-way. The
 * head is written at once, so that a program of the earlier version does not open what it can't read.
 */
export const UPGRADES: readonly Upgrade[] = [];
