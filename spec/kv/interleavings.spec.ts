/** Keys that live by others are linearizable: docs/protocol.md, "Keys that live by others". */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PaxosKV } from '../../lib/kv/index.js';
import { type Event, isLinearizable, type Operation, type Result } from './history.js';
import { KvFarm, type KvMemoryNode, Stop } from './memory-node.js';

describe('Between a look at a key and one at what it lives by', () => {
  let farm: KvFarm;
  let kv: PaxosKV;
  let node: KvMemoryNode;
  let other: PaxosKV;
  let otherNode: KvMemoryNode;
  let third: PaxosKV;

  beforeEach(async () => {
    farm = new KvFarm();
    ({ kv, node } = farm.store());
    ({ kv: other, node: otherNode } = farm.store());
    third = farm.store().kv;
    await third.set('p', 1);
    await third.set('a', 1, { key: 'p' });
  });
  afterEach(async () => {
    await Promise.all([kv.close(), other.close(), third.close()]);
  });

  it('that may end: then the key was there, or is not', async () => {
    const stop = new Stop(node, ({ key }) => key === 'kv/sp');
    const found = kv.get('a');
    await stop.reached;
    await third.delete('p');
    await third.set('p', 2);
    stop.go();
    expect(await found).toBeUndefined();
    expect(farm.read('kv/sa').value).toBeNull();
  });

  it('the key may be given something else to live by: it is looked at again', async () => {
    const stop = new Stop(node, ({ key }) => key === 'kv/sp');
    const found = kv.get('a');
    await stop.reached;
    await third.set('a', 2);
    await third.delete('p');
    stop.go();
    expect(await found).toBe(2);
  });

  it('a change that has seen it alive does not bring back what others have seen end', async () => {
    const before = await third.find('a');
    const seen: unknown[] = [];
    let changes = 0;
    const stop = new Stop(node, ({ kind, key }) => kind === 'change' && key === 'kv/sa' && ++changes === 2);
    const updated = kv.update<number>('a', (n) => {
      seen.push(n);
      return (n ?? 10) + 1;
    });
    await stop.reached;
    await third.delete('p');
    expect(await other.find('a')).toBeNull();
    stop.go();
    const entry = await updated;
    expect(new Set(seen)).toEqual(new Set([undefined]));
    expect(entry?.value).toBe(11);
    expect(entry?.created).toBeGreaterThan(before?.revision ?? 0n);
    expect(await other.get('a')).toBe(11);
  });

  it('a change that has seen it alive takes effect before its end, if nobody has seen that', async () => {
    let changes = 0;
    const stop = new Stop(node, ({ kind, key }) => kind === 'change' && key === 'kv/sa' && ++changes === 2);
    const updated = kv.update<number>('a', (n = 10) => n + 1);
    await stop.reached;
    await third.delete('p');
    stop.go();
    expect(await updated).toMatchObject({ value: 2 });
    expect(await other.find('a')).toBeNull();
  });

  it('whoever finds the end does not bury what was given something else meanwhile', async () => {
    let changes = 0;
    const writing = new Stop(node, ({ kind, key }) => kind === 'change' && key === 'kv/sa' && ++changes === 2);
    const set = kv.set('a', 2);
    await writing.reached;
    await third.delete('p');
    const burying = new Stop(otherNode, ({ kind, key }) => kind === 'change' && key === 'kv/sa');
    const found = other.get('a');
    await burying.reached;
    writing.go();
    await set;
    burying.go();
    // It had not been seen to end, so it was set before that.
    expect(await found).toBe(2);
    expect(await third.get('a')).toBe(2);
  });

  it('an update does not keep it from being buried', async () => {
    let changes = 0;
    const writing = new Stop(node, ({ kind, key }) => kind === 'change' && key === 'kv/sa' && ++changes === 2);
    const updated = kv.update('a', () => 2);
    await writing.reached;
    await third.delete('p');
    const burying = new Stop(otherNode, ({ kind, key }) => kind === 'change' && key === 'kv/sa');
    const found = other.get('a');
    await burying.reached;
    writing.go();
    await updated;
    otherNode.asked.length = 0;
    burying.go();
    expect(await found).toBeUndefined();
    expect(otherNode.asked).toEqual([]);
  });

  it('one of two ways to the end may go another way: the other still leads there', async () => {
    await third.set('left', 1, { key: 'p' });
    await third.set('right', 1, { key: 'p' });
    await third.set('a', 1, { keys: ['left', 'right'] });
    let changes = 0;
    const writing = new Stop(node, ({ kind, key }) => kind === 'change' && key === 'kv/sleft' && ++changes === 2);
    const set = kv.set('left', 2);
    await writing.reached;
    await third.delete('p');
    const burying = new Stop(otherNode, ({ kind, key }) => kind === 'change' && key === 'kv/sleft');
    const found = other.find('a');
    await burying.reached;
    writing.go();
    await set;
    burying.go();
    expect(await found).toBeNull();
    expect(await third.get('left')).toBe(2);
    expect(await third.find('right')).toBeNull();
  });
});

