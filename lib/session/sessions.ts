import { isDeepStrictEqual } from 'node:util';
import type { SessionData } from 'express-session';
import { ConfigError, OutcomeUnknownError, ValueTooLargeError } from '../errors.js';
import { isTooLong, isWellFormed, MAX_KEY_SIZE } from '../node/register-key.js';
import type { Registers, TimeLeft } from '../node/registers.js';
import type { Change, Changed, State } from '../paxos/index.js';
import { sameBytes } from './bytes.js';
import {
  destroyChange,
  type LateReason,
  type Mark,
  type MergeData,
  type MergedData,
  type Outcome,
  type Snapshot,
  saveChange,
  touchChange,
} from './changes.js';
import {
  cookieExpiresMs,
  cookieOf,
  decodeCookie,
  encodeCookie,
  expiryOf,
  handedOut,
  inFarmTime,
  isSameCookie,
  isUnmoved,
  withStoredLife,
} from './cookie.js';
import { forEachOf } from './for-each.js';
import { InTurn } from './in-turn.js';
import { type Fields, merge, mineWins, type Resolve } from './merge.js';
import type { SessionRules } from './options.js';
import { type Base, Origin, type UnknownWrite } from './origin.js';
import { dataOf, deserialize, serialize } from './serializer.js';

/** Two requests got in each other's way over one session; nothing is wrong with the store. */
export type SessionConflict =
  | {
      /**
       * A request saved (`late-save`) or touched (`late-touch`) a session that had ended since the request loaded it.
       * That was dropped: it stays ended.
       */
      readonly kind: 'late-save' | 'late-touch';
      readonly sid: string;
      /** `replaced`: another session has begun under the same id. */
      readonly reason: LateReason;
    }
  | {
      /** Two requests changed the same fields to something else each. The later save, or the `merge` option, decided. */
      readonly kind: 'same-field';
      readonly sid: string;
      /** For each such field, the names that lead to it. */
      readonly paths: readonly (readonly string[])[];
    };

/**
 * Ids beside its own under which an object is remembered: no request needs as many, and an object that is saved under ever
 * new ones must not take ever more memory.
 */
const MAX_COPIES = 16;

/** Operations that `all` and `clear` have under way at a time: enough to fill datagrams, too few to crowd others out. */
const CONCURRENCY = 32;

/** Sessions in the farm's registers: what express-session asks of a store, with promises and without its events. */
export class Sessions {
  readonly #registers: Registers;
  readonly #rules: SessionRules;
  readonly #onConflict: (conflict: SessionConflict) => void;
  readonly #origins = new WeakMap<object, Origin>();
  /**
   * By id: of an object that was saved under others than its own, too. Of more than {@link MAX_COPIES} the eldest goes: under
   * that id it is an object from elsewhere again.
   */
  readonly #copies = new WeakMap<object, Map<string, Origin>>();
  readonly #inTurn = new InTurn();

  constructor(registers: Registers, rules: SessionRules, onConflict: (conflict: SessionConflict) => void) {
    this.#registers = registers;
    this.#rules = rules;
    this.#onConflict = onConflict;
  }

