/**
 * A farm in one process: acceptors, proposers and the network between them, in virtual time. Nothing happens unless it
 * is asked for, and the same calls always give the same run. Scenarios and properties drive it; both see every message.
 */
import {
  ABSENT,
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Answerer,
  type Ballot,
  BallotSource,
  type Change,
  ClassicRound,
  type Electorate,
  type Exchange,
  type Instant,
  lineageAgeMs,
  NO_BALLOT,
  type OperationId,
  type Outgoing,
  type Proposal,
  QuorumRead,
  type RecordTable,
  type RegisterRecord,
  type State,
  visible,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

/** Wall-clock ms at which every farm begins. */
export const EPOCH_MS = 1_700_000_000_000;

/** A clock that may be wrong: `offsetMs` ahead of real time, trusted or not. */
export interface Clock {
  offsetMs: number;
  isTrusted: boolean;
}

/** What the harness needs of an acceptor; a mutant need not be an `Acceptor`. */
export type Voter = Pick<Acceptor, 'receive' | 'collect' | 'record' | 'floor' | 'size'>;

/** One slot and its acceptor. */
export interface Site {
  readonly slot: number;
  readonly clock: Clock;
  readonly acceptor: Voter;
}

/** A message on its way. `from` and `to` are a process's name or a slot's number. */
export interface Envelope {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly message: AcceptorRequest | AcceptorAnswer;
}

export type OperationOutcome =
  | { readonly kind: 'done'; readonly result: unknown; readonly state: State }
  | { readonly kind: 'threw'; readonly error: unknown }
  | { readonly kind: 'no-quorum' }
  | { readonly kind: 'unknown' };

/** One call of a user, and what became of it. Times are stamps: see {@link Farm.stamp}. */
export interface Operation {
  readonly id: OperationId;
  readonly process: Process;
  readonly key: string;
  readonly label: string;
  readonly change: Change<unknown>;
  readonly invoked: number;
  /** `Infinity` while it has not been answered. */
  returned: number;
  outcome: OperationOutcome | null;
}

/** A process that proposes. One that shares a slot's machine has that slot's clock, and its acceptor's records. */
export interface Process {
  readonly name: string;
  readonly clock: Clock;
  readonly ballots: BallotSource;
  readonly site: Site | null;
  readonly running: Map<number, Running>;
  isPaused: boolean;
}

interface Running {
  readonly operation: Operation;
  readonly exchange: Exchange;
  readonly onOver: () => void;
}

/** Sees what happens. A violated rule is thrown from here. */
export interface Observer {
  /** An acceptor has answered a request, or forgotten (`request` is `null`). */
  stepped?(site: Site, request: AcceptorRequest | null, answer: AcceptorAnswer | null): void;
  /** A proposer sends a request, to each acceptor or to some. */
  sent?(operation: Operation, outgoing: Outgoing): void;
  ended?(operation: Operation): void;
}

/** Where a negative control makes the farm do wrong. */
export interface Mutation {
  readonly name: string;
  electorate?(electorate: Electorate): Electorate;
  /** Makes an acceptor other than the real one. */
  acceptor?(maxClockSkewMs: number): Voter;
  /** Who a proposer believes an answer to be from. */
  answerer?(from: Answerer): Answerer;
  /** What a proposer gets to see of an answer. */
  answer?(answer: AcceptorAnswer, process: Process): AcceptorAnswer;
  /** What an acceptor gets to see of a request. */
  request?(request: AcceptorRequest): AcceptorRequest;
  /** What the change function of an operation is turned into. */
  change?(change: Change<unknown>): Change<unknown>;
  /** Called after a proposer has sent something. */
  sent?(farm: Farm, operation: Operation, exchange: Exchange, outgoing: Outgoing): void;
  /** Whether a read may say that a value has expired without a tombstone. */
  answersExpired?(untilMs: number, now: Instant, maxClockSkewMs: number): boolean;
  outcome?(outcome: OperationOutcome): OperationOutcome;
}

export interface FarmOptions {
  readonly size: number;
  readonly maxClockSkewMs?: number;
  readonly timeoutMs?: number;
  readonly retransmitMs?: number;
  readonly random?: () => number;
  /** Whether processes leave out of the lineage what they have done with. */
  readonly shortensLineage?: boolean;
  readonly mutation?: Mutation | undefined;
}

/** Reads by a classic round: settles what is half done, seals what has expired. */
const OBSERVE: Change<unknown> = {
  bound: 0,
  mayRemove: false,
  seals: false,
  apply: () => ({ write: null, result: null }),
};

export class Farm {
  readonly size: number;
  readonly maxClockSkewMs: number;
  readonly timeoutMs: number;
  readonly sites: readonly Site[];
  readonly processes: Process[] = [];
  readonly operations: Operation[] = [];
  readonly observers: Observer[] = [];
  /** Oldest first. */
  readonly inFlight: Envelope[] = [];
  readonly #retransmitMs: number;
  readonly #random: () => number;
  readonly #shortensLineage: boolean;
  readonly #mutation: Mutation;
  #elapsedMs = 0;
  #events = 0;
  #envelopes = 0;
  #requests = 0;

  constructor(options: FarmOptions) {
    this.size = options.size;
    this.maxClockSkewMs = options.maxClockSkewMs ?? 10_000;
    this.timeoutMs = options.timeoutMs ?? this.maxClockSkewMs / 2;
    this.#retransmitMs = options.retransmitMs ?? 100;
    this.#random = options.random ?? (() => 0.5);
    this.#shortensLineage = options.shortensLineage ?? false;
    this.#mutation = options.mutation ?? { name: 'none' };
    this.sites = Array.from({ length: this.size }, (_, index) => ({
      slot: index + 1,
      clock: { offsetMs: 0, isTrusted: true },
      acceptor:
        this.#mutation.acceptor?.(this.maxClockSkewMs) ??
        new Acceptor(new MemoryTable(), { maxClockSkewMs: this.maxClockSkewMs }),
    }));
  }

  /** Real time, in ms since the farm began. */
  get elapsedMs(): number {
    return this.#elapsedMs;
  }

  /** {@link elapsedMs} with a fraction that makes each moment at which something happens a later one. */
  stamp(): number {
    this.#events += 1;
    return this.#elapsedMs + this.#events / 1e7;
  }

  now(clock: Clock): Instant {
    return {
      monotonicMs: this.#elapsedMs,
      wallMs: EPOCH_MS + this.#elapsedMs + clock.offsetMs,
      isTrusted: clock.isTrusted,
    };
  }

  site(slot: number): Site {
    const site = this.sites[slot - 1];
    if (site === undefined) throw new RangeError(`there is no slot ${slot}`);
    return site;
  }

  process(name: string): Process {
    const process = this.processes.find((candidate) => candidate.name === name);
    if (process === undefined) throw new RangeError(`there is no process ${name}`);
    return process;
  }

  addProcess(name: string, site: Site | null = null): Process {
    const process: Process = {
      name,
      clock: site?.clock ?? { offsetMs: 0, isTrusted: true },
      ballots: new BallotSource(this.processes.length + 1),
      site,
      running: new Map(),
      isPaused: false,
    };
    this.processes.push(process);
    return process;
  }

  /** The process is gone, with all that it had under way; what it has sent is still on its way. */
  crash(process: Process): void {
    process.running.clear();
    process.isPaused = true;
  }

  /** Changes a register by a classic round. */
  change(process: Process, key: string, label: string, change: Change<unknown>): Operation {
    const operation = this.#operation(process, key, label, this.#mutation.change?.(change) ?? change);
    this.#startRound(operation, this.#elapsedMs + this.timeoutMs);
    return operation;
  }

  /** Reads a register: by quorum, and by a classic round where that does not settle it, as the node does. */
  read(process: Process, key: string, label = 'get'): Operation {
    const operation = this.#operation(process, key, label, OBSERVE);
    const deadlineMs = this.#elapsedMs + this.timeoutMs;
    const { maxClockSkewMs } = this;
    const read = new QuorumRead({ ...this.#setup(deadlineMs), key, maxClockSkewMs, own: this.#own(process, key) });
    this.#run(operation, read, () => {
      const now = this.now(process.clock);
      if (read.outcome?.kind === 'no-quorum') this.#end(operation, { kind: 'no-quorum' });
      else if (read.outcome?.kind !== 'chosen' || this.#isExpiryOpen(read.outcome.proposal, now)) {
        this.#startRound(operation, deadlineMs);
      } else {
        const { proposal } = read.outcome;
        this.#end(operation, {
          kind: 'done',
          result: null,
          state: proposal === null ? ABSENT : visible(proposal, now),
        });
      }
    });
    return operation;
  }

  /**
   * Whether a value's time is up, which the node has to make one thing for everybody before it says so: a touch of
   * before, accepted by a few, could show the value again to those who ask later.
   */
  #isExpiryOpen(proposal: Proposal | null, now: Instant): boolean {
    if (proposal === null || proposal.value === null || proposal.until > now.wallMs) return false;
    return this.#mutation.answersExpired?.(proposal.until, now, this.maxClockSkewMs) !== true;
  }

  /** A message arrives. @param as who it is taken to be from, if not from the slot that sent it */
  deliver(envelope: Envelope, as?: Answerer): void {
    this.remove(envelope);
    this.deliverCopy(envelope, as);
  }

  /** The same message arrives, and is still on its way: the network has doubled it. */
  deliverCopy(envelope: Envelope, as?: Answerer): void {
    if (isRequest(envelope.message)) this.#deliverRequest(envelope, envelope.message);
    else this.#deliverAnswer(envelope, envelope.message, as);
  }

  remove(envelope: Envelope): void {
    const index = this.inFlight.indexOf(envelope);
    if (index >= 0) this.inFlight.splice(index, 1);
  }

  #deliverRequest(envelope: Envelope, original: AcceptorRequest): void {
    const site = this.site(Number(envelope.to));
    const request = this.#mutation.request?.(original) ?? original;
    const answer = site.acceptor.receive(request, this.now(site.clock));
    for (const observer of this.observers) observer.stepped?.(site, request, answer);
    if (answer !== null) this.#post(envelope.to, envelope.from, answer);
  }

  #deliverAnswer(envelope: Envelope, original: AcceptorAnswer, as?: Answerer): void {
    const process = this.process(envelope.to);
    const answer = this.#mutation.answer?.(original, process) ?? original;
    const running = process.running.get(answer.request);
    if (running === undefined) return;
    const from = as ?? { process: -Number(envelope.from), slot: Number(envelope.from) };
    const believed = this.#mutation.answerer?.(from) ?? from;
    this.#follow(running, running.exchange.receive(believed, answer, this.now(process.clock)));
  }

  /** Lets real time pass; processes that are not paused do what falls due meanwhile. */
  advance(ms: number): void {
    const targetMs = this.#elapsedMs + ms;
    for (;;) {
      let next: { running: Running; atMs: number } | null = null;
      for (const process of this.processes) {
        if (process.isPaused) continue;
        for (const running of process.running.values()) {
          const atMs = running.exchange.wakeAtMs;
          if (atMs <= targetMs && (next === null || atMs < next.atMs)) next = { running, atMs };
        }
      }
      if (next === null) break;
      this.#elapsedMs = Math.max(this.#elapsedMs, next.atMs);
      const { exchange, operation } = next.running;
      this.#follow(next.running, exchange.tick(this.now(operation.process.clock)));
    }
    this.#elapsedMs = targetMs;
  }

  /** The acceptor of a site forgets what is over. @returns keys that somebody has to settle first */
  collect(site: Site, limit = 1000, settleDelayMs = 0): readonly string[] {
    const { unsettled } = site.acceptor.collect(this.now(site.clock), limit, settleDelayMs);
    for (const observer of this.observers) observer.stepped?.(site, null, null);
    return unsettled;
  }

  #operation(process: Process, key: string, label: string, change: Change<unknown>): Operation {
    const operation: Operation = {
      id: `${process.name}${this.operations.length + 1}`,
      process,
      key,
      label,
      change,
      invoked: this.stamp(),
      returned: Number.POSITIVE_INFINITY,
      outcome: null,
    };
    this.operations.push(operation);
    return operation;
  }

  #startRound(operation: Operation, deadlineMs: number): void {
    const { process, key, change } = operation;
    const round = new ClassicRound({
      ...this.#setup(deadlineMs),
      key,
      operation: operation.id,
      changes: () => [change],
      context: {
        ballots: process.ballots,
        maxClockSkewMs: this.maxClockSkewMs,
        lineageKeepMs: lineageAgeMs(this.timeoutMs, this.maxClockSkewMs),
        isDone: (id) =>
          this.#shortensLineage && this.operations.some((other) => other.id === id && isKnownTo(process, other)),
        random: this.#random,
      },
      own: this.#own(process, key),
    });
    this.#run(operation, round, () => {
      const { outcome } = round;
      if (outcome?.kind !== 'chosen') {
        this.#end(operation, { kind: outcome?.kind ?? 'unknown' });
        return;
      }
      if (outcome.commit !== null) this.#send(operation, { message: outcome.commit, slots: null });
      const member = outcome.results[0];
      if (member === undefined) throw new Error('a round of one change gave no result');
      if (member.kind === 'threw') this.#end(operation, member);
      else this.#end(operation, { kind: 'done', result: member.result, state: member.state });
    });
  }

  #setup(deadlineMs: number) {
    this.#requests += 1;
    const { size } = this;
    const electorate: Electorate = { sizes: [size], isVoter: ({ slot }) => slot >= 1 && slot <= size };
    return {
      request: this.#requests,
      electorate: this.#mutation.electorate?.(electorate) ?? electorate,
      deadlineMs,
      retransmitMs: this.#retransmitMs,
    };
  }

  #own(process: Process, key: string): RegisterRecord | undefined {
    return process.site?.acceptor.record(key);
  }

  #run(operation: Operation, exchange: Exchange, onOver: () => void): void {
    const { process } = operation;
    const running: Running = { operation, exchange, onOver };
    process.running.set(exchange.request, running);
    this.#follow(running, exchange.start(this.now(process.clock)));
  }

  #follow(running: Running, outgoing: Outgoing | null): void {
    const { operation } = running;
    if (outgoing !== null) {
      this.#send(operation, outgoing);
      this.#mutation.sent?.(this, operation, running.exchange, outgoing);
    }
    if (running.exchange.isOver && operation.process.running.delete(running.exchange.request)) running.onOver();
  }

  #send(operation: Operation, outgoing: Outgoing): void {
    const { message, slots } = outgoing;
    for (const { slot } of this.sites) {
      if (slots === null || slots.includes(slot)) this.#post(operation.process.name, String(slot), message);
    }
    for (const observer of this.observers) observer.sent?.(operation, outgoing);
  }

  #post(from: string, to: string, message: AcceptorRequest | AcceptorAnswer): void {
    this.#envelopes += 1;
    this.inFlight.push({ id: this.#envelopes, from, to, message });
  }

  #end(operation: Operation, outcome: OperationOutcome): void {
    operation.outcome = this.#mutation.outcome?.(outcome) ?? outcome;
    operation.returned = this.stamp();
    for (const observer of this.observers) observer.ended?.(operation);
  }
}

