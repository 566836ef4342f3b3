import type { RegisterRecord } from './record.js';
import { type RecordTable, SHARDS, shardOf } from './table.js';

/** Shards whose order is kept: there are as many readers in the middle of one as acceptors recover at a time, or fewer. */
const MAX_ORDERS = 8;

/** Before the first record of that shard whose key comes after that one. */
export interface Place {
  readonly shard: number;
  /** Empty at the shard's beginning. */
  readonly after: string;
}

/**
 * Reads a table page by page: by shards, and in each by keys, in the order of their UTF-16 units. So a place is the same one
 * whatever comes and goes between two pages. The order in which keys came would not do: one that is forgotten and written
 * anew is behind all others then, and whoever goes on after it would miss them.
 */
export class Pages {
  readonly #table: RecordTable;
  /** The keys of shards that are being read, in order; the one that was begun first comes first. */
  readonly #orders = new Map<number, string[]>();

  constructor(table: RecordTable) {
    this.#table = table;
  }

  /** A key has a record that had none. */
  added(key: string): void {
    const keys = this.#orderWith(key);
    if (keys === undefined) return;
    const index = indexAfter(keys, key);
    if (keys[index - 1] !== key) keys.splice(index, 0, key);
  }

  /** A key has no record any more. */
  removed(key: string): void {
    const keys = this.#orderWith(key);
    if (keys === undefined) return;
    const index = indexAfter(keys, key) - 1;
    if (keys[index] === key) keys.splice(index, 1);
  }

  /** @param take called for each record from there on, until one does not fit. @returns where that one is */
  read({ shard: first, after }: Place, take: (key: string, record: RegisterRecord) => boolean): Place {
    for (let shard = first; shard < SHARDS; shard += 1) {
      const keys = this.#orderOf(shard);
      let last = shard === first ? after : '';
      for (let index = last === '' ? 0 : indexAfter(keys, last); index < keys.length; index += 1) {
        const key = keys[index] ?? '';
        const record = this.#table.get(key);
        if (record === undefined) continue;
        if (!take(key, record)) {
          this.#keep(shard, keys);
          return { shard, after: last };
        }
        last = key;
      }
      this.#orders.delete(shard);
    }
    return { shard: SHARDS, after: '' };
  }

  #orderWith(key: string): string[] | undefined {
    return this.#orders.size === 0 ? undefined : this.#orders.get(shardOf(key));
  }

  #orderOf(shard: number): string[] {
    return this.#orders.get(shard) ?? Array.from(this.#table.shard(shard), ([key]) => key).sort();
  }

  #keep(shard: number, keys: string[]): void {
    if (this.#orders.has(shard)) return;
    const [oldest] = this.#orders.keys();
    if (oldest !== undefined && this.#orders.size >= MAX_ORDERS) this.#orders.delete(oldest);
    this.#orders.set(shard, keys);
  }
}

/** How many of the keys, which are in order, come before that one or are it. */
function indexAfter(keys: readonly string[], key: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}
