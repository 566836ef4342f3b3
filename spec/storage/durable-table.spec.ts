import { beforeEach, describe, expect, test } from '@jest/globals';
import { ClosedError, StorageError } from '../../lib/errors.js';
import { type Ballot, NO_BALLOT, type RegisterRecord } from '../../lib/paxos/index.js';
import type { DurableTable } from '../../lib/storage/durable-table.js';
import { openMemory } from '../../lib/storage/open.js';
import type { Storage } from '../../lib/storage/storage.js';
import { VolatileTable } from '../../lib/storage/volatile-table.js';
import { IDENTITY } from './arbitrary.js';
import { SimulatedDisk } from './simulated-disk.js';

const SETUP = { cluster: IDENTITY.cluster };

function promise(round: number): RegisterRecord {
  return { promised: { round, proposer: 1 }, proposal: null, committed: false, horizon: 0, touchedMs: 0 };
}

function holding(round: number, size = 3): RegisterRecord {
  const accepted = { round, proposer: 1 };
  const proposal = {
    accepted,
    operation: `a.${round}`,
    value: new Uint8Array(size),
    attributes: new Uint8Array(0),
    until: 5,
    birth: accepted,
    dataBallot: accepted,
    lineage: [],
    lineageFrom: accepted,
  };
  return { promised: accepted, proposal, committed: false, horizon: 9, touchedMs: 0 };
}

/** Lets everything happen that waits for nothing. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** What has become of a promise so far. */
function watch(promise: Promise<void>): { state: 'waiting' | 'done' | Error } {
  const watched: { state: 'waiting' | 'done' | Error } = { state: 'waiting' };
  promise.then(
    () => {
      watched.state = 'done';
    },
    (error) => {
      watched.state = error;
    },
  );
  return watched;
}

let disk: SimulatedDisk;
let table: DurableTable;
let floor: Ballot;

/** A new process on the disk. */
async function restart(): Promise<void> {
  const opening = await openMemory(disk.storage(), SETUP);
  expect(opening.kind).toBe('loaded');
  table = opening.table;
  floor = table.loadedFloor;
  table.restore((key, record) => table.set(key, { ...record, touchedMs: 77 }));
  follow();
}

function follow(): void {
  table.follow({
    get floor() {
      return floor;
    },
  });
}

beforeEach(async () => {
  disk = new SimulatedDisk();
  const opening = await openMemory(disk.storage(), SETUP);
  expect(opening.kind).toBe('empty');
  table = opening.table;
  floor = NO_BALLOT;
  follow();
  table.identify(IDENTITY);
  const flushed = table.flush();
  disk.complete();
  await flushed;
});

describe('a storage that does not answer', () => {
  const minute = (): void => {
    for (let ms = 0; ms < 60_000; ms += 50) table.look(50);
  };

  test('has failed after half a minute of one write', async () => {
    table.set('a', promise(1));
    const flushed = table.flush();
    const later = table.flush();
    for (let ms = 0; ms < 29_000; ms += 50) table.look(50);
    expect(table.isSettled).toBe(false);
    for (let ms = 0; ms < 2000; ms += 50) table.look(50);
    await expect(flushed).rejects.toThrow(StorageError);
    await expect(later).rejects.toThrow('it has not answered for 30 s');
    // Late, and not believed any more.
    disk.complete();
    await settle();
    await expect(table.flush()).rejects.toThrow('has not answered');
    await table.close();
  });

  test('may take its time, if each write ends', async () => {
    for (let count = 0; count < 5; count += 1) {
      table.set('a', promise(count + 1));
      const flushed = table.flush();
      for (let ms = 0; ms < 20_000; ms += 50) table.look(50);
      disk.complete();
      await flushed;
    }
    minute();
    await table.flush();
  });

  test('keeps nobody from closing', async () => {
    const hanging: Storage = {
      ...new SimulatedDisk().storage(),
      write: () => new Promise(() => {}),
      close: () => new Promise(() => {}),
    };
    const { table: stuck } = await openMemory(hanging, SETUP);
    stuck.follow({ floor: NO_BALLOT });
    stuck.identify(IDENTITY);
    const flushed = stuck.flush();
    for (let ms = 0; ms < 60_000; ms += 50) stuck.look(50);
    await expect(flushed).rejects.toThrow(StorageError);
    await stuck.close();
  });
});

