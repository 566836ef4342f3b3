import { UnreadableValueError } from '../errors.js';
import { type Ballot, FOREVER, type State } from '../paxos/index.js';
import { type Attributes, decodeAttributes } from './attributes.js';
import { type Key, keyOf } from './key.js';
import { decodeValue } from './value.js';

/** What a key holds. */
export interface Entry<T = unknown> {
  readonly key: Key;
  readonly value: T;
  /** Another one after each write of the key, whatever was written. Opaque; for {@link PaxosKV.compareAndSet}, or as an ETag. */
  readonly version: string;
  /**
   * Rises with each write of the key, whatever it writes and whoever makes it: a fencing token. But writes of one process that
   * went out together share one: of those only the last is ever seen by others, and within the process {@link version} tells
   * them apart.
   */
  readonly revision: bigint;
  /** The revision with which this life of the key began: it was absent before. */
  readonly created: bigint;
  /** Ms since 1970 at which it ends at the latest; `null` for none. What else it lives by: {@link PaxosKV.lifetime}. */
  readonly until: number | null;
}

/** Proposers' numbers have 48 bits. */
const PROPOSER_BITS = 48n;

export function revisionOf({ round, proposer }: Ballot): bigint {
  return (BigInt(round) << PROPOSER_BITS) | BigInt(proposer);
}

/**
 * @param id that the state was read by
 * @throws UnreadableValueError
 */
export function entryOf(id: string, state: State & { readonly value: Uint8Array }): Entry {
  const { version } = attributesOf(id, state);
  return {
    key: keyOf(id) ?? id,
    value: heldValue(id, state.value),
    version,
    revision: revisionOf(state.dataBallot),
    created: revisionOf(state.birth),
    until: state.until === FOREVER ? null : state.until,
  };
}

/** @throws UnreadableValueError */
export function attributesOf(id: string, { attributes }: Pick<State, 'attributes'>): Attributes {
  return readable(id, () => decodeAttributes(attributes));
}

/** @throws UnreadableValueError */
export function heldValue(id: string, value: Uint8Array): unknown {
  return readable(id, () => decodeValue(value));
}

function readable<T>(id: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UnreadableValueError(
      `What key ${JSON.stringify(keyOf(id) ?? id)} holds can't be read: ${error instanceof Error ? error.message : String(error)}. Is the bucket used by something else, or by another version of this package?`,
      { cause: error },
    );
  }
}
