import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeAttributes, encodeAttributes, isInLife } from '../../lib/kv/attributes.js';
import { attributesOf, heldValue, revisionOf } from '../../lib/kv/entry.js';
import { encodeValue } from '../../lib/kv/value.js';
import { ABSENT, type Ballot } from '../../lib/paxos/index.js';
import { withCode } from './memory-node.js';

const ballot: fc.Arbitrary<Ballot> = fc.record({
  round: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  proposer: fc.nat({ max: 2 ** 48 - 1 }),
});

describe('Attributes', () => {
  it('come back as they were', () => {
    const life = fc.record({ key: fc.string(), birth: ballot });
    fc.assert(
      fc.property(fc.string(), fc.array(life, { maxLength: 8 }), fc.string(), (version, lives, other) => {
        const given = lives.length === 0 ? version : other;
        expect(decodeAttributes(encodeAttributes({ version, lives, given }))).toEqual({ version, lives, given });
      }),
    );
  });

  it('may be followed by what a later version adds', () => {
    const life = ['kv/sa', 5, 6];
    expect(decodeAttributes(encodeValue([1, 'p.1', [life], 'p.0', 'more']))).toEqual({
      version: 'p.1',
      lives: [{ key: 'kv/sa', birth: { round: 5, proposer: 6 } }],
      given: 'p.0',
    });
  });

  it('are refused in another format, by an error that names the key', () => {
    const others = [[2, 'p.1'], [1], 5, [1, 'p.1', [['kv/sa', 5]]], [1, 'p.1', [null]]].map((each) =>
      encodeValue(each),
    );
    for (const attributes of [...others, Uint8Array.of(0xc1), new Uint8Array(0)]) {
      expect(() => attributesOf('sjobs', { attributes })).toThrow(withCode('ERR_UNREADABLE', /^What key "jobs" holds/));
    }
    expect(() => heldValue('sjobs', Uint8Array.of(0xc1))).toThrow(withCode('ERR_UNREADABLE', /^What key "jobs" holds/));
  });
});

describe('A life', () => {
  const birth = { round: 5, proposer: 6 };
  const value = Uint8Array.of(1);

  it('lasts until its register is absent, or born anew', () => {
    const life = { key: 'kv/sa', birth };
    expect(isInLife({ ...ABSENT, value, birth }, life)).toBe(true);
    expect(isInLife({ ...ABSENT, birth }, life)).toBe(false);
    expect(isInLife({ ...ABSENT, value, birth: { ...birth, round: 7 } }, life)).toBe(false);
    expect(isInLife({ ...ABSENT, value, birth: { ...birth, proposer: 7 } }, life)).toBe(false);
  });
});

describe('Revisions', () => {
  it('are in the order of ballots', () => {
    fc.assert(
      fc.property(ballot, ballot, (a, b) => {
        const isLess = a.round < b.round || (a.round === b.round && a.proposer < b.proposer);
        expect(revisionOf(a) < revisionOf(b)).toBe(isLess);
      }),
    );
  });
});