describe('On a ring', () => {
  it('two removals at a time may both find the other alive; it is gone then, for good', async () => {
    const farm = new KvFarm();
    const [{ kv, node }, { kv: other, node: otherNode }] = [farm.store(), farm.store()];
    await kv.set('p', 1);
    await kv.set('a', 1, { key: 'p' });
    await kv.set('p', 1, { key: 'a' });
    const stopSecond = (of: KvMemoryNode, id: string): Stop => {
      let changes = 0;
      return new Stop(of, ({ kind, key }) => kind === 'change' && key === `kv/${id}` && ++changes === 2);
    };
    const stops = [stopSecond(node, 'sp'), stopSecond(otherNode, 'sa')];
    const removals = [kv.delete('p'), other.delete('a')];
    await Promise.all(stops.map(({ reached }) => reached));
    for (const { go } of stops) go();
    expect(await Promise.all(removals)).toEqual([true, true]);
    expect(await kv.keys()).toEqual([]);
    await Promise.all([kv.close(), other.close()]);
  });
});

describe('Any schedule of a few operations', () => {
  const key = fc.constantFrom('p', 'q', 'a');
  const value = fc.integer({ min: 1, max: 9 });
  // No rings: what is promised of those is less.
  const pair = fc.constantFrom({ key: 'q', by: 'p' }, { key: 'a', by: 'p' }, { key: 'a', by: 'q' });
  const operation: fc.Arbitrary<Operation> = fc.oneof(
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('get' as const), key }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('delete' as const), key }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('set' as const), key, value }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('put' as const), key, value }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('add' as const), key }) },
    {
      weight: 3,
      arbitrary: fc.tuple(pair, value).map(([names, each]) => ({ kind: 'hang' as const, value: each, ...names })),
    },
  );
  const clients = fc.array(fc.array(operation, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 3 });

  it('is as if they had happened one after the other', async () => {
    const check = fc.asyncProperty(fc.scheduler(), clients, async (scheduler, plans) => {
      const farm = new KvFarm();
      const events: Event[] = [];
      let time = 0;
      const first = farm.store().kv;
      const stores = plans.map(() => farm.store());
      const record = async (kv: PaxosKV, each: Operation): Promise<void> => {
        const beganAt = ++time;
        const result = await run(kv, each);
        events.push({ operation: each, result, beganAt, endedAt: ++time });
      };
      // What there is to begin with: a key that hangs on another, which hangs on a third.
      await record(first, { kind: 'set', key: 'p', value: 1 });
      await record(first, { kind: 'hang', key: 'q', value: 2, by: 'p' });
      await record(first, { kind: 'hang', key: 'a', value: 3, by: 'q' });
      for (const { node } of stores) node.gate = () => scheduler.schedule(Promise.resolve());
      const running = plans.map(async (plan, index) => {
        for (const each of plan) await record((stores[index] as (typeof stores)[number]).kv, each);
      });
      await scheduler.waitFor(Promise.all(running));
      for (const each of ['p', 'q', 'a']) await record(first, { kind: 'get', key: each });
      await Promise.all([first, ...stores.map(({ kv }) => kv)].map((kv) => kv.close()));
      expect(isLinearizable(events)).toBe(true);
    });
    await fc.assert(check, { numRuns: Number(process.env.NUM_RUNS ?? 300) });
  }, 600_000);
});

async function run(kv: PaxosKV, operation: Operation): Promise<Result> {
  const { key } = operation;
  switch (operation.kind) {
    case 'get':
      return (await kv.get<number>(key)) ?? null;
    case 'delete':
      return await kv.delete(key);
    case 'set':
      return (await kv.set(key, operation.value)).value;
    case 'put':
      return await kv.put(key, operation.value);
    case 'add':
      return (await kv.update<number>(key, (n = 0) => n + 1))?.value ?? null;
    case 'hang':
      return await kv.set(key, operation.value, { key: operation.by }).then(
        ({ value }) => value,
        (error: { code?: string }) => {
          if (error.code !== 'ERR_LIFETIME_OVER') throw error;
          return 'over' as const;
        },
      );
  }
}
