/** Three processes for each store: a farm, three clients of one Redis, one alone with its memory. */
import { Worker } from './processes.js';
import { farmOptions, redisOptions } from './stores.js';

export const PAXOS = 'connect-paxos';
export const REDIS = 'connect-redis';
export const MEMORY = 'MemoryStore';

/**
 * Starts what is to be compared, in processes that run `file`.
 * @param execArgv for the first process of the farm, the one that drives
 */
export async function startContestants(file, { redis, isSealed, names = null }) {
  const plans = [
    { name: PAXOS, options: farmOptions({ isSealed }), size: 3 },
    { name: REDIS, options: redis && redisOptions(redis), size: 3, redis },
    { name: MEMORY, options: { kind: 'memory' }, size: 1 },
  ];
  const wanted = plans.filter(({ name, options }) => options && (names === null || names.includes(name)));
  const contestants = [];
  for (const plan of wanted) contestants.push(await start(file, plan));
  return contestants;
}

async function start(file, { name, options, size, redis = null }) {
  const workers = Array.from({ length: size }, () => new Worker(file));
  // Together: a farm forms when all its processes are there.
  const opened = await Promise.all(
    workers.map((worker, index) => {
      const own = name === PAXOS ? { slot: index + 1, name: `bench ${index + 1}` } : {};
      return worker.ask('open', { ...options, ...own });
    }),
  );
  return {
    name,
    workers,
    opened,
    /** µs of CPU time used up to now by what serves this store, its server included, without the first `drivers`. */
    async cpuMicros(drivers = 0) {
      const others = workers.slice(drivers).map((worker) => worker.ask('cpuMicros'));
      const parts = await Promise.all([...others, redis?.cpuMicros() ?? 0]);
      return parts.reduce((sum, part) => sum + part, 0);
    },
    async end() {
      // A Redis that is the user's own is left as it was.
      if (name === REDIS) await workers[0].ask('clear').catch(() => undefined);
      await Promise.all(workers.map((worker) => worker.end()));
    },
    /** What the processes said on their standard error. */
    get text() {
      return workers.map((worker) => worker.text).join('');
    },
  };
}
