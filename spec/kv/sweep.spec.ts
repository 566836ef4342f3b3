import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { PaxosKV } from '../../lib/kv/index.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { KvFarm, type KvMemoryNode } from './memory-node.js';

let farm: KvFarm;
let kv: PaxosKV;
let node: KvMemoryNode;

beforeEach(() => {
  jest.useFakeTimers({ now: 1_750_000_000_000, doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  farm = new KvFarm();
  ({ kv, node } = farm.store());
});
afterEach(async () => {
  await kv.close();
  jest.useRealTimers();
});

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
/** What the farm's memory holds, without asking any store. */
const held = (): string[] => ['kv', 'jobs', '~lease', '~node'].flatMap((bucket) => farm.ids(bucket));

describe('What hangs on something that is over', () => {
  it('goes without anybody asking for it', async () => {
    const lease = await kv.lease({ ttlMs: 1000 });
    for (let n = 0; n < 80; n += 1) await kv.set(['hung', n], n, { lease });
    await kv.set('p', 1, { node: true });
    await kv.set('q', 1, { key: 'p' });
    await kv.set('stays', 1);
    await kv.set('ends', 1, { ttlMs: 500, lease });
    await pass(5000);
    expect(held()).toHaveLength(85);
    await lease.release();
    await kv.delete('p');
    await pass(10_000);
    expect(new Set(held())).toEqual(new Set(['sstays', node.process]));
  });

  it('goes one after the other, and leaves nothing', async () => {
    await kv.set(['c', 0], 0);
    for (let n = 1; n < 10; n += 1) await kv.set(['c', n], n, { key: ['c', n - 1] });
    await kv.delete(['c', 0]);
    await pass(10_000);
    expect(held()).toEqual([]);
  });

  it('goes in every bucket that is open', async () => {
    const jobs = kv.bucket('jobs');
    const lease = await kv.lease();
    await jobs.set('a', 1, { lease });
    await lease.release();
    await pass(10_000);
    expect(held()).toEqual([]);
  });

  it('is looked for among so many others that no look takes long', async () => {
    node.othersHeld = 256 * 200;
    await kv.set('p', 1);
    node.owns = 0;
    await pass(1000);
    // 500 records a look, ten looks: 25 shards of 200, not all 256 at once.
    expect(node.owns).toBeGreaterThan(5);
    expect(node.owns).toBeLessThan(40);
  });

  it('costs nothing while all is alive', async () => {
    await kv.set('p', 1);
    for (let n = 0; n < 100; n += 1) await kv.set(n.toString(), n, { key: 'p' });
    node.asked.length = 0;
    await pass(10_000);
    expect(node.asked.filter(({ kind, consistency }) => kind === 'change' || consistency === 'quorum')).toEqual([]);
  });

  it('stays where only the memory of the process has it so', async () => {
    await kv.set('p', 1);
    const old = farm.read('kv/sp');
    await kv.delete('p');
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    node.stale.set('kv/sp', old);
    await pass(10_000);
    expect(new Set(held())).toEqual(new Set(['sp', 'sa']));
  });

  it('is read sixteen at a time', async () => {
    const lease = await kv.lease();
    for (let n = 0; n < 200; n += 1) await kv.set(n.toString(), n, { lease });
    await lease.release();
    let underWay = 0;
    let most = 0;
    node.gate = async ({ key }) => {
      if (!key.startsWith('kv/')) return;
      underWay += 1;
      most = Math.max(most, underWay);
      await new Promise((resolve) => setTimeout(resolve, 20));
      underWay -= 1;
    };
    await pass(30_000);
    expect(held()).toEqual([]);
    expect(most).toBe(16);
  });

  it('comes up again after a time without a quorum', async () => {
    const lease = await kv.lease();
    await kv.set('a', 1, { lease });
    await lease.release();
    const { gate } = node;
    node.gate = ({ kind }) => void (kind === 'change' && node.faults.push('no-quorum'));
    await pass(10_000);
    expect(held()).toEqual(['sa']);
    node.gate = gate;
    await pass(5000);
    expect(held()).toEqual([]);
  });

  it('does not keep the rest from going if it can not be read', async () => {
    const write = { value: Uint8Array.of(1), attributes: Uint8Array.of(0xc1), until: FOREVER };
    const change = { bound: FOREVER, mayRemove: false, seals: false, apply: () => ({ write, result: null }) };
    await node.change('kv/sodd', change);
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await kv.delete('p');
    await pass(5000);
    expect(held()).toEqual(['sodd']);
  });
});

describe('A sweep', () => {
  it('ends with the store, and with the node', async () => {
    await kv.close();
    expect(jest.getTimerCount()).toBe(0);
    const { node: second } = farm.store();
    expect(jest.getTimerCount()).toBe(1);
    await second.close();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('ends though it was under way', async () => {
    const lease = await kv.lease();
    for (let n = 0; n < 50; n += 1) await kv.set(n.toString(), n, { lease });
    await lease.release();
    let go: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    let asked = 0;
    node.gate = ({ key }) => {
      if (!key.startsWith('kv/')) return;
      asked += 1;
      return held;
    };
    await pass(3000);
    expect(asked).toBeGreaterThan(0);
    await kv.close();
    go();
    asked = 0;
    await pass(5000);
    // Those that were being read are buried; no other is begun.
    expect(asked).toBeLessThanOrEqual(16);
    expect(jest.getTimerCount()).toBe(0);
  });
});
