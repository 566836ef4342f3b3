import type { SessionData } from 'express-session';
import { ConfigError } from '../errors.js';
import { isWellFormed } from '../node/register-key.js';
import type { Consistency } from '../node/registers.js';
import { encode } from './bytes.js';
import { type FieldConflict, mineWins } from './merge.js';
import type { SessionSerializer } from './serializer.js';

/** A session's field that two requests changed at the same time, perhaps alike, for the `merge` option to decide. */
export interface SessionFieldConflict extends FieldConflict {
  readonly sid: string;
}

/** What a store does with sessions. */
export interface SessionOptions {
  /**
   * Bucket the sessions live in. Stores with different prefixes do not see each other's. No `/`, no `~` at its beginning.
   * Default `'sess'`.
   */
  readonly prefix?: string | undefined;
  /**
   * Life in seconds of a session whose cookie says nothing of it (a browser session), or a function that says it.
   * Above 0; `Infinity` for sessions that never expire. Default 86400, a day.
   *
   * 0 is refused as a constant: it would keep no browser session at all. A function may return 0 or less for a session
   * that is not to be kept: saving it succeeds and leaves nothing.
   */
  readonly ttl?: number | ((session: SessionData) => number) | undefined;
  /**
   * Seconds by which a session's stored expiry may lag behind its use, so that not every read becomes a write. The
   * record outlives the cookie by as much, so nobody is logged out early. Never more than a tenth of the session's
   * life. 0: every use is written, and a session is gone at the millisecond its cookie says. Default 60.
   */
  readonly touchAfter?: number | undefined;
  /**
   * What becomes of a field that two requests changed at the same time. By default the later save wins. A function returns
   * the value the field is to have, `undefined` to remove it. It is asked also if both made the same of it: two that count up
   * by one did. It may be called several times for one save, so it must be synchronous and do nothing else; what it throws
   * fails the save.
   *
   * `false`: no merging at all, a save replaces the whole of the data (never a destroyed session, though).
   */
  readonly merge?: false | ((conflict: SessionFieldConflict) => unknown) | undefined;
  /** How the data is stored. Default `JSON`. All stores of a farm must agree on it. */
  readonly serializer?: SessionSerializer | undefined;
  /**
   * How fresh a session is when it is loaded. `'quorum'`: linearizable, one round trip. `'lease'`: linearizable, without
   * the network where it can; the same as `'quorum'` for now. `'local'`: from this process's own memory where
   * that has the session, else as `'quorum'`. So a new login is found, but a change or a logout made elsewhere a moment ago
   * may not be seen yet. What has expired is never given, nor anything while this process's clock is known to be wrong.
   * Default `'quorum'`.
   */
  readonly reads?: 'lease' | 'quorum' | 'local' | undefined;
  /**
   * Largest session in bytes, serialised, cookie included. 1 to 67108864. Default 1048576, one MiB. A node that
   * the store makes for itself gets the same limit, and takes 6291456 at most; one that is shared has its own beside this.
   */
  readonly maxValueSize?: number | undefined;
}

/** The options, checked and with their defaults filled in; times in ms. */
export interface SessionRules {
  readonly prefix: string;
  readonly ttlMs: (session: SessionData) => number;
  readonly touchAfterMs: number;
  readonly merge: false | ((conflict: SessionFieldConflict) => unknown);
  readonly serializer: SessionSerializer;
  readonly consistency: Consistency;
  readonly maxValueSize: number;
}

const DAY_S = 86_400;

/** Names of the {@link SessionOptions} that are the store's alone; what else it is given is for its node. */
export const SESSION_OPTION_NAMES = [
  'prefix',
  'ttl',
  'touchAfter',
  'merge',
  'serializer',
  'reads',
] as const satisfies readonly (keyof SessionOptions)[];

/** @throws ConfigError that names the option, what it got and what it takes */
export function checkSessionOptions(options: SessionOptions): SessionRules {
  const { prefix = 'sess', ttl = DAY_S, touchAfter = 60, merge = mineWins, serializer = JSON } = options;
  const { reads = 'quorum', maxValueSize = 2 ** 20 } = options;

  check(
    'prefix',
    prefix,
    isBucket(prefix),
    'a string of 1 to 255 bytes without "/", and without "~" at its beginning, where it marks the package\'s own buckets: choose another',
  );
  check(
    'ttl',
    ttl,
    typeof ttl === 'function' || (typeof ttl === 'number' && ttl > 0),
    'seconds above 0, Infinity for sessions that never expire, or a function of the session that returns seconds',
  );
  check('touchAfter', touchAfter, typeof touchAfter === 'number' && touchAfter >= 0, 'seconds, 0 or more');
  check('merge', merge, merge === false || typeof merge === 'function', 'false or a function');
  check('serializer', serializer, isSerializer(serializer), 'an object with the functions stringify and parse');
  check('reads', reads, ['lease', 'quorum', 'local'].includes(reads), "'lease', 'quorum' or 'local'");
  check('maxValueSize', maxValueSize, isSize(maxValueSize), 'a whole number of bytes from 1 to 67108864');

  return {
    prefix,
    ttlMs: (session) => 1000 * (typeof ttl === 'function' ? checkedTtl(ttl(session)) : ttl),
    touchAfterMs: 1000 * touchAfter,
    merge,
    serializer,
    // There are no leases yet; a quorum read promises the same.
    consistency: reads === 'local' ? 'local' : 'quorum',
    maxValueSize,
  };
}

/** @throws ConfigError unless it is good */
export function check(name: string, got: unknown, isGood: boolean, takes: string): void {
  if (!isGood) throw new ConfigError(`Option ${name} is ${shown(got)}; it takes ${takes}.`);
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}

function isBucket(prefix: unknown): boolean {
  if (typeof prefix !== 'string' || prefix === '' || prefix.includes('/')) return false;
  // Keys live by what is in those: a session there could be taken for a lease.
  if (prefix.startsWith('~')) return false;
  return isWellFormed(prefix) && encode(prefix).length <= 255;
}

function isSerializer(serializer: SessionSerializer): boolean {
  return typeof serializer?.stringify === 'function' && typeof serializer.parse === 'function';
}

function isSize(size: unknown): boolean {
  return Number.isInteger(size) && Number(size) >= 1 && Number(size) <= 2 ** 26;
}

function checkedTtl(seconds: unknown): number {
  if (typeof seconds === 'number' && !Number.isNaN(seconds)) return seconds;
  throw new ConfigError(`The function in option ttl returned ${shown(seconds)}; it must return seconds.`);
}
