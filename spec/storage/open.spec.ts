import { beforeEach, describe, expect, test } from '@jest/globals';
import { ConfigError, StorageError } from '../../lib/errors.js';
import { NO_BALLOT, type RegisterRecord } from '../../lib/paxos/index.js';
import { type Opening, openMemory } from '../../lib/storage/open.js';
import { SEAL_SIZE, seal, unseal } from '../../lib/storage/seal.js';
import { CorruptionError, type Storage } from '../../lib/storage/storage.js';
import { IDENTITY } from './arbitrary.js';
import { SimulatedDisk } from './simulated-disk.js';

const SETUP = { cluster: IDENTITY.cluster };

function promise(round: number): RegisterRecord {
  return { promised: { round, proposer: 1 }, proposal: null, committed: false, horizon: 0, touchedMs: 0 };
}

/** Three batches, the last of which changes what the others wrote. */
async function fill(disk: SimulatedDisk): Promise<void> {
  const { table } = await openMemory(disk.storage(), SETUP);
  table.identify(IDENTITY);
  table.follow({ floor: NO_BALLOT });
  for (const round of [1, 2, 3]) {
    for (const key of ['a', 'b', `only ${round}`]) table.set(key, promise(round));
    await table.flush();
  }
  table.delete('only 1');
  await table.close();
}

/** The value of an entry, in another version and with another body. */
function resealed(key: string, version: number, body: Buffer): Buffer {
  const value = Buffer.concat([Buffer.alloc(SEAL_SIZE), body]);
  seal(key, version, value);
  return value;
}

function entryOf(disk: SimulatedDisk, key: string): Uint8Array {
  const value = disk.entries.get(key);
  if (value === undefined) throw new Error(`no ${key}`);
  return value;
}

function roundsOf({ table }: Opening): Record<string, number> {
  const rounds: Record<string, number> = {};
  table.restore((key, record) => {
    rounds[key] = record.promised.round;
    table.set(key, { ...record, touchedMs: 0 });
  });
  return rounds;
}

let disk: SimulatedDisk;

beforeEach(async () => {
  disk = new SimulatedDisk(true);
  await fill(disk);
});

test('finds what was there', async () => {
  const opening = await openMemory(disk.storage(), SETUP);
  expect(opening).toMatchObject({ kind: 'loaded', identity: IDENTITY });
  expect(roundsOf(opening)).toEqual({ a: 3, b: 3, 'only 2': 2, 'only 3': 3 });
});

test('goes on numbering where the process before it stopped', async () => {
  const { number } = disk;
  const opening = await openMemory(disk.storage(), SETUP);
  roundsOf(opening);
  opening.table.set('a', promise(9));
  await opening.table.close();
  expect(disk.number).toBe(number + 1);
  expect(roundsOf(await openMemory(disk.storage(), SETUP))).toMatchObject({ a: 9, b: 3 });
});

describe('counts as lost, and is put aside:', () => {
  test.each<readonly [string, RegExp, (disk: SimulatedDisk) => void]>([
    ['no head', /head/, (it) => it.damage('head', null)],
    ['no identity', /3 of 5|4 of 5|entries are there/, (it) => it.damage('identity', null)],
    ['a register less', /entries are there/, (it) => it.damage('ra', null)],
    [
      'a register more',
      /entries are there/,
      (it) => it.damage('rx', resealed('rx', 1, unseal('ra', entryOf(it, 'ra')).body)),
    ],
    ['a register of another key', /checksum/, (it) => it.damage('ra', entryOf(it, 'rb'))],
    ['an older register', /not those/, (it) => it.damage('ra', olderOf(it, 'ra'))],
    [
      'a damaged register',
      /checksum/,
      (it) =>
        it.damage(
          'ra',
          entryOf(it, 'ra').map((byte, at) => (at === 9 ? byte ^ 1 : byte)),
        ),
    ],
    ['an entry of nobody', /key/, (it) => it.damage('else', resealed('else', 1, Buffer.alloc(3)))],
    [
      'a register of a later version than the head',
      /version/,
      (it) => it.damage('ra', resealed('ra', 2, Buffer.alloc(3))),
    ],
    ['a register whose body is none', /too short/, (it) => it.damage('ra', resealed('ra', 1, Buffer.alloc(3)))],
    ['the last batch lost', /batch 4 had been written, and only 3/, (it) => it.rollBack(1)],
    ['everything lost', /head/, (it) => it.rollBack(99)],
  ])('%s', async (_, reason, harm) => {
    harm(disk);
    const opening = await openMemory(disk.storage(), SETUP);
    expect(opening).toMatchObject({ kind: 'corrupt', reason: expect.stringMatching(reason), movedTo: 'aside 1' });
    expect(opening.table.size).toBe(0);
    expect(disk.entries.size).toBe(0);
    opening.table.identify({ ...IDENTITY, generation: 2 });
    opening.table.set('new', promise(7));
    await opening.table.close();
    const next = await openMemory(disk.storage(), SETUP);
    expect(next).toMatchObject({ kind: 'loaded', identity: { generation: 2 } });
    expect(roundsOf(next)).toEqual({ new: 7 });
  });

  function olderOf(it: SimulatedDisk, key: string): Uint8Array {
    const now = it.entries;
    it.rollBack(2);
    const older = entryOf(it, key);
    it.rollBack(0);
    for (const name of [...it.entries.keys()]) if (!now.has(name)) it.damage(name, null);
    for (const [name, value] of now) it.damage(name, value);
    return older;
  }

  test('what the storage itself finds damaged, at once or while it is read', async () => {
    for (const contents of [
      { kind: 'corrupt', reason: 'bad blocks' } as const,
      {
        kind: 'open',
        knownNumber: 0,
        // biome-ignore lint/correctness/useYield: it fails before it has anything
        entries: (async function* () {
          throw new CorruptionError('bad blocks');
        })(),
      } as const,
    ]) {
      const storage: Storage = { ...disk.storage(), open: async () => contents };
      expect(await openMemory(storage, SETUP)).toMatchObject({ kind: 'corrupt', reason: 'bad blocks' });
    }
  });
});

