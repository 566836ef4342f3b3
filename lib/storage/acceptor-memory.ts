import { type Ballot, type RecordTable, type RegisterRecord, SHARDS } from '../paxos/index.js';
import type { StoredRecord } from './decode.js';
import type { Identity } from './format.js';

/** A storage that does not end a write in that time, in ms, is taken for one that never will. */
export const STALLED_MS = 30_000;

/**
 * All that one voter must not forget, and when it is safe.
 *
 * Reads are served from this process's memory, at once; changes are made there, and reach the storage in batches. The
 * order in which its owner calls is what makes it safe:
 *
 * 1. `isFull`: then the request is not looked at, as if it had been lost on its way.
 * 2. The acceptor's step, which may call `set` and `delete`.
 * 3. The answer is put back, with the others of this tick.
 * 4. At the end of the tick, once: if `isSettled`, the answers leave; else they leave when {@link flush} has resolved.
 *    If it rejects they never do, and this process votes no more.
 *
 * What the owner itself reads here and acts on as if a voter had told it counts as an answer.
 */
export interface AcceptorMemory extends RecordTable {
  /** Whose memory it is; `null` before {@link identify} was ever called. */
  readonly identity: Identity | null;
  /** Says whose memory it is from now on. Before the first register is set; takes effect with the next flush. */
  identify(identity: Identity): void;
  /** Whose floor is stored beside the records. */
  follow(acceptor: { readonly floor: Ballot }): void;
  /**
   * Hands over what was loaded, register by register, to an acceptor that is to hold it: `take` sets each record here
   * again, its floor already raised to {@link loadedFloor}. Once, before anything else.
   */
  restore(take: (key: string, record: StoredRecord) => void): void;
  /** The floor that was stored; `NO_BALLOT` if none was. */
  readonly loadedFloor: Ballot;
  /**
   * Forgets everything but the identity, as one change with all that is made before the next flush. To be followed by
   * {@link follow} of a new acceptor.
   * @returns what was held
   */
  reset(): (readonly [string, RegisterRecord])[];
  /** Whether {@link flush} would resolve without having waited for anything. */
  readonly isSettled: boolean;
  /** Whether so much waits for the storage that no more is to be added. */
  readonly isFull: boolean;
  /**
   * Resolves when all that has changed so far, and that an answer may tell of, is durable. Calls resolve in the order
   * in which they were made.
   *
   * The word that a value is chosen is written, but not waited for: a voter that has lost it hears it again, or asks.
   *
   * Rejects with `StorageError`, from the first failure on for ever.
   */
  flush(): Promise<void>;
  /** Resolves when all that has changed so far is durable. To be called from time to time, and by {@link close}. */
  flushAll(): Promise<void>;
  /**
   * So much time has passed in which a write could have come to its end: after {@link STALLED_MS} of one that does not, the
   * storage has failed. Pauses of this process are not to be counted.
   */
  look(elapsedMs: number): void;
  /** Writes what is left, if nothing has failed, and lets go of the storage. Idempotent. */
  close(): Promise<void>;
}

export function recordsOf(table: RecordTable): (readonly [string, RegisterRecord])[] {
  return Array.from({ length: SHARDS }, (_, shard) => [...table.shard(shard)]).flat();
}
