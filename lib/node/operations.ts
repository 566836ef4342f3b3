import { OutcomeUnknownError, OverloadedError, type PaxosError } from '../errors.js';
import {
  ABSENT,
  type AcceptorAnswer,
  type Answerer,
  type BallotSource,
  type Change,
  type Changed,
  ClassicRound,
  type Commit,
  type Electorate,
  Enumeration,
  type EnumerationOutcome,
  type Exchange,
  type Instant,
  type MemberResult,
  type OperationId,
  type Outgoing,
  type Proposal,
  QuorumRead,
  type RegisterRecord,
  type RoundContext,
  type State,
  type Tombstone,
  Unanimity,
} from '../paxos/index.js';
import { votersOf } from './claim.js';

/** What the operations of a process need of the node around them. */
export interface OperationsContext {
  readonly ballots: BallotSource;
  readonly maxClockSkewMs: number;
  readonly lineageKeepMs: number;
  now(): Instant;
  /** `null` until the farm is found, and while this process's clock is not known to be right: nothing starts then. */
  electorate(): Electorate | null;
  /** This process's own record, if it votes. */
  own(key: string): RegisterRecord | undefined;
  /** Sends to the acceptors, this process's own included: its answer may come back before this returns. */
  transmit(outgoing: Outgoing): void;
  /** A value of this process's own operation is chosen. */
  committed(commit: Commit): void;
  /** Ms to wait for answers until asking again. */
  retransmitMs(): number;
  /** In 0..1. */
  random(): number;
  /** Makes the error for an operation of which nothing has happened. */
  noQuorum(): PaxosError;
  /** Why this process must not propose now, or `null`. */
  impediment(): PaxosError | null;
}

/** One call waiting for its turn, or in a batch under way. */
interface Call {
  readonly change: Change<unknown>;
  readonly isRead: boolean;
  readonly deadlineMs: number;
  readonly resolve: (result: Changed<unknown>) => void;
  readonly reject: (error: unknown) => void;
  isSettled: boolean;
}

/** The calls on one key: one batch under way, the others in the order in which they came. */
interface KeyQueue {
  readonly key: string;
  readonly waiting: Call[];
  batch: Batch | null;
}

/** Calls that share an exchange. */
interface Batch {
  /** Those whose time ran out before anything was sent are taken out; later they only stop being waited for. */
  calls: Call[];
  readonly operation: OperationId;
  /** `null` while a quorum read may do. */
  round: ClassicRound | null;
}

interface Running {
  readonly exchange: Exchange;
  readonly onOver: () => void;
  readonly onAbort: (error: PaxosError) => void;
}

/** Exchanges under way at a time: a burst of more would overrun the receivers' socket buffers. */
const MAX_EXCHANGES = 256;
/** Calls under way and waiting, on all keys. */
const MAX_CALLS = 8192;
/** Calls combined in one round. */
const MAX_BATCH = 64;

/** Operations of unknown outcome remembered. */
const MAX_DOUBTFUL = 10_000;

/** Nobody votes yet; nothing is started then, but types can't tell. */
const NOBODY: Electorate = { sizes: [1], isVoter: () => false };

/** Reads by a classic round: finishes a half-done write, and turns what has expired into a tombstone. */
const OBSERVE: Change<null> = {
  bound: 0,
  mayRemove: false,
  seals: false,
  apply: () => ({ write: null, result: null }),
};

/** The same, and what was promised and came to nothing is past. */
const SETTLE: Change<null> = { ...OBSERVE, seals: true };

/**
 * The operations of this process: in turn for each key, those that wait combined into one round, each exchange driven
 * from its start to its outcome, and every caller answered in bounded time.
 *
 * Combining is sound: a batch is one step of the register, its calls take effect in it one after the other in the
 * order in which they came, and the batch as a whole is applied once or not at all. It ends behind a call that may
 * remove the value: two lives of a key within one step would share their birth.
 */
export class Operations {
  readonly #context: OperationsContext;
  readonly #prefix: string;
  readonly #rounds: RoundContext;
  readonly #queues = new Map<string, KeyQueue>();
  /** Those with calls that could begin, in the order in which they could. */
  readonly #ready = new Set<KeyQueue>();
  readonly #exchanges = new Map<number, Running>();
  /** Operations whose callers were told that nobody knows: they may look for them later. By monotonic ms. */
  readonly #doubtful = new Map<OperationId, number>();
  #calls = 0;
  #sequence = 0;
  #request = 0;
  #isStarting = false;
  /** Rounds that met another proposer, operations answered, and such; they only rise. */
  readonly counters = { reads: 0, changes: 0, combined: 0, rounds: 0, conflicts: 0, noQuorum: 0, unknown: 0 };

