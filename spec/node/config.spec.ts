import { describe, expect, it } from '@jest/globals';
import type { Config, View } from '../../lib/membership/index.js';
import { configChange, readConfig } from '../../lib/node/config.js';
import { identityOf, placeOf } from '../../lib/node/identity.js';
import { ABSENT, type State } from '../../lib/paxos/index.js';

const GROWING: Config = { version: 3, sizes: [3, 5], slots: 5, since: [0, 0, 0, 0, 0] };
const holding = (value: Uint8Array | null): State => ({ ...ABSENT, value });
const current = (value: Uint8Array | null) => ({ ...holding(value), nowMs: 0, hasSeen: () => false });

describe("a farm's config, in its register", () => {
  it('is the first of its version to be chosen', () => {
    const { write, result } = configChange(GROWING).apply(current(null));
    expect(result).toEqual(GROWING);
    const written = write?.value ?? null;
    const other: Config = { version: 3, sizes: [3], slots: 3, since: [0, 0, 0] };
    expect(configChange(other).apply(current(written))).toEqual({ write: null, result: GROWING });
    const next: Config = { version: 4, sizes: [5], slots: 5, since: [0, 0, 0, 0, 0] };
    expect(configChange(next).apply(current(written)).result).toEqual(next);
  });

  it('takes a majority of the size to come where that is the smaller one', () => {
    expect(configChange({ version: 1, sizes: [5, 3], slots: 5, since: [0, 0, 0, 0, 0] }).also).toEqual([3]);
    expect(configChange(GROWING).also).toEqual([]);
    expect(configChange({ version: 1, sizes: [3], slots: 5, since: [0, 0, 0, 0, 0] }).also).toEqual([]);
  });

  it.each([
    ['nothing', null],
    ['no version', { sizes: [3], slots: 3, since: [0, 0, 0] }],
    ['version 0, which is as formed', { version: 0, sizes: [3], slots: 3, since: [0, 0, 0] }],
    ['a size beyond the slots', { version: 1, sizes: [4], slots: 3, since: [0, 0, 0] }],
    ['no size', { version: 1, sizes: [], slots: 3, since: [0, 0, 0] }],
    ['three sizes', { version: 1, sizes: [1, 2, 3], slots: 3, since: [0, 0, 0] }],
    ['half a size', { version: 1, sizes: [1.5], slots: 3, since: [0, 0, 0] }],
    ['a slot of which nobody knows since when it is there', { version: 1, sizes: [3], slots: 3, since: [0, 0] }],
    ['a slot that is yet to come', { version: 1, sizes: [3], slots: 3, since: [0, 0, 2] }],
    ['a hundred slots', { version: 1, sizes: [3], slots: 100, since: [0] }],
  ])('is none with %s', (_, value) => {
    expect(readConfig(value)).toBeNull();
    const written = new TextEncoder().encode(JSON.stringify(value));
    expect(() => configChange(GROWING).apply(current(written))).toThrow("the farm's config is something that is none");
  });
});

describe('a place, as it is stored', () => {
  const holders = [1, 2, 3].map((process) => ({ process, generation: 1, name: `host-${process}:1` }));
  const view: View = { incarnation: 7, formedAtMs: 1_700_000_000_000, holders };

  it.each([
    ['as formed', view],
    [
      'of a farm whose size was changed',
      { ...view, config: { version: 2, sizes: [1, 3], slots: 3, since: [0, 0, 0] } } as const,
    ],
  ])('comes back whole: %s', (_, known) => {
    const stored = JSON.parse(JSON.stringify(identityOf('default', known, 2, 2)));
    expect(placeOf(stored)).toEqual({ view: known, slot: 2, voter: 2 });
  });

  it('is the slot that it voted for, though it stands in another one too', () => {
    const twice = { ...view, holders: [holders[1] ?? null, holders[1] ?? null, holders[2] ?? null] };
    expect(placeOf(identityOf('default', twice, 2, 2))).toMatchObject({ slot: 2, voter: 2 });
  });

  it('is none with a config that does not fit, or another holder', () => {
    const stored = identityOf('default', view, 2, 2);
    const config = { version: 2, sizes: [5], slots: 5, since: [0, 0, 0, 0, 0] };
    expect(placeOf({ ...stored, view: { holders, config } })).toBeNull();
    expect(placeOf({ ...stored, view: { holders } })).toBeNull();
    expect(placeOf({ ...stored, view: null })).toBeNull();
    expect(placeOf({ ...stored, process: 9 })).toBeNull();
    expect(placeOf({ ...stored, slot: 0 })).toBeNull();
  });
});
