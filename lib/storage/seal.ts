/**
 * What every entry has around it, in all versions of the format: CRC-32 of its key and of all that follows, the version
 * of the format that its body is written in, the body. So a later version is told from damage.
 */
import { crc32 } from 'node:zlib';
import { CorruptionError } from './storage.js';

export const SEAL_SIZE = 5;

export interface Unsealed {
  readonly version: number;
  /** Shares its memory with what was unsealed. */
  readonly body: Buffer;
}

/** Writes the seal into the first {@link SEAL_SIZE} bytes of `entry`; the body is behind them already. */
export function seal(key: string, version: number, entry: Buffer): void {
  entry.writeUInt8(version, 4);
  entry.writeUInt32LE(checksumOf(key, entry), 0);
}

/** @throws CorruptionError */
export function unseal(key: string, value: Uint8Array): Unsealed {
  const entry = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (entry.length < SEAL_SIZE || entry.readUInt32LE(0) !== checksumOf(key, entry)) {
    throw new CorruptionError(`the checksum of ${JSON.stringify(key)} does not fit`);
  }
  return { version: entry.readUInt8(4), body: entry.subarray(SEAL_SIZE) };
}

function checksumOf(key: string, entry: Buffer): number {
  return crc32(entry.subarray(4), crc32(key));
}

/**
 * What an entry adds to the digest of all: 32 bits, from its checksum. That is mixed first (the finalizer of MurmurHash3),
 * because CRC is linear: without it, the same change made to two entries would cancel out.
 */
export function tagOf(value: Uint8Array): number {
  let tag = (value[0] ?? 0) | ((value[1] ?? 0) << 8) | ((value[2] ?? 0) << 16) | ((value[3] ?? 0) << 24);
  tag = Math.imul(tag ^ (tag >>> 16), 0x85ebca6b);
  tag = Math.imul(tag ^ (tag >>> 13), 0xc2b2ae35);
  return tag ^ (tag >>> 16);
}
