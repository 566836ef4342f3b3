import { Agenda } from './agenda.js';
import { invariant } from './assert.js';
import {
  type Ballot,
  compareBallots,
  formatBallot,
  higherBallot,
  NO_BALLOT,
  ROUNDS_PER_MS,
  roundTimeMs,
  sameBallot,
} from './ballot.js';
import { differing, digestOf, encodeDigests } from './digest.js';
import type { Instant } from './instant.js';
import {
  type Accept,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Commit,
  type Compare,
  type Copy,
  type Enumerate,
  type Enumerated,
  type EnumeratedKey,
  type HeldName,
  type Kept,
  type KeptName,
  MAX_NAMED,
  MAX_TRANSFERRED,
  type Nack,
  type Named,
  type Prepare,
  type Pull,
  type Pulled,
  type Read,
  type Report,
  type Transfer,
  type Transferred,
} from './messages.js';
import { Pages } from './pages.js';
import { FOREVER, isSameProposal, NO_BYTES, type OperationId, type Proposal, type RegisterRecord } from './record.js';
import { hashOf, type RecordTable, SHARDS, shardOfHash } from './table.js';

/** What an acceptor has to know of the farm's settings. */
export interface AcceptorLimits {
  /**
   * S, in ms: two trusted clocks of the farm are less than this apart, and an operation takes less. The same for all
   * acceptors and proposers.
   */
  readonly maxClockSkewMs: number;
}

/** Keys an answer to an enumeration holds before it ends at the next shard's border. */
const KEYS_PER_PAGE = 400;

/**
 * Bytes that an answer with whole records holds, about, unless its only record is larger: less than the smallest frame
 * takes. To ask for a page, to wake both sides and to send it cost as much CPU time as making one of 48 KiB, so with a third
 * of it a recovery takes twice the CPU time of all three servers, and all that others ask of them waits for longer.
 */
const BYTES_PER_PAGE = 48 * 1024;

/** What has to be done before an acceptor can forget keys that are over. */
export interface Uncollected {
  /**
   * What is not known to be chosen, and what was promised without an end and came to nothing, or has got an end after all:
   * somebody has to put a tombstone above all that was promised. To find out that one is chosen, by a majority of others,
   * would give none to this acceptor, which might ask for ever; and each time it asked it would promise more, to those who
   * hold that tombstone as well, so that they could not let go of it.
   */
  readonly unsettled: readonly string[];
  /** Tombstones of values without an end: all voters have to be past them. */
  readonly endless: readonly Tombstone[];
}

/** A tombstone that is chosen. */
export interface Tombstone {
  readonly key: string;
  /** Ballot that it was accepted at. */
  readonly accepted: Ballot;
  /** The operation that made it; with `accepted` it names the tombstone. */
  readonly operation: OperationId;
}

/** Ms after which no copy arrives any more that was asked for before: longer than a repair's question waits. */
export const MAX_COPY_AGE_MS = 10_000;

/** A value without an end is looked at after so many S: it may have become a tombstone. */
const REVISIT = 30;

/**
 * What an acceptor lacks of a value that another one knows to be chosen: `nothing`, if it holds that value or a later one,
 * or the value is over; `word`, if it holds the value and has not heard that it is chosen; or the `record`.
 */
export type Lack = 'nothing' | 'word' | 'record';

/**
 * One voter's memory: what it has promised and accepted, for every register (*Paxos Made Simple*, section 2.2;
 * Rystsov, *CASPaxos*, section 2.1), and the forgetting of what is over (docs/protocol.md, "Expiry and forgetting").
 *
 * It answers; it never speaks first. The caller delivers each answer only after what the step wrote is as safe as the
 * storage promises (*Paxos Made Simple*, section 2.5). Steps are taken one at a time; one that throws an
 * {@link InvariantError} is the last.
 */
