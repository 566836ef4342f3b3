/**
 * The cookie of a session, which is stored beside the data: a touch moves it and leaves the data alone. Kept in its
 * JSON form, `{ originalMaxAge, expires, httpOnly, path, … }`.
 */
import { isDeepStrictEqual } from 'node:util';
import { FOREVER, NO_BYTES } from '../paxos/index.js';
import { decode, encode } from './bytes.js';
import { type Fields, isPlain, merge, mineWins } from './merge.js';

/** A cookie in JSON's values; `null` for a session object that has none. */
export type StoredCookie = Readonly<Fields> | null;

/** Until when a session lives, in wall-clock ms since 1970. */
export interface Expiry {
  /** When its cookie, or the `ttl` option, says that it ends. */
  readonly expiresMs: number;
  /** When its record ends: later than that, by what the expiry may lag. */
  readonly untilMs: number;
}

/** A cookie and the end of the record that it goes with. */
export interface Lifetime {
  readonly cookie: StoredCookie;
  readonly untilMs: number;
}

/** Latest time that a `Date` can hold. */
const LAST_DATE_MS = 8.64e15;

/** The cookie of a session object as JSON would have it. */
export function cookieOf(session: object): StoredCookie {
  const cookie: unknown = 'cookie' in session ? session.cookie : undefined;
  if (typeof cookie !== 'object' || cookie === null) return null;
  const stored: unknown = JSON.parse(JSON.stringify(cookie) ?? 'null');
  return isPlain(stored) ? stored : null;
}

export function encodeCookie(cookie: StoredCookie): Uint8Array {
  return cookie === null ? NO_BYTES : encode(JSON.stringify(cookie));
}

export function decodeCookie(attributes: Uint8Array): StoredCookie {
  if (attributes.length === 0) return null;
  const stored: unknown = JSON.parse(decode(attributes));
  return isPlain(stored) ? stored : null;
}

/** When the cookie says that the session ends; `null` if it does not say (a browser session, an invalid date). */
export function cookieExpiresMs(cookie: StoredCookie): number | null {
  const expires = cookie?.expires;
  if (typeof expires !== 'string' && typeof expires !== 'number') return null;
  const ms = new Date(expires).getTime();
  return Number.isNaN(ms) ? null : ms;
}

/**
 * The cookie with its expiry by the farm's clock. Who sets one reckons by the machine's, which may have been set back an
 * hour: the session would end at once. One that is still as it was handed out is by the farm's already.
 *
 * @param aheadMs by how much the farm's clock is ahead of the machine's
 */
export function inFarmTime(cookie: StoredCookie, known: StoredCookie, aheadMs: number): StoredCookie {
  const expiresMs = cookieExpiresMs(cookie);
  if (aheadMs === 0 || expiresMs === null || expiresMs === cookieExpiresMs(known)) return cookie;
  return { ...cookie, expires: isoOf(expiresMs + aheadMs) };
}

/**
 * When a session ends that is written now.
 * @param ttlMs life of a session whose cookie does not say; asked only then
 * @param touchAfterMs the most that the expiry may lag
 */
export function expiryOf(cookie: StoredCookie, nowMs: number, ttlMs: () => number, touchAfterMs: number): Expiry {
  const expiresMs = inTime(cookieExpiresMs(cookie) ?? nowMs + (maxAgeOf(cookie) ?? ttlMs()));
  return { expiresMs, untilMs: inTime(expiresMs + lagOf(expiresMs - nowMs, touchAfterMs)) };
}

/** Of a life of `lifeMs`, what the expiry may lag: at most a tenth, so that short lives stay short. */
export function lagOf(lifeMs: number, touchAfterMs: number): number {
  return Math.max(0, Math.floor(Math.min(touchAfterMs, lifeMs / 10)));
}

/** A cookie made by hand may have only `maxAge`; express-session's own writes `expires` instead. */
function maxAgeOf(cookie: StoredCookie): number | null {
  return typeof cookie?.maxAge === 'number' ? cookie.maxAge : null;
}

function inTime(ms: number): number {
  return Math.max(0, Math.min(Math.round(ms), FOREVER));
}

/**
 * The cookie as it is handed out. While the record lives its cookie has not expired, though the stored expiry, which
 * may lag, has passed: express-session would send the browser a cookie to forget.
 */
export function handedOut(cookie: StoredCookie, untilMs: number, nowMs: number): StoredCookie {
  const expiresMs = cookieExpiresMs(cookie);
  if (expiresMs === null || expiresMs > nowMs) return cookie;
  return { ...cookie, expires: isoOf(untilMs) };
}

function isoOf(ms: number): string {
  return new Date(Math.max(-LAST_DATE_MS, Math.min(ms, LAST_DATE_MS))).toISOString();
}

/** Whether a request left its cookie as it was, but for the expiry having moved on as it does with every request. */
export function isSameCookie(base: StoredCookie, mine: StoredCookie): boolean {
  return !isDeliberate(base, mine) && isDeepStrictEqual(withoutRoutine(base, base), withoutRoutine(mine, base));
}

