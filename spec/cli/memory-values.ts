/** Key-values in memory, in place of a farm's. */
import type { KeyValues } from '../../lib/cli/farm-items.js';
import { WatchOverflowError } from '../../lib/errors.js';

type Entry = NonNullable<Awaited<ReturnType<KeyValues['find']>>>;

type Change = { readonly kind: 'set' | 'removed'; readonly key: string; readonly entry: Entry | null };

export class MemoryValues implements KeyValues {
  readonly #entries = new Map<string, Entry>();
  readonly #listeners = new Set<(change: Change) => void>();
  readonly #overflows = new Set<() => void>();
  #writes = 0n;
  /** What the next call fails with. */
  failure: Error | null = null;
  /** What happens right before the next compareAndSet. */
  interference: (() => Promise<unknown>) | null = null;

  async find(key: string): Promise<Entry | null> {
    this.#fail();
    const entry = this.#entries.get(key);
    return entry === undefined || (entry.until ?? Number.POSITIVE_INFINITY) <= Date.now() ? null : entry;
  }

  async set(
    key: string,
    value: unknown,
    { ttlMs = Number.POSITIVE_INFINITY }: { readonly ttlMs?: number } = {},
  ): Promise<Entry> {
    this.#fail();
    this.#writes += 1n;
    const entry = {
      key,
      value,
      version: `v${this.#writes}`,
      revision: this.#writes,
      until: ttlMs === Number.POSITIVE_INFINITY ? null : Date.now() + ttlMs,
    };
    this.#entries.set(key, entry);
    this.#tell({ kind: 'set', key, entry });
    return entry;
  }

  async compareAndSet(
    key: string,
    expected: { readonly version: string } | { readonly absent: true },
    value: unknown,
    options: { readonly ttlMs?: number } = {},
  ): Promise<{ readonly isSet: boolean; readonly entry: Entry | null }> {
    const interference = this.interference;
    this.interference = null;
    await interference?.();
    const found = await this.find(key);
    const isExpected = 'absent' in expected ? found === null : found?.version === expected.version;
    return isExpected ? { isSet: true, entry: await this.set(key, value, options) } : { isSet: false, entry: found };
  }

  async delete(
    key: string,
    { expected }: { readonly expected?: { version: string } | { absent: true } } = {},
  ): Promise<boolean> {
    const found = await this.find(key);
    if (found === null || (expected !== undefined && 'version' in expected && expected.version !== found.version)) {
      return false;
    }
    this.#entries.delete(key);
    this.#tell({ kind: 'removed', key, entry: null });
    return true;
  }

  async keys({
    prefix = '',
    limit = 1000,
  }: {
    readonly prefix?: string;
    readonly limit?: number;
  } = {}): Promise<string[]> {
    this.#fail();
    return [...this.#entries.keys()].filter((key) => key.startsWith(prefix)).slice(0, limit);
  }

  /** That were asked for. */
  watches = 0;

  /** Until it resolves no watch begins. */
  watchable: Promise<void> = Promise.resolve();

  watch(target: string | { readonly prefix: string }, options: { readonly signal?: AbortSignal } = {}) {
    this.#fail();
    this.watches += 1;
    const ready = this.watchable;
    const changes = this.#changes(target, options);
    return { ready: () => ready, [Symbol.asyncIterator]: () => changes };
  }

  async *#changes(
    target: string | { readonly prefix: string },
    { signal }: { readonly signal?: AbortSignal },
  ): AsyncGenerator<Change> {
    const queue: Change[] = [];
    let wake = (): void => undefined;
    const listener = (change: Change): void => {
      if (typeof target === 'string' ? change.key !== target : !change.key.startsWith(target.prefix)) return;
      queue.push(change);
      wake();
    };
    let isOverflown = false;
    const overflow = (): void => {
      isOverflown = true;
      wake();
    };
    this.#listeners.add(listener);
    this.#overflows.add(overflow);
    signal?.addEventListener('abort', () => wake());
    try {
      while (signal?.aborted !== true) {
        if (isOverflown) throw new WatchOverflowError('too many wait');
        const change = queue.shift();
        if (change !== undefined) yield change;
        else
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
      }
    } finally {
      this.#listeners.delete(listener);
      this.#overflows.delete(overflow);
    }
  }

  /** More has changed than those who watch have taken. */
  overflow(): void {
    for (const overflow of this.#overflows) overflow();
  }

  get watchers(): number {
    return this.#listeners.size;
  }

  now(): number {
    return Date.now();
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }

  #fail(): void {
    const { failure } = this;
    this.failure = null;
    if (failure !== null) throw failure;
  }
}
