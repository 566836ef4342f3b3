import { EventEmitter } from 'node:events';
import { ClosedError, ConfigError, LifetimeOverError, PaxosError } from '../errors.js';
import type { AnswerHandler } from '../node/answering.js';
import type { Answer, AskOptions } from '../node/asking.js';
import type { Member, MemberEvent } from '../node/members.js';
import type { ResizeOptions } from '../node/node.js';
import type { NodeOptions } from '../node/options.js';
import type { Consistency, OperationOptions } from '../node/registers.js';
import type { NodeStatus } from '../node/status.js';
import { type NodeWarning, WarningRelay, Warnings } from '../node/warnings.js';
import { FOREVER, type State } from '../paxos/index.js';
import { type Life, MAX_LIVES } from './attributes.js';
import { compareChange, deleteChange, type ExpectedBytes, putChange, setChange, updateChange } from './changes.js';
import { attributesOf, type Entry, entryOf, heldValue } from './entry.js';
import { idOf, idPrefixOf, type Key, keyOf, registerKey } from './key.js';
import { type Bounds, type Held, isHeld, Keyed } from './keyed.js';
import { HeldLease, LEASES, type Lease, type LeaseOptions, lifeOfLease, NODES } from './lease.js';
import { createNode, type KvNode } from './node.js';
import { NodeLives } from './node-life.js';
import {
  checkBucket,
  type Expected,
  hasLifetime,
  type LifetimeOptions,
  type ReadOptions,
  refuse,
  untilOf,
  type WriteOptions,
} from './options.js';
import type { Watch } from './queue.js';
import { Sweep } from './sweep.js';
import { encodeValue } from './value.js';
import { Watching, type WatchOptions } from './watching.js';

/** Returned by the function given to {@link PaxosKV.update}: the key is to be removed. */
export const REMOVE: unique symbol = Symbol('connect-paxos remove');
/** Returned by the function given to {@link PaxosKV.update}: the key is to stay as it is. */
export const KEEP: unique symbol = Symbol('connect-paxos keep');

/** Options of the store and, unless it is given a `node`, of the node that it makes for itself. */
export type PaxosKVOptions = NodeOptions & {
  /** A node to share with other buckets and stores. Its owner closes it. */
  readonly node?: KvNode | undefined;
  /** Keys of different buckets have nothing to do with each other. No `/`, no `~` at its beginning. Default `'kv'`. */
  readonly bucket?: string | undefined;
  /** How fresh a read is unless it says so itself. `'lease'` is taken as `'quorum'`. Default `'quorum'`. */
  readonly reads?: 'quorum' | 'lease' | 'local' | undefined;
};

/** What a key lives by. */
export interface LifetimeOf {
  /** Ms since 1970 at which it ends at the latest; `null` for no such time. */
  readonly until: number | null;
  readonly keys: readonly Key[];
  /** Processes, as `Member.process` names them. */
  readonly nodes: readonly string[];
  /** Ids of leases. */
  readonly leases: readonly string[];
}

/** What has become of a key. */
export interface Change<T = unknown> {
  readonly kind: 'set' | 'removed';
  readonly key: Key;
  /** `null` where it was removed. */
  readonly entry: Entry<T> | null;
}

export interface KvEvents {
  /** A quorum was gained, or lost. */
  connect: [];
  disconnect: [];
  member: [MemberEvent];
  warning: [NodeWarning];
  /**
   * A key of this bucket has changed, whoever did it; see {@link PaxosKV.watch} for what is promised. A listener that throws
   * is an uncaught exception, as with every emitter, and holds up nobody else. Of a change that can't be read there is a
   * `warning` in its place, `unreadable-change`, at most once a minute.
   */
  change: [Change];
}

export interface ListOptions extends OperationOptions {
  /** Keys that begin with that text, or with those parts. */
  readonly prefix?: Key | undefined;
  /** How many at most; default all. */
  readonly limit?: number | undefined;
}

/** Reads that a listing has under way at a time. */
const CONCURRENCY = 32;

/** Versions written by one process. */
const counters = new WeakMap<KvNode, { next: number }>();

