import { ClosedError, PaxosError } from '../errors.js';
import type { Head, WatchableRegisters } from '../node/registers.js';
import { formatBallot, type State } from '../paxos/index.js';
import { type Life, livesOf } from './attributes.js';
import { Dependents } from './dependents.js';
import { Expiries } from './expiries.js';
import { ABSENT, KnownKeys, UNREADABLE } from './known.js';
import { type Subscriber, Subscribers } from './subscribers.js';

export interface WatchingNode extends Pick<WatchableRegisters, 'watch' | 'heads' | 'after' | 'nowMs'> {
  on(event: 'connect', listener: () => void): unknown;
  off(event: 'connect', listener: () => void): unknown;
}

export interface WatchingSetup<H> {
  readonly node: WatchingNode;
  readonly bucket: string;
  /** What the key holds, by a quorum; `null` for nothing. */
  readonly read: (id: string) => Promise<H | null>;
  /** Whether all of them seem to be alive: what seems to be over is read. */
  readonly seemAlive: (lives: readonly Life[]) => Promise<boolean>;
}

/** Looks at what ends, and retries of what failed. */
const TICK_MS = 250;
/** Between two looks at all keys, at least; no more than a twentieth of the time is spent on them, nor on what they live by. */
const RECONCILE_TICKS = 20;
const RECONCILE_SHARE = 20;
const MAX_READING = 16;
/** Keys heard of that wait to be read, at most: others are found when all are looked at. */
const MAX_DIRTY = 10_000;

/** What a read gave. */
interface Found<H> {
  readonly mark: string;
  readonly held: H | null;
  readonly look: () => H | null;
}

/** Keys to be read for one subscriber, whether they have changed or not. */
interface Owed {
  readonly ids: Set<string>;
  reading: number;
}

/**
 * What those who watch a bucket on one node know of its keys (docs/protocol.md, "Watching"). What is heard of, or seen to
 * differ when all heads are compared with those of before, is read, and told if it is news. Lives as long as somebody
 * watches.
 */
export class Tracker<H extends State> {
  readonly #setup: WatchingSetup<H>;
  readonly #nodeClosed: () => void;
  readonly #subscribers = new Subscribers<H>();
  readonly #owed = new Map<Subscriber<H>, Owed>();
  readonly #known = new KnownKeys<H>(this.#subscribers);
  readonly #ends: Expiries;
  readonly #dependents = new Dependents();
  readonly #dirty = new Set<string>();
  readonly #reading = new Set<string>();
  readonly #release: () => void;
  /** A read has failed: it is up to the next tick to go on. */
  #isPaused = false;
  #isStopped = false;
  #isReconciling = false;
  #isReconciliationDue = false;
  /** Intervals are counted in ticks: the clock by which keys end may be set. */
  #ticks = 0;
  #reconcileAtTick = 0;
  #lookAtLivesAtTick = 0;

  /** @param nodeClosed called when the node turns out to be closed, which was so before it was watched on: ends all watches */
  constructor(setup: WatchingSetup<H>, nodeClosed: () => void) {
    this.#setup = setup;
    this.#nodeClosed = nodeClosed;
    const { node, bucket } = setup;
    this.#ends = new Expiries(node.nowMs());
    const onConnect = (): void => this.#reconcileSoon();
    const tick = (): void => {
      cancel = node.after(TICK_MS, tick);
      this.#tick();
    };
    let cancel = node.after(TICK_MS, tick);
    const unwatch = node.watch(bucket, ({ id }) => this.#heard(id));
    node.on('connect', onConnect);
    this.#release = () => {
      cancel();
      unwatch();
      node.off('connect', onConnect);
    };
  }

  get isIdle(): boolean {
    return this.#subscribers.isEmpty;
  }

  add(subscriber: Subscriber<H>): void {
    this.#subscribers.add(subscriber);
    const { scope } = subscriber;
    if ('id' in scope) this.#owe(subscriber, [scope.id]);
    else this.#reconcileSoon();
  }

