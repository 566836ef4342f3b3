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
  type Lack,
  type RegisterRecord,
  type State,
  visible,
} from '../paxos/index.js';
import { MemoryTable } from '../storage/memory.js';

/** Registers looked at for forgetting at a time. */
const COLLECT_LIMIT = 1000;
/** Each voter leaves what is half done to the one before it for so long. */
const SETTLE_STEP_MS = 1000;

export interface VoterSetup {
  readonly maxClockSkewMs: number;
  /** Slot that this process votes for; 0 while it does for none. */
  slot(): number;
  /** The acceptor has seen what can't be, and votes no more. */
  halted(reason: string): void;
}

/** The acceptor of this process, for as long as it votes for a slot: whatever it is asked before or after, it is silent. */
export class Voter {
  readonly #setup: VoterSetup;
  #table = new MemoryTable();
  #acceptor: Acceptor;
  #isHalted = false;

  constructor(setup: VoterSetup) {
    this.#setup = setup;
    this.#acceptor = this.#makeAcceptor();
  }

  #makeAcceptor(): Acceptor {
    return new Acceptor(this.#table, { maxClockSkewMs: this.#setup.maxClockSkewMs });
  }

  get isVoting(): boolean {
    return this.#setup.slot() > 0 && !this.#isHalted;
  }

  /** Registers held, tombstones and bare promises included. */
  get size(): number {
    return this.#acceptor.size;
  }

  ask(request: AcceptorRequest, now: Instant): AcceptorAnswer | null {
    return this.isVoting ? this.#guarded(() => this.#acceptor.receive(request, now)) : null;
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

  /** What this process's memory alone can answer: a value known to be chosen and not expired. */
  localState(key: string, now: Instant): State | null {
    const record = this.record(key);
    if (record?.proposal == null || !record.committed) return null;
    const state = visible(record.proposal, now);
    return state.value === null ? null : state;
  }

  /** Forgets what is over. @returns keys that somebody has to settle first */
  collect(now: Instant): string[] {
    if (!this.isVoting) return [];
    return this.#acceptor.collect(now, COLLECT_LIMIT, (this.#setup.slot() - 1) * SETTLE_STEP_MS);
  }

  /** Part of a recovery: see {@link Acceptor.absorb}. */
  absorb(record: Kept, now: Instant): void {
    this.#guarded(() => {
      this.#acceptor.absorb(record, now);
      return null;
    });
  }

  /** Part of a recovery: see {@link Acceptor.raiseFloor}. */
  raiseFloor(floor: Ballot): void {
    this.#acceptor.raiseFloor(floor);
  }

  /**
   * Forgets everything, as one that has lost its slot, or is about to recover the memory that goes with another.
   *
   * @returns what was held
   */
  reset(): (readonly [string, RegisterRecord])[] {
    const records = this.#table.list();
    this.#table = new MemoryTable();
    this.#acceptor = this.#makeAcceptor();
    return records;
  }
}
