import type { Verb } from './histories.js';
import type { Random } from './random.js';

/** What a run may be about. */
export const TOPICS = [
  'mixed',
  'mortal',
  'contended',
  'read',
  'doubtful',
  'calm',
  'turnover',
  'resized',
  'keys',
] as const;

export type Topic = (typeof TOPICS)[number];

/** What a seed decides of a run before it begins. */
export interface Plan {
  readonly topic: Topic;
  readonly clusterSize: number;
  readonly learners: number;
  /** Numbers of voters that the farm is brought to by the fault `resize`. */
  readonly sizes: readonly number[];
  /** Whether voters keep their memory on disk. */
  readonly hasDisks: boolean;
  /** Whether some of the learners take slots that are open. */
  readonly hasStandbys: boolean;
  /** Whether each process is given its slot; standbys those of others, so that two are given one. */
  readonly hasFixedSlots: boolean;
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
  /** Whether some datagrams come seconds late, whatever the weather. */
  readonly delays: boolean;
  readonly stallChance: number;
  /** One voter's process is started after the farm was formed by the others. */
  readonly isOneLate: boolean;
  /** What the users of the registers do, by kind of register. */
  readonly verbs: Readonly<Record<string, readonly Verb[]>>;
  /** Shortest and longest life in ms that they give by an operation, where it is not drawn up to `longestLifeMs`. */
  readonly lives: { readonly [verb in Verb]?: readonly [number, number] };
  /** Hot registers of each kind. */
  readonly hotKeys: number;
  /** Part of the steps that are requests to the sessions' store. */
  readonly sessionShare: number;
  /** Part of the steps that are of the key-value store: see `kv-clients.ts`. */
  readonly kvShare: number;
  /** Hot keys of each kind. */
  readonly kvKeys: number;
  /** Chance that a key that is given a lifetime hangs on other keys, leases or processes. */
  readonly kvHanging: number;
  /** Chance that somebody on a server watches; of one more, each time. */
  readonly kvWatchers: number;
  /** Chance that a client begins a story of its own instead of a step: see `episodes.ts`. */
  readonly episodes: number;
  /** Chance that a proposal reaches a minority only: see `message-faults.ts`. */
  readonly minorityAccepts: number;
  /** Chance that a phase is heard by a quorum and no more, or by fewer. */
  readonly exactQuorums: number;
  /** Chance, at each ballot, that an acceptor hears nothing of that register for a while. */
  readonly deafness: number;
  readonly commitLoss: number;
  /** Silence after which a process counts as gone; 0: as long as in earnest. Nothing of safety rests on it. */
  readonly patienceMs: number;
  /** Life of a session, unless its cookie says something else. */
  readonly sessionLifeMs: number;
  /** Longest life that is given to a value. */
  readonly longestLifeMs: number;
  /** Chance that it gets none, and lives until it is removed. */
  readonly endless: number;
}

export type FaultKind =
  | 'partition'
  | 'one way'
  | 'isolate'
  | 'shun'
  | 'usurp'
  | 'resize'
  | 'deafen'
  | 'mute'
  | 'pause'
  | 'freeze'
  | 'rounds ahead'
  | 'kill'
  | 'kill all'
  | 'disk fails'
  | 'disk lost'
  | 'stop'
  | 'step of a clock'
  | 'leap of a clock'
  | 'weather';

export const FAULT_KINDS: readonly FaultKind[] = [
  'partition',
  'one way',
  'isolate',
  'shun',
  'deafen',
  'mute',
  'pause',
  'pause',
  'freeze',
  'rounds ahead',
  'kill',
  'kill all',
  'disk fails',
  'disk lost',
  'stop',
  'step of a clock',
  'leap of a clock',
  'weather',
];

/** Numbers and lists only grow, so nothing done twice and nothing lost can hide. */
const GROWING: Readonly<Record<string, readonly Verb[]>> = {
  n: ['increment', 'increment', 'get'],
  l: ['append', 'append', 'append', 'get', 'remove'],
};
const VALUES: readonly Verb[] = ['get', 'get', 'get', 'set', 'set', 'cas', 'cas', 'touch', 'remove'];

/** What a run is not told otherwise by its topic. */
type Kind = Omit<Plan, 'topic' | 'thinkMs' | 'faultMs' | 'kvShare'> & {
  kvShare: number;
  /** Calls under way at a time, about: each client waits for its answer. */
  readonly haste: number;
};

/**
 * What is rare when everything happens at once is common where little else does: lives that end and are forgotten,
 * many that want the same register, reads beside half-done writes.
 */