/**
 * Keys and values in the farm's registers: linearizable, replicated, each with a lifetime if it is given one.
 *
 * Every method rejects with `NoQuorumError` (nothing happened), `OutcomeUnknownError` (it may or may not have taken effect),
 * `OverloadedError`, `ClosedError`, and `ConfigError` for a mistake in the call; and ends within `timeoutMs`, all its parts
 * together. Values are what {@link encodeValue} takes: JSON's, and `undefined`, bigint, `Date`, `Map`, `Set`, `Uint8Array`.
 *
 * @example
 * const kv = new PaxosKV({ cluster: 'shop', secret: process.env.CLUSTER_SECRET });
 * await kv.ready();
 * await kv.update('visits', (n = 0) => n + 1);
 */
export class PaxosKV extends EventEmitter<KvEvents> {
  readonly #node: KvNode;
  readonly #isOwnNode: boolean;
  readonly #bucket: string;
  readonly #consistency: Consistency;
  readonly #keyed: Keyed;
  readonly #nodeLives: NodeLives;
  readonly #watching: Watching<Held>;
  readonly #sweep: Sweep;
  readonly #buckets: Map<string, PaxosKV>;
  readonly #warnings: Warnings;
  readonly #warningRelay: WarningRelay;
  readonly #release: () => void;
  #unwatch: (() => void) | null = null;
  #closed: Promise<void> | null = null;

