import type { EventEmitter } from 'node:events';

/** What a `warning` event carries. */
export interface NodeWarning {
  /** Tells the kinds apart; stable. */
  readonly code: string;
  /** What happened, and what to do. */
  readonly message: string;
}

/** A warning of one code is given at most once in that time. */
const INTERVAL_MS = 60_000;
/** Codes remembered. */
const MAX_CODES = 100;

/** Gives warnings, but not a flood of them: a code at most once a minute, then with the number left out. */
export class Warnings {
  readonly #give: (warning: NodeWarning) => void;
  readonly #nowMs: () => number;
  readonly #given = new Map<string, { atMs: number; leftOut: number }>();

  constructor(nowMs: () => number, give: (warning: NodeWarning) => void) {
    this.#nowMs = nowMs;
    this.#give = give;
  }

  /** @param isState it is found again at each look for as long as it lasts, which nobody needs counted */
  warn(code: string, message: string, isState = false): void {
    const nowMs = this.#nowMs();
    const last = this.#given.get(code);
    if (last !== undefined && nowMs - last.atMs < INTERVAL_MS) {
      last.leftOut += 1;
      return;
    }
    if (last === undefined && this.#given.size >= MAX_CODES) return;
    this.#given.set(code, { atMs: nowMs, leftOut: 0 });
    const suffix =
      !isState && last !== undefined && last.leftOut > 0 ? ` (${last.leftOut} more of these since the last one)` : '';
    this.#give({ code, message: message + suffix });
  }
}

/** A node, as far as it warns. */
export interface WarningSource {
  on(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
  off(event: 'warning', listener: (warning: NodeWarning) => void): unknown;
}

/**
 * Passes a node's warnings on to those who listen at a store. A node of which nobody hears the warnings gives them to Node's
 * own, and has to know whether anybody does: so it is listened to only while somebody listens at the store.
 */
export class WarningRelay {
  readonly #node: WarningSource;
  readonly #store: EventEmitter;

  constructor(node: WarningSource, store: EventEmitter) {
    this.#node = node;
    this.#store = store;
  }

  /** Also again, if all listeners were taken away from the store, these included. */
  attach(): void {
    this.#leaveStore();
    this.#store.on('newListener', this.#onNewListener).on('removeListener', this.#onRemovedListener);
  }

  detach(): void {
    this.#leaveStore();
    this.#node.off('warning', this.#onWarning);
  }

  #leaveStore(): void {
    this.#store.off('newListener', this.#onNewListener).off('removeListener', this.#onRemovedListener);
  }

  readonly #onNewListener = (event: string | symbol): void => {
    if (this.#isUnheard(event)) this.#node.on('warning', this.#onWarning);
  };

  readonly #onRemovedListener = (event: string | symbol): void => {
    if (this.#isUnheard(event)) this.#node.off('warning', this.#onWarning);
  };

  /** Before the first has come, and after the last has gone. */
  #isUnheard(event: string | symbol): boolean {
    return event === 'warning' && this.#store.listenerCount('warning') === 0;
  }

  readonly #onWarning = (warning: NodeWarning): void => void this.#store.emit('warning', warning);
}
