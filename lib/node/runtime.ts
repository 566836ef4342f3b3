import { randomBytes } from 'node:crypto';

/** What a node takes from its machine beside network and disk: time and chance. A simulation puts its own here. */
export interface Runtime {
  /** Ms that only rise, at the pace of real time. */
  monotonicMs(): number;
  /** The machine's clock: ms since 1970. */
  wallMs(): number;
  randomBytes(size: number): Uint8Array;
  /**
   * Calls `callback` once after `delayMs`. While it waits it keeps the process alive only if `isHolding`.
   * @returns cancels it
   */
  setTimer(delayMs: number, isHolding: boolean, callback: () => void): () => void;
  /** Calls `callback` when the events that are there now have been handled. */
  defer(callback: () => void): void;
}

export const systemRuntime: Runtime = {
  monotonicMs: () => performance.now(),
  wallMs: () => Date.now(),
  randomBytes: (size) => randomBytes(size),
  setTimer(delayMs, isHolding, callback) {
    const timer = setTimeout(callback, delayMs);
    if (!isHolding) timer.unref();
    return () => clearTimeout(timer);
  },
  defer: (callback) => {
    setImmediate(callback);
  },
};

/** In 0..1, 1 excluded; 48 bits. */
export function randomFraction(runtime: Runtime): number {
  return readNumber(runtime.randomBytes(6)) / 2 ** 48;
}

/** A random number in 1..2⁴⁸−1: of a process, an incarnation. */
export function drawNumber(runtime: Runtime): number {
  for (;;) {
    const number = readNumber(runtime.randomBytes(6));
    if (number > 0) return number;
  }
}

function readNumber(bytes: Uint8Array): number {
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}
