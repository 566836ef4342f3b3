import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { LeaseEndedError } from '../../lib/errors.js';
import type { Lease, PaxosKV } from '../../lib/kv/index.js';
import { TIMEOUT_MS } from '../session/memory-registers.js';
import { KvFarm, type KvMemoryNode, Stop, withCode } from './memory-node.js';

let farm: KvFarm;
let kv: PaxosKV;
let node: KvMemoryNode;
let other: PaxosKV;
let otherNode: KvMemoryNode;

beforeEach(() => {
  jest.useFakeTimers({ now: 1_750_000_000_000, doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  farm = new KvFarm();
  ({ kv, node } = farm.store());
  ({ kv: other, node: otherNode } = farm.store());
});
afterEach(async () => {
  await Promise.all([kv.close(), other.close()]);
  jest.useRealTimers();
});

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);
const registerOf = ({ id }: Lease): string => `~lease/${id}`;
const isHeld = (lease: Lease): boolean => farm.read(registerOf(lease)).value !== null;

function renewalsOf(lease: Lease): number {
  return node.asked.filter(({ kind, key }) => kind === 'change' && key === registerOf(lease)).length - 1;
}

/** Fails every change of a lease from now on, until the function returned is called. */
function cutOff(): () => void {
  const { gate } = node;
  node.gate = ({ kind, key }) => {
    if (kind === 'change' && key.startsWith('~')) node.faults.push('no-quorum');
  };
  return () => {
    node.gate = gate;
  };
}

function expectLost(lease: Lease, message: RegExp): void {
  expect(lease.signal.aborted).toBe(true);
  expect(lease.signal.reason).toBeInstanceOf(LeaseEndedError);
  expect(lease.signal.reason).toMatchObject({ code: 'ERR_LEASE_ENDED', isLost: true });
  expect(String(lease.signal.reason)).toMatch(message);
}

describe('A lease', () => {
  it('lasts while its holder renews it, three times in its time to live', async () => {
    const lease = await kv.lease({ ttlMs: 3000 });
    await other.set('a', 1, { lease: lease.id });
    await pass(30_000);
    expect(lease.signal.aborted).toBe(false);
    expect(await other.get('a')).toBe(1);
    expect(renewalsOf(lease)).toBe(30);
  });

  it('has 5000 ms to live unless it is told otherwise', async () => {
    const lease = await kv.lease();
    expect(lease.ttlMs).toBe(5000);
    expect(farm.read(registerOf(lease)).until).toBe(Date.now() + 5000);
  });

  it('has 500 ms to ten minutes to live', async () => {
    for (const ttlMs of [499, 600_001, Number.NaN, '1000' as never, null as never]) {
      await expect(kv.lease({ ttlMs })).rejects.toThrow(
        withCode('ERR_CONFIG', /^Option ttlMs got .*; it takes ms from 500 to 600000\.$/),
      );
    }
    expect((await kv.lease({ ttlMs: 500 })).ttlMs).toBe(500);
    expect((await kv.lease({ ttlMs: 600_000 })).ttlMs).toBe(600_000);
  });

  it('is another one each time', async () => {
    const leases = await Promise.all([kv.lease(), kv.lease(), other.lease(), kv.bucket('jobs').lease()]);
    expect(new Set(leases.map(({ id }) => id)).size).toBe(4);
  });

  it('took too long to get if its time is over by then', async () => {
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    const lease = kv.lease({ ttlMs: 500, timeoutMs: 10_000 });
    await stop.reached;
    jest.setSystemTime(Date.now() + 500);
    stop.go();
    await expect(lease).rejects.toThrow(withCode('ERR_LIFETIME_OVER', /longer to get than its 500 ms/));
  });

  it('is renewed in time though it took long to get', async () => {
    node.gate = ({ kind }) => kind === 'change' && new Promise((resolve) => setTimeout(resolve, 240));
    const acquired = kv.lease({ ttlMs: 500 });
    await pass(240);
    const lease = await acquired;
    await pass(5000);
    expect(lease.signal.aborted).toBe(false);
    await pass(1000);
    expect(lease.signal.aborted).toBe(false);
  });
});

describe('A lease is released', () => {
  it('at once, for everybody, and what lives by it goes', async () => {
    const lease = await kv.lease();
    await other.set('a', 1, { lease: lease.id });
    const released = lease.release();
    expect(lease.signal.aborted).toBe(true);
    expect(lease.signal.reason).toMatchObject({ code: 'ERR_LEASE_ENDED', isLost: false });
    expect(lease.release()).toBe(released);
    await released;
    expect(isHeld(lease)).toBe(false);
    expect(await other.find('a')).toBeNull();
    await expect(other.set('a', 1, { lease: lease.id })).rejects.toThrow(withCode('ERR_LIFETIME_OVER'));
    await expect(kv.set('a', 1, { lease })).rejects.toThrow(withCode('ERR_LIFETIME_OVER', /has ended/));
  });

  it('and is renewed no more', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    const timers = jest.getTimerCount();
    await lease.release();
    expect(jest.getTimerCount()).toBe(timers - 2);
    const asked = renewalsOf(lease);
    await pass(2000);
    expect(renewalsOf(lease)).toBe(asked);
    expect(isHeld(lease)).toBe(false);
  });

  it('while a renewal is under way, which does not bring it back', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    await pass(200);
    await stop.reached;
    await lease.release();
    stop.go();
    await pass(0);
    expect(isHeld(lease)).toBe(false);
    await pass(1000);
    expect(renewalsOf(lease)).toBe(2);
  });

  it('by await using, and by using', async () => {
    const lease = await kv.lease();
    await lease[Symbol.asyncDispose]();
    expect(isHeld(lease)).toBe(false);
    const second = await kv.lease();
    second[Symbol.dispose]();
    expect(second.signal.aborted).toBe(true);
    await pass(0);
    expect(isHeld(second)).toBe(false);
  });

  it('or rejects if it can not be told to the others, but by using, and ends by itself', async () => {
    const [first, second] = await Promise.all([kv.lease(), kv.lease()]);
    cutOff();
    await expect(first.release()).rejects.toThrow(withCode('ERR_NO_QUORUM'));
    second[Symbol.dispose]();
    await pass(4999);
    expect(isHeld(first)).toBe(true);
    await pass(1);
    expect(isHeld(first)).toBe(false);
  });

  it('when its node is closed', async () => {
    const lease = await kv.lease();
    await other.set('a', 1, { lease: lease.id });
    await node.close();
    expect(lease.signal.reason).toMatchObject({ isLost: false });
    expect(await other.find('a')).toBeNull();
  });

  it('when its node is closed while it is being acquired', async () => {
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    const acquired = kv.lease({ ttlMs: 600_000 });
    await stop.reached;
    const closed = node.close();
    await pass(100);
    stop.go();
    const lease = await acquired;
    await closed;
    expect(lease.signal.reason).toMatchObject({ code: 'ERR_LEASE_ENDED', isLost: false });
    expect(isHeld(lease)).toBe(false);
  });

  it('but is not waited for by its node for longer than other operations', async () => {
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    node.defaultMs = TIMEOUT_MS;
    const acquired = kv.lease({ timeoutMs: 60_000 });
    await stop.reached;
    let isClosed = false;
    const closed = node.close().then(() => {
      isClosed = true;
    });
    await pass(TIMEOUT_MS - 1);
    expect(isClosed).toBe(false);
    await pass(1);
    await closed;
    stop.go();
    await acquired;
  });

  it('and leaves nothing behind at its node, nor does one that was not acquired', async () => {
    const before = node.steps;
    const lease = await kv.lease();
    await lease.release();
    node.faults.push('no-quorum');
    await expect(kv.lease()).rejects.toThrow(withCode('ERR_NO_QUORUM'));
    await expect(kv.lease({ ttlMs: 1 })).rejects.toThrow(withCode('ERR_CONFIG'));
    expect(node.steps).toBe(before);
  });

  it('not when the store is closed whose node goes on: its holder may', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    await kv.close();
    await pass(3000);
    expect(lease.signal.aborted).toBe(false);
    await lease.release();
  });
});

