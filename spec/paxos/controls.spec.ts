/**
 * Negative controls: a farm that breaks a rule is caught, by the properties or, where the schedule that the rule is
 * there for is too rare for chance, by the scenario that spells it out.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Mutation } from './harness.js';
import { mutants } from './mutants.js';
import { profiles } from './profiles.js';
import { parse, Scenario } from './scenario.js';
import { judge, type Profile, trialOf } from './trial.js';
import { Violation } from './witness.js';

const byChance: readonly (readonly [Mutation, Profile])[] = [
  [mutants.majorityTooSmall, profiles.growing],
  [mutants.duplicatesCounted, profiles.growing],
  [mutants.acceptsBelowPromise, profiles.growing],
  [mutants.ballotIgnored, profiles.growing],
  [mutants.nothingAdopted, profiles.growing],
  [mutants.lineageIgnored, profiles.growing],
  [mutants.foundIsChosen, profiles.growing],
  [mutants.unknownIsNothing, profiles.growing],
  [mutants.readUnsettled, profiles.growing],
  [mutants.floorNotRaised, profiles.sessions],
  [mutants.forgottenEarly, profiles.sessions],
];

/** The scenario, a line that is right, and the one that stands there instead when the rule is broken. */
const bySchedule: readonly (readonly [Mutation, string, string, string])[] = [
  [mutants.unsealed, 'seal', 'C get k: -', 'C get k: v'],
  [mutants.expiredAtOnce, 'expired-touch', 'B->* prepare k 80000.0B bound=0', 'B get k: -'],
  [mutants.tombstoneWithoutHorizon, 'horizon', 'C get k: -', 'C get k: v'],
  [mutants.promiseWithoutBound, 'horizon', 'C get k: -', 'C get k: v'],
  [mutants.promiseWithoutBound, 'bare-promise', 'C get k: -', 'C get k: v'],
  [mutants.promiseWithoutBound, 'forgotten-touch', 'C get k: -', 'C get k: v'],
  [mutants.barePromiseForgotten, 'bare-promise', 'C get k: -', 'C get k: v'],
  [mutants.floorNotRaised, 'floor', '1-> nack 2 0.0A stale promised=10.0B', '1-> accepted 0.0A'],
  [mutants.acceptsBelowPromise, 'duel', '1-> nack 2 0.0A stale promised=0.0B', '1-> accepted 0.0A'],
  // Costs time, not safety.
  [
    mutants.nackPhaseIgnored,
    'duel',
    'A->1,2,3 accept k 0.0A "a" until=60s by [A1] horizon=60s',
    'A->* prepare k 112.0A bound=60s',
  ],
];

describe('the properties catch', () => {
  test.each(byChance.map(([mutation, profile]) => ({ name: mutation.name, mutation, profile })))(
    '$name',
    ({ mutation, profile }) => {
      const details = fc.check(
        fc.property(trialOf(profile), (trial) => {
          judge(profile, trial, mutation);
        }),
        { numRuns: 10_000, seed: 1, endOnFailure: true },
      );
      expect(details.errorInstance).toBeInstanceOf(Violation);
    },
  );
});

/** What each block prints, up to the first command that makes no sense any more. */
function play(name: string, mutation?: Mutation): string[][] {
  const scenario = new Scenario(mutation);
  const printed: string[][] = [];
  for (const block of parse(readFileSync(join(__dirname, 'scenarios', `${name}.txt`), 'utf8'))) {
    try {
      printed.push(scenario.run(block).split('\n'));
    } catch {
      break;
    }
  }
  return printed;
}

describe('a scenario catches', () => {
  test.each(
    bySchedule.map(([mutation, scenario, right, wrong]) => ({ name: mutation.name, mutation, scenario, right, wrong })),
  )('$name ($scenario)', ({ mutation, scenario, right, wrong }) => {
    const sound = play(scenario);
    const broken = play(scenario, mutation);
    const block = sound.findIndex((lines, index) => lines.includes(right) && broken[index]?.includes(wrong));
    expect(block).toBeGreaterThanOrEqual(0);
    expect(sound[block]).not.toContain(wrong);
    expect(broken[block]).not.toContain(right);
  });
});