  constructor(context: OperationsContext) {
    this.#context = context;
    this.#prefix = `${context.ballots.proposer.toString(36)}.`;
    this.#rounds = {
      ballots: context.ballots,
      maxClockSkewMs: context.maxClockSkewMs,
      lineageKeepMs: context.lineageKeepMs,
      isDone: (operation) => operation.startsWith(this.#prefix) && !this.#doubtful.has(operation),
      random: () => context.random(),
    };
  }

  /** Whether somebody waits for an answer. */
  get isBusy(): boolean {
    return this.#calls > 0 || this.#exchanges.size > 0;
  }

  get inFlight(): number {
    return this.#exchanges.size;
  }

  get waiting(): number {
    return this.#calls;
  }

  /** Whether a call on that key has not been answered yet. */
  isUnderWay(key: string): boolean {
    return this.#queues.has(key);
  }

  read(key: string, timeoutMs: number): Promise<State> {
    this.counters.reads += 1;
    return this.#call(key, OBSERVE, true, timeoutMs).then((changed) => changed.state);
  }

  change<R>(key: string, change: Change<R>, timeoutMs: number): Promise<Changed<R>> {
    this.counters.changes += 1;
    return this.#call(key, change, false, timeoutMs) as Promise<Changed<R>>;
  }

  /**
   * Finishes what is half done, and puts a tombstone above all that was promised where there is nothing, or no more: see
   * {@link Uncollected.unsettled}. A value that is found is proposed again.
   */
  settle(key: string, timeoutMs: number): Promise<unknown> {
    return this.#call(key, SETTLE, false, timeoutMs);
  }

