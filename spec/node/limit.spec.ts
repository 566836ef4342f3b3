import { describe, expect, it } from '@jest/globals';
import { limited } from '../../lib/node/limit.js';
import { ABSENT, type Change, type Current, type Decision } from '../../lib/paxos/index.js';

const LARGE = new Uint8Array(20);

function applied(current: Partial<Current>, decide: (current: Current) => Decision<null>['write']): Decision<null> {
  const change: Change<null> = {
    bound: 1000,
    mayRemove: false,
    seals: false,
    apply: (found) => ({ write: decide(found), result: null }),
  };
  return limited(change, 10).apply({ ...ABSENT, nowMs: 0, hasSeen: () => false, ...current });
}

describe('a change with a limit', () => {
  it('throws where it would write more than that, attributes included', () => {
    const write = (value: number, attributes: number) => () => ({
      value: new Uint8Array(value),
      attributes: new Uint8Array(attributes),
      until: 1000,
    });
    expect(applied({}, write(6, 4)).write).not.toBeNull();
    expect(() => applied({}, write(6, 5))).toThrow(expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' }));
  });

  it('leaves what is there, which a process with another limit has written', () => {
    const moved = applied({ value: LARGE, until: 10 }, ({ value, attributes }) => ({ value, attributes, until: 1000 }));
    expect(moved.write).toMatchObject({ value: LARGE, until: 1000 });
    expect(() => applied({ value: LARGE }, () => ({ value: LARGE.slice(), attributes: LARGE, until: 1000 }))).toThrow(
      expect.objectContaining({ code: 'ERR_VALUE_TOO_LARGE' }),
    );
  });
});
