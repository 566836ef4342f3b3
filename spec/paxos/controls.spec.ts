/** Negative controls: a farm that breaks a rule is caught by the properties. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Mutation } from './harness.js';
import { mutants } from './mutants.js';
import { profiles } from './profiles.js';
import { judge, type Profile, trialOf } from './trial.js';
import { Violation } from './witness.js';

const controls: readonly (readonly [Mutation, Profile])[] = [
  [mutants.majorityTooSmall, profiles.growing],
  [mutants.duplicatesCounted, profiles.growing],
  [mutants.acceptsBelowPromise, profiles.growing],
  [mutants.ballotIgnored, profiles.growing],
  [mutants.nothingAdopted, profiles.growing],
  [mutants.lineageIgnored, profiles.growing],
  [mutants.foundIsChosen, profiles.growing],
  [mutants.unknownIsNothing, profiles.growing],
  [mutants.readUnsettled, profiles.growing],
  [mutants.unsealed, profiles.all],
  [mutants.tombstoneWithoutHorizon, profiles.sessions],
  [mutants.promiseWithoutBound, profiles.sessions],
  [mutants.barePromiseForgotten, profiles.sessions],
  [mutants.floorNotRaised, profiles.sessions],
  [mutants.forgottenEarly, profiles.sessions],
];

describe('is caught', () => {
  test.each(controls.map(([mutation, profile]) => ({ name: mutation.name, mutation, profile })))(
    '$name',
    ({ mutation, profile }) => {
      const details = fc.check(
        fc.property(trialOf(profile), (trial) => {
          judge(profile, trial, mutation);
        }),
        { numRuns: 20_000, seed: 1, endOnFailure: true },
      );
      if (process.env.SHOW) console.log(details.numRuns, String(details.errorInstance).slice(0, 300));
      expect(details.errorInstance).toBeInstanceOf(Violation);
    },
    120_000,
  );
});
