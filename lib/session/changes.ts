/** What a session's operations do to its register: pure functions of what they were called with and what is there. */
import { type Change, type Current, type Decision, NO_BYTES, sameBallot } from '../paxos/index.js';
import { sameBytes } from './bytes.js';
import type { StoredCookie } from './cookie.js';
import { decodeCookie, type Expiry, encodeCookie, type Lifetime, mergeCookie } from './cookie.js';
import type { Base } from './origin.js';

/** What a touch says of a session, as it was when the store was called. */
export interface Mark {
  readonly cookie: StoredCookie;
  readonly expiry: Expiry;
  /** Wall-clock ms of the call. */
  readonly calledMs: number;
}

/** A session object as it was when the store was called. */
export interface Snapshot extends Mark {
  readonly data: Uint8Array;
}

/** What became of a save or a touch. */
export type Outcome =
  /** The record is as the operation wants it. */
  | {
      readonly kind: 'kept';
      readonly base: Base | null;
      /** As the record has it. */
      readonly cookie: StoredCookie;
      readonly paths: readonly Path[];
    }
  /** The session's time was up, by the operation itself. */
  | { readonly kind: 'ended'; readonly base: Base | null }
  /** The version that the object stands for is no more: destroyed, expired, or followed by another under its id. */
  | { readonly kind: 'late'; readonly base: Base; readonly reason: LateReason }
  /** A touch of nothing. */
  | { readonly kind: 'missing' };

type Path = readonly string[];

export type LateReason = 'destroyed-or-expired' | 'replaced';

/** Brings the stored data and the object's together; both were made from `base`, and both differ from it. */
export type MergeData = (base: Uint8Array, theirs: Uint8Array, mine: Uint8Array) => MergedData;

export interface MergedData {
  readonly data: Uint8Array;
  /** The fields that both had changed, each to something else. */
  readonly paths: readonly Path[];
}

/** The version that the object stands for, given the record; `null` for an object from elsewhere. */
type BaseAt = (current: Current) => Base | null;

/** No operation goes on for longer; a session with more to live than this does not end while one is under way. */
const LONGEST_OPERATION_MS = 60_000;

/**
 * Saves an object. One that stands for a version never brings a destroyed session back, and keeps what others have
 * changed since; one from elsewhere replaces whatever is there.
 */
export function saveChange(mine: Snapshot, baseAt: BaseAt, mergeData: MergeData): Change<Outcome> {
  return {
    ...boundsOf(mine),
    apply(current) {
      const base = baseAt(current);
      if (base === null) return write(current, null, mine.data, mineAlone(mine), []);
      if (current.value === null) return unchanged({ kind: 'late', base, reason: 'destroyed-or-expired' });
      if (!sameBallot(current.birth, base.birth)) return unchanged({ kind: 'late', base, reason: 'replaced' });
      const { data, paths } = dataToStore(base.data, current.value, mine.data, mergeData);
      return write(current, base, data, mergeCookie(base, lifetimeOf(current), mineAlone(mine)), paths);
    },
  };
}

/** Moves the expiry and the cookie of what is there; never the data, and never creates. */
export function touchChange(mine: Mark, baseAt: BaseAt): Change<Outcome> {
  return {
    ...boundsOf(mine),
    seals: false,
    apply(current) {
      const base = baseAt(current);
      if (current.value === null) {
        return unchanged(base === null ? { kind: 'missing' } : { kind: 'late', base, reason: 'destroyed-or-expired' });
      }
      if (base !== null && !sameBallot(current.birth, base.birth)) {
        return unchanged({ kind: 'late', base, reason: 'replaced' });
      }
      const theirs = lifetimeOf(current);
      const merged = base === null ? mineAlone(mine) : mergeCookie(base, theirs, mineAlone(mine));
      return write(current, base, current.value, { ...merged, cookie: merged.cookie ?? theirs.cookie }, []);
    },
  };
}

/** Destroys whatever is there, and what may yet arrive of writes whose fate nobody was told. */
export const destroyChange: Change<void> = {
  bound: 0,
  mayRemove: true,
  seals: true,
  apply: () => ({ write: NOTHING, result: undefined }),
};

const NOTHING = { value: null, attributes: NO_BYTES, until: 0 } as const;

function boundsOf({ expiry, calledMs }: Mark): Pick<Change<Outcome>, 'bound' | 'mayRemove' | 'seals'> {
  return {
    // What is already there may end later and be left so; its own writer has announced that.
    bound: expiry.untilMs,
    mayRemove: expiry.untilMs - calledMs <= LONGEST_OPERATION_MS,
    // Saving what has expired already is a way to destroy it.
    seals: expiry.untilMs <= calledMs,
  };
}

function dataToStore(base: Uint8Array, theirs: Uint8Array, mine: Uint8Array, mergeData: MergeData): MergedData {
  if (sameBytes(mine, base)) return { data: theirs, paths: [] };
  if (sameBytes(theirs, base)) return { data: mine, paths: [] };
  return mergeData(base, theirs, mine);
}

function write(
  current: Current,
  base: Base | null,
  value: Uint8Array,
  { cookie, untilMs }: Lifetime,
  paths: readonly Path[],
): Decision<Outcome> {
  if (untilMs <= current.nowMs) return { write: NOTHING, result: { kind: 'ended', base } };
  const attributes = encodeCookie(cookie);
  const isSame = value === current.value && untilMs === current.until && sameBytes(attributes, current.attributes);
  return {
    write: isSame ? null : { value, attributes, until: untilMs },
    result: { kind: 'kept', base, cookie, paths },
  };
}

function mineAlone({ cookie, expiry }: Mark): Lifetime {
  return { cookie, untilMs: expiry.untilMs };
}

function lifetimeOf(current: Current): Lifetime {
  return { cookie: decodeCookie(current.attributes), untilMs: current.until };
}

function unchanged(result: Outcome): Decision<Outcome> {
  return { write: null, result };
}