export function isRequest(message: AcceptorRequest | AcceptorAnswer): message is AcceptorRequest {
  switch (message.type) {
    case 'prepare':
    case 'accept':
    case 'commit':
    case 'read':
    case 'enumerate':
      return true;
    default:
      return false;
  }
}

/** What a key's promise binds to at an acceptor: its record's, or the floor where there is none. */
export function boundBallot(acceptor: Voter, key: string): Ballot {
  return acceptor.record(key)?.promised ?? acceptor.floor;
}

/** Ballots short enough to read: ms since the farm began, counter, process. */
export function showBallot(farm: Farm, ballot: Ballot): string {
  if (ballot.round === NO_BALLOT.round) return '-';
  const ms = Math.floor(ballot.round / 1024) - EPOCH_MS;
  const name = farm.processes[ballot.proposer - 1]?.name ?? '';
  return `${ms}.${ballot.round % 1024}${name}`;
}

/** A table whose records a mutant changes as they are written. */
export class AlteredTable implements RecordTable {
  readonly #table = new MemoryTable();

  constructor(readonly alter: (record: RegisterRecord) => RegisterRecord) {}

  get(key: string): RegisterRecord | undefined {
    return this.#table.get(key);
  }

  set(key: string, record: RegisterRecord): void {
    this.#table.set(key, this.alter(record));
  }

  delete(key: string): void {
    this.#table.delete(key);
  }

  get size(): number {
    return this.#table.size;
  }

  shard(shard: number): Iterable<readonly [string, RegisterRecord]> {
    return this.#table.shard(shard);
  }
}

/** Pseudo-random numbers in [0, 1) from a seed (mulberry32). */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Whether a process knows what became of an operation of its own: nobody will look for that in a lineage. */
function isKnownTo(process: Process, { process: caller, outcome }: Operation): boolean {
  return caller === process && outcome !== null && outcome.kind !== 'unknown';
}