export class Acceptor {
  readonly #table: RecordTable;
  /** For transfers. */
  readonly #pages: Pages;
  readonly #skewMs: number;
  readonly #agenda = new Agenda();
  /** By shard, of what is known to be chosen. */
  readonly #digests = new Uint32Array(SHARDS);
  #floor: Ballot = NO_BALLOT;
  /** The highest that was taken over: see {@link raiseFloor}. */
  #floorOfOthers: Ballot = NO_BALLOT;
  #highestRound = 0;

  /**
   * @param table empty. What an earlier process held for the slot comes in by {@link raiseFloor} and {@link absorb}; the
   *   floor is not in the table, and is stored beside it
   */
  constructor(table: RecordTable, limits: AcceptorLimits) {
    this.#table = table;
    this.#pages = new Pages(table);
    this.#skewMs = limits.maxClockSkewMs;
  }

  /**
   * The highest ballot of all that was forgotten, here or by those whose memory this acceptor has taken over: every key
   * counts as promised up to it. So a message that was on its way for days can't be accepted after the promise against it
   * is gone.
   */
  get floor(): Ballot {
    return this.#floor;
  }

  /** Number of registers held, tombstones and bare promises included. */
  get size(): number {
    return this.#table.size;
  }

  /** What is held of a register; `undefined` if there is no record. For a proposer in the same process. */
  record(key: string): RegisterRecord | undefined {
    return this.#table.get(key);
  }

  /**
   * Takes a request from whoever sent it. A request that comes twice, or late, does no harm.
   *
   * Throws {@link InvariantError}, and what the table throws.
   *
   * @returns the answer, for the process that asked, once what was written is durable; `null` to a `commit`
   */
  receive(request: AcceptorRequest, now: Instant): AcceptorAnswer | null {
    switch (request.type) {
      case 'prepare':
        return this.#prepare(request, now);
      case 'accept':
        return this.#accept(request, now);
      case 'read':
        return this.#read(request);
      case 'enumerate':
        return this.#enumerate(request);
      case 'compare':
        return this.#compare(request);
      case 'pull':
        return this.#pull(request);
      case 'transfer':
        return this.#transfer(request);
      case 'commit':
        this.commit(request);
        return null;
    }
  }

  #prepare(request: Prepare, now: Instant): AcceptorAnswer {
    const { key, ballot } = request;
    if (this.#isTooFarAhead(ballot, now)) return nack(request.request, 1, ballot, 'clock', this.#ceiling(now));
    const record = this.#table.get(key);
    const bar = this.#barAgainst(ballot, record);
    if (bar !== null) return nack(request.request, 1, ballot, 'stale', bar);
    const next: RegisterRecord = {
      promised: ballot,
      proposal: record?.proposal ?? null,
      committed: record?.committed ?? false,
      // What the operation may write outlives no tombstone that this promise's majority will ever hold.
      horizon: Math.max(record?.horizon ?? 0, request.bound),
      touchedMs: now.monotonicMs,
      ...copied(record?.isCopy === true),
    };
    this.#store(key, record, next, now);
    return {
      type: 'promised',
      request: request.request,
      ballot,
      report: this.#reportOf(next, request.held),
      horizon: record?.horizon ?? 0,
      floor: this.#floor,
    };
  }

  /**
   * Whether what is held counts in a majority. Not what was copied; nor, unless it is known to be chosen, what lies below a
   * floor that was taken over: its acceptor may have promised against it and forgotten that, and be in none of the
   * majorities that count since the farm has another size.
   */
  #isVote({ committed, isCopy }: RegisterRecord, { accepted }: Proposal): boolean {
    return isCopy !== true && (committed || compareBallots(accepted, this.#floorOfOthers) >= 0);
  }

  /** Whether that counts as a vote, though something higher is promised. */
  #isOvertakenVote(record: RegisterRecord): boolean {
    const { proposal, promised, committed } = record;
    if (proposal === null || committed) return false;
    return this.#isVote(record, proposal) && compareBallots(promised, proposal.accepted) > 0;
  }

