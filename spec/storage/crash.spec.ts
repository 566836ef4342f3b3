/** Random work, power cuts at random points, and what the next process finds. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type Ballot, compareBallots, NO_BALLOT } from '../../lib/paxos/index.js';
import type { DurableTable } from '../../lib/storage/durable-table.js';
import type { StoredRecord } from '../../lib/storage/index.js';
import { openMemory } from '../../lib/storage/open.js';
import { ballot, IDENTITY, record } from './arbitrary.js';
import { type Fate, SimulatedDisk } from './simulated-disk.js';

const SETUP = { cluster: IDENTITY.cluster };
const KEYS = ['a', 'b', 'c', 'd', 'e'];
const NUM_RUNS = Number(process.env.NUM_RUNS ?? 100);
/** For a machine that has much else to do, or a longer hunt. */
const PATIENCE_MS = 600_000;

type Step =
  | { readonly do: 'set'; readonly key: string; readonly record: StoredRecord }
  | { readonly do: 'delete' | 'commit'; readonly key: string }
  | { readonly do: 'floor'; readonly floor: Ballot }
  | { readonly do: 'flush' | 'complete' | 'reset' }
  | { readonly do: 'crash'; readonly fate: Fate };

const key = fc.constantFrom(...KEYS);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('set' as const), key, record }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('delete' as const, 'commit' as const), key }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('floor' as const), floor: ballot }) },
  { weight: 12, arbitrary: fc.record({ do: fc.constantFrom('flush' as const, 'complete' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reset' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('crash' as const), fate: fc.constantFrom<Fate>('lost', 'written') }),
  },
);

/** What a memory was at one moment, as text. */
function pictureOf(table: DurableTable, floor: Ballot): string {
  const records = KEYS.flatMap((name) => {
    const held = table.get(name);
    return held === undefined ? [] : [[name, { ...held, touchedMs: 0 }]];
  });
  return JSON.stringify([records, floor], (_, value) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1');
    // The same fields in the same order, whoever made the object.
    const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isPlain ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) : value;
  });
}

/** One process after the other on one disk. */
class Lives {
  readonly disk = new SimulatedDisk();
  table: DurableTable | null = null;
  floor: Ballot = NO_BALLOT;
  /** What the memory was after each step, since the disk was last read, and that. */
  pictures: string[] = [];
  /** The first of these that a flush was answered from, and all later ones of which that is true. */
  acknowledged = 0;
  /** How often there was something to compare. */
  survivals = 0;

  async start(): Promise<void> {
    const opening = await openMemory(this.disk.storage(), SETUP);
    const { table } = opening;
    this.table = table;
    this.floor = table.loadedFloor;
    table.restore((name, stored) => table.set(name, { ...stored, touchedMs: 1 }));
    this.#follow();
    if (opening.kind !== 'loaded') {
      expect(opening.kind).toBe('empty');
      expect(this.acknowledged).toBe(0);
    }
    const found = pictureOf(table, this.floor);
    if (this.pictures.length > 0 && opening.kind === 'loaded') {
      this.survivals += 1;
      expect(this.pictures.slice(this.acknowledged).includes(found)).toBe(true);
    }
    this.pictures = [found];
    this.acknowledged = 0;
    if (opening.kind === 'empty') table.identify(IDENTITY);
  }

  #follow(): void {
    const lives = this;
    this.table?.follow({
      get floor() {
        return lives.floor;
      },
    });
  }

  async step(todo: Step): Promise<void> {
    const { table, disk } = this;
    if (table === null) throw new Error('not started');
    switch (todo.do) {
      case 'set':
        table.set(todo.key, { ...todo.record, touchedMs: 2 });
        break;
      case 'commit': {
        const held = table.get(todo.key);
        if (held?.proposal != null) table.set(todo.key, { ...held, committed: true });
        break;
      }
      case 'delete':
        table.delete(todo.key);
        break;
      case 'floor':
        if (compareBallots(todo.floor, this.floor) > 0) this.floor = todo.floor;
        break;
      case 'reset':
        table.reset();
        this.floor = NO_BALLOT;
        this.#follow();
        break;
      case 'flush': {
        const at = this.pictures.length - 1;
        table.flushAll().then(() => {
          if (this.table === table) this.acknowledged = Math.max(this.acknowledged, at);
        });
        break;
      }
      case 'complete':
        if (disk.pending !== null) disk.complete();
        break;
      case 'crash':
        disk.crash(todo.fate);
        await this.start();
        return;
    }
    this.pictures.push(pictureOf(table, this.floor));
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test(
  'the next process finds what the memory was at one moment, not before the last that was acknowledged',
  async () => {
    let survivals = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60, size: 'max' }), async (steps) => {
        const lives = new Lives();
        await lives.start();
        for (const todo of steps) await lives.step(todo);
        await lives.step({ do: 'crash', fate: 'lost' });
        survivals += lives.survivals;
      }),
      { numRuns: NUM_RUNS },
    );
    expect(survivals).toBeGreaterThan(NUM_RUNS / 2);
  },
  PATIENCE_MS,
);

test(
  'a disk that tears a batch, loses entries or is set back is found out, unless nothing of it can be seen',
  async () => {
    const harm = fc.oneof(
      fc.record({ kind: fc.constant('tear' as const), at: fc.nat(8) }),
      fc.record({ kind: fc.constant('back' as const), at: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ kind: fc.constant('loss' as const), at: fc.nat(8) }),
      fc.record({ kind: fc.constant('stale' as const), at: fc.nat(8) }),
    );
    const changes = fc.array(fc.array(fc.tuple(key, record), { minLength: 1, maxLength: 4 }), {
      minLength: 2,
      maxLength: 6,
    });
    const outcomes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(changes, harm, async (batches, { kind, at }) => {
        const lives = new Lives();
        await lives.start();
        const { disk } = lives;
        let before = disk.entries;
        for (const batch of batches) {
          if (disk.pending !== null) disk.complete();
          before = disk.entries;
          for (const [name, stored] of batch) await lives.step({ do: 'set', key: name, record: stored });
          await lives.step({ do: 'flush' });
        }
        const { pending } = disk;
        const known = disk.number;
        if (kind === 'tear') {
          disk.crash({ torn: at });
        } else {
          if (pending !== null) disk.complete();
          await new Promise((resolve) => setImmediate(resolve));
          disk.crash();
          const names = [...disk.entries.keys()];
          const name = names[at % names.length] ?? '';
          if (kind === 'back') disk.rollBack(at);
          else disk.damage(name, kind === 'loss' ? null : (before.get(name) ?? null));
        }
        const opening = await openMemory(disk.storage(), SETUP);
        if (opening.kind === 'corrupt') {
          expect(opening.movedTo).toBe('aside 1');
          expect(opening.table.size).toBe(0);
          outcomes.add('corrupt');
          return;
        }
        if (opening.kind === 'empty') {
          // Torn before its first entry, with nothing acknowledged before.
          expect([kind, known]).toEqual(['tear', 0]);
          return;
        }
        const { table } = opening;
        table.restore((name, stored) => table.set(name, { ...stored, touchedMs: 1 }));
        // Whole batches only, and none that was acknowledged is missing.
        expect(lives.pictures.slice(lives.acknowledged).includes(pictureOf(table, table.loadedFloor))).toBe(true);
        outcomes.add('loaded');
      }),
      { numRuns: NUM_RUNS },
    );
    expect([...outcomes].sort()).toEqual(['corrupt', 'loaded']);
  },
  PATIENCE_MS,
);
