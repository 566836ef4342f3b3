import type { WatchableRegisters } from '../node/registers.js';
import { SHARDS } from '../paxos/index.js';
import { type Life, livesOf } from './attributes.js';

/** Between two looks, in ms, and records looked at in one, about. */
const TICK_MS = 100;
const RECORDS_A_TICK = 500;
/** The shortest time for all shards. */
const CYCLE_MS = 2000;
/** Keys looked at more closely at a time. */
const MAX_READING = 16;

export interface SweepSetup {
  readonly registers: Pick<WatchableRegisters, 'own' | 'ownRecords' | 'after' | 'nowMs'>;
  readonly bucket: string;
  /** Whether all of them seem to be alive, by this process's own memory. */
  readonly seemAlive: (lives: readonly Life[]) => Promise<boolean>;
  /** Reads that key as every reader does: what is over is buried by that. */
  readonly read: (id: string) => Promise<unknown>;
}

/** A key that lives by others. */
interface Hanging {
  readonly id: string;
  readonly lives: readonly Life[];
}

/**
 * Finds keys that are over by what they live by and that nobody asks for: a voter looks through its own memory, a part at a
 * time, and has those read that seem to be.
 */
export class Sweep {
  readonly #setup: SweepSetup;
  #shard = 0;
  #beganMs: number;
  #isStopped = false;
  #cancel: () => void = () => undefined;

  constructor(setup: SweepSetup) {
    this.#setup = setup;
    this.#beganMs = setup.registers.nowMs();
    this.#schedule(TICK_MS);
  }

  /** What is being read is read to its end; nothing else is begun. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #schedule(ms: number): void {
    if (!this.#isStopped) this.#cancel = this.#setup.registers.after(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    const hanging = this.#take().values();
    // They share the list: each takes the next when it is done with one.
    await Promise.all(Array.from({ length: MAX_READING }, () => this.#checkAll(hanging)));
    if (this.#shard < SHARDS) {
      this.#schedule(TICK_MS);
      return;
    }
    const { registers } = this.#setup;
    this.#shard = 0;
    this.#schedule(Math.min(Math.max(TICK_MS, this.#beganMs + CYCLE_MS - registers.nowMs()), CYCLE_MS));
    this.#beganMs = registers.nowMs();
  }

  /** The next of those that live by others. */
  #take(): Hanging[] {
    const { registers, bucket } = this.#setup;
    const hanging: Hanging[] = [];
    for (let looked = 0; looked < RECORDS_A_TICK && this.#shard < SHARDS; this.#shard += 1) {
      const states = registers.own(bucket, this.#shard);
      // Those of other buckets are looked at, too.
      looked += Math.max(states.length, registers.ownRecords / SHARDS);
      for (const state of states) {
        const lives = livesOf(state);
        if (lives.length > 0) hanging.push({ id: state.id, lives });
      }
    }
    return hanging;
  }

  async #checkAll(hanging: Iterable<Hanging>): Promise<void> {
    for (const { id, lives } of hanging) {
      if (this.#isStopped) return;
      try {
        if (!(await this.#setup.seemAlive(lives))) await this.#setup.read(id);
      } catch {
        // It comes up again at the next cycle; whoever asks for the key is told what is wrong.
      }
    }
  }
}
