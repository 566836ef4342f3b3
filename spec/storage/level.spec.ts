import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { ConfigError, StorageError } from '../../lib/errors.js';
import { NO_BALLOT, type RegisterRecord } from '../../lib/paxos/index.js';
import { LevelStorage } from '../../lib/storage/level.js';
import { type Opening, openMemory } from '../../lib/storage/open.js';
import * as arbitrary from './arbitrary.js';
import { IDENTITY } from './arbitrary.js';

const SETUP = { cluster: IDENTITY.cluster };
/** Each takes a database that is opened: a hundred of a second on an idle machine. */
const NUM_RUNS = Number(process.env.NUM_RUNS ?? 40);
/** For a machine that has much else to do, or a longer hunt. */
const PATIENCE_MS = 600_000;

let directory: string;
let path: string;
const opened: Opening[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'paxos-storage-'));
  path = join(directory, 'some', 'data');
});

afterEach(async () => {
  for (const { table } of opened.splice(0)) await table.close().catch(() => {});
  rmSync(directory, { recursive: true });
});

async function open(at = path): Promise<Opening> {
  const opening = await openMemory(new LevelStorage({ path: at }), SETUP);
  opened.push(opening);
  return opening;
}

function record(round: number, size = 0): RegisterRecord {
  const accepted = { round, proposer: 1 };
  const value = Buffer.alloc(size, `${round} `);
  const states = { value: new Uint8Array(value), attributes: new Uint8Array(0), until: 5, birth: accepted };
  const proposal = {
    ...states,
    accepted,
    operation: `a.${round}`,
    dataBallot: accepted,
    lineage: [],
    lineageFrom: accepted,
  };
  return { promised: accepted, proposal, committed: false, horizon: 9, touchedMs: 0 };
}

function restored({ table }: Opening): Map<string, RegisterRecord> {
  const records = new Map<string, RegisterRecord>();
  table.restore((key, stored) => {
    records.set(key, { ...stored, touchedMs: 0 });
    table.set(key, { ...stored, touchedMs: 0 });
  });
  return records;
}

/** Writes so many batches of some registers each, and closes. @returns what is there then */
async function fill(at: string, batches: number, size = 200): Promise<Map<string, RegisterRecord>> {
  const { table } = await open(at);
  table.identify(IDENTITY);
  table.follow({ floor: NO_BALLOT });
  const records = new Map<string, RegisterRecord>();
  for (let batch = 1; batch <= batches; batch += 1) {
    for (const key of [`k${batch % 7}`, `k${batch % 30}`, `once ${batch}`]) {
      records.set(key, record(batch, size));
      table.set(key, record(batch, size));
    }
    if (batch > 5) {
      table.delete(`once ${batch - 5}`);
      records.delete(`once ${batch - 5}`);
    }
    await table.flush();
  }
  await table.close();
  return records;
}

test('the next process finds all that was there', async () => {
  const records = await fill(path, 20);
  const opening = await open();
  expect(opening).toMatchObject({ kind: 'loaded', identity: IDENTITY });
  expect(restored(opening)).toEqual(records);
});

test('whatever the keys are, they come back', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(arbitrary.key, arbitrary.record), { selector: ([key]) => key }),
      async (all) => {
        rmSync(path, { recursive: true, force: true });
        const { table } = await open();
        table.identify(IDENTITY);
        for (const [key, stored] of all) table.set(key, { ...stored, touchedMs: 0 });
        await table.close();
        const next = await open();
        expect(restored(next)).toEqual(new Map(all.map(([key, stored]) => [key, { ...stored, touchedMs: 0 }])));
        await next.table.close();
      },
    ),
    { numRuns: Math.ceil(NUM_RUNS / 4) },
  );
});

test('nobody else may look into the directory', async () => {
  await fill(path, 1);
  if (process.platform !== 'win32') expect(statSync(path).mode & 0o777).toBe(0o700);
});

