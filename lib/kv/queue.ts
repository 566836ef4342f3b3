import { ClosedError, WatchOverflowError } from '../errors.js';

/** The changes that a watch reports, one after the other. */
export interface Watch<T> extends AsyncIterableIterator<T, void, void> {
  /** Resolves when it has begun: what is changed from then on is reported. Rejects with `ClosedError` if it has ended before. */
  ready(): Promise<void>;
  return(): Promise<IteratorResult<T, void>>;
}

interface Waiter<T> {
  resolve(result: IteratorResult<T, void>): void;
  reject(error: unknown): void;
}

/**
 * Changes that wait for their consumer: of each key the latest, in the order in which the keys have changed since they were
 * last taken.
 */
export class Queue<T> implements Watch<T> {
  readonly #limit: number;
  readonly #hold: (callback: () => void) => () => void;
  readonly #waiting = new Map<string, () => T>();
  readonly #waiters: Waiter<T>[] = [];
  #error: unknown = null;
  #hasEnded = false;
  #cancelHold: (() => void) | null = null;
  #notBegun: (error: unknown) => void = () => undefined;
  #ready: Promise<void> = Promise.resolve();
  /** Called once, when it ends. */
  onEnd: () => void = () => undefined;

  /**
   * @param limit keys that wait, at most
   * @param hold calls back after a while, and keeps the process alive until then
   */
  constructor(limit: number, hold: (callback: () => void) => () => void) {
    this.#limit = limit;
    this.#hold = hold;
  }

  set begun(begun: Promise<void>) {
    this.#ready = new Promise((resolve, reject) => {
      begun.then(resolve, reject);
      this.#notBegun = reject;
    });
    // Who does not ask is not told.
    this.#ready.catch(() => undefined);
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** @param make what is handed out; made when it is taken, once */
  put(id: string, make: () => T): void {
    if (this.#hasEnded) return;
    const [waiter] = this.#waiters.splice(0, 1);
    if (waiter !== undefined) {
      this.#settle(waiter, make);
      return;
    }
    this.#waiting.set(id, make);
    if (this.#waiting.size <= this.#limit) return;
    this.#waiting.clear();
    this.end(
      new WatchOverflowError(
        `More than ${this.#limit} changed keys wait for the consumer of this watch: take them faster, or raise limit; then look at what is there, and watch anew.`,
      ),
    );
  }

  /** @param error for the consumer, or `null` */
  end(error: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#error = error;
    this.#cancelHold?.();
    this.#notBegun(error ?? new ClosedError('The watch was ended before it had begun.'));
    for (const waiter of this.#waiters.splice(0)) {
      if (error === null) waiter.resolve({ done: true, value: undefined });
      else waiter.reject(this.#takeError());
    }
    this.onEnd();
  }

  next(): Promise<IteratorResult<T, void>> {
    const [first] = this.#waiting;
    return new Promise((resolve, reject) => {
      if (first !== undefined) {
        const [id, make] = first;
        this.#waiting.delete(id);
        this.#settle({ resolve, reject }, make);
      } else if (this.#error !== null) reject(this.#takeError());
      else if (this.#hasEnded) resolve({ done: true, value: undefined });
      else {
        this.#waiters.push({ resolve, reject });
        this.#holdProcess();
      }
    });
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#waiting.clear();
    this.end(null);
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** What can't be read ends the watch for the consumer, and for nobody else. */
  #settle(waiter: Waiter<T>, make: () => T): void {
    try {
      waiter.resolve({ done: false, value: make() });
    } catch (error) {
      waiter.reject(error);
      this.end(null);
    }
  }

  /** It is thrown once; then the iterator is done. */
  #takeError(): unknown {
    const error = this.#error;
    this.#error = null;
    return error;
  }

  #holdProcess(): void {
    if (this.#cancelHold !== null || this.#waiters.length === 0) return;
    this.#cancelHold = this.#hold(() => {
      this.#cancelHold = null;
      this.#holdProcess();
    });
  }
}
