import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import { type LevelOptions, LevelStorage, type Storage } from '../storage/index.js';
import type { TransportOption } from '../transport/index.js';
import { checkSecrets } from '../wire/index.js';

const MAX_CLUSTER_SIZE = 99;

/** How a process takes part in a farm. All processes of one farm need the same `cluster`, `secret`, `clusterSize`. */
export interface NodeOptions {
  /** Name of the farm; farms with different names ignore each other on one network. 1..128 characters. Default `'default'`. */
  readonly cluster?: string | undefined;
  /**
   * Seals the farm's traffic: 16 characters or more. Of several the first seals and all open, for changing it without
   * a stop. `false`: no seal, anybody on the network can read and write sessions. Left out, the same with a warning,
   * and refused where `NODE_ENV` is `production`.
   */
  readonly secret?: string | readonly string[] | false | undefined;
  /** N, the number of voters that the farm is formed with, 1..99; a majority of them must be up. Default 3. */
  readonly clusterSize?: number | undefined;
  /** Voter slot of this process: 1..clusterSize, `'auto'` for any that is free, `false` for a learner. Default `'auto'`. */
  readonly slot?: number | 'auto' | false | undefined;
  /**
   * Where a voter's memory is: `'memory'`, the default, in which it ends with the process; `{ path }`, a directory of this
   * process's own, by way of the package classic-level; or an object that implements `Storage`.
   */
  readonly storage?: StorageOption | undefined;
  /** How the processes reach each other. Default: UDP multicast, group 239.255.77.77, port 7707. */
  readonly transport?: TransportOption | undefined;
  /** Ms for one operation, retries included: 10 to 60 000, and less than `maxClockSkewMs`. Default 2000. */
  readonly timeout?: number | undefined;
  /** S: ms by which the clocks of two hosts may differ, 20..600 000. Default 10 000. */
  readonly maxClockSkewMs?: number | undefined;
  /** Largest value in bytes, 1..6 291 456 (6 MiB). Default 1 MiB. */
  readonly maxValueSize?: number | undefined;
  /**
   * At the first start of a farm: ms until a bare majority of the voters may form it without the others, which then
   * come in later. 1000..3 600 000. Default 30 000.
   */
  readonly formationGraceMs?: number | undefined;
  /** At the first start of a farm: let a bare majority form it at once. Default `false`. */
  readonly bootstrap?: boolean | undefined;
  /** Name of this process for people, 1..128 characters. Default `host:pid`. */
  readonly name?: string | undefined;
}

export type StorageOption = 'memory' | LevelOptions | Storage;

/** {@link NodeOptions} with all defaults filled in. */
export interface NodeSettings {
  readonly cluster: string;
  readonly secret: string | readonly string[] | false | undefined;
  readonly clusterSize: number;
  /** 1..N, 0 for any, −1 for none. */
  readonly wish: number;
  /** `null`: none that outlives the process. */
  readonly storage: Storage | null;
  readonly timeoutMs: number;
  readonly maxClockSkewMs: number;
  readonly maxValueSize: number;
  readonly formationGraceMs: number;
  readonly isBootstrap: boolean;
  readonly name: string;
}

const NAMES = [
  'cluster',
  'secret',
  'clusterSize',
  'slot',
  'storage',
  'transport',
  'timeout',
  'maxClockSkewMs',
  'maxValueSize',
  'formationGraceMs',
  'bootstrap',
  'name',
] as const satisfies readonly (keyof NodeOptions)[];