  #reportOf(record: RegisterRecord, held: HeldName | null): Report | null {
    const { proposal, committed } = record;
    if (proposal === null) return null;
    const copy = copied(!this.#isVote(record, proposal));
    const isHeld =
      held !== null && sameBallot(held.accepted, proposal.accepted) && held.operation === proposal.operation;
    if (!isHeld) return { proposal, committed, isHeld, ...copy };
    return { proposal: { ...proposal, value: null, attributes: NO_BYTES }, committed, isHeld, ...copy };
  }

  /** What was promised against that ballot; `null` if nothing was. */
  #barAgainst(ballot: Ballot, record: RegisterRecord | undefined): Ballot | null {
    const aboveFloor = compareBallots(ballot, this.#floor);
    // At the floor itself lies an operation that is forgotten: only above it is the ballot surely a new one.
    if (aboveFloor < 0 || (aboveFloor === 0 && record === undefined)) {
      return higherBallot(this.#floor, record?.promised ?? NO_BALLOT);
    }
    return record !== undefined && compareBallots(ballot, record.promised) < 0 ? record.promised : null;
  }

  #accept(request: Accept, now: Instant): AcceptorAnswer {
    const { key, proposal } = request;
    const ballot = proposal.accepted;
    const record = this.#table.get(key);
    const isHeld = record?.proposal != null && isSameProposal(record.proposal, ballot, proposal.operation);
    if (isHeld && this.#isVote(record, record.proposal)) {
      // A repetition. Answered as the first time, though a higher ballot may be promised by now: it was accepted. What was
      // only taken over was not.
      return { type: 'accepted', request: request.request, ballot };
    }
    if (this.#isTooFarAhead(ballot, now)) return nack(request.request, 2, ballot, 'clock', this.#ceiling(now));
    const bar = this.#barAgainst(ballot, record);
    if (bar !== null) return nack(request.request, 2, ballot, 'stale', bar);
    invariant(
      isHeld || record?.proposal == null || compareBallots(ballot, record.proposal.accepted) > 0,
      () => `key ${key}: two values at ballot ${formatBallot(ballot)}`,
    );
    const next: RegisterRecord = {
      promised: ballot,
      proposal,
      committed: isHeld && record.committed,
      horizon: Math.max(record?.horizon ?? 0, request.horizon, proposal.until),
      touchedMs: now.monotonicMs,
    };
    this.#store(key, record, next, now);
    return { type: 'accepted', request: request.request, ballot };
  }

  #read(request: Read): AcceptorAnswer {
    const record = this.#table.get(request.key);
    const report = record === undefined ? null : this.#reportOf(record, request.held);
    return {
      type: 'held',
      request: request.request,
      report: report && withoutLineage(report),
      horizon: record?.horizon ?? 0,
      floor: this.#floor,
    };
  }

  /**
   * Takes it for chosen what is named, if it is held. What is known to be chosen may be given to other acceptors, and
   * forgotten in time.
   *
   * @returns whether this is news: the value named is held here, and was not known to be chosen
   */
  commit({ key, ballot, operation }: Commit): boolean {
    const record = this.#table.get(key);
    if (record?.proposal == null || record.committed) return false;
    // Both parts of the name: a key alone, or a ballot alone, could name a value that was never chosen.
    if (!isSameProposal(record.proposal, ballot, operation)) return false;
    this.#table.set(key, { ...record, committed: true });
    this.#note(key, record.proposal.accepted);
    return true;
  }

