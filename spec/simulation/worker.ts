/** One of the threads of a campaign: runs the seeds that it is given, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Conditions } from './conditions.js';
import { mutants } from './mutants.js';
import { runSeed } from './runners.js';

const { mutant, conditions } = workerData as { readonly mutant: string | null; readonly conditions: Conditions };
mutants.find(({ name }) => name === mutant)?.install?.();
parentPort?.on('message', (seed: number) => {
  void runSeed(seed, conditions).then((result) => parentPort?.postMessage(result));
});
