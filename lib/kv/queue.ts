import { ClosedError, WatchOverflowError } from '../errors.js';

/** The changes that a watch reports, one after the other. It does not keep the process alive, but while `next` is waited for. */
export interface Watch<T> extends AsyncIterableIterator<T, void, void> {
  /** Resolves when it has begun: what is changed from then on is reported. Rejects with `ClosedError` if it has ended before. */
  ready(): Promise<void>;
  /**
   * The next change.
   *
   * @throws WatchOverflowError if more keys have changed than are kept for the consumer
   * @throws UnreadableValueError if what the key holds can't be read
   *
   * Both are thrown once, and end the watch.
   */
  next(): Promise<IteratorResult<T, void>>;
  /** Ends it. What was not taken is dropped. */
  return(): Promise<IteratorResult<T, void>>;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, void>): void;
  reject(error: unknown): void;
}

export interface QueueSetup {
  /** Keys that wait, at most. */
  readonly limit: number;
  /** Calls back after a while, and keeps the process alive until then. @returns cancels it */
  readonly hold: (callback: () => void) => () => void;
  /** Called when something was taken. */
  readonly onTaken: () => void;
  /** Called once, when it ends. */
  readonly onEnd: () => void;
}

const DONE = { done: true, value: undefined } as const;

/**
 * Changes that wait for their consumer: of each key the latest, in the order in which the keys have changed since they were
 * last taken.
 */
export class Queue<T> implements Watch<T> {
  readonly #setup: QueueSetup;
  readonly #waiting = new Map<string, () => T>();
  readonly #waiters: Waiter<T>[] = [];
  readonly #ready: Promise<void>;
  #begin: () => void = () => undefined;
  #notBegun: (error: unknown) => void = () => undefined;
  /** What the consumer is still to be told of why it has ended. */
  #failure: { readonly error: unknown } | null = null;
  #hasEnded = false;
  #cancelHold: (() => void) | null = null;

  constructor(setup: QueueSetup) {
    this.#setup = setup;
    this.#ready = new Promise((resolve, reject) => {
      this.#begin = resolve;
      this.#notBegun = reject;
    });
    // Who does not ask is not told.
    this.#ready.catch(() => undefined);
  }

  /** Keys that may be added without going beyond half of what it holds; the other half is for changes that nobody can hold back. */
  get room(): number {
    return Math.ceil(this.#setup.limit / 2) - this.#waiting.size;
  }

  /** What is changed from now on is put into it. */
  begin(): void {
    this.#begin();
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** @param make what is handed out; made when it is taken, once. What it throws ends the watch */
  put(id: string, make: () => T): void {
    if (this.#hasEnded) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      this.#settle(waiter, make);
      return;
    }
    this.#waiting.set(id, make);
    const { limit } = this.#setup;
    if (this.#waiting.size <= limit) return;
    const message = `More than ${limit} changed keys wait for the consumer of this watch: take them faster, or raise limit; then look at what is there, and watch anew.`;
    this.#end({ error: new WatchOverflowError(message) });
  }

  end(): void {
    this.#end(null);
  }

  next(): Promise<IteratorResult<T, void>> {
    return new Promise((resolve, reject) => {
      const [first] = this.#waiting;
      if (first !== undefined) {
        const [id, make] = first;
        this.#waiting.delete(id);
        this.#settle({ resolve, reject }, make);
        this.#setup.onTaken();
      } else if (this.#failure !== null) {
        reject(this.#failure.error);
        this.#failure = null;
      } else if (this.#hasEnded) resolve(DONE);
      else {
        this.#waiters.push({ resolve, reject });
        this.#holdProcess();
      }
    });
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#end(null);
    this.#failure = null;
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #end(failure: { readonly error: unknown } | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#failure = failure;
    this.#waiting.clear();
    this.#notBegun(failure?.error ?? new ClosedError('The watch was ended before it had begun.'));
    // Nobody waits where something has failed: it would have been given what waits.
    for (const waiter of this.#waiters.splice(0)) waiter.resolve(DONE);
    this.#letProcessGo();
    this.#setup.onEnd();
  }

  /** What can't be read ends the watch for its consumer, and for nobody else. */
  #settle(waiter: Waiter<T>, make: () => T): void {
    this.#letProcessGo();
    try {
      waiter.resolve({ done: false, value: make() });
    } catch (error) {
      waiter.reject(error);
      this.#end(null);
    }
  }

  #holdProcess(): void {
    this.#cancelHold ??= this.#setup.hold(() => {
      this.#cancelHold = null;
      this.#holdProcess();
    });
  }

  #letProcessGo(): void {
    if (this.#waiters.length > 0) return;
    this.#cancelHold?.();
    this.#cancelHold = null;
  }
}
