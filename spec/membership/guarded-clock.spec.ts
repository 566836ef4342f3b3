import { describe, expect, test } from '@jest/globals';
import { type ClockOpinion, GuardedClock } from '../../lib/membership/guarded-clock.js';

const T0 = 1_700_000_000_000;
const SKEW_MS = 10_000;
const DAY_MS = 86_400_000;

/** Voters 2 to N beside this process; each as far ahead of real time as said, `null` if not heard. */
interface Situation {
  readonly others: readonly (number | null)[];
  /** What the machine's own clock is ahead by, after a minute. */
  readonly machine: number;
  readonly isVoter?: boolean;
}

/** Starts at T0 with a right clock, lets a minute pass, hears the others, looks. Returns how far ahead it then is. */
function look({ others, machine, isVoter = true }: Situation): ClockOpinion & { readonly wallAheadMs: number } {
  const clock = new GuardedClock(T0, 0, SKEW_MS);
  const voters = others.map((_, index) => index + 2);
  others.forEach((aheadMs, index) => {
    if (aheadMs !== null) clock.hear(index + 2, T0 + 60_000 + aheadMs, 60_000);
  });
  const size = others.length + (isVoter ? 1 : 0);
  const opinion = clock.check(T0 + 60_000 + machine, 60_000, voters, isVoter, size);
  return { ...opinion, wallAheadMs: clock.wallMs(60_000) - (T0 + 60_000) };
}

