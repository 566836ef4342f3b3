/** What a body says, read by other code than the decoder's: what both read must be the same. */
import { MAX_NAMED, MAX_PULLED, MAX_TRANSFERRED } from '../../lib/paxos/index.js';
import { LIMITS, OUTCOMES } from '../../lib/wire/format.js';
import type { Message } from '../../lib/wire/messages.js';

/** A field as it travels. */
export type Plain = null | boolean | number | string | Uint8Array | readonly Plain[];

class Refused extends Error {}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** Encoding what was decoded gives the same bytes where they were UTF-8, and only there. */
function textOf(bytes: Buffer): string {
  const text = utf8.decode(bytes);
  if (!Buffer.from(text).equals(bytes)) throw new Refused();
  return text;
}

export interface PlainBody {
  /** Up to the end, or to the first value that holds what no node sends, or more than a message may. */
  readonly values: readonly Plain[];
  /** Where that one begins; `null` if there is none. */
  readonly brokenAt: number | null;
}

/** The values of a body, one after the other. */
export function readPlain(bytes: Buffer): PlainBody {
  const values: Plain[] = [];
  let at = 0;
  let arrays = 0;
  const take = (size: number): Buffer => {
    if (at + size > bytes.length) throw new Refused();
    at += size;
    return bytes.subarray(at - size, at);
  };
  const uint = (size: number): number => take(size).readUIntBE(0, size);
  const string = (size: number): string => {
    if (size > LIMITS.keyBytes) throw new Refused();
    return textOf(take(size));
  };
  const array = (length: number, depth: number): Plain[] => {
    arrays += 1;
    if (depth === 0 || length > bytes.length - at || arrays > LIMITS.arrays) throw new Refused();
    return Array.from({ length }, () => value(depth - 1));
  };
  const value = (depth: number): Plain => {
    const token = uint(1);
    if (token < 0x80) return token;
    if (token >= 0xe0) return token - 0x100;
    if (token >= 0x90 && token < 0xa0) return array(token - 0x90, depth);
    if (token >= 0xa0 && token < 0xc0) return string(token - 0xa0);
    switch (token) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return take(uint(1));
      case 0xc5:
        return take(uint(2));
      case 0xc6:
        return take(uint(4));
      case 0xcb:
        return take(8).readDoubleBE();
      case 0xcc:
        return uint(1);
      case 0xcd:
        return uint(2);
      case 0xce:
        return uint(4);
      case 0xd0:
        return take(1).readInt8();
      case 0xd1:
        return take(2).readInt16BE();
      case 0xd2:
        return take(4).readInt32BE();
      case 0xd9:
        return string(uint(1));
      case 0xda:
        return string(uint(2));
      case 0xdc:
        return array(uint(2), depth);
      case 0xdd:
        return array(uint(4), depth);
      default:
        throw new Refused();
    }
  };
  let start = 0;
  try {
    for (; at < bytes.length; start = at) {
      arrays = 0;
      values.push(value(LIMITS.depth));
    }
    return { values, brokenAt: null };
  } catch (error) {
    if (error instanceof Refused) return { values, brokenAt: start };
    throw error;
  }
}

/** All numbers, texts and byte strings in a value, however deep. */
export function leavesOf(value: unknown): (number | string)[] {
  if (typeof value === 'number' || typeof value === 'string') return [value];
  if (value instanceof Uint8Array) return [`bytes ${Buffer.from(value).toString('hex')}`];
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(leavesOf);
  return [];
}

/** Where lists are bounded, by the name of the field. */
const LENGTHS: Readonly<Record<string, number>> = {
  lineage: LIMITS.lineage,
  holders: LIMITS.slots,
  keys: LIMITS.enumeratedKeys,
  shards: LIMITS.shards,
  copies: MAX_PULLED,
  records: MAX_TRANSFERRED,
  names: MAX_NAMED,
  open: LIMITS.slots,
  ended: LIMITS.slots,
  sizes: 2,
  since: LIMITS.slots,
};

/** What is wrong with what the decoder gave: `null` if nothing. Says nothing of how it came about. */
export function objection(value: unknown, source: Buffer, path = ''): string | null {
  switch (typeof value) {
    case 'boolean':
      return null;
    case 'number': {
      const least = path.endsWith('.wish') ? -1 : 0;
      return Number.isSafeInteger(value) && value >= least && !Object.is(value, -0) ? null : `${path} is ${value}`;
    }
    case 'string':
      return isText(value) ? null : `${path} is too long or broken`;
    case 'object':
      return value === null ? null : objectionToObject(value, source, path);
    default:
      return `${path} is a ${typeof value}`;
  }
}

function isText(value: string): boolean {
  const bytes = Buffer.from(value);
  // Half a surrogate pair does not come back.
  return bytes.length <= LIMITS.keyBytes && bytes.toString() === value;
}

function objectionToObject(value: object, source: Buffer, path: string): string | null {
  if (value instanceof Uint8Array) {
    if (value.buffer === source.buffer) return `${path} shares its memory with the datagram`;
    return value.buffer.byteLength === value.length ? null : `${path} keeps more memory than its own`;
  }
  if (Array.isArray(value)) {
    const most = LENGTHS[path.slice(path.lastIndexOf('.') + 1)] ?? 0;
    if (value.length > most) return `${path} has ${value.length} entries`;
  } else if (Object.getPrototypeOf(value) !== Object.prototype) {
    return `${path} is no plain object`;
  }
  for (const [name, each] of Object.entries(value)) {
    const found = objection(each, source, Array.isArray(value) ? `${path}[]` : `${path}.${name}`);
    if (found !== null) return found;
  }
  return null;
}

/** Whatever a message says must have stood in the body; 0 and 1 and the empty also stand for words and for nothing. */
export function isSaid(messages: readonly Message[], fields: readonly Plain[]): boolean {
  const said = new Set<number | string>([...leavesOf(fields), 0, 1, 2, 'bytes ']);
  return messages.every(({ type: _type, ...message }) =>
    leavesOf(message).every((leaf) => said.has(leaf) || WORDS.has(leaf)),
  );
}

const WORDS = new Set<number | string>([
  ...[
    'changed',
    'touched',
    'removed',
    'none',
    'stale',
    'clock',
    'seeking',
    'voter',
    'learner',
    'leaving',
    'recovering',
  ],
  ...OUTCOMES,
]);
