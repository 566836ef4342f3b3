import type { RegisterRecord } from './record.js';

/** Number of shards of a {@link RecordTable}. Part of the protocol: enumerations and transfers go shard by shard. */
export const SHARDS = 256;

/** 32 bits of a key, the same on every node: FNV-1a over UTF-16 units. */
export function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash;
}

/** The shard that a key belongs to, 0..{@link SHARDS}−1; the same on every process, of whatever version. */
export function shardOf(key: string): number {
  return shardOfHash(hashOf(key));
}

/** The same, of a key's {@link hashOf}. */
export function shardOfHash(hash: number): number {
  return (hash ^ (hash >>> 16)) & (SHARDS - 1);
}

/**
 * Where an acceptor keeps its records. Synchronous: storage that isn't loads a record before the step that needs it, and
 * what a step has written is durable before its answer leaves (Lamport, *Paxos Made Simple*, section 2.5). One acceptor
 * writes it and nobody else. Records are immutable, and may be kept as they are given.
 */
export interface RecordTable {
  /** The record last set under that key; `undefined` where there is none. */
  get(key: string): RegisterRecord | undefined;
  /** Puts a record in place of the one before it. */
  set(key: string, record: RegisterRecord): void;
  /** Drops a record; nothing happens where there is none. */
  delete(key: string): void;
  /** Number of records. */
  readonly size: number;
  /**
   * The records of one shard, in any order.
   *
   * @param shard 0..{@link SHARDS}−1
   */
  shard(shard: number): Iterable<readonly [string, RegisterRecord]>;
}
