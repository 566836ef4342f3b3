import type { Config } from '../membership/index.js';
import {
  type AcceptorAnswer,
  type Answerer,
  type Ballot,
  type Electorate,
  higherBallot,
  type Instant,
  isQuorum,
  lastSlotOf,
  NO_BALLOT,
  type Outgoing,
  RecordTransfer,
  type RecordTransferSetup,
  SHARDS,
} from '../paxos/index.js';
import type { Voter } from './voter.js';

export interface RecovererSetup {
  readonly voter: Voter;
  now(): Instant;
  electorate(): Electorate | null;
  /** `null` while there is no view. */
  config(): Config | null;
  /** Slot that this process holds; 0 for none. */
  slot(): number;
  /** Whether it is to read what the size before holds. */
  mustCopy(): boolean;
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
  /**
   * This process has the memory that goes with its slot.
   * @param isOfQuorum whether it has read that of a quorum; not if it was its predecessor's
   */
  recovered(isOfQuorum: boolean): void;
  /** This process, voting, has read what a majority of the size before holds. */
  copied(): void;
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

/** What is read for, and whether that much is enough for it. */
interface Task {
  readonly kind: 'recovery' | 'copy';
  /** The highest slot that is of use for it. */
  readonly lastSlot: number;
  isEnough(slots: readonly number[]): boolean;
}

/**
 * Gets the memory that goes with a slot this process has taken: all records of a majority of acceptors of other slots,
 * each of which knows by then that the slot has changed hands (docs/protocol.md, "Recovery"; Michael, Ports, Sharma,
 * Szekeres, *Recovering Shared Objects Without Stable Storage*, section 4.3). Or all those of the process that held the slot
 * before, if it was only not heard, and votes no more. If the holders of slots change meanwhile it begins anew: all that
 * it rests on has to be read under one vector.
 *
 * In the same way a voter gets, while it goes on voting, what a majority of the size before holds when the farm changes its
 * size (docs/protocol.md, "Change of size").
 */
export class Recoverer {
  readonly #setup: RecovererSetup;
  /** Voters of other slots. */
  #voters: Source[] = [];
  /** The process that held the slot before. */
  #predecessor: Source | null = null;
  #task: Task | null = null;
  #records = 0;
  #beganMs = 0;
  #toldMs = 0;
  #isAwake = false;

  constructor(setup: RecovererSetup) {
    this.#setup = setup;
  }

  get isRunning(): boolean {
    return this.#task !== null;
  }

  /** `null` while no recovery is under way. */
  get progress(): RecoveryProgress | null {
    return this.#task?.kind === 'recovery' ? this.#progressOf(this.#task) : null;
  }

  #progressOf(task: Task): RecoveryProgress {
    const tookMs = this.#setup.now().monotonicMs - this.#beganMs;
    const best = this.#voters.map(({ transfer }) => transfer).sort((a, b) => b.share - a.share);
    const needed = best.findIndex((_, index) => task.isEnough(best.slice(0, index + 1).map(({ slot }) => slot))) + 1;
    const sum = best.slice(0, needed).reduce((all, { share }) => all + share, 0);
    return { share: needed === 0 ? 0 : sum / needed, records: this.#records, tookMs };
  }

