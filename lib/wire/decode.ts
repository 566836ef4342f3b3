/** Bytes to messages and envelopes, trusting nothing: every type, length and range is checked. */
import { Unpackr } from 'msgpackr';
import type { Config, Holder, View } from '../membership/view.js';
import {
  type Ballot,
  type Copy,
  compareBallots,
  DIGESTS_SIZE,
  type EnumeratedKey,
  type HeldName,
  type Kept,
  type KeptName,
  type LineageEntry,
  MAX_NAMED,
  MAX_PULLED,
  MAX_TRANSFERRED,
  NO_BALLOT,
  NO_BYTES,
  type Proposal,
  type Report,
  type Transferred,
} from '../paxos/index.js';
import {
  COPY_FIELDS,
  EFFECTS,
  ENUMERATED_FIELDS,
  KEPT_FIELDS,
  KEPT_NAME_FIELDS,
  LIMITS,
  LINEAGE_FIELDS,
  OUTCOMES,
  PACK_OPTIONS,
  PHASES,
  REASONS,
  REPORT_COMMITTED,
  REPORT_IS_COPY,
  REPORT_IS_HELD,
  SAME,
  SAME_OPERATION,
  STANDINGS,
  TRANSFER_BY_NAME,
  TRANSFER_OF_LEGACY,
  TYPE,
} from './format.js';
import type { Ask, Envelope, Message, Told } from './messages.js';
import { endOfValue } from './scan.js';

/** What {@link decodeBody} made of a body. */
export type DecodedBody =
  | {
      readonly ok: true;
      readonly envelope: Envelope;
      readonly messages: readonly Message[];
      /** Messages left out because their type is not known here: a later version's. */
      readonly skipped: number;
    }
  | {
      readonly ok: false;
      /** Which field was wrong, for the log. */
      readonly reason: string;
    };

/** Something from the wire that no node of any version sends. */
class Malformed extends Error {}

type Fields = readonly unknown[];

const unpackr = new Unpackr(PACK_OPTIONS);

/**
 * Reads a body: an envelope and its messages. Nothing of the result refers to `bytes`, so that a kept value does not
 * keep a datagram alive. Never throws; a body with anything wrong in it is refused as a whole.
 */
