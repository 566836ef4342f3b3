import { type Ballot, type State, sameBallot } from '../paxos/index.js';
import { decodeValue, encodeValue } from './value.js';

/** One life of a register, from its birth to its end: what was born later under the same key is another. */
export interface Life {
  /** The register's. */
  readonly key: string;
  readonly birth: Ballot;
}

/** What stands beside a value in its register. */
export interface Attributes {
  /** Another one for each write of the key, whatever it writes. */
  readonly version: string;
  /** What it lives by, beside its `until`. */
  readonly lives: readonly Life[];
  /** The version with which it was given those. Writes that keep what it lives by keep this, too. */
  readonly given: string;
}

/** Lives that a key may hang on. */
export const MAX_LIVES = 8;

/** What the list begins with. Later formats may append to it; what must not be ignored needs another number. */
const FORMAT = 1;

export function encodeAttributes({ version, lives, given }: Attributes): Uint8Array {
  if (lives.length === 0) return encodeValue([FORMAT, version]);
  const fields = lives.map(({ key, birth }) => [key, birth.round, birth.proposer]);
  return encodeValue(given === version ? [FORMAT, version, fields] : [FORMAT, version, fields, given]);
}

/** @throws Error for bytes that are none */
export function decodeAttributes(bytes: Uint8Array): Attributes {
  const fields = decodeValue(bytes);
  if (!Array.isArray(fields) || fields[0] !== FORMAT || typeof fields[1] !== 'string') {
    throw new Error('it was written by something else, or by a later version of this package');
  }
  const [, version, lives = [], given = version] = fields;
  if (!Array.isArray(lives) || typeof given !== 'string')
    throw new Error('what it lives by was written by something else');
  return { version, lives: lives.map(lifeOf), given };
}

function lifeOf(fields: unknown): Life {
  const [key, round, proposer] = Array.isArray(fields) ? fields : [];
  if (typeof key !== 'string' || typeof round !== 'number' || typeof proposer !== 'number') {
    throw new Error('what it lives by was written by something else');
  }
  return { key, birth: { round, proposer } };
}

/** Whether a register is still in that life, by its own end alone. */
export function isInLife({ value, birth }: State, life: Life): boolean {
  return value !== null && sameBallot(birth, life.birth);
}

/** Tells one life from all others. */
export function lifeName({ key, birth }: Life): string {
  return `${birth.round}.${birth.proposer} ${key}`;
}

/** What a key lives by; nothing where that can't be read: whoever asks for the key is told. */
export function livesOf({ attributes }: Pick<State, 'attributes'>): readonly Life[] {
  try {
    return decodeAttributes(attributes).lives;
  } catch {
    return [];
  }
}
