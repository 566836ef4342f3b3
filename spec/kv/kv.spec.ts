/** The store by itself, point by point of what its methods promise. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeAttributes } from '../../lib/kv/attributes.js';
import { KEEP, type Key, type KvNode, PaxosKV, type PaxosKVOptions, REMOVE } from '../../lib/kv/index.js';
import { FOREVER, NO_BYTES } from '../../lib/paxos/index.js';
import { KvFarm, type KvMemoryNode, withCode } from './memory-node.js';

let farm: KvFarm;
let kv: PaxosKV;
let node: KvMemoryNode;
let other: PaxosKV;

beforeEach(() => {
  farm = new KvFarm();
  ({ kv, node } = farm.store());
  other = farm.store().kv;
});
afterEach(async () => {
  await Promise.all([kv.close(), other.close()]);
});

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const value of values) list.push(value);
  return list;
}

describe('get, find and has', () => {
  it('find nothing where nothing is', async () => {
    expect(await kv.get('a')).toBeUndefined();
    expect(await kv.get('a', { default: 5 })).toBe(5);
    expect(await kv.find('a')).toBeNull();
    expect(await kv.has('a')).toBe(false);
  });

  it('find what another process wrote', async () => {
    await other.set('a', { n: 1 });
    expect(await kv.get('a')).toEqual({ n: 1 });
    expect(await kv.get('a', { default: 5 })).toEqual({ n: 1 });
    expect(await kv.has('a')).toBe(true);
  });

  it('tell an undefined that is held from nothing', async () => {
    await kv.set('a', undefined);
    expect(await kv.get('a', { default: 5 })).toBeUndefined();
    expect(await kv.find('a')).toMatchObject({ key: 'a', value: undefined });
    expect(await kv.has('a')).toBe(true);
  });

  it('keep what values are', async () => {
    const value = {
      at: new Date(5),
      big: 2n ** 80n,
      zero: -0,
      list: [undefined, null, Number.NaN],
      bytes: Buffer.from('x'),
    };
    const tree = new Map<unknown, unknown>([
      ['set', new Set([1, 'a'])],
      [{ k: 1 }, value],
    ]);
    await kv.set('a', tree);
    expect(await other.get('a')).toEqual(tree);
  });

  it('give copies', async () => {
    const value = { list: [1] };
    await kv.set('a', value);
    value.list.push(2);
    const first = await kv.get<typeof value>('a');
    first?.list.push(3);
    expect(await kv.get('a')).toEqual({ list: [1] });
  });

  it('read from the memory of the process where that is asked for', async () => {
    await kv.set('a', 1);
    node.stale.set('kv/sa', farm.read('kv/sa'));
    await other.set('a', 2);
    expect(await kv.get('a', { consistency: 'local' })).toBe(1);
    expect(await kv.has('a', { consistency: 'local' })).toBe(true);
    expect(await kv.get('a')).toBe(2);
    const local = new PaxosKV({ node, reads: 'local' });
    expect(await local.get('a')).toBe(1);
    expect(await local.get('a', { consistency: 'quorum' })).toBe(2);
    await local.close();
  });

  it('refuse a consistency that there is not', async () => {
    const consistency = 'lease' as 'quorum';
    await expect(kv.get('a', { consistency })).rejects.toThrow(
      withCode('ERR_CONFIG', /^Option consistency got 'lease'; it takes 'quorum' or 'local'\.$/),
    );
  });

  it('say of which key they can not read what it holds', async () => {
    const write = { value: Uint8Array.of(0xc1), attributes: NO_BYTES, until: FOREVER };
    const change = { bound: FOREVER, mayRemove: false, seals: false, apply: () => ({ write, result: null }) };
    await node.change('kv/sjobs', change);
    const unreadable = withCode(
      'ERR_UNREADABLE',
      /^What key "jobs" holds can't be read: .+ Is the bucket used by something else/,
    );
    await expect(kv.get('jobs')).rejects.toThrow(unreadable);
    await expect(kv.update('jobs', () => 1)).rejects.toThrow(unreadable);
  });
});

describe('put', () => {
  it('writes once, and gives everybody what is there', async () => {
    expect(await Promise.all([kv.put('a', 1), other.put('a', 2), kv.put('a', 3)])).toEqual([1, 1, 1]);
    expect(await kv.get('a')).toBe(1);
  });

  it('writes again once the key was removed', async () => {
    await kv.put('a', 1);
    await other.delete('a');
    expect(await kv.put('a', 2)).toBe(2);
  });

  it('keeps an undefined that is held', async () => {
    await kv.put('a', undefined);
    expect(await kv.put('a', 2)).toBeUndefined();
  });
});

describe('set', () => {
  it('gives the entry', async () => {
    const first = await kv.set(['a', 1], 'x');
    const second = await other.set(['a', 1], 'y');
    expect(second).toEqual(await kv.find(['a', 1]));
    expect(second).toMatchObject({ key: ['a', 1], value: 'y', created: first.created, until: null });
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(first.created).toBe(first.revision);
  });

  it('gives another version with each write, whatever is written', async () => {
    const versions = new Set<string>();
    for (const each of [kv, other, kv, kv]) versions.add((await each.set('a', 1)).version);
    expect(versions.size).toBe(4);
  });

  it('begins another life after a removal', async () => {
    const first = await kv.set('a', 1);
    await kv.delete('a');
    const second = await kv.set('a', 1);
    expect(second.created).toBeGreaterThan(first.revision);
  });

  it('refuses what can not be kept, and says where it is', async () => {
    await expect(kv.set('a', { list: [() => 1] })).rejects.toThrow(/value\.list\[0\] is a function/);
    const loop: { self?: unknown } = {};
    loop.self = loop;
    await expect(kv.set('a', loop)).rejects.toThrow(TypeError);
    await expect(kv.put('a', Symbol('s'))).rejects.toThrow(TypeError);
    expect(await kv.has('a')).toBe(false);
  });
});

describe('update', () => {
  it('is given what is there, and writes what is returned', async () => {
    expect(await kv.update<number>('a', (n, entry) => (entry === null ? (n ?? 7) : 0))).toMatchObject({ value: 7 });
    const updated = await other.update<number>('a', (n = 0, entry = null) => (entry?.value === n ? n + 1 : 0));
    expect(updated).toMatchObject({ key: 'a', value: 8 });
    expect(await kv.get('a')).toBe(8);
  });

  it('counts every one of many at a time', async () => {
    const updates = Array.from({ length: 30 }, (_, index) =>
      (index % 2 ? kv : other).update<number>('a', (n = 0) => n + 1),
    );
    await Promise.all(updates);
    expect(await kv.get('a')).toBe(30);
  });

  it('keeps', async () => {
    expect(await kv.update('a', () => KEEP)).toBeNull();
    const entry = await kv.set('a', 1);
    expect(await kv.update('a', () => KEEP)).toEqual(entry);
  });

  it('removes', async () => {
    await kv.set('a', 1);
    expect(await kv.update('a', () => REMOVE)).toBeNull();
    expect(await kv.has('a')).toBe(false);
    expect(await kv.update('a', () => REMOVE)).toBeNull();
  });

  it('announces that it removes only once it is to: those that do not can share a round', async () => {
    const announced: boolean[] = [];
    const change = node.change.bind(node);
    node.change = (key, what, options) => {
      announced.push(what.mayRemove);
      return change(key, what, options);
    };
    await kv.set('a', 1, { ttlMs: 1000 });
    await kv.update('a', () => 2);
    await kv.compareAndSet('a', { value: 2 }, 3);
    expect(announced).toEqual([false, false, false]);
    await kv.update('a', () => REMOVE);
    expect(announced.slice(3)).toEqual([false, true]);
    await kv.update('a', () => REMOVE);
    await kv.delete('a');
    expect(announced.slice(5)).toEqual([false, true]);
  });

  it('writes undefined as any other value', async () => {
    await kv.update('a', () => undefined);
    expect(await kv.find('a')).toMatchObject({ value: undefined });
  });

  it('writes nothing if the function throws, or returns what can not be kept', async () => {
    await kv.set('a', 1);
    const failure = new Error('no');
    await expect(
      kv.update('a', () => {
        throw failure;
      }),
    ).rejects.toBe(failure);
    await expect(kv.update('a', async () => 5)).rejects.toThrow(/instance of Promise/);
    expect(await kv.get('a')).toBe(1);
  });

  it('does not mind that the function alters what it is given', async () => {
    await kv.set('a', [1]);
    await kv.update<number[]>('a', (list = []) => {
      list.push(2);
      return list;
    });
    expect(await kv.get('a')).toEqual([1, 2]);
  });

  it('refuses what is no function', async () => {
    const make = 5 as unknown as () => number;
    await expect(kv.update('a', make)).rejects.toThrow(withCode('ERR_CONFIG', /update got 5; it takes a function/));
  });
});

describe('compareAndSet', () => {
  it('by version', async () => {
    const { version } = await kv.set('a', 1);
    const set = await other.compareAndSet('a', { version }, 2);
    expect(set).toMatchObject({ isSet: true, entry: { value: 2 } });
    // It has the same value as before, and yet it was written.
    await kv.set('a', 1);
    expect(await kv.compareAndSet('a', { version }, 3)).toMatchObject({ isSet: false, entry: { value: 1 } });
    await kv.delete('a');
    expect(await kv.compareAndSet('a', { version }, 3)).toEqual({ isSet: false, entry: null });
  });

  it('by value', async () => {
    await kv.set('a', { list: [1, new Date(5)] });
    expect(await kv.compareAndSet('a', { value: { list: [1, new Date(6)] } }, 2)).toMatchObject({ isSet: false });
    expect(await kv.compareAndSet('a', { value: { list: [1, new Date(5)] } }, 2)).toMatchObject({ isSet: true });
    expect(await kv.compareAndSet('a', { value: '2' }, 3)).toMatchObject({ isSet: false });
    expect(await kv.compareAndSet('b', { value: undefined }, 3)).toMatchObject({ isSet: false });
    await kv.set('b', undefined);
    expect(await kv.compareAndSet('b', { value: undefined }, 3)).toMatchObject({ isSet: true });
  });

  it('by absence', async () => {
    expect(await kv.compareAndSet('a', { absent: true }, 1)).toMatchObject({ isSet: true, entry: { value: 1 } });
    expect(await kv.compareAndSet('a', { absent: true }, 2)).toMatchObject({ isSet: false, entry: { value: 1 } });
  });

  it('lets one of many succeed', async () => {
    const { version } = await kv.set('a', 0);
    const tries = [kv, other, kv, other].map((each, index) => each.compareAndSet('a', { version }, index));
    expect((await Promise.all(tries)).filter(({ isSet }) => isSet)).toHaveLength(1);
  });

  it('refuses an expectation that says nothing', async () => {
    for (const none of [undefined, null, {}, 5, { absent: false }, { version: 5 }]) {
      await expect(kv.compareAndSet('a', none as never, 1)).rejects.toThrow(
        withCode('ERR_CONFIG', /^Option expected got .*; it takes \{ version \}, \{ value \} or \{ absent: true \}\.$/),
      );
    }
  });
});

describe('delete', () => {
  it('tells whether the key was there', async () => {
    expect(await kv.delete('a')).toBe(false);
    await kv.set('a', 1);
    expect(await other.delete('a')).toBe(true);
    expect(await kv.find('a')).toBeNull();
  });

  it('removes only what is as expected', async () => {
    const { version } = await kv.set('a', 1);
    expect(await kv.delete('a', { expected: { version: 'other' } })).toBe(false);
    expect(await kv.delete('a', { expected: { value: 2 } })).toBe(false);
    expect(await kv.delete('a', { expected: { absent: true } })).toBe(false);
    expect(await kv.has('a')).toBe(true);
    expect(await kv.delete('a', { expected: { version } })).toBe(true);
    expect(await kv.delete('a', { expected: { absent: true } })).toBe(false);
    await expect(kv.delete('a', { expected: {} as never })).rejects.toThrow(withCode('ERR_CONFIG'));
  });

  it('leaves what may yet arrive no chance', async () => {
    let seals: boolean | null = null;
    const change = node.change.bind(node);
    node.change = (key, what, options) => {
      seals = what.seals;
      return change(key, what, options);
    };
    await kv.delete('a');
    expect(seals).toBe(true);
  });
});

describe('keys and entries', () => {
  beforeEach(async () => {
    const keys: Key[] = ['a', 'ab', 'b', ['a'], ['a', 1], ['a', 1, 'x'], ['a', 10], ['ab', 1]];
    await Promise.all(keys.map((key) => kv.set(key, JSON.stringify(key))));
    await other.bucket('else').set('a', 'else');
  });

  it('give all of the bucket', async () => {
    expect(await other.keys()).toHaveLength(8);
    const entries = await all(kv.entries());
    expect(entries.map(({ key, value }) => JSON.stringify(key) === value)).toEqual(Array(8).fill(true));
  });

  it('give those with a prefix', async () => {
    expect(new Set(await kv.keys({ prefix: 'a' }))).toEqual(new Set(['a', 'ab']));
    expect(new Set(await kv.keys({ prefix: ['a'] }))).toEqual(new Set([['a'], ['a', 1], ['a', 1, 'x'], ['a', 10]]));
    expect(new Set(await kv.keys({ prefix: ['a', 1] }))).toEqual(
      new Set([
        ['a', 1],
        ['a', 1, 'x'],
      ]),
    );
    expect(await kv.keys({ prefix: 'none' })).toEqual([]);
  });

  it('give so many at most', async () => {
    expect(await kv.keys({ limit: 3 })).toHaveLength(3);
    expect(await kv.keys({ limit: 3, prefix: 'a' })).toHaveLength(2);
    expect(await kv.keys({ limit: Number.POSITIVE_INFINITY })).toHaveLength(8);
  });

  it('refuse a limit that is none', async () => {
    for (const limit of [0, -1, 1.5, Number.NaN, '5' as unknown as number]) {
      await expect(kv.keys({ limit })).rejects.toThrow(withCode('ERR_CONFIG', /^Option limit got/));
    }
    await expect(kv.keys({ prefix: [] })).rejects.toThrow(withCode('ERR_CONFIG', /^A key/));
  });

  it('give keys whose values can not be read, with one time-out for all', async () => {
    const write = {
      value: Uint8Array.of(0xc1),
      attributes: encodeAttributes({ version: 'p', lives: [], given: 'p' }),
      until: FOREVER,
    };
    const change = { bound: FOREVER, mayRemove: false, seals: false, apply: () => ({ write, result: null }) };
    await node.change('kv/sodd', change);
    await Promise.all(Array.from({ length: 40 }, (_, n) => kv.set(['many', n], n)));
    node.asked.length = 0;
    node.gate = () => new Promise((resolve) => setTimeout(resolve, 5));
    expect(await kv.keys({ timeoutMs: 20_000 })).toHaveLength(49);
    expect(node.asked.at(-1)?.timeoutMs).toBeLessThan(19_996);
    await expect(all(kv.entries({ prefix: 'odd' }))).rejects.toThrow(withCode('ERR_UNREADABLE'));
  });

  it('leave out what is no key, and go on where the consumer stops', async () => {
    const write = { value: Uint8Array.of(1), attributes: NO_BYTES, until: FOREVER };
    const change = { bound: FOREVER, mayRemove: false, seals: false, apply: () => ({ write, result: null }) };
    await node.change('kv/x', change);
    expect(await kv.keys()).toHaveLength(8);
    for await (const { key } of kv.entries()) {
      await kv.delete(key);
      break;
    }
    expect(await kv.keys()).toHaveLength(7);
  });
});

describe('buckets', () => {
  it('have nothing to do with each other', async () => {
    const jobs = kv.bucket('jobs');
    await jobs.set('a', 1);
    expect(await kv.get('a')).toBeUndefined();
    expect(await other.bucket('jobs').get('a')).toBe(1);
  });

  it('are the same object each time, and closed with the store', async () => {
    const jobs = kv.bucket('jobs');
    expect(kv.bucket('jobs')).toBe(jobs);
    expect(kv.bucket('kv')).toBe(kv);
    await kv.close();
    await expect(jobs.get('a')).rejects.toThrow(withCode('ERR_CLOSED'));
    expect(() => kv.bucket('new')).toThrow(withCode('ERR_CLOSED'));
  });

  it('can be opened again after they were closed by themselves', async () => {
    const jobs = kv.bucket('jobs');
    await jobs.set('a', 1);
    await jobs.close();
    expect(await kv.bucket('jobs').get('a')).toBe(1);
  });

  it('have names that can be told apart', async () => {
    for (const bucket of ['', '~lease', 'a/b', '/', 'a'.repeat(256), '\ud800', 5 as unknown as string]) {
      const refused = withCode('ERR_CONFIG', /^Option bucket got .*; it takes a string without "\/"/);
      expect(() => new PaxosKV({ node, bucket })).toThrow(refused);
      expect(() => kv.bucket(bucket)).toThrow(refused);
      await expect(kv.waitForBucket(bucket)).rejects.toThrow(refused);
    }
    expect(await kv.bucket('ä~ b.\n').keys()).toEqual([]);
  });

  it('are waited for until a quorum answers', async () => {
    const release = node.hold();
    let isThere = false;
    const waited = kv.waitForBucket('jobs').then(() => {
      isThere = true;
    });
    await new Promise(setImmediate);
    expect(isThere).toBe(false);
    release();
    await waited;
    expect(node.asked.at(-1)).toMatchObject({ key: 'jobs/', consistency: 'quorum' });
    await kv.waitForBucket();
    await expect(kv.waitForBucket('jobs', { timeoutMs: 0 })).rejects.toThrow(withCode('ERR_NO_QUORUM'));
  });
});

describe('A call', () => {
  it('has one time-out for all its parts', async () => {
    await kv.set('parent', 1);
    await kv.set('a', 1, { key: 'parent' });
    node.asked.length = 0;
    node.gate = () => new Promise((resolve) => setTimeout(resolve, 5));
    await kv.update<number>('a', (n = 0) => n + 1, { timeoutMs: 20_000, key: 'parent' });
    const given = node.asked.map(({ timeoutMs = Number.NaN }) => timeoutMs);
    expect(given.length).toBeGreaterThanOrEqual(4);
    expect(given).toEqual([...given].sort((a, b) => b - a));
    expect(given.at(0)).toBeLessThanOrEqual(20_000);
    expect(given.at(-1)).toBeLessThan(19_990);
  });

  it('ends with it, if its parts go on and on', async () => {
    await kv.set('parent', 1);
    await kv.set('a', 1, { key: 'parent' });
    // Somebody else is always faster.
    node.gate = async ({ kind, key }) => {
      if (kind === 'change' && key === 'kv/sa') await other.set('a', 1, { key: 'parent' });
    };
    await expect(kv.update('a', () => 2, { timeoutMs: 50 })).rejects.toThrow(withCode('ERR_NO_QUORUM'));
  });

  it('is refused for what is no key', async () => {
    const none = {} as Key;
    const refused = withCode('ERR_CONFIG', /^A key is a string/);
    await expect(kv.get(none)).rejects.toThrow(refused);
    await expect(kv.set(none, 1)).rejects.toThrow(refused);
    await expect(kv.delete(none)).rejects.toThrow(refused);
    await expect(kv.set('a'.repeat(2000), 1)).rejects.toThrow(withCode('ERR_VALUE_TOO_LARGE'));
  });
});

describe('A store', () => {
  it('takes nothing after it was closed', async () => {
    await kv.close();
    const closed = withCode('ERR_CLOSED', /closed/);
    await expect(kv.get('a')).rejects.toThrow(closed);
    await expect(kv.find('a')).rejects.toThrow(closed);
    await expect(kv.has('a')).rejects.toThrow(closed);
    await expect(kv.put('a', 1)).rejects.toThrow(closed);
    await expect(kv.set('a', 1)).rejects.toThrow(closed);
    await expect(kv.update('a', () => 1)).rejects.toThrow(closed);
    await expect(kv.compareAndSet('a', { absent: true }, 1)).rejects.toThrow(closed);
    await expect(kv.delete('a')).rejects.toThrow(closed);
    await expect(kv.keys()).rejects.toThrow(closed);
    await expect(kv.entries().next()).rejects.toThrow(closed);
    await expect(kv.lifetime('a')).rejects.toThrow(closed);
    await expect(kv.lease()).rejects.toThrow(closed);
    await expect(kv.waitForBucket()).rejects.toThrow(closed);
    expect(() => kv.watch('a')).toThrow(closed);
    expect(kv.close()).toBe(kv.close());
  });

  it('leaves a node that it was given as it was', async () => {
    const before = [node.listenerCount('connect'), node.listenerCount('warning'), node.steps];
    const store = new PaxosKV({ node, bucket: 'jobs' });
    store.on('change', () => undefined);
    store.on('warning', () => undefined);
    await store.close();
    expect(node.isClosed).toBe(false);
    expect([node.listenerCount('connect'), node.listenerCount('warning'), node.steps]).toEqual(before);
  });

  it('makes a node of the options that are not its own, and closes it', async () => {
    const given: unknown[] = [];
    const own = farm.node();
    const makeNode = (options: unknown): KvNode => {
      given.push(options);
      return own;
    };
    const store = new PaxosKV({ bucket: 'jobs', reads: 'lease', cluster: 'shop' } as PaxosKVOptions, makeNode);
    expect(given).toEqual([{ cluster: 'shop' }]);
    await store.close();
    expect(own.isClosed).toBe(true);
  });

  it('refuses options that have no effect, and reads that there are not', () => {
    expect(() => new PaxosKV({ node, cluster: 'shop' })).toThrow(
      withCode('ERR_CONFIG', /^Option cluster has no effect/),
    );
    const reads = 'any' as 'local';
    expect(() => new PaxosKV({ node, reads })).toThrow(withCode('ERR_CONFIG', /^Option reads got 'any'; it takes/));
  });

  it('passes on what its node tells', () => {
    const told: string[] = [];
    kv.on('connect', () => told.push('connect'));
    kv.on('disconnect', () => told.push('disconnect'));
    kv.on('warning', ({ code }) => told.push(code));
    node.emit('connect');
    node.emit('disconnect');
    node.emit('warning', { code: 'clock', message: 'm' });
    expect(told).toEqual(['connect', 'disconnect', 'clock']);
  });

  it('takes no warning from a node of somebody else unless it is listened to: nobody would see it', () => {
    expect(node.listenerCount('warning')).toBe(0);
    const listener = (): void => undefined;
    kv.on('warning', listener);
    expect(node.listenerCount('warning')).toBe(1);
    kv.off('warning', listener);
    expect(node.listenerCount('warning')).toBe(0);
  });
});