/** @throws ConfigError that says which option, what it got, what it takes */
export function checkNodeOptions(options: NodeOptions, defaultName: string, isProduction: boolean): NodeSettings {
  for (const name of Object.keys(options)) {
    if (!(NAMES as readonly string[]).includes(name)) {
      throw new ConfigError(`There is no option ${name}; a node takes ${NAMES.join(', ')}.`);
    }
  }
  const { cluster = 'default', secret, slot = 'auto', bootstrap = false, name = defaultName } = options;
  if (typeof cluster !== 'string' || cluster.length < 1 || cluster.length > 128) {
    throw refuse('cluster', cluster, 'a string of 1 to 128 characters');
  }
  if (secret === undefined && isProduction) {
    throw new ConfigError(
      "Option secret is missing: whoever reaches the network could read and write all sessions. Set it to a string of 16 characters or more, the same in all processes of the farm, or to false if that is what you want. (It may be left out where NODE_ENV is not 'production'.)",
    );
  }
  checkSecrets(secret);
  const clusterSize = integer('clusterSize', options.clusterSize, 3, 1, MAX_CLUSTER_SIZE);
  const maxClockSkewMs = integer('maxClockSkewMs', options.maxClockSkewMs, 10_000, 20, 600_000);
  const longestMs = longestTimeoutMs(maxClockSkewMs);
  const timeoutMs = integer('timeout', options.timeout, Math.min(2000, maxClockSkewMs - 1), 10, longestMs);
  if (typeof bootstrap !== 'boolean') throw refuse('bootstrap', bootstrap, 'true or false');
  if (typeof name !== 'string' || name.length < 1 || name.length > 128 || /[\p{Cc}\p{Surrogate}]/u.test(name)) {
    throw refuse('name', name, 'a string of 1 to 128 characters, whole ones, and no control characters');
  }
  return {
    cluster,
    secret,
    clusterSize,
    wish: wishOf(slot, clusterSize),
    storage: storageOf(options.storage),
    timeoutMs,
    maxClockSkewMs,
    maxValueSize: integer('maxValueSize', options.maxValueSize, 2 ** 20, 1, 6 * 2 ** 20),
    formationGraceMs: integer('formationGraceMs', options.formationGraceMs, 30_000, 1000, 3_600_000),
    isBootstrap: bootstrap,
    name,
  };
}

/** Ms that an operation may take: what is forgotten, and when, rests on its being less than S. */
export function longestTimeoutMs(maxClockSkewMs: number): number {
  return Math.min(60_000, maxClockSkewMs - 1);
}

/** Why one operation's own time-out is not within what the farm's rules allow, or `null`. */
export function refuseTimeout(timeoutMs: number, maxClockSkewMs: number): ConfigError | null {
  const longestMs = longestTimeoutMs(maxClockSkewMs);
  if (typeof timeoutMs === 'number' && timeoutMs >= 0 && timeoutMs <= longestMs) return null;
  return refuse('timeoutMs', timeoutMs, `a number from 0 to ${longestMs}, less than maxClockSkewMs`);
}

/** One that no message can carry would be kept by this process's acceptor, and refused by all others. */
export function refuseBound(bound: number): ConfigError | null {
  return Number.isSafeInteger(bound) && bound >= 0
    ? null
    : refuse('bound', bound, `a whole number of ms since 1970, from 0 to ${Number.MAX_SAFE_INTEGER}`);
}

/** @throws ConfigError if no farm can have so many voters */
export function refuseSize(size: unknown): void {
  integer('size', size ?? Number.NaN, 3, 1, MAX_CLUSTER_SIZE);
}

function storageOf(option: unknown): Storage | null {
  if (option === undefined || option === 'memory') return null;
  if (typeof option === 'object' && option !== null) {
    const { path } = option as Partial<LevelOptions>;
    if (typeof path === 'string' && path !== '') return new LevelStorage({ path });
    if (STORAGE_METHODS.every((name) => typeof (option as Record<string, unknown>)[name] === 'function')) {
      return option as Storage;
    }
  }
  throw refuse('storage', option, "'memory', { path: './data' } or an object that implements Storage");
}

const STORAGE_METHODS = ['open', 'write', 'setAside', 'close'] as const satisfies readonly (keyof Storage)[];

function wishOf(slot: unknown, clusterSize: number): number {
  if (slot === 'auto') return 0;
  if (slot === false) return -1;
  if (typeof slot === 'number' && Number.isInteger(slot) && slot >= 1 && slot <= clusterSize) return slot;
  throw refuse('slot', slot, `a number from 1 to clusterSize (${clusterSize}), 'auto' or false`);
}

function integer(name: string, value: unknown, otherwise: number, min: number, max: number): number {
  if (value === undefined) return otherwise;
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  throw refuse(name, value, `a whole number from ${min} to ${max}`);
}

function refuse(name: string, got: unknown, takes: string): ConfigError {
  return new ConfigError(`Option ${name} got ${inspect(got, { depth: 0 }).slice(0, 100)}; it takes ${takes}.`);
}
