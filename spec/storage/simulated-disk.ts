import { ConfigError } from '../../lib/errors.js';
import type { Storage, StorageBatch, StorageContents, StoredEntry } from '../../lib/storage/storage.js';

/** Earlier contents that are kept, for {@link SimulatedDisk.rollBack}. */
const MAX_HISTORY = 1000;

interface Contents {
  readonly number: number;
  readonly entries: ReadonlyMap<string, Uint8Array>;
}

interface PendingWrite {
  readonly batch: StorageBatch;
  resolve(): void;
  reject(error: Error): void;
}

/** What becomes of a batch that was being written when the power went: its entries up to some, or all, or none. */
export type Fate = 'lost' | 'written' | { readonly torn: number };

/**
 * A disk for tests, that does only what it is told: it completes a write or lets it fail, loses power, damages an entry,
 * turns up with what it held long ago. It outlives the processes that use it, each through a {@link storage} of its own.
 * No time, no chance: the same calls give the same disk.
 */
export class SimulatedDisk {
  #now: Contents = { number: 0, entries: new Map() };
  #history: Contents[] = [];
  #pending: PendingWrite | null = null;
  #user: Storage | null = null;
  #asideCount = 0;

  /**
   * @param isAutomatic whether each write completes at once
   * @param guardsEnd whether the number of the last batch is known from a second source, which no damage reaches
   */
  constructor(
    readonly isAutomatic = false,
    readonly guardsEnd = true,
  ) {}

  #knownNumber = 0;

  /** The batch that is being written. */
  get pending(): StorageBatch | null {
    return this.#pending?.batch ?? null;
  }

  /** Of the last batch that is written. */
  get number(): number {
    return this.#now.number;
  }

  get entries(): ReadonlyMap<string, Uint8Array> {
    return this.#now.entries;
  }

  get asideCount(): number {
    return this.#asideCount;
  }

  /** A process's access to the disk. */
  storage(): Storage {
    const isUser = (): boolean => this.#user === storage;
    const storage: Storage = {
      open: async () => {
        if (this.#user !== null && !isUser()) throw new ConfigError('in use');
        this.#user = storage;
        return this.#contents();
      },
      write: (batch) => (isUser() ? this.#write(batch) : new Promise(() => {})),
      setAside: async () => {
        this.#asideCount += 1;
        this.#now = { number: 0, entries: new Map() };
        this.#knownNumber = 0;
        this.#history = [];
        return `aside ${this.#asideCount}`;
      },
      close: async () => {
        if (isUser()) this.#user = null;
      },
    };
    return storage;
  }

  #contents(): StorageContents {
    const { entries } = this.#now;
    return {
      kind: 'open',
      knownNumber: this.guardsEnd ? this.#knownNumber : 0,
      entries: (async function* () {
        let page: StoredEntry[] = [];
        for (const [key, value] of entries) {
          page.push({ key, value });
          if (page.length === 3) {
            yield page;
            page = [];
          }
        }
        if (page.length > 0) yield page;
      })(),
    };
  }

  #write(batch: StorageBatch): Promise<void> {
    if (this.#pending !== null) throw new Error('a write is under way');
    return new Promise((resolve, reject) => {
      this.#pending = { batch, resolve, reject };
      if (this.isAutomatic) this.complete();
    });
  }

  /** The batch that is being written is durable, and its writer told. */
  complete(): void {
    const pending = this.#take();
    this.#apply(pending.batch, Number.POSITIVE_INFINITY);
    this.#knownNumber = pending.batch.number;
    pending.resolve();
  }

  /** Its writer is told that it failed. */
  fail(error: Error, fate: Fate = 'lost'): void {
    const pending = this.#take();
    this.#suffer(pending.batch, fate);
    pending.reject(error);
  }

  /** The process is gone, and whoever waited for a write waits for ever. */
  crash(fate: Fate = 'lost'): void {
    if (this.#pending !== null) this.#suffer(this.#take().batch, fate);
    this.#user = null;
  }

  /** The disk is again what it was so many batches ago. */
  rollBack(batches: number): void {
    this.#now = this.#history.at(-batches) ?? { number: 0, entries: new Map() };
  }

  /** An entry becomes what is given; `null`: it is gone. */
  damage(key: string, value: Uint8Array | null): void {
    const entries = new Map(this.#now.entries);
    if (value === null) entries.delete(key);
    else entries.set(key, value);
    this.#now = { ...this.#now, entries };
  }

  #take(): PendingWrite {
    const pending = this.#pending;
    if (pending === null) throw new Error('nothing is being written');
    this.#pending = null;
    return pending;
  }

  #suffer(batch: StorageBatch, fate: Fate): void {
    if (fate === 'lost') return;
    this.#apply(batch, fate === 'written' ? Number.POSITIVE_INFINITY : fate.torn);
  }

  /** @param limit of its changes */
  #apply({ number, puts, deletes }: StorageBatch, limit: number): void {
    this.#history.push(this.#now);
    if (this.#history.length > MAX_HISTORY) this.#history.shift();
    const entries = new Map(this.#now.entries);
    let done = 0;
    for (const key of deletes) if (done++ < limit) entries.delete(key);
    for (const { key, value } of puts) if (done++ < limit) entries.set(key, value);
    this.#now = { number, entries };
  }
}