  /**
   * The digests of all shards, to compare with another acceptor's: for each, the exclusive or of 32 bits of (key, ballot) of
   * all that is known to be chosen. 1024 bytes, big-endian; a copy.
   */
  get digests(): Uint8Array {
    return encodeDigests(this.#digests);
  }

  #compare({ request, digests }: Compare): AcceptorAnswer {
    return { type: 'differs', request, shards: differing(this.#digests, digests) };
  }

  #pull({ request, keys }: Pull): Pulled {
    const copies: Copy[] = [];
    let looked = 0;
    let size = 0;
    for (; looked < keys.length; looked += 1) {
      const key = keys[looked] ?? '';
      const record = this.#table.get(key);
      // What is not known to be chosen may never be: whoever took it for chosen would bring a dead write to life.
      if (record?.proposal == null || !record.committed) continue;
      const copy = { key, proposal: record.proposal, horizon: record.horizon };
      size += sizeOf(copy);
      if (copies.length > 0 && size > BYTES_PER_PAGE) break;
      copies.push(copy);
    }
    return { type: 'pulled', request, first: keys[0] ?? '', looked, copies };
  }

  /** What this acceptor lacks of a value that another one knows to be chosen. */
  lacks({ key, accepted, operation, committed, until }: EnumeratedKey, now: Instant): Lack {
    if (!committed) return 'nothing';
    const record = this.#table.get(key);
    if (record?.proposal != null) {
      if (compareBallots(record.proposal.accepted, accepted) < 0) return 'record';
      return !record.committed && isSameProposal(record.proposal, accepted, operation) ? 'word' : 'nothing';
    }
    // A tombstone that is not above the floor may be forgotten here already.
    const isWorthIt = until === 0 ? compareBallots(accepted, this.#floor) > 0 : until > now.wallMs;
    return isWorthIt ? 'record' : 'nothing';
  }

  /**
   * Takes over what another acceptor knows to be chosen, promised against or not: whoever had a promise here met a
   * majority that accepted it, and has built on it. No promise is lowered by that, those included of which only the
   * floor is left, be there a record of the key: it may have been read back since, from a voter that had not forgotten it.
   *
   * @returns whether it was news
   */
  install({ key, proposal, horizon }: Copy, now: Instant): boolean {
    const { accepted, operation } = proposal;
    if (this.#isTooFarAhead(accepted, now)) return false;
    const record = this.#table.get(key);
    if (record?.proposal != null && compareBallots(accepted, record.proposal.accepted) <= 0) {
      return this.commit({ type: 'commit', key, ballot: accepted, operation, effect: 'none' });
    }
    const next: RegisterRecord = {
      promised: higherBallot(higherBallot(record?.promised ?? NO_BALLOT, this.#floor), accepted),
      proposal,
      committed: true,
      horizon: Math.max(record?.horizon ?? 0, horizon, proposal.until),
      touchedMs: now.monotonicMs,
    };
    this.#store(key, record, next, now);
    return true;
  }

  #transfer(asked: Transfer): Transferred | Named {
    const { request, shard, after } = asked;
    let size = 0;
    if (asked.isByName === true) {
      const names: KeptName[] = [];
      const end = this.#page(asked, (key, record) => {
        size += 60 + 3 * key.length;
        if (names.length > 0 && (size > BYTES_PER_PAGE || names.length >= MAX_NAMED)) return false;
        names.push(keptNameOf(key, record));
        return true;
      });
      return { type: 'named', request, shard, after, ...end, floor: this.#floor, names };
    }
    const records: Kept[] = [];
    const end = this.#page(asked, (key, record) => {
      const kept = keptOf(key, record);
      size += sizeOf(kept);
      if (records.length > 0 && (size > BYTES_PER_PAGE || records.length >= MAX_TRANSFERRED)) return false;
      records.push(kept);
      return true;
    });
    return { type: 'transferred', request, shard, after, ...end, floor: this.#floor, records };
  }

  #page(
    from: Transfer,
    take: (key: string, record: RegisterRecord) => boolean,
  ): Pick<Named, 'nextShard' | 'nextAfter'> {
    const { shard, after } = this.#pages.read(from, take);
    return { nextShard: shard, nextAfter: after };
  }

  /**
   * Takes over what another acceptor is bound to, on behalf of the slot that both this process and the one before it
   * stand for: part of a recovery, before this acceptor answers anything (Michael, Ports, Sharma, Szekeres, *Recovering
   * Shared Objects Without Stable Storage*, DISC 2017). The highest promise counts, and the value of the highest ballot. A
   * value that is not known to be chosen, or lies below what is promised, is marked as a copy, which is no vote: the slot may
   * have promised against it, before or, where it goes on voting meanwhile, since; and of what others have promised, and
   * forgotten, only a floor may be left.
   */
  absorb({ key, promised, proposal, committed, horizon }: Kept, now: Instant): void {
    const record = this.#table.get(key);
    const own = record?.proposal ?? null;
    const isNews = proposal !== null && (own === null || compareBallots(proposal.accepted, own.accepted) > 0);
    const isOwn =
      !isNews && own !== null && proposal !== null && isSameProposal(own, proposal.accepted, proposal.operation);
    const kept = isNews ? proposal : own;
    const bar = record === undefined ? promised : higherBallot(record.promised, promised);
    const isNoVote = isNews ? !committed : record?.isCopy === true;
    const isCopy = kept !== null && (isNoVote || compareBallots(bar, kept.accepted) > 0);
    const next: RegisterRecord = {
      promised: bar,
      proposal: kept,
      committed: isNews ? committed : record?.committed === true || (isOwn && committed),
      horizon: Math.max(record?.horizon ?? 0, horizon),
      touchedMs: now.monotonicMs,
      ...(isCopy && { isCopy }),
    };
    this.#store(key, record, next, now);
  }

  /**
   * The same where only the value's name was told. A ballot names one value: so one that is held here need not be read again,
   * and one below it is of no use.
   *
   * @returns whether it has taken that over; else the value has to be read, for this acceptor holds an older one, or none
   */
  absorbName({ key, promised, accepted, operation, committed, horizon }: KeptName, now: Instant): boolean {
    const record = this.#table.get(key);
    const own = record?.proposal ?? null;
    const order = compareBallots(accepted, own?.accepted ?? NO_BALLOT);
    const isHeld = own !== null && isSameProposal(own, accepted, operation);
    if (order > 0 || (order === 0 && own !== null && !isHeld)) return false;
    // So it is with nearly all: whoever touched it there has left the same traces here. But a vote that something higher was
    // promised against, there and here, is to be one no more: of a majority of both that promise may be all that is left.
    const isKnown = (isHeld || own === null) && (!committed || record?.committed === true);
    const isSame = record?.horizon === horizon && compareBallots(record.promised, promised) === 0;
    if (record !== undefined && isKnown && isSame && !this.#isOvertakenVote(record)) return true;
    this.absorb({ key, promised, proposal: isHeld ? own : null, committed: isHeld && committed, horizon }, now);
    return true;
  }

  /**
   * The records of another acceptor have been absorbed: what it has forgotten binds this one too, and keys that others
   * still have a record of. That acceptor may have promised more for them before it forgot them.
   *
   * @param floor that of the acceptor read from, as it was after its last record; one below this acceptor's changes nothing
   */
  raiseFloor(floor: Ballot): void {
    this.#floorOfOthers = higherBallot(this.#floorOfOthers, floor);
    this.#floor = higherBallot(this.#floor, floor);
  }

  #enumerate({ request, prefix, shard: first }: Enumerate): Enumerated {
    const keys: EnumeratedKey[] = [];
    let shard = first;
    for (; shard < SHARDS && keys.length < KEYS_PER_PAGE; shard += 1) {
      for (const [key, record] of this.#table.shard(shard)) {
        const { proposal, committed } = record;
        if (proposal === null || !key.startsWith(prefix)) continue;
        keys.push({
          key,
          accepted: proposal.accepted,
          operation: proposal.operation,
          committed,
          until: proposal.value === null ? 0 : proposal.until,
          ...copied(!this.#isVote(record, proposal)),
        });
      }
    }
    return { type: 'enumerated', request, shard: first, nextShard: shard, keys };
  }

  /**
   * Forgets what is over, of at most `limit` keys. To be called every second or so; while `now` is not trusted it does
   * nothing. Whoever never calls it keeps all records for ever.
   *
   * @param limit keys looked at, which bounds what one call takes
   * @param settleDelayMs how long after its time a record not known to be chosen is left for others to settle
   * @returns what can't be forgotten yet, and waits for others
   */
  collect(now: Instant, limit: number, settleDelayMs: number): Uncollected {
    const unsettled: string[] = [];
    const endless: Tombstone[] = [];
    // A clock that nobody agrees with forgets nothing; nor does it file anything, for a day that may be far off.
    if (!now.isTrusted) return { unsettled, endless };
    for (const key of this.#agenda.take(now.wallMs, limit)) {
      const record = this.#table.get(key);
      if (record === undefined) continue;
      const dueMs = this.#forgettableAtMs(record, now);
      if (dueMs > now.wallMs) {
        this.#agenda.add(key, this.#lookAtMs(dueMs, now));
        continue;
      }
      const { proposal, committed, horizon } = record;
      const isEndless = horizon >= FOREVER;
      if (!isEndless && (proposal === null || committed)) {
        this.#forget(key, record);
        continue;
      }
      const againMs = now.wallMs + this.#skewMs;
      if (isEndless && committed && proposal?.value === null && sameBallot(record.promised, proposal.accepted)) {
        endless.push({ key, accepted: proposal.accepted, operation: proposal.operation });
        this.#agenda.add(key, againMs);
        continue;
      }
      const askMs = dueMs + settleDelayMs;
      if (askMs <= now.wallMs) unsettled.push(key);
      // Each in its turn: whose turn comes later finds mostly that it is done.
      this.#agenda.add(key, askMs <= now.wallMs ? againMs : Math.min(askMs, againMs));
    }
    return { unsettled, endless };
  }

  /**
   * All voters were found to be past that tombstone of a value without an end, the present holders of all slots at one time:
   * nothing older is held, or will ever be accepted, by anybody. It may go when whatever was read before that has come to
   * its end: an operation lives less than S, and a repair's question less than {@link MAX_COPY_AGE_MS}.
   */
  release({ key, accepted, operation }: Tombstone, now: Instant): void {
    const record = this.#table.get(key);
    if (record?.proposal == null || !isSameProposal(record.proposal, accepted, operation)) return;
    // What was promised above it since has its bound in that horizon.
    if (!sameBallot(record.promised, accepted)) return;
    this.#store(key, record, { ...record, horizon: 0, touchedMs: now.monotonicMs + MAX_COPY_AGE_MS }, now);
  }

  #forget(key: string, record: RegisterRecord): void {
    this.#floor = higherBallot(this.#floor, record.promised);
    this.#table.delete(key);
    this.#pages.removed(key);
    if (record.proposal !== null && record.committed) this.#note(key, record.proposal.accepted);
  }

  /**
   * Wall-clock ms from which a record may go. Both waits are needed: `horizon + 2 S` by the wall clock, so that what was
   * built on the value before its end, by a clock S behind, was built before any operation began that can find the
   * record gone; and an operation's longest life by the monotonic clock, so that nobody who still retries finds its
   * traces gone and does its work twice.
   *
   * A bare promise waits for its horizon too. It is what tells a later destroy how long its tombstone has to last: the
   * write that it was given for may have been accepted elsewhere, where that destroy does not look.
   *
   * Nor is a round forgotten before its own time, as it may be ahead of this clock, if that was wrong and is no more:
   * the floor would be lifted above all rounds that proposers use, and each new key refused.
   */
  #forgettableAtMs(record: RegisterRecord, now: Instant): number {
    const endMs = endOf(record);
    if (endMs >= FOREVER) return FOREVER;
    const quietMs = record.proposal === null ? 2 * this.#skewMs : this.#skewMs;
    const quietUntilMs = now.wallMs + (record.touchedMs + quietMs - now.monotonicMs);
    const visibleUntilMs = endMs === 0 ? 0 : endMs + 2 * this.#skewMs;
    return Math.max(visibleUntilMs, quietUntilMs, roundTimeMs(record.promised.round));
  }

