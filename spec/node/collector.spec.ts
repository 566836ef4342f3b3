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
