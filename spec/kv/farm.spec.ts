/** Key-value stores on nodes that talk to each other. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Lease, PaxosKV } from '../../lib/kv/index.js';
import type { PaxosNode } from '../../lib/node/node.js';
import { Farm, until } from '../node/farm.js';
import { withCode } from './memory-node.js';

let farm: Farm;
let nodes: PaxosNode[];
let stores: PaxosKV[];
let first: PaxosKV;
let second: PaxosKV;
let third: PaxosKV;

beforeEach(async () => {
  farm = new Farm();
  nodes = await farm.start(3);
  stores = nodes.map((node) => new PaxosKV({ node }));
  [first, second, third] = stores as [PaxosKV, PaxosKV, PaxosKV];
});
afterEach(async () => {
  await Promise.all(stores.map((kv) => kv.close()));
  await farm.close();
});

/** Loses so many of a hundred datagrams, and doubles some. */
function lose(percent: number): void {
  let state = 12_345;
  farm.hub.fate = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    const roll = (state / 2 ** 31) * 100;
    return { delaysMs: roll < percent ? [] : roll > 98 ? [0, 3] : [0] };
  };
}

describe('A farm', () => {
  it.each([{ ttlMs: Number.MAX_SAFE_INTEGER }, { ttlMs: 1e17 }, { until: 1e300 }, { until: 2 ** 53 }])(
    'takes an end as far off as %j for none',
    async (options) => {
      await first.set('k', 1, options);
      expect(await second.get('k')).toBe(1);
      expect((await third.lifetime('k'))?.until).toBeNull();
      await third.set('k', 2);
    },
  );

  it('gives all who put a key at a time the same value', async () => {
    for (let n = 0; n < 20; n += 1) {
      const values = await Promise.all(stores.map((kv, index) => kv.put(['job', n], index)));
      expect(new Set(values).size).toBe(1);
      expect(await first.get(['job', n])).toBe(values[0]);
    }
  });

  it('counts a hundred updates of three processes at a time, while datagrams are lost', async () => {
    lose(5);
    const updates = Array.from({ length: 100 }, (_, index) =>
      (stores[index % 3] as PaxosKV).update<number>('n', (n = 0) => n + 1, { timeoutMs: 4000 }),
    );
    await Promise.all(updates);
    expect(await third.get('n')).toBe(100);
  });

  it('does so where the key lives by something', async () => {
    lose(5);
    await first.set('n', 0, { node: true });
    const updates = Array.from({ length: 60 }, (_, index) =>
      (stores[index % 3] as PaxosKV).update<number>('n', (n = 0) => n + 1, { timeoutMs: 4000 }),
    );
    await Promise.all(updates);
    expect(await third.get('n')).toBe(60);
  });

  it('lets revisions rise, whoever writes', async () => {
    let last = 0n;
    for (let n = 0; n < 12; n += 1) {
      const { revision } = await (stores[n % 3] as PaxosKV).set('a', n);
      expect(revision).toBeGreaterThan(last);
      last = revision;
    }
    // Whatever is written: who takes over what another held may write the same.
    for (let n = 0; n < 6; n += 1) {
      const kv = stores[n % 3] as PaxosKV;
      const { version = '' } = (await kv.find('a')) ?? {};
      const { isSet, entry } = await kv.compareAndSet('a', { version }, 'held');
      expect(isSet).toBe(true);
      expect(entry?.revision).toBeGreaterThan(last);
      last = entry?.revision ?? last;
    }
  });

  it('lists what all have written', async () => {
    await Promise.all(stores.map((kv, index) => kv.set(['by', index], index)));
    expect(new Set(await second.keys({ prefix: ['by'] }))).toEqual(new Set([0, 1, 2].map((index) => ['by', index])));
  });

  it('has what hangs on a lease go, unasked, when its holder is killed', async () => {
    const lease = await first.lease({ ttlMs: 500 });
    await first.set('a', 1, { lease });
    await second.set('b', 1, { lease: lease.id });
    expect(await third.get('a')).toBe(1);
    farm.kill(nodes[0] as PaxosNode);
    await until(async () => (await second.keys()).length === 0);
    await until(() => lease.signal.aborted);
    expect(lease.signal.reason).toMatchObject({ isLost: true });
  });

  it('has what hangs on a lease go at once when the process that holds it closes', async () => {
    const lease = await first.lease({ ttlMs: 600_000 });
    await second.set('a', 1, { lease: lease.id });
    expect(await third.get('a')).toBe(1);
    await nodes[0]?.close();
    expect(await third.find('a')).toBeNull();
    expect(lease.signal.reason).toMatchObject({ code: 'ERR_LEASE_ENDED', isLost: false });
  });

  it('has a lease go that its holder acquires while it closes', async () => {
    const [node, other] = nodes as [PaxosNode, PaxosNode];
    const later: Promise<Lease>[] = [];
    const held = await first.lease({ ttlMs: 600_000 });
    held.signal.addEventListener('abort', () => later.push(first.lease({ ttlMs: 600_000 })));
    const earlier = first.lease({ ttlMs: 600_000 });
    await node.close();
    const leases = await Promise.all([held, earlier, ...later]);
    expect(leases).toHaveLength(3);
    for (const { id, signal } of leases) {
      expect(signal.reason).toMatchObject({ code: 'ERR_LEASE_ENDED', isLost: false });
      expect((await other.read(`~lease/${id}`)).value).toBeNull();
    }
  });

  it('has all done that is added while a process closes, and waits for none that would go on for ever', async () => {
    const node = nodes[0] as PaxosNode;
    let count = 0;
    const add = (): void => {
      node.beforeClose(async () => {
        count += 1;
        await second.set('n', count);
        add();
      });
    };
    add();
    await node.close();
    expect(count).toBeGreaterThan(2);
    expect(await second.get('n')).toBe(count);
  });

  it('has what hangs on a process go at once when it closes', async () => {
    const { process } = first.status();
    await first.set('a', 1, { node: true });
    await second.set('b', 1, { node: process });
    await second.set('c', 1, { key: 'b' });
    expect((await third.keys()).length).toBe(3);
    await nodes[0]?.close();
    expect(await third.keys()).toEqual([]);
    await expect(second.set('a', 1, { node: process })).rejects.toThrow(withCode('ERR_LIFETIME_OVER'));
    await expect(first.get('a')).rejects.toThrow(withCode('ERR_CLOSED'));
  });

  it('sweeps what nobody asks for', async () => {
    await first.set('p', 1);
    for (let n = 0; n < 20; n += 1) await first.set(n.toString(), n, { key: 'p' });
    await second.delete('p');
    // Ids are those whose own registers hold something.
    await until(async () => (await nodes[2]?.ids('kv'))?.length === 0);
  });
});

describe('What hung on something that is over', () => {
  it('is buried, and leaves no voter anything in its memory once its own time has passed', async () => {
    const small = new Farm();
    const voters = await small.start(3, { maxClockSkewMs: 1000, timeout: 900 });
    const [kv, ...others] = voters.map((node) => new PaxosKV({ node })) as [PaxosKV, ...PaxosKV[]];
    try {
      const records = (): number[] => voters.map((node) => node.status().records);
      const baseline = records();
      // Long enough to be written in on a busy machine: what has an end is forgotten some time after that.
      const ttlMs = 4000;
      const lease = await kv.lease({ ttlMs });
      const hung = Array.from({ length: 20 }, (_, n) => kv.set(['of', n], n, { lease, ttlMs }));
      await Promise.all([...hung, kv.set('p', 1, { ttlMs })]);
      await kv.set('q', 1, { key: 'p', ttlMs });
      await lease.release();
      await kv.delete('p');
      // By the tombstones that it leaves; by its own end it would be there yet.
      expect(await others[0]?.keys()).toEqual([]);
      await until(() => records().every((count, index) => count === baseline[index]));
    } finally {
      await Promise.all([kv, ...others].map((each) => each.close()));
      await small.close();
    }
  });
});
