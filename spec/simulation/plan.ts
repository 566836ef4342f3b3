import type { Random } from './random.js';

/** What a seed decides of a run before it begins. */
export interface Plan {
  readonly clusterSize: number;
  readonly learners: number;
  readonly clientsPerProcess: number;
  readonly maxClockSkewMs: number;
  readonly timeoutMs: number;
  /** How long the clients work, if nothing holds them up. */
  readonly workMs: number;
  /** Mean time between two calls of one client. */
  readonly thinkMs: number;
  /** How often a fault begins, on average. */
  readonly faultMs: number;
  readonly faults: readonly FaultKind[];
  readonly badWeather: boolean;
  readonly stallChance: number;
  /** One voter's process is started after the farm was formed by the others. */
  readonly isOneLate: boolean;
  /** Chance that a proposal reaches a minority only: see `message-faults.ts`. */
  readonly minorityAccepts: number;
  /** Chance, at each ballot, that an acceptor hears nothing of that register for a while. */
  readonly deafness: number;
  readonly commitLoss: number;
  /** Life of a session, unless its cookie says something else. */
  readonly sessionLifeMs: number;
  /** Longest life that is given to a value. */
  readonly longestLifeMs: number;
}

export type FaultKind =
  | 'partition'
  | 'one way'
  | 'isolate'
  | 'deafen'
  | 'mute'
  | 'pause'
  | 'kill'
  | 'stop'
  | 'step of a clock'
  | 'leap of a clock'
  | 'weather';

const KINDS: readonly FaultKind[] = [
  'partition',
  'one way',
  'isolate',
  'deafen',
  'mute',
  'pause',
  'pause',
  'kill',
  'stop',
  'step of a clock',
  'leap of a clock',
  'weather',
];

export function planOf(random: Random): Plan {
  const clusterSize = random.pick([3, 3, 3, 3, 3, 1, 4, 5]);
  const maxClockSkewMs = random.pick([1000, 2000, 2000, 4000]);
  const learners = random.integer(3);
  const clientsPerProcess = 1 + random.integer(3);
  const clients = (clusterSize + learners) * clientsPerProcess;
  const workMs = random.pick([2000, 4000, 10_000, 40_000]);
  const thinkMs = (workMs * clients) / 700;
  const isAimed = random.chance(0.5);
  return {
    clusterSize,
    learners,
    clientsPerProcess,
    maxClockSkewMs,
    timeoutMs: random.pick([300, 500, 900]),
    workMs,
    thinkMs,
    faultMs: random.pick([workMs / 100, workMs / 30, workMs / 10]),
    faults: random.chance(0.1) ? [] : random.some(KINDS),
    badWeather: random.chance(0.7),
    stallChance: random.chance(0.3) ? 2e-4 : 0,
    minorityAccepts: isAimed ? random.pick([0.01, 0.05, 0.2]) : 0,
    deafness: isAimed ? random.pick([0, 0.01, 0.05]) : 0,
    commitLoss: isAimed ? random.pick([0, 0.3, 1]) : 0,
    isOneLate: clusterSize >= 3 && random.chance(0.15),
    sessionLifeMs: random.pick([3000, 6000, 12_000]),
    longestLifeMs: random.pick([4000, 8000, 15_000, 60_000]),
  };
}
