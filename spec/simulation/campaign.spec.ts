/** What comes of many seeds does not depend on how many run at a time, and wrong usage is told in words. */
import { expect, test } from '@jest/globals';
import { Campaign, type Outcome } from './campaign.js';
import { command } from './command.js';
import { Controls, isEveryCaught, tableOf } from './controls.js';
import type { Mutant } from './mutants.js';
import type { Runner } from './runners.js';
import type { Result } from './totals.js';

function resultOf(seed: number, violations: readonly string[]): Result {
  const counts = [['kill', seed]] as const;
  return { seed, hash: '', violations, counts, undecided: 0, operations: 500 + seed, virtualMs: 10 };
}

/** Later seeds are done sooner. */
function runnerOf(failing: ReadonlySet<number>): Runner {
  return {
    run: async (seed) => {
      await new Promise((resolve) => setTimeout(resolve, Math.max(0, 20 - 2 * seed)));
      return resultOf(seed, failing.has(seed) ? ['broken'] : []);
    },
    stop: async () => undefined,
  };
}

function campaign(jobs: number, failing: readonly number[]): Promise<Outcome> {
  const runners = Array.from({ length: jobs }, () => runnerOf(new Set(failing)));
  return new Campaign({ seed: 1, runs: 9, maxMs: 10_000, runners }).run();
}

test.each([1, 2, 7])(
  'with %d runs at a time the smallest failing seed is found, and those before it count',
  async (jobs) => {
    const { totals, failed } = await campaign(jobs, [4, 6, 8]);
    expect(failed?.seed).toBe(4);
    expect(totals.runs).toBe(3);
    expect(totals.counts.get('kill')).toBe(1 + 2 + 3);
    expect(totals.text).toContain('operations in a run: 501 (seed 1) to 503 (seed 3)');
  },
);

test('one that keeps going tells of each that fails, and counts the others', async () => {
  const runners = [runnerOf(new Set([4, 6])), runnerOf(new Set([4, 6]))];
  const told: number[] = [];
  const onFailure = ({ seed }: Result): number => told.push(seed);
  const campaign = new Campaign({ seed: 1, runs: 9, maxMs: 10_000, runners, isPersistent: true, onFailure });
  const { totals, failed } = await campaign.run();
  expect({ told, runs: totals.runs, failed: failed?.seed }).toEqual({ told: [4, 6], runs: 7, failed: 4 });
});

test('without a violation all seeds count, and faults that never happened are named', async () => {
  const { totals, failed } = await campaign(3, []);
  expect(failed).toBeNull();
  expect(totals.runs).toBe(9);
  expect(totals.missing).toContain('pause');
  expect(totals.missing).not.toContain('kill');
});

test('an interrupted campaign tells what was done', async () => {
  const stuck: Runner = {
    run: (seed) => (seed < 3 ? Promise.resolve(resultOf(seed, [])) : new Promise(() => undefined)),
    stop: async () => undefined,
  };
  const running = new Campaign({ seed: 1, runs: 9, maxMs: 10_000, runners: [stuck] });
  setTimeout(() => running.interrupt(), 20);
  const { totals, isInterrupted } = await running.run();
  expect({ runs: totals.runs, isInterrupted }).toEqual({ runs: 2, isInterrupted: true });
});

test('controls: seeds until each mutant was caught, and one that never was', async () => {
  const mutants: Mutant[] = [
    { name: 'quick', breaks: 'one rule' },
    { name: 'slow', breaks: 'another' },
  ];
  const controls = await new Controls({
    mutants,
    seed: 1,
    repeat: 2,
    runs: 5,
    jobs: 3,
    runnerOf: ({ name }) => runnerOf(new Set(name === 'quick' ? [2, 10_001] : [3])),
  }).run();
  expect(controls.map(({ took }) => took)).toEqual([
    [2, 1],
    [3, null],
  ]);
  expect(isEveryCaught(controls, 2)).toBe(false);
  expect(tableOf(controls)).toBe(
    'mutant  median   worst  rule that it breaks\n' +
      'quick       1       2  one rule\n' +
      'slow        3   never  another\n',
  );
});

test('a mutant whose code does not run is an error, and not caught', async () => {
  const run = async (seed: number) => ({
    ...(await runnerOf(new Set()).run(seed)),
    violations: ['the run threw: SyntaxError: Illegal continue statement'],
  });
  const controls = new Controls({
    mutants: [{ name: 'typo', breaks: 'nothing' }],
    seed: 1,
    repeat: 1,
    runs: 5,
    jobs: 1,
    runnerOf: () => ({ run, stop: async () => undefined }),
  });
  await expect(controls.run()).rejects.toThrow('mutant typo: what it puts in does not run: the run threw: SyntaxError');
});

test.each([
  [['--runs', 'x'], '--runs is a whole number from 1 on, not "x"'],
  [['--mutant', 'nobody'], 'there is no mutant nobody; see --mutants'],
  [['--plan', 'weather=off'], 'there is no condition weather'],
  [['--kept', 'fault 2@3', '--runs', '5'], '--kept, --salt and --draw are for a single run'],
  [['--nonsense'], "Unknown option '--nonsense'"],
])('%j is wrong usage', async (args, word) => {
  let output = '';
  const write = (text: string): void => {
    output += text;
  };
  expect(await command(args, { built: '', isAltered: false, write })).toBe(2);
  expect(output).toContain(word);
});
