import { type FileHandle, open, rename } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { syncDirectory } from './directory.js';
import { codeOf } from './failure.js';

/** `CPXW` */
const MAGIC = 0x43505857;
/** Version of the directory's layout. */
export const LAYOUT = 1;
/** Within one sector of any disk, which is written as a whole. */
const SIZE = 17;
/** Batches between two syncs. A sync of this file takes as long as one of a batch. */
const SYNC_EVERY = 64;

export interface Testimony {
  readonly layout: number;
  readonly number: number;
}

/** The testimony in a file; `null`: there is no such file; `damaged`: it can't be read as one. */
export async function readWitness(path: string): Promise<Testimony | 'damaged' | null> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw error;
  }
  try {
    const bytes = Buffer.alloc(SIZE + 1);
    const { bytesRead } = await handle.read(bytes, 0, SIZE + 1, 0);
    return decode(bytes.subarray(0, bytesRead));
  } finally {
    await handle.close();
  }
}

/**
 * A small file beside the database that names the last batch which is known to be in it. The database loses what was at
 * its end without a word, if that was truncated or damaged: it can't tell it from a write that was cut off.
 *
 * The file is written after each batch, and synced only now and then, so after a power cut it may be behind, by
 * 64 batches, or by what the kernel writes back of itself within half a minute; never ahead. A loss of later
 * batches than those goes unnoticed, but takes damage of synced bytes together with the power cut. So does the return of
 * the whole directory to an earlier time, this file included: a snapshot or a backup that is put back.
 */
export class Witness {
  readonly #handle: FileHandle;
  readonly #bytes = Buffer.alloc(SIZE);
  /** The last number, on its way into the file. */
  #noting: Promise<void> = Promise.resolve();
  #unsynced = 0;

  private constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  static async open(path: string): Promise<Witness> {
    return new Witness(await open(path, 'r+'));
  }

  /** Makes the file, which is there with all its bytes or not at all. */
  static async create(directory: string, path: string): Promise<Witness> {
    const draft = `${path}.new`;
    const handle = await open(draft, 'w', 0o600);
    try {
      await handle.write(encode(0, Buffer.alloc(SIZE)), 0, SIZE, 0);
      await handle.datasync();
    } finally {
      await handle.close();
    }
    await rename(draft, path);
    await syncDirectory(directory);
    return Witness.open(path);
  }

  /** Resolves when what was noted is in the file. Rejects if that failed: then nothing guards the end any more. */
  get settled(): Promise<void> {
    return this.#noting;
  }

  /** Begins to note that a batch is durable; not before what was noted last has settled. */
  note(number: number): void {
    this.#noting = this.#note(number);
    this.#noting.catch(() => {}); // whoever writes next is told
  }

  async #note(number: number): Promise<void> {
    await this.#handle.write(encode(number, this.#bytes), 0, SIZE, 0);
    this.#unsynced += 1;
    if (this.#unsynced < SYNC_EVERY) return;
    this.#unsynced = 0;
    await this.#handle.datasync();
  }

  async close(): Promise<void> {
    try {
      await this.#noting;
      if (this.#unsynced > 0) await this.#handle.datasync();
    } finally {
      await this.#handle.close();
    }
  }
}

function encode(number: number, bytes: Buffer): Buffer {
  bytes.writeUInt32BE(MAGIC, 0);
  bytes.writeUInt8(LAYOUT, 4);
  bytes.writeDoubleBE(number, 5);
  bytes.writeUInt32BE(crc32(bytes.subarray(0, SIZE - 4)), SIZE - 4);
  return bytes;
}

/** Magic, layout and checksum have the same place in all versions; what is between may differ. */
function decode(bytes: Buffer): Testimony | 'damaged' {
  if (bytes.length < SIZE || bytes.readUInt32BE(0) !== MAGIC) return 'damaged';
  if (bytes.readUInt32BE(SIZE - 4) !== crc32(bytes.subarray(0, SIZE - 4))) return 'damaged';
  const layout = bytes.readUInt8(4);
  if (layout > LAYOUT) return { layout, number: 0 };
  const number = bytes.readDoubleBE(5);
  const isWhole = layout === LAYOUT && bytes.length === SIZE;
  return isWhole && Number.isSafeInteger(number) && number >= 0 ? { layout, number } : 'damaged';
}
