/** Items in a farm that this process is in. */
import { OverloadedError } from '../errors.js';
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

export interface Entry {
  readonly key: string | readonly (string | number)[];
  readonly value: unknown;
  readonly version: string;
  readonly revision: bigint;
}

type Expected = { readonly version: string } | { readonly absent: true };

interface CallOptions {
  readonly timeoutMs?: number;
}

/** What of `PaxosKV` is used here. */
export interface KeyValues {
  find(key: string, options?: CallOptions): Promise<Entry | null>;
  set(key: string, value: unknown, options?: CallOptions & { readonly until?: number }): Promise<Entry>;
  compareAndSet(
    key: string,
    expected: Expected,
    value: unknown,
    options?: CallOptions & { readonly until?: number },
  ): Promise<{ readonly isSet: boolean; readonly entry: Entry | null }>;
  delete(key: string, options?: CallOptions & { readonly expected?: Expected }): Promise<boolean>;
  keys(options?: { readonly prefix?: string; readonly limit?: number }): Promise<Entry['key'][]>;
  lifetime(key: string): Promise<{ readonly until?: number | undefined } | null>;
  watch(
    target: string | { readonly prefix: string },
    options?: { readonly signal?: AbortSignal; readonly initial?: boolean },
  ): AsyncIterable<{ readonly kind: 'set' | 'removed'; readonly key: Entry['key']; readonly entry: Entry | null }>;
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
    const entry = await this.#kv.find(key, this.#deadline());
    if (entry === null) return null;
    const until = (await this.#kv.lifetime(key))?.until;
    const ttlMs = until === undefined || !Number.isFinite(until) ? null : Math.max(0, until - this.#kv.now());
    return foundOf(key, entry, ttlMs);
  }

  async write(key: string, { type, body }: Item, { ttlMs, condition }: WriteOptions = {}): Promise<Written | null> {
    const deadline = this.#deadline();
    const value = { type, body };
    const life = ttlMs === undefined ? {} : { until: this.#kv.now() + ttlMs };
    if (condition === undefined) return await this.#kv.set(key, value, { ...deadline, ...life });
    let entry = condition.kind === 'absent' ? null : await this.#kv.find(key, deadline);
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      if (!holds(condition, entry?.version ?? null)) return null;
      const result = await this.#kv.compareAndSet(key, expectedOf(entry), value, { ...deadline, ...life });
      if (result.isSet) return result.entry;
      entry = result.entry;
    }
    throw contention(key);
  }

  async remove(key: string, condition?: Condition): Promise<Removal> {
    const deadline = this.#deadline();
    if (condition === undefined) return (await this.#kv.delete(key, deadline)) ? 'removed' : 'absent';
    for (let tries = 0; tries < MAX_TRIES; tries += 1) {
      const entry = await this.#kv.find(key, deadline);
      if (entry === null) return 'absent';
      if (!holds(condition, entry.version)) return 'other';
      if (await this.#kv.delete(key, { ...deadline, expected: { version: entry.version } })) return 'removed';
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

  async *watch(target: WatchTarget, signal: AbortSignal): AsyncGenerator<ItemChange> {
    const changes = this.#kv.watch('key' in target ? target.key : target, { signal, initial: false });
    for await (const { kind, key, entry } of changes) {
      if (typeof key !== 'string') continue;
      yield { kind, key, found: entry === null ? null : foundOf(key, entry, null) };
    }
  }

  /** What is left of the time, at each look. */
  #deadline(): { readonly timeoutMs: number } {
    const endMs = performance.now() + this.#timeoutMs;
    return {
      get timeoutMs() {
        return Math.max(0, endMs - performance.now());
      },
    };
  }
}

function expectedOf(entry: Entry | null): Expected {
  return entry === null ? { absent: true } : { version: entry.version };
}

function contention(key: string): OverloadedError {
  return new OverloadedError(
    `Others wrote '${key.slice(0, 100)}' each time that it was to be written, ${MAX_TRIES} times. Nothing was written; try again, or write it from fewer places.`,
  );
}

function foundOf(key: string, { value, version, revision }: Entry, ttlMs: number | null): Found {
  return { key, item: itemOf(value), version, revision, ttlMs };
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
