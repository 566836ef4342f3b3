import {
  type AcceptorAnswer,
  type Answerer,
  type Ballot,
  type Electorate,
  higherBallot,
  type Instant,
  majorityOf,
  NO_BALLOT,
  type Outgoing,
  RecordTransfer,
} from '../paxos/index.js';
import type { Voter } from './voter.js';

export interface RecovererSetup {
  readonly voter: Voter;
  now(): Instant;
  electorate(): Electorate | null;
  /** Slots of other processes that vote and were heard of late. */
  votersHeard(): readonly number[];
  /** The process that held the slot just before this one, if it is heard: see {@link Voter.retire}. */
  predecessor(): number | null;
  /** Sends to that process. */
  transmitTo(process: number, outgoing: Outgoing): void;
  nextRequest(): number;
  retransmitMs(): number;
  transmit(outgoing: Outgoing): void;
  /** Calls back once, after so many ms. */
  wake(ms: number, callback: () => void): void;
  /** In 0..1. */
  random(): number;
  /** It has begun, or has come so far. */
  progressed(progress: RecoveryProgress): void;
  /** This process has the memory that goes with its slot. */
  recovered(): void;
}

/** How far a recovery has come. */
export interface RecoveryProgress {
  /** 0..1 */
  readonly share: number;
  /** Records read, those that several voters hold counted as often. */
  readonly records: number;
  readonly tookMs: number;
}

/** How often a recovery looks what it has to do, in ms. */
const STEP_MS = 1;
/** How often it is told how far a recovery has come, in ms. */
const TELL_MS = 1000;
/** A voter from which nothing came for so long is not waited for alone. */
const STALLED_MS = 1000;

/** Whose memory is read, and the way there. */
interface Source {
  readonly transfer: RecordTransfer;
  send(outgoing: Outgoing): void;
}

/**
 * Gets the memory that goes with a slot this process has taken: all records of a majority of acceptors of other slots,
 * each of which knows by then that the slot has changed hands (docs/protocol.md, "Recovery"; Michael, Ports, Sharma,
 * Szekeres, *Recovering Shared Objects Without Stable Storage*, section 4.3). Or all those of the process that held the slot
 * before, if it was only not heard, and votes no more. If the holders of slots change meanwhile it begins anew: all that
 * it rests on has to be read under one vector.
 */
export class Recoverer {
  readonly #setup: RecovererSetup;
  /** Voters of other slots. */
  #voters: Source[] = [];
  /** The process that held the slot before. */
  #predecessor: Source | null = null;
  #needed = 0;
  #records = 0;
  #beganMs = 0;
  #toldMs = 0;
  #isRunning = false;
  #isAwake = false;

  constructor(setup: RecovererSetup) {
    this.#setup = setup;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** `null` while no recovery is under way. */
  get progress(): RecoveryProgress | null {
    return this.#isRunning ? this.#progress : null;
  }

  get #progress(): RecoveryProgress {
    const shares = this.#voters.map(({ transfer }) => transfer.share).sort((a, b) => b - a);
    const best = shares.slice(0, this.#needed).reduce((sum, share) => sum + share, 0);
    const tookMs = this.#setup.now().monotonicMs - this.#beganMs;
    return { share: this.#needed === 0 ? 0 : best / this.#needed, records: this.#records, tookMs };
  }

  begin(): void {
    const electorate = this.#setup.electorate();
    if (electorate === null) return;
    this.#setup.voter.reset();
    this.#voters = [];
    this.#predecessor = null;
    this.#needed = majorityOf(electorate.size);
    this.#records = 0;
    this.#beganMs = this.#setup.now().monotonicMs;
    this.#isRunning = true;
    this.#tell(this.#beganMs);
    this.#step();
  }

  #tell(nowMs: number): void {
    this.#toldMs = nowMs;
    this.#setup.progressed(this.#progress);
  }

  abort(): void {
    this.#isRunning = false;
    this.#voters = [];
    this.#predecessor = null;
  }

  get #sources(): Source[] {
    return this.#predecessor === null ? this.#voters : [...this.#voters, this.#predecessor];
  }