  /**
   * @param makeNode makes the store's own node; for tests
   * @throws ConfigError that names the option, what it got and what it takes
   */
  constructor(
    { node, bucket = 'kv', reads = 'quorum', ...options }: PaxosKVOptions = {},
    makeNode: (options: NodeOptions) => KvNode = createNode,
  ) {
    super();
    this.setMaxListeners(100);
    checkBucket(bucket);
    if (!['quorum', 'lease', 'local'].includes(reads)) throw refuse('reads', reads, "'quorum', 'lease' or 'local'");
    const [misplaced] = Object.keys(options);
    if (node !== undefined && misplaced !== undefined) {
      throw new ConfigError(`Option ${misplaced} has no effect beside option node; give it to that node.`);
    }
    this.#isOwnNode = node === undefined;
    this.#node = node ?? makeNode(options);
    this.#bucket = bucket;
    // There are no leases on reads yet; a quorum read promises the same.
    this.#consistency = reads === 'local' ? 'local' : 'quorum';
    this.#keyed = new Keyed(this.#node, bucket, versionsOf(this.#node));
    this.#nodeLives = NodeLives.of(this.#node);
    const read = (id: string): Promise<Held | null> => this.#keyed.read(id, {}, 'quorum');
    const seemAlive = (lives: readonly Life[]): Promise<boolean> => this.#keyed.lives.seemAlive(lives, {});
    this.#watching = new Watching({ node: this.#node, bucket, read, seemAlive });
    this.#sweep = new Sweep({ registers: this.#node, bucket, read, seemAlive });
    this.#buckets = new Map([[bucket, this]]);
    this.#warnings = new Warnings(
      () => this.now(),
      (warning) => {
        if (!this.emit('warning', warning)) warnProcess(warning);
      },
    );
    this.#warningRelay = new WarningRelay(this.#node, this as EventEmitter);
    this.#release = this.#listen();
  }

  /** The value; `options.default`, or else `undefined`, where there is none. {@link find} tells an `undefined` that is held from that. */
  async get<T = unknown>(key: Key, options: ReadOptions & { readonly default?: T } = {}): Promise<T | undefined> {
    const entry = await this.find<T>(key, options);
    return entry === null ? options.default : entry.value;
  }

  /** The entry; `null` where the key is not found. */
  async find<T = unknown>(key: Key, { timeoutMs, consistency }: ReadOptions = {}): Promise<Entry<T> | null> {
    const id = this.#idOf(key);
    const held = await this.#keyed.read(id, this.#left(timeoutMs), this.#freshness(consistency));
    // The caller says of what type it is.
    return held === null ? null : (entryOf(id, held) as Entry<T>);
  }

  async has(key: Key, { timeoutMs, consistency }: ReadOptions = {}): Promise<boolean> {
    const id = this.#idOf(key);
    return (await this.#keyed.read(id, this.#left(timeoutMs), this.#freshness(consistency))) !== null;
  }

  /**
   * Writes once: what is there first stays for as long as it lives, and every call gives that.
   *
   * @throws LifetimeOverError if what it was to live by is over
   */
  async put<T = unknown>(key: Key, value: T, options: WriteOptions = {}): Promise<T> {
    const id = this.#idOf(key);
    const bytes = encodeValue(value);
    const left = this.#left(options.timeoutMs);
    const bounds = await this.#boundsOf(options, left);
    const { result } = await this.#keyed.change(id, putChange(bytes, bounds), left);
    return result === null ? value : (heldValue(id, result.value) as T);
  }

  /**
   * Writes, whatever is there. The key lives by what `options` say, or has no end.
   *
   * @throws LifetimeOverError if what it was to live by is over
   */
  async set<T = unknown>(key: Key, value: T, options: WriteOptions = {}): Promise<Entry<T>> {
    const id = this.#idOf(key);
    const bytes = encodeValue(value);
    const left = this.#left(options.timeoutMs);
    const bounds = await this.#boundsOf(options, left);
    const { state } = await this.#keyed.change(id, setChange(bytes, bounds), left);
    return writtenEntry<T>(id, state);
  }

  /**
   * Writes what `make` returns for what is there, exactly once. It may be called several times, so it has to be synchronous
   * and do nothing else; what it throws rejects, and nothing is written. The key goes on living by what it did, unless
   * `options` say otherwise.
   *
   * @param make given the value and its entry, or `undefined` and `null`; returns the value to be written, {@link REMOVE} or
   *   {@link KEEP}
   * @returns what is there then
   */
  async update<T = unknown>(
    key: Key,
    make: (value: T | undefined, entry: Entry<T> | null) => T | typeof REMOVE | typeof KEEP,
    options: WriteOptions = {},
  ): Promise<Entry<T> | null> {
    if (typeof make !== 'function') throw refuse('update', make, 'a function of the value');
    const id = this.#idOf(key);
    const left = this.#left(options.timeoutMs);
    const bounds = hasLifetime(options) ? await this.#boundsOf(options, left) : null;
    const change = updateChange((found) => {
      const entry = found && (entryOf(id, found.held) as Entry<T>);
      const made = make(entry?.value, entry);
      if (made === REMOVE) return 'remove';
      return made === KEEP ? 'keep' : encodeValue(made);
    }, bounds);
    const { state } = await this.#keyed.change(id, change, left);
    return isHeld(state) ? (entryOf(id, state) as Entry<T>) : null;
  }

  /**
   * Writes if the key holds what is expected. It goes on living by what it did, unless `options` say otherwise.
   *
   * @returns whether it was written, and what is there then
   */
  async compareAndSet<T = unknown>(
    key: Key,
    expected: Expected,
    value: T,
    options: WriteOptions = {},
  ): Promise<{ readonly isSet: boolean; readonly entry: Entry<T> | null }> {
    const id = this.#idOf(key);
    const bytes = encodeValue(value);
    const wanted = expectedBytes(expected);
    const left = this.#left(options.timeoutMs);
    const bounds = hasLifetime(options) ? await this.#boundsOf(options, left) : null;
    const { result, state } = await this.#keyed.change(id, compareChange(wanted, bytes, bounds), left);
    return { isSet: result, entry: isHeld(state) ? (entryOf(id, state) as Entry<T>) : null };
  }

  /** Removes the key; with `expected` only if it holds that. @returns whether it was there, as expected */
  async delete(
    key: Key,
    { expected, timeoutMs }: OperationOptions & { readonly expected?: Expected | undefined } = {},
  ): Promise<boolean> {
    const wanted = expected === undefined ? null : expectedBytes(expected);
    const { result } = await this.#keyed.change(this.#idOf(key), deleteChange(wanted), this.#left(timeoutMs));
    return result;
  }

  /** The keys of the bucket, over the whole farm, in no order: each was there at some time during the call. */
  async keys({ prefix, limit, timeoutMs }: ListOptions = {}): Promise<Key[]> {
    const left = this.#left(timeoutMs);
    const keys: Key[] = [];
    for await (const [id] of this.#list(prefix, limit, () => left)) keys.push(keyOf(id) ?? id);
    return keys;
  }

  /**
   * The entries of the bucket, each as it is when it is read, in no order. What is written meanwhile may be among them, or
   * not. `timeoutMs` is for each part of it: how long it takes altogether is up to the consumer.
   */
  async *entries<T = unknown>({ prefix, limit, timeoutMs }: ListOptions = {}): AsyncGenerator<Entry<T>, void, void> {
    for await (const [id, held] of this.#list(prefix, limit, () => this.#left(timeoutMs))) {
      yield entryOf(id, held) as Entry<T>;
    }
  }

  async *#list(
    prefix: Key | undefined,
    limit: number | undefined,
    leftNow: () => OperationOptions,
  ): AsyncGenerator<readonly [string, Held], void, void> {
    this.#refuseIfClosed();
    const most = limit ?? Number.POSITIVE_INFINITY;
    if (most !== Number.POSITIVE_INFINITY && !(Number.isInteger(most) && most >= 1))
      throw refuse('limit', limit, 'a whole number from 1 on');
    const begin = prefix === undefined ? '' : idPrefixOf(prefix);
    const all = await this.#node.ids(this.#bucket, leftNow());
    const ids = all.filter((id) => id.startsWith(begin) && keyOf(id) !== null);
    let count = 0;
    for (let at = 0; at < ids.length && count < most; at += CONCURRENCY) {
      this.#refuseIfClosed();
      const left = leftNow();
      const some = ids.slice(at, at + CONCURRENCY);
      const read = some.map(async (id) => [id, await this.#keyed.read(id, left, 'quorum')] as const);
      for (const [id, held] of await Promise.all(read)) {
        if (held === null || count >= most) continue;
        count += 1;
        yield [id, held];
      }
    }
  }

  /** What the key lives by; `null` where it is not found. */
  async lifetime(key: Key, { timeoutMs, consistency }: ReadOptions = {}): Promise<LifetimeOf | null> {
    const id = this.#idOf(key);
    const held = await this.#keyed.read(id, this.#left(timeoutMs), this.#freshness(consistency));
    return held === null ? null : this.#lifetimeOf(id, held);
  }

  /**
   * A lease that this process holds until it is released, or lost: {@link Lease}. Keys can live by it. It goes on when the store
   * is closed, and is released when the node is.
   *
   * @throws LifetimeOverError if it took longer to get than it has to live
   */
  lease(options: LeaseOptions = {}): Promise<Lease> {
    const { name } = this.#node.status();
    return this.#open(() => HeldLease.acquire(this.#node, LEASES, versionsOf(this.#node)(), name, options));
  }

  /**
   * The changes of a key, or of all keys with a prefix, as they are seen here, whoever makes them.
   *
   * What is reported of a key is what a quorum held, newer each time; a state that was soon followed by another may be left
   * out, the latest never is: what was missed, by lost datagrams or a partition, is found within seconds of being in contact
   * again. Nothing is reported twice in a row; but what was written just before it has begun may be reported, too. A key that
   * ends, by its time or by what it lives by, is reported as `removed`; but of one that was there before a watch of a prefix
   * without `initial`, and was not written since, it is not known what it lives by: its end by that is reported once a voter
   * that has this bucket open has found it, or somebody has asked for the key. One that comes and goes before it was read is
   * not reported at all, so keep a copy by `initial` rather than by a listing beside the watch. Ends by `return`, `signal`,
   * {@link close}, and when the node is closed.
   *
   * @throws WatchOverflowError from `next`, if more than `limit` keys wait for a consumer that is too slow
   * @throws UnreadableValueError from `next`, if what a key holds can't be read
   *
   * @example
   * for await (const { kind, key, entry } of kv.watch({ prefix: ['users'] }, { initial: true })) {
   *   if (kind === 'set') users.set(key, entry.value);
   *   else users.delete(key);
   * }
   */
  watch<T = unknown>(target: Key | { readonly prefix: Key }, options: WatchOptions = {}): Watch<Change<T>> {
    this.#refuseIfClosed();
    const isPrefix = typeof target === 'object' && target !== null && 'prefix' in target;
    const id = isPrefix ? idPrefixOf(target.prefix) : this.#idOf(target);
    const scope = isPrefix ? { prefix: id } : { id };
    return this.#watching.watch(scope, options, (changed, held) => changeOf<T>(changed, held));
  }

  /** Another bucket of the same node; the same object each time. */
  bucket(name: string): PaxosKV {
    this.#refuseIfClosed();
    const known = this.#buckets.get(name);
    if (known !== undefined && known.#closed === null) return known;
    const reads = this.#consistency;
    const made = new PaxosKV({ node: this.#node, bucket: name, reads });
    this.#buckets.set(name, made);
    return made;
  }

  /** Resolves when this bucket, or that one, can be read and written: a quorum answers. */
  async waitForBucket(name: string = this.#bucket, { timeoutMs }: OperationOptions = {}): Promise<void> {
    checkBucket(name);
    await this.#open(() => this.#node.read(registerKey(name, ''), timeoutMs === undefined ? {} : { timeoutMs }));
  }

  /** Ms since 1970 by which lifetimes are judged here. */
  now(): number {
    return this.#node.nowMs();
  }

  /** As of every emitter: whoever listens from then on is told of what happens from then on. */
  override removeAllListeners(...name: Parameters<EventEmitter<KvEvents>['removeAllListeners']>): this {
    super.removeAllListeners(...name);
    // What tells the store of its listeners is one, too.
    this.#heedListeners();
    return this;
  }

  /** Number of the farm's voters. */
  get size(): number {
    return this.#node.size;
  }

  /** See `PaxosNode.resize`. */
  resize(size: number, options?: ResizeOptions): Promise<void> {
    return this.#node.resize(size, options);
  }

  /** See `PaxosNode.members`. */
  members(): Member[] {
    return this.#node.members();
  }

  /** See `PaxosNode.ask`. */
  ask<T = unknown>(topic: string, payload?: unknown, options?: AskOptions): Promise<Answer<T>[]> {
    return this.#node.ask<T>(topic, payload, options);
  }

  /** See `PaxosNode.answer`. */
  answer(topic: string, handler: AnswerHandler): () => void {
    return this.#node.answer(topic, handler);
  }

  /** What the node says of itself and of the farm. */
  status(): NodeStatus {
    return this.#node.status();
  }

  /** Resolves when a quorum is there and this node has caught up. */
  ready(): Promise<void> {
    return this.#node.ready();
  }

  /**
   * Ends the watches, lets go of the node, and closes it if the store made it. Operations called from now on fail with
   * `ClosedError`. Further calls return the same promise.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#release();
    this.#sweep.stop();
    this.#watching.close();
    const others = [...this.#buckets.values()].filter((kv) => kv !== this);
    await Promise.all(others.map((kv) => kv.close()));
    if (this.#isOwnNode) await this.#node.close();
  }

  #idOf(key: Key): string {
    this.#refuseIfClosed();
    const id = idOf(key);
    this.#keyed.registerKey(id);
    return id;
  }

  #refuseIfClosed(): void {
    if (this.#closed !== null) throw new ClosedError('The key-value store was closed; make a new one.');
  }

  async #open<T>(operation: () => Promise<T>): Promise<T> {
    this.#refuseIfClosed();
    return operation();
  }

  #left(timeoutMs: number | undefined): OperationOptions {
    return this.#node.deadline(timeoutMs);
  }

  #freshness(consistency: Consistency | undefined): Consistency {
    if (consistency === undefined) return this.#consistency;
    if (consistency !== 'quorum' && consistency !== 'local')
      throw refuse('consistency', consistency, "'quorum' or 'local'");
    return consistency;
  }

  async #boundsOf(options: LifetimeOptions, left: OperationOptions): Promise<Bounds> {
    const untilMs = untilOf(options, this.now()) ?? FOREVER;
    if (untilMs <= this.now())
      throw new LifetimeOverError(`The key was not written: the end that it was given, ${untilMs}, has passed.`);
    const { key, keys = [], node, lease } = options;
    if (!Array.isArray(keys)) throw refuse('keys', keys, 'an array of keys');
    const all: readonly Key[] = key === undefined ? keys : [key, ...keys];
    const count = all.length + (node === undefined ? 0 : 1) + (lease === undefined ? 0 : 1);
    if (count > MAX_LIVES) throw refuse('keys', count, `at most ${MAX_LIVES} in all, node and lease included`);
    const wanted = all.map((each) => this.#lifeOfKey(each, left));
    if (node !== undefined) wanted.push(this.#nodeLives.lifeOf(node, left));
    if (lease !== undefined) wanted.push(this.#lifeOfLease(lease, left));
    return { untilMs, lives: await Promise.all(wanted) };
  }

  async #lifeOfKey(key: Key, left: OperationOptions): Promise<Life> {
    const id = this.#idOf(key);
    const held = await this.#keyed.read(id, left, 'quorum');
    if (held !== null) return { key: this.#keyed.registerKey(id), birth: held.birth };
    throw new LifetimeOverError(
      `The key was not written: key ${JSON.stringify(key)}, by which it was to live, is not there.`,
    );
  }

  async #lifeOfLease(lease: Lease | string, left: OperationOptions): Promise<Life> {
    const id = typeof lease === 'string' ? lease : lease?.id;
    if (typeof id !== 'string') throw refuse('lease', lease, 'a lease, or its id');
    // For its holder it has ended when its signal says so, whatever its register has.
    const hasEnded = typeof lease !== 'string' && lease.signal?.aborted === true;
    const life = hasEnded ? null : await lifeOfLease(this.#node, id, left);
    if (life !== null) return life;
    throw new LifetimeOverError(`The key was not written: lease ${id}, by which it was to live, has ended.`);
  }

  #lifetimeOf(id: string, held: Held): LifetimeOf {
    const { lives } = attributesOf(id, held);
    const named = (bucket: string): string[] =>
      lives.flatMap(({ key }) => (key.startsWith(`${bucket}/`) ? key.slice(bucket.length + 1) : []));
    return {
      until: held.until === FOREVER ? null : held.until,
      keys: named(this.#bucket).map((each) => keyOf(each) ?? each),
      nodes: named(NODES),
      leases: named(LEASES),
    };
  }

  /** What can't be read is no change that could be told: it is warned of, since there is nobody to be given an error. */
  #announce(id: string, look: () => Held | null): void {
    let change: Change;
    try {
      change = changeOf(id, look());
    } catch (error) {
      if (!(error instanceof PaxosError)) throw error;
      this.#warnings.warn('unreadable-change', `A key has changed, and is not announced: ${error.message}`);
      return;
    }
    // What one throws must not keep it from the others.
    for (const listener of this.rawListeners('change')) {
      queueMicrotask(() => {
        // It may have been taken away meanwhile.
        if (this.rawListeners('change').includes(listener)) Reflect.apply(listener, this, [change]);
      });
    }
  }

  /** Has the store told of those who come to listen, and of those who go. */
  #heedListeners(): void {
    const emitter: EventEmitter = this as EventEmitter;
    emitter.off('newListener', this.#onNewListener).on('newListener', this.#onNewListener);
    emitter.off('removeListener', this.#onRemovedListener).on('removeListener', this.#onRemovedListener);
    if (this.#closed === null) this.#warningRelay.attach();
  }

  readonly #onNewListener = (event: string | symbol): void => {
    if (this.#closed !== null) return;
    // All keys are watched only while somebody listens.
    if (event === 'change') this.#unwatch ??= this.#watching.listen((id, look) => this.#announce(id, look));
  };

  readonly #onRemovedListener = (event: string | symbol): void => {
    if (event !== 'change' || this.listenerCount('change') > 0) return;
    this.#unwatch?.();
    this.#unwatch = null;
  };

  /** @returns ends it */
  #listen(): () => void {
    const node = this.#node;
    const onConnect = (): void => void this.emit('connect');
    const onDisconnect = (): void => void this.emit('disconnect');
    const onMember = (event: MemberEvent): void => void this.emit('member', event);
    this.#heedListeners();
    node.on('connect', onConnect);
    node.on('disconnect', onDisconnect);
    node.on('member', onMember);
    const forget = node.beforeClose(async () => {
      this.#sweep.stop();
      this.#watching.close();
    });
    return () => {
      this.#unwatch?.();
      forget();
      node.off('connect', onConnect);
      node.off('disconnect', onDisconnect);
      node.off('member', onMember);
      this.#warningRelay.detach();
    };
  }
}

function warnProcess({ code, message }: NodeWarning): void {
  process.emitWarning(message, { type: 'ConnectPaxosWarning', code });
}

function versionsOf(node: KvNode): () => string {
  const counter = counters.get(node) ?? { next: 0 };
  counters.set(node, counter);
  const { process } = node.status();
  return () => {
    counter.next += 1;
    return `${process}.${counter.next.toString(36)}`;
  };
}

function writtenEntry<T>(id: string, state: State): Entry<T> {
  if (!isHeld(state)) throw new LifetimeOverError('The key was written, and its end had passed by then.');
  return entryOf(id, state) as Entry<T>;
}

function changeOf<T>(id: string, held: Held | null): Change<T> {
  const key = keyOf(id) ?? id;
  if (held === null) return { kind: 'removed', key, entry: null };
  return { kind: 'set', key, entry: entryOf(id, held) as Entry<T> };
}

function expectedBytes(expected: Expected): ExpectedBytes {
  if (typeof expected === 'object' && expected !== null) {
    if ('version' in expected && typeof expected.version === 'string')
      return { kind: 'version', version: expected.version };
    if ('value' in expected) return { kind: 'value', value: encodeValue(expected.value) };
    if ('absent' in expected && expected.absent === true) return { kind: 'absent' };
  }
  throw refuse('expected', expected, '{ version }, { value } or { absent: true }');
}
