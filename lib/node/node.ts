import { EventEmitter } from 'node:events';
import { hostname } from 'node:os';
import debugging from 'debug';
import { ClosedError, ConfigError, type PaxosError } from '../errors.js';
import {
  type Claim,
  type Directive,
  GuardedClock,
  Membership,
  type Peer,
  PeerTable,
  type Place,
  type View,
} from '../membership/index.js';
import {
  type Answerer,
  BallotSource,
  type Change,
  type Changed,
  type Instant,
  lastSlotOf,
  lineageAgeMs,
  majorityOf,
  type State,
} from '../paxos/index.js';
import { openMemory } from '../storage/index.js';
import { createTransport, MAX_MAX_FRAME_SIZE, type Transport } from '../transport/index.js';
import { type MembershipMessage, makeKeyring } from '../wire/index.js';
import { type AnswerHandler, Answering } from './answering.js';
import { type Answer, Asking, type AskOptions, checkTopic } from './asking.js';
import { claimChange, slotKey } from './claim.js';
import { ClockWatch } from './clock-watch.js';
import { Collector } from './collector.js';
import { Deadline } from './deadline.js';
import { Diagnosis } from './diagnosis.js';
import { HandOvers } from './hand-overs.js';
import { identityOf, placeOf } from './identity.js';
import { limited } from './limit.js';
import { Link } from './link.js';
import { Listings } from './listings.js';
import { type Member, type MemberEvent, Members } from './members.js';
import { Operations } from './operations.js';
import {
  checkNodeOptions,
  longestTimeoutMs,
  type NodeOptions,
  type NodeSettings,
  refuseBound,
  refuseSize,
  refuseTimeout,
} from './options.js';
import { Readiness } from './readiness.js';
import { Recoverer, type RecoveryProgress } from './recoverer.js';
import type {
  CommitEvent,
  Consistency,
  EnumerationOptions,
  Head,
  OperationOptions,
  OwnState,
  TimeLeft,
  WatchableRegisters,
} from './registers.js';
import { Repairer } from './repairer.js';
import type { ResizeProgress } from './resize.js';
import { Resizer } from './resizer.js';
import { FIRST_RETRANSMIT_MS, retransmitMs, retransmitMsOf } from './retransmission.js';
import { drawNumber, type Runtime, randomFraction, systemRuntime } from './runtime.js';
import { learnerStatus, type NodeStatus, voterStatus } from './status.js';
import { Traffic } from './traffic.js';
import { type Records, Voter } from './voter.js';
import { waitWhile, within } from './waits.js';
import { type NodeWarning, Warnings } from './warnings.js';
import { Watchers } from './watchers.js';

const debug = debugging('connect-paxos:node');

/** Housekeeping: hellos, forgetting, the clock; in ms. */
const HOUSEKEEPING_MS = 50;
/** How often exchanges under way look at the time, in ms. */
const TICK_MS = 10;
/** Silence after which a peer without a slot is forgotten. */
const FORGET_PEER_MS = 60_000;
/** How often what no answer waits for is written to the storage. */
const TIDY_MS = 1000;
/** Time alone after which it is said why. */
const ALONE_MS = 5000;
/** How long a hand-over may keep a process that is to leave. */
const LAST_HAND_OVER_MS = 5000;
/** How long the storage may take to open, and to write and close, when a process leaves. */
const LAST_WRITE_MS = 10_000;

/** How long {@link PaxosNode.resize} waits. */
const RESIZE_TIMEOUT_MS = 60_000;

export interface ResizeOptions {
  /** Ms until the call gives up waiting; the change goes on. Default 60 000. */
  readonly timeoutMs?: number;
}

/** What a {@link PaxosNode} emits. */
export interface NodeEvents {
  /** A quorum is in contact: at first, and again after `disconnect`. */
  connect: [];
  /** The quorum was lost. */
  disconnect: [];
  /** This process has taken a slot and gets the memory that goes with it: at the beginning, each second, and at the end. */
  recovery: [RecoveryProgress];
  /** The farm changes its number of voters: at each step, whoever called {@link PaxosNode.resize}. */
  resize: [ResizeProgress];
  /** Another process has come, gone, fallen silent or come back. Of one process at most once a second. */
  member: [MemberEvent];
  warning: [NodeWarning];
}

/**
 * One process in a farm: finds the others, votes if it holds a slot, and offers the farm's registers.
 *
 * It starts by itself; operations called before the farm is found wait for it, up to their time-out. While nothing is
 * under way it does not keep the process alive.
 */
