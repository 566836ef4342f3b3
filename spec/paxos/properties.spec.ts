import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { profiles } from './profiles.js';
import { judge, trialOf } from './trial.js';

/** NUM_RUNS=100000 hunts, by a new seed each time; a failure prints the seed and path that lead back to it. */
const numRuns = Number(process.env.NUM_RUNS ?? 300);
const seed = process.env.NUM_RUNS === undefined ? { seed: 1 } : {};

/** Of histories, how many the search for an order may give up on: a check that does not look is none. */
const MAX_UNDECIDED = 0.01;

describe('any schedule', () => {
  test.each(Object.values(profiles))(
    '$name',
    (profile) => {
      let undecided = 0;
      fc.assert(
        fc.property(trialOf(profile), (trial) => {
          undecided += judge(profile, trial).undecided;
        }),
        { numRuns, ...seed },
      );
      if (undecided > Math.ceil(numRuns * MAX_UNDECIDED)) throw new Error(`${undecided} histories undecided`);
    },
    3_600_000,
  );
});