  /** A fresh plain object, or `null`. */
  async load(sid: string): Promise<SessionData | null> {
    const key = this.#key(sid);
    const { consistency } = this.#rules;
    const left = this.#registers.deadline();
    const state = await this.#inTurn.run(sid, null, () =>
      this.#registers.read(key, { timeoutMs: left.timeoutMs, consistency }),
    );
    return this.#loaded(sid, state);
  }

  /** Lets `live` stand for the version that `loaded` stands for. */
  adopt(loaded: object, live: object): void {
    const origin = this.#origins.get(loaded);
    // An origin of its own: two objects made of one loaded session are two requests' views of it.
    if (origin !== undefined) this.#origins.set(live, origin.fork());
  }

  /** Serialises before the first await; the caller may go on changing the object. */
  async save(sid: string, session: SessionData): Promise<void> {
    const key = this.#key(sid);
    const known = this.#originOf(sid, session);
    const mine = this.#snapshot(session, known);
    const origin = known ?? new Origin(sid, null);
    if (known === null) this.#remember(session, origin);
    const left = this.#registers.deadline();
    return this.#inTurn.run(sid, origin, () => this.#save(key, origin, mine, left));
  }

  /** Moves the expiry and the cookie; succeeds without the network where nothing has to move. */
  async touch(sid: string, session: SessionData): Promise<void> {
    const key = this.#key(sid);
    const origin = this.#originOf(sid, session);
    const mine = this.#mark(session, origin);
    const left = this.#registers.deadline();
    return this.#inTurn.run(sid, origin, () => this.#touch(key, origin ?? new Origin(sid, null), mine, left));
  }

  async destroy(sid: string): Promise<void> {
    const key = this.#key(sid);
    const left = this.#registers.deadline();
    await this.#inTurn.run(sid, null, () => this.#registers.change(key, destroyChange, left));
  }

  /** Ids of the live sessions of the farm, in no order. */
  ids(): Promise<string[]> {
    return this.#registers.ids(this.#rules.prefix);
  }

  /** The live sessions of the farm by id; without a prototype, so that no id means anything else. */
  async all(): Promise<Record<string, SessionData>> {
    const sessions: Record<string, SessionData> = Object.create(null);
    await forEachOf(await this.ids(), CONCURRENCY, async (sid) => {
      const session = await this.load(sid);
      if (session !== null) sessions[sid] = session;
    });
    return sessions;
  }

  /** Destroys every session that is there when it is called, by whosever clock. Stops at the first failure. */
  async clear(): Promise<void> {
    const sids = await this.#registers.ids(this.#rules.prefix, { includesJustEnded: true });
    await forEachOf(sids, CONCURRENCY, (sid) => this.destroy(sid));
  }

  /** Settles when the registers have all operations called so far, those that had to wait for others included. */
  idle(): Promise<void> {
    return this.#inTurn.idle();
  }

  async #save(key: string, origin: Origin, mine: Snapshot, left: TimeLeft): Promise<void> {
    const base = origin.certainBase;
    if (base !== null && sameBytes(mine.data, base.data) && isUpToDate(base, mine)) return;
    const mergeData: MergeData = (before, theirs, own) => this.#mergeData(origin.sid, before, theirs, own);
    const change = saveChange(mine, (current) => origin.baseAt(current), mergeData);
    const made: UnknownWrite['made'] = (before, birth) => ({
      ...marked(mine),
      data: mine.data,
      birth: before?.birth ?? birth,
    });
    const { result, state } = await this.#change(key, change, origin, made, left);
    if (result.kind === 'kept') {
      origin.settle({ ...kept(result, state, mine), data: mine.data });
      if (result.paths.length > 0) this.#onConflict({ kind: 'same-field', sid: origin.sid, paths: result.paths });
      return;
    }
    // A session that is only not to be kept, as the function in option ttl says, may be kept by its next save.
    const isOver = cookieExpiresMs(mine.cookie) !== null;
    this.#settleWithout(
      origin,
      result,
      'late-save',
      isOver ? { ...marked(mine), birth: state.birth, data: mine.data } : null,
    );
  }

  async #touch(key: string, origin: Origin, mine: Mark, left: TimeLeft): Promise<void> {
    const base = origin.certainBase;
    if (base !== null && isUpToDate(base, mine)) return;
    const change = touchChange(mine, (current) => origin.baseAt(current));
    const made: UnknownWrite['made'] = (before) => before && { ...before, ...marked(mine) };
    const { result, state } = await this.#change(key, change, origin, made, left);
    if (result.kind === 'kept') {
      origin.settle(result.base && { ...kept(result, state, mine), data: result.base.data });
    } else this.#settleWithout(origin, result, 'late-touch');
  }

  async #change(
    key: string,
    change: Change<Outcome>,
    origin: Origin,
    made: UnknownWrite['made'],
    left: TimeLeft,
  ): Promise<Changed<Outcome>> {
    try {
      return await this.#registers.change(key, change, left);
    } catch (error) {
      if (error instanceof OutcomeUnknownError) origin.doubt({ operation: error.operation, since: error.since, made });
      throw error;
    }
  }

  /**
   * The record holds nothing of this object's.
   *
   * @param unstored what a login would have been whose time was up before it was stored: to its object it is over, as if it
   *   had been stored and then ended
   */
  #settleWithout(
    origin: Origin,
    result: Exclude<Outcome, Kept>,
    kind: 'late-save' | 'late-touch',
    unstored: Base | null = null,
  ): void {
    if (result.kind === 'missing') return;
    origin.settle(result.base ?? unstored);
    if (result.kind === 'late') this.#onConflict({ kind, sid: origin.sid, reason: result.reason });
  }

  #loaded(sid: string, state: State): SessionData | null {
    if (state.value === null) return null;
    const stored = decodeCookie(state.attributes);
    const cookie = handedOut(stored, state.until, this.#registers.nowMs());
    const data = deserialize(this.#rules.serializer, state.value);
    // Spread: a field named `__proto__` stays a field. A session saved without a cookie has none. The cookie is a copy, by
    // which a change of it is told.
    const session = cookie === null ? { ...data } : { ...data, cookie: { ...cookie } };
    this.#origins.set(
      session,
      new Origin(sid, {
        birth: state.birth,
        data: state.value,
        cookie,
        untilMs: state.until,
        stored: { expiresMs: cookieExpiresMs(stored), untilMs: state.until },
      }),
    );
    // The types say what express-session keeps in a session; it came from there, by way of `save`.
    return session as unknown as SessionData;
  }

  #mergeData(sid: string, base: Uint8Array, theirs: Uint8Array, mine: Uint8Array): MergedData {
    const { merge: decide, serializer } = this.#rules;
    const isAsked = decide !== false && decide !== mineWins;
    if (!isAsked && sameBytes(mine, theirs)) return { data: theirs, paths: [] };
    if (decide === false) return { data: mine, paths: [] };
    const paths: (readonly string[])[] = [];
    const [before, stored, saved] = [base, theirs, mine].map((bytes) => deserialize(serializer, bytes));
    const resolve: Resolve = (conflict) => {
      if (!isDeepStrictEqual(conflict.theirs, conflict.mine)) paths.push(conflict.path);
      const decided: unknown = decide({ ...conflict, sid });
      if (!isPromise(decided)) return decided;
      throw new TypeError('The function in option merge returned a promise; it must be synchronous.');
    };
    const merged = merge(before, stored, saved, resolve, { asksIfAlike: isAsked });
    if (typeof merged !== 'object' || merged === null) {
      throw new TypeError(
        `The function in option merge made ${String(merged)} of a session; it must return an object.`,
      );
    }
    const data = serialize(serializer, merged as Fields);
    this.#checkSize(data.length);
    return { data, paths };
  }

  /** Everything of the object that the store will need, at once: its owner may change it as soon as we return. */
  #snapshot(session: SessionData, known: Origin | null): Snapshot {
    const mark = this.#mark(session, known);
    const data = serialize(this.#rules.serializer, dataOf(session));
    this.#checkSize(data.length + encodeCookie(mark.cookie).length);
    return { ...mark, data };
  }

  #mark(session: SessionData, known: Origin | null): Mark {
    if (typeof session !== 'object' || session === null) {
      throw new TypeError(`A session must be an object, not ${String(session)}.`);
    }
    const calledMs = this.#registers.nowMs();
    const cookie = inFarmTime(cookieOf(session), known?.knownCookie ?? null, this.#registers.aheadOfMachineMs());
    const ttlMs = (): number => this.#rules.ttlMs(session);
    return { cookie, calledMs, expiry: expiryOf(cookie, calledMs, ttlMs, this.#rules.touchAfterMs) };
  }

  #originOf(sid: string, session: object): Origin | null {
    const origin = this.#origins.get(session);
    return origin?.sid === sid ? origin : (this.#copies.get(session)?.get(sid) ?? null);
  }

  #remember(session: object, origin: Origin): void {
    if (!this.#origins.has(session)) {
      this.#origins.set(session, origin);
      return;
    }
    const copies = this.#copies.get(session) ?? new Map<string, Origin>();
    this.#copies.set(session, copies.set(origin.sid, origin));
    const [eldest] = copies.keys();
    if (copies.size > MAX_COPIES && eldest !== undefined) copies.delete(eldest);
  }

  #key(sid: string): string {
    if (typeof sid !== 'string') throw new TypeError(`A session id must be a string, not ${String(sid)}.`);
    if (!isWellFormed(sid)) {
      throw new ConfigError('The session id is not well-formed Unicode; let genid return whole characters.');
    }
    const key = `${this.#rules.prefix}/${sid}`;
    if (isTooLong(key)) {
      throw new ValueTooLargeError(
        `The session id is too long: with its prefix it may take ${MAX_KEY_SIZE} bytes; let genid return shorter ones.`,
      );
    }
    return key;
  }

  #checkSize(size: number): void {
    const { maxValueSize } = this.#rules;
    if (size <= maxValueSize) return;
    // Without the id, which would open the session to whoever reads the log.
    throw new ValueTooLargeError(
      `The session takes ${size} bytes and may take ${maxValueSize}; ` +
        'keep less in it, or raise maxValueSize on every server.',
    );
  }
}

