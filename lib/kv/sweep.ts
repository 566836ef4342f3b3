import type { OwnState, WatchableRegisters } from '../node/registers.js';
import { SHARDS } from '../paxos/index.js';
import { decodeAttributes, isInLife, type Life } from './attributes.js';

/** Between two looks, in ms, and records looked at in one. */
const TICK_MS = 100;
const RECORDS_A_TICK = 500;
/** The shortest time for all shards. */
const CYCLE_MS = 2000;
/** Keys read at a time because they seem over. */
const MAX_READING = 16;

export interface SweepSetup {
  readonly registers: Pick<WatchableRegisters, 'own' | 'read' | 'after' | 'nowMs'>;
  readonly bucket: string;
  /** Reads that key as every reader does: what is over is buried by that. */
  readonly read: (id: string) => Promise<unknown>;
}

/**
 * Finds keys that are over by what they live by and that nobody asks for: a voter looks through its own memory, a part at a
 * time, and has those read that seem to be.
 */
export class Sweep {
  readonly #setup: SweepSetup;
  #shard = 0;
  #cycleMs = 0;
  #reading = 0;
  #isStopped = false;
  #cancel: () => void = () => undefined;

  constructor(setup: SweepSetup) {
    this.#setup = setup;
    this.#schedule(TICK_MS);
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #schedule(ms: number): void {
    if (!this.#isStopped) this.#cancel = this.#setup.registers.after(ms, () => this.#look());
  }

  #look(): void {
    const { registers, bucket } = this.#setup;
    let looked = 0;
    while (looked < RECORDS_A_TICK && this.#shard < SHARDS && this.#reading < MAX_READING) {
      const states = registers.own(bucket, this.#shard);
      looked += states.length;
      this.#shard += 1;
      for (const state of states) {
        const lives = livesOf(state);
        if (lives.length > 0) void this.#check(state.id, lives);
      }
    }
    this.#cycleMs += TICK_MS;
    if (this.#shard < SHARDS) {
      this.#schedule(TICK_MS);
      return;
    }
    this.#shard = 0;
    this.#schedule(Math.max(TICK_MS, CYCLE_MS - this.#cycleMs));
    this.#cycleMs = 0;
  }

  async #check(id: string, lives: readonly Life[]): Promise<void> {
    this.#reading += 1;
    try {
      if (await this.#seemsOver(lives)) await this.#setup.read(id);
    } catch {
      // It comes up again at the next cycle; whoever asks for the key is told what is wrong.
    } finally {
      this.#reading -= 1;
    }
  }

  async #seemsOver(lives: readonly Life[]): Promise<boolean> {
    for (const life of lives) {
      const state = await this.#setup.registers.read(life.key, { consistency: 'local' });
      if (!isInLife(state, life)) return true;
    }
    // What those live by is looked at when they are.
    return false;
  }
}

/** None of what can't be read: whoever asks for the key is told. */
function livesOf({ attributes }: OwnState): readonly Life[] {
  try {
    return decodeAttributes(attributes).lives;
  } catch {
    return [];
  }
}
