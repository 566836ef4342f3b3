import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_BALLOT, type RegisterRecord, SHARDS, shardOf } from '../../lib/paxos/index.js';
import { Pages, type Place } from '../../lib/paxos/pages.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const RECORD: RegisterRecord = { promised: NO_BALLOT, proposal: null, committed: false, horizon: 0, touchedMs: 0 };
/** All of a few shards, so that pages end within them. */
const NAMES = Array.from({ length: 20_000 }, (_, index) => `k${index}`).filter((key) => shardOf(key) < 3);

const action = fc.oneof(
  { weight: 2, arbitrary: fc.record({ act: fc.constant('page' as const), reader: fc.nat(9), size: fc.nat(40) }) },
  { weight: 3, arbitrary: fc.record({ act: fc.constantFrom('add' as const, 'remove' as const), name: fc.nat() }) },
);

class Reader {
  place: Place = { shard: 0, after: '' };
  readonly keys: string[] = [];
  /** Keys that were there when it began, and are there still. */
  owed: Set<string> | null = null;
}

it('reads every key that is there all along once, in order, whatever comes and goes, and however many read', () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat(), { minLength: 100, maxLength: 400 }),
      fc.array(action, { minLength: 100, maxLength: 300 }),
      (some, actions) => {
        const table = new MemoryTable();
        const pages = new Pages(table);
        const nameOf = (index: number): string => NAMES[index % NAMES.length] ?? '';
        for (const name of some) table.set(nameOf(name), RECORD);
        const readers = Array.from({ length: 10 }, () => new Reader());
        const turn = (reader: number, size: number): void => {
          const one = readers[reader];
          if (one === undefined || one.place.shard === SHARDS) return;
          one.owed ??= new Set(table.list().map(([key]) => key));
          let room = size + 1;
          one.place = pages.read(one.place, (key, record) => {
            expect(record).toBe(table.get(key));
            room -= 1;
            if (room < 0) return false;
            one.keys.push(key);
            return true;
          });
        };
        for (const each of actions) {
          if (each.act === 'page') {
            turn(each.reader, each.size);
            continue;
          }
          const key = nameOf(each.name);
          if (each.act === 'add') {
            if (table.get(key) !== undefined) continue;
            table.set(key, RECORD);
            pages.added(key);
          } else {
            table.delete(key);
            pages.removed(key);
            for (const { owed } of readers) owed?.delete(key);
          }
        }
        for (const [reader, one] of readers.entries()) while (one.place.shard < SHARDS) turn(reader, 50);
        for (const { keys, owed } of readers) {
          expect(new Set(keys).size).toBe(keys.length);
          expect([...(owed ?? [])].filter((key) => !keys.includes(key))).toEqual([]);
          const isInOrder = keys.every((key, index) => {
            const before = keys[index - 1];
            return (
              before === undefined ||
              shardOf(before) < shardOf(key) ||
              (shardOf(before) === shardOf(key) && before < key)
            );
          });
          expect(isInOrder).toBe(true);
        }
      },
    ),
    { numRuns: 40 },
  );
});
