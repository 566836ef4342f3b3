/** Warnings that can't flood a log. */

const QUIET_MS = 60_000;
/** Codes are literals of this room, a dozen of them; the bound is for the day one is not. */
const MAX_CODES = 64;

interface Spoken {
  sinceMs: number;
  leftOut: number;
}

/** Lets through one warning a code a minute, and counts those left out. */
export class Warnings {
  readonly #spoken = new Map<string, Spoken>();
  readonly #emit: (code: string, message: string) => void;
  readonly #nowMs: () => number;

  /** @param nowMs a clock in ms that doesn't go back */
  constructor(emit: (code: string, message: string) => void, nowMs: () => number = () => performance.now()) {
    this.#emit = emit;
    this.#nowMs = nowMs;
  }

  /** Says what happened and what to do, unless the same code has spoken within the last minute. */
  warn(code: string, message: string): void {
    const nowMs = this.#nowMs();
    const spoken = this.#spoken.get(code);
    if (spoken && nowMs - spoken.sinceMs < QUIET_MS) {
      spoken.leftOut += 1;
      return;
    }
    if (!spoken && this.#spoken.size >= MAX_CODES) return;
    this.#spoken.set(code, { sinceMs: nowMs, leftOut: 0 });
    const leftOut = spoken?.leftOut ?? 0;
    this.#emit(code, leftOut > 0 ? `${message} (${leftOut} more of this kind since the last such warning)` : message);
  }
}
