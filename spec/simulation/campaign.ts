import type { Runner } from './runners.js';
import { type Result, Totals } from './totals.js';

export interface CampaignOptions {
  readonly seed: number;
  readonly runs: number;
  /** Real ms after which no run begins. */
  readonly maxMs: number;
  readonly runners: readonly Runner[];
  /** Is told how far it has got, every ten seconds or so. */
  readonly onProgress?: (totals: Totals) => void;
}

export interface Outcome {
  /** Of the runs before the one that failed. */
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
      if (result.violations.length === 0) this.#results.set(seed, result);
      else if (this.#failed === null || seed < this.#failed.seed) this.#failed = result;
      this.#count();
    }
  }

  /** The next seed; none behind one that failed. */
  #take(): number | null {
    const { seed, runs, maxMs } = this.#options;
    const isOver = this.#isInterrupted || this.#failed !== null || performance.now() - this.#startedMs > maxMs;
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
      this.#totals.add(result);
    }
    if (performance.now() - this.#toldMs < PROGRESS_MS) return;
    this.#toldMs = performance.now();
    this.#options.onProgress?.(this.#totals);
  }
}