describe('a person has to do something', () => {
  test('if the directory is in use', async () => {
    const first = await open();
    first.table.identify(IDENTITY);
    await expect(open()).rejects.toThrow(ConfigError);
    await expect(open()).rejects.toThrow(`${path} is in use by another process`);
    // It goes on, undisturbed.
    first.table.set('a', record(1));
    await first.table.flush();
  });

  test('if it is in use by the same process, however its path is spelled, and stays closed to others', async () => {
    const first = await open();
    first.table.identify(IDENTITY);
    await first.table.flush();
    const link = join(directory, 'link');
    symlinkSync(path, link, 'junction');
    for (const spelling of [path, join(directory, 'some', '.', 'data'), relative(process.cwd(), path), link]) {
      await expect(open(spelling)).rejects.toThrow('in use by another process, or twice by this one');
    }
    // LevelDB's own lock would be gone by now.
    const other = spawn(process.execPath, [join(__dirname, 'writer.js'), path], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    other.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    await once(other, 'close');
    expect(said).toContain('is in use by another process');
    await first.table.close();
    await (await open(link)).table.close();
  });

  test('if it is a file', async () => {
    writeFileSync(join(directory, 'file'), 'mine');
    await expect(open(join(directory, 'file'))).rejects.toThrow(ConfigError);
    expect(readFileSync(join(directory, 'file'), 'utf8')).toBe('mine');
  });

  test('if a later version made it', async () => {
    await fill(path, 3);
    const witness = join(path, 'witness');
    const bytes = readFileSync(witness);
    bytes.writeUInt8(2, 4);
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 13)), 13);
    writeFileSync(witness, bytes);
    const before = readdirSync(join(path, 'db'));
    await expect(open()).rejects.toThrow(/later version.*layout 2, this one knows 1.*Nothing was changed/);
    expect(readdirSync(join(path, 'db'))).toEqual(before);
  });

  test('if the package is not there', async () => {
    jest.resetModules();
    jest.doMock('classic-level', () => {
      throw Object.assign(new Error("Cannot find module 'classic-level'"), { code: 'MODULE_NOT_FOUND' });
    });
    try {
      const { LevelStorage: Lonely } = await import('../../lib/storage/level.js');
      await expect(new Lonely({ path }).open()).rejects.toMatchObject({
        code: 'ERR_CONFIG',
        message: expect.stringContaining('npm install classic-level'),
      });
    } finally {
      jest.dontMock('classic-level');
      jest.resetModules();
    }
  });
});

describe('damage', () => {
  let records: Map<string, RegisterRecord>;
  let base: string;

  beforeEach(async () => {
    base = join(directory, 'base');
    records = await fill(base, 60, 2000);
    // Opened once more, so that there are tables beside the log, and closed with something in the log.
    const again = await open(base);
    restored(again);
    again.table.set('last', record(1000));
    records.set('last', record(1000));
    await again.table.close();
  });

  /** Whatever was done to it: exactly what was acknowledged, or lost. */
  async function expectExactOrCorrupt(at: string): Promise<Opening['kind']> {
    const opening = await open(at);
    if (opening.kind === 'loaded') expect(restored(opening)).toEqual(records);
    else expect(opening.kind).toBe('corrupt');
    await opening.table.close();
    return opening.kind;
  }

  test(
    'anywhere: it is all there, or counts as lost',
    async () => {
      const kinds = new Set<string>();
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 255 }), async (which, at, bits) => {
          rmSync(path, { recursive: true, force: true });
          cpSync(base, path, { recursive: true });
          const files = filesOf(path);
          const file = files[which % files.length] ?? '';
          const bytes = readFileSync(file);
          bytes[at % bytes.length] = (bytes[at % bytes.length] as number) ^ bits; // in range
          writeFileSync(file, bytes);
          kinds.add(await expectExactOrCorrupt(path));
        }),
        { numRuns: NUM_RUNS, seed: 1 },
      );
      expect(kinds).toContain('corrupt');
    },
    PATIENCE_MS,
  );

  test(
    'a log, a table or a witness cut off anywhere',
    async () => {
      await fc.assert(
        fc.asyncProperty(fc.nat(), fc.nat(), async (which, at) => {
          rmSync(path, { recursive: true, force: true });
          cpSync(base, path, { recursive: true });
          const files = filesOf(path);
          const file = files[which % files.length] ?? '';
          truncateSync(file, at % statSync(file).size);
          expect(await expectExactOrCorrupt(path)).toBe('corrupt');
        }),
        { numRuns: NUM_RUNS, seed: 1 },
      );
    },
    PATIENCE_MS,
  );

  test('files that are gone', async () => {
    for (const name of filesOf(base).map((file) => file.slice(base.length + 1))) {
      rmSync(path, { recursive: true, force: true });
      cpSync(base, path, { recursive: true });
      rmSync(join(path, name));
      expect([name, await expectExactOrCorrupt(path)]).toEqual([name, 'corrupt']);
    }
    rmSync(path, { recursive: true, force: true });
    cpSync(base, path, { recursive: true });
    rmSync(join(path, 'db'), { recursive: true });
    expect(await expectExactOrCorrupt(path)).toBe('corrupt');
  });

  test('an earlier copy of the database beside a later witness', async () => {
    cpSync(join(base, 'db'), join(directory, 'earlier'), { recursive: true });
    const again = await open(base);
    restored(again);
    again.table.set('later', record(1001));
    await again.table.close();
    rmSync(join(base, 'db'), { recursive: true });
    cpSync(join(directory, 'earlier'), join(base, 'db'), { recursive: true });
    const opening = await open(base);
    expect(opening).toMatchObject({ kind: 'corrupt', reason: expect.stringMatching(/^batch 62 had been written/) });
  });

  test('is put aside for people to look at, the latest three times of it', async () => {
    const places: string[] = [];
    for (let time = 1; time <= 5; time += 1) {
      const witness = join(base, 'witness');
      writeFileSync(witness, 'nonsense');
      const opening = await open(base);
      if (opening.kind !== 'corrupt') throw new Error(opening.kind);
      expect(opening.reason).toContain('witness is damaged');
      places.push(opening.movedTo);
      opening.table.identify(IDENTITY);
      opening.table.set('a', record(time));
      await opening.table.close();
    }
    expect(new Set(places).size).toBe(5);
    expect(readdirSync(base).sort()).toEqual(
      [...places.slice(2).map((place) => place.slice(base.length + 1)), 'db', 'witness'].sort(),
    );
    expect(readFileSync(join(places[4] ?? '', 'witness'), 'utf8')).toBe('nonsense');
    expect(readdirSync(join(places[4] ?? '', 'db'))).toContain('CURRENT');
  });
});

