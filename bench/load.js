import { setImmediate, setTimeout } from 'node:timers/promises';
import { Samples } from './statistics.js';

/** Operations after which timers and sockets get their turn, for those that end without either. */
const YIELD_EVERY = 100;
/** Messages of errors kept. */
const MAX_MESSAGES = 3;

/**
 * Calls `operation(n)`, n counting up from `from`, so that `outstanding` of them are always under way; or so many callers
 * that each wait between two calls, `pauseMs` in the mean, as users do who don't know of one another.
 * @returns what came of it: operations, seconds, µs of CPU time of this process, latencies in µs
 */
export async function load(operation, { outstanding, seconds, from, pauseMs = 0 }) {
  const samples = new Samples();
  const messages = new Set();
  let [next, done, errors] = [from, 0, 0];
  const cpu = process.cpuUsage();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;

  async function caller() {
    for (;;) {
      if (pauseMs > 0) await setTimeout(-Math.log(1 - Math.random()) * pauseMs);
      const calledMs = performance.now();
      if (calledMs >= endMs) return;
      try {
        await operation(next++);
        samples.add((performance.now() - calledMs) * 1000);
        if (++done % YIELD_EVERY === 0) await setImmediate();
      } catch (error) {
        errors += 1;
        if (messages.size < MAX_MESSAGES) messages.add(String(error));
        await setImmediate();
      }
    }
  }
  await Promise.all(Array.from({ length: outstanding }, caller));

  const elapsed = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  const [p50, p99] = samples.percentiles(0.5, 0.99);
  return { done, errors, messages: [...messages], elapsed, cpuMicros: user + system, p50, p99, next };
}