describe('what the others say', () => {
  test.each<[string, Situation, { isTrusted: boolean; isOff: boolean; wallAheadMs: number }]>([
    ['all agree', { others: [0, 0], machine: 0 }, { isTrusted: true, isOff: false, wallAheadMs: 0 }],
    [
      'the machine steps a day ahead, alone',
      { others: [0, 0], machine: DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: 0 },
    ],
    [
      'the machine steps a day back, alone',
      { others: [0, 0], machine: -DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: 0 },
    ],
    [
      'all leap, this machine too: it was suspended',
      { others: [DAY_MS, DAY_MS], machine: DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: DAY_MS },
    ],
    [
      'all leap, this machine does not',
      { others: [DAY_MS, DAY_MS], machine: 0 },
      { isTrusted: false, isOff: true, wallAheadMs: 0 },
    ],
    [
      'one leaps with this machine, which makes two of three',
      { others: [DAY_MS, 0], machine: DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: DAY_MS },
    ],
    [
      'of five two are gone, one was as wrong as this one, one is right, as this machine is now',
      { others: [0, 7000, null, null], machine: 7000 },
      { isTrusted: false, isOff: false, wallAheadMs: 7000 },
    ],
    [
      'of five two are gone, and this machine leaps where nobody is',
      { others: [0, 7000, null, null], machine: DAY_MS },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    [
      'nobody is heard, and this machine leaps',
      { others: [null, null], machine: DAY_MS },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    [
      'one of five leaps with this machine',
      { others: [DAY_MS, 0, 0, 0], machine: DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: 0 },
    ],
    [
      'two others far off, and apart',
      { others: [DAY_MS, -DAY_MS], machine: 0 },
      { isTrusted: false, isOff: true, wallAheadMs: 0 },
    ],
    [
      'S/2 off is near enough',
      { others: [SKEW_MS / 2, SKEW_MS / 2], machine: 0 },
      { isTrusted: true, isOff: false, wallAheadMs: 0 },
    ],
    [
      'more than S/2 is not',
      { others: [SKEW_MS / 2 + 1, SKEW_MS / 2 + 1], machine: 0 },
      { isTrusted: false, isOff: true, wallAheadMs: 0 },
    ],
    [
      'a small step that others are near to is followed',
      { others: [0, 0], machine: 2000 },
      { isTrusted: true, isOff: false, wallAheadMs: 2000 },
    ],
    ['nobody heard', { others: [null, null], machine: 0 }, { isTrusted: false, isOff: false, wallAheadMs: 0 }],
    [
      'nobody heard, the machine leaps',
      { others: [null, null], machine: DAY_MS },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    ['one of two others heard', { others: [0, null], machine: 0 }, { isTrusted: true, isOff: false, wallAheadMs: 0 }],
    [
      'one of two heard, and it is far off: one against one',
      { others: [DAY_MS, null], machine: 0 },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    [
      'two voters, which have to agree',
      { others: [DAY_MS], machine: 0 },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    [
      'a learner has no vote: one of three does not do',
      { others: [0, null, null], machine: 0, isVoter: false },
      { isTrusted: false, isOff: false, wallAheadMs: 0 },
    ],
    [
      'a learner, two of three',
      { others: [0, 0, null], machine: 0, isVoter: false },
      { isTrusted: true, isOff: false, wallAheadMs: 0 },
    ],
    // Nobody is there to contradict: one server alone believes its machine.
    [
      'a single voter follows its machine',
      { others: [], machine: DAY_MS },
      { isTrusted: true, isOff: false, wallAheadMs: DAY_MS },
    ],
  ])('%s', (_, situation, expected) => {
    expect(look(situation)).toMatchObject(expected);
  });

  test.each([
    [[3000, 3000], -3000],
    [[-4000, -4000], 4000],
    [[1000, 2000, 3000, DAY_MS], -3000],
  ])('voters ahead by %j: this one is ahead by %i', (others, aheadMs) => {
    expect(look({ others, machine: 0 }).aheadMs).toBe(aheadMs);
  });
});

test('runs at the pace of the monotonic clock', () => {
  const clock = new GuardedClock(T0, 500, SKEW_MS);
  expect(clock.wallMs(500)).toBe(T0);
  expect(clock.wallMs(1700)).toBe(T0 + 1200);
});

test('what is far off now is judged by the new anchor once the machine is followed', () => {
  const clock = new GuardedClock(T0, 0, SKEW_MS);
  for (const voter of [2, 3]) clock.hear(voter, T0 + DAY_MS + 1000, 1000);
  expect(clock.check(T0 + DAY_MS + 1000, 1000, [2, 3], true, 3)).toMatchObject({ isTrusted: true, aheadMs: -0 });
  // The samples of before the leap have moved with it: nothing is far off at the next look either.
  expect(clock.check(T0 + DAY_MS + 1500, 1500, [2, 3], true, 3)).toMatchObject({ isTrusted: true, isOff: false });
  expect(clock.wallMs(2000)).toBe(T0 + DAY_MS + 2000);
});

describe('filtering', () => {
  test('a pause does not look like skew: late messages seem to come from clocks that are behind', () => {
    const clock = new GuardedClock(T0, 0, SKEW_MS);
    for (let ms = 0; ms < 3000; ms += 500) for (const voter of [2, 3]) clock.hear(voter, T0 + ms, ms);
    // Paused for 20 s: what was sent during the first of them is read at their end.
    for (const voter of [2, 3]) clock.hear(voter, T0 + 3500, 23_000);
    expect(clock.check(T0 + 23_000, 23_000, [2, 3], true, 3)).toMatchObject({ isTrusted: true, isOff: false });
  });

  test('delay is not skew: of the samples the fastest one counts', () => {
    const clock = new GuardedClock(T0, 0, SKEW_MS);
    for (const delayMs of [7000, 20, 9000, 8000]) clock.hear(2, T0 + 10_000 - delayMs, 10_000);
    expect(clock.check(T0 + 10_000, 10_000, [2], true, 2)).toMatchObject({ isTrusted: true, aheadMs: 20 });
  });

  test('a clock that has gone back is believed after two windows, not before', () => {
    const clock = new GuardedClock(T0, 0, SKEW_MS);
    const trusts: [number, boolean][] = [];
    for (let ms = 0; ms <= 20_000; ms += 500) {
      clock.hear(2, T0 + ms - (ms > 2000 ? 60_000 : 0), ms);
      if (ms % 5000 === 0) trusts.push([ms, clock.check(T0 + ms, ms, [2], true, 2).isTrusted]);
    }
    expect(trusts).toEqual([
      [0, true],
      [5000, true],
      [10_000, true],
      [15_000, false],
      [20_000, false],
    ]);
  });

  test('a clock that has gone ahead is believed at once', () => {
    const clock = new GuardedClock(T0, 0, SKEW_MS);
    clock.hear(2, T0, 0);
    clock.hear(2, T0 + 60_000, 100);
    expect(clock.check(T0 + 100, 100, [2], true, 2).isTrusted).toBe(false);
  });
});

test('who has been silent for two windows does not count', () => {
  const clock = new GuardedClock(T0, 0, SKEW_MS);
  clock.hear(2, T0, 0);
  expect(clock.check(T0 + 10_000, 10_000, [2], true, 2).isTrusted).toBe(true);
  expect(clock.check(T0 + 10_001, 10_001, [2], true, 2).isTrusted).toBe(false);
});

test('who is gone, or holds no slot, does not count', () => {
  const clock = new GuardedClock(T0, 0, SKEW_MS);
  for (const process of [2, 3, 4]) clock.hear(process, T0, 0);
  expect(clock.check(T0, 0, [2], true, 3).isTrusted).toBe(true);
  clock.drop(2);
  expect(clock.check(T0, 0, [2], true, 3).isTrusted).toBe(false);
  expect(clock.check(T0, 0, [], true, 3).isTrusted).toBe(false);
});

test('follows the machine, and sees the others in that light, when told to', () => {
  const clock = new GuardedClock(T0 + 3_600_000, 0, SKEW_MS);
  clock.hear(2, T0, 0);
  clock.follow(T0 + 100, 100);
  expect(clock.wallMs(100)).toBe(T0 + 100);
  expect(clock.check(T0 + 100, 100, [2], true, 2)).toMatchObject({ isTrusted: true, isOff: false });
});
