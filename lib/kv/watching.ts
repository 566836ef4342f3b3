import { ClosedError } from '../errors.js';
import type { State } from '../paxos/index.js';
import { refuse } from './options.js';
import { Queue } from './queue.js';
import type { Scope, Subscriber } from './subscribers.js';
import { Tracker, type WatchingSetup } from './tracker.js';

export type { Scope } from './subscribers.js';

export interface WatchOptions {
  /** Ends the watch: what was not taken is dropped, and the iterator is done. */
  readonly signal?: AbortSignal | undefined;
  /** Whether what is there when it begins is reported first, as fast as it is taken. Default `false`. */
  readonly initial?: boolean | undefined;
  /**
   * Keys with a change that waits for the consumer, at most: 1..1 000 000, default 1000. Of one key only the latest waits.
   * Beyond it the watch ends with a `WatchOverflowError`.
   */
  readonly limit?: number | undefined;
}

const DEFAULT_LIMIT = 1000;
const MAX_LIMIT = 1_000_000;
/** How long one timer holds the process that waits for a change. */
const HOLD_MS = 1000;

/** Those who watch a bucket on one node. What they know of its keys they share, and it goes with the last of them. */
export class Watching<H extends State> {
  readonly #setup: WatchingSetup<H>;
  /** Each ends one. */
  readonly #enders = new Set<() => void>();
  #tracker: Tracker<H> | null = null;
  #isClosed = false;

  constructor(setup: WatchingSetup<H>) {
    this.#setup = setup;
  }

  /**
   * @param changeOf makes what is handed out, when it is taken; what it throws ends the watch
   * @throws ConfigError; ClosedError after {@link close}
   */
  watch<T>(scope: Scope, options: WatchOptions, changeOf: (id: string, held: H | null) => T): Queue<T> {
    const { signal, initial = false, limit = DEFAULT_LIMIT } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
      throw refuse('limit', limit, `a whole number from 1 to ${MAX_LIMIT}`);
    if (this.#isClosed)
      throw new ClosedError('The node was closed: its keys can no longer be watched. Make a new one.');
    const end = (): void => queue.end();
    let leave = (): void => undefined;
    const queue: Queue<T> = new Queue<T>({
      limit,
      hold: (callback) => this.#setup.node.after(HOLD_MS, callback, true),
      onTaken: () => this.#tracker?.more(),
      onEnd: () => {
        signal?.removeEventListener('abort', end);
        leave();
      },
    });
    if (signal?.aborted === true) {
      queue.end();
      return queue;
    }
    signal?.addEventListener('abort', end);
    const subscriber: Subscriber<H> = {
      scope,
      wantsInitial: initial,
      room: () => queue.room,
      begun: () => queue.begin(),
      tell: (id, look) => queue.put(id, () => changeOf(id, look())),
    };
    leave = this.#add(subscriber, end);
    return queue;
  }

  /**
   * All changes, to a listener; each in a microtask of its own, so that what it throws is its own affair: an uncaught
   * exception, as with every emitter.
   *
   * @param listener its second argument throws where what the key holds can't be read
   * @returns ends it
   */
  listen(listener: (id: string, look: () => H | null) => void): () => void {
    if (this.#isClosed) return () => undefined;
    let isListening = true;
    const subscriber: Subscriber<H> = {
      scope: { prefix: '' },
      wantsInitial: false,
      room: () => Number.POSITIVE_INFINITY,
      begun: () => undefined,
      tell: (id, look) =>
        queueMicrotask(() => {
          if (isListening) listener(id, look);
        }),
    };
    let leave = (): void => undefined;
    const end = (): void => {
      isListening = false;
      leave();
    };
    leave = this.#add(subscriber, end);
    return end;
  }

  /** Ends all watches, for good. */
  close(): void {
    this.#isClosed = true;
    for (const end of [...this.#enders]) end();
  }

  /** @returns takes it away again; to be called once or more */
  #add(subscriber: Subscriber<H>, end: () => void): () => void {
    const tracker = this.#tracker ?? new Tracker(this.#setup, () => this.close());
    this.#tracker = tracker;
    this.#enders.add(end);
    tracker.add(subscriber);
    return () => {
      if (!this.#enders.delete(end)) return;
      tracker.delete(subscriber);
      if (!tracker.isIdle) return;
      // What comes in late is told to nobody, whoever has begun by then.
      tracker.stop();
      this.#tracker = null;
    };
  }
}
