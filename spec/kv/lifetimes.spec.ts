/** What keys live by. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Key, type PaxosKV, REMOVE } from '../../lib/kv/index.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { KvFarm, type KvMemoryNode, Stop, withCode } from './memory-node.js';

let farm: KvFarm;
let kv: PaxosKV;
let node: KvMemoryNode;
let other: PaxosKV;
let otherNode: KvMemoryNode;

beforeEach(() => {
  jest.useFakeTimers({
    now: 1_750_000_000_000,
    doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate', 'performance'],
  });
  farm = new KvFarm();
  ({ kv, node } = farm.store());
  ({ kv: other, node: otherNode } = farm.store());
});
afterEach(async () => {
  await Promise.all([kv.close(), other.close()]);
  jest.useRealTimers();
});

/** Moves the clock, and no timer: nothing is swept meanwhile. */
function pass(ms: number): void {
  jest.setSystemTime(Date.now() + ms);
}

const over = (message: RegExp): object => withCode('ERR_LIFETIME_OVER', message);
const isTomb = (key: string): boolean => farm.read(key).value === null;

describe('An end', () => {
  it('is at a time, or after one', async () => {
    const until = kv.now() + 500;
    expect(await kv.set('a', 1, { until })).toMatchObject({ until });
    expect(await kv.set('b', 1, { ttlMs: 500 })).toMatchObject({ until });
    expect(await kv.put('c', 1, { ttlMs: 500.5 })).toBe(1);
    pass(499);
    expect(await other.keys()).toHaveLength(3);
    pass(1);
    expect(await other.keys()).toEqual(['c']);
    pass(1);
    expect(await other.keys()).toEqual([]);
    expect(await other.find('a')).toBeNull();
  });

  it('is none where it is at infinity', async () => {
    expect(await kv.set('a', 1, { until: Number.POSITIVE_INFINITY })).toMatchObject({ until: null });
    expect(await kv.set('b', 1, { ttlMs: Number.POSITIVE_INFINITY })).toMatchObject({ until: null });
  });

  it('is refused where it is none, or given twice', async () => {
    for (const ttlMs of [0, -1, Number.NaN, '5' as never]) {
      await expect(kv.set('a', 1, { ttlMs })).rejects.toThrow(withCode('ERR_CONFIG', /^Option ttlMs got/));
    }
    for (const until of [0, -1, Number.NaN, new Date() as never]) {
      await expect(kv.put('a', 1, { until })).rejects.toThrow(withCode('ERR_CONFIG', /^Option until got/));
    }
    await expect(kv.set('a', 1, { until: Date.now() + 5, ttlMs: 5 })).rejects.toThrow(
      withCode('ERR_CONFIG', /one of them/),
    );
    expect(await kv.has('a')).toBe(false);
  });

  it('that has passed lets nothing be written', async () => {
    await kv.set('a', 1);
    const until = kv.now();
    await expect(kv.set('a', 2, { until })).rejects.toThrow(over(/has passed/));
    await expect(kv.put('b', 2, { until })).rejects.toThrow(over(/has passed/));
    await expect(kv.update('a', () => 2, { until })).rejects.toThrow(over(/has passed/));
    await expect(kv.compareAndSet('a', { value: 1 }, 2, { until })).rejects.toThrow(over(/has passed/));
    expect(await kv.get('a')).toBe(1);
    expect(await kv.has('b')).toBe(false);
  });

  it('that passes while the write is under way lets nothing be written either', async () => {
    await kv.set('a', 1);
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    const set = kv.set('a', 2, { ttlMs: 100 });
    await stop.reached;
    pass(100);
    stop.go();
    await expect(set).rejects.toThrow(over(/has passed/));
    expect(await kv.get('a')).toBe(1);
  });

  it('stays with updates and compared writes, and not with a set', async () => {
    const { until } = await kv.set('a', 1, { ttlMs: 1000 });
    expect(await other.update('a', () => 2)).toMatchObject({ value: 2, until });
    expect(await other.compareAndSet('a', { value: 2 }, 3)).toMatchObject({ entry: { value: 3, until } });
    expect(await other.put('a', 4)).toBe(3);
    expect(await kv.lifetime('a')).toMatchObject({ until });
    expect(await other.set('a', 4)).toMatchObject({ until: null });
  });

  it('is given anew by updates and compared writes that say so', async () => {
    await kv.set('a', 1, { ttlMs: 1000 });
    const until = Date.now() + 5;
    expect(await kv.update('a', () => 2, { until })).toMatchObject({ until });
    const longer = await kv.compareAndSet('a', { value: 2 }, 3, { until: Number.POSITIVE_INFINITY });
    expect(longer.entry).toMatchObject({ until: null });
  });

  it('bounds what is promised: no update of a key that has one promises more', async () => {
    const until = Date.now() + 1000;
    await kv.set('a', 1, { until });
    node.asked.length = 0;
    await kv.update('a', () => 2);
    await kv.compareAndSet('a', { value: 2 }, 3);
    await kv.update('a', () => REMOVE);
    await kv.compareAndSet('a', { value: 2 }, 3);
    await kv.delete('a');
    const changes = node.asked.filter(({ kind }) => kind === 'change');
    expect(changes).toHaveLength(6);
    for (const { bound } of changes) expect(bound).toBe(0);
  });

  it('is promised to be none only where a key begins that has none', async () => {
    await kv.update('a', () => 1);
    expect(node.asked.map(({ bound }) => bound)).toEqual([0, FOREVER]);
    await kv.set('b', 1, { ttlMs: 5 });
    expect(node.asked.at(-1)?.bound).toBe(Date.now() + 5);
  });
});