  /** Reads the memory that goes with the slot; from now on this process holds nothing else. */
  begin(): void {
    const config = this.#setup.config();
    if (config === null) return;
    this.#setup.voter.reset();
    this.#start({
      kind: 'recovery',
      lastSlot: lastSlotOf(config.sizes),
      isEnough: (slots) => isQuorum(config.sizes, slots),
    });
  }

  /** Reads what a majority of the size before holds, beside what this process holds. */
  copy(): void {
    const config = this.#setup.config();
    if (config === null) return;
    const [before] = config.sizes;
    const own = this.#setup.slot();
    this.#start({ kind: 'copy', lastSlot: before, isEnough: (slots) => isQuorum([before], [...slots, own]) });
  }

  /** Who votes has changed. */
  again(): void {
    if (this.#task?.kind === 'recovery') this.begin();
    else if (this.#setup.mustCopy()) this.copy();
    else this.abort();
  }

  #start(task: Task): void {
    this.#task = task;
    this.#voters = [];
    this.#predecessor = null;
    this.#records = 0;
    this.#beganMs = this.#setup.now().monotonicMs;
    this.#tell(this.#beganMs);
    this.#finish();
    this.#step();
  }

  #tell(nowMs: number): void {
    this.#toldMs = nowMs;
    if (this.#task?.kind === 'recovery') this.#setup.progressed(this.#progressOf(this.#task));
  }

  abort(): void {
    this.#task = null;
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
    const outgoing = source.transfer.receive(from, answer, this.#setup.now());
    this.#finish();
    // What has been read may be enough without this one.
    if (outgoing !== null && this.#task !== null) source.send(outgoing);
    return true;
  }

  #step(): void {
    if (this.#task === null) return;
    const now = this.#setup.now();
    this.#engage(this.#task, now);
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

  #engage(task: Task, now: Instant): void {
    const electorate = this.#setup.electorate();
    if (electorate === null) return;
    this.#engageVoters(task, electorate, now);
    if (task.kind === 'copy') return;
    const process = this.#setup.predecessor();
    if (this.#predecessor !== null || process === null) return;
    // If it does not know yet that it has lost its slot it learns that by the first question, and answers the next.
    this.#predecessor = this.#read(
      this.#makeTransfer(0, electorate, (from) => from.process === process, { isOfLegacy: true }),
      (outgoing) => this.#setup.transmitTo(process, outgoing),
      now,
    );
  }

  /** So many voters are read from as it takes, not counting those that are silent. */
  #engageVoters(task: Task, electorate: Electorate, now: Instant): void {
    const moving = this.#voters.flatMap(({ transfer: { isOver, heardAtMs, slot } }) =>
      isOver || now.monotonicMs - heardAtMs < STALLED_MS ? [slot] : [],
    );
    const taken = new Set(this.#voters.map(({ transfer }) => transfer.slot));
    const free = this.#setup.votersHeard().filter((slot) => slot <= task.lastSlot && !taken.has(slot));
    while (!task.isEnough(moving) && free.length > 0) {
      const [slot] = free.splice(Math.floor(this.#setup.random() * free.length), 1);
      if (slot === undefined) continue;
      const isSource = (from: Answerer): boolean => from.slot === slot && electorate.isVoter(from);
      const ahead = (at: Instant): number | null => (task.kind === 'copy' ? SHARDS : this.#aheadOf(slot, at));
      const transfer = this.#makeTransfer(slot, electorate, isSource, { ahead });
      this.#voters.push(this.#read(transfer, (outgoing) => this.#setup.transmit(outgoing), now));
      moving.push(slot);
    }
  }

  /**
   * How far the voter that is read ahead of that one has been; `null` if none is. All are read, but the values of one only,
   * and what differs.
   */
  #aheadOf(slot: number, now: Instant): number | null {
    let first: RecordTransfer | null = null;
    for (const { transfer } of this.#voters) {
      if (!transfer.isOver && now.monotonicMs - transfer.heardAtMs >= STALLED_MS) continue;
      if (first === null || transfer.shard > first.shard) first = transfer;
    }
    return first === null || first.slot === slot ? null : first.shard;
  }

  #read(transfer: RecordTransfer, send: Source['send'], now: Instant): Source {
    const outgoing = transfer.start(now);
    if (outgoing !== null) send(outgoing);
    return { transfer, send };
  }

  #makeTransfer(
    slot: number,
    electorate: Electorate,
    isSource: (from: Answerer) => boolean,
    how: Pick<RecordTransferSetup, 'ahead' | 'isOfLegacy'>,
  ): RecordTransfer {
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
      ...how,
      absorbName: (record, at) => {
        const isTaken = this.#setup.voter.absorbName(record, at);
        if (isTaken) this.#records += 1;
        return isTaken;
      },
    });
  }

  #finish(): void {
    const task = this.#task;
    if (task === null) return;
    const read = this.#voters.filter(({ transfer }) => transfer.isOver);
    const inherited = this.#predecessor?.transfer.outcome ?? null;
    const isOfQuorum = task.isEnough(read.map(({ transfer }) => transfer.slot));
    if (inherited === null && !isOfQuorum) return;
    const floors = [...read.map(({ transfer }) => transfer.outcome), inherited].flatMap(
      (outcome) => outcome?.floor ?? [],
    );
    const floor = floors.reduce<Ballot>((highest, each) => higherBallot(highest, each), NO_BALLOT);
    this.#tell(this.#setup.now().monotonicMs);
    this.abort();
    this.#setup.voter.raiseFloor(floor);
    if (task.kind === 'recovery') this.#setup.recovered(isOfQuorum);
    else this.#setup.copied();
  }
}
