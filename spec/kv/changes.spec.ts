import { describe, expect, it } from '@jest/globals';
import { compareChange, deleteChange, putChange, setChange, updateChange } from '../../lib/kv/changes.js';
import type { Held } from '../../lib/kv/keyed.js';
import { encodeValue } from '../../lib/kv/value.js';
import { ABSENT, FOREVER } from '../../lib/paxos/index.js';

const NOW = 1_750_000_000_000;
const value = encodeValue('new');
const held: Held = { ...ABSENT, value: encodeValue('old'), until: NOW + 5000 };
const attributes = { version: 'p.1', lives: [], given: 'p.1' };
const bounds = (untilMs: number): { untilMs: number; lives: [] } => ({ untilMs, lives: [] });

describe('What a change announces', () => {
  it('is the end that it gives', () => {
    for (const untilMs of [NOW + 5, FOREVER]) {
      expect(setChange(value, bounds(untilMs)).bound).toBe(untilMs);
      expect(putChange(value, bounds(untilMs)).bound).toBe(untilMs);
      expect(updateChange(() => value, bounds(untilMs)).bound).toBe(untilMs);
      expect(compareChange({ kind: 'absent' }, value, bounds(untilMs)).bound).toBe(untilMs);
    }
  });

  it('is none where it keeps the one that is there, and where it only removes', () => {
    expect(updateChange(() => value, null).bound).toBe(0);
    expect(compareChange({ kind: 'absent' }, value, null).bound).toBe(0);
    expect(deleteChange(null).bound).toBe(0);
  });

  it('is that nothing may come after it, only where it removes whatever is there', () => {
    expect(deleteChange(null).seals).toBe(true);
    expect(deleteChange({ kind: 'version', version: 'p.1' }).seals).toBe(false);
    expect(setChange(value, bounds(FOREVER)).seals).toBe(false);
  });
});

describe('What a change does', () => {
  it('depends on what is there alone, and is the same each time', () => {
    const all = [
      setChange(value, bounds(FOREVER)),
      putChange(value, bounds(FOREVER)),
      updateChange((found) => (found === null ? 'keep' : value), null),
      compareChange({ kind: 'version', version: 'p.1' }, value, null),
      deleteChange({ kind: 'value', value: encodeValue('old') }),
    ];
    for (const change of all) {
      expect(change.apply(held, attributes, NOW)).toEqual(change.apply(held, attributes, NOW + 1000));
      expect(change.apply(null, null, NOW)).toEqual(change.apply(null, null, NOW + 1000));
    }
    expect(all.map((change) => change.apply(held, attributes, NOW).step.kind)).toEqual([
      'write',
      'keep',
      'write',
      'write',
      'remove',
    ]);
    expect(all.map((change) => change.apply(null, null, NOW).step.kind)).toEqual([
      'write',
      'write',
      'keep',
      'keep',
      'keep',
    ]);
  });

  it('is not to remove what is not there', () => {
    expect(updateChange(() => 'remove', null).apply(null, null, NOW).step.kind).toBe('keep');
  });
});
