import { describe, expect, test } from '@jest/globals';
import {
  type Change,
  evaluate,
  FOREVER,
  type Instant,
  NO_BALLOT,
  NO_BYTES,
  type Proposal,
  sameBallot,
} from '../../lib/paxos/index.js';
import { append, decode, destroy, encode, observe, put, set, touch } from './changes.js';

const now: Instant = { monotonicMs: 0, wallMs: 1000, isTrusted: true };
const untrusted: Instant = { ...now, isTrusted: false };
const born = { round: 1, proposer: 1 };
const ballot = { round: 9, proposer: 2 };

function holds(text: string | null, until: number): Proposal {
  const value = text === null ? null : encode(text);
  const lineage = [{ operation: 'op1', ballot: born }];
  return {
    value,
    attributes: NO_BYTES,
    until,
    birth: born,
    dataBallot: born,
    accepted: born,
    operation: 'op1',
    lineage,
    lineageFrom: NO_BALLOT,
  };
}

/** What comes of a change: the value, its end, whether it is to be proposed as new, its birth and its data's age. */
function outcome(found: Proposal | null, change: Change<unknown>, at: Instant): string {
  const { state, isWrite } = evaluate(found, [change], ballot, at);
  const age = (of: typeof ballot): string => (sameBallot(of, ballot) ? 'now' : 'before');
  const end = state.until === FOREVER ? 'ever' : state.until;
  const held = state.value === null ? 'absent' : `${decode(state.value)} until ${end}`;
  const shown = state.value === null ? held : `${held}, born ${age(state.birth)}, data of ${age(state.dataBallot)}`;
  return `${isWrite ? 'write' : 'keep'} ${shown}`;
}

/** A write that is one whatever was there. */
function rewrite(text: string): Change<null> {
  const value = encode(text);
  const write = { value, attributes: NO_BYTES, until: FOREVER, isData: true };
  return { bound: FOREVER, mayRemove: false, seals: false, apply: () => ({ write, result: null }) };
}

test.each<[string, Proposal | null, Change<unknown>, Instant, string]>([
  ['the first write', null, set('a'), now, 'write a until ever, born now, data of now'],
  ['a write over a value', holds('a', 2000), set('b', 3000), now, 'write b until 3000, born before, data of now'],
  ['the same bytes', holds('a', 2000), set('a', 3000), now, 'write a until 3000, born before, data of before'],
  ['the same bytes, as data', holds('a', 2000), rewrite('a'), now, 'write a until ever, born before, data of now'],
  ['a touch', holds('a', 2000), touch(3000), now, 'write a until 3000, born before, data of before'],
  ['a touch that shortens', holds('a', 3000), touch(2000), now, 'write a until 2000, born before, data of before'],
  ['a touch of nothing', null, touch(3000), now, 'keep absent'],
  ['write-once, second', holds('a', 2000), put('b'), now, 'keep a until 2000, born before, data of before'],
  ['a destroy', holds('a', 2000), destroy(), now, 'write absent'],
  ['a destroy of nothing', null, destroy(), now, 'keep absent'],
  ['a destroy of a tombstone', holds(null, 0), destroy(), now, 'keep absent'],
  ['a write over a tombstone', holds(null, 0), set('b', 3000), now, 'write b until 3000, born now, data of now'],
  ['a look at what has expired: sealed', holds('a', 1000), observe(), now, 'write absent'],
  ['a write over what has expired', holds('a', 999), append('b'), now, 'write b until ever, born now, data of now'],
  ['a touch of what has expired: sealed', holds('a', 1000), touch(3000), now, 'write absent'],
  ['the last millisecond', holds('a', 1001), observe(), now, 'keep a until 1001, born before, data of before'],
  ['a write that is over before it begins', holds('a', 2000), set('b', 1000), now, 'write absent'],
  ['the same where there was nothing', null, set('b', 1000), now, 'keep absent'],
  // A clock that nobody agrees with ends nobody's session.
  ['untrusted: expired or not', holds('a', 500), observe(), untrusted, 'keep a until 500, born before, data of before'],
  ['untrusted: a touch', holds('a', 500), touch(800), untrusted, 'write a until 800, born before, data of before'],
  ['untrusted: a write', holds('a', 2000), set('b', 900), untrusted, 'write b until 900, born before, data of now'],
  ['untrusted: a destroy', holds('a', 500), destroy(), untrusted, 'write absent'],
])('%s', (_, found, change, at, expected) => {
  expect(outcome(found, change, at)).toBe(expected);
});

describe('several changes', () => {
  test('take effect one after the other, each with its own answer and state', () => {
    const { results, state } = evaluate(holds('a', 2000), [append('b'), put('c'), append('d')], ballot, now);
    expect(results.map((result) => (result.kind === 'decided' ? result.result : result.error))).toEqual([
      'a,b',
      'a,b',
      'a,b,d',
    ]);
    expect(results.map((result) => result.kind === 'decided' && decode(result.state.value))).toEqual([
      'a,b',
      'a,b',
      'a,b,d',
    ]);
    expect(decode(state.value)).toBe('a,b,d');
  });

  test('one that throws changes nothing, and the others go on', () => {
    const thrower: Change<unknown> = {
      ...observe(),
      apply: () => {
        throw new Error('no');
      },
    };
    const { results, state, isWrite } = evaluate(null, [thrower, append('a'), thrower], ballot, now);
    expect(results.map((result) => result.kind)).toEqual(['threw', 'decided', 'threw']);
    expect(decode(state.value)).toBe('a');
    expect(isWrite).toBe(true);
  });

  test('one seals for all', () => {
    expect(evaluate(null, [destroy(), observe()], ballot, now).seals).toBe(true);
    expect(evaluate(null, [observe()], ballot, now).seals).toBe(false);
  });
});

test('a change must not write beyond the bound that the acceptors were told of', () => {
  const beyond: Change<unknown> = { ...set('a', 5000), bound: 4000 };
  expect(evaluate(null, [beyond], ballot, now).results[0]?.kind).toBe('threw');
  // A longer life that was there before was in somebody's bound.
  expect(evaluate(holds('b', 6000), [beyond], ballot, now).results[0]?.kind).toBe('decided');
});

test('a change sees which operations led here', () => {
  const asks: Change<unknown> = {
    ...observe(),
    apply: ({ hasSeen }) => ({ write: null, result: [hasSeen('op1'), hasSeen('op2')] }),
  };
  expect(evaluate(holds('a', 2000), [asks], ballot, now).results[0]).toMatchObject({ result: [true, false] });
});
