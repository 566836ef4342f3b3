import type { Claim } from '../membership/index.js';
import { type Change, type Electorate, FOREVER, NO_BYTES } from '../paxos/index.js';
import { isWholeWithin, readHolder } from './holder.js';

/** Registers in which the slots' holders are agreed on. Their bucket has no name, so no user's key is in it. */
const PREFIX = '/slot/';

export function slotKey(slot: number): string {
  return `${PREFIX}${slot}`;
}

/** The slot whose holders a register is about; `null` for all others. */
export function slotOfKey(key: string): number | null {
  return key.startsWith(PREFIX) ? Number(key.slice(PREFIX.length)) : null;
}

/**
 * Who votes on a register: of a slot's own the holders of the other slots, a majority of all N of them, so that whoever holds
 * it can be replaced.
 *
 * @param also sizes of which it takes a majority too
 */
export function votersOf(key: string, electorate: Electorate, also: readonly number[] = []): Electorate {
  const slot = slotOfKey(key);
  if (slot === null && also.length === 0) return electorate;
  return {
    get sizes() {
      return [...electorate.sizes, ...also];
    },
    isVoter: (from) => from.slot !== slot && electorate.isVoter(from),
  };
}

/** Who holds a slot, and from which version of the config on that slot has been there. */
export type Tenure = Pick<Claim, 'since' | 'holder'>;

/**
 * Takes the slot unless it has gone to a newer generation than the claimant knows of: the first to be chosen holds it. While
 * nothing is written there, the holder is the one whom the formation named. Who held the slot before it was given up, and
 * came back, holds it no more; but no generation comes again. Gives who holds it; throws if no claim can be read.
 */
export function claimChange({ since, holder }: Tenure): Change<Tenure> {
  return {
    bound: FOREVER,
    mayRemove: false,
    seals: false,
    apply: (current) => {
      const standing = current.value === null ? null : tenureIn(current.value);
      if (standing !== null && isBefore({ since, holder }, standing)) return { write: null, result: standing };
      const generation = Math.max(holder.generation, (standing?.holder.generation ?? 0) + 1);
      const result = { since, holder: { ...holder, generation } };
      const value = new TextEncoder().encode(JSON.stringify({ ...result.holder, since }));
      return { write: { value, attributes: NO_BYTES, until: FOREVER }, result };
    },
  };
}

/** Whether the claim comes too late for what stands. */
function isBefore(claim: Tenure, standing: Tenure): boolean {
  if (standing.since !== claim.since) return standing.since > claim.since;
  return standing.holder.generation >= claim.holder.generation;
}

function tenureIn(value: Uint8Array): Tenure {
  const stored: unknown = JSON.parse(new TextDecoder().decode(value));
  const holder = readHolder(stored);
  // The first versions did not write it: a farm had the slots that it was formed with.
  const { since = 0 } = (stored ?? {}) as { readonly since?: unknown };
  const isVersion = since === 0 || isWholeWithin(since, Number.MAX_SAFE_INTEGER);
  if (holder === null || !isVersion) throw new TypeError('the slot is claimed by something that is no process');
  return { since, holder };
}
