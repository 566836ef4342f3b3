import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { idOf, idPrefixOf, type Key, keyOf, registerKey } from '../../lib/kv/key.js';
import { MAX_KEY_SIZE } from '../../lib/node/register-key.js';
import { withCode } from './memory-node.js';

/** Text in which the marks of the encoding are frequent. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('\u0000', '\u0001', 's', 'n', 'a', '/'), maxLength: 6 }),
  fc.string({ unit: 'grapheme', maxLength: 6 }),
);
const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constant(-0));
const part = fc.oneof(text, number);
const list = fc.array(part, { minLength: 1, maxLength: 4 });
const key: fc.Arbitrary<Key> = fc.oneof(text, list);

/** −0 is the same key as 0. */
function plain(of: Key): Key {
  return typeof of === 'string' ? of : of.map((each) => (each === 0 ? 0 : each));
}

function isSame(a: Key, b: Key): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && a.every((each, index) => each === b[index]);
}

describe('Ids of keys', () => {
  it('give the key back', () => {
    fc.assert(fc.property(key, (each) => expect(keyOf(idOf(each))).toEqual(plain(each))));
  });

  it('differ where keys differ', () => {
    fc.assert(fc.property(key, key, (a, b) => expect(idOf(a) === idOf(b)).toBe(isSame(a, b))));
  });

  it('begin with those of their first parts, and with no others', () => {
    fc.assert(
      fc.property(list, list, (whole, other) => {
        for (let count = 1; count <= whole.length; count += 1) {
          expect(idOf(whole).startsWith(idPrefixOf(whole.slice(0, count)))).toBe(true);
        }
        const isPrefix = other.length <= whole.length && isSame(other, whole.slice(0, other.length));
        expect(idOf(whole).startsWith(idPrefixOf(other))).toBe(isPrefix);
      }),
    );
  });

  it('begin with those of texts that keys begin with', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(idOf(a + b).startsWith(idPrefixOf(a))).toBe(true);
        expect(idOf(b).startsWith(idPrefixOf(a))).toBe(b.startsWith(a));
      }),
    );
  });

  it('are none of lists with holes', () => {
    // biome-ignore lint/suspicious/noSparseArray: that is the point
    for (const holes of [[, 'x'], new Array(2)]) {
      expect(() => idOf(holes as unknown as Key)).toThrow(withCode('ERR_CONFIG', /./));
    }
  });

  it('tell parts from one another whatever is in them', () => {
    const ids = [
      ['a\u0000', 'b'],
      ['a', '\u0000b'],
      ['a\u0000\u0000sb'],
      ['a', 'b'],
      ['a\u0000\u0001', 'b'],
      ['a\u0000', '\u0001b'],
      ['a', 1],
      ['a', '1'],
      'a',
      ['a'],
      [''],
      '',
    ].map((each) => idOf(each as Key));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('are the same for 0 and −0', () => {
    expect(idOf([-0])).toBe(idOf([0]));
  });

  it('are of keys only', () => {
    for (const none of [undefined, null, 5, {}, [], [Number.NaN], [Number.POSITIVE_INFINITY], [null], [['a']], [1n]]) {
      expect(() => idOf(none as unknown as Key)).toThrow(withCode('ERR_CONFIG', /^A key/));
    }
    for (const half of ['\ud800', 'a\udc00', ['a', '\ud800']]) {
      expect(() => idOf(half)).toThrow(withCode('ERR_CONFIG', /half of a surrogate pair/));
    }
    expect(keyOf(idOf('\u{1f600}'))).toBe('\u{1f600}');
  });

  it('are told from what is none', () => {
    for (const none of ['', 'x', 'asb', 'as\u0000\u0001', 'axb\u0000\u0000', 'a\u0000\u0000']) {
      expect(keyOf(none)).toBeNull();
    }
  });

  it('have 1024 bytes with their bucket, at most', () => {
    const longest = 'ä'.repeat((MAX_KEY_SIZE - 'kv/s'.length) / 2);
    expect(registerKey('kv', idOf(longest))).toHaveLength(4 + longest.length);
    expect(() => registerKey('kv', idOf(`${longest}a`))).toThrow(withCode('ERR_VALUE_TOO_LARGE', /1024 bytes.* 1025/));
  });
});