/**
 * Three-way merge of a cookie and its expiry.
 *
 * - Each attribute is what the request made of it, or, if it left it alone, what is stored now.
 * - Expiry: a request that changed the cookie's life on purpose has it its way. One that did not, and only moved the
 *   expiry on as every request does, never undoes what another one set on purpose; of two such the later expiry stays. One
 *   that left the expiry as it was, as a save amid a request does, leaves the record's end as it is: the expiry stored may
 *   lag, and have passed. So does one that moved it on to less than the record has: express-session moves it once, when the
 *   head of the response leaves, and a stream ends long after; other requests' touches may rest on that end meanwhile.
 */
export function mergeCookie(base: Lifetime, theirs: Lifetime, mine: Lifetime): Lifetime {
  const chosen = chooseExpiry(base, theirs, mine);
  if (mine.cookie === null) return { cookie: theirs.cookie, untilMs: chosen.untilMs };
  const merged = merge(
    withoutRoutine(base.cookie, base.cookie),
    withoutRoutine(theirs.cookie, base.cookie),
    withoutRoutine(mine.cookie, base.cookie),
    mineWins,
  );
  const cookie = isPlain(merged) ? merged : {};
  const expires = chosen.cookie?.expires;
  return { cookie: expires === undefined ? cookie : { ...cookie, expires }, untilMs: chosen.untilMs };
}

/**
 * By so much two servers' clocks may differ, half of the default `maxClockSkewMs`: an expiry that went back by less was not set
 * on purpose.
 */
const CLOCKS_APART_MS = 5000;

function chooseExpiry(base: Lifetime, theirs: Lifetime, mine: Lifetime): Lifetime {
  if (isUnmoved(base.cookie, mine.cookie)) return theirs;
  if (mine.untilMs < theirs.untilMs && isMovedAsAlways(base.cookie, mine.cookie)) return theirs;
  const isMovedByOthers = theirs.untilMs !== base.untilMs;
  if (!isMovedByOthers || isDeliberate(base.cookie, mine.cookie)) return mine;
  if (isDeliberate(base.cookie, theirs.cookie)) return theirs;
  return mine.untilMs >= theirs.untilMs ? mine : theirs;
}

/** Whether a request has left it open when the session ends: its cookie says what it said when the request got it. */
export function isUnmoved(base: StoredCookie, mine: StoredCookie): boolean {
  const expiresMs = cookieExpiresMs(mine);
  return expiresMs !== null && expiresMs === cookieExpiresMs(base) && !isDeliberate(base, mine);
}

/** Whether a request has moved the expiry on as every request does: by its server's clock, which may be behind another's. */
function isMovedAsAlways(base: StoredCookie, mine: StoredCookie): boolean {
  const [before, after] = [cookieExpiresMs(base), cookieExpiresMs(mine)];
  return before !== null && after !== null && after > before - CLOCKS_APART_MS && !isDeliberate(base, mine);
}

/**
 * Whether the life of a cookie was changed on purpose. Setting `maxAge` or `expires` of express-session's cookie
 * changes `originalMaxAge`, moving on at the end of a request does not; where there is none, only `expires` can tell.
 */
function isDeliberate(base: StoredCookie, changed: StoredCookie): boolean {
  if (base === null || changed === null) return false;
  const before = base.originalMaxAge;
  const after = changed.originalMaxAge;
  if (typeof before !== 'number' && typeof after !== 'number')
    return cookieExpiresMs(base) !== cookieExpiresMs(changed);
  return !isSameLife(before, after);
}

/**
 * express-session reads the clock twice when it moves the expiry on; when the millisecond changes in between,
 * `originalMaxAge` comes out a little smaller, without anyone having set it.
 */
function isSameLife(before: unknown, after: unknown): boolean {
  if (before === after) return true;
  if (typeof before !== 'number' || typeof after !== 'number') return false;
  // Of two that have drifted apart either may come first.
  return Math.abs(before - after) <= Math.min(10, before / 1000);
}

/** The cookie with the life that is stored, if its own has only drifted from that: or drift would add up to a change. */
export function withStoredLife(cookie: StoredCookie, stored: StoredCookie): StoredCookie {
  if (cookie === null || stored === null || cookie.originalMaxAge === stored.originalMaxAge) return cookie;
  const isSame = isSameLife(stored.originalMaxAge, cookie.originalMaxAge);
  return isSame ? { ...cookie, originalMaxAge: stored.originalMaxAge } : cookie;
}

/** A cookie without what every request changes: the expiry, and the drift of `originalMaxAge`. */
function withoutRoutine(cookie: StoredCookie, base: StoredCookie): Fields {
  const { expires: _, ...rest }: Fields = { ...cookie };
  if (base !== null && cookie !== null && isSameLife(base.originalMaxAge, cookie.originalMaxAge)) {
    rest.originalMaxAge = base.originalMaxAge;
  }
  return rest;
}
