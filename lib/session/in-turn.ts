import type { Origin } from './origin.js';

/**
 * Keeps one process's operations on one session in the order in which they were called.
 *
 * The registers do that already for what reaches them. But an operation with an object that has another one under way
 * (`save()` not waited for, then the end of the response) can't be handed to them yet: what the first comes to is what
 * the second is based on. So it waits, and with it whatever is called for that id meanwhile.
 */
export class InTurn {
  /** By id, of those that wait: settles when the last of them has been handed to the registers. Never rejects. */
  readonly #handedOver = new Map<string, Promise<unknown>>();

  /** Runs `operation` in its turn; at once, before returning, if nothing is in its way. */
  run<T>(sid: string, origin: Origin | null, operation: () => Promise<T>): Promise<T> {
    const before = this.#handedOver.get(sid);
    const busy = origin?.busy;
    const result = before || busy ? this.#wait(sid, [before, busy], operation) : operation();
    if (origin !== null) occupy(origin, result);
    return result;
  }

  /** Settles when all that waits now has been handed to the registers. Never rejects. */
  async idle(): Promise<void> {
    await Promise.all(this.#handedOver.values());
  }

  #wait<T>(sid: string, earlier: readonly unknown[], operation: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const handedOver = Promise.all(earlier).then(() => {
        if (this.#handedOver.get(sid) === handedOver) this.#handedOver.delete(sid);
        operation().then(resolve, reject);
      });
      this.#handedOver.set(sid, handedOver);
    });
  }
}

function occupy(origin: Origin, result: Promise<unknown>): void {
  const release = (): void => {
    if (origin.busy === busy) origin.busy = null;
  };
  const busy = result.then(release, release);
  origin.busy = busy;
}
