/** `get`, `set` and `touch` called as express-session calls them, without Express around. */
import { setTimeout } from 'node:timers/promises';
import { MEMORY, PAXOS, REDIS, startContestants } from './contestants.js';
import { Measurements } from './measurements.js';
import { SESSION_COUNT } from './sessions.js';

const WARM_UP_SECONDS = 0.3;
const IDLE_SECONDS = 4;

const everybody = (operation) => ({ [PAXOS]: operation, [REDIS]: operation, [MEMORY]: operation });
const touchEach = { [PAXOS]: 'touch each', [REDIS]: 'touch', [MEMORY]: 'touch' };

/** What each contestant does in a row. `compared`: the row that holds the others' figures where this one does not. */
const OPERATIONS = [
  { label: 'get', does: everybody('get') },
  { label: 'set', does: everybody('set') },
  { label: 'touch, each written', does: touchEach },
  { label: 'touch, default', does: { [PAXOS]: 'touch' }, compared: 'touch, each written' },
];

export const STORE_ROWS = [
  ...OPERATIONS.map((row) => ({ ...row, group: 'one', outstanding: 1, drivers: 1 })),
  ...OPERATIONS.map((row) => ({ ...row, group: 'many', outstanding: 64, drivers: 1 })),
  ...[
    { label: 'get', does: { [PAXOS]: 'get', [REDIS]: 'get' } },
    { label: 'set', does: { [PAXOS]: 'set', [REDIS]: 'set' } },
    { label: 'touch, each written', does: { [PAXOS]: 'touch each', [REDIS]: 'touch' } },
    { label: 'get, then set', does: { [PAXOS]: 'get and set', [REDIS]: 'get and set' } },
  ].map((row) => ({ ...row, group: 'all', outstanding: 64, drivers: 3 })),
];

/** Operations whose datagrams are counted, and how they are called. */
const COUNTED = [
  ['get', 'get'],
  ['set', 'set'],
  ['touch each', 'touch, each written'],
  ['touch', 'touch, default'],
  ['get and set', 'get, then set'],
];

/** @returns the measurements, and the datagrams of the farm */
export async function measureStores({ rounds, seconds, redis, isSealed, tell }) {
  const contestants = await startContestants('store-process.js', { redis, isSealed });
  try {
    for (const { workers } of contestants) await workers[0].ask('fill');
    const measurements = new Measurements();
    for (let round = 1; round <= rounds; round += 1) {
      for (const row of STORE_ROWS) {
        tell(`stores, round ${round} of ${rounds}: ${row.label}, ${row.drivers} × ${row.outstanding} outstanding`);
        for (const contestant of contestants) {
          if (row.does[contestant.name] === undefined) continue;
          measurements.add({ round, ...(await measure(contestant, row, seconds)) });
        }
      }
    }
    const farm = contestants.find(({ name }) => name === PAXOS);
    tell('stores: counting datagrams');
    return { measurements, datagrams: await countDatagrams(farm, seconds), text: farm.text };
  } finally {
    await Promise.allSettled(contestants.map((contestant) => contestant.end()));
  }
}

async function measure(contestant, { label, group, does, outstanding, drivers }, seconds) {
  const operation = does[contestant.name];
  const driving = contestant.workers.slice(0, drivers);
  // Each driver changes sessions of its own, but in "get, then set", where whoever comes changes any.
  await Promise.all(
    driving.map((worker, first) => worker.ask('hold', { first, step: drivers, isEager: operation === 'touch each' })),
  );
  const load = (time) =>
    Promise.all(
      driving.map((worker, index) => {
        const from = Math.floor((index * SESSION_COUNT) / drivers);
        return worker.ask('load', { operation, outstanding, seconds: time, from });
      }),
    );
  await load(WARM_UP_SECONDS);
  const before = await contestant.cpuMicros(drivers);
  const results = await load(seconds);
  const besideMicros = (await contestant.cpuMicros(drivers)) - before;
  return { row: `${group}: ${label}`, contestant: contestant.name, ...summed(results, besideMicros) };
}

/** The drivers' results as one. Latencies are the slowest driver's. */
function summed(results, besideMicros) {
  const sum = (pick) => results.reduce((total, result) => total + pick(result), 0);
  const done = sum((result) => result.done);
  return {
    done,
    errors: sum((result) => result.errors),
    messages: results.flatMap((result) => result.messages),
    perSecond: sum((result) => result.done / result.elapsed),
    cpuMicros: (sum((result) => result.cpuMicros) + besideMicros) / done,
    p50: Math.max(...results.map((result) => result.p50)),
    p99: Math.max(...results.map((result) => result.p99)),
  };
}

/** Datagrams of the driving process for each operation, and of each process when nothing is asked. */
async function countDatagrams({ workers }, seconds) {
  const [driver] = workers;
  const idle = await Promise.all(
    workers.map(async (worker) => {
      const { sent, received, elapsed } = await counted(worker, () => setTimeout(IDLE_SECONDS * 1000));
      return { sent: sent / elapsed, received: received / elapsed };
    }),
  );
  const operations = [];
  for (const [operation, label] of COUNTED) {
    await driver.ask('hold', { first: 0, step: 1, isEager: operation === 'touch each' });
    const [one, many] = [await each(1), await each(64)];
    operations.push({ label, one, many });

    async function each(outstanding) {
      let done = 0;
      const { sent, received, elapsed } = await counted(driver, async () => {
        ({ done } = await driver.ask('load', { operation, outstanding, seconds: Math.min(seconds, 2), from: 0 }));
      });
      const beside = (perSecond) => perSecond * elapsed;
      return { sent: (sent - beside(idle[0].sent)) / done, received: (received - beside(idle[0].received)) / done };
    }
  }
  return { idle, operations };
}

async function counted(worker, action) {
  const count = async () => (await worker.ask('status')).network.transport;
  const [before, startMs] = [await count(), performance.now()];
  await action();
  const [after, endMs] = [await count(), performance.now()];
  const elapsed = (endMs - startMs) / 1000;
  const difference = (name) => after[name] - before[name];
  return { sent: difference('datagramsSent'), received: difference('datagramsReceived'), elapsed };
}