describe('A key that lives by others', () => {
  it('goes when one of them is removed', async () => {
    await kv.set('p', 1);
    await kv.set('q', 1);
    await kv.set('a', 1, { key: 'p' });
    await kv.put('b', 1, { keys: ['p', 'q'] });
    await kv.set('c', 1, { key: 'p', keys: ['q'] });
    await other.delete('q');
    expect(new Set(await other.keys())).toEqual(new Set(['p', 'a']));
    await other.delete('p');
    expect(await other.find('a')).toBeNull();
    expect(await other.has('a')).toBe(false);
    expect(await other.lifetime('a')).toBeNull();
    expect(await other.get('a', { default: 'gone' })).toBe('gone');
  });

  it('goes when one of them ends', async () => {
    await kv.set('p', 1, { ttlMs: 100 });
    await kv.set('a', 1, { key: 'p' });
    pass(99);
    expect(await other.get('a')).toBe(1);
    pass(1);
    expect(await other.find('a')).toBeNull();
  });

  it('has an end of its own beside, and the first counts', async () => {
    await kv.set('p', 1, { ttlMs: 100 });
    await kv.set('a', 1, { key: 'p', ttlMs: 50 });
    await kv.set('b', 1, { key: 'p', ttlMs: 150 });
    pass(50);
    expect(await other.has('a')).toBe(false);
    expect(await other.has('b')).toBe(true);
    pass(50);
    expect(await other.has('b')).toBe(false);
  });

  it('stays when they are written again, by whatever', async () => {
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await other.set('p', 2, { ttlMs: 1000 });
    await other.update('p', () => 3);
    await other.compareAndSet('p', { value: 3 }, 4);
    expect(await other.get('a')).toBe(1);
    await other.update('p', () => REMOVE);
    expect(await other.find('a')).toBeNull();
  });

  it('does not come back when one of them does', async () => {
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await other.delete('p');
    await other.set('p', 1);
    expect(await kv.find('a')).toBeNull();
    expect(isTomb('kv/sa')).toBe(true);
  });

  it('tells what it lives by', async () => {
    await kv.set('p', 1);
    await kv.set(['q', 1], 1);
    const lease = await kv.lease();
    const until = Date.now() + 1000;
    await kv.set('a', 1, { until, key: 'p', keys: [['q', 1]], node: true, lease });
    const expected = { until, keys: ['p', ['q', 1]], nodes: [node.process], leases: [lease.id] };
    expect(await other.lifetime('a')).toEqual(expected);
    await kv.update('a', () => 2);
    expect(await other.lifetime('a')).toEqual(expected);
    await kv.set('a', 1);
    expect(await other.lifetime('a')).toEqual({ until: null, keys: [], nodes: [], leases: [] });
    expect(await other.lifetime('b')).toBeNull();
    await lease.release();
  });

  it('is not written where one of them is not there', async () => {
    await kv.set('a', 1);
    await kv.set('p', 1);
    const refused = over(/^The key was not written: key "q", by which it was to live, is not there\.$/);
    await expect(kv.set('a', 2, { keys: ['p', 'q'] })).rejects.toThrow(refused);
    await expect(kv.put('b', 2, { key: 'q' })).rejects.toThrow(refused);
    await expect(kv.update('a', () => 2, { key: 'q' })).rejects.toThrow(refused);
    await expect(kv.compareAndSet('a', { value: 1 }, 2, { key: 'q' })).rejects.toThrow(refused);
    await expect(kv.set('a', 2, { lease: 'none' })).rejects.toThrow(over(/lease none, by which .* has ended/));
    await expect(kv.set('a', 2, { node: 'p99' })).rejects.toThrow(over(/process p99, by which .* is not there/));
    expect(await kv.get('a')).toBe(1);
    expect(await kv.has('b')).toBe(false);
  });

  it('is not written where one of them is over by what it lives by itself', async () => {
    await kv.set('root', 1);
    await kv.set('p', 1, { key: 'root' });
    await kv.delete('root');
    await expect(kv.set('a', 1, { key: 'p' })).rejects.toThrow(over(/key "p"/));
  });

  it('keeps that with updates, and loses it by a set', async () => {
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await other.update('a', () => 2);
    await other.compareAndSet('a', { value: 2 }, 3);
    await kv.set('b', 1, { key: 'p' });
    await kv.set('b', 1);
    await kv.delete('p');
    expect(await kv.keys()).toEqual(['b']);
  });

  it('that is over counts as absent for every change, and begins another life', async () => {
    await kv.set('p', 1);
    const changes: Record<string, () => Promise<unknown>> = {
      set: () => other.set('a', 2),
      put: () => other.put('a', 2),
      update: () => other.update('a', (value, entry) => (value === undefined && entry === null ? 2 : 'it was there')),
      compareAndSet: () => other.compareAndSet('a', { absent: true }, 2),
    };
    for (const [name, change] of Object.entries(changes)) {
      const first = await kv.set('a', 1, { key: 'p' });
      await kv.delete('p');
      await change();
      const entry = await kv.find('a');
      expect([name, entry?.value, (entry?.created ?? 0n) > first.revision]).toEqual([name, 2, true]);
      await kv.set('p', 1);
    }
    await kv.set('a', 1, { key: 'p' });
    await kv.delete('p');
    expect(await other.delete('a')).toBe(false);
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await kv.delete('p');
    expect(await other.compareAndSet('a', { value: 1 }, 2)).toEqual({ isSet: false, entry: null });
  });

  it('is buried before anybody is told that it is not found', async () => {
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await kv.delete('p');
    const stop = new Stop(otherNode, ({ kind, key }) => kind === 'change' && key === 'kv/sa');
    let isTold = false;
    const found = other.find('a').then((entry) => {
      isTold = true;
      return entry;
    });
    await stop.reached;
    await new Promise(setImmediate);
    expect(isTold).toBe(false);
    stop.go();
    expect(await found).toBeNull();
    expect(isTomb('kv/sa')).toBe(true);
  });

  it('leaves no rejection to nobody where several of them are not there', async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (error: unknown): void => void unhandled.push(error);
    process.on('unhandledRejection', onUnhandled);
    const keys = ['x', 'y', 'z'];
    await expect(kv.set('a', 1, { keys, lease: 'none', node: 'p99' })).rejects.toThrow(withCode('ERR_LIFETIME_OVER'));
    node.faults.push('no-quorum');
    await expect(kv.set('a', 1, { keys, node: true })).rejects.toThrow();
    for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
    process.off('unhandledRejection', onUnhandled);
    expect(unhandled).toEqual([]);
  });

  it('lives by eight at most', async () => {
    const keys = Array.from({ length: 9 }, (_, n) => `p${n}`);
    for (const key of keys) await kv.set(key, 1);
    const lease = await kv.lease();
    const refused = withCode('ERR_CONFIG', /^Option keys got 9; it takes at most 8 in all, node and lease included\.$/);
    node.asked.length = 0;
    await expect(kv.set('a', 1, { keys })).rejects.toThrow(refused);
    await expect(kv.set('a', 1, { keys: keys.slice(1), node: true })).rejects.toThrow(refused);
    await expect(kv.set('a', 1, { keys: keys.slice(2), key: 'p0', lease })).rejects.toThrow(refused);
    // Nothing was looked at, nor begun.
    expect(node.asked).toEqual([]);
    await kv.set('a', 1, { keys: keys.slice(1) });
    await lease.release();
  });

  it('is refused what is nothing to live by', async () => {
    const config = (message: RegExp): object => withCode('ERR_CONFIG', message);
    await expect(kv.set('a', 1, { keys: 'pq' as never })).rejects.toThrow(
      config(/^Option keys got 'pq'; it takes an array/),
    );
    await expect(kv.set('a', 1, { keys: null as never })).rejects.toThrow(
      config(/^Option keys got null; it takes an array/),
    );
    await expect(kv.set('a', 1, { key: 5 as never })).rejects.toThrow(config(/^A key is a string/));
    await expect(kv.set('a', 1, { lease: 5 as never })).rejects.toThrow(
      config(/^Option lease got 5; it takes a lease/),
    );
    await expect(kv.set('a', 1, { lease: null as never })).rejects.toThrow(config(/^Option lease got null; it takes/));
    for (const none of [false, '', 5, null]) {
      await expect(kv.set('a', 1, { node: none as never })).rejects.toThrow(
        config(/^Option node got .*; it takes true/),
      );
    }
  });
});

