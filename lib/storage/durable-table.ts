import { ClosedError, StorageError } from '../errors.js';
import { type Ballot, compareBallots, NO_BALLOT, type RegisterRecord, sameBallot } from '../paxos/index.js';
import { type AcceptorMemory, recordsOf, STALLED_MS } from './acceptor-memory.js';
import type { StoredRecord } from './decode.js';
import { messageOf } from './failure.js';
import type { Identity } from './format.js';
import type { Ledger } from './ledger.js';
import { MemoryTable } from './memory.js';
import type { Storage, StorageBatch } from './storage.js';

/** Registers, and bytes of their values, that may wait for the next batch. */
const MAX_CHANGED = 8192;
const MAX_CHANGED_BYTES = 16 << 20;
/** So many changes that no answer waits for are written all the same. */
const LAZY_LIMIT = 1024;

/** What was found in a storage. */
export interface Loaded {
  readonly identity: Identity;
  readonly floor: Ballot;
  readonly records: readonly (readonly [string, StoredRecord])[];
}

interface Write {
  /** Whether an answer may have to wait for it. */
  readonly isUrgent: boolean;
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: Error): void;
}

/**
 * An acceptor's memory that outlives its process. Group commit (DeWitt et al., *Implementation Techniques for Main Memory
 * Database Systems*, 1984): at most one batch is being written; all that changes meanwhile goes with the next.
 *
 * A batch is the difference between the memory of the moment at which it is taken and that of the batch before: so
 * what is on disk is always the whole memory of one moment, and when a batch is there, so is all that was done, and all
 * that was seen by those who did it, up to that moment. Hence a flush needs to know only which batch was the first to
 * be taken after it was called.
 */
export class DurableTable implements AcceptorMemory {
  readonly #storage: Storage;
  readonly #ledger: Ledger;
  #records = new MemoryTable();
  /** Registers that differ from what the last batch has of them, or may. */
  #changed = new Set<string>();
  #changedBytes = 0;
  /** Whether an answer may tell of something that the last batch does not have. */
  #isUrgent = false;
  #identity: Identity | null;
  #isIdentityChanged = false;
  #acceptor: { readonly floor: Ballot } | null = null;
  /** The floor of the last batch. */
  #floor: Ballot;
  #loaded: Loaded | null;
  /** While that is handed over: the record in hand. */
  #restoring: StoredRecord | null = null;
  #writing: Write | null = null;
  /** The batch to be taken when the one being written is done, if somebody waits for it. */
  #next: Write | null = null;
  #failure: Error | null = null;
  /** How long the batch being written has been. */
  #writingMs = 0;
  #isStalled = false;
  #closing: Promise<void> | null = null;

  /** @param ledger of what the storage, which is open, holds: `loaded`, if that is not `null` */
  constructor(storage: Storage, ledger: Ledger, loaded: Loaded | null) {
    this.#storage = storage;
    this.#ledger = ledger;
    this.#loaded = loaded;
    this.#identity = loaded?.identity ?? null;
    this.#floor = loaded?.floor ?? NO_BALLOT;
    this.loadedFloor = this.#floor;
  }

  readonly loadedFloor: Ballot;

  get(key: string): RegisterRecord | undefined {
    return this.#records.get(key);
  }

  set(key: string, record: RegisterRecord): void {
    const before = this.#restoring ?? this.#records.get(key);
    this.#records.set(key, record);
    const difference = differenceOf(before, record);
    if (difference === 'none') return;
    this.#note(key, record.proposal?.value?.byteLength ?? 0);
    if (difference === 'more') this.#isUrgent = true;
  }

  delete(key: string): void {
    if (this.#records.get(key) === undefined) return;
    this.#records.delete(key);
    this.#note(key, 0);
    this.#isUrgent = true;
  }

  #note(key: string, size: number): void {
    this.#changed.add(key);
    this.#changedBytes += size;
  }

  get size(): number {
    return this.#records.size;
  }

  shard(shard: number): Iterable<readonly [string, RegisterRecord]> {
    return this.#records.shard(shard);
  }

  get identity(): Identity | null {
    return this.#identity;
  }

  identify(identity: Identity): void {
    this.#identity = identity;
    this.#isIdentityChanged = true;
    this.#isUrgent = true;
  }

