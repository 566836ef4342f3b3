import { isUtf8 } from 'node:buffer';
import { type Ballot, NO_BALLOT, NO_BYTES } from '../paxos/index.js';
import { CorruptionError } from './storage.js';

const INITIAL_SIZE = 4096;
/** More than that is not kept for the next entry. */
const KEPT_SIZE = 1 << 20;

/** Writes the fields of one entry after the other, into memory that it uses again. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafeSlow(INITIAL_SIZE);
  #at = 0;

  /** Begins an entry. @param reserved bytes that are left free in front */
  begin(reserved: number): void {
    if (this.#bytes.length > KEPT_SIZE) this.#bytes = Buffer.allocUnsafeSlow(INITIAL_SIZE);
    this.#at = reserved;
  }

  /** @returns the entry, in memory of its own */
  end(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#at));
  }

  uint8(value: number): void {
    this.#at = this.#room(1).writeUInt8(value, this.#at);
  }

  uint32(value: number): void {
    this.#at = this.#room(4).writeUInt32BE(value, this.#at);
  }

  number(value: number): void {
    this.#at = this.#room(8).writeDoubleBE(value, this.#at);
  }

  ballot({ round, proposer }: Ballot): void {
    this.number(round);
    this.#at = this.#room(6).writeUIntBE(proposer, this.#at, 6);
  }

  /** At most 255 bytes of UTF-8. */
  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.uint8(size);
    this.#at += this.#room(size).write(value, this.#at);
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.byteLength);
    this.#room(value.byteLength).set(value, this.#at);
    this.#at += value.byteLength;
  }

  #room(size: number): Buffer {
    const needed = this.#at + size;
    if (needed > this.#bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#bytes.length));
      this.#bytes.copy(larger, 0, 0, this.#at);
      this.#bytes = larger;
    }
    return this.#bytes;
  }
}

/** Reads them back, believing nothing: whatever is not there, or out of range, is a {@link CorruptionError}. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#skip(1));
  }

  uint32(): number {
    return this.#bytes.readUInt32BE(this.#skip(4));
  }

  /** A safe integer from 0 on. */
  number(): number {
    const value = this.#bytes.readDoubleBE(this.#skip(8));
    if (!Number.isSafeInteger(value) || value < 0) throw new CorruptionError('a number is out of range');
    return value + 0;
  }

  ballot(): Ballot {
    const round = this.number();
    const proposer = this.#bytes.readUIntBE(this.#skip(6), 6);
    return round === 0 && proposer === 0 ? NO_BALLOT : { round, proposer };
  }

  text(): string {
    const size = this.uint8();
    const at = this.#skip(size);
    const bytes = this.#bytes.subarray(at, at + size);
    if (!isUtf8(bytes)) throw new CorruptionError('a text is not UTF-8');
    return bytes.toString();
  }

  /** A copy: the rest of the entry is not to be kept alive by it. */
  bytes(): Uint8Array {
    const size = this.uint32();
    const at = this.#skip(size);
    return size === 0 ? NO_BYTES : new Uint8Array(this.#bytes.subarray(at, at + size));
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new CorruptionError('an entry is too long');
  }

  #skip(size: number): number {
    const at = this.#at;
    if (at + size > this.#bytes.length) throw new CorruptionError('an entry is too short');
    this.#at = at + size;
    return at;
  }
}
