import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ClassicLevel } from 'classic-level';
import { ConfigError, StorageError } from '../errors.js';
import { makeDirectory, moveAside } from './directory.js';
import { causeOf, codeOf, messageOf } from './failure.js';
import { CorruptionError, type Storage, type StorageBatch, type StorageContents, type StoredEntry } from './storage.js';
import { LAYOUT, readWitness, Witness } from './witness.js';

export interface LevelOptions {
  /** The directory; made if there is none. One for each node. */
  readonly path: string;
}

type Database = ClassicLevel<string, Uint8Array>;

const DATABASE = 'db';
const WITNESS = 'witness';
/** Entries read at a time. */
const PAGE = 1000;
/**
 * Directories open in this process, by device and file number: a path has many spellings. LevelDB's lock would tell one of
 * them only, and is lost: where a second opening is refused, the file is closed again, and with that the system ends all
 * locks that this process has on it.
 */
const inUse = new Set<string>();

/**
 * A storage in a directory, on LevelDB by way of the package classic-level, which the user installs.
 *
 * What LevelDB does for it: a batch is in its log as a whole or not at all, and synced (`fdatasync`, `FlushFileBuffers`)
 * before it is acknowledged; a lock on the directory ends with the process (or as soon as anything else in the process
 * closes the lock's file: nothing but the store may open files there, nor a second worker thread the same directory). On
 * macOS `fdatasync` does not empty the disk's own cache. The name of a new log file is not synced by itself; ext4, XFS, Btrfs and APFS write it with the
 * file's first sync.
 *
 * What it does not: classic-level can't switch on LevelDB's paranoid checks. LevelDB then passes over a damaged part of
 * its log without a word, and hands out damaged blocks of its tables. The {@link Ledger} notices both, except at the
 * log's very end, which the {@link Witness} guards.
 */
export class LevelStorage implements Storage {
  readonly #path: string;
  #makeDatabase: ((location: string) => Database) | null = null;
  #database: Database | null = null;
  #witness: Witness | null = null;
  /** Of what is in {@link inUse} by this one. */
  #claimed: string | null = null;

  constructor({ path }: LevelOptions) {
    this.#path = path;
  }

  async open(): Promise<StorageContents> {
    this.#makeDatabase ??= await load();
    try {
      return await this.#open();
    } catch (error) {
      this.#unclaim();
      throw error;
    }
  }

  async #open(): Promise<StorageContents> {
    try {
      await makeDirectory(this.#path);
      await this.#claim();
      // Before the database is touched, which may not be one that this version can read.
      this.#refuseLaterLayout(await readWitness(this.#witnessPath));
    } catch (error) {
      throw this.#explained(error);
    }
    try {
      await this.#openDatabase();
    } catch (error) {
      if (error instanceof CorruptionError) return { kind: 'corrupt', reason: error.message };
      throw error;
    }
    return this.#openWitness();
  }

