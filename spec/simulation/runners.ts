import { Worker } from 'node:worker_threads';
import { type Choice, Simulation } from './simulation.js';
import { type Result, resultOf } from './totals.js';

/** Runs one seed at a time. */
export interface Runner {
  run(seed: number): Promise<Result>;
  stop(): Promise<unknown>;
}

/** A run that throws is one that fails. */
export async function runSeed(seed: number, choice: Choice): Promise<Result> {
  // A run is one chain of ticks: signals get through between two of them only.
  await new Promise((resolve) => setImmediate(resolve));
  try {
    return resultOf(await new Simulation(seed, choice).run());
  } catch (error) {
    return thrown(seed, error);
  }
}

function thrown(seed: number, error: unknown): Result {
  const what = error instanceof Error ? error.stack : String(error);
  const violations = [`the run threw: ${what}`];
  return { seed, hash: '', violations, counts: [], undecided: 0, operations: 0, virtualMs: 0 };
}

/** In this very thread. */
export class LocalRunner implements Runner {
  readonly #choice: Choice;
  #isStopped = false;

  constructor(choice: Choice) {
    this.#choice = choice;
  }

  run(seed: number): Promise<Result> {
    return this.#isStopped ? new Promise(() => undefined) : runSeed(seed, this.#choice);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
  }
}

/** In a thread of its own. */
export class ThreadRunner implements Runner {
  readonly #worker: Worker;
  #onError: (error: unknown) => void = () => undefined;

  /**
   * @param script `worker.js` of the simulation, or of a copy of it in which a rule is left out
   * @param mutant put in for all its runs
   */
  constructor(script: string, mutant: string | null, choice: Choice) {
    this.#worker = new Worker(script, {
      workerData: { mutant, choice },
      // Most of what a run makes is garbage at once: with room for it an eighth of the time is saved.
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    });
    // What is thrown outside of any promise ends the thread.
    this.#worker.on('error', (error) => this.#onError(error));
  }

  run(seed: number): Promise<Result> {
    return new Promise((resolve) => {
      this.#onError = (error) => resolve(thrown(seed, error));
      this.#worker.once('message', resolve);
      this.#worker.postMessage(seed);
    });
  }

  stop(): Promise<unknown> {
    return this.#worker.terminate();
  }
}
