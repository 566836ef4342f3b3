import { describe, expect, it } from '@jest/globals';
import { claimChange, type Tenure } from '../../lib/node/claim.js';
import { ABSENT } from '../../lib/paxos/index.js';

function tenure(process: number, generation: number, since = 0): Tenure {
  return { since, holder: { process, generation, name: `web-${process}` } };
}

const own = tenure(7, 1);

function claim(value: Uint8Array | null, claimed = own) {
  return claimChange(claimed).apply({ ...ABSENT, value, nowMs: 0, hasSeen: () => false });
}

function written(claimed: Tenure, before: Uint8Array | null = null): Uint8Array {
  const value = claim(before, claimed).write?.value;
  if (value == null) throw new Error('it is taken');
  return value;
}

describe('a claim', () => {
  it('takes a slot that nobody has, and gives the holder of one that somebody has', () => {
    expect(claim(null).result).toEqual(own);
    const other = tenure(8, 1);
    expect(claim(written(other))).toEqual({ write: null, result: other });
  });

  it('takes a slot that has come back from whoever held it before, in a generation that it has never had', () => {
    const before = written(tenure(8, 5, 3));
    const first = tenure(7, 6, 21);
    expect(claim(before, tenure(7, 2, 21)).result).toEqual(first);
    const after = written(tenure(7, 2, 21), before);
    expect(claim(after, tenure(9, 2, 21))).toEqual({ write: null, result: first });
    expect(claim(after, tenure(9, 7, 21)).result).toEqual(tenure(9, 7, 21));
  });

  it('of somebody who has missed that the slot was given up takes nothing', () => {
    const standing = tenure(7, 2, 21);
    expect(claim(written(standing), tenure(8, 3, 3))).toEqual({ write: null, result: standing });
  });

  it.each([
    'not JSON',
    'null',
    '{}',
    '{"process":0,"generation":1,"name":"x"}',
    '{"process":1.5,"generation":1,"name":"x"}',
    `{"process":${2 ** 48},"generation":1,"name":"x"}`,
    '{"process":8,"generation":"1","name":"x"}',
    '{"process":8,"generation":1,"name":["x"]}',
    `{"process":8,"generation":1,"name":"${'x'.repeat(129)}"}`,
    '{"process":8,"generation":1,"name":"x","since":-1}',
  ])('throws where the slot is claimed by %s', (text) => {
    expect(() => claim(new TextEncoder().encode(text))).toThrow();
  });
});
