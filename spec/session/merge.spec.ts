import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type FieldConflict, type Fields, isPlain, merge, mineWins } from '../../lib/session/merge.js';

const absent = undefined;

describe('merge', () => {
  it.each<[string, unknown, unknown, unknown, unknown]>([
    // title, base, theirs, mine, merged
    ['nobody changed anything', { a: 1 }, { a: 1 }, { a: 1 }, { a: 1 }],
    ['different fields added', {}, { a: 1 }, { b: 2 }, { a: 1, b: 2 }],
    ['different fields changed', { a: 1, b: 1 }, { a: 2, b: 1 }, { a: 1, b: 2 }, { a: 2, b: 2 }],
    ['one removed, another changed', { a: 1, b: 1 }, { b: 1 }, { a: 1, b: 2 }, { b: 2 }],
    ['different fields removed', { a: 1, b: 1 }, { b: 1 }, { a: 1 }, {}],
    ['the same field changed alike', { a: 1 }, { a: 2 }, { a: 2 }, { a: 2 }],
    ['the same field changed: the later wins', { a: 1 }, { a: 2 }, { a: 3 }, { a: 3 }],
    ['the same field removed and changed: the later wins', { a: 1 }, {}, { a: 3 }, { a: 3 }],
    ['the same field changed and removed: the later wins', { a: 1 }, { a: 2 }, {}, {}],
    ['below', { u: { a: 1, b: 1 } }, { u: { a: 2, b: 1 } }, { u: { a: 1, b: 2 } }, { u: { a: 2, b: 2 } }],
    ['far below', { u: { v: {} } }, { u: { v: { a: 1 } } }, { u: { v: { b: 2 } } }, { u: { v: { a: 1, b: 2 } } }],
    ['objects that both added', {}, { u: { a: 1 } }, { u: { b: 2 } }, { u: { a: 1, b: 2 } }],
    ['objects in place of null', { u: null }, { u: { a: 1 } }, { u: { b: 2 } }, { u: { a: 1, b: 2 } }],
    ['a removal beats a change below it', { u: { a: 1 } }, { u: { a: 2 } }, {}, {}],
    ['… made by the other side', { u: { a: 1 } }, {}, { u: { a: 2 } }, {}],
    ['… and an addition below it', { u: {}, k: 1 }, { k: 1 }, { u: { a: 1 }, k: 1 }, { k: 1 }],
    ['an object made a value, and changed below', { u: { a: 1 } }, { u: 5 }, { u: { a: 2 } }, { u: { a: 2 } }],
    ['arrays are one value', { l: [1] }, { l: [1, 2] }, { l: [1, 3] }, { l: [1, 3] }],
    ['an array that only they changed', { l: [1] }, { l: [1, 2] }, { l: [1], b: 1 }, { l: [1, 2], b: 1 }],
    [
      'objects within arrays too',
      { l: [{ a: 1 }] },
      { l: [{ a: 2 }] },
      { l: [{ a: 1, b: 1 }] },
      { l: [{ a: 1, b: 1 }] },
    ],
    ['null is a value', { a: 1 }, { a: null }, { a: 1, b: 1 }, { a: null, b: 1 }],
  ])('%s', (_title, base, theirs, mine, merged) => {
    expect(merge(base, theirs, mine, mineWins)).toStrictEqual(merged);
  });

  it('takes dates and class instances as one value', () => {
    const early = new Date(1);
    const late = new Date(2);
    expect(merge({ d: early }, { d: late }, { d: new Date(1), b: 1 }, mineWins)).toStrictEqual({ d: late, b: 1 });
    const [one, two] = [new URLSearchParams('a=1'), new URLSearchParams('b=1')];
    expect(merge({ u: {} }, { u: one }, { u: two }, mineWins)).toStrictEqual({ u: two });
  });

  it('asks about fields that both changed, with their path, and about no others', () => {
    const asked: FieldConflict[] = [];
    const merged = merge(
      { cart: { total: 1, items: [] }, seen: 1, gone: 1 },
      { cart: { total: 2, items: [] }, seen: 2, gone: 1 },
      { cart: { total: 5, items: ['x'] }, seen: 1 },
      (conflict) => {
        asked.push(conflict);
        return Number(conflict.theirs) + Number(conflict.mine) - Number(conflict.base);
      },
    );
    expect(asked).toStrictEqual([{ path: ['cart', 'total'], base: 1, theirs: 2, mine: 5 }]);
    expect(merged).toStrictEqual({ cart: { total: 6, items: ['x'] }, seen: 2 });
  });

  it('shows an absent field as undefined, and removes one that is decided to be', () => {
    const asked: FieldConflict[] = [];
    const removeIt = (conflict: FieldConflict): unknown => {
      asked.push(conflict);
      return undefined;
    };
    expect(merge({}, { a: 1 }, { a: 2 }, removeIt)).toStrictEqual({});
    expect(asked).toStrictEqual([{ path: ['a'], base: absent, theirs: 1, mine: 2 }]);
  });

  it('keeps fields named like what every object inherits, and walks no prototype', () => {
    const parsed = (json: string): unknown => JSON.parse(json);
    const merged = merge(
      parsed('{}'),
      parsed('{"__proto__":{"a":1},"constructor":{"prototype":{"a":1}}}'),
      parsed('{"__proto__":{"b":2},"toString":"x"}'),
      mineWins,
    );
    expect(JSON.stringify(merged)).toBe(
      '{"__proto__":{"a":1,"b":2},"constructor":{"prototype":{"a":1}},"toString":"x"}',
    );
    expect(Object.getPrototypeOf(merged)).toBe(Object.prototype);
    expect('a' in {} || 'b' in {}).toBe(false);
    // `constructor` of the base is not what it inherits: both sides have added theirs.
    const both = merge({}, { constructor: { a: 1 } }, { constructor: { b: 1 } }, mineWins);
    expect(JSON.stringify(both)).toBe('{"constructor":{"a":1,"b":1}}');
  });
});

