import { describe, expect, it } from '@jest/globals';
import { Expiries } from '../../lib/kv/expiries.js';
import { FOREVER } from '../../lib/paxos/index.js';

const NOW_MS = 1_800_000_000_000;

describe('Expiries', () => {
  it('tells of a key once it has ended, soon and once', () => {
    const ends = new Expiries(NOW_MS);
    ends.set('a', NOW_MS + 1000);
    expect(ends.take(NOW_MS + 1000)).toEqual([]);
    expect(ends.take(NOW_MS + 1250)).toEqual(['a']);
    expect(ends.take(NOW_MS + 9000)).toEqual([]);
  });

  it('tells of the end that was set last', () => {
    const ends = new Expiries(NOW_MS);
    ends.set('a', NOW_MS + 1000);
    ends.set('b', NOW_MS + 1000);
    ends.set('c', NOW_MS + 1000);
    ends.set('a', NOW_MS + 5000);
    ends.set('b', FOREVER);
    ends.delete('c');
    ends.delete('never');
    expect(ends.take(NOW_MS + 4999)).toEqual([]);
    expect(ends.take(NOW_MS + 5250)).toEqual(['a']);
  });

  it('tells of an end that is past already', () => {
    const ends = new Expiries(NOW_MS);
    ends.take(NOW_MS + 10_000);
    ends.set('a', NOW_MS + 1000);
    expect(ends.take(NOW_MS + 10_250)).toEqual(['a']);
  });

  it('tells of all ends that a leap of the clock has passed, at no cost for its length', () => {
    const ends = new Expiries(NOW_MS);
    ends.set('a', NOW_MS + 1000);
    ends.set('b', NOW_MS + 1_000_000);
    ends.set('c', NOW_MS + 1e14);
    expect(ends.take(NOW_MS + 1e13)).toEqual(['a', 'b']);
    expect(ends.take(NOW_MS + 2e14)).toEqual(['c']);
  });

  it('goes on after the clock was set back', () => {
    const ends = new Expiries(NOW_MS);
    ends.take(NOW_MS + 10_000);
    ends.set('a', NOW_MS + 11_000);
    expect(ends.take(NOW_MS)).toEqual([]);
    expect(ends.take(NOW_MS + 11_250)).toEqual(['a']);
  });
});
