import { expect, it } from '@jest/globals';
import { NoQuorumError } from '../../lib/errors.js';
import { GuardedClock, type Membership } from '../../lib/membership/index.js';
import { ClockWatch } from '../../lib/node/clock-watch.js';
import type { Diagnosis } from '../../lib/node/diagnosis.js';
import type { Operations } from '../../lib/node/operations.js';
import { systemRuntime } from '../../lib/node/runtime.js';
import { Warnings } from '../../lib/node/warnings.js';

it('ends all operations, those under way too, when the clock by which their ends were reckoned is set', () => {
  let machineMs = 1_700_000_000_000;
  let monotonicMs = 0;
  const ended: unknown[] = [];
  let leaps = 0;
  const failure = new NoQuorumError('The clock was set.', [], []);
  const operations: Pick<Operations, 'abort' | 'inFlight'> = { abort: (error) => void ended.push(error), inFlight: 0 };
  const watch = new ClockWatch({
    runtime: { ...systemRuntime, monotonicMs: () => monotonicMs, wallMs: () => machineMs },
    clock: new GuardedClock(machineMs, monotonicMs, 10_000),
    maxClockSkewMs: 10_000,
    membership: { view: null, slot: 0 } as Membership,
    operations: operations as Operations,
    diagnosis: { clockSet: () => failure } as unknown as Diagnosis,
    warnings: new Warnings(
      () => monotonicMs,
      () => undefined,
    ),
    sizes: () => [3],
    leapt: () => {
      leaps += 1;
    },
  });
  monotonicMs += 50;
  machineMs += 50;
  watch.follow();
  expect(ended).toEqual([]);
  // The machine was suspended for an hour.
  monotonicMs += 50;
  machineMs += 3_600_000;
  watch.follow();
  expect(ended).toEqual([failure]);
  watch.follow();
  expect(ended).toHaveLength(1);
  expect(leaps).toBe(1);
  expect(watch.nowMs()).toBe(machineMs);
});