  /** @returns whether the answer was to one of its questions */
  receive(from: Answerer, answer: AcceptorAnswer): boolean {
    const source = this.#sources.find(({ transfer }) => transfer.request === answer.request);
    if (source === undefined) return false;
    source.transfer.receive(from, answer, this.#setup.now());
    this.#finish();
    return true;
  }

  #step(): void {
    if (!this.#isRunning) return;
    const now = this.#setup.now();
    this.#engage(now);
    if (now.monotonicMs - this.#toldMs >= TELL_MS) this.#tell(now.monotonicMs);
    for (const source of this.#sources) {
      const outgoing = source.transfer.tick(now);
      if (outgoing !== null) source.send(outgoing);
    }
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#setup.wake(STEP_MS, () => {
      this.#isAwake = false;
      this.#step();
    });
  }

  #engage(now: Instant): void {
    const electorate = this.#setup.electorate();
    if (electorate === null) return;
    this.#engageVoters(electorate, now);
    const process = this.#setup.predecessor();
    if (this.#predecessor !== null || process === null) return;
    // If it does not know yet that it has lost its slot it learns that by the first question, and answers the next.
    this.#predecessor = this.#read(
      this.#makeTransfer(0, electorate, (from) => from.process === process),
      (outgoing) => this.#setup.transmitTo(process, outgoing),
      now,
    );
  }

  /** So many voters are read from as it takes, not counting those that are silent. */
  #engageVoters(electorate: Electorate, now: Instant): void {
    const moving = this.#voters.filter(
      ({ transfer: { isOver, heardAtMs } }) => isOver || now.monotonicMs - heardAtMs < STALLED_MS,
    );
    if (moving.length >= this.#needed) return;
    const taken = new Set(this.#voters.map(({ transfer }) => transfer.slot));
    const free = this.#setup.votersHeard().filter((slot) => !taken.has(slot));
    for (let missing = this.#needed - moving.length; missing > 0 && free.length > 0; missing -= 1) {
      const [slot] = free.splice(Math.floor(this.#setup.random() * free.length), 1);
      if (slot === undefined) continue;
      const isSource = (from: Answerer): boolean => from.slot === slot && electorate.isVoter(from);
      const transfer = this.#makeTransfer(slot, electorate, isSource);
      this.#voters.push(this.#read(transfer, (outgoing) => this.#setup.transmit(outgoing), now));
    }
  }

  #read(transfer: RecordTransfer, send: Source['send'], now: Instant): Source {
    const outgoing = transfer.start(now);
    if (outgoing !== null) send(outgoing);
    return { transfer, send };
  }

  #makeTransfer(slot: number, electorate: Electorate, isSource: (from: Answerer) => boolean): RecordTransfer {
    return new RecordTransfer({
      request: this.#setup.nextRequest(),
      electorate,
      retransmitMs: this.#setup.retransmitMs(),
      slot,
      isSource,
      absorb: (records, at) => {
        this.#records += records.length;
        for (const record of records) this.#setup.voter.absorb(record, at);
      },
    });
  }

  #finish(): void {
    const floors = this.#voters.flatMap(({ transfer }) => transfer.outcome?.floor ?? []);
    const inherited = this.#predecessor?.transfer.outcome ?? null;
    if (inherited !== null) floors.push(inherited.floor);
    if (!this.#isRunning || (inherited === null && floors.length < this.#needed)) return;
    const floor = floors.reduce<Ballot>((highest, each) => higherBallot(highest, each), NO_BALLOT);
    this.#tell(this.#setup.now().monotonicMs);
    this.abort();
    this.#setup.voter.raiseFloor(floor);
    this.#setup.recovered();
  }
}
