/** A watch while its keys can't be read, and after it has ended. */
import { expect, test } from '@jest/globals';
import { NoQuorumError } from '../../lib/errors.js';
import type { WatchingNode } from '../../lib/kv/tracker.js';
import { Watching } from '../../lib/kv/watching.js';
import { FOREVER, NO_BYTES, type State } from '../../lib/paxos/index.js';

class NodeInMemory implements WatchingNode {
  wallMs = 1_000_000;
  readonly #timers: { atMs: number; callback: () => void }[] = [];

  watch(): () => void {
    return () => undefined;
  }

  async heads(): Promise<[]> {
    return [];
  }

  nowMs(): number {
    return this.wallMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { atMs: this.wallMs + delayMs, callback };
    this.#timers.push(timer);
    return () => this.#timers.splice(this.#timers.indexOf(timer), 1);
  }

  on(): void {}

  off(): void {}

  async pass(ms: number): Promise<void> {
    const endMs = this.wallMs + ms;
    for (;;) {
      const [next] = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.wallMs = Math.max(this.wallMs, next.atMs);
      next.callback();
      for (let count = 0; count < 50; count += 1) await Promise.resolve();
    }
    this.wallMs = endMs;
  }
}

function held(round: number): State {
  const ballot = { round, proposer: 1 };
  return { value: NO_BYTES, attributes: NO_BYTES, until: FOREVER, birth: ballot, dataBallot: ballot };
}

test('reads that are refused at once are tried again at intervals, not for ever at once', async () => {
  const node = new NodeInMemory();
  let reads = 0;
  let isRefused = false;
  let state = held(1);
  const read = async (): Promise<State> => {
    reads += 1;
    // So that the test ends where nothing else would.
    if (isRefused && reads < 10_000) throw new NoQuorumError('the clock is off');
    return state;
  };
  const watching = new Watching({ node, bucket: 'kv', read, seemAlive: async () => true });
  const watch = watching.watch({ id: 'sa' }, {}, (_id, found) => found?.dataBallot.round);
  await node.pass(1000);
  await watch.ready();
  isRefused = true;
  state = held(2);
  const before = reads;
  await node.pass(10_000);
  expect(reads).toBeGreaterThan(before);
  expect(reads - before).toBeLessThan(100);
  isRefused = false;
  await node.pass(1000);
  expect(await watch.next()).toEqual({ done: false, value: 2 });
  await watch.return();
});

test('what was changed between two watches of a key is no news to the second', async () => {
  const node = new NodeInMemory();
  let state = held(1);
  const watching = new Watching({ node, bucket: 'kv', read: async () => state, seemAlive: async () => true });
  const first = watching.watch({ id: 'sa' }, {}, (_id, found) => found?.dataBallot.round);
  await node.pass(1000);
  await first.return();
  state = held(2);
  const second = watching.watch({ id: 'sa' }, {}, (_id, found) => found?.dataBallot.round);
  const told: unknown[] = [];
  void (async () => {
    for await (const round of second) told.push(round);
  })();
  await node.pass(10_000);
  expect(told).toEqual([]);
  state = held(3);
  await node.pass(10_000);
  expect(told).toEqual([3]);
});
