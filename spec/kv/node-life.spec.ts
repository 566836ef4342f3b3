import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PaxosKV } from '../../lib/kv/index.js';
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
  await Promise.all(farm.nodes.map((each) => each.close()));
  await Promise.all([kv.close(), other.close()]);
  jest.useRealTimers();
});

const pass = (ms: number): Promise<void> => jest.advanceTimersByTimeAsync(ms);

describe("A process's life", () => {
  it('lasts as long as it is up, and ends at once when it closes', async () => {
    await kv.set('a', 1, { node: true });
    await pass(60_000);
    expect(await other.get('a')).toBe(1);
    await node.close();
    expect(await other.find('a')).toBeNull();
  });

  it('ends ten seconds after it has fallen silent', async () => {
    await kv.set('a', 1, { node: true });
    node.gate = () => new Promise(() => undefined);
    await pass(9999);
    expect(await other.get('a')).toBe(1);
    await pass(1);
    expect(await other.find('a')).toBeNull();
  });

  it('can be lived by from another process', async () => {
    await other.set('a', 1, { node: node.process });
    await kv.set('b', 1, { node: true });
    expect(await other.lifetime('a')).toEqual(await other.lifetime('b'));
    await pass(60_000);
    expect(await other.get('a')).toBe(1);
    await node.close();
    expect(await other.keys()).toEqual([]);
  });

  it('is its own by its own name', async () => {
    await kv.set('a', 1, { node: node.process });
    expect(await kv.lifetime('a')).toMatchObject({ nodes: [node.process] });
  });

  it('is the same under the number that it votes under, of a process before it', async () => {
    node.votesAs = 'p77';
    await other.set('a', 1, { node: 'p77' });
    await kv.set('b', 1, { node: 'p77' });
    expect(await other.get('a')).toBe(1);
    for (const key of ['a', 'b']) expect(await other.lifetime(key)).toMatchObject({ nodes: [node.process] });
    await node.close();
    expect(await other.keys()).toEqual([]);
  });

  it('is one for all its buckets and stores', async () => {
    const second = new PaxosKV({ node });
    await Promise.all([kv, second, kv.bucket('jobs')].map((each) => each.set('a', 1, { node: true })));
    expect(node.asked.filter(({ kind, key }) => kind === 'change' && key === `~node/${node.process}`)).toHaveLength(1);
    await second.close();
    // It is the node's, not the store's that began it.
    await pass(60_000);
    expect(await other.get('a')).toBe(1);
  });

  it('goes on when the store is closed, as the process does', async () => {
    await kv.set('a', 1, { node: true });
    await kv.close();
    await pass(60_000);
    expect(await other.get('a')).toBe(1);
    await other.set('b', 1, { node: node.process });
  });

  it('is of one process, not of a group of them', async () => {
    for (const group of ['all', 'voters']) {
      await expect(kv.set('k', 1, { node: group })).rejects.toThrow(withCode('ERR_CONFIG', /Option node got/));
    }
  });

  it('is not there in a process without a store, nor in one that is gone', async () => {
    const bare = farm.node();
    await expect(kv.set('a', 1, { node: bare.process })).rejects.toThrow(
      withCode(
        'ERR_LIFETIME_OVER',
        /^The key was not written: process p3, .* has no key-value store \(it has no handler\)/,
      ),
    );
    await otherNode.close();
    await expect(kv.set('a', 1, { node: otherNode.process })).rejects.toThrow(
      withCode('ERR_LIFETIME_OVER', /\(it is not known\)/),
    );
    expect(await kv.has('a')).toBe(false);
  });

  it('begins anew after it was lost, and what hung on it stays gone', async () => {
    await kv.set('a', 1, { node: true });
    const { gate } = node;
    node.gate = ({ kind, key }) => {
      if (kind === 'change' && key.startsWith('~')) node.faults.push('no-quorum');
    };
    await pass(10_000);
    node.gate = gate;
    node.asked.length = 0;
    await Promise.all(['b', 'c'].map((key) => kv.set(key, 1, { node: true })));
    expect(node.asked.filter(({ kind, key }) => kind === 'change' && key.startsWith('~'))).toHaveLength(1);
    expect(new Set(await other.keys())).toEqual(new Set(['b', 'c']));
    await pass(60_000);
    expect(new Set(await other.keys())).toEqual(new Set(['b', 'c']));
  });

  it('is waited for no longer than the call may take, and is there for the next one', async () => {
    const timers = jest.getTimerCount();
    const stop = new Stop(node, ({ key }) => key.startsWith('~node/'));
    const calls = [100, 30_000].map((timeoutMs) => kv.set('a', 1, { node: true, timeoutMs }).catch((error) => error));
    await stop.reached;
    await pass(100);
    expect(await Promise.race([calls[0], 'still waiting'])).toEqual(withCode('ERR_NO_QUORUM', /was not written/));
    expect(await Promise.race([calls[1], 'still waiting'])).toBe('still waiting');
    expect(await other.find('a')).toBeNull();
    stop.go();
    expect(await calls[1]).toMatchObject({ value: 1 });
    await kv.set('b', 1, { node: true, timeoutMs: 30_000 });
    expect(node.asked.filter(({ kind, key }) => kind === 'change' && key.startsWith('~node/'))).toHaveLength(1);
    expect(jest.getTimerCount()).toBe(timers + 2);
  });

  it('is begun again by the next one who needs it, if it could not be begun', async () => {
    node.faults.push('no-quorum');
    await expect(kv.set('a', 1, { node: true })).rejects.toThrow(withCode('ERR_NO_QUORUM'));
    await kv.set('a', 1, { node: true });
    expect(await other.get('a')).toBe(1);
  });

  it('does not begin in a process that is leaving', async () => {
    await kv.set('a', 1, { node: true });
    const stop = new Stop(node, ({ kind, key }) => kind === 'change' && key.startsWith('~node/'));
    const closed = node.close();
    await stop.reached;
    await expect(kv.set('b', 1, { node: true })).rejects.toThrow(withCode('ERR_CLOSED'));
    await expect(other.set('c', 1, { node: node.process })).rejects.toThrow(withCode('ERR_LIFETIME_OVER'));
    stop.go();
    await closed;
    expect(farm.ids('~node')).toEqual([]);
  });

  it('is released though it was only being begun when the process left', async () => {
    const stop = new Stop(node, ({ kind, key }) => kind === 'change' && key.startsWith('~node/'));
    const set = kv.set('a', 1, { node: true });
    await stop.reached;
    const closed = node.close();
    stop.go();
    await closed;
    await set.catch(() => undefined);
    expect(farm.ids('~node')).toEqual([]);
    expect(await other.find('a')).toBeNull();
  });
});