  #store(key: string, before: RegisterRecord | undefined, given: RegisterRecord, now: Instant): void {
    // What is to be kept until a time that is to come is kept until then, whatever becomes of it.
    const touchedMs = Math.max(before?.touchedMs ?? 0, given.touchedMs);
    const next = touchedMs === given.touchedMs ? given : { ...given, touchedMs };
    invariant(
      before === undefined || compareBallots(next.promised, before.promised) >= 0,
      () => `key ${key}: a promise was lowered`,
    );
    invariant(
      next.proposal === null || compareBallots(next.proposal.accepted, next.promised) <= 0,
      () => `key ${key}: accepted above what is promised`,
    );
    this.#table.set(key, next);
    if (before?.proposal !== next.proposal || before?.committed !== next.committed) {
      if (before?.proposal != null && before.committed) this.#note(key, before.proposal.accepted);
      if (next.proposal !== null && next.committed) this.#note(key, next.proposal.accepted);
    }
    this.#highestRound = Math.max(this.#highestRound, next.promised.round);
    if (before !== undefined) return;
    this.#pages.added(key);
    // By a clock that nobody agrees with it might be filed for a day that is far off: it is looked at when they agree.
    this.#agenda.add(key, now.isTrusted ? this.#lookAtMs(this.#forgettableAtMs(next, now), now) : 0);
  }

  /** When a record is to be looked at that may go from that time on. */
  #lookAtMs(dueMs: number, now: Instant): number {
    return dueMs >= FOREVER ? now.wallMs + REVISIT * this.#skewMs : dueMs;
  }

  /** A value is known to be chosen here, or is not any more. */
  #note(key: string, accepted: Ballot): void {
    const hash = hashOf(key);
    const shard = shardOfHash(hash);
    // The index is below SHARDS, which is the length of the array.
    this.#digests[shard] = (this.#digests[shard] as number) ^ digestOf(hash, accepted);
  }

  #isTooFarAhead(ballot: Ballot, now: Instant): boolean {
    return ballot.round > this.#ceiling(now).round;
  }

  /**
   * The highest round taken: S ahead of this clock, or the one behind what was promised here before the clock went back.
   * No more than one is added to the latter, or a wrong clock could climb step by step: of single rounds time has a thousand
   * in each ms. Without it a voter that decides alone, and follows its machine, would refuse all its own rounds.
   */
  #ceiling(now: Instant): Ballot {
    const round = (Math.floor(now.wallMs) + this.#skewMs) * ROUNDS_PER_MS;
    return { round: Math.max(round, this.#highestRound + 1), proposer: 0 };
  }
}

function nack(request: number, phase: 1 | 2, ballot: Ballot, reason: Nack['reason'], promised: Ballot): Nack {
  return { type: 'nack', request, phase, ballot, reason, promised };
}

/** Bytes that it takes in a message, at most. */
function sizeOf({ key, proposal }: Pick<Kept, 'key' | 'proposal'>): number {
  const size = 200 + 3 * key.length;
  if (proposal === null) return size;
  const { value, attributes, lineage } = proposal;
  return size + (value?.byteLength ?? 0) + attributes.byteLength + 140 * lineage.length;
}

/** Wall-clock ms until which something may show of it; of what was once promised without an end, as far as is known here. */
function endOf({ horizon, proposal }: RegisterRecord): number {
  if (horizon < FOREVER) return horizon;
  return proposal?.value == null ? 0 : proposal.until;
}

function keptNameOf(key: string, { promised, proposal, committed, horizon }: RegisterRecord): KeptName {
  const { accepted = NO_BALLOT, operation = '' } = proposal ?? {};
  return { key, promised, accepted, operation, committed, horizon };
}

function keptOf(key: string, { promised, proposal, committed, horizon }: RegisterRecord): Kept {
  return { key, promised, proposal, committed, horizon };
}

/** Only where it is one, which is rarely. */
function copied(isCopy: boolean): { readonly isCopy?: true } {
  return isCopy ? { isCopy } : {};
}

function withoutLineage(report: Report): Report {
  if (report.proposal.lineage.length === 0) return report;
  return { ...report, proposal: { ...report.proposal, lineage: [], lineageFrom: NO_BALLOT } };
}