  follow(acceptor: { readonly floor: Ballot }): void {
    if (compareBallots(acceptor.floor, this.#floor) < 0)
      throw new Error('the floor of the acceptor is below what is stored');
    this.#acceptor = acceptor;
  }

  restore(take: (key: string, record: StoredRecord) => void): void {
    const { records } = this.#loaded ?? { records: [] };
    this.#loaded = null;
    for (const [key, record] of records) {
      this.#restoring = record;
      take(key, record);
      this.#restoring = null;
      if (this.#records.get(key) === undefined) throw new Error(`${key} was loaded, and nobody took it`);
    }
  }

  reset(): (readonly [string, RegisterRecord])[] {
    const records = recordsOf(this.#records);
    this.#records = new MemoryTable();
    this.#loaded = null;
    this.#acceptor = null;
    this.#floor = NO_BALLOT;
    for (const key of this.#ledger.registerKeys()) this.#changed.add(key);
    this.#isUrgent = true;
    return records;
  }

  get isSettled(): boolean {
    return this.#failure === null && !this.#hasUrgent() && this.#writing?.isUrgent !== true;
  }

  get isFull(): boolean {
    return this.#changed.size >= MAX_CHANGED || this.#changedBytes >= MAX_CHANGED_BYTES;
  }

  flush(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#hasUrgent()) return this.#schedule();
    // Taken before the lazy ones below may begin another write: it holds all that this call has to wait for.
    const promise = this.#writing?.isUrgent === true ? this.#writing.promise : DONE;
    if (this.#changed.size >= LAZY_LIMIT || this.isFull) void this.#schedule();
    return promise;
  }

  flushAll(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#hasUrgent() || this.#changed.size > 0) return this.#schedule();
    return this.#writing?.promise ?? DONE;
  }

  #hasUrgent(): boolean {
    return this.#isUrgent || !sameBallot(this.#floorNow(), this.#floor);
  }

  #floorNow(): Ballot {
    return this.#acceptor?.floor ?? this.#floor;
  }

  /** @returns what resolves with the next batch to be taken */
  #schedule(): Promise<void> {
    this.#next ??= makeWrite();
    const { promise } = this.#next;
    if (this.#writing === null) this.#begin(this.#next);
    return promise;
  }

  #begin(write: Write): void {
    this.#next = null;
    this.#writing = { ...write, isUrgent: this.#hasUrgent() };
    this.#writingMs = 0;
    this.#write().then(
      () => {
        // What comes that late has been given up.
        if (this.#failure !== null) return;
        this.#writing = null;
        write.resolve();
        if (this.#next !== null) this.#begin(this.#next);
      },
      (cause) => this.#fail(write, cause),
    );
  }

  look(elapsedMs: number): void {
    const write = this.#writing;
    if (write === null || this.#failure !== null) return;
    this.#writingMs += elapsedMs;
    if (this.#writingMs < STALLED_MS) return;
    this.#isStalled = true;
    this.#fail(write, new Error(`it has not answered for ${STALLED_MS / 1000} s`));
  }

  async #write(): Promise<void> {
    // Before anything else can run: the batch is what the memory is at the moment of the call.
    await this.#storage.write(this.#take());
  }

  #take(): StorageBatch {
    if (this.#loaded !== null) throw new Error('what was loaded has not been restored');
    if (this.#identity === null) throw new Error('nobody has said whose memory this is');
    const records = Array.from(this.#changed, (key) => [key, this.#records.get(key)] as const);
    const floor = this.#floorNow();
    const identity = this.#isIdentityChanged ? this.#identity : null;
    this.#changed = new Set();
    this.#changedBytes = 0;
    this.#isIdentityChanged = false;
    this.#isUrgent = false;
    this.#floor = floor;
    return this.#ledger.batch({ records, identity, floor });
  }

  /** For ever: after a failed write nobody knows what is on disk, and a later success would not say. */
  #fail(write: Write, cause: unknown): void {
    if (this.#failure !== null) return;
    this.#failure = new StorageError(
      `The storage failed, and this node votes no more until it is restarted: ${messageOf(cause)}`,
      {
        cause,
      },
    );
    this.#writing = null;
    write.reject(this.#failure);
    this.#next?.reject(this.#failure);
    this.#next = null;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      // A node that never took anybody's place has nothing to write.
      if (this.#failure === null && this.#identity !== null && this.#loaded === null) await this.flushAll();
    } finally {
      this.#failure ??= new ClosedError('The storage is closed.');
      const closed = this.#storage.close();
      // One that does not answer does not close either. Whether it fails is of no interest any more.
      if (this.#isStalled) closed.catch(() => {});
      else await closed;
    }
  }
}

const DONE = Promise.resolve();

function makeWrite(): Write {
  let resolve = (): void => {};
  let reject = (_error: Error): void => {};
  const promise = new Promise<void>((onDone, onFailed) => {
    resolve = onDone;
    reject = onFailed;
  });
  // A write that nobody waits for may fail too; whoever flushes next is told.
  promise.catch(() => {});
  return { isUrgent: false, promise, resolve, reject };
}

/** What of a change has to be stored: nothing, only the word that the value is chosen, or more. */
function differenceOf(
  before: RegisterRecord | StoredRecord | undefined,
  next: RegisterRecord,
): 'none' | 'word' | 'more' {
  const isSame =
    before !== undefined &&
    before.proposal === next.proposal &&
    before.horizon === next.horizon &&
    sameBallot(before.promised, next.promised);
  if (!isSame) return 'more';
  if (before.committed === next.committed) return 'none';
  return next.committed ? 'word' : 'more';
}