describe('a flush', () => {
  test('of nothing resolves at once, and writes nothing', async () => {
    expect(table.isSettled).toBe(true);
    await table.flush();
    await table.flushAll();
    expect(disk.pending).toBeNull();
  });

  test('waits for the batch with what was changed before it', async () => {
    table.set('a', promise(1));
    expect(table.isSettled).toBe(false);
    const first = watch(table.flush());
    await settle();
    expect(first.state).toBe('waiting');
    disk.complete();
    await settle();
    expect(first.state).toBe('done');
    expect(table.isSettled).toBe(true);
  });

  test('that comes while a batch is being written waits for the next one if there is news, else for that one', async () => {
    table.set('a', promise(1));
    const first = watch(table.flush());
    // A read of the same tick, which may have seen `a`.
    const reader = watch(table.flush());
    table.set('b', promise(2));
    const second = watch(table.flush());
    table.set('c', promise(3));
    const third = watch(table.flush());
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['ra', 'head']);
    disk.complete();
    await settle();
    expect([first.state, reader.state, second.state, third.state]).toEqual(['done', 'done', 'waiting', 'waiting']);
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['rb', 'rc', 'head']);
    disk.complete();
    await settle();
    expect([second.state, third.state]).toEqual(['done', 'done']);
    expect(disk.pending).toBeNull();
  });

  test('writes a register once, however often it changed', async () => {
    table.set('a', promise(1));
    void table.flush();
    for (let round = 2; round < 10; round += 1) table.set('a', holding(round));
    const flushed = table.flush();
    disk.complete();
    await settle();
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['ra', 'head']);
    disk.complete();
    await flushed;
    disk.crash();
    await restart();
    expect(table.get('a')).toEqual({ ...holding(9), touchedMs: 77 });
  });

  test('waits for a floor that was raised, and for what is gone', async () => {
    table.set('a', promise(1));
    void table.flush();
    disk.complete();
    await settle();
    floor = { round: 1, proposer: 1 };
    expect(table.isSettled).toBe(false);
    table.delete('a');
    const flushed = watch(table.flush());
    await settle();
    expect(flushed.state).toBe('waiting');
    expect(disk.pending?.deletes).toEqual(['ra']);
    disk.complete();
    await settle();
    expect(flushed.state).toBe('done');
    disk.crash();
    await restart();
    expect(table.loadedFloor).toEqual({ round: 1, proposer: 1 });
    expect(table.size).toBe(0);
  });

  test('does not wait for a touch that leaves nothing behind', () => {
    table.set('a', promise(1));
    void table.flush();
    disk.complete();
    table.set('a', { ...promise(1), touchedMs: 99 });
    expect(table.get('a')?.touchedMs).toBe(99);
    return settle().then(() => expect(table.isSettled).toBe(true));
  });

  test('does not wait for the word that a value is chosen, which goes with the next batch', async () => {
    const held = holding(1);
    table.set('a', held);
    void table.flush();
    disk.complete();
    await settle();
    table.set('a', { ...held, committed: true });
    expect(table.isSettled).toBe(true);
    await table.flush();
    expect(disk.pending).toBeNull();
    table.set('b', promise(2));
    const flushed = table.flush();
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['ra', 'rb', 'head']);
    disk.complete();
    await flushed;
    disk.crash();
    await restart();
    expect(table.get('a')?.committed).toBe(true);
  });

  test('of all waits for that word too', async () => {
    const held = holding(1);
    table.set('a', held);
    void table.flush();
    disk.complete();
    await settle();
    table.set('a', { ...held, committed: true });
    const all = watch(table.flushAll());
    // Nor does an answer wait while only that is being written.
    expect(table.isSettled).toBe(true);
    await table.flush();
    expect(all.state).toBe('waiting');
    disk.complete();
    await settle();
    expect(all.state).toBe('done');
  });

  test('what came and went between two batches is not written', async () => {
    table.set('a', promise(1));
    table.delete('a');
    const flushed = table.flush();
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['head']);
    expect(disk.pending?.deletes).toEqual([]);
    disk.complete();
    await flushed;
  });
});

