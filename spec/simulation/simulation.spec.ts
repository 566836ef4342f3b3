/** That what `npm run simulate` runs by the thousand gives the same each time, and can fail. */
import { expect, test } from '@jest/globals';
import type { Conditions } from './conditions.js';
import { mutants } from './mutants.js';
import { Host } from './process.js';
import { useQuickCipher } from './quick-cipher.js';
import { type Report, Simulation } from './simulation.js';

/** `.ci/run` runs a hundred more, in a third of the time each: without jest. */
test('the same seed gives the same run, byte for byte, and with the quick cipher all but the tags', async () => {
  const run = (): Promise<Report> => new Simulation(20, { isTraced: true }).run();
  // The end of the tag stands at the end of the line.
  const linesOf = ({ trace }: Report): string[] => trace.split('\n').map((line) => line.replace(/ [0-9a-f]{8}$/, ''));
  const [once, again] = [await run(), await run()];
  expect(once.violations).toEqual([]);
  expect(once.operations).toBeGreaterThanOrEqual(500);
  expect(again.hash).toBe(once.hash);
  const end = useQuickCipher();
  try {
    const quick = await run();
    expect(quick.hash).not.toBe(once.hash);
    expect(linesOf(quick)).toEqual(linesOf(once));
  } finally {
    end();
  }
});

test('another seed gives another run', async () => {
  const begin = (seed: number): Promise<Report> => new Simulation(seed, { kept: [] }).run();
  expect((await begin(21)).hash).not.toBe((await begin(20)).hash);
});

test('with keys, leases and watches too', async () => {
  const conditions: Conditions = { topic: 'keys', kvWatchers: 0.7, clusterSize: 3, workMs: 4000 };
  const [once, again] = [await new Simulation(7, { conditions }).run(), await new Simulation(7, { conditions }).run()];
  expect(once.violations).toEqual([]);
  expect(again.hash).toBe(once.hash);
  expect(once.counts.get('watch: set')).toBeGreaterThan(0);
});

test.each([
  ['goes on', false],
  ['dies meanwhile', true],
])('what a process that stalls within a step answers there is heard if it %s', async (_how, isKilled) => {
  const simulation = new Simulation(1, { conditions: { clusterSize: 1 } });
  const { world } = simulation;
  const server = simulation.start(new Host(1, 1));
  const stallMs = 500;
  let heardMs = 0;
  world.at(10, server.process, async () => {
    await server.call('stall', async () => {
      server.process.pause(stallMs);
    });
    heardMs = world.nowMs;
  });
  world.after(100, () => {
    if (isKilled) simulation.end(server, true, 1e6);
  });
  await world.runUntil(3000);
  expect(heardMs).toBe(isKilled ? 0 : 10 + stallMs);
});

test('a quorum that is none is caught within a few seeds', async () => {
  const remove = mutants.find(({ name }) => name === 'majority-too-small')?.install?.() ?? (() => undefined);
  try {
    for (let seed = 1; seed <= 5; seed += 1) {
      if ((await new Simulation(seed, { endsAtFirst: true }).run()).violations.length > 0) return;
    }
    throw new Error('not caught');
  } finally {
    remove();
  }
});
