import { expect, it } from '@jest/globals';
import { claimChange } from '../../lib/node/claim.js';
import { ABSENT } from '../../lib/paxos/index.js';

const own = { process: 7, generation: 1, name: 'web-1' };

function claim(value: Uint8Array | null) {
  return claimChange(own).apply({ ...ABSENT, value, nowMs: 0, hasSeen: () => false });
}

it('takes a slot that nobody has, and gives the holder of one that somebody has', () => {
  const first = claim(null);
  expect(first.result).toEqual(own);
  const other = { process: 8, generation: 1, name: 'web-2' };
  const written = claimChange(other).apply({ ...ABSENT, nowMs: 0, hasSeen: () => false }).write?.value ?? null;
  expect(claim(written)).toEqual({ write: null, result: other });
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
])('throws where the slot is claimed by %s', (text) => {
  expect(() => claim(new TextEncoder().encode(text))).toThrow();
});
