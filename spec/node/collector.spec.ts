import { expect, it } from '@jest/globals';
import type { Config } from '../../lib/membership/index.js';
import { Collector } from '../../lib/node/collector.js';
import type { Operations } from '../../lib/node/operations.js';
import type { Voter } from '../../lib/node/voter.js';
import type { Tombstone } from '../../lib/paxos/index.js';

const STABLE: Config = { version: 1, slots: 3, sizes: [3], since: [0, 0, 0] };
const TOMBSTONE: Tombstone = { key: 'b/k', accepted: { round: 1, proposer: 1 }, operation: '1.1' };

/** A collector's surroundings, as a test wants them. */
class Place {
  /** What comes up at the next tick. */
  endless: Tombstone[] = [];
  config: Config = STABLE;
  isComplete = true;
  readonly released: Tombstone[] = [];
  #monotonicMs = 0;
  readonly #collector: Collector;

  constructor(arePast: (key: string) => Promise<boolean>) {
    const voter: Pick<Voter, 'collect' | 'release'> = {
      collect: () => ({ unsettled: [], endless: this.endless }),
      release: (tombstone) => void this.released.push(tombstone),
    };
    const operations: Pick<Operations, 'arePast'> = { arePast };
    this.#collector = new Collector({
      voter: voter as Voter,
      operations: operations as Operations,
      timeoutMs: 1000,
      now: () => ({ monotonicMs: this.#monotonicMs, wallMs: 0, isTrusted: true }),
      config: () => this.config,
      isComplete: () => this.isComplete,
      track: (operation) => operation,
    });
  }

  /** Has it look so many ms later, and lets come what is answered at once. */
  async tick(ms: number): Promise<void> {
    this.#monotonicMs += ms;
    this.#collector.tick();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('asks about tombstones of values without an end while all voters are heard, and the farm keeps its size', async () => {
  let arePast = true;
  const asked: string[] = [];
  const place = new Place(async (key) => {
    asked.push(key);
    return arePast;
  });
  place.endless = [TOMBSTONE];
  place.isComplete = false;
  await place.tick(0);
  place.isComplete = true;
  place.config = { version: 2, slots: 5, sizes: [3, 5], since: [0, 0, 0, 1, 1] };
  await place.tick(0);
  expect(asked).toEqual([]);
  place.config = STABLE;
  await place.tick(0);
  expect(asked).toEqual(['b/k']);
  // A copy that one of them was just making may arrive for as long.
  await place.tick(10_000);
  arePast = false;
  await place.tick(1000);
  arePast = true;
  await place.tick(1000);
  await place.tick(10_000);
  expect(place.released).toEqual([]);
  await place.tick(1);
  expect(place.released).toEqual([TOMBSTONE]);
});

it.each([
  ['more than are asked about at a time', 2000, 3],
  ['more than are in hand at a time', 25_000, 9],
])('releases all of them that come up together, though there are %s', async (_, count, cycles) => {
  let asked = 0;
  const place = new Place(async () => {
    asked += 1;
    return true;
  });
  const all = Array.from({ length: count }, (_each, index) => ({ ...TOMBSTONE, key: `b/${index}` }));
  let mostAsked = 0;
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const gone = new Set(place.released);
    const due = all.filter((tombstone) => !gone.has(tombstone));
    for (let ticks = 0; ticks < 220; ticks += 1) {
      asked = 0;
      place.endless = due.splice(0, 1000);
      await place.tick(50);
      mostAsked = Math.max(mostAsked, asked);
    }
  }
  expect(new Set(place.released).size).toBe(count);
  expect(mostAsked).toBe(64);
});

it('asks a second time ten seconds after the first answer, though the tombstone came up while that was awaited', async () => {
  const answers: ((isPast: boolean) => void)[] = [];
  const place = new Place(() => new Promise((resolve) => answers.push(resolve)));
  place.endless = [TOMBSTONE];
  await place.tick(0);
  await place.tick(50);
  place.endless = [];
  answers.shift()?.(true);
  await place.tick(50);
  await place.tick(50);
  expect([answers.length, place.released]).toEqual([0, []]);
  place.endless = [TOMBSTONE];
  await place.tick(10_001);
  answers.shift()?.(true);
  await place.tick(50);
  expect(place.released).toEqual([TOMBSTONE]);
});
