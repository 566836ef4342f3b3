import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Ballot,
  type Commit,
  type Copy,
  type EnumeratedKey,
  type Instant,
  InvariantError,
  type Kept,
  type KeptName,
  type Lack,
  NO_BALLOT,
  type RecordTable,
  type RegisterRecord,
  type State,
  type Tombstone,
  type Transfer,
  type Uncollected,
  visible,
} from '../paxos/index.js';
import { type AcceptorMemory, type Identity, MemoryTable, recordsOf, VolatileTable } from '../storage/index.js';

/** What an acceptor held: each key, and its record. */
export type Records = readonly (readonly [string, RegisterRecord])[];

/** Registers looked at for forgetting at a time. */
const COLLECT_LIMIT = 1000;
/** Answers that wait for the storage, at most. */
const MAX_HELD = 8192;
/** Each voter leaves what is half done to the one before it for so long. */
const SETTLE_STEP_MS = 1000;

export interface VoterSetup {
  readonly maxClockSkewMs: number;
  /** Slot that this process votes for; 0 while it does for none. */
  slot(): number;
  /** Calls back when what has come in by now has been handled. */
  defer(callback: () => void): void;
  /** The acceptor has seen what can't be, and votes no more. */
  halted(reason: string): void;
  /** What it holds is not safe any more, and it votes no more. */
  failed(error: Error): void;
}

/** An answer that waits until what it tells of is durable. */
interface Held {
  readonly answer: AcceptorAnswer;
  readonly deliver: (answer: AcceptorAnswer) => void;
}

/** The memory of a slot that was lost, for its next holder. */
interface Legacy {
  readonly slot: number;
  readonly generation: number;
  readonly acceptor: Acceptor;
  readonly table: RecordTable;
  /** Whether it is durable that the slot is lost. */
  isFree: boolean;
}

/** The acceptor of this process, for as long as it votes for a slot: whatever it is asked before or after, it is silent. */
export class Voter {
  readonly #setup: VoterSetup;
  #memory: AcceptorMemory = new VolatileTable();
  #acceptor: Acceptor;
  #isHalted = false;
  #held: Held[] = [];
  /** Answers that wait, those among them that a flush has taken up. */
  #waiting = 0;
  #legacy: Legacy | null = null;

  constructor(setup: VoterSetup) {
    this.#setup = setup;
    this.#acceptor = this.#begin();
  }

  #makeAcceptor(table: RecordTable, floor: Ballot = NO_BALLOT): Acceptor {
    const acceptor = new Acceptor(table, { maxClockSkewMs: this.#setup.maxClockSkewMs });
    acceptor.raiseFloor(floor);
    return acceptor;
  }

  /** An acceptor of what the memory holds from now on. */
  #begin(floor: Ballot = NO_BALLOT): Acceptor {
    const acceptor = this.#makeAcceptor(this.#memory, floor);
    this.#memory.follow(acceptor);
    return acceptor;
  }

  /** Goes on with what an earlier process held; before anything is asked. */
  restore(memory: AcceptorMemory, now: Instant): void {
    this.#memory = memory;
    const acceptor = this.#begin(memory.loadedFloor);
    memory.restore((key, record) => acceptor.absorb({ key, ...record }, now));
    this.#acceptor = acceptor;
  }

  /** Says whose memory it is from now on; what is answered from now on waits until that is durable, too. */
  identify(identity: Identity): void {
    this.#memory.identify(identity);
  }

  /** Resolves when all that it is bound to by now is durable. Rejects when it can't be, and then it votes no more. */
  async settle(): Promise<void> {
    try {
      await this.#memory.flush();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
  }

  /** From time to time, for what no answer has waited for. */
  tidy(): void {
    if (!this.#isHalted) this.#memory.flushAll().catch((error: unknown) => this.#fail(error));
  }

  /** See {@link AcceptorMemory.look}. */
  look(elapsedMs: number): void {
    this.#memory.look(elapsedMs);
  }

  close(): Promise<void> {
    return this.#memory.close();
  }

  #fail(error: unknown): void {
    if (this.#isHalted) return;
    this.#isHalted = true;
    this.#dropHeld();
    this.#setup.failed(error instanceof Error ? error : new Error(String(error)));
  }

  get isVoting(): boolean {
    return this.#setup.slot() > 0 && !this.#isHalted;
  }

  /** Registers held, tombstones and bare promises included. */
  get size(): number {
    return this.#acceptor.size;
  }

  /**
   * @param deliver called with the answer, if there is one, when what it tells of is durable: before this returns if it is
   *   already
   */
  ask(request: AcceptorRequest, now: Instant, deliver: (answer: AcceptorAnswer) => void): void {
    if (!this.isVoting || this.#waiting >= MAX_HELD) return;
    if (this.#memory.isFull) {
      // So much waits for the storage that this is as if it had been lost on its way. Perhaps nobody has had it written yet.
      // Where that fails it has been told of already.
      this.settle().catch(() => undefined);
      return;
    }
    const answer = this.#guarded(() => this.#acceptor.receive(request, now));
    if (answer === null) return;
    if (this.#held.length === 0 && this.#memory.isSettled) {
      deliver(answer);
      return;
    }
    this.#held.push({ answer, deliver });
    this.#waiting += 1;
    // One batch for all that came in together.
    if (this.#held.length === 1) this.#setup.defer(() => this.#release());
  }

  #release(): void {
    const held = this.#held;
    this.#held = [];
    this.settle().then(
      () => {
        this.#waiting -= held.length;
        for (const { answer, deliver } of held) deliver(answer);
      },
      // It has been told of already.
      () => {
        this.#waiting -= held.length;
      },
    );
  }

  #dropHeld(): void {
    this.#waiting -= this.#held.length;
    this.#held = [];
  }

  #guarded<T>(step: () => T): T | null {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof InvariantError)) throw error;
      // An acceptor that has seen the impossible must not vote again: better no quorum than a wrong one.
      this.#isHalted = true;
      this.#setup.halted(error.message);
      return null;
    }
  }

