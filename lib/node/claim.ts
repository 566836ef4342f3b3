import type { Holder } from '../membership/index.js';
import { type Change, FOREVER, NO_BYTES } from '../paxos/index.js';

/** The register in which a slot's first holder is agreed on. Its bucket has no name, so no user's key is in it. */
export function slotKey(slot: number): string {
  return `/slot/${slot}`;
}

/** Takes the slot if nobody has: the first to be chosen holds it. Gives the holder. */
export function claimChange(holder: Holder): Change<Holder> {
  const encoded = new TextEncoder().encode(JSON.stringify(holder));
  return {
    bound: FOREVER,
    mayRemove: false,
    seals: false,
    apply: (current) =>
      current.value === null
        ? { write: { value: encoded, attributes: NO_BYTES, until: FOREVER }, result: holder }
        : { write: null, result: JSON.parse(new TextDecoder().decode(current.value)) as Holder },
  };
}
