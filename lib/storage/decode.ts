/** Sealed entries to what an acceptor remembers. All of these throw {@link CorruptionError}. */
import {
  type Ballot,
  compareBallots,
  type LineageEntry,
  MAX_LINEAGE,
  type Proposal,
  sameBallot,
} from '../paxos/index.js';
import { ByteReader } from './bytes.js';
import { HAS_PROPOSAL, HAS_VALUE, IS_COMMITTED } from './encode.js';
import { FORMAT, type Head, type Identity, MAX_IDENTITY_SIZE, UPGRADES, type Upgrade } from './format.js';
import { unseal } from './seal.js';
import { CorruptionError } from './storage.js';

/** A register's record without what only the process that held it could say. */
export interface StoredRecord {
  readonly promised: Ballot;
  readonly proposal: Proposal | null;
  readonly committed: boolean;
  readonly horizon: number;
}

/** The body of an entry, in the version that this program writes. */
export function bodyOf(
  key: string,
  value: Uint8Array,
  newest: number = FORMAT,
  upgrades: readonly Upgrade[] = UPGRADES,
): Buffer {
  let { version, body } = unseal(key, value);
  if (version < 1 || version > newest) throw new CorruptionError(`${JSON.stringify(key)} is of version ${version}`);
  for (const upgrade of upgrades.slice(version - 1, newest - 1)) body = upgrade(key, body);
  return body;
}

export function decodeRecord(body: Buffer): StoredRecord {
  const reader = new ByteReader(body);
  const flags = reader.uint8();
  const promised = reader.ballot();
  const horizon = reader.number();
  const hasProposal = (flags & HAS_PROPOSAL) !== 0;
  const committed = (flags & IS_COMMITTED) !== 0;
  const proposal = hasProposal ? readProposal(reader, (flags & HAS_VALUE) !== 0) : null;
  reader.end();
  if (flags > 7 || (!hasProposal && flags !== 0)) throw new CorruptionError('a record has flags that none has');
  if (proposal !== null && compareBallots(proposal.accepted, promised) > 0) {
    throw new CorruptionError('a record is accepted above what is promised');
  }
  return { promised, proposal, committed, horizon };
}

function readProposal(reader: ByteReader, hasValue: boolean): Proposal {
  const accepted = reader.ballot();
  // Mostly these are the same ballot; one object for all of them is a sixth of a record's memory.
  const near = (): Ballot => {
    const ballot = reader.ballot();
    return sameBallot(ballot, accepted) ? accepted : ballot;
  };
  const operation = reader.text();
  const until = reader.number();
  const birth = near();
  const dataBallot = near();
  const lineageFrom = near();
  const length = reader.uint8();
  if (length > MAX_LINEAGE) throw new CorruptionError('a lineage is too long');
  const lineage: LineageEntry[] = [];
  for (let i = 0; i < length; i += 1) lineage.push({ operation: reader.text(), ballot: near() });
  const attributes = reader.bytes();
  const value = hasValue ? reader.bytes() : null;
  return { accepted, operation, value, attributes, until, birth, dataBallot, lineage, lineageFrom };
}

export function decodeHead(body: Buffer): Head {
  const reader = new ByteReader(body);
  const head = { number: reader.number(), count: reader.number(), digest: reader.uint32() | 0, floor: reader.ballot() };
  reader.end();
  return head;
}

export function decodeIdentity(body: Buffer): Identity {
  const reader = new ByteReader(body);
  const json = reader.bytes();
  reader.end();
  if (json.byteLength > MAX_IDENTITY_SIZE) throw new CorruptionError('the identity is too large');
  const identity = parse(json);
  if (!isIdentity(identity)) throw new CorruptionError('the identity lacks something');
  return identity;
}

function parse(json: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json));
  } catch {
    throw new CorruptionError('the identity is not JSON');
  }
}

function isIdentity(value: unknown): value is Identity {
  if (typeof value !== 'object' || value === null) return false;
  const { cluster, view, ...numbers } = value as Record<string, unknown>;
  return (
    typeof cluster === 'string' &&
    typeof view === 'object' &&
    ['incarnation', 'slot', 'generation', 'process', 'formedAtMs'].every((name) => {
      const number = numbers[name];
      return Number.isSafeInteger(number) && (number as number) >= 0; // isSafeInteger is false for all but numbers
    })
  );
}
