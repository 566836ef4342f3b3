/** One of the threads of a campaign: runs the seeds that it is given, one after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { mutants } from './mutants.js';
import { useQuickCipher } from './quick-cipher.js';
import { runSeed } from './runners.js';
import type { Choice } from './simulation.js';

const { mutant, choice } = workerData as { readonly mutant: string | null; readonly choice: Choice };
// Most operations that fail do so as they should: where that was is asked of a run that is made again by itself.
Error.stackTraceLimit = 0;
useQuickCipher();
mutants.find(({ name }) => name === mutant)?.install?.();
parentPort?.on('message', (seed: number) => {
  void runSeed(seed, choice).then((result) => parentPort?.postMessage(result));
});
