import type { Holder } from '../membership/index.js';
import { type Change, FOREVER, NO_BYTES } from '../paxos/index.js';
import { LIMITS } from '../wire/index.js';

/** The register in which a slot's first holder is agreed on. Its bucket has no name, so no user's key is in it. */
export function slotKey(slot: number): string {
  return `/slot/${slot}`;
}

/** Takes the slot if nobody has: the first to be chosen holds it. Gives the holder; throws if no claim can be read. */
export function claimChange(holder: Holder): Change<Holder> {
  const encoded = new TextEncoder().encode(JSON.stringify(holder));
  return {
    bound: FOREVER,
    mayRemove: false,
    seals: false,
    apply: (current) =>
      current.value === null
        ? { write: { value: encoded, attributes: NO_BYTES, until: FOREVER }, result: holder }
        : { write: null, result: holderOf(current.value) },
  };
}

/** Whatever a peer that has gone wrong wrote there: it must not get into a view, which every process would be sent. */
function holderOf(value: Uint8Array): Holder {
  const read: unknown = JSON.parse(new TextDecoder().decode(value));
  if (isHolder(read)) return { process: read.process, generation: read.generation, name: read.name };
  throw new TypeError('the slot is claimed by something that is no process');
}

function isHolder(read: unknown): read is Holder {
  if (typeof read !== 'object' || read === null) return false;
  const { process, generation, name } = read as Partial<Record<keyof Holder, unknown>>;
  return (
    isWithin(process, LIMITS.number48) &&
    isWithin(generation, Number.MAX_SAFE_INTEGER) &&
    typeof name === 'string' &&
    name.length <= LIMITS.nameLength
  );
}

function isWithin(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most;
}
