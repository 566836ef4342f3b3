import { type Ballot, NO_BALLOT, type RegisterRecord } from '../paxos/index.js';
import { type AcceptorMemory, recordsOf } from './acceptor-memory.js';
import type { Identity } from './format.js';
import { MemoryTable } from './memory.js';

const DONE = Promise.resolve();

/** A memory that ends with its process: whatever is in it is as safe as it will ever be. */
export class VolatileTable implements AcceptorMemory {
  #records = new MemoryTable();
  #identity: Identity | null = null;
  readonly isSettled = true;
  readonly isFull = false;
  readonly loadedFloor: Ballot = NO_BALLOT;

  get(key: string): RegisterRecord | undefined {
    return this.#records.get(key);
  }

  set(key: string, record: RegisterRecord): void {
    this.#records.set(key, record);
  }

  delete(key: string): void {
    this.#records.delete(key);
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
  }

  follow(): void {}

  restore(): void {}

  reset(): (readonly [string, RegisterRecord])[] {
    const records = recordsOf(this.#records);
    this.#records = new MemoryTable();
    return records;
  }

  flush(): Promise<void> {
    return DONE;
  }

  flushAll(): Promise<void> {
    return DONE;
  }

  look(): void {}

  close(): Promise<void> {
    return DONE;
  }
}