describe('merge, of anything', () => {
  const name = fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', 'toString', 'cookie');
  const { fields } = fc.letrec<{ value: unknown; fields: Fields }>((tie) => ({
    value: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      fc.integer({ min: 0, max: 3 }),
      fc.constantFrom(null, '', 'x', true),
      fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 2 }),
      tie('fields'),
    ),
    fields: fc.array(fc.tuple(name, tie('value')), { maxLength: 4 }).map(fromEntries),
  }));

  const same = (a: unknown, b: unknown): void => {
    if (!isDeepStrictEqual(a, b)) expect(JSON.stringify(a)).toBe(JSON.stringify(b));
  };

  it('takes mine where they changed nothing', () => {
    fc.assert(fc.property(fields, fields, (base, mine) => same(merge(base, base, mine, mineWins), mine)));
  });

  it('takes theirs where I changed nothing', () => {
    fc.assert(fc.property(fields, fields, (base, theirs) => same(merge(base, theirs, base, mineWins), theirs)));
  });

  it('takes what both made of it', () => {
    fc.assert(fc.property(fields, fields, (base, both) => same(merge(base, both, both, mineWins), both)));
  });

  it('gives the same whoever is first, where nothing is in dispute', () => {
    fc.assert(
      fc.property(fields, fields, fields, (base, one, other) => {
        let isDisputed = false;
        const dispute = (conflict: FieldConflict): unknown => {
          isDisputed = true;
          return conflict.mine;
        };
        const merged = merge(base, one, other, dispute);
        if (!isDisputed) same(merge(base, other, one, mineWins), merged);
      }),
      { numRuns: 1000 },
    );
  });

  it('lets nothing come back that one side removed, while the other did not replace it', () => {
    fc.assert(
      fc.property(fields, fields, name, (base, theirs, removed) => {
        const mine = fromEntries(Object.entries(base).filter(([field]) => field !== removed));
        const merged = merge(base, theirs, mine, mineWins) as Fields;
        if (Object.hasOwn(base, removed)) expect(Object.hasOwn(merged, removed)).toBe(false);
      }),
    );
  });

  it('invents nothing, changes no argument and no prototype', () => {
    fc.assert(
      fc.property(fields, fields, fields, (base, theirs, mine) => {
        const before = JSON.stringify([base, theirs, mine]);
        const merged = merge(base, theirs, mine, mineWins);
        expect(JSON.stringify([base, theirs, mine])).toBe(before);
        expect(isPlain(merged) && Object.getPrototypeOf(merged) === Object.prototype).toBe(true);
        for (const field of Object.keys(merged as Fields)) {
          expect(Object.hasOwn(theirs, field) || Object.hasOwn(mine, field)).toBe(true);
        }
        expect(Object.keys(Object.prototype)).toEqual([]);
      }),
    );
  });
});

/** As JSON.parse makes it: `__proto__` is a field like any other. */
function fromEntries(entries: readonly (readonly [string, unknown])[]): Fields {
  const fields: Fields = {};
  for (const [field, value] of entries) {
    Object.defineProperty(fields, field, { value, writable: true, enumerable: true, configurable: true });
  }
  return fields;
}
