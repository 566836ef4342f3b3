import { type RecordTable, type RegisterRecord, SHARDS, shardOf } from '../paxos/index.js';

/**
 * Records in this process's memory. Sharded, because a single `Map` of a million entries stops the process for about
 * 100 ms each time it grows; a shard of it for less than one. It is gone with the process: an acceptor on it must not
 * come back under its slot before it has recovered.
 */
export class MemoryTable implements RecordTable {
  readonly #shards = Array.from({ length: SHARDS }, () => new Map<string, RegisterRecord>());
  #size = 0;

  /** {@inheritDoc RecordTable.get} */
  get(key: string): RegisterRecord | undefined {
    return this.#shardFor(key).get(key);
  }

  /** {@inheritDoc RecordTable.set} */
  set(key: string, record: RegisterRecord): void {
    const shard = this.#shardFor(key);
    const before = shard.size;
    shard.set(key, record);
    this.#size += shard.size - before;
  }

  /** {@inheritDoc RecordTable.delete} */
  delete(key: string): void {
    if (this.#shardFor(key).delete(key)) this.#size -= 1;
  }

  /** Number of records. */
  get size(): number {
    return this.#size;
  }

  /**
   * The records of one shard. Throws a `RangeError` for one that there is not.
   *
   * @param shard 0..{@link SHARDS}−1
   */
  shard(shard: number): Iterable<readonly [string, RegisterRecord]> {
    const records = this.#shards[shard];
    if (records === undefined) throw new RangeError(`shard ${shard} is not in 0..${SHARDS - 1}`);
    return records;
  }

  /** All records, in a list of its own: they may be set and deleted while it is gone through. */
  list(): (readonly [string, RegisterRecord])[] {
    return this.#shards.flatMap((shard) => [...shard]);
  }

  #shardFor(key: string): Map<string, RegisterRecord> {
    // shardOf is below SHARDS, which is the length of the array.
    return this.#shards[shardOf(key)] as Map<string, RegisterRecord>;
  }
}
