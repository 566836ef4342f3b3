/** Watches of two learners, in a bucket that no voter looks through. */
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { PaxosKV } from '../../lib/kv/index.js';
import type { PaxosNode } from '../../lib/node/node.js';
import { Farm, until } from '../node/farm.js';

const ALL = { prefix: '' };

let farm: Farm;
let voters: PaxosNode[];
let nodeOfHolder: PaxosNode;
let nodeOfWatcher: PaxosNode;
let holder: PaxosKV;
let watcher: PaxosKV;

beforeEach(async () => {
  farm = new Farm();
  voters = await farm.start(3);
  nodeOfHolder = farm.add({ slot: false });
  nodeOfWatcher = farm.add({ slot: false });
  await Promise.all([nodeOfHolder.ready(), nodeOfWatcher.ready()]);
  holder = new PaxosKV({ node: nodeOfHolder });
  watcher = new PaxosKV({ node: nodeOfWatcher });
});

afterEach(async () => {
  await Promise.all([holder.close(), watcher.close()]);
  await farm.close();
});

/** What a watch of all keys tells, beside other watches. */
async function follow(): Promise<string[]> {
  const told: string[] = [];
  const watch = watcher.watch(ALL);
  void (async () => {
    for await (const { kind, key } of watch) told.push(`${kind} ${String(key)}`);
  })();
  await watch.ready();
  return told;
}

/** Of those whose own registers hold something. */
async function unburied(): Promise<string[]> {
  return (await voters[0]?.ids('kv')) ?? [];
}

describe('Where no voter has the bucket open', () => {
  it('a watch tells of the end of what lives by a lease that was released, a key, and a process', async () => {
    const listed = jest.spyOn(nodeOfWatcher, 'heads');
    const told = await follow();
    const lease = await holder.lease({ ttlMs: 60_000 });
    await holder.set('leased', 1, { lease });
    await holder.set('below', 1, { key: 'leased' });
    await holder.set('up', 1, { node: true });
    await until(() => told.length === 3);
    // So that their heads show nothing new.
    const count = listed.mock.calls.length;
    await until(() => listed.mock.calls.length > count);
    await listed.mock.results.at(-1)?.value;
    await watcher.has('up');
    await lease.release();
    await nodeOfHolder.close();
    await until(
      () => told.length === 6,
      () => told,
    );
    expect(told.toSorted()).toEqual([
      'removed below',
      'removed leased',
      'removed up',
      'set below',
      'set leased',
      'set up',
    ]);
    expect(await unburied()).toEqual([]);
  });

  it('what nobody watches stays in the registers until it is asked for or listed', async () => {
    const lease = await holder.lease();
    for (const key of ['a', 'b', 'c']) await holder.set(key, 1, { lease });
    await lease.release();
    expect((await unburied()).toSorted()).toEqual(['sa', 'sb', 'sc']);
    expect(await watcher.has('a')).toBe(false);
    expect((await unburied()).toSorted()).toEqual(['sb', 'sc']);
    expect(await watcher.keys()).toEqual([]);
    expect(await unburied()).toEqual([]);
  });

  it('or until a voter opens the bucket', async () => {
    const lease = await holder.lease();
    await holder.set('a', 1, { lease });
    await lease.release();
    const kv = new PaxosKV({ node: voters[1] as PaxosNode });
    await until(async () => (await unburied()).length === 0);
    await kv.close();
  });
});
