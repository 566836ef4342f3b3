/** What keys live by ends once, and for everybody: schedules that the simulation, or reading, has found. */
import { beforeEach, describe, expect, test } from '@jest/globals';
import { deleteChange, setChange, updateChange } from '../../lib/kv/changes.js';
import { revisionOf } from '../../lib/kv/entry.js';
import { type Held, Keyed } from '../../lib/kv/keyed.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { RegistersInMemory } from './registers-in-memory.js';

let registers: RegistersInMemory;
let keyed: Keyed;
let versions = 0;

beforeEach(() => {
  registers = new RegistersInMemory();
  keyed = new Keyed(registers, 'kv', () => {
    versions += 1;
    return `v${versions}`;
  });
});

const VALUE = new Uint8Array([1]);

async function set(id: string, ...parents: readonly string[]): Promise<Held> {
  const lives = await Promise.all(
    parents.map(async (parent) => ({ key: keyed.registerKey(parent), birth: (await read(parent)).birth })),
  );
  await keyed.change(id, setChange(VALUE, { untilMs: FOREVER, lives }), {});
  return read(id);
}

async function read(id: string): Promise<Held> {
  const held = await find(id);
  if (held === null) throw new Error(`there is no ${id}`);
  return held;
}

function find(id: string): Promise<Held | null> {
  return keyed.read(id, {}, 'quorum');
}

const same = updateChange((found) => found?.held.value ?? 'keep', null);

test('a write of the value that is there has a revision of its own', async () => {
  const first = await set('a');
  const second = await set('a');
  expect(revisionOf(second.dataBallot)).toBeGreaterThan(revisionOf(first.dataBallot));
  expect(second.birth).toEqual(first.birth);
});

test('what lives by something over is over, though that which lives between them was written meanwhile', async () => {
  await set('grandparent');
  await set('parent', 'grandparent');
  await set('child', 'parent');
  // A write of the parent that looked before the grandparent ended, and takes effect when it is to be buried.
  let isUnderWay = false;
  let go = (): void => undefined;
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  let changes = 0;
  registers.onChange = async (key) => {
    if (key !== 'kv/parent') return;
    changes += 1;
    // The first finds what it has to look at; the second writes.
    if (changes !== 2) return;
    isUnderWay = true;
    await held;
  };
  const written = keyed.change('parent', same, {});
  while (!isUnderWay) await Promise.resolve();
  registers.onChange = async (key) => {
    if (key !== 'kv/parent') return;
    registers.onChange = () => undefined;
    go();
    await written;
  };
  await keyed.change('grandparent', deleteChange(null), {});
  expect(await find('child')).toBeNull();
});

describe("a process's own memory that is behind", () => {
  test('ends nothing', async () => {
    registers.stale.set('kv/parent', await set('parent'));
    await keyed.change('parent', deleteChange(null), {});
    await set('parent');
    await set('child', 'parent');
    expect(await keyed.read('child', {}, 'local')).not.toBeNull();
    expect(await find('child')).not.toBeNull();
  });

  test('ends nothing that others live by', async () => {
    registers.stale.set('kv/grandparent', await set('grandparent'));
    await keyed.change('grandparent', deleteChange(null), {});
    await set('grandparent');
    await set('parent', 'grandparent');
    await set('child', 'parent');
    expect(await keyed.read('child', {}, 'local')).not.toBeNull();
    expect(await find('parent')).not.toBeNull();
  });
});
