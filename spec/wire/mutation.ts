/** Bytes that somebody sends by mistake or in malice: real ones, changed where it may hurt. */
import fc from 'fast-check';

/** What stands at a place in a body: a MessagePack token with its own bytes; what an array or map holds follows it. */
interface Token {
  readonly at: number;
  readonly end: number;
}

/** The tokens of bytes that need not be MessagePack: what is cut off or means nothing is one byte. */
function tokensOf(bytes: Buffer): Token[] {
  const tokens: Token[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + sizeOf(bytes, at));
    tokens.push({ at, end });
    at = end;
  }
  return tokens;
}

const FIXED_SIZES: Readonly<Record<number, number>> = {
  202: 5,
  203: 9,
  204: 2,
  205: 3,
  206: 5,
  207: 9,
  208: 2,
  209: 3,
  210: 5,
  211: 9,
  220: 3,
  221: 5,
  222: 3,
  223: 5,
};

function sizeOf(bytes: Buffer, at: number): number {
  const token = bytes[at] ?? 0;
  const left = bytes.length - at - 1;
  if (token >= 0xa0 && token < 0xc0) return 1 + token - 0xa0;
  if ((token === 0xc4 || token === 0xd9) && left >= 1) return 2 + bytes.readUInt8(at + 1);
  if ((token === 0xc5 || token === 0xda) && left >= 2) return 3 + bytes.readUInt16BE(at + 1);
  if ((token === 0xc6 || token === 0xdb) && left >= 4) return 5 + bytes.readUInt32BE(at + 1);
  return FIXED_SIZES[token] ?? 1;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

function float64(value: number): Buffer {
  const bytes = Buffer.alloc(9, 0xcb);
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

function string8(text: string): Buffer {
  const encoded = Buffer.from(text);
  return Buffer.concat([hex('d9'), Buffer.of(encoded.length), encoded]);
}

const EXTREMES = [
  ...[0, -0, 1, -1, 0.5, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1, 2 ** 48, -(2 ** 31)],
  ...[2 ** 53 - 1, 2 ** 53, -(2 ** 53), 2 ** 63, 1e308, 5e-324, Number.NaN, Infinity, -Infinity],
];

/** Values that no field is made for, and some that pass for ordinary ones. */
const POISON: readonly Buffer[] = [
  ...EXTREMES.map(float64),
  ...['00', '01', '7f', 'e0', 'ff', 'ccff', 'cdffff', 'ce7fffffff', 'ceffffffff', 'd080', 'd18000', 'd280000000'].map(
    hex,
  ),
  // 64-bit integers, which become BigInt; float32.
  ...['cf0020000000000000', 'cfffffffffffffffff', 'd38000000000000000', 'ca7fc00000', 'ca4f000000'].map(hex),
  ...['c0', 'c1', 'c2', 'c3', '80', '90', 'a0', 'c400', 'd900', 'da0000', 'db00000000', 'c50000', 'c600000000'].map(
    hex,
  ),
  // Lengths that nothing stands behind.
  ...['dc0000', 'dcffff', 'dd00000000', 'dd7fffffff', 'ddffffffff', 'deffff', 'df7fffffff', 'dfffffffff'].map(hex),
  ...['d9ff', 'daffff', 'db7fffffff', 'dbffffffff', 'c4ff', 'c5ffff', 'c67fffffff', 'c6ffffffff'].map(hex),
  // Extensions: a date, undefined, a bundle of strings, a record, a set, a regular expression, an error, a typed array, a
  // BigInt, a reference; and of lengths that nothing stands behind.
  ...['d6ff00000000', 'd40000', 'd66200000005', 'd4724092a161a16215c0', 'd4739101', 'c7037892a0a0', 'c7036592a0a0'].map(
    hex,
  ),
  ...['c7027400ff', 'c7024201ff', 'd67000000001', 'c7ff01', 'c8ffff01', 'c9ffffffff01', 'd8'].map(hex),
  // Maps; keys doubled, and one that would reach a prototype.
  ...['81a1610b', '82a16101a16102', '82a95f5f70726f746f5f5f81a16101a95f5f70726f746f5f5fc0'].map(hex),
  ...['__proto__', 'constructor', '\ufeffa', 'é', '😀', '\u0000', '/slot/1', 'x'.repeat(200), 'é'.repeat(100)].map(
    string8,
  ),
  // Not UTF-8: half a character, an overlong one, half a surrogate pair.
  ...['a1c3', 'a2c080', 'a3eda080', 'd902fffe'].map(hex),
  Buffer.concat([hex('da0400'), Buffer.alloc(1024, 0x61)]),
  Buffer.concat([hex('da0401'), Buffer.alloc(1025, 0x61)]),
  ...[3, 4, 5, 100, 2000].map((depth) => Buffer.concat([Buffer.alloc(depth, 0x91), hex('00')])),
  Buffer.concat([hex('dc012c'), Buffer.alloc(300, 0x90)]),
  // One entry more than a lineage may have; one slot more than a view.
  Buffer.concat([hex('dc00c3'), ...Array<Buffer>(65).fill(hex('a1610000'))]),
  Buffer.concat([hex('dc0064'), Buffer.alloc(100, 0xc0)]),
  Buffer.alloc(500, 0x81),
];

/** What passes for a field of that kind, and is none that was there. */
const LIKELY: Readonly<Record<string, readonly Buffer[]>> = {
  number: [0, 1, 2, 3, 4, 98, 99, 255, 256, 2 ** 31, 2 ** 48 - 1, 2 ** 53 - 1].map(float64),
  text: ['', 'x', '/slot/1', '__proto__', 'x'.repeat(40)].map(string8),
  bytes: ['c400', 'c40161'].map(hex),
};

function kindOf(token: number): string {
  if (token < 0x80 || token >= 0xe0 || (token >= 0xca && token <= 0xd3)) return 'number';
  if ((token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb)) return 'text';
  return token >= 0xc4 && token <= 0xc6 ? 'bytes' : 'other';
}

/** Tokens of the same kind, by which one of them may be replaced without being out of place. */
function alike(kind: string, ...bodies: readonly Buffer[]): Buffer[] {
  const there = bodies.flatMap((body) => tokensOf(body).map(({ at, end }) => body.subarray(at, end)));
  return [...there.filter(([token = 0]) => kindOf(token) === kind), ...(LIKELY[kind] ?? [])];
}

/** Heads that claim a number of elements or bytes. */
const CLAIMS: readonly (readonly [head: number, size: number])[] = [
  [0xc4, 1],
  [0xc5, 2],
  [0xc6, 4],
  [0xd9, 1],
  [0xda, 2],
  [0xdb, 4],
  [0xdc, 2],
  [0xdd, 4],
  [0xde, 2],
  [0xdf, 4],
];
const COUNTS = [0, 1, 2, 0x7f, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

function claim(kind: number, count: number): Buffer {
  const [head, size] = CLAIMS[kind % CLAIMS.length] ?? [0, 1]; // below the length
  const bytes = Buffer.alloc(1 + size, head);
  bytes.writeUIntBE((COUNTS[count % COUNTS.length] ?? 0) % 256 ** size, 1, size);
  return bytes;
}

/** A change; its numbers are taken modulo what there is to choose from, so that it fits whatever it is applied to. */
export interface Mutation {
  readonly kind: (typeof KINDS)[number];
  readonly at: number;
  readonly which: number;
  readonly bytes: Uint8Array;
}

const BYTE_KINDS = ['flip', 'set', 'cut', 'extend', 'insert', 'remove', 'double', 'splice'] as const;
const TOKEN_KINDS = ['poison', 'claim', 'tag', 'nest', 'omit', 'repeat', 'exchange', 'graft', 'alike'] as const;
const KINDS = [...BYTE_KINDS, ...TOKEN_KINDS] as const;

const mutationOf = (kinds: readonly Mutation['kind'][]): fc.Arbitrary<Mutation> =>
  fc.record({
    kind: fc.constantFrom(...kinds),
    at: fc.nat(),
    which: fc.nat(),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
  });

/** For what has no structure that can be seen from outside: what is sealed, and streams. */
export const byteMutations = fc.array(mutationOf(BYTE_KINDS), { minLength: 1, maxLength: 3 });
/** For bodies. */
export const mutations = fc.array(mutationOf([...KINDS, ...TOKEN_KINDS]), { minLength: 1, maxLength: 3 });

/** For bodies that shall stay well-formed, often. */
export const lies = fc.array(mutationOf(['alike', 'alike', 'alike', 'alike', 'omit', 'repeat', 'poison']), {
  minLength: 1,
  maxLength: 3,
});

/** @param other for splices */
export function mutated(bytes: Buffer, changes: readonly Mutation[], other: Buffer): Buffer {
  return changes.reduce<Buffer>((before, change) => mutatedOnce(before, change, other), bytes);
}

function mutatedOnce(bytes: Buffer, { kind, at, which, bytes: extra }: Mutation, other: Buffer): Buffer {
  if (bytes.length === 0) return Buffer.from(extra);
  const place = at % bytes.length;
  const replaced = (start: number, end: number, ...parts: Uint8Array[]): Buffer =>
    Buffer.concat([bytes.subarray(0, start), ...parts, bytes.subarray(end)]);
  switch (kind) {
    case 'flip':
      return replaced(place, place + 1, Buffer.of((bytes[place] ?? 0) ^ (1 << (which % 8))));
    case 'set':
      return replaced(place, place + 1, extra.subarray(0, 1));
    case 'cut':
      return bytes.subarray(0, place);
    case 'extend':
      return replaced(bytes.length, bytes.length, extra);
    case 'insert':
      return replaced(place, place, extra);
    case 'remove':
      return replaced(place, place + 1 + (which % 16));
    case 'double':
      return replaced(place, place, bytes.subarray(place, place + 1 + (which % 64)));
    case 'splice':
      return Buffer.concat([bytes.subarray(0, place), other.subarray(which % (other.length + 1))]);
  }
  const tokens = tokensOf(bytes);
  const { at: start, end } = tokens[at % tokens.length] ?? { at: 0, end: 0 }; // there is one: the bytes are not none
  switch (kind) {
    case 'poison':
      return replaced(start, end, POISON[which % POISON.length] ?? extra);
    case 'claim':
      return replaced(start, start + 1, claim(which, at));
    case 'tag':
      return replaced(start, start + 1, Buffer.of(which % 256));
    case 'nest':
      return replaced(start, start, Buffer.alloc(1 + (which % 8), 0x91));
    case 'omit':
      return replaced(start, end);
    case 'repeat':
      return replaced(start, start, ...Array<Buffer>(1 + (which % 5)).fill(bytes.subarray(start, end)));
    case 'exchange': {
      const with_ = tokens[which % tokens.length] ?? { at: 0, end: 0 };
      return replaced(start, end, bytes.subarray(with_.at, with_.end));
    }
    case 'alike': {
      const others = alike(kindOf(bytes[start] ?? 0), bytes, other);
      return others.length === 0 ? bytes : replaced(start, end, others[which % others.length] ?? extra);
    }
    case 'graft': {
      const grafts = tokensOf(other);
      const graft = grafts[which % Math.max(1, grafts.length)] ?? { at: 0, end: 0 };
      return replaced(start, end, other.subarray(graft.at, graft.end));
    }
  }
}

/**
 * Bytes of the corpus with changes, as hex: what fails is printed whole, and can be decoded again without the traffic
 * that it was made from, which is never the same twice.
 */
export function mutatedOf(corpus: readonly Buffer[], changes = mutations): fc.Arbitrary<string> {
  const pick = fc.nat(corpus.length - 1).map((index) => corpus[index] ?? Buffer.alloc(0));
  return fc.tuple(pick, pick, changes).map(([bytes, other, list]) => mutated(bytes, list, other).toString('hex'));
}

export { hex };