describe('A lease is lost', () => {
  it('by the clock of its holder, if it can not be renewed', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    cutOff();
    await pass(599);
    expect(lease.signal.aborted).toBe(false);
    await pass(1);
    expectLost(lease, /was lost: it could not be renewed for 600 ms\. Look for a lost quorum/);
    const asked = node.asked.length;
    await pass(2000);
    expect(node.asked.slice(asked).filter(({ key }) => key === registerOf(lease))).toEqual([]);
  });

  it('and so while a renewal hangs', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    const stop = new Stop(node, ({ kind }) => kind === 'change');
    await pass(600);
    expectLost(lease, /could not be renewed/);
    stop.go();
    await pass(0);
    expectLost(lease, /could not be renewed/);
    expect(isHeld(lease)).toBe(false);
  });

  it('soon after the clock has passed its end unseen, as while the machine was suspended', async () => {
    const lease = await kv.lease({ ttlMs: 600_000 });
    jest.setSystemTime(Date.now() + 3_600_000);
    await pass(1000);
    expectLost(lease, /could not be renewed/);
    expect(renewalsOf(lease)).toBe(0);
  });

  it('not by renewals that fail while there is time', async () => {
    const lease = await kv.lease({ ttlMs: 3000 });
    const heal = cutOff();
    await pass(2500);
    heal();
    await pass(10_000);
    expect(lease.signal.aborted).toBe(false);
    expect(isHeld(lease)).toBe(true);
  });

  it('not by a renewal of which nobody knows what became', async () => {
    const lease = await kv.lease({ ttlMs: 3000 });
    node.faults.push('lost', 'landed', 'lost');
    await pass(10_000);
    expect(lease.signal.aborted).toBe(false);
  });

  it('for its holder, though it may be there yet for others: nothing is hung on it by its handle', async () => {
    const lease = await kv.lease({ ttlMs: 600 });
    node.gate = ({ kind, key }) => {
      if (kind === 'change' && key.startsWith('~')) node.faults.push('landed');
    };
    await pass(600);
    expectLost(lease, /could not be renewed/);
    expect(isHeld(lease)).toBe(true);
    await expect(kv.set('a', 1, { lease })).rejects.toThrow(withCode('ERR_LIFETIME_OVER', /has ended/));
    await other.set('a', 1, { lease: lease.id });
  });

  it('when another ends it', async () => {
    const lease = await kv.lease({ ttlMs: 3000 });
    const end = { value: null, attributes: new Uint8Array(), until: 0 };
    await otherNode.change(registerOf(lease), {
      bound: 0,
      mayRemove: true,
      seals: true,
      apply: () => ({ write: end, result: null }),
    });
    await pass(1000);
    expectLost(lease, /was lost: it was ended, or its time was up/);
    expect(isHeld(lease)).toBe(false);
    // It is not there to be released any more.
    const asked = node.asked.length;
    await lease.release();
    expect(node.asked.length).toBe(asked);
  });

  /** As if it had ended, and another had begun under its id. */
  async function replace(lease: Lease): Promise<void> {
    const { value, attributes, until } = farm.read(registerOf(lease));
    const change = (write: { value: Uint8Array | null; attributes: Uint8Array; until: number }): Promise<unknown> =>
      otherNode.change(registerOf(lease), {
        bound: until,
        mayRemove: true,
        seals: false,
        apply: () => ({ write, result: null }),
      });
    await change({ value: null, attributes, until: 0 });
    await change({ value, attributes, until });
  }

  it('for good: one that began after it is another', async () => {
    const [lease, second] = await Promise.all([kv.lease({ ttlMs: 3000 }), kv.lease({ ttlMs: 3000 })]);
    await replace(lease);
    await replace(second);
    await second.release();
    expect(isHeld(second)).toBe(true);
    await pass(1000);
    expectLost(lease, /was ended/);
    expect(isHeld(lease)).toBe(true);
    await lease.release();
    expect(isHeld(lease)).toBe(true);
  });
});
