import { describe, expect, test } from '@jest/globals';
import { Agenda } from '../../lib/paxos/agenda.js';

const T0 = 1_700_000_000_000;
const DAY_MS = 86_400_000;

function all(agenda: Agenda, nowMs: number): string[] {
  return agenda.take(nowMs, 1000).sort();
}

test('hands a key out once, when its second has passed', () => {
  const agenda = new Agenda();
  agenda.add('a', T0 + 1500);
  expect(all(agenda, T0)).toEqual([]);
  expect(all(agenda, T0 + 1500)).toEqual([]);
  expect(all(agenda, T0 + 2000)).toEqual(['a']);
  expect(all(agenda, T0 + 9000)).toEqual([]);
});

test('never before its time, and less than a second after it', () => {
  for (let atMs = T0; atMs < T0 + 2000; atMs += 37) {
    const agenda = new Agenda();
    agenda.take(T0, 1);
    agenda.add('a', atMs);
    let takenMs = T0;
    while (all(agenda, takenMs).length === 0) takenMs += 1;
    expect(takenMs).toBeGreaterThanOrEqual(atMs);
    expect(takenMs - atMs).toBeLessThanOrEqual(1000);
  }
});

test('a key that was due long ago comes up at the next look', () => {
  const agenda = new Agenda();
  agenda.take(T0, 1);
  agenda.add('late', T0 - DAY_MS);
  expect(all(agenda, T0 + 1000)).toEqual(['late']);
});

test('a key that is filed again comes up again', () => {
  const agenda = new Agenda();
  agenda.add('a', T0);
  expect(all(agenda, T0)).toEqual(['a']);
  agenda.add('a', T0 + 5000);
  expect(all(agenda, T0 + 4999)).toEqual([]);
  expect(all(agenda, T0 + 5000)).toEqual(['a']);
});

test('a budget leaves the rest for later, and loses none', () => {
  const agenda = new Agenda();
  for (let i = 0; i < 10; i += 1) agenda.add(`k${i}`, T0 + i * 400);
  const taken: string[] = [];
  for (let turn = 0; turn < 4; turn += 1) {
    const some = agenda.take(T0 + 10_000, 3);
    expect(some.length).toBe(turn < 3 ? 3 : 1);
    taken.push(...some);
  }
  expect(taken.sort()).toEqual(Array.from({ length: 10 }, (_, i) => `k${i}`));
  expect(agenda.take(T0 + 10_000, 0)).toEqual([]);
});

describe('leaps of the clock', () => {
  test('forward: all that is due by then comes up, and nothing else', () => {
    const agenda = new Agenda();
    agenda.take(T0, 1);
    agenda.add('hour', T0 + 3_600_000);
    agenda.add('year', T0 + 365 * DAY_MS);
    expect(all(agenda, T0 + DAY_MS)).toEqual(['hour']);
    expect(all(agenda, T0 + 366 * DAY_MS)).toEqual(['year']);
  });

  test('back: what is filed from then on comes up at its time, not when the clock is back where it was', () => {
    const agenda = new Agenda();
    agenda.take(T0 + DAY_MS, 1);
    agenda.take(T0, 1);
    agenda.add('a', T0 + 3000);
    expect(all(agenda, T0 + 2000)).toEqual([]);
    expect(all(agenda, T0 + 3000)).toEqual(['a']);
  });

  test('back and forth loses nothing', () => {
    const agenda = new Agenda();
    const times = [0, 5, -3, 40, 2, 300, -100, 60];
    times.forEach((seconds, index) => {
      agenda.add(`k${index}`, T0 + seconds * 1000);
      agenda.take(T0 + seconds * 500, 0);
    });
    expect(all(agenda, T0 + 300_000).length).toBe(times.length);
  });
});