export class PaxosNode extends EventEmitter<NodeEvents> implements WatchableRegisters {
  readonly #settings: NodeSettings;
  readonly #runtime: Runtime;
  readonly #transport: Transport;
  readonly #process: number;
  readonly #clock: GuardedClock;
  readonly #deadlineClock = {
    monotonicMs: (): number => this.#runtime.monotonicMs(),
    leaps: (): number => this.#clock.leaps,
  };
  readonly #peers = new PeerTable((process) => this.#forget(process));
  readonly #membership: Membership;
  readonly #members: Members;
  readonly #voter: Voter;
  readonly #operations: Operations;
  readonly #repairer: Repairer;
  readonly #recoverer: Recoverer;
  readonly #asking: Asking;
  readonly #answering: Answering;
  readonly #watchers: Watchers;
  readonly #diagnosis: Diagnosis;
  readonly #warnings: Warnings;
  readonly #clockWatch: ClockWatch;
  readonly #traffic: Traffic;
  readonly #listings: Listings;
  readonly #collector: Collector;
  readonly #handOvers: HandOvers;
  readonly #resizer: Resizer;
  readonly #readiness: Readiness;
  readonly #started: Promise<void>;
  #link: Link | null = null;
  #failure: PaxosError | null = null;
  #isConnected = false;
  /** Whether this process has once taken the place that it has in the farm. */
  #isSettled = false;
  #isClosing = false;
  #isTicking = false;
  #closed: Promise<void> | null = null;
  #cancelHousekeeping: () => void = () => undefined;
  #lastHousekeepingMs = 0;
  #startedAtMs = 0;
  #tidiedMs = 0;
  /** Measured at each housekeeping, not at each operation. */
  #retransmitMs = FIRST_RETRANSMIT_MS;
  readonly #lastSteps = new Set<() => Promise<void>>();

  /** @throws ConfigError at once for an option that is not usable */
  constructor(options: NodeOptions = {}, runtime: Runtime = systemRuntime) {
    super();
    // Each store and bucket on it listens.
    this.setMaxListeners(1000);
    const production = process.env.NODE_ENV === 'production';
    this.#settings = checkNodeOptions(options, `${hostname()}:${process.pid}`.slice(-128), production);
    this.#runtime = runtime;
    this.#watchers = new Watchers(() => runtime.monotonicMs());
    const { maxClockSkewMs, timeoutMs, clusterSize, wish, name, maxValueSize } = this.#settings;
    // Whatever others may write here: what this process does not take it could never recover, and it would never vote.
    this.#transport = createTransport(options.transport, { maxFrameSize: MAX_MAX_FRAME_SIZE });
    this.#process = drawNumber(runtime);
    this.#clock = new GuardedClock(runtime.wallMs(), runtime.monotonicMs(), maxClockSkewMs);
    const random = (): number => randomFraction(runtime);
    const host = hostname().slice(0, 128);
    this.#membership = new Membership(
      {
        process: this.#process,
        name,
        host,
        clusterSize,
        wish,
        maxClockSkewMs,
        formationGraceMs: this.#settings.formationGraceMs,
        isBootstrap: this.#settings.isBootstrap,
        isDurable: this.#settings.storage !== null,
        ownAddress: () => this.#link?.ownAddress ?? null,
        clockAheadMs: (process) => this.#clock.aheadMs(process, runtime.monotonicMs()) ?? 0,
        random,
        drawNumber: () => drawNumber(runtime),
      },
      this.#peers,
    );
    this.#members = new Members({
      process: this.#process,
      name,
      host,
      membership: this.#membership,
      peers: this.#peers,
      monotonicMs: () => runtime.monotonicMs(),
      // Not from within it: what a listener throws must not hold it up.
      tell: (event) => queueMicrotask(() => this.emit('member', event)),
    });
    this.#diagnosis = new Diagnosis({
      settings: this.#settings,
      membership: this.#membership,
      peers: this.#peers,
      monotonicMs: () => runtime.monotonicMs(),
      clock: () => this.#clockWatch.opinion,
      network: () => this.#transport.status().description,
      foreignSeals: () => this.#link?.sealing.unknownKey ?? 0,
    });
    this.#voter = new Voter({
      maxClockSkewMs,
      slot: () => this.#votingSlot,
      defer: (callback) => runtime.defer(callback),
      failed: (error) => this.#storageFailed(error),
      halted: (reason) => this.#halted(reason),
    });
    const ballots = new BallotSource(this.#process);
    this.#operations = new Operations({
      ballots,
      maxClockSkewMs,
      lineageKeepMs: lineageAgeMs(timeoutMs, maxClockSkewMs),
      now: () => this.#now(),
      electorate: () => (this.#clockWatch.opinion.isTrusted ? this.#membership.electorate : null),
      own: (key) => this.#voter.record(key),
      transmit: (outgoing) => this.#traffic.toAcceptors(outgoing),
      committed: (commit) => this.#traffic.committed(commit),
      retransmitMs: () => this.#retransmitMs,
      random,
      noQuorum: () => this.#diagnosis.noQuorum(),
      impediment: () => this.#impediment(),
    });
    this.#repairer = new Repairer({
      voter: this.#voter,
      now: () => this.#now(),
      electorate: () => (this.#clockWatch.opinion.isTrusted ? this.#membership.electorate : null),
      votersHeard: () => this.#otherVotersHeard(),
      nextRequest: () => this.#operations.nextRequest(),
      retransmitMs: () => this.#retransmitMs,
      transmit: ({ message, slots }) => this.#traffic.toSlots(slots ?? [], message),
      learned: (commit) => this.#watchers.tell(commit, false),
      random,
    });
    this.#recoverer = new Recoverer({
      voter: this.#voter,
      now: () => this.#now(),
      electorate: () => this.#membership.electorate,
      config: () => this.#membership.config,
      slot: () => this.#membership.slot,
      mustCopy: () => this.#membership.mustCopy,
      votersHeard: () => this.#otherVotersHeard(),
      nextRequest: () => this.#operations.nextRequest(),
      retransmitMs: () => this.#retransmitMs,
      transmit: ({ message, slots }) => this.#traffic.toSlots(slots ?? [], message),
      predecessor: () => this.#membership.predecessorHeard(runtime.monotonicMs()),
      transmitTo: (process, { message }) => this.#link?.send(process, message),
      wake: (ms, callback) => {
        runtime.setTimer(ms, false, callback);
      },
      random,
      progressed: (progress) => this.#tellRecovery(progress),
      recovered: (isOfQuorum) => this.#whenRead(() => this.#membership.recovered(isOfQuorum, this.#now())),
      copied: () => this.#whenRead(() => this.#membership.copied(this.#now())),
    });
    this.#answering = new Answering({
      process: this.#process,
      maxValueSize,
      longestTimeoutMs: longestTimeoutMs(maxClockSkewMs),
      monotonicMs: () => runtime.monotonicMs(),
      member: (process) => this.#members.get(process),
      send: (to, told) => this.#link?.send(to, told),
    });
    this.#asking = new Asking({
      process: this.#process,
      maxValueSize,
      members: this.#members,
      monotonicMs: () => runtime.monotonicMs(),
      isFound: () => this.#membership.view !== null,
      noFarm: () => this.#diagnosis.noQuorum(),
      retransmitMs: (process) => retransmitMsOf(process, this.#peers),
      locate: (number) => this.#peers.get(number)?.process ?? null,
      leftMs: (process) => this.#leftMs(process),
      send: (to, ask) => this.#link?.send(to, ask),
      askOwn: (topic, payload, deliver) => this.#answering.askOwn(topic, payload, deliver),
    });
    this.#warnings = new Warnings(
      () => runtime.monotonicMs(),
      (warning) => queueMicrotask(() => this.#giveWarning(warning)),
    );
    this.#clockWatch = new ClockWatch({
      runtime,
      clock: this.#clock,
      maxClockSkewMs,
      membership: this.#membership,
      operations: this.#operations,
      diagnosis: this.#diagnosis,
      warnings: this.#warnings,
      sizes: () => this.#sizes,
      // The monotonic clock of a machine that was suspended knows nothing of it: what was read before may be forgotten.
      leapt: () => this.#repairer.abort(),
    });
    this.#traffic = new Traffic({
      process: this.#process,
      maxClockSkewMs,
      clock: this.#clock,
      ballots,
      membership: this.#membership,
      peers: this.#peers,
      members: this.#members,
      voter: this.#voter,
      operations: this.#operations,
      repairer: this.#repairer,
      recoverer: this.#recoverer,
      asking: this.#asking,
      answering: this.#answering,
      watchers: this.#watchers,
      now: () => this.#now(),
      link: () => this.#link,
      onMembership: (from, message) => this.#onMembership(from, message),
      differs: (from, now) => this.#obey(this.#membership.differs(from, now)),
      isOff: (from, who, ageMs) => this.#warnAge(from, who, ageMs),
    });
    this.#listings = new Listings({
      runtime,
      operations: this.#operations,
      maxClockSkewMs,
      nowMs: () => this.nowMs(),
      refusal: (ms) => this.#refusal(ms),
      isFound: () => this.#membership.view !== null && this.#clockWatch.opinion.isTrusted,
      noQuorum: () => this.#diagnosis.noQuorum(),
      deadline: (ms) => this.deadline(ms),
      read: (key, how) => this.read(key, how),
      track: (operation) => this.#track(operation),
    });
    this.#collector = new Collector({
      voter: this.#voter,
      operations: this.#operations,
      timeoutMs,
      now: () => this.#now(),
      config: () => this.#membership.config,
      isComplete: () => this.#membership.votersHeard(runtime.monotonicMs()).length >= lastSlotOf(this.#sizes),
      track: (operation) => this.#track(operation),
    });
    this.#handOvers = new HandOvers({
      runtime,
      nowMs: () => this.nowMs(),
      write: (key, change) => this.#write(key, change),
      isClosing: () => this.#isClosing,
      lost: (count) => this.#lostInHandOver(count),
      ended: () => this.#checkQuorum(runtime.monotonicMs()),
    });
    this.#resizer = new Resizer({
      runtime,
      membership: this.#membership,
      diagnosis: this.#diagnosis,
      name,
      clusterSize,
      change: (key, change) => this.#write(key, change),
      refusal: () => this.#refusal(),
      isConnected: () => this.#isConnected,
      agreed: (config) => {
        this.#link?.flushQueued();
        this.#obey(this.#membership.configured(config, this.#now()));
      },
      // Not from within it: what a listener throws must not hold it up.
      progressed: (progress) => queueMicrotask(() => this.emit('resize', progress)),
    });
    this.#readiness = new Readiness(runtime);
    this.#started = this.#start();
  }

  /**
   * Resolves when a quorum is in contact and this process does its part: it votes, or all slots that it could take have
   * their voters. From then on another process may be restarted if all other voters are up (`status().voters`). Waits as
   * long as it takes: for a limit, race it against a timer of your own.
   *
   * @throws ConfigError if the network can't be opened; ClosedError once closed
   */
  ready(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (this.#isClosing) return Promise.reject(closedError());
    if (this.#isReady) return Promise.resolve();
    return this.#readiness.wait();
  }

  /**
   * Ends what is under way, says good-bye to the others and stops. Final; a second call gives the first one's promise.
   * Operations called from now on fail with ClosedError; those under way have until their time-outs.
   */
  close(): Promise<void> {
    this.#closed ??= this.#leave();
    return this.#closed;
  }

  /**
   * Changes the number of voters, while the farm serves: resolves when it has the new one. From 3 to 5, two servers more
   * have to be there, as learners, to take the slots that come; from 5 to 3, the voters of slots 4 and 5 become learners.
   *
   * The change goes on by itself once it has begun, whoever ends, this process included; its steps are told by the event
   * `resize`, and by {@link status}. A call for the size before gives it up while slots wait to be taken.
   *
   * @param size 1..99; set the option `clusterSize` of all processes to it, too, for the next first start
   * @throws ConfigError for another size; ResizePendingError if it takes longer than `timeoutMs` (any, default one minute);
   *   NoQuorumError if then no quorum is in contact; ClosedError
   */
  async resize(size: number, { timeoutMs = RESIZE_TIMEOUT_MS }: ResizeOptions = {}): Promise<void> {
    refuseSize(size);
    await this.#resizer.resize(size, timeoutMs);
  }

  read(
    key: string,
    { timeoutMs, consistency = 'quorum' }: OperationOptions & { readonly consistency?: Consistency } = {},
  ): Promise<State> {
    const refusal = this.#refusal(timeoutMs);
    if (refusal !== null) return Promise.reject(refusal);
    if (consistency === 'local' && this.#impediment() === null && !this.#operations.isUnderWay(key)) {
      const local = this.#voter.localState(key, this.#now());
      if (local !== null) return Promise.resolve(local);
    }
    return this.#track(this.#operations.read(key, timeoutMs ?? this.#settings.timeoutMs));
  }

  change<R>(key: string, change: Change<R>, { timeoutMs }: OperationOptions = {}): Promise<Changed<R>> {
    return this.#write(key, limited(change, this.#settings.maxValueSize), timeoutMs);
  }

  /** Of whatever size: others may write larger values than this process. */
  #write<R>(key: string, change: Change<R>, timeoutMs?: number): Promise<Changed<R>> {
    const refusal = this.#refusal(timeoutMs) ?? refuseBound(change.bound);
    if (refusal !== null) return Promise.reject(refusal);
    return this.#track(this.#operations.change(key, change, timeoutMs ?? this.#settings.timeoutMs));
  }

  async ids(bucket: string, how: EnumerationOptions = {}): Promise<string[]> {
    return this.#listings.ids(bucket, how.timeoutMs ?? this.#settings.timeoutMs, how);
  }

  watch(bucket: string, listener: (event: CommitEvent) => void): () => void {
    return this.#watchers.add(bucket, listener);
  }

  /**
   * @param timeoutMs the node's `timeout` unless given
   * @throws ConfigError for one that no operation may have
   */
  deadline(timeoutMs: number = this.#settings.timeoutMs): TimeLeft {
    const refusal = refuseTimeout(timeoutMs, this.#settings.maxClockSkewMs);
    if (refusal !== null) throw refusal;
    return new Deadline(timeoutMs, this.#deadlineClock);
  }

  after(delayMs: number, callback: () => void, isHolding = false): () => void {
    return this.#runtime.setTimer(delayMs, isHolding, callback);
  }

  async heads(bucket: string, { timeoutMs }: OperationOptions = {}): Promise<Head[]> {
    // A large bucket takes more than an operation does; nobody but a watcher waits for it.
    return this.#listings.heads(bucket, timeoutMs ?? longestTimeoutMs(this.#settings.maxClockSkewMs));
  }

  own(bucket: string, shard: number): OwnState[] {
    const prefix = `${bucket}/`;
    return this.#voter
      .localStates(prefix, shard, this.#now())
      .map(([key, state]) => ({ ...state, id: key.slice(prefix.length) }));
  }

  get ownRecords(): number {
    return this.#voter.size;
  }

  /** Has something done before this process leaves, while it still serves; it is waited for. @returns takes it back */
  beforeClose(step: () => Promise<void>): () => void {
    this.#lastSteps.add(step);
    return () => this.#lastSteps.delete(step);
  }

  nowMs(): number {
    return this.#clockWatch.nowMs();
  }

  aheadOfMachineMs(): number {
    return this.#clockWatch.aheadOfMachineMs();
  }

  /** Number of the farm's voters; while it changes, the one that it is to have. */
  get size(): number {
    return this.#sizes.at(-1) ?? this.#settings.clusterSize;
  }

  /**
   * Every process of the farm that this one knows, itself included: voters by their slots, those never heard too, then the
   * others. Whoever has said good-bye is there only until another has its slot; of one that fell silent without a slot
   * nothing is known after a minute.
   */
  members(): Member[] {
    return this.#members.list();
  }

  /**
   * Asks other processes, and this one if it is among those asked, what their handlers for that topic answer. There is an
   * answer, or an error, for each process asked, in the order of {@link members}; it resolves when the last is there, at the
   * latest after `timeoutMs`. A handler runs once for each question at most, however often that was sent.
   *
   * Before the farm is found it waits for it. A process that is given by its number, and not known, may yet be heard.
   *
   * @param topic 1..128 characters; those that begin with `~` are this package's own
   * @param payload up to `maxValueSize` bytes: what JSON knows, and `undefined`, bigints, `Date`, `Map`, `Set`, `Uint8Array`
   * @throws ConfigError for arguments that are not usable; ValueTooLargeError; OverloadedError beyond 1024 questions under way;
   *   NoQuorumError if the farm is not found in that time; ClosedError
   */
  async ask<T = unknown>(
    topic: string,
    payload?: unknown,
    { to = 'voters', timeoutMs }: AskOptions = {},
  ): Promise<Answer<T>[]> {
    const refusal = this.#refusal(timeoutMs);
    if (refusal !== null) throw refusal;
    const answers = this.#asking.ask(topic, payload, to, timeoutMs ?? this.#settings.timeoutMs);
    return this.#track(answers as Promise<Answer<T>[]>);
  }

  /**
   * Has the handler answer what processes ask about that topic by {@link ask}. It is called with what was asked and who
   * asks; what it returns, or its promise resolves to, is the answer. What it throws, its text at least, the asker gets as
   * a `HandlerFailedError`. Nothing is evaluated but this function.
   *
   * @param topic 1..128 characters; those that begin with `~` are this package's own
   * @returns takes the handler away again
   * @throws ConfigError for a topic that is none, or has a handler
   */
  answer(topic: string, handler: AnswerHandler): () => void {
    checkTopic(topic);
    return this.#answering.handle(topic, handler);
  }

  /** The cluster as this process sees it now. */
  status(): NodeStatus {
    const { cluster, name } = this.#settings;
    const { view } = this.#membership;
    const clusterSize = this.size;
    const operations = this.#operations;
    return {
      state: this.#state(),
      isReady: this.#isReady,
      cluster,
      name,
      process: this.#process.toString(36),
      slot: this.#membership.slot,
      clusterSize,
      quorum: majorityOf(clusterSize),
      config: this.#membership.config,
      resize: this.#resizer.progress,
      incarnation: view === null ? null : view.incarnation.toString(36),
      formedAtMs: view === null ? null : view.formedAtMs,
      voters: voterStatus(this.#membership, this.#peers, this.#runtime.monotonicMs()),
      learners: learnerStatus(view, this.#peers),
      records: this.#voter.size,
      clock: { isTrusted: this.#clockWatch.opinion.isTrusted, aheadMs: Math.round(this.#clockWatch.opinion.aheadMs) },
      retransmitMs: this.#retransmitMs,
      operations: { ...operations.counters, inFlight: operations.inFlight, waiting: operations.waiting },
      repair: { ...this.#repairer.counters },
      recovery: this.#recoverer.progress,
      network: {
        transport: this.#transport.status(),
        sealing: this.#link?.sealing ?? null,
        outbox: this.#link?.outbox ?? null,
        ...(this.#link?.counters ?? {
          malformed: 0,
          tooOld: 0,
          notForUs: 0,
          otherVector: 0,
          unknownType: 0,
          unsent: 0,
        }),
      },
    };
  }

  get #sizes(): readonly number[] {
    return this.#membership.config?.sizes ?? [this.#settings.clusterSize];
  }

  // ---- life

  async #start(): Promise<void> {
    // The constructor's caller comes first: its listeners, and its mistakes.
    await Promise.resolve();
    const { secret, cluster, maxClockSkewMs } = this.#settings;
    if (secret === undefined) {
      this.#warnings.warn(
        'no-secret',
        "Option secret is not set: whoever reaches this network can read and write the farm's sessions. Set it to a string of 16 characters or more.",
      );
    }
    try {
      const keyring = await makeKeyring(secret, cluster);
      if (this.#isClosing) return;
      const link = new Link({
        process: this.#process,
        transport: this.#transport,
        keyring,
        runtime: this.#runtime,
        maxClockSkewMs,
        wallMs: () => this.nowMs(),
        identity: () => ({
          incarnation: this.#membership.view?.incarnation ?? 0,
          slot: this.#membership.slot,
          vector: this.#membership.vector,
        }),
        locate: (to) => this.#locate(to),
        audience: () => this.#membership.otherVoters,
        company: () => Array.from(this.#peers, ({ process }) => process),
        receive: (arrival) => this.#traffic.receive(arrival),
        refusedAge: (from, address, ageMs) => this.#warnAge(from, `${address.host}:${address.port}`, ageMs),
        warn: (code, message) => this.#warnings.warn(code, message),
      });
      const place = await this.#openStorage();
      if (this.#isClosing) return;
      const { streamPort } = await link.open();
      this.#link = link;
      if (this.#isClosing) return;
      this.#startedAtMs = this.#runtime.monotonicMs();
      this.#lastHousekeepingMs = this.#startedAtMs;
      this.#obey(this.#membership.start(streamPort, this.#now(), place));
      this.#armHousekeeping();
    } catch (error) {
      if (this.#isClosing) return;
      this.#fail(
        error instanceof ConfigError
          ? error
          : new ConfigError(`The node can't start: ${String(error)}`, { cause: error }),
      );
    }
  }

  /** @returns the place that an earlier process had, whose memory was found */
  async #openStorage(): Promise<Place | null> {
    const { storage, cluster } = this.#settings;
    if (storage === null) return null;
    const opening = await openMemory(storage, { cluster });
    if (opening.kind === 'corrupt') {
      this.#warnings.warn(
        'storage-corrupt',
        `What is stored is damaged or partly lost (${opening.reason}), and counts as lost: this process begins without a memory. It was moved to ${opening.movedTo}, for you to look at or remove. Check the disk.`,
      );
    }
    const place = opening.kind === 'loaded' ? placeOf(opening.identity) : null;
    this.#voter.restore(opening.table, this.#now());
    // A memory without a place is nobody's: of a process that had lost its slot, or was reading the memory of another.
    if (opening.kind === 'loaded' && place === null) this.#voter.reset();
    return place;
  }

  #halted(reason: string): void {
    this.#warnings.warn(
      'halted',
      `This process stops voting, for a rule of the protocol does not hold: ${reason}. Its slot is open to others. Please report it, with this line; restart the process.`,
    );
    // Not in the middle of what found it.
    queueMicrotask(() => this.#resign());
  }

  #storageFailed(error: Error): void {
    this.#warnings.warn(
      'storage-failed',
      `${error.message} This process goes on as a learner, and its slot is open to others. Restart it when the storage works again.`,
    );
    // What is stored stays, for the process that is started next.
    this.#resign();
  }

  /** It votes no more until it is started anew. */
  #resign(): void {
    this.#giveUpMemory();
    this.#obey(this.#membership.resign(this.#now()));
  }

  #fail(error: PaxosError): void {
    this.#failure = error;
    this.#operations.abort(error);
    this.#asking.abort(error);
    this.#readiness.end(error);
    this.#warnings.warn('start-failed', error.message);
  }

  async #leave(): Promise<void> {
    // What is done may add something, as a lease does that is acquired meanwhile; it must not go on so for ever.
    for (let round = 0; round < 10 && this.#lastSteps.size > 0; round += 1) {
      const steps = [...this.#lastSteps];
      this.#lastSteps.clear();
      await Promise.allSettled(steps.map((step) => step()));
    }
    const isHandingOver = (): boolean => this.#handOvers.isKept || (this.#handOvers.isUnderWay && this.#isConnected);
    // Else it is closing at once, before the caller goes on.
    if (isHandingOver()) await waitWhile(this.#runtime, isHandingOver, LAST_HAND_OVER_MS);
    await this.#close();
  }

  async #close(): Promise<void> {
    this.#isClosing = true;
    this.#membership.retire();
    this.#answering.close();
    this.#readiness.end(closedError());
    // While it is being opened: that may wait for a name server.
    if (this.#link === null) await this.#transport.close();
    // A disk that does not answer may keep it from ever being open.
    await within(this.#runtime, LAST_WRITE_MS, this.#started);
    const isWorthWaiting = (): boolean => (this.#isBusy || this.#answering.isBusy) && this.#membership.view !== null;
    await waitWhile(this.#runtime, isWorthWaiting, this.#settings.timeoutMs);
    this.#operations.abort(closedError());
    this.#asking.abort(closedError());
    this.#cancelHousekeeping();
    this.#repairer.abort();
    this.#recoverer.abort();
    this.#handOvers.end();
    if (this.#link !== null) {
      this.#obey(this.#membership.leave());
      this.#link.flush();
      await this.#link.close();
    }
    // What can't be written any more was never answered with.
    const closed = this.#voter.close().catch((error: unknown) => debug('closing the storage failed: %s', error));
    await within(this.#runtime, LAST_WRITE_MS, closed);
    this.#isConnected = false;
    this.#watchers.clear();
  }

  #armHousekeeping(): void {
    this.#cancelHousekeeping = this.#runtime.setTimer(HOUSEKEEPING_MS, false, () => {
      this.#keepHouse();
      // What is to be done before it leaves takes its time: it is there meanwhile.
      if (!this.#isClosing || this.#isBusy || this.#answering.isBusy) this.#armHousekeeping();
    });
  }

  #keepHouse(): void {
    const membership = this.#membership;
    this.#clockWatch.follow();
    const now = this.#now();
    this.#obey(membership.tick(now));
    if (membership.view !== null) {
      this.#clockWatch.check();
      // A node that leaves starts nothing new; the others settle what it leaves half done.
      if (!this.#isClosing) this.#collector.tick();
      this.#tidy(now.monotonicMs);
      const { legacy } = this.#voter;
      if (legacy !== null && membership.isBeyond(legacy.slot, legacy.generation + 1)) this.#voter.dropLegacy();
      this.#resizer.tell();
      if (!this.#isClosing) this.#repairer.tick();
      this.#retransmitMs = retransmitMs(membership, this.#peers, this.#sizes, this.#settings.timeoutMs);
    }
    this.#members.look(now.monotonicMs);
    this.#answering.sweep();
    this.#peers.dropSilent(now.monotonicMs, FORGET_PEER_MS);
    // After a pause of this process everybody seems silent; their words wait in the socket.
    const pausedMs = now.monotonicMs - this.#lastHousekeepingMs;
    this.#lastHousekeepingMs = now.monotonicMs;
    // After a pause the storage's word waits, too.
    this.#voter.look(Math.min(pausedMs, 2 * HOUSEKEEPING_MS));
    if (pausedMs < 1000) this.#checkQuorum(now.monotonicMs);
    this.#warnAlone(now.monotonicMs);
  }

  /**
   * Whoever goes on with what an earlier process had stored has no clock yet that anybody has vouched for: it might take
   * rounds of a time that is far off.
   */
  get #votingSlot(): number {
    const { votingSlot, number } = this.#membership;
    return number === this.#process || this.#clockWatch.wasTrusted ? votingSlot : 0;
  }

  /** Has what nobody waits for written, too: values known to be chosen, what is forgotten. */
  #tidy(monotonicMs: number): void {
    if (this.#settings.storage === null || monotonicMs - this.#tidiedMs < TIDY_MS) return;
    this.#tidiedMs = monotonicMs;
    this.#voter.tidy();
  }

  /** Whether this process's own callers wait for something. */
  get #isBusy(): boolean {
    return this.#operations.isBusy || this.#asking.isBusy;
  }

  /** Drives the operations and questions while there are any. */
  #armTick(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#runtime.setTimer(TICK_MS, true, () => {
      this.#isTicking = false;
      this.#operations.tick();
      this.#asking.tick();
      if (this.#isBusy) this.#armTick();
    });
  }

  #track<T>(operation: Promise<T>): Promise<T> {
    this.#armTick();
    return operation;
  }

  // ---- membership

  #onMembership(from: Answerer, message: MembershipMessage): void {
    // What waits was asked, or answered, under the vector of before: under another one it would count for what it is not.
    this.#link?.flushQueued();
    this.#obey(this.#membership.receive(from, message, this.#now()));
    if (message.type === 'hello') this.#members.introduced(from.process, this.#runtime.monotonicMs());
    if (message.type === 'hello' && !this.#isConnected) this.#checkQuorum(this.#runtime.monotonicMs());
  }

  #obey(directives: readonly Directive[]): void {
    for (const directive of directives) {
      switch (directive.kind) {
        case 'send':
          this.#link?.send(directive.to, directive.message);
          break;
        case 'warning':
          this.#warnings.warn(directive.code, directive.message);
          break;
        case 'entered':
          this.#entered(directive.left);
          break;
        case 'grown':
          this.#grown();
          break;
        case 'claim':
          this.#claim(directive.claim);
          break;
        case 'configure':
          void this.#resizer.configure(directive.config);
          break;
        case 'recover':
          this.#recoverer.begin();
          break;
        case 'abandoned':
          this.#abandoned();
          break;
        case 'fenced':
          this.#recoverer.abort();
          this.#repairer.abort();
          if (directive.held === null) this.#voter.reset();
          else this.#voter.retire(directive.held.slot, directive.held.generation);
          break;
      }
    }
  }

  #entered(left: View | null): void {
    debug('%s entered a view, slot %d', this.#settings.name, this.#membership.slot);
    if (left !== null) this.#moved();
    this.#identify();
    if (this.#membership.mustCopy) this.#recoverer.copy();
    // Now, not at the next housekeeping: the first operations need to know whether the clock can be trusted.
    this.#clockWatch.check();
    this.#handOvers.resume();
    this.#checkQuorum(this.#runtime.monotonicMs());
    this.#operations.start();
  }

  /** The farm's memory is gone. What this process held goes to the farm that it finds, or forms, next. */
  #abandoned(): void {
    this.#operations.abort(this.#diagnosis.noQuorum());
    this.#handOvers.keep(this.#giveUpMemory());
    this.#checkQuorum(this.#runtime.monotonicMs());
  }

  /** Whatever it held for a slot, or keeps for another's next holder, it holds no more. @returns all of that */
  #giveUpMemory(): Records {
    this.#repairer.abort();
    this.#recoverer.abort();
    return [...this.#voter.takeLegacy(), ...this.#voter.reset()];
  }

  /** Two farms have met, and this process's is the one that is given up: it starts anew in the other. */
  #moved(): void {
    this.#operations.abort(this.#diagnosis.noQuorum());
    const orphans = this.#giveUpMemory();
    this.#warnings.warn(
      'farms-met',
      `Two farms named ${this.#settings.cluster} have met: formed apart, or anew while some processes were cut off. This process leaves its own for the other and hands over the ${orphans.length} records it held, where that has none. To avoid this, form a farm with all its voters up, without the option bootstrap, and restart a process only when the one before is ready.`,
    );
    this.#handOvers.begin(orphans);
  }

  #lostInHandOver(count: number): void {
    this.#warnings.warn(
      'hand-over',
      `${count} records of the farm given up could not be handed over before this process left, and are lost: those users log in again. Keep a process running until it is ready.`,
    );
  }

  #claim(claim: Claim): void {
    const { slot } = claim;
    this.#write(slotKey(slot), claimChange(claim)).then(
      ({ result }) => {
        this.#link?.flushQueued();
        this.#obey(this.#membership.claimed({ slot, ...result }, this.#now()));
      },
      // It is tried again at intervals for as long as the slot is open.
      (error: unknown) => {
        debug('claim of slot %d failed: %s', slot, error);
        this.#membership.claimFailed();
      },
    );
  }

  #giveUpLateClaim(): void {
    const claim = this.#membership.lateClaim;
    if (claim !== null) this.#operations.giveUp(slotKey(claim.slot), this.#diagnosis.slotTaken(claim.slot));
  }

  /** The view has learnt of a slot's holder, or of a config. */
  #grown(): void {
    this.#identify();
    this.#giveUpLateClaim();
    this.#operations.restart();
    if (this.#recoverer.isRunning) this.#recoverer.again();
    else if (this.#membership.mustCopy) this.#recoverer.copy();
    this.#resizer.tell();
    this.#clockWatch.check();
    this.#checkQuorum(this.#runtime.monotonicMs());
  }

  #tellRecovery(progress: RecoveryProgress): void {
    const { share, records, tookMs } = progress;
    const percent = Math.floor(100 * share);
    debug(
      '%s: slot %d: %d %% recovered, %d records, %d ms',
      this.#settings.name,
      this.#membership.slot,
      percent,
      records,
      tookMs,
    );
    // Not from within it: what a listener throws must not hold it up.
    queueMicrotask(() => this.emit('recovery', progress));
  }

  /** Says to the storage whose memory it holds. While this process does not vote, it is nobody's. */
  #identify(): void {
    const { view, votingSlot, number } = this.#membership;
    if (this.#settings.storage === null || view === null) return;
    this.#voter.identify(identityOf(this.#settings.cluster, view, votingSlot, number));
  }

  /** What it has read, and that it is the slot's, is durable first; what has to be done then counts under the same vector only. */
  #whenRead(next: () => Directive[]): void {
    const { view, slot, number, vector } = this.#membership;
    if (view === null) return;
    if (this.#settings.storage !== null) this.#voter.identify(identityOf(this.#settings.cluster, view, slot, number));
    this.#voter.settle().then(
      () => {
        if (this.#membership.vector === vector) {
          this.#obey(next());
          if (this.#membership.mustCopy) this.#recoverer.copy();
          this.#clockWatch.check();
          this.#checkQuorum(this.#runtime.monotonicMs());
        } else {
          this.#read();
        }
      },
      () => undefined,
    );
  }

  /** Begins to read what this process has yet to read before it votes, or before the farm has its new size. */
  #read(): void {
    if (this.#membership.phase === 'recovering') this.#recoverer.begin();
    else if (this.#membership.mustCopy) this.#recoverer.copy();
  }

  #otherVotersHeard(): number[] {
    const { slot } = this.#membership;
    return this.#membership.votersHeard(this.#runtime.monotonicMs()).filter((each) => each !== slot);
  }

  #checkQuorum(monotonicMs: number): void {
    if (this.#isClosing) return;
    const isConnected = this.#clockWatch.opinion.isTrusted && this.#membership.hasQuorum(monotonicMs);
    this.#isSettled ||= this.#membership.isSettled(monotonicMs);
    const isChanged = isConnected !== this.#isConnected;
    this.#isConnected = isConnected;
    if (isChanged) {
      if (!isConnected) this.#warnings.warn('quorum-lost', this.#diagnosis.noQuorum().message);
      // As with all events: what a listener throws must not hold up what goes on here.
      queueMicrotask(() => this.emit(isConnected ? 'connect' : 'disconnect'));
    }
    // Behind the event: whoever waits hears of the quorum first.
    if (this.#isReady) this.#readiness.end(null);
  }

  get #isReady(): boolean {
    return this.#isConnected && this.#isSettled && !this.#handOvers.isUnderWay && !this.#isClosing;
  }

  // ---- small things

  #now(): Instant {
    const monotonicMs = this.#runtime.monotonicMs();
    return {
      monotonicMs,
      wallMs: Math.floor(this.#clock.wallMs(monotonicMs)),
      isTrusted: this.#clockWatch.opinion.isTrusted,
    };
  }

  /** The peer table knows nothing of that process any more: nor does anybody else here. */
  #forget(process: number): void {
    this.#clock.drop(process);
    this.#members.forget(process);
    this.#answering.forget(process);
  }

  #leftMs(process: number): number | null {
    const leftMs = this.#peers.get(process)?.leftMs ?? null;
    return leftMs === null ? null : this.#runtime.monotonicMs() - leftMs;
  }

  #locate(to: number): { datagram: Peer['address']; stream: Peer['address'] } | null {
    const peer = this.#peers.get(to);
    if (peer === undefined) return null;
    return { datagram: peer.address, stream: { host: peer.address.host, port: peer.introduction?.streamPort ?? 0 } };
  }

  #refusal(timeoutMs = 0): PaxosError | null {
    if (this.#isClosing) return closedError();
    return this.#failure ?? refuseTimeout(timeoutMs, this.#settings.maxClockSkewMs);
  }

  #impediment(): PaxosError | null {
    return this.#clockWatch.opinion.isOff ? this.#diagnosis.clockOff() : null;
  }

  #state(): NodeStatus['state'] {
    if (this.#isClosing) return 'closed';
    if (this.#failure !== null) return 'failed';
    if (this.#link === null) return 'starting';
    const { phase } = this.#membership;
    return phase === 'leaving' ? 'closed' : phase;
  }

  // ---- warnings

  #giveWarning(warning: NodeWarning): void {
    debug('%s: %s', warning.code, warning.message);
    if (this.listenerCount('warning') > 0) this.emit('warning', warning);
    // Nobody listens: what a person should know goes where Node's own warnings go.
    else process.emitWarning(warning.message, { type: 'ConnectPaxosWarning', code: warning.code });
  }

  #warnAlone(monotonicMs: number): void {
    if (this.#membership.view !== null || monotonicMs - this.#startedAtMs < ALONE_MS) return;
    this.#warnings.warn('alone', this.#diagnosis.alone(), true);
  }

  #warnAge(process: number, who: string, ageMs: number): void {
    this.#warnings.warn('clock', this.#diagnosis.age(process, who, ageMs));
  }
}

function closedError(): ClosedError {
  return new ClosedError('The store or node was closed: make no calls after close().');
}
