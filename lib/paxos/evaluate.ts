import type { Ballot } from './ballot.js';
import type { Change, Write } from './change.js';
import type { Instant } from './instant.js';
import { ABSENT, NO_BYTES, type OperationId, type Proposal, type State } from './record.js';

/** What one change of a batch came to. */
export type MemberResult =
  /** It took effect: what it gave, and the register right after it. */
  | { readonly kind: 'decided'; readonly result: unknown; readonly state: State }
  /** Its change function threw; it has changed nothing. */
  | { readonly kind: 'threw'; readonly error: unknown };

export interface Evaluation {
  readonly results: readonly MemberResult[];
  /** The state after all of them. */
  readonly state: State;
  /** Whether the state has to be proposed as a new value: something was written, or an expiry has to be sealed. */
  readonly isWrite: boolean;
  /** Whether some change must leave a tombstone even though nothing was found. */
  readonly seals: boolean;
  /** Whether one of those would have removed what was found. */
  readonly removes: boolean;
}

/** Whether a value's time is up. Never while the clock is not trusted: then nothing counts as expired for a write. */
export function isExpired(state: State, now: Instant): boolean {
  return state.value !== null && now.isTrusted && state.until <= now.wallMs;
}

/**
 * Whether something may be on its way that was built on a value which has expired, and been forgotten by some, since:
 * it would show that value again to those who ask after "there is none" was answered. What is found absent while this
 * holds becomes a tombstone first.
 *
 * @param horizon the latest `until` that a majority's answers know to have been promised; 0 for none
 * @param maxClockSkewMs S
 */
export function isBoundAlive(horizon: number, maxClockSkewMs: number, now: Instant): boolean {
  return horizon > 0 && (!now.isTrusted || horizon + maxClockSkewMs > now.wallMs);
}

/** The state as users see it: absent once expired, which nothing is while the clock is not trusted. */
export function visible(state: State, now: Instant): State {
  return isExpired(state, now) ? { ...ABSENT, birth: state.birth, dataBallot: state.dataBallot } : state;
}

/**
 * Runs the changes one after the other on a register, as one step. Pure but for the change functions themselves.
 *
 * @param found what phase 1 picked; `null` if nobody holds a value
 * @param ballot the ballot at which the outcome will be proposed
 */
export function evaluate(
  found: Proposal | null,
  changes: readonly Change<unknown>[],
  ballot: Ballot,
  now: Instant,
): Evaluation {
  const seen = new Set<OperationId>(found?.lineage.map((entry) => entry.operation));
  const hasSeen = (operation: OperationId): boolean => seen.has(operation);
  let state: State = found === null ? ABSENT : visible(found, now);
  // What has expired becomes a tombstone with the first write after it, so that it ends at one point for everybody.
  let isWrite = found !== null && isExpired(found, now);
  let seals = false;
  let removes = false;
  const results = changes.map((change): MemberResult => {
    try {
      const decision = change.apply({ ...state, nowMs: now.wallMs, hasSeen });
      if (decision.write !== null) {
        const next = written(state, decision.write, change.bound, ballot, now);
        isWrite ||= next.value !== null || state.value !== null || decision.write.copied !== undefined;
        state = next;
      }
      seals ||= change.seals;
      removes ||= change.seals && change.mayRemove;
      return { kind: 'decided', result: decision.result, state };
    } catch (error) {
      return { kind: 'threw', error };
    }
  });
  return { results, state, isWrite, seals, removes };
}

function written(before: State, write: Write, bound: number, ballot: Ballot, now: Instant): State {
  // By a clock that nobody agrees with, it may be over before it begins: that ends nothing either.
  if (write.value === null || (now.isTrusted && write.until <= now.wallMs)) {
    if (before.value === null && write.copied === undefined) return before;
    const { birth, dataBallot } = write.copied ?? { birth: before.birth, dataBallot: ballot };
    return { value: null, attributes: NO_BYTES, until: 0, birth, dataBallot };
  }
  if (!Number.isSafeInteger(write.until) || write.until > Math.max(bound, before.until)) {
    throw new RangeError(`a change wrote until ${write.until}: it takes whole ms, not beyond its bound ${bound}`);
  }
  const isNew = before.value === null;
  const isSameData = before.value !== null && write.isData !== true && sameBytes(before.value, write.value);
  return {
    value: write.value,
    attributes: write.attributes,
    until: write.until,
    birth: isNew ? ballot : before.birth,
    dataBallot: isSameData ? before.dataBallot : ballot,
    ...write.copied,
  };
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false;
  return true;
}
