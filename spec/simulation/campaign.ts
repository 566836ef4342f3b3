import type { Runner } from './runners.js';
import { type Result, Totals } from './totals.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly runs: number;
  /** Real ms after which no run begins. */
  readonly maxMs: number;
  readonly runners: readonly Runner[];
  /** Whether it goes on after a run that fails. */
  readonly isPersistent?: boolean;
  /** Is told of each run that fails, in the order of their seeds. */
  readonly onFailure?: (failed: Result) => void;
  /** Is told how far it has got, every ten seconds or so. */
  readonly onProgress?: (totals: Totals) => void;
}

export interface Outcome {
  /** Of the runs without a violation: those before the one that failed, or all if it went on. */
  readonly totals: Totals;
  /** The smallest seed that fails. */
  readonly failed: Result | null;
  readonly isInterrupted: boolean;
}

const PROGRESS_MS = 10_000;

/** Many seeds, several at a time. What comes out does not depend on how many. */
export class Campaign {
  readonly #options: CampaignOptions;
  readonly #startedMs = performance.now();
  readonly #results = new Map<number, Result>();
  readonly #totals = new Totals();
  #next: number;
  /** All seeds before this one are counted. */
  #counted: number;
  #failed: Result | null = null;
  #toldMs = this.#startedMs;
  #interrupt: () => void = () => undefined;
  #isInterrupted = false;

  constructor(options: CampaignOptions) {
    this.#options = options;
    this.#next = options.seed;
    this.#counted = options.seed;
  }

  async run(): Promise<Outcome> {
    const interrupted = new Promise<void>((resolve) => {
      this.#interrupt = resolve;
    });
    const { runners } = this.#options;
    await Promise.race([interrupted, Promise.all(runners.map((runner) => this.#drive(runner)))]);
    await Promise.all(runners.map((runner) => runner.stop()));
    return { totals: this.#totals, failed: this.#failed, isInterrupted: this.#isInterrupted };
  }

  /** Ends it: what was not done by now is not counted. */
  interrupt(): void {
    this.#isInterrupted = true;
    this.#interrupt();
  }

  async #drive(runner: Runner): Promise<void> {
    for (let seed = this.#take(); seed !== null; seed = this.#take()) {
      const result = await runner.run(seed);
      if (this.#isInterrupted) return;
      const hasFailed = result.violations.length > 0;
      if (!hasFailed || this.#options.isPersistent === true) this.#results.set(seed, result);
      if (hasFailed && (this.#failed === null || seed < this.#failed.seed)) this.#failed = result;
      this.#count();
    }
  }

  /** The next seed; none behind one that failed, unless it goes on. */
  #take(): number | null {
    const { seed, runs, maxMs } = this.#options;
    const hasFailed = this.#failed !== null && this.#options.isPersistent !== true;
    const isOver = this.#isInterrupted || hasFailed || performance.now() - this.#startedMs > maxMs;
    if (isOver || this.#next >= seed + runs) return null;
    this.#next += 1;
    return this.#next - 1;
  }

  /** In their order, up to the one that failed. */
  #count(): void {
    for (;;) {
      const result = this.#results.get(this.#counted);
      if (result === undefined) break;
      this.#results.delete(this.#counted);
      this.#counted += 1;
      if (result.violations.length === 0) this.#totals.add(result);
      else this.#options.onFailure?.(result);
    }
    if (performance.now() - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = performance.now();
    this.#options.onProgress?.(this.#totals);
  }
}