describe('after a crash', () => {
  test.each(['lost', 'written'] as const)('a batch that nobody was told of may be %s', async (fate) => {
    table.set('a', promise(1));
    const first = table.flush();
    disk.complete();
    await first;
    table.set('a', promise(2));
    const second = watch(table.flush());
    disk.crash(fate);
    await restart();
    expect(second.state).toBe('waiting');
    expect(table.get('a')).toEqual({ ...promise(fate === 'lost' ? 1 : 2), touchedMs: 77 });
    expect(table.identity).toEqual(IDENTITY);
    expect(table.isSettled).toBe(true);
  });

  test('what is restored is not written again; what differs is', async () => {
    table.set('a', promise(1));
    table.set('b', promise(2));
    void table.flush();
    disk.complete();
    await settle();
    disk.crash();
    const opening = await openMemory(disk.storage(), SETUP);
    table = opening.table;
    table.restore((key, record) => table.set(key, { ...record, horizon: key === 'b' ? 9 : 0, touchedMs: 1 }));
    const flushed = table.flush();
    expect(disk.pending?.puts.map(({ key }) => key)).toEqual(['rb', 'head']);
    disk.complete();
    await flushed;
  });

  test('nothing is answered from a memory that was not restored', async () => {
    table.set('a', promise(1));
    void table.flush();
    disk.complete();
    await settle();
    disk.crash();
    const { table: forgetful } = await openMemory(disk.storage(), SETUP);
    forgetful.set('b', promise(1));
    await expect(forgetful.flush()).rejects.toThrow('not been restored');
    const { table: partial } = await openMemory(new SimulatedDisk().storage(), SETUP);
    partial.set('b', promise(1));
    await expect(partial.flush()).rejects.toThrow('whose memory');
  });

  test('a register that is not taken at the restoring stops it', async () => {
    table.set('a', promise(1));
    void table.flush();
    disk.complete();
    await settle();
    disk.crash();
    const { table: other } = await openMemory(disk.storage(), SETUP);
    expect(() => other.restore(() => {})).toThrow('nobody took it');
  });

  test('an acceptor whose floor is below the stored one is refused', async () => {
    floor = { round: 5, proposer: 1 };
    void table.flush();
    disk.complete();
    await settle();
    disk.crash();
    const { table: other } = await openMemory(disk.storage(), SETUP);
    expect(() => other.follow({ floor: NO_BALLOT })).toThrow('floor');
  });
});

describe('a reset', () => {
  test('removes everything with the next batch, and goes on', async () => {
    table.set('a', promise(1));
    table.set('b', promise(2));
    floor = { round: 3, proposer: 1 };
    void table.flush();
    // Not written yet, nor will it be.
    table.set('c', promise(3));
    expect(table.reset().map(([key]) => key)).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    expect(table.size).toBe(0);
    floor = NO_BALLOT;
    follow();
    const other = { ...IDENTITY, slot: 3 };
    table.identify(other);
    table.set('b', promise(4));
    const flushed = table.flush();
    disk.complete();
    await settle();
    expect(disk.pending?.deletes).toEqual(['ra']);
    disk.complete();
    await flushed;
    disk.crash();
    await restart();
    expect(table.identity).toEqual(other);
    expect(table.loadedFloor).toEqual(NO_BALLOT);
    expect(table.size).toBe(1);
    expect(table.get('b')?.promised.round).toBe(4);
  });
});