describe('Keys one by another', () => {
  async function chain(count: number): Promise<void> {
    await kv.set(['c', 0], 0);
    for (let n = 1; n < count; n += 1) await kv.set(['c', n], n, { key: ['c', n - 1] });
  }

  it('go all when the first does, whoever is asked for', async () => {
    await chain(5);
    await kv.delete(['c', 0]);
    expect(await other.find(['c', 4])).toBeNull();
    expect(farm.ids('kv')).toEqual([]);
  });

  it('are looked at as far as 64 of them', async () => {
    await chain(65);
    expect(await other.get(['c', 64])).toBe(64);
    await kv.set('a', 1, { key: ['c', 64] });
    await expect(other.get('a')).rejects.toThrow(withCode('ERR_TOO_MANY_LIVES', /more than 64 others/));
  });

  it('say of which key there are too many, and where to shorten the way, which helps', async () => {
    await chain(40);
    for (let n = 0; n < 60; n += 1) await kv.set(['d', n], n, n === 0 ? {} : { key: ['d', n - 1] });
    await kv.set('lone', 1);
    // Nobody can tell from here what hangs on it.
    await kv.update(['d', 0], (n) => n, { key: ['c', 39] });
    await expect(other.get(['d', 59])).rejects.toThrow(
      withCode('ERR_TOO_MANY_LIVES', /^Key \["d",59\] hangs on more than 64 others/),
    );
    // A listing that meets such a key names it, too; doing what it says each time comes to an end soon.
    const remedies: unknown[] = [];
    const list = (): Promise<Key[]> =>
      other.keys().catch(async ({ message }: Error) => {
        const [, named = ''] = /such as key (.*?) \(/.exec(message) ?? [];
        remedies.push(JSON.parse(named));
        await other.set(JSON.parse(named), 'anew');
        return list();
      });
    expect((await list()).length).toBe(101);
    expect(remedies.length).toBeGreaterThan(0);
    expect(remedies.length).toBeLessThan(4);
    expect(await other.get(['d', 59])).toBe(59);
  });

  it('may form a ring, which lives until one of it goes', async () => {
    await kv.set('a', 1);
    await kv.set('b', 1, { key: 'a' });
    await kv.set('c', 1, { key: 'b' });
    await kv.update('a', () => 2, { key: 'c' });
    expect((await other.keys()).length).toBe(3);
    expect(await other.update('b', () => 2)).toMatchObject({ value: 2 });
    await other.delete('b');
    expect(await other.keys()).toEqual([]);
  });

  it('may live by themselves', async () => {
    await kv.set('a', 1);
    await kv.update('a', () => 2, { key: 'a' });
    expect(await other.get('a')).toBe(2);
    expect(await other.update('a', () => 3)).toMatchObject({ value: 3 });
  });

  it('may live by one thing in two ways', async () => {
    await kv.set('root', 1);
    await kv.set('left', 1, { key: 'root' });
    await kv.set('right', 1, { key: 'root' });
    await kv.set('a', 1, { keys: ['left', 'right'] });
    expect(await other.get('a')).toBe(1);
    await kv.delete('root');
    expect(await other.find('a')).toBeNull();
  });
});

describe('What a process remembers by itself', () => {
  it('buries nothing: it may be old', async () => {
    await kv.set('p', 'first');
    node.stale.set('kv/sp', farm.read('kv/sp'));
    await other.delete('p');
    await other.set('p', 'second');
    await other.set('a', 1, { key: 'p' });
    expect(await kv.get('a', { consistency: 'local' })).toBe(1);
    expect(await other.get('a')).toBe(1);
  });

  it('nor what is further on the way', async () => {
    await kv.set('root', 'first');
    node.stale.set('kv/sroot', farm.read('kv/sroot'));
    await other.delete('root');
    await other.set('root', 'second');
    await other.set('p', 1, { key: 'root' });
    await other.set('a', 1, { key: 'p' });
    expect(await kv.get('a', { consistency: 'local' })).toBe(1);
    expect(await other.get('p')).toBe(1);
    expect(await other.get('a')).toBe(1);
  });

  it('is not asked again and again', async () => {
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    node.stale.set('kv/sa', farm.read('kv/sa'));
    await other.set('a', 2);
    await other.delete('p');
    expect(await kv.get('a', { consistency: 'local' })).toBe(2);
  });
});

describe('Many changes of one key that lives by another', () => {
  it('all get through', async () => {
    await kv.set('p', 1);
    await kv.set('n', 0, { key: 'p' });
    const updates = Array.from({ length: 60 }, (_, index) =>
      (index % 2 ? kv : other).update<number>('n', (n = 0) => n + 1),
    );
    await Promise.all(updates);
    expect(await kv.get('n')).toBe(60);
    const asked = node.asked.length + otherNode.asked.length;
    expect(asked).toBeLessThan(60 * 8);
  });
});
