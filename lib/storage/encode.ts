/** What an acceptor remembers, to sealed entries. See `format.ts` for what these are, `decode.ts` for the way back. */
import type { Proposal, RegisterRecord } from '../paxos/index.js';
import { ByteWriter } from './bytes.js';
import {
  FORMAT,
  HEAD_KEY,
  type Head,
  IDENTITY_KEY,
  type Identity,
  MAX_IDENTITY_SIZE,
  REGISTER_PREFIX,
} from './format.js';
import { SEAL_SIZE, seal } from './seal.js';
import type { StoredEntry } from './storage.js';

export const HAS_PROPOSAL = 1;
export const IS_COMMITTED = 2;
export const HAS_VALUE = 4;

const writer = new ByteWriter();

export function encodeRecord(
  registerKey: string,
  { promised, proposal, committed, horizon }: RegisterRecord,
): StoredEntry {
  writer.begin(SEAL_SIZE);
  writer.uint8(
    (proposal === null ? 0 : HAS_PROPOSAL) |
      (committed ? IS_COMMITTED : 0) |
      (proposal === null || proposal.value === null ? 0 : HAS_VALUE),
  );
  writer.ballot(promised);
  writer.number(horizon);
  if (proposal !== null) writeProposal(proposal);
  return sealed(REGISTER_PREFIX + registerKey);
}

function writeProposal({ accepted, operation, value, attributes, until, ...proposal }: Proposal): void {
  writer.ballot(accepted);
  writer.text(operation);
  writer.number(until);
  writer.ballot(proposal.birth);
  writer.ballot(proposal.dataBallot);
  writer.ballot(proposal.lineageFrom);
  writer.uint8(proposal.lineage.length);
  for (const entry of proposal.lineage) {
    writer.text(entry.operation);
    writer.ballot(entry.ballot);
  }
  writer.bytes(attributes);
  if (value !== null) writer.bytes(value);
}

export function encodeHead({ number, count, digest, floor }: Head): StoredEntry {
  writer.begin(SEAL_SIZE);
  writer.number(number);
  writer.number(count);
  writer.uint32(digest >>> 0);
  writer.ballot(floor);
  return sealed(HEAD_KEY);
}

/** @throws RangeError if it is too large */
export function encodeIdentity(identity: Identity): StoredEntry {
  const json = Buffer.from(JSON.stringify(identity));
  if (json.length > MAX_IDENTITY_SIZE) throw new RangeError(`an identity of ${json.length} bytes`);
  writer.begin(SEAL_SIZE);
  writer.bytes(json);
  return sealed(IDENTITY_KEY);
}

function sealed(key: string): StoredEntry {
  const value = writer.end();
  seal(key, FORMAT, value);
  return { key, value };
}