  /** @returns whether this is news; to a process that does not vote, and holds nothing to tell by, it always is */
  commit(commit: Commit): boolean {
    return !this.isVoting || this.#acceptor.commit(commit);
  }

  record(key: string): RegisterRecord | undefined {
    return this.isVoting ? this.#acceptor.record(key) : undefined;
  }

  get digests(): Uint8Array {
    return this.#acceptor.digests;
  }

  lacks(entry: EnumeratedKey, now: Instant): Lack {
    return this.isVoting ? this.#acceptor.lacks(entry, now) : 'nothing';
  }

  /** Takes over what another voter knows to be chosen. @returns whether it was news */
  install(copy: Copy, now: Instant): boolean {
    return this.isVoting && this.#guarded(() => this.#acceptor.install(copy, now)) === true;
  }

  /** What this process's memory alone can answer: a value known to be chosen and not expired, by whatever clock there is. */
  localState(key: string, now: Instant): State | null {
    const record = this.record(key);
    if (record?.proposal == null || !record.committed || record.proposal.until <= now.wallMs) return null;
    const state = visible(record.proposal, now);
    return state.value === null ? null : state;
  }

  /** What this process's memory has, of those keys in that shard that are known to be chosen and not expired. */
  localStates(prefix: string, shard: number, now: Instant): (readonly [string, State])[] {
    if (!this.isVoting) return [];
    const states: (readonly [string, State])[] = [];
    for (const [key, { proposal, committed }] of this.#memory.shard(shard)) {
      if (proposal === null || !committed || !key.startsWith(prefix)) continue;
      const state = visible(proposal, now);
      if (state.value !== null) states.push([key, state]);
    }
    return states;
  }

  /** Forgets what is over. @returns what has to be done before more can go */
  collect(now: Instant): Uncollected {
    if (!this.isVoting) return { unsettled: [], endless: [] };
    return this.#acceptor.collect(now, COLLECT_LIMIT, (this.#setup.slot() - 1) * SETTLE_STEP_MS);
  }

  /** See {@link Acceptor.release}. */
  release(tombstone: Tombstone, now: Instant): void {
    if (this.isVoting) this.#acceptor.release(tombstone, now);
  }

  /** Part of a recovery: see {@link Acceptor.absorb}. */
  absorb(record: Kept, now: Instant): void {
    this.#guarded(() => {
      this.#acceptor.absorb(record, now);
      return null;
    });
  }

  /** Part of a recovery: see {@link Acceptor.absorbName}. */
  absorbName(record: KeptName, now: Instant): boolean {
    // One that has seen the impossible needs nothing any more.
    return this.#guarded(() => this.#acceptor.absorbName(record, now)) ?? true;
  }

  /** Part of a recovery: see {@link Acceptor.raiseFloor}. */
  raiseFloor(floor: Ballot): void {
    this.#acceptor.raiseFloor(floor);
  }

  /**
   * It has lost its slot, and keeps what it held for the process that has it now: that one needs nobody else's memory if it
   * gets this one's, which is the slot's. Without it two slots that change hands at a time could leave a farm without a
   * memory, though no process has ended.
   */
  retire(slot: number, generation: number): void {
    const { floor } = this.#acceptor;
    const table = new MemoryTable();
    for (const [key, record] of this.reset()) table.set(key, record);
    const legacy: Legacy = { slot, generation, acceptor: this.#makeAcceptor(table, floor), table, isFree: false };
    this.#legacy = legacy;
    // Whoever gets it votes with it. A process that were started in place of this one, and found itself in that slot by what
    // is stored, would do so too.
    this.settle().then(
      () => {
        legacy.isFree = true;
      },
      // It has been told of already.
      () => undefined,
    );
  }

  /** The place whose memory is kept for its next holder; `null` if there is none. */
  get legacy(): { readonly slot: number; readonly generation: number } | null {
    return this.#legacy?.isFree === true ? this.#legacy : null;
  }

  /** To the next holder of the slot, and to nobody else. */
  bequeath(request: Transfer, now: Instant): AcceptorAnswer | null {
    return this.#legacy?.isFree === true ? this.#legacy.acceptor.receive(request, now) : null;
  }

  /** The next holder has what it needs. */
  dropLegacy(): void {
    this.#legacy = null;
  }

  /** The next holder will never ask. @returns what was kept for it */
  takeLegacy(): Records {
    const records = this.#legacy === null ? [] : recordsOf(this.#legacy.table);
    this.dropLegacy();
    return records;
  }

  /**
   * Forgets everything, as one that has lost its slot, or is about to recover the memory that goes with another.
   *
   * @returns what was held
   */
  reset(): Records {
    const records = this.#memory.reset();
    const { identity } = this.#memory;
    // Who finds it empty must not take it for the slot's.
    if (identity !== null) this.#memory.identify({ ...identity, slot: 0, generation: 0 });
    this.#dropHeld();
    this.#acceptor = this.#begin();
    return records;
  }
}