describe('is left as it is', () => {
  async function refusal(storage: Storage): Promise<unknown> {
    const { entries, number } = disk;
    const error = await openMemory(storage, SETUP).then(
      () => null,
      (reason: unknown) => reason,
    );
    expect([disk.entries, disk.number, disk.asideCount]).toEqual([entries, number, 0]);
    return error;
  }

  test('what is of another cluster', async () => {
    const error = await openMemory(disk.storage(), { cluster: 'other' }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ message: expect.stringMatching(/"shop".*"other".*give it a place of its own/) });
    // And it is closed: the right one may have it.
    expect((await openMemory(disk.storage(), SETUP)).kind).toBe('loaded');
  });

  test('what a later version wrote, though all else in it means nothing to this one', async () => {
    disk.damage('head', resealed('head', 2, Buffer.from('whatever it is then')));
    disk.damage('ra', resealed('ra', 2, Buffer.alloc(1)));
    const error = await refusal(disk.storage());
    expect(error).toBeInstanceOf(ConfigError);
    expect(error).toMatchObject({ message: expect.stringMatching(/later version.*format 2, this one reads up to 1/) });
  });

  test("what can't be read now", async () => {
    const entries = (async function* () {
      yield [];
      throw new Error('EMFILE');
    })();
    const storage = { ...disk.storage(), open: async () => ({ kind: 'open', knownNumber: 0, entries }) as const };
    expect(await refusal(storage)).toBeInstanceOf(StorageError);
    const broken = { ...disk.storage(), open: () => Promise.reject(new Error('EACCES')) };
    expect(await refusal(broken)).toMatchObject({ code: 'ERR_STORAGE', message: expect.stringContaining('EACCES') });
  });

  test('what somebody else has open', async () => {
    await openMemory(disk.storage(), SETUP);
    expect(await refusal(disk.storage())).toBeInstanceOf(ConfigError);
  });
});

test('a storage without a second source does not notice that the last batches are gone', async () => {
  const unguarded = new SimulatedDisk(true, false);
  await fill(unguarded);
  unguarded.rollBack(2);
  expect(roundsOf(await openMemory(unguarded.storage(), SETUP))).toEqual({ a: 2, b: 2, 'only 1': 1, 'only 2': 2 });
});

test('an earlier version is upgraded as it is read, and written in the new one as it changes', async () => {
  // A synthetic version 2, whose bodies end with a byte that those of version 1 lack.
  const upgrades = [(_: string, body: Buffer) => Buffer.concat([body, Buffer.from([0xff])])];
  const seen: string[] = [];
  const trimmed = (key: string, body: Buffer): Buffer => {
    seen.push(key);
    expect(body.at(-1)).toBe(0xff);
    return body.subarray(0, -1);
  };
  // Version 3 takes it off again, so that what this program knows can read it.
  const opening = await openMemory(disk.storage(), { ...SETUP, format: 3, upgrades: [...upgrades, trimmed] });
  expect(opening.kind).toBe('loaded');
  expect(seen.sort()).toEqual(['head', 'identity', 'ra', 'rb', 'ronly 2', 'ronly 3']);
  expect(roundsOf(opening)).toEqual({ a: 3, b: 3, 'only 2': 2, 'only 3': 3 });
  // The digest is of what is stored, in whichever version.
  opening.table.set('a', promise(5));
  await opening.table.close();
  expect(roundsOf(await openMemory(disk.storage(), SETUP))).toMatchObject({ a: 5, b: 3 });
});
