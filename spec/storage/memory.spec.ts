import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { NO_BALLOT, type RegisterRecord, SHARDS, shardOf } from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

function record(touchedMs: number): RegisterRecord {
  return { promised: NO_BALLOT, proposal: null, committed: false, horizon: 0, touchedMs };
}

test('holds what was set last', () => {
  const table = new MemoryTable();
  expect(table.get('a')).toBeUndefined();
  table.set('a', record(1));
  table.set('b', record(2));
  table.set('a', record(3));
  expect(table.get('a')?.touchedMs).toBe(3);
  expect(table.get('b')?.touchedMs).toBe(2);
  expect(table.size).toBe(2);
});

test('counts what it holds, whatever is done twice or in vain', () => {
  const table = new MemoryTable();
  table.set('a', record(1));
  table.delete('a');
  table.delete('a');
  table.delete('never');
  expect(table.size).toBe(0);
  expect(table.get('a')).toBeUndefined();
});

test('does as a Map does', () => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom('set', 'delete', 'get'), fc.constantFrom('a', 'b', 'c', '__proto__')),
  );
  fc.assert(
    fc.property(steps, (calls) => {
      const table = new MemoryTable();
      const map = new Map<string, RegisterRecord>();
      calls.forEach(([call, key], index) => {
        if (call === 'set') {
          table.set(key, record(index));
          map.set(key, record(index));
        } else if (call === 'delete') {
          table.delete(key);
          map.delete(key);
        }
        expect(table.get(key)).toEqual(map.get(key));
        expect(table.size).toBe(map.size);
      });
    }),
  );
});

describe('shards', () => {
  test('part the keys: each key in one, the one that shardOf names', () => {
    const table = new MemoryTable();
    const keys = Array.from({ length: 2000 }, (_, index) => `session/${index.toString(36)}`);
    for (const key of keys) table.set(key, record(0));
    const found: string[] = [];
    for (let shard = 0; shard < SHARDS; shard += 1) {
      for (const [key] of table.shard(shard)) {
        expect(shardOf(key)).toBe(shard);
        found.push(key);
      }
    }
    expect(found.sort()).toEqual(keys.sort());
  });

  test('are about equally large', () => {
    const sizes = new Array<number>(SHARDS).fill(0);
    for (let index = 0; index < 100 * SHARDS; index += 1) {
      const shard = shardOf(`session/${index}`);
      sizes[shard] = (sizes[shard] ?? 0) + 1;
    }
    expect(Math.min(...sizes)).toBeGreaterThan(50);
    expect(Math.max(...sizes)).toBeLessThan(200);
  });

  // Part of the protocol: nodes of different versions have to agree on it.
  test.each([
    ['', 217],
    ['a', 32],
    ['session/abc', 75],
    ['sitzung/ä', 219],
  ])('of %j is always %i', (key, shard) => {
    expect(shardOf(key)).toBe(shard);
  });

  test('that are none', () => {
    const table = new MemoryTable();
    expect(() => table.shard(-1)).toThrow(RangeError);
    expect(() => table.shard(SHARDS)).toThrow(RangeError);
  });

  test('may lose a key while they are looked through', () => {
    const table = new MemoryTable();
    for (let index = 0; index < 100; index += 1) table.set(`k${index}`, record(0));
    for (let shard = 0; shard < SHARDS; shard += 1) for (const [key] of table.shard(shard)) table.delete(key);
    expect(table.size).toBe(0);
  });
});
