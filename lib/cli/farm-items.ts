/** Items in a farm that this process is in. */
import { setTimeout } from 'node:timers/promises';
import { OverloadedError } from '../errors.js';
import type { Key, Entry as KvEntry } from '../kv/index.js';
import {
  type Condition,
  type Found,
  holds,
  type Item,
  type ItemChange,
  type Items,
  type KeyList,
  type Removal,
  type WatchTarget,
  type WriteOptions,
  type Written,
} from './items.js';

/** A condition is looked at again so often while others write the key. */
const MAX_TRIES = 32;
/** Keys with changes that wait for who watches; of more he is told that he is too slow. */
const MAX_WAITING = 10_000;

type Entry = Omit<KvEntry, 'created'>;
type Expected = { readonly version: string } | { readonly absent: true };

interface CallOptions {
  readonly timeoutMs?: number;
}

/** What of a `Watch` is used here. */
export interface KeyChanges
  extends AsyncIterable<{ readonly kind: 'set' | 'removed'; readonly key: Key; readonly entry: Entry | null }> {
  ready(): Promise<void>;
}

/** What of `PaxosKV` is used here. */
export interface KeyValues {
  find(key: string, options?: CallOptions): Promise<Entry | null>;
  set(key: string, value: unknown, options?: CallOptions & { readonly ttlMs?: number }): Promise<Entry>;
  compareAndSet(
    key: string,
    expected: Expected,
    value: unknown,
    options?: CallOptions & { readonly ttlMs?: number },
  ): Promise<{ readonly isSet: boolean; readonly entry: Entry | null }>;
  delete(key: string, options?: CallOptions & { readonly expected?: Expected }): Promise<boolean>;
  keys(options?: { readonly prefix?: string; readonly limit?: number }): Promise<Key[]>;
  watch(
    target: string | { readonly prefix: string },
    options?: { readonly signal?: AbortSignal; readonly limit?: number },
  ): KeyChanges;
  now(): number;
}

export class FarmItems implements Items {
  readonly #kv: KeyValues;
  readonly #timeoutMs: number;

  /** @param timeoutMs for each call, all that it takes together */
  constructor(kv: KeyValues, timeoutMs: number) {
    this.#kv = kv;
    this.#timeoutMs = timeoutMs;
  }

  async find(key: string): Promise<Found | null> {
    const entry = await this.#kv.find(key, { timeoutMs: this.#timeoutMs });
    return entry === null ? null : this.#foundOf(key, entry);
  }

  async write(key: string, { type, body }: Item, { ttlMs, condition }: WriteOptions = {}): Promise<Written | null> {
    const left = this.#deadline();
    const value = { type, body };
    // Without any it would go on living by what it did, where there is a condition.
    const life = { ttlMs: ttlMs ?? Number.POSITIVE_INFINITY };
    if (condition === undefined) return await this.#kv.set(key, value, { ...left(), ...life });
    let entry = condition.kind === 'absent' ? null : await this.#kv.find(key, left());
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (!holds(condition, entry?.version ?? null)) return null;
      const result = await this.#kv.compareAndSet(key, expectedOf(entry), value, { ...left(), ...life });
      if (result.isSet) return result.entry;
      entry = result.entry;
    }
    throw contention(key);
  }

  async remove(key: string, condition?: Condition): Promise<Removal> {
    const left = this.#deadline();
    if (condition === undefined) return (await this.#kv.delete(key, left())) ? 'removed' : 'absent';
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const entry = await this.#kv.find(key, left());
      if (!holds(condition, entry?.version ?? null)) return 'other';
      if (entry === null) return 'absent';
      if (await this.#kv.delete(key, { ...left(), expected: { version: entry.version } })) return 'removed';
    }
    throw contention(key);
  }

  async keys(prefix: string, limit: number): Promise<KeyList> {
    // One more tells whether there are more.
    const all = await this.#kv.keys({ prefix, limit: limit + 1 });
    // An app may have other keys in the bucket, made of several parts: no path names them.
    const keys = all.filter((key): key is string => typeof key === 'string').sort();
    return { keys: keys.slice(0, limit), isComplete: all.length <= limit };
  }

  async watch(target: WatchTarget, signal: AbortSignal): Promise<AsyncIterableIterator<ItemChange>> {
    let end = (): void => undefined;
    const ended = new Promise<AsyncIterableIterator<ItemChange>>((resolve) => {
      end = () => resolve(noChanges());
    });
    signal.addEventListener('abort', end);
    if (signal.aborted) end();
    try {
      // Who has been told to end waits for no call that is under way, nor is it told what becomes of that.
      return await Promise.race([ended, this.#begin(target, signal)]);
    } finally {
      signal.removeEventListener('abort', end);
    }
  }

  /** @returns the changes, once the watch has begun */
  async #begin(target: WatchTarget, signal: AbortSignal): Promise<AsyncIterableIterator<ItemChange>> {
    const changes = this.#kv.watch('key' in target ? target.key : target, { signal, limit: MAX_WAITING });
    const begun = changes.ready().then(
      () => true,
      (error: unknown) => {
        // Who has been told to end has not failed.
        if (signal.aborted) return true;
        throw error;
      },
    );
    for (;;) {
      const isBegun = await Promise.race([
        begun,
        setTimeout(this.#timeoutMs, false, { signal, ref: false }).catch(() => true),
      ]);
      if (isBegun) return this.#itemsOf(changes);
      // It takes a look at all keys, which may be many; or there is no quorum, which this says.
      await this.#kv.find('key' in target ? target.key : target.prefix, { timeoutMs: this.#timeoutMs });
    }
  }

  async *#itemsOf(changes: KeyChanges): AsyncGenerator<ItemChange> {
    for await (const { kind, key, entry } of changes) {
      if (typeof key !== 'string') continue;
      yield { kind, key, found: entry === null ? null : this.#foundOf(key, entry) };
    }
  }

  #foundOf(key: string, { value, version, revision, until }: Entry): Found {
    const ttlMs = until === null ? null : Math.max(0, until - this.#kv.now());
    return { key, item: itemOf(value), version, revision, ttlMs };
  }

  /** @returns tells what is left of the time, which begins now */
  #deadline(): () => { readonly timeoutMs: number } {
    const endMs = performance.now() + this.#timeoutMs;
    return () => ({ timeoutMs: Math.max(0, endMs - performance.now()) });
  }
}

async function* noChanges(): AsyncGenerator<ItemChange> {}

function expectedOf(entry: Entry | null): Expected {
  return entry === null ? { absent: true } : { version: entry.version };
}

function contention(key: string): OverloadedError {
  return new OverloadedError(
    `Others wrote '${key.slice(0, 100)}' each time that it was to be written, ${MAX_TRIES} times. Nothing was written; try again, or write it from fewer places.`,
  );
}

/** What an app has put into the bucket by itself is given in the form that fits it best. */
export function itemOf(value: unknown): Item {
  if (value instanceof Uint8Array) return { type: 'application/octet-stream', body: bufferOf(value) };
  if (typeof value === 'string') return { type: 'text/plain; charset=utf-8', body: Buffer.from(value) };
  if (typeof value === 'object' && value !== null && 'type' in value && 'body' in value) {
    const { type, body } = value;
    if (typeof type === 'string' && body instanceof Uint8Array) return { type, body: bufferOf(body) };
  }
  const text = JSON.stringify(value, (_, part) => (typeof part === 'bigint' ? String(part) : part)) ?? 'null';
  return { type: 'application/json', body: Buffer.from(text) };
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
