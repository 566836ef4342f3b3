import session from 'express-session';
import { ClosedError, ConfigError } from '../errors.js';
import { WarningRelay } from '../node/warnings.js';
import { type Callback, deliver } from './callback.js';
import {
  createNode,
  type NodeOptions,
  type RecoveryProgress,
  type ResizeOptions,
  type ResizeProgress,
  type SessionNode,
} from './node.js';
import { check, checkSessionOptions, SESSION_OPTION_NAMES, type SessionOptions } from './options.js';
import { Sessions } from './sessions.js';

type GetCallback = Parameters<session.Store['get']>[1];
type DoneCallback = NonNullable<Parameters<session.Store['set']>[2]>;
type AllCallback = Parameters<NonNullable<session.Store['all']>>[0];
type LengthCallback = Parameters<NonNullable<session.Store['length']>>[0];
type CreateRequest = Parameters<session.Store['createSession']>[0];
type IdsCallback = (error: unknown, ids?: string[]) => void;

/** Options of the store and, unless it is given a `node`, of the node that it makes for itself. */
export type PaxosStoreOptions = NodeOptions &
  SessionOptions & {
    /** A node to share, with other stores or with what else uses it. Its owner closes it. */
    readonly node?: SessionNode | undefined;
  };

/** express-session adds two listeners at each call of `session()`; apps with a session a route make many. */
const MAX_LISTENERS = 1000;

/**
 * A session store for express-session whose sessions are held by the web servers themselves.
 *
 * Beside what other stores do: a session that was destroyed is not brought back by a request that had loaded it before
 * and saves it after; requests that change different fields of one session at the same time keep each other's changes;
 * a touch never writes data. For that the store remembers which version each object from `get`, and each session that
 * express-session makes of one, stands for. Objects of other origin (from code that copies the fields into an object of
 * its own, as @fastify/session does) are stored as they are, over whatever is there; from then on such an object stands
 * for what it was stored as, like any other. One that is saved under many ids does so under its first and the 16 latest.
 *
 * Each method takes a callback or, without one, returns a promise. Errors are those of `PaxosError`, or what the
 * serializer or the `merge` function threw. A promise that nobody waits for fails silently.
 *
 * Events, beside express-session's own `connect` and `disconnect` (a quorum was gained or lost):
 * - `change` and `destroy`, each with the session's id: seen here, whoever did it
 * - `conflict`, with a `SessionConflict`
 * - `recovery`, with a `RecoveryProgress`: this process has taken a voter's slot and reads the sessions from the others
 * - `resize`, with a `ResizeProgress`: the farm changes the number of its voters
 * - `warning`, with `{ code, message }`
 *
 * @example
 * const store = new PaxosStore({ cluster: 'shop', secret: process.env.CLUSTER_SECRET });
 * await store.ready();
 * app.use(session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false }));
 */
export class PaxosStore extends session.Store {
  readonly #node: SessionNode;
  readonly #isOwnNode: boolean;
  readonly #sessions: Sessions;
  readonly #release: () => void;
  #closed: Promise<void> | null = null;

  /**
   * @param makeNode makes the store's own node; for tests
   * @throws ConfigError that names the option, what it got and what it takes
   */
  constructor(options: PaxosStoreOptions = {}, makeNode: (options: NodeOptions) => SessionNode = createNode) {
    super();
    this.setMaxListeners(MAX_LISTENERS);
    const rules = checkSessionOptions(options);
    const nodeOptions = nodeOptionsOf(options);
    check('node', options.node, options.node === undefined || isNode(options.node), 'a PaxosNode');
    this.#isOwnNode = options.node === undefined;
    this.#node = options.node ?? makeNode(nodeOptions);
    this.#sessions = new Sessions(this.#node, rules, (conflict) => this.#announce('conflict', conflict));
    this.#release = this.#listen(rules.prefix);
  }

  /** The session as a fresh plain object, or `null`. */
  override get(sid: string): Promise<session.SessionData | null>;
  override get(sid: string, callback: GetCallback): void;
  override get(sid: string, callback?: GetCallback): Promise<session.SessionData | null> | undefined {
    return this.#run(() => this.#sessions.load(sid), callback);
  }

  /**
   * Saves the session as it is at the call. A save whose session has ended since it was loaded succeeds, and does
   * nothing but emit `conflict`. One whose expiry was set on purpose to a time that has passed, or an object from elsewhere
   * with such an expiry, leaves nothing.
   */
  override set(sid: string, session: session.SessionData): Promise<void>;
  override set(sid: string, session: session.SessionData, callback: DoneCallback | undefined): void;
  override set(sid: string, session: session.SessionData, callback?: DoneCallback): Promise<void> | undefined {
    return this.#run(() => this.#sessions.save(sid, session), callback);
  }

  /**
   * Moves the session's expiry and its cookie, never its data. Succeeds for an unknown id, without creating it. Needs no
   * network while the expiry may lag; see the option `touchAfter`.
   */
  override touch(sid: string, session: session.SessionData): Promise<void>;
  override touch(sid: string, session: session.SessionData, callback: DoneCallback | undefined): void;
  override touch(sid: string, session: session.SessionData, callback?: DoneCallback): Promise<void> | undefined {
    return this.#run(() => this.#sessions.touch(sid, session), callback);
  }

