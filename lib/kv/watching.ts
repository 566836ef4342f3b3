import { PaxosError } from '../errors.js';
import type { Head, WatchableRegisters } from '../node/registers.js';
import { FOREVER, formatBallot, type State } from '../paxos/index.js';
import { refuse } from './options.js';
import { Queue } from './queue.js';

export interface WatchOptions {
  /** Ends the watch. */
  readonly signal?: AbortSignal | undefined;
  /** Whether what is there when it begins is reported first. Default `false`. */
  readonly initial?: boolean | undefined;
  /**
   * Keys with a change that waits for the consumer, at most: 1..1 000 000, default 1000. Of one key only the latest waits.
   * Beyond it the watch ends with a `WatchOverflowError`.
   */
  readonly limit?: number | undefined;
}

/** Which keys, by their ids. */
export type Scope = { readonly id: string } | { readonly prefix: string };

export interface WatchingNode extends Pick<WatchableRegisters, 'watch' | 'heads' | 'after' | 'nowMs'> {
  on(event: 'connect', listener: () => void): unknown;
  off(event: 'connect', listener: () => void): unknown;
}

export interface WatchingSetup<H> {
  readonly node: WatchingNode;
  readonly bucket: string;
  /** What the key holds, by a quorum; `null` for nothing. */
  readonly read: (id: string) => Promise<H | null>;
}

/** Between two looks at all keys, at least; and no more than a twentieth of the time is spent on them. */
const RECONCILE_MS = 5000;
const RECONCILE_SHARE = 20;
/** Looks at what ends, and retries of reads that failed. */
const TICK_MS = 250;
const MAX_READING = 16;
/** Keys that wait to be read, at most: of more all are looked at. */
const MAX_DIRTY = 10_000;
const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 1_000_000;
/** How long a timer holds the process that waits for a change. */
const HOLD_MS = 1000;

/** What is known of a key that somebody watches. */
interface Known {
  /** As the latest look at all keys had it. */
  head: string | null;
  /** What was reported, or read; `null` if it was not yet. */
  mark: string | null;
}

/** Of a key that is absent. */
const ABSENT_MARK = '';

type Listener<H> = (id: string, held: H | null) => void;

interface Subscriber<H> {
  readonly scope: Scope;
  readonly listener: Listener<H>;
}

/**
 * Tells of the changes of a bucket's keys, for all who watch it on one node (docs/protocol.md, "Watching").
 *
 * Word that something was chosen comes with the datagrams, and may be lost with them. So what is heard only says which keys
 * to read, and all heads of the bucket are compared at intervals, and whenever a quorum is back, with what they were before.
 */
export class Watching<H extends State> {
  readonly #setup: WatchingSetup<H>;
  readonly #subscribers = new Set<Subscriber<H>>();
  readonly #queues = new Set<Queue<unknown>>();
  readonly #known = new Map<string, Known>();
  /** By when they end, in ticks. */
  readonly #ends = new Map<number, string[]>();
  readonly #dirty = new Set<string>();
  readonly #reading = new Set<string>();
  /** Who has to be told of a key's present state, changed or not. */
  readonly #owed = new Map<string, Set<Subscriber<H>>>();
  /** Those that have begun when the next look at the keys has been taken. */
  #beginning: (() => void)[] = [];
  #stop: (() => void) | null = null;
  /** Whether all keys of the bucket are known, not only those that are watched by themselves. */
  #isWhole = false;
  #isReconciling = false;
  #isReconciliationDue = false;
  #nextReconciliationMs = 0;

  constructor(setup: WatchingSetup<H>) {
    this.#setup = setup;
  }

  /** @throws ConfigError */
  watch<T>(scope: Scope, options: WatchOptions, changeOf: (id: string, held: H | null) => T): Queue<T> {
    const { signal, initial = false, limit = DEFAULT_LIMIT } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
      throw refuse('limit', limit, `a whole number from 1 to ${MAX_LIMIT}`);
    const onAbort = (): void => queue.end();
    let leave = (): void => undefined;
    const queue: Queue<T> = new Queue<T>({
      limit,
      hold: (callback) => this.#setup.node.after(HOLD_MS, callback, true),
      onTaken: () => undefined,
      onEnd: () => {
        signal?.removeEventListener('abort', onAbort);
        leave();
      },
    });
    if (signal?.aborted === true) queue.end();
    if (signal?.aborted === true) return queue;
    signal?.addEventListener('abort', onAbort);
    const subscriber: Subscriber<H> = { scope, listener: (id, held) => queue.put(id, () => changeOf(id, held)) };
    leave = () => {
      this.#queues.delete(queue as Queue<unknown>);
      this.#unsubscribe(subscriber);
    };
    this.#queues.add(queue as Queue<unknown>);
    void this.#subscribe(subscriber, initial).then(() => queue.begin());
    return queue;
  }

