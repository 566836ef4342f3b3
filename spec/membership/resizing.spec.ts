import { describe, expect, it } from '@jest/globals';
import {
  type Config,
  configAfter,
  configOf,
  configTowards,
  mergeViews,
  stageOf,
  stepView,
  targetOf,
  type View,
  vectorOf,
} from '../../lib/membership/index.js';
import { isQuorum } from '../../lib/paxos/index.js';

/** All configs from a farm of `from` voters on the way to `to`. */
function way(from: number, to: number): Config[] {
  const configs = [configOf({ incarnation: 1, formedAtMs: 1, holders: Array.from({ length: from }, () => null) })];
  for (;;) {
    const last = configs.at(-1) as Config;
    const next = configAfter(last) ?? configTowards(last, to);
    if (next === null) return configs;
    configs.push(next);
  }
}

function subsetsOf(slots: number): number[][] {
  const all = Array.from({ length: 2 ** slots }, (_, bits) => bits);
  return all.map((bits) =>
    Array.from({ length: slots }, (_, slot) => slot + 1).filter((slot) => bits & (1 << (slot - 1))),
  );
}

describe('from one size to another', () => {
  it.each([
    [3, 5, ['stable 3', 'gathering 5', 'copying 5', 'stable 5']],
    [1, 3, ['stable 1', 'gathering 3', 'copying 3', 'stable 3']],
    [5, 3, ['stable 5', 'copying 3', 'stable 3']],
    [4, 4, ['stable 4']],
  ])('%d to %d goes by %j', (from, to, stages) => {
    const configs = way(from, to);
    expect(configs.map((config) => `${stageOf(config)} ${targetOf(config)}`)).toEqual(stages);
    expect(configs.map(({ version }) => version)).toEqual(configs.map((_, index) => index));
  });

  it('quorums of one config and of the next have a member in common', () => {
    for (let from = 1; from <= 6; from += 1) {
      for (let to = 1; to <= 6; to += 1) {
        for (const [index, config] of way(from, to).entries()) {
          const next = way(from, to)[index + 1];
          if (next === undefined) continue;
          const quorums = subsetsOf(Math.max(config.slots, next.slots));
          const before = quorums.filter((slots) => isQuorum(config.sizes, slots));
          const after = quorums.filter((slots) => isQuorum(next.sizes, slots));
          for (const one of before)
            for (const other of after) expect(one.some((slot) => other.includes(slot))).toBe(true);
        }
      }
    }
  });

  it('turns back while slots are gathered, and not later', () => {
    const [, gathering, copying] = way(3, 5) as [Config, Config, Config];
    expect(configTowards(gathering, 3)).toEqual({ version: 2, sizes: [3], slots: 3, since: [0, 0, 0] });
    expect(configTowards(gathering, 2)).toEqual({ version: 2, sizes: [3], slots: 3, since: [0, 0, 0] });
    expect(configTowards(gathering, 7)).toEqual({ version: 2, sizes: [3], slots: 7, since: [0, 0, 0, 1, 1, 2, 2] });
    expect(configTowards(gathering, 5)).toBeNull();
    expect(configTowards(copying, 3)).toBeNull();
  });
});

describe('views of a farm whose size is changed', () => {
  const holders = [1, 2, 3, 4, 5].map((process) => ({ process, generation: 1, name: `host-${process}` }));
  const five: View = { incarnation: 1, formedAtMs: 1, holders };
  const three: View = {
    ...five,
    holders: holders.slice(0, 3),
    config: { version: 2, sizes: [3], slots: 3, since: [0, 0, 0] },
  };

  it('merge to the newest config, and to the slots that are in it, whoever learns what first', () => {
    expect(mergeViews(five, three)).toEqual(three);
    expect(mergeViews(three, five)).toBe(three);
    const again: View = {
      ...three,
      holders: [...three.holders, null],
      config: { version: 3, sizes: [3], slots: 4, since: [0, 0, 0, 3] },
    };
    expect(mergeViews(three, again)).toEqual(again);
    expect(mergeViews(again, three)).toBe(again);
  });

  it('do not bring back a holder who has missed that its slot was given up', () => {
    const before: View = { ...three, config: { version: 1, sizes: [3, 1], slots: 3, since: [0, 0, 0] } };
    const after: View = {
      ...before,
      config: { version: 3, sizes: [1], slots: 2, since: [0, 3] },
      holders: [before.holders[0] ?? null, null],
    };
    expect(mergeViews(after, before)).toBe(after);
    expect(mergeViews(before, after)).toEqual(after);
    // Whoever has it since then is in it, whoever learns what first.
    const taken: View = { ...after, holders: [before.holders[0] ?? null, { process: 9, generation: 2, name: 'nine' }] };
    expect(mergeViews(before, taken)).toEqual(taken);
    expect(mergeViews(after, taken)).toEqual(taken);
  });

  it('keep who holds a slot that has been there all along, though the config went on meanwhile', () => {
    const [first = null] = three.holders;
    const holder = { process: 9, generation: 2, name: 'nine' };
    const gathering = { version: 3, sizes: [1], slots: 3, since: [0, 3, 3] } as const;
    const taken: View = { ...three, config: gathering, holders: [first, holder, null] };
    const fewer: View = { ...taken, config: configTowards(gathering, 2) as Config, holders: [first, null] };
    const known = { ...fewer, holders: [first, holder] };
    expect(mergeViews(taken, fewer)).toEqual(known);
    expect(mergeViews(fewer, taken)).toEqual(known);
  });

  it('follow the config step by step: of a later one others tell', () => {
    const before: View = { ...three, config: { version: 1, sizes: [3, 1], slots: 3, since: [0, 0, 0] } };
    const next = { version: 2, sizes: [1], slots: 1, since: [0] } as const;
    expect(stepView(before, next)).toEqual({ ...before, config: next, holders: before.holders.slice(0, 1) });
    expect(stepView(before, { version: 3, sizes: [1], slots: 2, since: [0, 0] })).toBeNull();
  });

  it('have vectors of their own', () => {
    const copying: View = { ...five, config: { version: 1, sizes: [5, 3], slots: 5, since: [0, 0, 0, 0, 0] } };
    const sameHolders: View = { ...five, config: { version: 2, sizes: [5], slots: 5, since: [0, 0, 0, 0, 0] } };
    expect(new Set([five, copying, sameHolders].map(vectorOf)).size).toBe(3);
    expect(configOf(five)).toEqual({ version: 0, sizes: [5], slots: 5, since: [0, 0, 0, 0, 0] });
  });
});