describe('a failure', () => {
  test('reaches all who wait, and all who come later, for ever', async () => {
    table.set('a', promise(1));
    const first = watch(table.flush());
    table.set('b', promise(1));
    const second = watch(table.flush());
    disk.fail(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }));
    await settle();
    for (const { state } of [first, second]) {
      expect(state).toBeInstanceOf(StorageError);
      expect(state).toMatchObject({
        code: 'ERR_STORAGE',
        message: expect.stringContaining('no space left on device'),
        cause: { code: 'ENOSPC' },
      });
    }
    expect(table.isSettled).toBe(false);
    await expect(table.flush()).rejects.toThrow(StorageError);
    await expect(table.flushAll()).rejects.toThrow(StorageError);
    table.set('c', promise(1));
    await expect(table.flush()).rejects.toThrow(StorageError);
    expect(disk.pending).toBeNull();
    await table.close();
  });

  test.each(['lost', 'written'] as const)(
    'of a sync whose batch was %s: the next process reads what is there',
    async (fate) => {
      table.set('a', promise(1));
      const flushed = watch(table.flush());
      disk.fail(new Error('EIO'), fate);
      await settle();
      expect(flushed.state).toBeInstanceOf(StorageError);
      await table.close();
      await restart();
      expect(table.size).toBe(fate === 'lost' ? 0 : 1);
    },
  );

  test('of a write that nobody waits for is told to whoever flushes next', async () => {
    const held = holding(1);
    table.set('a', held);
    void table.flush();
    disk.complete();
    await settle();
    table.set('a', { ...held, committed: true });
    void table.flushAll();
    disk.fail(new Error('EIO'));
    await settle();
    expect(table.isSettled).toBe(false);
    await expect(table.flush()).rejects.toThrow('EIO');
  });
});

describe('bounds', () => {
  test('what waits is bounded by number', async () => {
    for (let index = 0; !table.isFull; index += 1) {
      expect(index).toBeLessThan(10_000);
      table.set(`k${index}`, promise(1));
    }
    const flushed = table.flush();
    expect(table.isFull).toBe(false);
    disk.complete();
    await flushed;
  });

  test('and by size', () => {
    for (let index = 0; !table.isFull; index += 1) {
      expect(index).toBeLessThan(100);
      table.set(`k${index}`, holding(1, 1 << 20));
    }
  });

  test('what is too large to wait for more is written, though nobody waits for it', async () => {
    const held = Array.from({ length: 3 }, (_, index) => [`k${index}`, holding(1, 6 << 20)] as const);
    for (const [key, record] of held) table.set(key, record);
    const flushed = table.flush();
    disk.complete();
    await flushed;
    for (const [key, record] of held) table.set(key, { ...record, committed: true });
    expect(table.isFull).toBe(true);
    await table.flush();
    expect(table.isFull).toBe(false);
    disk.complete();
  });

  test('much that nobody waits for is written all the same', async () => {
    const held = Array.from({ length: 2000 }, (_, index) => [`k${index}`, holding(1)] as const);
    for (const [key, record] of held) table.set(key, record);
    const flushed = table.flush();
    disk.complete();
    await flushed;
    for (const [key, record] of held) table.set(key, { ...record, committed: true });
    await table.flush();
    expect(disk.pending?.puts.length).toBe(2001);
    expect(table.isSettled).toBe(true);
    disk.complete();
  });
});

describe('closing', () => {
  test('writes what is left, and lets go', async () => {
    table.set('a', promise(1));
    const closed = watch(table.close());
    await settle();
    expect(closed.state).toBe('waiting');
    disk.complete();
    await settle();
    expect(closed.state).toBe('done');
    await expect(table.flush()).rejects.toThrow(ClosedError);
    await table.close();
    await restart();
    expect(table.size).toBe(1);
  });

  test('without an identity writes nothing', async () => {
    const empty = new SimulatedDisk();
    const { table: unused } = await openMemory(empty.storage(), SETUP);
    await unused.close();
    expect(empty.number).toBe(0);
  });
});

test('a volatile table has nothing to wait for', async () => {
  const memory = new VolatileTable();
  memory.identify(IDENTITY);
  memory.set('a', promise(1));
  await memory.flush();
  await memory.flushAll();
  expect(memory.identity).toBe(IDENTITY);
  expect([memory.isSettled, memory.isFull, memory.size]).toEqual([true, false, 1]);
  expect(memory.reset()).toEqual([['a', promise(1)]]);
  expect(memory.size).toBe(0);
  await memory.close();
});
