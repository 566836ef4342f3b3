/** That what `npm run simulate` runs by the thousand gives the same each time, and can fail. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Conditions } from './conditions.js';
import { mutants } from './mutants.js';
import { useQuickCipher } from './quick-cipher.js';
import { type Report, Simulation } from './simulation.js';

/** `.ci/run` has a hundred of them, in a third of the time each: without jest. */
function run(seed: number): Promise<Report> {
  return new Simulation(seed).run();
}

test('the same seed gives the same run, byte for byte; another one, another', async () => {
  const [once, again, other] = [await run(20), await run(20), await run(21)];
  expect(once.violations).toEqual([]);
  expect(again.hash).toBe(once.hash);
  expect(other.hash).not.toBe(once.hash);
  expect(once.operations).toBeGreaterThanOrEqual(500);
}, 60_000);

test('with keys, leases and watches too', async () => {
  const conditions: Conditions = { topic: 'keys', kvWatchers: 0.7, clusterSize: 3, workMs: 4000 };
  const [once, again] = [await new Simulation(7, { conditions }).run(), await new Simulation(7, { conditions }).run()];
  expect(once.violations).toEqual([]);
  expect(again.hash).toBe(once.hash);
  expect(once.counts.get('watch: set')).toBeGreaterThan(0);
}, 60_000);

test('runs with the quick cipher differ in the tags only', async () => {
  const conditions: Conditions = { clusterSize: 3, workMs: 1000 };
  const traceOf = async (): Promise<string> => (await new Simulation(9, { conditions, isTraced: true }).run()).trace;
  // The end of the tag stands at the end of the line.
  const linesOf = (trace: string): string[] => trace.split('\n').map((line) => line.replace(/ [0-9a-f]{8}$/, ''));
  const sealed = await traceOf();
  const end = useQuickCipher();
  try {
    const quick = await traceOf();
    expect(quick).not.toBe(sealed);
    expect(linesOf(quick)).toEqual(linesOf(sealed));
  } finally {
    end();
  }
}, 60_000);

describe('is caught within a few seeds:', () => {
  let remove = (): void => undefined;
  afterEach(() => remove());

  /** Those that take hundreds of seeds are left to `npm run simulate -- --mutant NAME`. */
  test.each([
    ['majority-too-small', 1],
    ['late-save-not-checked', 1],
  ])(
    '%s',
    async (name, firstSeed) => {
      const mutant = mutants.find((each) => each.name === name);
      if (mutant === undefined) throw new Error(`no mutant ${name}`);
      remove = mutant.install?.() ?? remove;
      for (let seed = firstSeed; seed < firstSeed + 5; seed += 1) {
        if ((await new Simulation(seed, { endsAtFirst: true }).run()).violations.length > 0) return;
      }
      throw new Error('not caught');
    },
    60_000,
  );
});