  /** Ends the session on every server, for good. Succeeds for an unknown id. */
  override destroy(sid: string): Promise<void>;
  override destroy(sid: string, callback: DoneCallback | undefined): void;
  override destroy(sid: string, callback?: DoneCallback): Promise<void> | undefined {
    return this.#run(() => this.#sessions.destroy(sid), callback);
  }

  /** The live sessions of the farm, by id. */
  override all(): Promise<Record<string, session.SessionData>>;
  override all(callback: AllCallback): void;
  override all(callback?: AllCallback): Promise<Record<string, session.SessionData>> | undefined {
    return this.#run(() => this.#sessions.all(), callback);
  }

  /** How many live sessions the farm has. */
  override length(): Promise<number>;
  override length(callback: LengthCallback): void;
  override length(callback?: LengthCallback): Promise<number> | undefined {
    return this.#run(async () => (await this.#sessions.ids()).length, callback);
  }

  /** Ids of the live sessions of the farm, in no order. */
  ids(): Promise<string[]>;
  ids(callback: IdsCallback): void;
  ids(callback?: IdsCallback): Promise<string[]> | undefined {
    return this.#run(() => this.#sessions.ids(), callback);
  }

  /** Ends every session that is there when it is called. Stops at the first failure. */
  override clear(): Promise<void>;
  override clear(callback: DoneCallback | undefined): void;
  override clear(callback?: DoneCallback): Promise<void> | undefined {
    return this.#run(() => this.#sessions.clear(), callback);
  }

  /** Makes the live session of a request from what `get` gave; it stands for the same version. */
  override createSession(req: CreateRequest, loaded: session.SessionData): session.Session & session.SessionData {
    const live = super.createSession(req, loaded);
    this.#sessions.adopt(loaded, live);
    return live;
  }

  /** Resolves when a quorum is there and this node has caught up. */
  ready(): Promise<void> {
    return this.#node.ready();
  }

  /** What the node says of itself and of the farm. */
  status(): ReturnType<SessionNode['status']> {
    return this.#node.status();
  }

  /** Changes the number of voters; see `PaxosNode.resize`. */
  resize(size: number, options?: ResizeOptions): Promise<void> {
    return this.#node.resize(size, options);
  }

  /**
   * Lets go of the node, and closes it if the store made it. Operations called before still run, those that wait for
   * another one of the same object too (of `all` and `clear`, what has begun); operations called from now on fail with
   * `ClosedError`. Further calls return the same promise.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#release();
    // A node that closes lets what it has come to its end, and takes nothing more.
    await this.#sessions.idle();
    if (this.#isOwnNode) await this.#node.close();
  }

  #run<T>(operation: () => Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
    if (this.#closed === null) return deliver(operation(), callback);
    return deliver(Promise.reject(new ClosedError('The session store was closed; make a new one.')), callback);
  }

  /** @returns a function that ends the listening */
  #listen(prefix: string): () => void {
    const node = this.#node;
    const onConnect = (): void => void this.emit('connect');
    const onDisconnect = (): void => void this.emit('disconnect');
    const onRecovery = (progress: RecoveryProgress): void => void this.emit('recovery', progress);
    const onResize = (progress: ResizeProgress): void => void this.emit('resize', progress);
    const warnings = new WarningRelay(node, this);
    node.on('connect', onConnect);
    node.on('disconnect', onDisconnect);
    node.on('recovery', onRecovery);
    node.on('resize', onResize);
    warnings.attach();
    const unwatch = node.watch(prefix, ({ id, effect }) =>
      this.#announce(effect === 'removed' ? 'destroy' : 'change', id),
    );
    return () => {
      unwatch();
      node.off('connect', onConnect);
      node.off('disconnect', onDisconnect);
      node.off('recovery', onRecovery);
      node.off('resize', onResize);
      warnings.detach();
    };
  }

  /**
   * Before the operation's own outcome is heard of, and yet not from within it: what a listener throws is its own
   * affair, and fails neither an operation nor the node.
   */
  #announce(event: 'conflict' | 'change' | 'destroy', payload: unknown): void {
    if (this.listenerCount(event) > 0) queueMicrotask(() => this.emit(event, payload));
  }
}

function isNode(node: unknown): boolean {
  const { read, change, on } = (node ?? {}) as Partial<Record<'read' | 'change' | 'on', unknown>>;
  return [read, change, on].every((method) => typeof method === 'function');
}

/** What of the options is for the node. */
function nodeOptionsOf({ node, ...options }: PaxosStoreOptions): NodeOptions {
  const forNode = Object.fromEntries(
    Object.entries(options).filter(([name]) => !(SESSION_OPTION_NAMES as readonly string[]).includes(name)),
  );
  const misplaced = Object.keys(forNode).find((name) => name !== 'maxValueSize');
  if (node !== undefined && misplaced !== undefined) {
    throw new ConfigError(`Option ${misplaced} has no effect beside option node; give it to that node.`);
  }
  return forNode;
}