function kindOf(topic: Topic, mixed: Kind, random: Random): Kind {
  switch (topic) {
    case 'mortal':
      return {
        ...mixed,
        clusterSize: random.pick([3, 3, 3, 4, 5]),
        maxClockSkewMs: 1000,
        workMs: 40_000,
        // Put off for long what was to end soon: a tombstone that does not know of it is forgotten first.
        verbs: { v: ['set', 'set', 'touch', 'touch', 'touch', 'remove', 'remove', 'get', 'get', 'get'] },
        lives: { set: [50, 1000], put: [50, 1000], touch: [4000, 9000] },
        hotKeys: random.pick([2, 30, 30]),
        sessionShare: random.pick([0, 0.3, 0.7]),
        sessionLifeMs: random.pick([6000, 12_000]),
        episodes: 0.3,
        longestLifeMs: 9000,
        minorityAccepts: random.pick([0.2, 0.5]),
        exactQuorums: random.pick([0.3, 0.9]),
        deafness: random.pick([0, 0, 0.1]),
        commitLoss: random.pick([0, 0, 0.3]),
        faults: random.chance(0.6) ? [] : mixed.faults,
        badWeather: random.chance(0.3),
        delays: random.chance(0.3),
      };
    case 'doubtful':
      return {
        ...mixed,
        clusterSize: 3,
        maxClockSkewMs: 1000,
        timeoutMs: 900,
        workMs: 60_000,
        verbs: { n: ['increment', 'increment', 'get'], v: ['touch', 'set', 'cas', 'get'] },
        lives: { increment: [200, 9000], set: [200, 9000] },
        longestLifeMs: 9000,
        sessionShare: random.pick([0, 0.3]),
        faults: ['freeze', 'freeze', 'freeze', 'isolate', 'pause'],
      };
    case 'calm':
      // Where nothing goes wrong nothing may fail.
      return {
        ...mixed,
        verbs: { ...GROWING, v: ['cas', 'cas', 'set', 'get'] },
        hotKeys: random.pick([1, 2]),
        haste: random.pick([1, 20]),
        sessionShare: random.pick([0, 0.5]),
        faults: [],
        badWeather: false,
        stallChance: 0,
        episodes: 0,
        minorityAccepts: 0,
        exactQuorums: 0,
        deafness: 0,
        commitLoss: 0,
      };
    case 'turnover':
      // Slots change hands all the time: voters end, or are not heard for so long that others take their places.
      return {
        ...mixed,
        clusterSize: random.pick([3, 3, 3, 5, 4]),
        learners: random.pick([0, 1, 2]),
        hasStandbys: random.chance(0.7),
        hasFixedSlots: random.chance(0.3),
        hasDisks: random.chance(0.4),
        workMs: random.pick([40_000, 80_000]),
        hotKeys: random.pick([1, 2, 20]),
        sessionShare: random.pick([0, 0.3, 0.7]),
        longestLifeMs: random.pick([15_000, 60_000, 120_000]),
        faults: random.some([
          'kill',
          'kill',
          'stop',
          'pause',
          'isolate',
          'shun',
          'shun',
          'usurp',
          'partition',
          'deafen',
          'one way',
          'kill all',
          'disk fails',
          'disk lost',
        ]),
        badWeather: random.chance(0.4),
      };
    case 'resized': {
      // As in a turnover, while slots come and go.
      const clusterSize = random.pick([1, 3, 3, 4]);
      const most = random.pick([3, 5, 5]);
      return {
        ...kindOf('turnover', mixed, random),
        clusterSize,
        learners: Math.max(1, most - clusterSize) + random.integer(2),
        sizes: random
          .pick([
            [1, 2, 3],
            [3, 5],
            [2, 3, 4, 5],
            [3, 4, 5],
          ])
          .filter((size) => size <= most),
        hasStandbys: true,
        // Nobody would take those that come.
        hasFixedSlots: false,
        faults: [
          'resize',
          'resize',
          ...random.some<FaultKind>(['kill', 'stop', 'pause', 'isolate', 'shun', 'partition', 'kill all']),
        ],
      };
    }
    case 'contended':
      return {
        ...mixed,
        verbs: { ...GROWING, v: ['cas', 'cas', 'set', 'get'] },
        hotKeys: 1,
        sessionShare: random.pick([0, 0.3]),
        haste: 20,
        delays: random.chance(0.5),
      };
    case 'read':
      return {
        ...mixed,
        verbs: { v: ['get', 'get', 'get', 'get', 'set', 'cas', 'cas'] },
        hotKeys: random.pick([1, 2]),
        sessionShare: random.pick([0, 0.3]),
        longestLifeMs: 15_000,
        haste: random.pick([1, 10]),
        minorityAccepts: random.pick([0.05, 0.2, 0.4]),
        exactQuorums: random.pick([0, 0.5]),
      };
    case 'keys':
      return {
        ...mixed,
        clusterSize: random.pick([3, 3, 3, 1, 5]),
        learners: random.pick([0, 1, 1]),
        workMs: random.pick([4000, 10_000, 40_000]),
        kvShare: random.pick([0.8, 1]),
        longestLifeMs: random.pick([4000, 8000, 15_000]),
        sessionShare: 0.5,
        episodes: 0,
        haste: random.pick([1, 1, 10]),
      };
    case 'mixed':
      return mixed;
  }
}

