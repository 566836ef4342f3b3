import { beforeEach, describe, expect, it } from '@jest/globals';
import { Answering, MAX_QUESTIONS } from '../../lib/node/answering.js';
import { strangerOf } from '../../lib/node/members.js';
import { decodeValue, encodeValue, type Told } from '../../lib/wire/index.js';

const LONGEST_MS = 10_000;
const MAX_VALUE = 2 ** 20;
/** As there. */
const MAX_KNOWN = 4096;

let nowMs: number;
let told: { readonly to: number; readonly told: Told }[];
let answering: Answering;
let calls: unknown[];

beforeEach(() => {
  nowMs = 1000;
  told = [];
  calls = [];
  answering = new Answering({
    process: 1,
    maxValueSize: MAX_VALUE,
    longestTimeoutMs: LONGEST_MS,
    monotonicMs: () => nowMs,
    member: (process) => (process === 99 ? null : { ...strangerOf(process), isUp: true }),
    send: (to, message) => told.push({ to, told: message }),
  });
  answering.handle('echo', (payload) => {
    calls.push(payload);
    return payload;
  });
  answering.handle('never', () => {
    calls.push('never');
    return new Promise(() => undefined);
  });
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** What process `from` is told at once, or once its handler has ended; `null`: nothing. */
async function ask(from: number, request: number, payload: unknown, floor = 1, topic = 'echo'): Promise<unknown> {
  const before = told.length;
  answering.receive(from, { type: 'ask', request, floor, topic, payload: encodeValue(payload) });
  await settled();
  expect(told.length).toBeLessThanOrEqual(before + 1);
  const last = told[before];
  if (last === undefined) return null;
  expect([last.to, last.told.request]).toEqual([from, request]);
  return last.told.outcome === 'answered' ? decodeValue(last.told.value) : `(${last.told.outcome})`;
}

describe('an answer is remembered', () => {
  it('until its asker says that its question is over; from then on that is not heard any more', async () => {
    expect(await ask(2, 1, 'a')).toBe('a');
    expect(await ask(2, 1, 'a')).toBe('a');
    expect(await ask(3, 1, 'b')).toBe('b');
    expect(await ask(2, 2, 'c', 2)).toBe('c');
    expect(await ask(2, 1, 'a')).toBeNull();
    expect(calls).toEqual(['a', 'b', 'c']);
  });

  it('until the longest time-out is over; then nobody waits for what was asked before either', async () => {
    await ask(2, 7, 'a');
    nowMs += LONGEST_MS - 1;
    answering.sweep();
    expect(await ask(2, 7, 'a')).toBe('a');
    nowMs += 1;
    answering.sweep();
    expect(await ask(2, 7, 'a')).toBeNull();
    expect(await ask(2, 6, 'earlier')).toBeNull();
    expect(await ask(2, 8, 'later')).toBe('later');
    expect(calls).toEqual(['a', 'later']);
  });

  it('until its asker is forgotten', async () => {
    await ask(2, 1, 'a');
    answering.forget(2);
    expect(await ask(2, 1, 'a')).toBe('a');
    expect(calls.length).toBe(2);
  });

  it('while there is room for its bytes: of an older one only that there was one', async () => {
    const large = 'x'.repeat(MAX_VALUE - 10);
    for (let request = 1; request <= 65; request += 1) expect(await ask(2, request, large)).toBe(large);
    expect(await ask(2, 1, large)).toBe('(unknown)');
    expect(await ask(2, 65, large)).toBe(large);
    expect(calls.length).toBe(65);
  });

  it('so is that there is no handler: a later one is not called for it', async () => {
    expect(await ask(2, 1, 'a', 1, 'none')).toBe('(no handler)');
    answering.handle('none', () => calls.push('late'));
    expect(await ask(2, 1, 'a', 1, 'none')).toBe('(no handler)');
    expect(calls).toEqual([]);
  });
});

describe('what is too much', () => {
  it('is refused, for good, and not kept beyond a bound', async () => {
    for (let request = 1; request <= MAX_QUESTIONS; request += 1) {
      answering.receive(2, { type: 'ask', request, floor: 1, topic: 'never', payload: encodeValue(null) });
    }
    await settled();
    expect(calls.length).toBe(MAX_QUESTIONS);
    expect(await ask(3, 1, 'a')).toBe('(overloaded)');
    expect(await ask(2, 1, 'a', 1, 'never')).toBe('(running)');
    for (let request = 2; request <= MAX_KNOWN - MAX_QUESTIONS; request += 1)
      expect(await ask(3, request, 'a')).toBe('(overloaded)');
    expect(await ask(3, MAX_KNOWN, 'a')).toBeNull();
    // Handlers that run have still to end, though nobody waits for them.
    answering.forget(2);
    expect(await ask(3, MAX_KNOWN, 'a')).toBe('(overloaded)');
    expect(answering.isBusy).toBe(true);
    expect(calls.length).toBe(MAX_QUESTIONS);
  });

  it('is refused in bytes, too', async () => {
    const large = encodeValue('x'.repeat(MAX_VALUE - 10));
    for (let request = 1; request <= 64; request += 1) {
      answering.receive(2, { type: 'ask', request, floor: 1, topic: 'never', payload: large });
    }
    expect(await ask(2, 65, 'x'.repeat(MAX_VALUE - 10))).toBe('(overloaded)');
    expect(await ask(2, 66, 'a')).toBe('a');
    // There is room now; what was refused stays so.
    answering.forget(3);
    expect(await ask(2, 65, 'x'.repeat(MAX_VALUE - 10))).toBe('(overloaded)');
  });

  it('goes by what is answered and not yet over', async () => {
    for (let request = 1; request <= MAX_QUESTIONS; request += 1) await ask(2, request, 0);
    expect(await ask(3, 1, 'a')).toBe('(overloaded)');
    expect(await ask(2, MAX_QUESTIONS + 1, 'b', MAX_QUESTIONS)).toBe('b');
    expect(await ask(3, 1, 'a')).toBe('(overloaded)');
    expect(await ask(3, 2, 'c')).toBe('c');
  });
});

it('of one who has not said who it is, nothing is taken', async () => {
  expect(await ask(99, 1, 'a')).toBeNull();
  expect(calls).toEqual([]);
});

it('a reminder of what is not known calls nobody', async () => {
  answering.receive(2, { type: 'ask', request: 1, floor: 1, topic: 'echo', payload: null });
  await settled();
  expect(told.map(({ told: { outcome } }) => outcome)).toEqual(['unknown']);
  expect(calls).toEqual([]);
});
