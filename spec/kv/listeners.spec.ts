import type { EventEmitter } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Change, PaxosKV } from '../../lib/kv/index.js';
import { KvFarm, type KvMemoryNode } from './memory-node.js';
import { uncaughtWhile } from './uncaught.js';
import { settled } from './watched-bucket.js';

let farm: KvFarm;
let kv: PaxosKV;
let node: KvMemoryNode;
let other: PaxosKV;

beforeEach(() => {
  farm = new KvFarm();
  ({ kv, node } = farm.store());
  ({ kv: other } = farm.store());
});
afterEach(async () => {
  await Promise.all([kv.close(), other.close()]);
});

/** A listener that notes the keys of which it was told, and then does something. */
function noting(what: () => void = () => undefined): ((change: Change) => void) & { readonly keys: unknown[] } {
  const keys: unknown[] = [];
  const listener = ({ key }: Change): void => {
    keys.push(key);
    what();
  };
  return Object.assign(listener, { keys });
}

async function write(...keys: string[]): Promise<void> {
  await Promise.all(keys.map((key) => other.set(key, 1)));
  await settled();
}

/** Watches that the store has at its node. */
const watchesOf = (of: KvMemoryNode): number => farm.watchers.filter((watcher) => watcher.node === of.number).length;
const warningsOf = (of: KvMemoryNode): number => of.listenerCount('warning');

describe('Listeners of change', () => {
  it('are all called, though the first throws', async () => {
    const thrower = noting(() => {
      throw new Error('of a listener');
    });
    const second = noting();
    kv.on('change', thrower);
    kv.on('change', second);
    await settled();
    const uncaught = await uncaughtWhile(() => write('a', 'b'));
    expect(uncaught).toEqual([new Error('of a listener'), new Error('of a listener')]);
    expect(thrower.keys).toEqual(['a', 'b']);
    expect(second.keys).toEqual(['a', 'b']);
  });

  it('are called with the store as this, and the same change', async () => {
    const seen: unknown[][] = [];
    const listener = function (this: unknown, ...given: unknown[]): void {
      seen.push([this, ...given]);
    };
    kv.on('change', listener);
    kv.prependListener('change', listener);
    await settled();
    await write('a');
    expect(seen).toEqual([
      [kv, expect.objectContaining({ kind: 'set', key: 'a' })],
      [kv, expect.objectContaining({ kind: 'set', key: 'a' })],
    ]);
    expect(seen[0]?.[1]).toBe(seen[1]?.[1]);
  });

  it('are called once if they want that, whatever happens at once', async () => {
    const once = noting();
    const always = noting();
    kv.once('change', once);
    kv.on('change', always);
    await settled();
    await write('a', 'b');
    expect(once.keys).toEqual(['a']);
    expect(always.keys).toEqual(['a', 'b']);
    expect(kv.listenerCount('change')).toBe(1);
  });

  it('are not called any more once they were taken away', async () => {
    const second = noting();
    const first = noting(() => kv.off('change', second));
    kv.on('change', first);
    kv.on('change', second);
    await settled();
    await write('a', 'b');
    expect(first.keys).toEqual(['a', 'b']);
    expect(second.keys).toEqual([]);
  });

  it('watch the bucket while there is one', async () => {
    const [first, second] = [noting(), noting()];
    expect(watchesOf(node)).toBe(0);
    kv.on('change', first);
    kv.on('change', second);
    expect(watchesOf(node)).toBe(1);
    kv.off('change', first);
    expect(watchesOf(node)).toBe(1);
    kv.off('change', second);
    expect(watchesOf(node)).toBe(0);
  });
});

describe('After removeAllListeners', () => {
  it.each<[string, () => void]>([
    ['of all events', () => void kv.removeAllListeners()],
    ['of change', () => void kv.removeAllListeners('change')],
    [
      'of those that tell of listeners',
      () => {
        for (const name of ['newListener', 'removeListener']) (kv as EventEmitter).removeAllListeners(name);
        kv.removeAllListeners('change');
      },
    ],
  ])('%s nobody is told, and nothing watched', async (_name, removeAll) => {
    const before = noting();
    kv.on('change', before);
    await settled();
    removeAll();
    expect(watchesOf(node)).toBe(0);
    await write('a');
    expect(before.keys).toEqual([]);
    // From then on as from the beginning.
    for (let time = 0; time < 2; time += 1) {
      const after = noting();
      kv.on('change', after);
      await settled();
      await write(`b${time}`);
      expect(after.keys).toEqual([`b${time}`]);
      kv.off('change', after);
      expect(watchesOf(node)).toBe(0);
    }
  });

  it('warnings of the node are told to those who listen then, and else are left to it', () => {
    const warn = jest.fn();
    kv.on('warning', warn);
    expect(warningsOf(node)).toBe(1);
    kv.removeAllListeners();
    expect(warningsOf(node)).toBe(0);
    kv.on('warning', warn);
    expect(warningsOf(node)).toBe(1);
    node.emit('warning', { code: 'alone', message: 'nobody is there' });
    expect(warn).toHaveBeenCalledTimes(1);
    kv.removeAllListeners('warning');
    expect(warningsOf(node)).toBe(0);
  });

  it('of a closed store nothing is watched', async () => {
    await kv.close();
    kv.removeAllListeners();
    kv.on('change', noting());
    kv.on('warning', noting() as never);
    expect(watchesOf(node) + warningsOf(node)).toBe(0);
  });
});
