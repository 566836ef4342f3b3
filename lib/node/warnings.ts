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
