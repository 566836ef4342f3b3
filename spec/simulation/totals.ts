import { FAULT_KINDS } from './plan.js';
import type { Report } from './simulation.js';

/** What is counted of a run: a report without what only matters where it is looked at by itself. */
export interface Result {
  readonly seed: number;
  readonly hash: string;
  readonly violations: readonly string[];
  readonly counts: readonly (readonly [string, number])[];
  readonly undecided: number;
  readonly operations: number;
  readonly virtualMs: number;
}

export function resultOf({ seed, hash, violations, counts, undecided, operations, virtualMs }: Report): Result {
  return { seed, hash, violations, counts: [...counts], undecided, operations, virtualMs };
}

/** Fewer calls than this in a run tell little. */
const ENOUGH_OPERATIONS = 500;
/** What has to happen in a campaign of some length, beside the kinds of faults of a plan. */
const EXPECTED = [
  'accept heard by some',
  'accept lost at most',
  'answer lost',
  'broadcast lost',
  'burst: ERR_OVERLOADED',
  'commit lost',
  'config kept secret',
  'corrupted',
  'cut off',
  'doubled',
  'formed under wrong clocks',
  'frames',
  'keys: lifetime over',
  'kill amid a write',
  'long delay',
  'minority accept',
  'misdelivered',
  'pause amid a write',
  'prepare heard by some',
  'queue full',
  'read heard by some',
  'register cut off',
  'replayed',
  'resize',
  'resized',
  'stall within a step',
  'usurp',
  'usurped',
  'watch: removed',
  'watch: set',
];

/** The sum of many runs. */
export class Totals {
  runs = 0;
  undecided = 0;
  virtualMs = 0;
  operations = 0;
  readonly counts = new Map<string, number>();
  #fewest: Result | null = null;
  #most: Result | null = null;
  readonly #short: number[] = [];

  add(result: Result): void {
    this.runs += 1;
    this.undecided += result.undecided;
    this.virtualMs += result.virtualMs;
    this.operations += result.operations;
    for (const [name, count] of result.counts) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
    if (this.#fewest === null || result.operations < this.#fewest.operations) this.#fewest = result;
    if (this.#most === null || result.operations > this.#most.operations) this.#most = result;
    if (result.operations < ENOUGH_OPERATIONS) this.#short.push(result.seed);
  }

  /** Faults that never happened. */
  get missing(): string[] {
    return [...new Set([...FAULT_KINDS, ...EXPECTED])].filter((name) => !this.counts.has(name)).sort();
  }

  /** In words. */
  get text(): string {
    const hours = (this.virtualMs / 3_600_000).toFixed(1);
    const lines = [...this.#sorted, ['histories too tangled to be judged', this.undecided] as const].map(
      ([name, count]) => `${String(count).padStart(10)} ${name}\n`,
    );
    if (this.#fewest !== null && this.#most !== null) {
      lines.push(`operations in a run: ${this.#fewest.operations} (seed ${this.#fewest.seed})`);
      lines.push(` to ${this.#most.operations} (seed ${this.#most.seed})\n`);
    }
    if (this.#short.length > 0) {
      lines.push(`fewer than ${ENOUGH_OPERATIONS} operations with seeds ${this.#short.slice(0, 20).join(', ')}`);
      lines.push(this.#short.length > 20 ? `, and ${this.#short.length - 20} more\n` : '\n');
    }
    if (this.runs > 1 && this.missing.length > 0) lines.push(`never happened: ${this.missing.join(', ')}\n`);
    lines.push(`${this.runs} runs without a violation, ${this.operations} operations, ${hours} h of virtual time\n`);
    return lines.join('');
  }

  /** For files. */
  get json(): object {
    const { runs, undecided, virtualMs, operations, missing } = this;
    return {
      runs,
      undecided,
      virtualMs,
      operations: {
        total: operations,
        fewest: this.#fewest === null ? null : { operations: this.#fewest.operations, seed: this.#fewest.seed },
        most: this.#most === null ? null : { operations: this.#most.operations, seed: this.#most.seed },
        short: this.#short,
      },
      missing,
      counts: Object.fromEntries(this.#sorted),
    };
  }

  get #sorted(): [string, number][] {
    return [...this.counts].sort(([a], [b]) => (a < b ? -1 : 1));
  }
}