  delete(subscriber: Subscriber<H>): void {
    this.#subscribers.delete(subscriber);
    this.#owed.delete(subscriber);
    const { scope } = subscriber;
    const ids = 'id' in scope ? [scope.id] : [...this.#known.ids, ...this.#dirty];
    for (const id of ids) if (!this.#subscribers.has(id)) this.#forget(id);
  }

  /** What is under way comes to nothing. */
  stop(): void {
    this.#isStopped = true;
    this.#dependents.clear();
    this.#release();
  }

  /** The key may have changed. */
  #heard(id: string): void {
    if (!this.#subscribers.has(id) || this.#dirty.size >= MAX_DIRTY) return;
    this.#dirty.add(id);
    this.#pump();
  }

  #owe(subscriber: Subscriber<H>, ids: readonly string[]): void {
    this.#owed.set(subscriber, { ids: new Set(ids), reading: 0 });
    this.#pump();
  }

  #forget(id: string): void {
    this.#known.forget(id);
    this.#dirty.delete(id);
    this.#ends.delete(id);
    this.#dependents.delete(id);
  }

  #tick(): void {
    const { node } = this.#setup;
    this.#ticks += 1;
    this.#isPaused = false;
    for (const id of this.#ends.take(node.nowMs())) this.#heard(id);
    if (this.#isReconciliationDue || this.#ticks >= this.#reconcileAtTick) this.#reconcileSoon();
    this.#pump();
  }

  // Reading.

  /** Begins the reads that can be begun. One of a key at a time: so what is told of it never goes back. */
  #pump(): void {
    for (const id of this.#dirty) {
      if (!this.#mayRead) return;
      if (!this.#reading.has(id)) void this.#read(id);
    }
    for (const [subscriber, owed] of this.#owed) {
      for (const id of owed.ids) {
        if (!this.#mayRead) return;
        if (owed.reading >= subscriber.room()) break;
        if (!this.#reading.has(id)) void this.#read(id);
      }
    }
  }

  /** There is room for what was kept back. */
  more(): void {
    if (this.#owed.size > 0) this.#pump();
  }

  get #mayRead(): boolean {
    return this.#reading.size < MAX_READING && !this.#isPaused && !this.#isStopped;
  }

  async #read(id: string): Promise<void> {
    const isHeardOf = this.#dirty.delete(id);
    const owing = [...this.#owed].filter(([, owed]) => owed.ids.delete(id));
    for (const [, owed] of owing) owed.reading += 1;
    this.#reading.add(id);
    const found = await this.#find(id);
    this.#reading.delete(id);
    for (const [, owed] of owing) owed.reading -= 1;
    if (this.#isStopped) return;
    if (found !== null) {
      this.#found(id, found, isHeardOf, new Set(owing.map(([subscriber]) => subscriber)));
    } else if (this.#subscribers.has(id)) {
      if (isHeardOf) this.#dirty.add(id);
      for (const [, owed] of owing) owed.ids.add(id);
      this.#isPaused = true;
    }
    for (const [subscriber, owed] of owing) {
      if (owed.ids.size === 0 && owed.reading === 0) this.#owed.delete(subscriber);
    }
    this.#pump();
  }

  /** @returns `null`: not now; no quorum, mostly. Or never: the node is closed */
  async #find(id: string): Promise<Found<H> | null> {
    try {
      const held = await this.#setup.read(id);
      return { mark: held === null ? ABSENT : markOf(held), held, look: () => held };
    } catch (error) {
      if (error instanceof ClosedError) this.#nodeClosed();
      if (isOfNow(error)) return null;
      const look = (): never => {
        throw error;
      };
      return { mark: UNREADABLE, held: null, look };
    }
  }

  #found(id: string, { mark, held, look }: Found<H>, isHeardOf: boolean, owing: ReadonlySet<Subscriber<H>>): void {
    const toTell = this.#known.found(id, { mark, isHeardOf, owing });
    this.#noteEnds(id, held);
    for (const each of owing) if ('id' in each.scope) this.#subscribers.begin(each);
    for (const each of toTell) {
      // It may be owed what it is told now.
      this.#owed.get(each)?.ids.delete(id);
      each.tell(id, look);
    }
  }

  /** What it may end by, beside its deletion. */
  #noteEnds(id: string, held: H | null): void {
    if (held === null || !this.#subscribers.has(id)) {
      this.#ends.delete(id);
      this.#dependents.delete(id);
      return;
    }
    this.#ends.set(id, held.until);
    this.#dependents.set(id, livesOf(held));
  }

  // Looking at all keys.

  #reconcileSoon(): void {
    this.#isReconciliationDue = true;
    void this.#reconcile();
  }

  async #reconcile(): Promise<void> {
    while (this.#isReconciliationDue && !this.#isReconciling && !this.#isStopped) {
      this.#isReconciliationDue = false;
      const starting = this.#subscribers.ofPrefixes;
      if (starting.length === 0) {
        // Few keys, mostly: they are read.
        for (const id of this.#subscribers.ids) this.#dirty.add(id);
        this.#reconcileAtTick = this.#ticks + RECONCILE_TICKS;
        break;
      }
      const beganAt = this.#ticks;
      this.#isReconciling = true;
      this.#reconcileAtTick = Number.POSITIVE_INFINITY;
      const heads = await this.#heads();
      this.#isReconciling = false;
      const took = this.#ticks - beganAt;
      this.#reconcileAtTick = this.#ticks + Math.max(RECONCILE_TICKS, RECONCILE_SHARE * took);
      if (this.#isStopped) return;
      if (heads === null) {
        // At the next tick.
        this.#isReconciliationDue = true;
        return;
      }
      for (const id of this.#known.compare(heads)) this.#dirty.add(id);
      for (const each of starting) this.#beginWithAll(each);
      void this.#lookAtLives();
    }
    this.#pump();
  }

  /** A key that is over by what it lives by has the head that it had, until somebody has read it. */
  async #lookAtLives(): Promise<void> {
    if (this.#ticks < this.#lookAtLivesAtTick) return;
    const beganAt = this.#ticks;
    // One at a time.
    this.#lookAtLivesAtTick = Number.POSITIVE_INFINITY;
    const isComplete = await this.#dependents.look(
      (life) => this.#seemsAlive(life),
      (id) => this.#heard(id),
    );
    // What could not be told is asked for with the next look at all keys.
    this.#lookAtLivesAtTick = isComplete ? this.#ticks + RECONCILE_SHARE * (this.#ticks - beganAt) : this.#ticks;
  }

  async #seemsAlive(life: Life): Promise<boolean> {
    try {
      return await this.#setup.seemAlive([life]);
    } catch (error) {
      if (isOfNow(error)) throw error;
      return false;
    }
  }

  /** @returns `null`: not now; no quorum, mostly. Or never: the node is closed */
  async #heads(): Promise<readonly Head[] | null> {
    const { node, bucket } = this.#setup;
    try {
      return await node.heads(bucket);
    } catch (error) {
      if (error instanceof ClosedError) this.#nodeClosed();
      if (error instanceof PaxosError) return null;
      throw error;
    }
  }

  #beginWithAll(subscriber: Subscriber<H>): void {
    if (this.#subscribers.hasBegun(subscriber)) return;
    this.#subscribers.begin(subscriber);
    const { scope, wantsInitial } = subscriber;
    if (!wantsInitial || !('prefix' in scope) || !this.#subscribers.hasBegun(subscriber)) return;
    this.#owe(
      subscriber,
      this.#known.ids.filter((id) => id.startsWith(scope.prefix)),
    );
  }
}

/** Of a key, and for as long as it is as it is: to try again is of no use. */
const LASTING: ReadonlySet<string> = new Set(['ERR_UNREADABLE', 'ERR_TOO_MANY_LIVES']);

/** No quorum, mostly: it is to be tried again. */
function isOfNow(error: unknown): boolean {
  return error instanceof PaxosError && !LASTING.has(error.code);
}

/** What tells one state of a key from another that followed or preceded it. */
function markOf({ dataBallot, birth, attributes, until }: State): string {
  const beside = Buffer.from(attributes.buffer, attributes.byteOffset, attributes.length).toString('latin1');
  return `${formatBallot(dataBallot)} ${formatBallot(birth)} ${until} ${beside}`;
}
