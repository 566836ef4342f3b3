import { isUtf8 } from 'node:buffer';
import { LIMITS } from './format.js';

/**
 * Walks over one MessagePack value without decoding it, and finds where it ends.
 *
 * msgpackr decodes more than we send: records (which it compiles to functions), dates, regular expressions, errors,
 * typed arrays, 64-bit integers as `BigInt`, maps, and 0xC1 as an object. So nothing reaches it that this has not let
 * pass: `null`, booleans, integers of up to 32 bits, float64, strings of up to {@link LIMITS.keyBytes} bytes in valid
 * UTF-8, binaries, and arrays of these, no deeper than {@link LIMITS.depth} and no more than {@link LIMITS.arrays}, every
 * declared length within the bytes.
 *
 * @returns the offset behind the value, or −1 where it is none of these
 */
export function endOfValue(bytes: Uint8Array, at: number): number {
  return endOfOne(bytes, at, LIMITS.depth, { arrays: LIMITS.arrays });
}

/** What may still come within one value. */
interface Allowance {
  arrays: number;
}

function endOfOne(bytes: Uint8Array, at: number, depth: number, allowance: Allowance): number {
  // An index beyond the end reads as undefined, which NaN stands for: it fails every comparison below.
  const token = bytes[at++] ?? Number.NaN;
  if (token < 0x80 || token >= 0xe0) return at;
  if (token < 0x90) return -1; // map
  if (token < 0xa0) return endOfArray(bytes, at, token - 0x90, depth, allowance);
  if (token < 0xc0) return endOfString(bytes, at, token - 0xa0);
  switch (token) {
    case 0xc0: // null
    case 0xc2: // false
    case 0xc3: // true
      return at;
    case 0xc4:
      return endOf(bytes, at + 1 + uint(bytes, at, 1));
    case 0xc5:
      return endOf(bytes, at + 2 + uint(bytes, at, 2));
    case 0xc6:
      return endOf(bytes, at + 4 + uint(bytes, at, 4));
    case 0xcb: // float64
      return endOf(bytes, at + 8);
    case 0xcc: // uint8
    case 0xd0: // int8
      return endOf(bytes, at + 1);
    case 0xcd: // uint16
    case 0xd1: // int16
      return endOf(bytes, at + 2);
    case 0xce: // uint32
    case 0xd2: // int32
      return endOf(bytes, at + 4);
    case 0xd9:
      return endOfString(bytes, at + 1, uint(bytes, at, 1));
    case 0xda:
      return endOfString(bytes, at + 2, uint(bytes, at, 2));
    case 0xdc:
      return endOfArray(bytes, at + 2, uint(bytes, at, 2), depth, allowance);
    case 0xdd:
      return endOfArray(bytes, at + 4, uint(bytes, at, 4), depth, allowance);
    default:
      return -1;
  }
}

/** `NaN` where the bytes end before: it spoils every sum and comparison it enters, so the value is refused. */
function uint(bytes: Uint8Array, at: number, size: number): number {
  let value = 0;
  for (const end = at + size; at < end; at++) value = value * 256 + (bytes[at] ?? Number.NaN);
  return value;
}

function endOf(bytes: Uint8Array, end: number): number {
  return end <= bytes.length ? end : -1;
}

function endOfString(bytes: Uint8Array, at: number, size: number): number {
  const end = at + size;
  if (!(size <= LIMITS.keyBytes && end <= bytes.length)) return -1;
  // Malformed UTF-8 would be mended silently, and several byte strings become one key.
  for (let i = at; i < end; i++) {
    if ((bytes[i] as number) >= 0x80) return isUtf8(bytes.subarray(i, end)) ? end : -1; // i < end <= length: there
  }
  return end;
}

function endOfArray(bytes: Uint8Array, at: number, length: number, depth: number, allowance: Allowance): number {
  // Each element takes a byte at least: what can't be there is refused before anything is done for it.
  if (depth === 0 || !(length <= bytes.length - at)) return -1;
  // An empty array takes one byte here and forty in memory.
  if (allowance.arrays === 0) return -1;
  allowance.arrays--;
  for (; length > 0; length--) {
    at = endOfOne(bytes, at, depth - 1, allowance);
    if (at < 0) return -1;
  }
  return at;
}
