import type { Holder } from '../membership/index.js';
import { type Change, type Electorate, FOREVER, NO_BYTES } from '../paxos/index.js';
import { readHolder } from './holder.js';

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

/**
 * Takes the slot unless it has gone to a newer generation than the claimant knows of: the first to be chosen holds it. While
 * nothing is written there, the holder is the one whom the formation named. Gives the holder; throws if no claim can be
 * read.
 */
export function claimChange(holder: Holder): Change<Holder> {
  const encoded = new TextEncoder().encode(JSON.stringify(holder));
  return {
    bound: FOREVER,
    mayRemove: false,
    seals: false,
    apply: (current) => {
      const held = current.value === null ? null : holderOf(current.value);
      if (held !== null && held.generation >= holder.generation) return { write: null, result: held };
      return { write: { value: encoded, attributes: NO_BYTES, until: FOREVER }, result: holder };
    },
  };
}

function holderOf(value: Uint8Array): Holder {
  const holder = readHolder(JSON.parse(new TextDecoder().decode(value)));
  if (holder === null) throw new TypeError('the slot is claimed by something that is no process');
  return holder;
}
