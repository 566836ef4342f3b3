/** Messages and envelopes to bytes. See `format.ts` for what the bytes are, `decode.ts` for the way back. */
import { Packr } from 'msgpackr';
import type { View } from '../membership/view.js';
import type {
  Copy,
  EnumeratedKey,
  HeldName,
  Kept,
  KeptName,
  Named,
  Proposal,
  Report,
  Transferred,
} from '../paxos/index.js';
import {
  EFFECTS,
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
import type { Envelope, Message } from './messages.js';

const packr = new Packr(PACK_OPTIONS);

/**
 * The bytes of one message. They share a buffer with other messages encoded about the same time: nothing overwrites
 * them, but who keeps them for long copies them.
 *
 * The fields are taken to be in range (`LIMITS`) and strings to be well-formed: where a caller's input enters, it has
 * been checked.
 */
export function encodeMessage(message: Message): Uint8Array {
  return packr.pack(toFields(message));
}

/** The bytes that a body starts with. A fraction of a millisecond is dropped from the clock. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  const { from, to, clockMs, incarnation, slot, vector } = envelope;
  return packr.pack([from, to, Math.floor(clockMs), incarnation, slot, vector]);
}

type Field = number | string | Uint8Array | null | readonly Field[];

function toFields(message: Message): Field[] {
  switch (message.type) {
    case 'prepare': {
      const { request, key, ballot, bound, held } = message;
      return [TYPE.prepare, request, key, ballot.round, ballot.proposer, bound, heldFields(held)];
    }
    case 'accept':
      return acceptFields(message.request, message.key, message.horizon, message.proposal);
    case 'commit': {
      const { key, ballot, operation, effect } = message;
      return [TYPE.commit, key, ballot.round, ballot.proposer, operation, EFFECTS.indexOf(effect)];
    }
    case 'read':
      return [TYPE.read, message.request, message.key, heldFields(message.held)];
    case 'enumerate':
      return [TYPE.enumerate, message.request, message.prefix, message.shard];
    case 'promised': {
      const { request, ballot, report, horizon, floor } = message;
      const { round, proposer } = ballot;
      return [TYPE.promised, request, round, proposer, reportFields(report), horizon, floor.round, floor.proposer];
    }
    case 'accepted':
      return [TYPE.accepted, message.request, message.ballot.round, message.ballot.proposer];
    case 'nack': {
      const { request, phase, ballot, reason, promised } = message;
      const { round, proposer } = ballot;
      return [TYPE.nack, request, phase, round, proposer, REASONS.indexOf(reason), promised.round, promised.proposer];
    }
    case 'held':
      return [
        TYPE.held,
        message.request,
        reportFields(message.report),
        message.horizon,
        message.floor.round,
        message.floor.proposer,
      ];
    case 'enumerated':
      return [TYPE.enumerated, message.request, message.shard, message.nextShard, enumeratedFields(message.keys)];
    case 'compare':
      return [TYPE.compare, message.request, message.digests];
    case 'differs':
      return [TYPE.differs, message.request, message.shards];
    case 'pull':
      return [TYPE.pull, message.request, message.keys];
    case 'pulled':
      return [TYPE.pulled, message.request, message.first, message.looked, copyFields(message.copies)];
    case 'transfer':
      return [
        TYPE.transfer,
        message.request,
        message.shard,
        message.after,
        ...(message.isByName === true ? [TRANSFER_BY_NAME] : message.isOfLegacy === true ? [TRANSFER_OF_LEGACY] : []),
      ];
    case 'named':
      return [TYPE.named, ...pageFields(message), keptNameFields(message.names)];
    case 'transferred':
      return [TYPE.transferred, ...pageFields(message), keptFields(message.records)];
    case 'hello': {
      const {
        name,
        host,
        streamPort,
        clusterSize,
        maxClockSkewMs,
        wish,
        phase,
        bound,
        view,
        slot,
        open,
        ended,
        lost,
        voter,
        isDurable,
        hasResigned,
        copied,
      } = message;
      const place = PHASES.indexOf(phase);
      const views = view && viewFields(view);
      return [
        TYPE.hello,
        name,
        streamPort,
        clusterSize,
        maxClockSkewMs,
        wish,
        place,
        bound,
        views,
        slot,
        open,
        host,
        ended,
        lost,
        voter,
        isDurable ? 1 : 0,
        hasResigned ? 1 : 0,
        ...(copied === 0 ? [] : [copied]),
      ];
    }
    case 'who':
      return [TYPE.who, message.request];
    case 'vouch':
      return [TYPE.vouch, message.request, viewFields(message.view), message.isServing ? 1 : 0];
    case 'form':
      return [TYPE.form, viewFields(message.view)];
    case 'unform':
      return [TYPE.unform, message.incarnation];
    case 'ask':
      return [TYPE.ask, message.request, message.floor, message.topic, message.payload];
    case 'told':
      return [TYPE.told, message.request, OUTCOMES.indexOf(message.outcome), message.value, message.text];
  }
}

function acceptFields(request: number, key: string, horizon: number, proposal: Proposal): Field[] {
  return [TYPE.accept, request, key, horizon, proposalFields(proposal, proposal.value, proposal.attributes)];
}

function proposalFields(proposal: Proposal, value: Uint8Array | null, attributes: Uint8Array | null): Field[] {
  const { accepted, operation, until, birth, dataBallot, lineageFrom } = proposal;
  // One literal, made at its full length: there are 100 000 of them in a recovery, and one in each accept.
  return [
    accepted.round,
    accepted.proposer,
    operation,
    value,
    attributes,
    until,
    near(birth.round, accepted.round),
    near(birth.proposer, accepted.proposer),
    near(dataBallot.round, accepted.round),
    near(dataBallot.proposer, accepted.proposer),
    lineageFields(proposal),
    near(lineageFrom.round, accepted.round),
    near(lineageFrom.proposer, accepted.proposer),
  ];
}

function lineageFields({ lineage, operation, accepted }: Proposal): Field[] {
  const fields: Field[] = new Array(lineage.length * 3);
  let at = 0;
  for (const entry of lineage) {
    fields[at++] = entry.operation === operation ? SAME_OPERATION : entry.operation;
    fields[at++] = near(entry.ballot.round, accepted.round);
    fields[at++] = near(entry.ballot.proposer, accepted.proposer);
  }
  return fields;
}

/**
 * A part of a ballot beside that of the one it goes with, from which it mostly differs little: two accepts of a session
 * of half a kilobyte fit in a datagram because of this.
 */
function near(part: number, base: number): number {
  return part === base ? SAME : part;
}

function heldFields(held: HeldName | null): Field {
  return held && [held.accepted.round, held.accepted.proposer, held.operation];
}

/** What the asker holds already is left out: its bytes, and the attributes beside them. */
function reportFields(report: Report | null): Field {
  if (report === null) return null;
  const { proposal, committed, isHeld } = report;
  const copy = report.isCopy === true ? REPORT_IS_COPY : 0;
  const flags = (committed ? REPORT_COMMITTED : 0) | (isHeld ? REPORT_IS_HELD : 0) | copy;
  return isHeld
    ? [flags, proposalFields(proposal, null, null)]
    : [flags, proposalFields(proposal, proposal.value, proposal.attributes)];
}

/** One flat list: an array for each of 100 000 keys would cost as much as the keys. */
function enumeratedFields(keys: readonly EnumeratedKey[]): Field[] {
  const fields: Field[] = [];
  for (const { key, accepted, operation, committed, until, isCopy } of keys) {
    const standing = STANDINGS.indexOf(committed ? 'committed' : isCopy === true ? 'copy' : 'held');
    fields.push(key, accepted.round, accepted.proposer, operation, standing, until);
  }
  return fields;
}

function copyFields(copies: readonly Copy[]): Field[] {
  return copies.flatMap(({ key, horizon, proposal }) => [
    key,
    horizon,
    proposalFields(proposal, proposal.value, proposal.attributes),
  ]);
}

/** What the two kinds of pages of a transfer have in common. */
function pageFields({ request, shard, after, nextShard, nextAfter, floor }: Named | Transferred): Field[] {
  return [request, shard, after, nextShard, nextAfter, floor.round, floor.proposer];
}

function keptFields(records: readonly Kept[]): Field[] {
  const fields: Field[] = [];
  for (const { key, promised, horizon, committed, proposal } of records) {
    const value = proposal && proposalFields(proposal, proposal.value, proposal.attributes);
    fields.push(key, promised.round, promised.proposer, horizon, committed ? 1 : 0, value);
  }
  return fields;
}

function keptNameFields(names: readonly KeptName[]): Field[] {
  const fields: Field[] = [];
  for (const { key, promised, horizon, committed, accepted, operation } of names) {
    const [round, proposer] = [near(promised.round, accepted.round), near(promised.proposer, accepted.proposer)];
    fields.push(key, accepted.round, accepted.proposer, operation, horizon, committed ? 1 : 0, round, proposer);
  }
  return fields;
}

function viewFields(view: View): Field[] {
  const holders = view.holders.map((holder) => holder && [holder.process, holder.generation, holder.name]);
  const fields: Field[] = [view.incarnation, view.formedAtMs, holders];
  if (view.config !== undefined) {
    const { version, slots, sizes, since } = view.config;
    fields.push([version, slots, sizes[0], sizes[1] ?? 0, ...since]);
  }
  return fields;
}