  /** Whether all voters are past that tombstone: see {@link Unanimity}. */
  arePast(key: string, tombstone: Tombstone, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const electorate = this.#context.electorate();
      if (electorate === null) return resolve(false);
      const exchange = new Unanimity({
        request: this.nextRequest(),
        electorate: votersOf(key, electorate),
        deadlineMs: this.#deadline(timeoutMs),
        retransmitMs: this.#context.retransmitMs(),
        tombstone,
      });
      this.#run(
        exchange,
        () => resolve(exchange.outcome?.isPast === true),
        () => resolve(false),
      );
    });
  }

  enumerate(prefix: string, timeoutMs: number): Promise<Extract<EnumerationOutcome, { kind: 'complete' }>> {
    return new Promise((resolve, reject) => {
      const impediment = this.#context.electorate() === null ? this.#noQuorum() : this.#context.impediment();
      if (impediment !== null) return reject(impediment);
      const exchange = new Enumeration({
        request: this.nextRequest(),
        electorate: this.#context.electorate() ?? NOBODY,
        deadlineMs: this.#deadline(timeoutMs),
        retransmitMs: this.#context.retransmitMs(),
        prefix,
      });
      const onOver = (): void => {
        const { outcome } = exchange;
        if (outcome?.kind === 'complete') resolve(outcome);
        else reject(this.#noQuorum());
      };
      this.#run(exchange, onOver, reject);
    });
  }

  /** An acceptor's answer came in. @returns ms it took, if that tells the round trip */
  receive(from: Answerer, answer: AcceptorAnswer): number | null {
    const running = this.#exchanges.get(answer.request);
    if (running === undefined) return null;
    const now = this.#context.now();
    const { sentAtMs } = running.exchange;
    this.#follow(running, running.exchange.receive(from, answer, now));
    return sentAtMs === null ? null : now.monotonicMs - sentAtMs;
  }

  /** Looks at what time it is: retransmissions, back-offs, deadlines. */
  tick(): void {
    const now = this.#context.now();
    for (const running of [...this.#exchanges.values()]) {
      if (running.exchange.wakeAtMs <= now.monotonicMs) this.#follow(running, running.exchange.tick(now));
    }
    for (const queue of [...this.#queues.values()]) this.#expireCalls(queue, now.monotonicMs);
    this.start();
  }

  /** Who votes has changed: what is under way counts anew. */
  restart(): void {
    for (const running of [...this.#exchanges.values()]) {
      if (!running.exchange.isOver) this.#follow(running, running.exchange.restart(this.#context.now()));
    }
  }

  /** Starts what waits, as far as the window allows. */
  start(): void {
    // What is started may be answered, and start more, before it returns.
    if (this.#isStarting) return;
    this.#isStarting = true;
    try {
      for (const queue of this.#ready) {
        if (this.#exchanges.size >= MAX_EXCHANGES || this.#context.electorate() === null) break;
        this.#ready.delete(queue);
        if (queue.batch === null && queue.waiting.length > 0) this.#startBatch(queue);
      }
    } finally {
      this.#isStarting = false;
    }
  }

  /** Ends everything, as when the node closes or moves to another farm. */
  abort(error: PaxosError): void {
    this.#ready.clear();
    const aborted = [...this.#exchanges.values()];
    this.#exchanges.clear();
    for (const { onAbort } of aborted) onAbort(error);
    for (const queue of [...this.#queues.values()]) this.#rejectAll(queue, error);
    this.#queues.clear();
  }

  /** Ends the changes under way or waiting on one key, for nothing can come of them any more. */
  giveUp(key: string, error: PaxosError): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    if (queue.batch?.round != null) this.#exchanges.delete(queue.batch.round.request);
    this.#rejectAll(queue, error);
    this.#drop(queue);
    this.start();
  }

  #rejectAll({ batch, waiting }: KeyQueue, error: PaxosError): void {
    for (const call of batch?.calls ?? [])
      this.#reject(
        call,
        this.#failureOf(call, batch, () => error),
      );
    for (const call of waiting) this.#reject(call, error);
  }

  #call(key: string, change: Change<unknown>, isRead: boolean, timeoutMs: number): Promise<Changed<unknown>> {
    return new Promise((resolve, reject) => {
      if (this.#calls >= MAX_CALLS) {
        reject(
          new OverloadedError(
            `${this.#calls} operations are under way or waiting in this process, its limit: shed load, or add servers.`,
          ),
        );
        return;
      }
      const impediment = this.#context.impediment();
      if (impediment !== null) {
        reject(impediment);
        return;
      }
      this.#calls += 1;
      const queue = this.#queueOf(key);
      const deadlineMs = this.#deadline(timeoutMs);
      queue.waiting.push({ change, isRead, deadlineMs, resolve, reject, isSettled: false });
      this.#makeReady(queue);
      this.start();
    });
  }

  #queueOf(key: string): KeyQueue {
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = { key, waiting: [], batch: null };
      this.#queues.set(key, queue);
    }
    return queue;
  }

  #makeReady(queue: KeyQueue): void {
    if (queue.batch === null) this.#ready.add(queue);
  }

  #startBatch(queue: KeyQueue): void {
    const calls = takeBatch(queue.waiting);
    this.counters.combined += calls.length - 1;
    this.#sequence += 1;
    const batch: Batch = { calls, operation: `${this.#prefix}${this.#sequence.toString(36)}`, round: null };
    queue.batch = batch;
    if (calls.every((call) => call.isRead)) this.#startRead(queue, batch);
    else this.#startRound(queue, batch);
  }

  #startRead(queue: KeyQueue, batch: Batch): void {
    const { key } = queue;
    const { maxClockSkewMs } = this.#context;
    const read = new QuorumRead({
      request: this.nextRequest(),
      electorate: votersOf(key, this.#context.electorate() ?? NOBODY),
      deadlineMs: latestDeadline(batch.calls),
      retransmitMs: this.#context.retransmitMs(),
      key,
      maxClockSkewMs,
      own: this.#context.own(key),
    });
    this.#run(read, () => {
      const { outcome } = read;
      if (outcome?.kind === 'no-quorum') return this.#finish(queue, batch, null);
      if (outcome?.kind === 'chosen' && !isOver(outcome.proposal, this.#context.now())) {
        const state = outcome.proposal ?? ABSENT;
        return this.#finish(
          queue,
          batch,
          batch.calls.map(() => ({ kind: 'decided', result: null, state })),
        );
      }
      // Half done, or about to be answered "expired": a classic round makes it one thing for everybody first. However
      // long ago it expired: a touch may be on its way that one acceptor has taken.
      this.#startRound(queue, batch);
    });
  }

  #startRound(queue: KeyQueue, batch: Batch): void {
    this.counters.rounds += 1;
    const { key } = queue;
    batch.calls = batch.calls.filter((call) => !call.isSettled);
    const also = batch.calls.flatMap(({ change }) => change.also ?? []);
    const round = new ClassicRound({
      request: this.nextRequest(),
      electorate: votersOf(key, this.#context.electorate() ?? NOBODY, also),
      deadlineMs: latestDeadline(batch.calls),
      retransmitMs: this.#context.retransmitMs(),
      context: this.#rounds,
      key,
      operation: batch.operation,
      changes: () => batch.calls.map((call) => call.change),
      own: this.#context.own(key),
    });
    batch.round = round;
    this.#run(round, () => {
      const { outcome } = round;
      this.counters.conflicts += round.conflicts;
      if (outcome?.kind === 'chosen' && outcome.commit !== null) this.#context.committed(outcome.commit);
      this.#finish(queue, batch, outcome?.kind === 'chosen' ? outcome.results : null);
    });
  }

  /** A number for a question that nobody has asked. */
  nextRequest(): number {
    this.#request += 1;
    return this.#request;
  }

  /** @param onAbort for what waits in no queue */
  #run(exchange: Exchange, onOver: () => void, onAbort: (error: PaxosError) => void = () => undefined): void {
    const running = { exchange, onOver, onAbort };
    this.#exchanges.set(exchange.request, running);
    this.#follow(running, exchange.start(this.#context.now()));
  }

  #follow(running: Running, outgoing: Outgoing | null): void {
    if (outgoing !== null) this.#context.transmit(outgoing);
    if (!running.exchange.isOver || !this.#exchanges.delete(running.exchange.request)) return;
    running.onOver();
    this.start();
  }

  /** @param results one for each call; `null` if there was no quorum, or the outcome is unknown */
  #finish(queue: KeyQueue, batch: Batch, results: readonly MemberResult[] | null): void {
    batch.calls.forEach((call, index) => {
      // That the others' fate is unknown says nothing of a call that would have changed nothing, whichever attempt it was.
      const failure = results === null ? (batch.round?.failureOf(index) ?? null) : null;
      const result: MemberResult | undefined = failure === null ? results?.[index] : { kind: 'threw', ...failure };
      if (result === undefined) {
        this.#reject(
          call,
          this.#failureOf(call, batch, () => this.#noQuorum()),
        );
      } else if (result.kind === 'threw') {
        this.#reject(call, result.error);
      } else if (!call.isSettled) {
        this.#settle(call);
        call.resolve({ result: result.result, state: result.state, operation: batch.operation });
      }
    });
    queue.batch = null;
    if (queue.waiting.length > 0) this.#makeReady(queue);
    else this.#queues.delete(queue.key);
  }

  #expireCalls(queue: KeyQueue, nowMs: number): void {
    while (queue.waiting[0] !== undefined && queue.waiting.some((call) => call.deadlineMs <= nowMs)) {
      const index = queue.waiting.findIndex((call) => call.deadlineMs <= nowMs);
      for (const call of queue.waiting.splice(index, 1)) this.#reject(call, this.#noQuorum());
    }
    const { batch } = queue;
    if (batch !== null) this.#expireBatch(batch, nowMs);
    if (batch === null && queue.waiting.length === 0) this.#drop(queue);
  }

  #drop(queue: KeyQueue): void {
    this.#queues.delete(queue.key);
    this.#ready.delete(queue);
  }

  #expireBatch(batch: Batch, nowMs: number): void {
    const late = batch.calls.filter((call) => !call.isSettled && call.deadlineMs <= nowMs);
    if (late.length === 0 || late.length === batch.calls.length) return;
    for (const call of late)
      this.#reject(
        call,
        this.#failureOf(call, batch, () => this.#noQuorum()),
      );
    // Nothing was proposed with them yet, so nothing will be: they were told that nothing has happened.
    if (batch.round?.isExposed === false) batch.calls = batch.calls.filter((call) => !call.isSettled);
  }

  /** @param nothing makes the error for a call of which nothing has happened */
  #failureOf(call: Call, batch: Batch | null, nothing: () => PaxosError): PaxosError {
    const since = batch?.round?.exposedSince;
    if (batch == null || since == null || call.isRead) return nothing();
    this.counters.unknown += 1;
    this.#doubt(batch.operation);
    return new OutcomeUnknownError(
      'The time was up after the write had been sent: it may have taken effect, or may yet. Read before you write again.',
      batch.operation,
      since,
    );
  }

  /** Keeps an operation in lineages for as long as they go back. */
  #doubt(operation: OperationId): void {
    const nowMs = this.#context.now().monotonicMs;
    for (const [other, sinceMs] of this.#doubtful) {
      if (nowMs - sinceMs <= this.#context.lineageKeepMs && this.#doubtful.size < MAX_DOUBTFUL) break;
      this.#doubtful.delete(other);
    }
    this.#doubtful.set(operation, nowMs);
  }

  #noQuorum(): PaxosError {
    this.counters.noQuorum += 1;
    return this.#context.noQuorum();
  }

  #reject(call: Call, error: unknown): void {
    if (call.isSettled) return;
    this.#settle(call);
    call.reject(error);
  }

  #settle(call: Call): void {
    call.isSettled = true;
    this.#calls -= 1;
  }

  #deadline(timeoutMs: number): number {
    return this.#context.now().monotonicMs + timeoutMs;
  }
}

/** Takes the calls that may share a round off the front of the queue. */
function takeBatch(waiting: Call[]): Call[] {
  const removing = waiting.findIndex((call) => call.change.mayRemove);
  return waiting.splice(0, Math.min(removing < 0 ? waiting.length : removing + 1, MAX_BATCH));
}

/** Whether a value that no tombstone has ended has outlived its time. */
function isOver(proposal: Proposal | null, now: Instant): boolean {
  return proposal !== null && proposal.value !== null && proposal.until <= now.wallMs;
}

function latestDeadline(calls: readonly Call[]): number {
  return calls.reduce((latest, call) => Math.max(latest, call.deadlineMs), 0);
}
