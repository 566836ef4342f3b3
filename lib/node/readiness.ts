import type { PaxosError } from '../errors.js';
import type { Runtime } from './runtime.js';

/** How long the process is kept alive at a time, in ms. */
const HOLD_MS = 50;

/** Those who wait for a node to be ready. They keep the process alive. */
export class Readiness {
  readonly #runtime: Runtime;
  #waiters: { resolve: () => void; reject: (error: PaxosError) => void }[] = [];

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Settles when {@link end} is called. */
  wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#waiters.length === 1) this.#hold();
    });
  }

  /** @param error why it will never be ready; `null`: it is */
  end(error: PaxosError | null): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { resolve, reject } of waiters) {
      if (error === null) resolve();
      else reject(error);
    }
  }

  #hold(): void {
    if (this.#waiters.length > 0) this.#runtime.setTimer(HOLD_MS, true, () => this.#hold());
  }
}
