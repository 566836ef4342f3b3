import type { Profile } from './trial.js';

const forEver = { maxClockSkewMs: 10_000, timeoutMs: 2000, lifeMs: null, leapMs: 400, forgets: false, maxSteps: 300 };
const mortal = { maxClockSkewMs: 1000, timeoutMs: 900, leapMs: 6000, forgets: true, maxSteps: 300 };

/** The kinds of runs that are made of every farm, sound or not. */
export const profiles = {
  growing: {
    ...forEver,
    name: 'lists that only grow: nothing lost, nothing twice',
    sizes: [1, 2, 3, 3, 3, 4, 5, 6, 7, 8, 9],
    verbs: ['append', 'append', 'append', 'get'],
    keys: 1,
  },
  all: {
    ...forEver,
    name: 'all operations, without an end to values',
    sizes: [1, 2, 3, 3, 3, 4, 5, 7],
    verbs: ['append', 'set', 'put', 'destroy', 'get', 'get', 'settle'],
    keys: 2,
  },
  mortal: {
    ...mortal,
    name: 'expiry and forgetting, clocks up to S apart',
    sizes: [1, 2, 3, 3, 3, 4, 5],
    verbs: ['append', 'set', 'put', 'touch', 'touch', 'destroy', 'destroy', 'get', 'get', 'settle'],
    keys: 2,
    lifeMs: [100, 6000],
  },
  sessions: {
    ...mortal,
    name: 'logins, touches and logouts of one session, forgotten early',
    sizes: [3],
    verbs: ['set', 'touch', 'touch', 'destroy', 'destroy', 'get'],
    keys: 1,
    lifeMs: [2000, 20_000],
  },
} satisfies Record<string, Profile>;