/**
 * Whether the record needs nothing of a session that is as it was loaded: its end is not before the new expiry, and
 * the expiry stored is not after it (that would be a life cut short).
 */
function isUpToDate(base: Base, { cookie, expiry, calledMs }: Mark): boolean {
  const { expiresMs, untilMs } = expiry;
  if (expiresMs <= calledMs || expiresMs > base.stored.untilMs) return false;
  const storedExpiresMs = base.stored.expiresMs ?? base.stored.untilMs - (untilMs - expiresMs);
  return expiresMs >= storedExpiresMs && isSameCookie(base.cookie, cookie);
}

function isPromise(value: unknown): boolean {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

type Kept = Extract<Outcome, { kind: 'kept' }>;

/** The version that an operation left behind, but for its data. */
function kept({ base, cookie: stored }: Kept, state: State, { cookie, expiry }: Mark): Omit<Base, 'data'> {
  return {
    birth: state.birth,
    cookie: withStoredLife(cookie, stored),
    untilMs: base !== null && isUnmoved(base.cookie, cookie) ? base.untilMs : expiry.untilMs,
    stored: { expiresMs: cookieExpiresMs(stored), untilMs: state.until },
  };
}

/** What a mark that took effect makes of a version, as far as can be told without the record. */
function marked({ cookie, expiry }: Mark): Pick<Base, 'cookie' | 'untilMs' | 'stored'> {
  const { untilMs } = expiry;
  return { cookie, untilMs, stored: { expiresMs: cookieExpiresMs(cookie), untilMs } };
}
