/** Bytes under a name. */
export interface StoredEntry {
  /** Well-formed Unicode, at most 1025 bytes of UTF-8; told apart unit by unit, so not to be normalised. */
  readonly key: string;
  readonly value: Uint8Array;
}

/** What is written as a whole or not at all. No key is in it twice. */
export interface StorageBatch {
  /** 1 for the first batch of an empty storage, then one more each time, over all openings. */
  readonly number: number;
  readonly puts: readonly StoredEntry[];
  readonly deletes: readonly string[];
}

/** What {@link Storage.open} found. */
export type StorageContents =
  | {
      readonly kind: 'open';
      /**
       * A batch that is known, from another source than the entries, to have been written: where the entries are of an
       * earlier one, some were lost. 0 where there is no such source.
       */
      readonly knownNumber: number;
      /**
       * All entries, in any order, some at a time; read once, before the first write. Fails with
       * {@link CorruptionError} where what is there can't be read.
       */
      readonly entries: AsyncIterable<readonly StoredEntry[]>;
    }
  | {
      /** What is there is damaged; it is put out of the way with {@link Storage.setAside}, or the storage is closed. */
      readonly kind: 'corrupt';
      readonly reason: string;
    };

/**
 * Where the memory of one voter outlives its process. It knows nothing of what it stores.
 *
 * The farm's safety rests on one promise: once {@link write} has resolved, every later {@link open} of the same place
 * finds that batch and all before it, each as a whole, whatever the process, the machine or its power did in between;
 * or it says that it can't. A storage that forgets in silence makes a voter break its word, and a farm lose what it has
 * acknowledged. What it hands out is checked against damage and loss as far as possible; see `Ledger`.
 *
 * The methods are called one after the other: none before the promise of the one before it has settled.
 *
 * @example
 * ```ts
 * class SqliteStorage implements Storage {
 *   async write({ puts, deletes }: StorageBatch) {
 *     this.#db.transaction(() => { … })(); // with PRAGMA synchronous = FULL
 *   }
 *   …
 * }
 * ```
 */
export interface Storage {
  /**
   * Opens the place for this process alone, and makes it if there is none.
   *
   * Rejects with `ConfigError` where a person has to do something: another process has it open, it can't be written, a
   * later version made it. Nothing is changed then.
   */
  open(): Promise<StorageContents>;
  /**
   * Writes a batch; resolves when it is where a power cut can't reach it. Rejects if that is not certain: it is not
   * called any more then. A sync that failed must not be tried again and believed; the kernel may have dropped what it
   * could not write.
   */
  write(batch: StorageBatch): Promise<void>;
  /**
   * Puts what is there out of the way, for people to look at, and goes on as an empty storage, open. A bounded number
   * of such remains is kept.
   *
   * @returns where it is now
   */
  setAside(): Promise<string>;
  /** Lets go of the place. Idempotent; may be called after anything, a failed {@link open} included. */
  close(): Promise<void>;
}

/** What is stored is not what was written: damaged, or of an earlier time. */
export class CorruptionError extends Error {
  override readonly name = 'CorruptionError';
}
