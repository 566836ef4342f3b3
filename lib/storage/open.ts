import { ConfigError, StorageError } from '../errors.js';
import { bodyOf, decodeHead, decodeIdentity, decodeRecord, type StoredRecord } from './decode.js';
import { DurableTable } from './durable-table.js';
import { messageOf } from './failure.js';
import {
  FORMAT,
  HEAD_KEY,
  type Head,
  IDENTITY_KEY,
  type Identity,
  REGISTER_PREFIX,
  UPGRADES,
  type Upgrade,
} from './format.js';
import { Ledger } from './ledger.js';
import { unseal } from './seal.js';
import { CorruptionError, type Storage, type StorageContents, type StoredEntry } from './storage.js';

/** What {@link openMemory} found. The table is open in each case, and to be closed. */
export type Opening =
  /** Nothing was there: a new voter. */
  | { readonly kind: 'empty'; readonly table: DurableTable }
  /** A voter's memory, whole. To be restored before the table is used. */
  | { readonly kind: 'loaded'; readonly table: DurableTable; readonly identity: Identity }
  /** A voter's memory that is damaged or partly lost: as good as none. It was put out of the way. */
  | {
      readonly kind: 'corrupt';
      readonly table: DurableTable;
      /** For people. */
      readonly reason: string;
      /** Where it is now. */
      readonly movedTo: string;
    };

export interface OpenSetup {
  /** Name of the farm that the memory has to be of. */
  readonly cluster: string;
  /** The newest version of the format, and the way to it; this program's unless given. */
  readonly format?: number;
  readonly upgrades?: readonly Upgrade[];
}

/**
 * Opens a voter's memory. What is there is either exactly what the last batch that was acknowledged, or one after it,
 * left there, or it counts as lost.
 *
 * @throws ConfigError where a person has to do something, and StorageError where the storage can't be read now: it is
 * left as it is, and closed
 */
export async function openMemory(storage: Storage, setup: OpenSetup): Promise<Opening> {
  try {
    const contents = await storage.open();
    const found = contents.kind === 'open' ? await read(contents, setup) : contents;
    if (found.kind === 'corrupt') {
      const movedTo = await storage.setAside();
      return { ...found, movedTo, table: new DurableTable(storage, new Ledger(), null) };
    }
    if (found.kind === 'empty') return { kind: 'empty', table: new DurableTable(storage, new Ledger(), null) };
    const { identity, ledger, floor, records } = found;
    if (identity.cluster !== setup.cluster) {
      throw new ConfigError(
        `The storage holds the memory of a node of cluster ${JSON.stringify(identity.cluster)}, and this node is of ` +
          `${JSON.stringify(setup.cluster)}; give it a place of its own, or remove what is there.`,
      );
    }
    return { kind: 'loaded', identity, table: new DurableTable(storage, ledger, { identity, floor, records }) };
  } catch (error) {
    await storage.close().catch(() => {}); // the first error says more
    if (error instanceof ConfigError || error instanceof StorageError) throw error;
    throw new StorageError(`The storage can't be opened: ${messageOf(error)}`, { cause: error });
  }
}

type Found =
  | { readonly kind: 'empty' }
  | { readonly kind: 'corrupt'; readonly reason: string }
  | {
      readonly kind: 'memory';
      readonly identity: Identity;
      readonly floor: Head['floor'];
      readonly records: [string, StoredRecord][];
      readonly ledger: Ledger;
    };

async function read(contents: Extract<StorageContents, { kind: 'open' }>, setup: OpenSetup): Promise<Found> {
  const reading = new Reading(setup);
  try {
    for await (const entries of contents.entries) for (const entry of entries) reading.take(entry);
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error;
    reading.refuse(error.message);
  }
  return reading.end(contents.knownNumber);
}

/** Entries as they come, and what they are together. */
class Reading {
  readonly #format: number;
  readonly #upgrades: readonly Upgrade[];
  readonly #ledger = new Ledger();
  readonly #records: [string, StoredRecord][] = [];
  #head: Head | null = null;
  #identity: Identity | null = null;
  #isEmpty = true;
  #laterVersion = 0;
  /** The first thing that was wrong. The rest is read all the same: the head may say that all of it is a later version's. */
  #damage: string | null = null;

  constructor({ format = FORMAT, upgrades = UPGRADES }: OpenSetup) {
    this.#format = format;
    this.#upgrades = upgrades;
  }

  refuse(reason: string): void {
    this.#isEmpty = false;
    this.#damage ??= reason;
  }

  take(entry: StoredEntry): void {
    this.#isEmpty = false;
    try {
      this.#decode(entry);
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error;
      this.refuse(error.message);
    }
  }

  #decode(entry: StoredEntry): void {
    const { key, value } = entry;
    if (key === HEAD_KEY) {
      const { version } = unseal(key, value);
      if (version > this.#format) this.#laterVersion = version;
    }
    const body = bodyOf(key, value, this.#format, this.#upgrades);
    if (key === HEAD_KEY) {
      this.#head = decodeHead(body);
      return;
    }
    if (key === IDENTITY_KEY) this.#identity = decodeIdentity(body);
    else if (key.length > REGISTER_PREFIX.length && key.startsWith(REGISTER_PREFIX)) {
      this.#records.push([key.slice(REGISTER_PREFIX.length), decodeRecord(body)]);
    } else throw new CorruptionError(`an entry has the key ${JSON.stringify(key.slice(0, 100))}`);
    this.#ledger.admit(entry);
  }

  end(knownNumber: number): Found {
    if (this.#laterVersion > 0) {
      throw new ConfigError(
        `The storage was written by a later version of this package (format ${this.#laterVersion}, this one reads up ` +
          `to ${this.#format}); run that version, or give this node an empty place. Nothing was changed.`,
      );
    }
    if (this.#isEmpty && knownNumber === 0) return { kind: 'empty' };
    const reason = this.#reason(knownNumber);
    if (reason !== null) return { kind: 'corrupt', reason };
    // Else there had been a reason.
    const { floor } = this.#head as Head;
    return {
      kind: 'memory',
      identity: this.#identity as Identity,
      floor,
      records: this.#records,
      ledger: this.#ledger,
    };
  }

  #reason(knownNumber: number): string | null {
    if (this.#damage !== null) return this.#damage;
    if (this.#head === null) return 'the head is missing';
    const misfit = this.#ledger.resume(this.#head);
    if (misfit !== null) return misfit;
    if (this.#identity === null) return 'the identity is missing';
    if (this.#head.number >= knownNumber) return null;
    return `batch ${knownNumber} had been written, and only ${this.#head.number} is there`;
  }
}