function faultMsOf(topic: Topic, workMs: number, random: Random): number {
  if (topic === 'doubtful') return 15_000;
  // About as long as it takes to claim a slot and to get its memory, so that things go wrong amid that.
  if (topic === 'turnover' || topic === 'resized') return random.pick([1000, 3000, 8000]);
  return workMs / random.pick([100, 30, 10]);
}

/** @param topic in place of the one that the seed draws */
export function planOf(random: Random, topic?: Topic): Plan {
  const drawn = random.pick([
    'mixed',
    'mixed',
    'mixed',
    'mortal',
    'mortal',
    'contended',
    'contended',
    'read',
    'read',
    'doubtful',
    'calm',
    'turnover',
    'turnover',
    'turnover',
    'resized',
    'resized',
  ] as const);
  // From a stream of their own: what they draw changes nothing of the rest.
  const keys = random.fork('keys');
  const isOfKeys = keys.chance(0.15);
  const isAimed = random.chance(0.5);
  const clusterSize = random.pick([3, 3, 3, 3, 3, 1, 4, 5]);
  const mixed: Kind = {
    clusterSize,
    learners: random.integer(3),
    sizes: [],
    hasStandbys: random.chance(0.5),
    hasDisks: random.chance(0.25),
    clientsPerProcess: 1 + random.integer(3),
    maxClockSkewMs: random.pick([1000, 2000, 2000, 4000]),
    timeoutMs: random.pick([300, 500, 900]),
    workMs: random.pick([2000, 4000, 10_000, 40_000]),
    verbs: { ...GROWING, v: VALUES, w: VALUES },
    lives: {},
    hotKeys: 2,
    sessionShare: 0.5,
    sessionLifeMs: random.pick([3000, 6000, 12_000]),
    longestLifeMs: random.pick([4000, 8000, 15_000, 60_000]),
    haste: 1,
    episodes: random.pick([0, 0.05]),
    minorityAccepts: isAimed ? random.pick([0.01, 0.05, 0.2]) : 0,
    exactQuorums: isAimed ? random.pick([0, 0.1, 0.5]) : 0,
    deafness: isAimed ? random.pick([0, 0.01, 0.05]) : 0,
    commitLoss: isAimed ? random.pick([0, 0.3, 1]) : 0,
    patienceMs: 0,
    faults: random.chance(0.1) ? [] : random.some(FAULT_KINDS),
    badWeather: random.chance(0.7),
    delays: false,
    stallChance: random.chance(0.3) ? 2e-4 : 0,
    isOneLate: random.chance(0.15),
    hasFixedSlots: random.chance(0.1),
    endless: random.pick([0, 0.05, 0.3]),
    kvShare: 0,
    kvKeys: keys.pick([1, 2, 2, 4]),
    kvHanging: keys.pick([0.3, 0.6, 0.9]),
    kvWatchers: keys.pick([0, 0.3, 0.6]),
  };
  const chosen = topic ?? (isOfKeys ? 'keys' : drawn);
  if (chosen === 'mixed' || chosen === 'turnover') mixed.kvShare = keys.pick([0, 0, 0.3, 0.7]);
  const { haste, ...kind } = kindOf(chosen, mixed, random);
  const clients = (kind.clusterSize + kind.learners) * kind.clientsPerProcess;
  return {
    ...kind,
    topic: chosen,
    thinkMs: ((kind.workMs * clients) / 700 / haste) * (1 + 6 * kind.episodes),
    faultMs: faultMsOf(chosen, kind.workMs, random),
    isOneLate: kind.clusterSize >= 3 && kind.isOneLate,
  };
}
