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

/**
 * Gets the memory that goes with a slot this process has taken: all records of a majority of acceptors of other slots,
 * each of which knows by then that the slot has changed hands (docs/protocol.md, "Recovery"; Michael, Ports, Sharma,
 * Szekeres, *Recovering Shared Objects Without Stable Storage*, section 4.3). Or all those of the process that held the slot
 * before, if it was only not heard, and votes no more. If the holders of slots change meanwhile it
 * begins anew: all that it rests on has to be read under one vector.
 */
export class Recoverer {
  readonly #setup: RecovererSetup;
  #transfers: RecordTransfer[] = [];
  /** From the process that held the slot before. */
  #inheritance: { readonly process: number; readonly transfer: RecordTransfer } | null = null;
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
    const shares = this.#transfers.map(({ share }) => share).sort((a, b) => b - a);
    const best = shares.slice(0, this.#needed).reduce((sum, share) => sum + share, 0);
    const tookMs = this.#setup.now().monotonicMs - this.#beganMs;
    return { share: this.#needed === 0 ? 0 : best / this.#needed, records: this.#records, tookMs };
  }

  begin(): void {
    const electorate = this.#setup.electorate();
    if (electorate === null) return;
    this.#setup.voter.reset();
    this.#transfers = [];
    this.#inheritance = null;
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
    this.#transfers = [];
    this.#inheritance = null;
  }

  /** @returns whether the answer was to one of its questions */
  receive(from: Answerer, answer: AcceptorAnswer): boolean {
    const all = [...this.#transfers, ...(this.#inheritance === null ? [] : [this.#inheritance.transfer])];
    const transfer = all.find(({ request }) => request === answer.request);
    if (transfer === undefined) return false;
    transfer.receive(from, answer, this.#setup.now());
    this.#finish();
    return true;
  }

  #step(): void {
    if (!this.#isRunning) return;
    const now = this.#setup.now();
    this.#engage(now);
    if (now.monotonicMs - this.#toldMs >= TELL_MS) this.#tell(now.monotonicMs);
    for (const transfer of this.#transfers) {
      const outgoing = transfer.tick(now);
      if (outgoing !== null) this.#setup.transmit(outgoing);
    }
    this.#inherit(now);
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#setup.wake(STEP_MS, () => {
      this.#isAwake = false;
      this.#step();
    });
  }

  /** So many voters are read from as it takes, not counting those that are silent. */
  #engage(now: Instant): void {
    const electorate = this.#setup.electorate();
    const moving = this.#transfers.filter(
      ({ isOver, heardAtMs }) => isOver || now.monotonicMs - heardAtMs < STALLED_MS,
    );
    if (electorate === null || moving.length >= this.#needed) return;
    const taken = new Set(this.#transfers.map(({ slot }) => slot));
    const free = this.#setup.votersHeard().filter((slot) => !taken.has(slot));
    for (let missing = this.#needed - moving.length; missing > 0 && free.length > 0; missing -= 1) {
      const [slot] = free.splice(Math.floor(this.#setup.random() * free.length), 1);
      if (slot !== undefined) this.#read(slot, electorate, now);
    }
  }

  #read(slot: number, electorate: Electorate, now: Instant): void {
    const isSource = (from: Answerer): boolean => from.slot === slot && electorate.isVoter(from);
    const transfer = this.#makeTransfer(slot, electorate, isSource);
    this.#transfers.push(transfer);
    const outgoing = transfer.start(now);
    if (outgoing !== null) this.#setup.transmit(outgoing);
  }

  /** A process that does not know yet that it has lost its slot learns it by the first question, and answers the next. */
  #inherit(now: Instant): void {
    const electorate = this.#setup.electorate();
    const process = this.#setup.predecessor();
    if (electorate === null) return;
    if (this.#inheritance === null && process !== null) {
      const transfer = this.#makeTransfer(0, electorate, (from) => from.process === process);
      this.#inheritance = { process, transfer };
      const outgoing = transfer.start(now);
      if (outgoing !== null) this.#setup.transmitTo(process, outgoing);
      return;
    }
    const outgoing = this.#inheritance?.transfer.tick(now) ?? null;
    if (this.#inheritance !== null && outgoing !== null) this.#setup.transmitTo(this.#inheritance.process, outgoing);
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
    const floors = this.#transfers.flatMap(({ outcome }) => outcome?.floor ?? []);
    const inherited = this.#inheritance?.transfer.outcome ?? null;
    if (inherited !== null) floors.push(inherited.floor);
    if (!this.#isRunning || (inherited === null && floors.length < this.#needed)) return;
    const floor = floors.reduce<Ballot>((highest, each) => higherBallot(highest, each), NO_BALLOT);
    this.#tell(this.#setup.now().monotonicMs);
    this.abort();
    this.#setup.voter.raiseFloor(floor);
    this.#setup.recovered();
  }
}
