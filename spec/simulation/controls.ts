import type { Mutant } from './mutants.js';
import type { Runner } from './runners.js';

export interface ControlsOptions {
  readonly mutants: readonly Mutant[];
  readonly seed: number;
  /** By mutant: a seed to begin with in place of that. */
  readonly firstSeeds?: Readonly<Record<string, number>>;
  /** Starting seeds for each mutant. */
  readonly repeat: number;
  /** Seeds from each on within which it has to be caught. */
  readonly runs: number;
  /** Mutants at a time. */
  readonly jobs: number;
  /** Makes what runs seeds under that mutant. */
  readonly runnerOf: (mutant: Mutant) => Runner;
  readonly onDone?: (words: string) => void;
}

/** Between the starting seeds, so that the runs from one on are not those from another. */
const STRIDE = 10_000;

/** It ends a run at once, and shows nothing of the rule. */
const NO_PROGRAM = /^the run threw: (Syntax|Reference|Type)Error/;

/** How many seeds it took each time until a mutant was caught; `null`: it was not. */
export interface Control {
  readonly mutant: Mutant;
  readonly took: readonly (number | null)[];
}

/** Negative controls: every mutant has to be caught. */
export class Controls {
  readonly #options: ControlsOptions;
  readonly #took: (number | null)[][];
  readonly #running = new Set<Runner>();
  #isInterrupted = false;
  #interrupt: () => void = () => undefined;

  constructor(options: ControlsOptions) {
    this.#options = options;
    this.#took = options.mutants.map(() => []);
  }

  async run(): Promise<Control[]> {
    const { mutants, repeat, jobs } = this.#options;
    const tasks = mutants.flatMap((mutant, index) => Array.from({ length: repeat }, (_, k) => ({ mutant, index, k })));
    const interrupted = new Promise<void>((resolve) => {
      this.#interrupt = resolve;
    });
    const drive = async (): Promise<void> => {
      for (let task = tasks.shift(); task !== undefined && !this.#isInterrupted; task = tasks.shift()) {
        const took = await this.#catch(task.mutant, task.k);
        const all = this.#took[task.index];
        if (all !== undefined) all[task.k] = took;
      }
    };
    await Promise.race([interrupted, Promise.all(Array.from({ length: jobs }, drive))]);
    await Promise.all([...this.#running].map((runner) => runner.stop()));
    return mutants.map((mutant, index) => ({ mutant, took: [...(this.#took[index] ?? [])] }));
  }

  interrupt(): void {
    this.#isInterrupted = true;
    this.#interrupt();
  }

  async #catch(mutant: Mutant, k: number): Promise<number | null> {
    const { runs, runnerOf, onDone, firstSeeds } = this.#options;
    const seed = firstSeeds?.[mutant.name] ?? this.#options.seed;
    const runner = runnerOf(mutant);
    this.#running.add(runner);
    const first = seed + k * STRIDE;
    let caught: number | null = null;
    for (let count = 1; count <= runs && caught === null && !this.#isInterrupted; count += 1) {
      const { violations } = await runner.run(first + count - 1);
      const broken = violations.find((words) => NO_PROGRAM.test(words));
      if (broken !== undefined) throw new Error(`mutant ${mutant.name}: what it puts in does not run: ${broken}`);
      if (violations.length > 0) caught = count;
    }
    this.#running.delete(runner);
    await runner.stop();
    const how = caught === null ? `not caught within ${runs} seeds` : `caught by seed ${first + caught - 1}`;
    onDone?.(`${mutant.name} from seed ${first} on: ${how}`);
    return caught;
  }
}

/** A line for each mutant: the median and the worst number of seeds until it was caught. */
export function tableOf(controls: readonly Control[]): string {
  const width = Math.max(0, ...controls.map(({ mutant }) => mutant.name.length));
  const lines = controls.map(({ mutant, took }) => {
    const sorted = took.map((each) => each ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b);
    const median = sorted[Math.floor((sorted.length - 1) / 2)];
    const cells = [median, sorted.at(-1)].map((each) =>
      (each === undefined ? '-' : each === Number.POSITIVE_INFINITY ? 'never' : String(each)).padStart(8),
    );
    return `${mutant.name.padEnd(width)}${cells.join('')}  ${mutant.breaks}\n`;
  });
  return `${'mutant'.padEnd(width)}  median   worst  rule that it breaks\n${lines.join('')}`;
}

/** Whether every mutant was caught, each time. */
export function isEveryCaught(controls: readonly Control[], repeat: number): boolean {
  return controls.every(({ took }) => took.filter((each) => typeof each === 'number').length === repeat);
}