export function decodeBody(bytes: Uint8Array): DecodedBody {
  try {
    const source = new Source(bytes);
    const envelope = toEnvelope(source.next());
    const messages: Message[] = [];
    let skipped = 0;
    for (let count = 0; source.hasMore; count++) {
      if (count === LIMITS.messages) throw new Malformed('messages');
      const message = toMessage(source.next());
      if (message === null) skipped++;
      else messages.push(message);
    }
    return { ok: true, envelope, messages, skipped };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}

/**
 * Reads the envelope that a body starts with, and leaves the rest alone.
 * @returns `null` if there is none
 */
export function decodeEnvelope(bytes: Uint8Array): Envelope | null {
  try {
    return toEnvelope(new Source(bytes).next());
  } catch (error) {
    reasonOf(error);
    return null;
  }
}

/**
 * Reads one message that was encoded by itself. Same rules as {@link decodeBody}.
 * @returns `null` if it is malformed, or of a type that is not known here
 */
export function decodeMessage(bytes: Uint8Array): Message | null {
  try {
    const source = new Source(bytes);
    const message = toMessage(source.next());
    return source.hasMore ? null : message;
  } catch (error) {
    reasonOf(error);
    return null;
  }
}

/** What is no {@link Malformed} is a mistake of ours and must not be taken for one of the sender's. */
function reasonOf(error: unknown): string {
  if (error instanceof Malformed) return error.message;
  throw error;
}

/** Hands out the values of a body, each an array, one after the other. */
class Source {
  readonly #bytes: Uint8Array;
  readonly #range = { start: 0, end: 0 };

  constructor(bytes: Uint8Array) {
    // msgpackr notes a view of the bytes on the object that it is given; that stays with an object of our own.
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  get hasMore(): boolean {
    return this.#range.end < this.#bytes.length;
  }

  next(): Fields {
    const range = this.#range;
    range.start = range.end;
    range.end = endOfValue(this.#bytes, range.start);
    if (range.end < 0) throw new Malformed('structure');
    return array(unpackr.unpack(this.#bytes, range), 'structure');
  }
}

function toEnvelope(fields: Fields): Envelope {
  return {
    from: integer(fields[0], 1, LIMITS.number48, 'from'),
    to: integer(fields[1], 0, LIMITS.number48, 'to'),
    clockMs: natural(fields[2], 'clock'),
    incarnation: integer(fields[3], 0, LIMITS.number48, 'incarnation'),
    slot: integer(fields[4], 0, LIMITS.slots, 'slot'),
    vector: integer(fields[5], 0, LIMITS.number48, 'vector'),
  };
}

/** `null`: of a type that is not known. */
function toMessage(f: Fields): Message | null {
  switch (natural(f[0], 'type')) {
    case TYPE.prepare:
      return {
        type: 'prepare',
        request: request(f[1]),
        key: key(f[2]),
        ballot: ballot(f, 3),
        bound: natural(f[5], 'bound'),
        held: held(f[6]),
      };
    case TYPE.accept:
      return {
        type: 'accept',
        request: request(f[1]),
        key: key(f[2]),
        horizon: natural(f[3], 'horizon'),
        proposal: proposal(f[4], false),
      };
    case TYPE.commit:
      return {
        type: 'commit',
        key: key(f[1]),
        ballot: ballot(f, 2),
        operation: operation(f[4]),
        effect: word(EFFECTS, f[5], 'effect'),
      };
    case TYPE.read:
      return { type: 'read', request: request(f[1]), key: key(f[2]), held: held(f[3]) };
    case TYPE.enumerate:
      return {
        type: 'enumerate',
        request: request(f[1]),
        prefix: text(f[2], LIMITS.keyBytes, 'prefix'),
        shard: integer(f[3], 0, LIMITS.shards - 1, 'shard'),
      };
    case TYPE.promised:
      return {
        type: 'promised',
        request: request(f[1]),
        ballot: ballot(f, 2),
        report: report(f[4]),
        horizon: natural(f[5], 'horizon'),
        floor: ballot(f, 6),
      };
    case TYPE.accepted:
      return { type: 'accepted', request: request(f[1]), ballot: ballot(f, 2) };
    case TYPE.nack:
      return {
        type: 'nack',
        request: request(f[1]),
        phase: integer(f[2], 1, 2, 'phase') === 1 ? 1 : 2,
        ballot: ballot(f, 3),
        reason: word(REASONS, f[5], 'reason'),
        promised: ballot(f, 6),
      };
    case TYPE.held:
      return {
        type: 'held',
        request: request(f[1]),
        report: report(f[2]),
        horizon: natural(f[3], 'horizon'),
        // Earlier versions don't say it: nothing is known to be promised.
        floor: f.length > 4 ? ballot(f, 4) : NO_BALLOT,
      };
    case TYPE.enumerated:
      return {
        type: 'enumerated',
        request: request(f[1]),
        shard: integer(f[2], 0, LIMITS.shards - 1, 'shard'),
        nextShard: integer(f[3], 0, LIMITS.shards, 'nextShard'),
        keys: enumeratedKeys(f[4]),
      };
    case TYPE.compare:
      return { type: 'compare', request: request(f[1]), digests: digests(f[2]) };
    case TYPE.differs:
      return {
        type: 'differs',
        request: request(f[1]),
        shards: list(f[2], 1, LIMITS.shards, 'shards').map((shard) => integer(shard, 0, LIMITS.shards - 1, 'shard')),
      };
    case TYPE.pull:
      return { type: 'pull', request: request(f[1]), keys: list(f[2], 1, MAX_PULLED, 'keys').map(key) };
    case TYPE.pulled:
      return {
        type: 'pulled',
        request: request(f[1]),
        first: text(f[2], LIMITS.keyBytes, 'first'),
        looked: integer(f[3], 0, MAX_PULLED, 'looked'),
        copies: copies(f[4]),
      };
    case TYPE.transfer:
      return {
        type: 'transfer',
        request: request(f[1]),
        shard: integer(f[2], 0, LIMITS.shards - 1, 'shard'),
        after: text(f[3], LIMITS.keyBytes, 'after'),
        // Not there in the first versions, which read all values, and ask for a legacy as for any memory.
        ...(f[4] === TRANSFER_BY_NAME && { isByName: true }),
        ...(f[4] === TRANSFER_OF_LEGACY && { isOfLegacy: true }),
      };
    case TYPE.named:
      return {
        type: 'named',
        ...page(f),
        names: keptNames(f[8]),
      };
    case TYPE.transferred:
      return {
        type: 'transferred',
        ...page(f),
        records: keptRecords(f[8]),
      };
    case TYPE.hello:
      return {
        type: 'hello',
        name: label(f[1], 'name'),
        streamPort: integer(f[2], 0, LIMITS.port, 'streamPort'),
        clusterSize: integer(f[3], 1, LIMITS.slots, 'clusterSize'),
        maxClockSkewMs: natural(f[4], 'maxClockSkewMs'),
        wish: integer(f[5], -1, LIMITS.slots, 'wish'),
        phase: word(PHASES, f[6], 'phase'),
        bound: integer(f[7], 0, LIMITS.number48, 'bound'),
        view: f[8] === null ? null : view(f[8]),
        slot: integer(f[9], 0, LIMITS.slots, 'slot'),
        open: slots(f[10]),
        host: label(f[11], 'host'),
        ended: processes(f[12]),
        lost: integer(f[13], 0, LIMITS.number48, 'lost'),
        voter: integer(f[14], 0, LIMITS.number48, 'voter'),
        isDurable: integer(f[15], 0, 1, 'isDurable') === 1,
        hasResigned: integer(f[16], 0, 1, 'hasResigned') === 1,
        // Not there in the first versions, which could not change a farm's size.
        copied: f[17] === undefined ? 0 : natural(f[17], 'copied'),
      };
    case TYPE.who:
      return { type: 'who', request: request(f[1]) };
    case TYPE.vouch:
      return {
        type: 'vouch',
        request: request(f[1]),
        view: view(f[2]),
        isServing: integer(f[3], 0, 1, 'isServing') === 1,
      };
    case TYPE.form:
      return { type: 'form', view: view(f[1]) };
    case TYPE.unform:
      return { type: 'unform', incarnation: integer(f[1], 1, LIMITS.number48, 'incarnation') };
    case TYPE.ask:
      return ask(f);
    case TYPE.told:
      return told(f);
    default:
      return null;
  }
}

function ask(f: Fields): Ask {
  const number = request(f[1]);
  const topic = text(f[3], LIMITS.topicLength, 'topic');
  if (topic === '') throw new Malformed('topic');
  return {
    type: 'ask',
    request: number,
    floor: integer(f[2], 1, number, 'floor'),
    topic,
    payload: f[4] === null ? null : payload(f[4]),
  };
}

function told(f: Fields): Told {
  const outcome = word(OUTCOMES, f[2], 'outcome');
  const value = payload(f[3]);
  const reason = text(f[4], LIMITS.failureLength, 'text');
  if (outcome !== 'answered' && value.length > 0) throw new Malformed('payload');
  if (outcome !== 'failed' && reason !== '') throw new Malformed('text');
  return { type: 'told', request: request(f[1]), outcome, value, text: reason };
}

function payload(value: unknown): Uint8Array {
  const all = bytes(value, 'payload');
  if (all.length > LIMITS.payloadBytes) throw new Malformed('payload');
  return all;
}

function proposal(value: unknown, isHeld: boolean): Proposal {
  const f = array(value, 'proposal');
  // What is held is not sent; the proposer puts in what it named.
  if (isHeld && (f[3] !== null || f[4] !== null)) throw new Malformed('isHeld');
  const accepted = ballot(f, 0);
  const proposing = operation(f[2]);
  return {
    accepted,
    operation: proposing,
    value: f[3] === null ? null : bytes(f[3], 'value'),
    attributes: isHeld ? NO_BYTES : bytes(f[4], 'attributes'),
    until: natural(f[5], 'until'),
    birth: nearBallot(f, 6, accepted),
    dataBallot: nearBallot(f, 8, accepted),
    lineage: lineage(f[10], accepted, proposing),
    lineageFrom: nearBallot(f, 11, accepted),
  };
}

function lineage(value: unknown, accepted: Ballot, proposing: string): LineageEntry[] {
  const f = list(value, LINEAGE_FIELDS, LIMITS.lineage, 'lineage');
  const entries: LineageEntry[] = [];
  for (let i = 0; i < f.length; i += LINEAGE_FIELDS) {
    const named = operation(f[i]);
    entries.push({
      operation: named === SAME_OPERATION ? proposing : named,
      ballot: nearBallot(f, i + 1, accepted),
    });
  }
  return entries;
}

function report(value: unknown): Report | null {
  if (value === null) return null;
  const f = array(value, 'report');
  const flags = integer(f[0], 0, REPORT_COMMITTED | REPORT_IS_HELD | REPORT_IS_COPY, 'flags');
  const isHeld = (flags & REPORT_IS_HELD) !== 0;
  const isCopy = (flags & REPORT_IS_COPY) !== 0;
  const committed = (flags & REPORT_COMMITTED) !== 0;
  return { proposal: proposal(f[1], isHeld), committed, isHeld, ...(isCopy && { isCopy }) };
}

function held(value: unknown): HeldName | null {
  if (value === null) return null;
  const f = array(value, 'held');
  return { accepted: ballot(f, 0), operation: operation(f[2]) };
}

function enumeratedKeys(value: unknown): EnumeratedKey[] {
  const f = list(value, ENUMERATED_FIELDS, LIMITS.enumeratedKeys, 'keys');
  const keys: EnumeratedKey[] = [];
  for (let i = 0; i < f.length; i += ENUMERATED_FIELDS) {
    const standing = word(STANDINGS, f[i + 4], 'committed');
    keys.push({
      key: key(f[i]),
      accepted: ballot(f, i + 1),
      operation: operation(f[i + 3]),
      committed: standing === 'committed',
      until: natural(f[i + 5], 'until'),
      ...(standing === 'copy' && { isCopy: true }),
    });
  }
  return keys;
}

function copies(value: unknown): Copy[] {
  const f = list(value, COPY_FIELDS, MAX_PULLED, 'copies');
  const all: Copy[] = [];
  for (let i = 0; i < f.length; i += COPY_FIELDS) {
    all.push({ key: key(f[i]), horizon: natural(f[i + 1], 'horizon'), proposal: proposal(f[i + 2], false) });
  }
  return all;
}

/** What the two kinds of pages of a transfer have in common. */
function page(f: Fields): Omit<Transferred, 'type' | 'records'> {
  return {
    request: request(f[1]),
    shard: integer(f[2], 0, LIMITS.shards - 1, 'shard'),
    after: text(f[3], LIMITS.keyBytes, 'after'),
    nextShard: integer(f[4], 0, LIMITS.shards, 'nextShard'),
    nextAfter: text(f[5], LIMITS.keyBytes, 'nextAfter'),
    floor: ballot(f, 6),
  };
}

function keptNames(value: unknown): KeptName[] {
  const f = list(value, KEPT_NAME_FIELDS, MAX_NAMED, 'names');
  const names: KeptName[] = [];
  for (let i = 0; i < f.length; i += KEPT_NAME_FIELDS) {
    const accepted = ballot(f, i + 1);
    const promised = nearBallot(f, i + 6, accepted);
    // See below.
    if (compareBallots(accepted, promised) > 0) throw new Malformed('promised');
    names.push({
      key: key(f[i]),
      promised,
      accepted,
      operation: f[i + 3] === '' ? '' : operation(f[i + 3]),
      horizon: natural(f[i + 4], 'horizon'),
      committed: integer(f[i + 5], 0, 1, 'committed') === 1,
    });
  }
  return names;
}

function keptRecords(value: unknown): Kept[] {
  const f = list(value, KEPT_FIELDS, MAX_TRANSFERRED, 'records');
  const records: Kept[] = [];
  for (let i = 0; i < f.length; i += KEPT_FIELDS) {
    const held = f[i + 5] === null ? null : proposal(f[i + 5], false);
    const isSame = held !== null && f[i + 1] === held.accepted.round && f[i + 2] === held.accepted.proposer;
    // One object for both: there are many, and they stay.
    const promised = isSame ? held.accepted : ballot(f, i + 1);
    // An acceptor that took it over would see an invariant broken, and stop.
    if (held !== null && compareBallots(held.accepted, promised) > 0) throw new Malformed('promised');
    records.push({
      key: key(f[i]),
      promised,
      proposal: held,
      horizon: natural(f[i + 3], 'horizon'),
      committed: integer(f[i + 4], 0, 1, 'committed') === 1,
    });
  }
  return records;
}

function slots(value: unknown): number[] {
  return list(value, 1, LIMITS.slots, 'open').map((slot) => integer(slot, 1, LIMITS.slots, 'open'));
}

function processes(value: unknown): number[] {
  return list(value, 1, LIMITS.slots, 'ended').map((process) => integer(process, 1, LIMITS.number48, 'ended'));
}

function digests(value: unknown): Uint8Array {
  const all = bytes(value, 'digests');
  if (all.length !== DIGESTS_SIZE) throw new Malformed('digests');
  return all;
}

function view(value: unknown): View {
  const f = array(value, 'view');
  const holders = list(f[2], 1, LIMITS.slots, 'holders');
  if (holders.length === 0) throw new Malformed('holders');
  return {
    incarnation: integer(f[0], 1, LIMITS.number48, 'incarnation'),
    formedAtMs: natural(f[1], 'formedAt'),
    holders: holders.map(holder),
    // `null` stands where a later version has something to say behind it.
    ...(f[3] == null ? {} : { config: config(f[3], holders.length) }),
  };
}

function config(value: unknown, holders: number): Config {
  const f = list(value, 1, 4 + holders, 'config');
  const version = integer(f[0], 1, Number.MAX_SAFE_INTEGER, 'version');
  const slots = integer(f[1], holders, holders, 'slots');
  const before = integer(f[2], 1, slots, 'size');
  const after = integer(f[3], 0, slots, 'size');
  if (f.length !== 4 + slots) throw new Malformed('config');
  const since = f.slice(4).map((each) => integer(each, 0, version, 'since'));
  return { version, slots, since, sizes: after === 0 ? [before] : [before, after] };
}

function holder(value: unknown): Holder | null {
  if (value === null) return null;
  const f = array(value, 'holder');
  return {
    process: integer(f[0], 1, LIMITS.number48, 'process'),
    generation: integer(f[1], 1, Number.MAX_SAFE_INTEGER, 'generation'),
    name: label(f[2], 'name'),
  };
}

function ballot(fields: Fields, at: number): Ballot {
  const round = natural(fields[at], 'round');
  const proposer = integer(fields[at + 1], 0, LIMITS.number48, 'proposer');
  return round === 0 && proposer === 0 ? NO_BALLOT : { round, proposer };
}

/** A ballot that may say of its parts that they are those of `accepted`. */
function nearBallot(fields: Fields, at: number, accepted: Ballot): Ballot {
  const isSameRound = fields[at] === SAME;
  const isSameProposer = fields[at + 1] === SAME;
  if (isSameRound && isSameProposer) return accepted;
  const round = isSameRound ? accepted.round : natural(fields[at], 'round');
  const proposer = isSameProposer ? accepted.proposer : integer(fields[at + 1], 0, LIMITS.number48, 'proposer');
  return round === 0 && proposer === 0 ? NO_BALLOT : { round, proposer };
}

function request(value: unknown): number {
  return integer(value, 1, LIMITS.number48, 'request');
}

function key(value: unknown): string {
  const key = text(value, LIMITS.keyBytes, 'key');
  if (key === '') throw new Malformed('key');
  return key;
}

function operation(value: unknown): string {
  return text(value, LIMITS.operationLength, 'operation');
}

function natural(value: unknown, what: string): number {
  return integer(value, 0, Number.MAX_SAFE_INTEGER, what);
}

function integer(value: unknown, min: number, max: number, what: string): number {
  if (!Number.isSafeInteger(value)) throw new Malformed(what);
  const number = value as number; // isSafeInteger is false for all but numbers
  if (number < min || number > max) throw new Malformed(what);
  // −0, which a float64 can say, is sent on as 0; so it is 0 here too.
  return number + 0;
}

/** A string of at most `max` UTF-16 units. (The bytes of every string were bounded when it was scanned.) */
function text(value: unknown, max: number, what: string): string {
  if (typeof value !== 'string' || value.length > max) throw new Malformed(what);
  return value;
}

/** For people: in their terminals and logs it is to be one line, and nothing that a terminal obeys. No process has another. */
function label(value: unknown, what: string): string {
  const label = text(value, LIMITS.nameLength, what);
  if (/\p{Cc}/u.test(label)) throw new Malformed(what);
  return label;
}

/** A copy that shares its memory with nothing. */
function bytes(value: unknown, what: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new Malformed(what);
  return value.length === 0 ? NO_BYTES : new Uint8Array(value);
}

function word<W extends string>(words: readonly W[], value: unknown, what: string): W {
  return words[integer(value, 0, words.length - 1, what)] as W; // in range
}

function array(value: unknown, what: string): Fields {
  if (!Array.isArray(value)) throw new Malformed(what);
  return value;
}

/** An array of whole entries of `fields` fields each. */
function list(value: unknown, fields: number, max: number, what: string): Fields {
  const all = array(value, what);
  if (all.length % fields !== 0 || all.length > max * fields) throw new Malformed(what);
  return all;
}
