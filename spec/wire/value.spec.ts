import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeValue, encodeValue, MAX_VALUE_DEPTH } from '../../lib/wire/value.js';

const back = (value: unknown): unknown => decodeValue(encodeValue(value));

/** Anything that may be sent, nested. Byte strings are Buffers, as they come out. */
const anyValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom<unknown>(
      null,
      undefined,
      true,
      false,
      0,
      -0,
      NaN,
      Infinity,
      -Infinity,
      2 ** 53,
      '',
      '\ud800',
      '😀',
    ),
    fc.double(),
    fc.integer(),
    fc.string({ unit: 'binary' }),
    fc.bigInt(),
    fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n }),
    fc.date({ noInvalidDate: true }),
    fc.uint8Array().map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value')),
    fc.array(tie('value')).map((values) => new Set(values)),
    fc.array(fc.tuple(tie('value'), tie('value'))).map((entries) => new Map(entries)),
    fc.dictionary(fc.oneof(fc.string(), fc.constantFrom('__proto__', 'constructor', '\udfff')), tie('value'), {
      noNullPrototype: true,
    }),
  ),
})).value;

describe('a value', () => {
  it('comes back as it was, of the same type', () => {
    fc.assert(
      fc.property(anyValue, (value) => {
        // jest finds a set with an object that has a key __proto__ different from itself.
        expect(isDeepStrictEqual(back(value), value)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['a Map with objects for keys', new Map([[{ a: 1 }, new Set([new Map()])]])],
    ['−0 among others', [0, -0, { a: -0 }]],
    ['a key that would reach the prototype', JSON.parse('{"__proto__":{"isAdmin":true}}')],
    ['undefined where it was said', { a: undefined, b: [undefined] }],
  ])('is %s', (_, value) => {
    expect(back(value)).toStrictEqual(value);
    expect(Object.getPrototypeOf(back({ a: 1 }))).toBe(Object.prototype);
    expect((back(value) as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  it('is an ordinary object where it had no prototype, and a Buffer where it was a Uint8Array', () => {
    expect(back(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 });
    expect(back(Uint8Array.of(1, 2))).toStrictEqual(Buffer.of(1, 2));
  });

  it('is an invalid date where it was one', () => {
    const date = back(new Date(Number.NaN));
    expect(date).toBeInstanceOf(Date);
    expect((date as Date).getTime()).toBeNaN();
  });

  it('shares its memory with nothing', () => {
    const bytes = encodeValue({ a: Buffer.of(1, 2, 3) });
    expect(bytes.buffer.byteLength).toBe(bytes.length);
    const { a } = decodeValue(bytes) as { a: Buffer };
    bytes.fill(0);
    expect(a).toEqual(Buffer.of(1, 2, 3));
    expect(a.buffer.byteLength).toBe(3);
  });

  it('has its bytes: they are stored', () => {
    const value = {
      a: [1, undefined, -0, 1n, -255n],
      d: new Date(5),
      m: new Map([[null, 'x']]),
      s: new Set([Buffer.of(7)]),
    };
    expect(Buffer.from(encodeValue(value)).toString('hex')).toBe(
      '9901a161960001910691079205a1319205a32d6666a164920405a16d9302c0a178a1739203c40107',
    );
  });
});

class Thing {
  a = 1;
}

describe('what would not come back is refused, and it is said where it is:', () => {
  it.each<[string, unknown, RegExp]>([
    ['a function', () => 1, /^value is a function/],
    ['a symbol', { a: [1, Symbol('x')] }, /^value\.a\[1\] is a symbol/],
    ['an instance of a class', { a: { b: new Thing() } }, /^value\.a\.b is an instance of Thing/],
    ['an error', [new RangeError('x')], /^value\[0\] is an instance of RangeError/],
    ['a regular expression', new Map([['k', /x/]]), /^value \(value 0 of the Map\) is an instance of RegExp/],
    ['a promise', new Set([Promise.resolve()]), /^value \(element 0 of the Set\) is an instance of Promise/],
    ['numbers in a typed array', new Float64Array(1), /Float64Array/],
    ['a class made from Map', new (class Own extends Map {})(), /instance of Own/],
    ['a class made from Date', new (class Own extends Date {})(), /instance of Own/],
    ['a symbol for a key', { [Symbol('x')]: 1 }, /symbol for a key/],
  ])('%s', (_, value, message) => {
    expect(() => encodeValue(value)).toThrow(TypeError);
    expect(() => encodeValue(value)).toThrow(message);
  });

  it('what contains itself; not what only stands there twice', () => {
    const loop: { self?: unknown; list: unknown[] } = { list: [] };
    loop.list.push(new Map([['m', loop]]));
    expect(() => encodeValue(loop)).toThrow(/^value\.list\[0\] \(value 0 of the Map\) is the same object again/);
    const twice = { a: 1 };
    expect(back([twice, twice])).toStrictEqual([twice, twice]);
  });

  it('what is nested too deep', () => {
    const nested = (depth: number): unknown => Array.from({ length: depth }).reduce((inner) => [inner], 1);
    expect(back(nested(MAX_VALUE_DEPTH))).toStrictEqual(nested(MAX_VALUE_DEPTH));
    expect(() => encodeValue(nested(MAX_VALUE_DEPTH + 1))).toThrow(/nested deeper than 200/);
  });
});

describe('bytes that are no value', () => {
  it.each([
    '',
    'c1',
    '9199',
    '90',
    '9105',
    '9205a178',
    '9204a0',
    '9201a161',
    '930191006161',
    '91c0',
    '81a16101',
    'd40000',
  ])('%s give an error, and no value', (hex) => {
    expect(() => decodeValue(Buffer.from(hex, 'hex'))).toThrow(Error);
  });

  it('whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          expect(back(decodeValue(bytes))).toBeDefined();
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 3000 },
    );
  });
});
