import { type Ballot, type RegisterRecord, SHARDS, shardOf } from '../paxos/index.js';
import { encodeHead, encodeIdentity, encodeRecord } from './encode.js';
import { type Head, IDENTITY_KEY, type Identity, REGISTER_PREFIX } from './format.js';
import { tagOf } from './seal.js';
import type { StorageBatch, StoredEntry } from './storage.js';

/** What changed since the batch before. */
export interface Changes {
  /** Register keys with what they hold now; `undefined`: nothing any more. No key twice. */
  readonly records: Iterable<readonly [string, RegisterRecord | undefined]>;
  /** `null`: as before. */
  readonly identity: Identity | null;
  readonly floor: Ballot;
}

/**
 * Makes the batches, and knows by them what the storage holds: how many entries, and a digest of them all. Every batch
 * says so in its head, and with it what is read back is held against what was written.
 *
 * Noticed is: an entry that is damaged, missing, or of an earlier batch than its head; a batch that was lost before
 * others, or of which only a part is there. Random damage goes unnoticed once in 2³² times. Not noticed is the loss of
 * the *last* batches, each as a whole, or an earlier copy of everything: nothing in them says that there was more. For
 * that a storage needs a second source (`StorageContents.knownNumber`).
 */
export class Ledger {
  #number = 0;
  #count = 0;
  #digest = 0;
  /** By shard, for the same reason as in `MemoryTable`. */
  readonly #tags = Array.from({ length: SHARDS }, () => new Map<string, number>());

  /** Counts in an entry that was read. */
  admit({ key, value }: StoredEntry): void {
    this.#put(key, value);
  }

  /**
   * Goes on from a head that was read, if that fits the entries admitted.
   * @returns what does not fit; `null` if all does
   */
  resume({ number, count, digest }: Head): string | null {
    if (count !== this.#count) return `${this.#count} of ${count} entries are there`;
    if (digest !== this.#digest) return 'some entries are not those that were written last';
    this.#number = number;
    return null;
  }

  /** The next batch. Each is to be written, in this order, or nothing is any more. */
  batch({ records, identity, floor }: Changes): StorageBatch {
    const puts: StoredEntry[] = [];
    const deletes: string[] = [];
    if (identity !== null) puts.push(encodeIdentity(identity));
    for (const [key, record] of records) {
      if (record !== undefined) puts.push(encodeRecord(key, record));
      // What came and went between two batches was never written.
      else if (this.#delete(REGISTER_PREFIX + key)) deletes.push(REGISTER_PREFIX + key);
    }
    for (const { key, value } of puts) this.#put(key, value);
    this.#number += 1;
    puts.push(encodeHead({ number: this.#number, count: this.#count, digest: this.#digest, floor }));
    return { number: this.#number, puts, deletes };
  }

  /** Of all registers that the storage holds. */
  *registerKeys(): Iterable<string> {
    for (const tags of this.#tags) {
      for (const key of tags.keys()) if (key !== IDENTITY_KEY) yield key.slice(REGISTER_PREFIX.length);
    }
  }

  #put(key: string, value: Uint8Array): void {
    const tags = this.#tagsFor(key);
    const before = tags.get(key);
    const tag = tagOf(value);
    tags.set(key, tag);
    if (before === undefined) this.#count += 1;
    this.#digest = (this.#digest + tag - (before ?? 0)) | 0;
  }

  #delete(key: string): boolean {
    const tags = this.#tagsFor(key);
    const before = tags.get(key);
    if (before === undefined) return false;
    tags.delete(key);
    this.#count -= 1;
    this.#digest = (this.#digest - before) | 0;
    return true;
  }

  #tagsFor(key: string): Map<string, number> {
    // shardOf is below SHARDS, which is the length of the array.
    return this.#tags[shardOf(key)] as Map<string, number>;
  }
}