  async #claim(): Promise<void> {
    const { dev, ino } = await stat(this.#path, { bigint: true });
    const identity = `${dev}:${ino}`;
    if (inUse.has(identity)) throw new ConfigError(inUseText(this.#path));
    inUse.add(identity);
    this.#claimed = identity;
  }

  get #witnessPath(): string {
    return join(this.#path, WITNESS);
  }

  #refuseLaterLayout(testimony: Awaited<ReturnType<typeof readWitness>>): void {
    if (testimony === null || testimony === 'damaged' || testimony.layout <= LAYOUT) return;
    throw new ConfigError(
      `${this.#path} was made by a later version of this package (layout ${testimony.layout}, this one knows ` +
        `${LAYOUT}); run that version, or give this node an empty directory. Nothing was changed.`,
    );
  }

  async #openDatabase(): Promise<void> {
    if (this.#makeDatabase === null) throw new Error('open() comes first');
    const database = this.#makeDatabase(join(this.#path, DATABASE));
    try {
      await database.open();
    } catch (error) {
      throw this.#explained(error);
    }
    this.#database = database;
  }

  /** After the database, whose lock says that nobody else writes it now. */
  async #openWitness(): Promise<StorageContents> {
    const testimony = await readWitness(this.#witnessPath);
    if (testimony === 'damaged') return { kind: 'corrupt', reason: `${this.#witnessPath} is damaged` };
    if (testimony !== null) {
      this.#witness = await Witness.open(this.#witnessPath);
      return { kind: 'open', knownNumber: testimony.number, entries: this.#entries() };
    }
    for await (const _ of this.#entries()) return { kind: 'corrupt', reason: `${this.#witnessPath} is missing` };
    this.#witness = await Witness.create(this.#path, this.#witnessPath);
    return { kind: 'open', knownNumber: 0, entries: this.#entries() };
  }

  async *#entries(): AsyncIterable<readonly StoredEntry[]> {
    const iterator = this.#opened.iterator({ fillCache: false });
    try {
      for (;;) {
        const page = await iterator.nextv(PAGE);
        if (page.length === 0) return;
        yield page.map(([key, value]) => ({ key, value }));
      }
    } catch (error) {
      throw this.#explained(error);
    } finally {
      await iterator.close();
    }
  }

  get #opened(): Database {
    if (this.#database === null) throw new StorageError(`${this.#path} is not open.`);
    return this.#database;
  }

  async write({ number, puts, deletes }: StorageBatch): Promise<void> {
    const database = this.#opened;
    await this.#witness?.settled;
    await database.batch(
      [
        ...puts.map(({ key, value }) => ({ type: 'put', key, value }) as const),
        ...deletes.map((key) => ({ type: 'del', key }) as const),
      ],
      { sync: true },
    );
    this.#witness?.note(number);
  }

  async setAside(): Promise<string> {
    await this.#letGo();
    try {
      const movedTo = await moveAside(this.#path, [DATABASE, WITNESS], new Date());
      await this.#openDatabase();
      this.#witness = await Witness.create(this.#path, this.#witnessPath);
      return movedTo;
    } catch (error) {
      throw this.#explained(error);
    }
  }

  async close(): Promise<void> {
    try {
      await this.#letGo();
    } finally {
      this.#unclaim();
    }
  }

  #unclaim(): void {
    if (this.#claimed !== null) inUse.delete(this.#claimed);
    this.#claimed = null;
  }

  async #letGo(): Promise<void> {
    const [database, witness] = [this.#database, this.#witness];
    this.#database = null;
    this.#witness = null;
    try {
      await witness?.close();
    } finally {
      await database?.close();
    }
  }

  /** What is wrong, in words that name the remedy. */
  #explained(error: unknown): Error {
    if (error instanceof ConfigError || error instanceof StorageError) return error;
    // The database wraps the reason why it does not open.
    const cause = causeOf(error);
    const detail = messageOf(cause);
    switch (codeOf(cause)) {
      case 'LEVEL_LOCKED':
        return new ConfigError(inUseText(this.#path), { cause });
      case 'LEVEL_CORRUPTION':
        return new CorruptionError(detail, { cause });
      case 'LEVEL_IO_ERROR':
        // A file that another one names is not there, or is too short for what it should hold. Whatever else the system
        // says (no permission, no space, no more files) may pass, and is no reason to give a memory up.
        if (/No such file|Invalid argument/.test(detail)) return new CorruptionError(detail, { cause });
        return new StorageError(`${this.#path} can't be read: ${detail}`, { cause });
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
      case 'ENOTDIR':
      case 'EEXIST':
        return new ConfigError(`${this.#path} is not a directory that this process may write: ${detail}`, { cause });
      default:
        return new StorageError(`${this.#path} can't be opened: ${detail}`, { cause });
    }
  }
}

function inUseText(path: string): string {
  return `${path} is in use by another process, or twice by this one; give each node a directory of its own.`;
}

/** @throws ConfigError if the package is not there, or has nothing for this machine */
async function load(): Promise<(location: string) => Database> {
  try {
    const { ClassicLevel } = await import('classic-level');
    return (location) => new ClassicLevel<string, Uint8Array>(location, { keyEncoding: 'utf8', valueEncoding: 'view' });
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND') {
      throw new ConfigError('Storage on disk needs the package classic-level: npm install classic-level', { cause });
    }
    throw new ConfigError(`The package classic-level can't be loaded on this machine: ${messageOf(cause)}`, { cause });
  }
}