  /** All changes, to a listener. @returns ends it */
  listen(listener: Listener<H>): () => void {
    const subscriber: Subscriber<H> = { scope: { prefix: '' }, listener };
    void this.#subscribe(subscriber, false);
    return () => this.#unsubscribe(subscriber);
  }

  /** Ends all watches. */
  close(): void {
    for (const queue of [...this.#queues]) queue.end();
    for (const subscriber of [...this.#subscribers]) this.#unsubscribe(subscriber);
  }

  /** @returns resolves when what is there now is known; never, if it has ended before */
  async #subscribe(subscriber: Subscriber<H>, isInitial: boolean): Promise<void> {
    this.#subscribers.add(subscriber);
    this.#stop ??= this.#start();
    // It takes a look that begins from now on.
    const begun = new Promise<void>((resolve) => {
      this.#beginning.push(resolve);
    });
    this.#reconcileSoon();
    await begun;
    if (!isInitial || !this.#subscribers.has(subscriber)) return;
    for (const id of this.#idsOf(subscriber.scope)) {
      const owed = this.#owed.get(id) ?? new Set();
      this.#owed.set(id, owed.add(subscriber));
      this.#dirty.add(id);
    }
    this.#pump();
  }

  #idsOf(scope: Scope): string[] {
    if ('id' in scope) return [scope.id];
    return [...this.#known.keys()].filter((id) => id.startsWith(scope.prefix));
  }

  #unsubscribe(subscriber: Subscriber<H>): void {
    if (!this.#subscribers.delete(subscriber)) return;
    for (const [id, owed] of this.#owed) {
      owed.delete(subscriber);
      if (owed.size === 0) this.#owed.delete(id);
    }
    if (this.#isWhole && !this.#isOfAll) {
      this.#isWhole = false;
      for (const id of [...this.#known.keys()]) if (!this.#isWatched(id)) this.#known.delete(id);
    }
    if (this.#subscribers.size > 0) return;
    this.#stop?.();
    this.#stop = null;
    this.#ends.clear();
    this.#dirty.clear();
  }

  /** Whether somebody watches more than single keys. */
  get #isOfAll(): boolean {
    for (const { scope } of this.#subscribers) if ('prefix' in scope) return true;
    return false;
  }

  #isWatchedByItself(id: string): boolean {
    for (const { scope } of this.#subscribers) if ('id' in scope && scope.id === id) return true;
    return false;
  }

  /** @returns stops it */
  #start(): () => void {
    const { node, bucket } = this.#setup;
    const unwatch = node.watch(bucket, ({ id }) => this.#mark(id));
    const onConnect = (): void => this.#reconcileSoon();
    node.on('connect', onConnect);
    let cancel = (): void => undefined;
    const tick = (): void => {
      cancel = node.after(TICK_MS, tick);
      this.#tick();
    };
    cancel = node.after(TICK_MS, tick);
    return () => {
      cancel();
      unwatch();
      node.off('connect', onConnect);
    };
  }

  #tick(): void {
    const { node } = this.#setup;
    const now = Math.floor(node.nowMs() / TICK_MS);
    for (const [slot, ids] of this.#ends) {
      if (slot > now) continue;
      this.#ends.delete(slot);
      for (const id of ids) this.#mark(id);
    }
    if (node.nowMs() >= this.#nextReconciliationMs) this.#reconcileSoon();
    else if (this.#isReconciliationDue) void this.#reconcile();
    this.#pump();
  }

  #isWatched(id: string): boolean {
    for (const { scope } of this.#subscribers) if (isIn(scope, id)) return true;
    return false;
  }

  /** The key may have changed. */
  #mark(id: string): void {
    if (!this.#isWatched(id)) return;
    if (this.#dirty.size >= MAX_DIRTY) {
      this.#reconcileSoon();
      return;
    }
    this.#dirty.add(id);
    this.#pump();
  }

  #pump(): void {
    for (const id of this.#dirty) {
      if (this.#reading.size >= MAX_READING) return;
      // One at a time for each key: so what is told of it never goes back.
      if (this.#reading.has(id)) continue;
      this.#dirty.delete(id);
      void this.#read(id);
    }
  }

  async #read(id: string): Promise<void> {
    this.#reading.add(id);
    try {
      const held = await this.#setup.read(id);
      this.#found(id, held);
    } catch (error) {
      // It is read again at the next tick: no quorum, mostly. What can't be read at all is no change.
      if (error instanceof PaxosError && error.code !== 'ERR_UNREADABLE' && this.#isWatched(id)) this.#retry(id);
    } finally {
      this.#reading.delete(id);
      if (this.#dirty.has(id)) this.#pump();
    }
  }

  #retry(id: string): void {
    if (this.#dirty.size < MAX_DIRTY) this.#dirty.add(id);
    else this.#isReconciliationDue = true;
  }

  #found(id: string, held: H | null): void {
    if (!this.#isWatched(id)) return;
    const known = this.#known.get(id);
    const mark = held === null ? ABSENT_MARK : markOf(held);
    const isNews = known === undefined ? held !== null : known.mark !== mark;
    this.#learn(id, held);
    const owed = this.#owed.get(id);
    this.#owed.delete(id);
    for (const subscriber of [...this.#subscribers]) {
      const isOwed = owed?.has(subscriber) === true && held !== null;
      if (isIn(subscriber.scope, id) && (isNews || isOwed)) subscriber.listener(id, held);
    }
  }

  #learn(id: string, held: H | null): void {
    if (held !== null) {
      this.#known.set(id, { head: this.#known.get(id)?.head ?? null, mark: markOf(held) });
      if (held.until < FOREVER) this.#fileEnd(id, held.until);
    } else if (this.#isWatchedByItself(id)) this.#known.set(id, { head: null, mark: ABSENT_MARK });
    else this.#known.delete(id);
  }

  #fileEnd(id: string, untilMs: number): void {
    const slot = Math.floor(untilMs / TICK_MS) + 1;
    const ids = this.#ends.get(slot);
    if (ids === undefined) this.#ends.set(slot, [id]);
    else ids.push(id);
  }

  #reconcileSoon(): void {
    this.#isReconciliationDue = true;
    if (!this.#isReconciling) void this.#reconcile();
  }

  async #reconcile(): Promise<void> {
    if (this.#isReconciling || this.#stop === null) return;
    const { node, bucket } = this.#setup;
    const beganMs = node.nowMs();
    this.#isReconciling = true;
    this.#isReconciliationDue = false;
    this.#nextReconciliationMs = Number.POSITIVE_INFINITY;
    const beginning = this.#beginning.splice(0);
    try {
      if (this.#isOfAll) this.#compare(await node.heads(bucket));
      await this.#lookAtEach();
      for (const begin of beginning) begin();
    } catch (error) {
      if (!(error instanceof PaxosError)) throw error;
      // No quorum, mostly: again at the next tick.
      this.#beginning.push(...beginning);
      this.#isReconciliationDue = true;
    } finally {
      this.#isReconciling = false;
      const tookMs = node.nowMs() - beganMs;
      this.#nextReconciliationMs = node.nowMs() + Math.max(RECONCILE_MS, RECONCILE_SHARE * tookMs);
    }
    if (this.#beginning.length > 0) this.#isReconciliationDue = true;
    this.#pump();
  }

  /** Keys that are met for the first time when all are looked at for the first time have not changed: they are there. */
  #compare(heads: readonly Head[]): void {
    const isFirst = !this.#isWhole;
    this.#isWhole = this.#isOfAll;
    const there = new Set<string>();
    for (const { id, mark } of heads) {
      there.add(id);
      const known = this.#known.get(id);
      const isChanged = known === undefined ? !isFirst : mark === null || known.head !== mark;
      if (known === undefined) this.#known.set(id, { head: mark, mark: null });
      else known.head = mark;
      if (isChanged && this.#isWatched(id)) this.#dirty.add(id);
    }
    for (const [id, { mark }] of this.#known) {
      if (there.has(id) || mark === ABSENT_MARK) continue;
      if (this.#isWatched(id)) this.#dirty.add(id);
      else this.#known.delete(id);
    }
  }

  /** Keys that are watched by themselves, where not all are: the first look at one tells what is there. */
  async #lookAtEach(): Promise<void> {
    if (this.#isWhole) return;
    const ids = [...this.#subscribers].flatMap(({ scope }) => ('id' in scope ? scope.id : []));
    const first = new Set(ids.filter((id) => !this.#known.has(id) && !this.#reading.has(id)));
    for (const id of ids) if (!first.has(id)) this.#dirty.add(id);
    const looks = [...first].map(async (id) => {
      this.#reading.add(id);
      try {
        this.#learn(id, await this.#setup.read(id));
      } finally {
        this.#reading.delete(id);
      }
    });
    await Promise.all(looks);
  }
}

/** What tells one state of a key from another that followed or preceded it. */
function markOf({ dataBallot, birth, attributes, until }: State): string {
  const beside = Buffer.from(attributes.buffer, attributes.byteOffset, attributes.length).toString('latin1');
  return `${formatBallot(dataBallot)} ${formatBallot(birth)} ${until} ${beside}`;
}

function isIn(scope: Scope, id: string): boolean {
  return 'id' in scope ? scope.id === id : id.startsWith(scope.prefix);
}
