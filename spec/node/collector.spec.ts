import { expect, it } from '@jest/globals';
import type { Config } from '../../lib/membership/index.js';
import { Collector } from '../../lib/node/collector.js';
import type { Operations } from '../../lib/node/operations.js';
import type { Voter } from '../../lib/node/voter.js';
import type { Tombstone } from '../../lib/paxos/index.js';

it('asks about tombstones of values without an end while all voters are heard, and the farm keeps its size', async () => {
  const tombstone: Tombstone = { key: 'b/k', accepted: { round: 1, proposer: 1 }, operation: '1.1' };
  const stable: Config = { version: 1, slots: 3, sizes: [3], since: [0, 0, 0] };
  let isComplete = false;
  let arePast = true;
  let monotonicMs = 0;
  let config: Config = stable;
  const asked: string[] = [];
  const released: Tombstone[] = [];
  const voter: Pick<Voter, 'collect' | 'release'> = {
    collect: () => ({ unsettled: [], endless: [tombstone], overtaken: [] }),
    release: (what) => void released.push(what),
  };
  const operations: Pick<Operations, 'arePast'> = {
    arePast: async (key) => {
      asked.push(key);
      return arePast;
    },
  };
  const collector = new Collector({
    voter: voter as Voter,
    operations: operations as Operations,
    timeoutMs: 1000,
    now: () => ({ monotonicMs, wallMs: 0, isTrusted: true }),
    config: () => config,
    isComplete: () => isComplete,
    track: (operation) => operation,
  });
  collector.tick();
  isComplete = true;
  config = { version: 2, slots: 5, sizes: [3, 5], since: [0, 0, 0, 1, 1] };
  collector.tick();
  expect(asked).toEqual([]);
  config = stable;
  collector.tick();
  expect(asked).toEqual(['b/k']);
  const later = async (ms: number): Promise<void> => {
    await new Promise((resolve) => setImmediate(resolve));
    monotonicMs += ms;
    collector.tick();
    await new Promise((resolve) => setImmediate(resolve));
  };
  // A copy that one of them was just making may arrive for as long.
  await later(10_000);
  arePast = false;
  await later(1000);
  arePast = true;
  await later(1000);
  await later(10_000);
  expect(released).toEqual([]);
  await later(1);
  expect(released).toEqual([tombstone]);
});

it.each([
  ['more than are asked about at a time', 2000, 3],
  ['more than are in hand at a time', 25_000, 9],
])('releases all of them that come up together, though there are %s', async (_, count, cycles) => {
  const tombstones = Array.from(
    { length: count },
    (_each, index): Tombstone => ({ key: `b/${index}`, accepted: { round: 1, proposer: 1 }, operation: `1.${index}` }),
  );
  const left = new Set(tombstones);
  let monotonicMs = 0;
  let due: Tombstone[] = [];
  let mostAsked = 0;
  let asked = 0;
  const voter: Pick<Voter, 'collect' | 'release'> = {
    collect: () => ({ unsettled: [], endless: due.splice(0, 1000), overtaken: [] }),
    release: (tombstone) => void left.delete(tombstone),
  };
  const operations: Pick<Operations, 'arePast'> = {
    arePast: async () => {
      asked += 1;
      return true;
    },
  };
  const collector = new Collector({
    voter: voter as Voter,
    operations: operations as Operations,
    timeoutMs: 1000,
    now: () => ({ monotonicMs, wallMs: 0, isTrusted: true }),
    config: () => ({ version: 1, slots: 3, sizes: [3], since: [0, 0, 0] }),
    isComplete: () => true,
    track: (operation) => operation,
  });
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    due = [...left];
    for (let ticks = 0; ticks < 220; ticks += 1) {
      asked = 0;
      collector.tick();
      await new Promise((resolve) => setImmediate(resolve));
      mostAsked = Math.max(mostAsked, asked);
      monotonicMs += 50;
    }
  }
  expect(left.size).toBe(0);
  expect(mostAsked).toBe(64);
});

it('asks a second time ten seconds after the first answer, though the tombstone came up while that was awaited', async () => {
  const tombstone: Tombstone = { key: 'b/k', accepted: { round: 1, proposer: 1 }, operation: '1.1' };
  const answers: ((isPast: boolean) => void)[] = [];
  let released = 0;
  let isUp = true;
  let monotonicMs = 0;
  const voter: Pick<Voter, 'collect' | 'release'> = {
    collect: () => ({ unsettled: [], endless: isUp ? [tombstone] : [], overtaken: [] }),
    release: () => {
      released += 1;
    },
  };
  const operations: Pick<Operations, 'arePast'> = { arePast: () => new Promise((resolve) => answers.push(resolve)) };
  const collector = new Collector({
    voter: voter as Voter,
    operations: operations as Operations,
    timeoutMs: 1000,
    now: () => ({ monotonicMs, wallMs: 0, isTrusted: true }),
    config: () => ({ version: 1, slots: 3, sizes: [3], since: [0, 0, 0] }),
    isComplete: () => true,
    track: (operation) => operation,
  });
  const tick = async (ms: number): Promise<void> => {
    monotonicMs += ms;
    collector.tick();
    await new Promise((resolve) => setImmediate(resolve));
  };
  await tick(0);
  await tick(50);
  isUp = false;
  answers.shift()?.(true);
  await tick(50);
  await tick(50);
  expect([answers.length, released]).toEqual([0, 0]);
  isUp = true;
  await tick(10_001);
  answers.shift()?.(true);
  await tick(50);
  expect(released).toBe(1);
});