/** The files that hold something: not the lock, nor what LevelDB notes for people. */
function filesOf(at: string): string[] {
  const database = readdirSync(join(at, 'db')).filter((name) => !/^LO(CK|G)/.test(name));
  return [...database.map((name) => join(at, 'db', name)), join(at, 'witness')].filter(
    (file) => statSync(file).size > 0,
  );
}

test('a directory that was made, and nothing written, is empty', async () => {
  await (await open()).table.close();
  expect((await open()).kind).toBe('empty');
});

test('a database of somebody else is not taken for one of ours', async () => {
  mkdirSync(path, { recursive: true });
  await fill(path, 2);
  rmSync(join(path, 'witness'));
  expect(await open()).toMatchObject({ kind: 'corrupt', reason: expect.stringContaining('witness is missing') });
});

test('a failed write is the last', async () => {
  const storage = new LevelStorage({ path });
  const opening = await openMemory(storage, SETUP);
  opening.table.identify(IDENTITY);
  await opening.table.flush();
  // What a full disk does to it, as far as it can be seen from here.
  await storage.close();
  opening.table.set('a', record(1));
  await expect(opening.table.flush()).rejects.toThrow(StorageError);
  await expect(opening.table.flush()).rejects.toThrow(StorageError);
  await opening.table.close();
});

test('a process that is killed leaves what it has acknowledged', async () => {
  const child = spawn(process.execPath, [join(__dirname, 'writer.js'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  let acknowledged = 0;
  await new Promise<void>((resolve, reject) => {
    let rest = '';
    child.stdout.on('data', (data: Buffer) => {
      const lines = (rest + data).split('\n');
      rest = lines.pop() ?? '';
      acknowledged = Number(lines.at(-1) ?? acknowledged);
      if (acknowledged > 150) resolve();
    });
    child.once('exit', () => reject(new Error('the writer ended')));
  });
  child.kill('SIGKILL');
  await exited;
  const opening = await open();
  expect(opening.kind).toBe('loaded');
  const rounds = new Map([...restored(opening)].map(([key, { promised }]) => [key, promised.round]));
  const last = Math.max(...rounds.values());
  expect(last).toBeGreaterThanOrEqual(acknowledged);
  // The state after one of its steps, whole.
  for (let step = last; step > last - 20; step -= 1) expect(rounds.get(`k${step % 20}`)).toBe(step);
});
