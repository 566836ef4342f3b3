import type { Change } from '../paxos/index.js';
import { handOver, isOfUse } from './hand-over.js';
import type { Runtime } from './runtime.js';
import type { Records } from './voter.js';
import { pause } from './waits.js';

/** Until what could not be handed over is tried again. */
const PAUSE_MS = 1000;

export interface HandOversSetup {
  readonly runtime: Runtime;
  nowMs(): number;
  write(key: string, change: Change<null>): Promise<unknown>;
  /** Whether this process leaves: what is refused then is not tried again. */
  isClosing(): boolean;
  /** So many records are lost. */
  lost(count: number): void;
  /** One is over. */
  ended(): void;
}

/**
 * What this process held in farms given up, on its way into the one that it is in. Until it is there this process has
 * sessions that nobody else has.
 */
export class HandOvers {
  readonly #setup: HandOversSetup;
  #kept: Records = [];
  #underWay = 0;

  constructor(setup: HandOversSetup) {
    this.#setup = setup;
  }

  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /** Whether there is something of use for the farm that comes next. */
  get isKept(): boolean {
    const nowMs = this.#setup.nowMs();
    return this.#kept.some((record) => isOfUse(record, nowMs));
  }

  /** For the farm that is found, or formed, next. */
  keep(records: Records): void {
    this.#kept = records;
  }

  /** There is a farm. */
  resume(): void {
    const records = this.#kept;
    this.#kept = [];
    if (records.length > 0) this.begin(records);
  }

  begin(records: Records): void {
    void this.#run(records);
  }

  /** No farm will be found any more. */
  end(): void {
    const nowMs = this.#setup.nowMs();
    const count = this.#kept.filter((record) => isOfUse(record, nowMs)).length;
    this.#kept = [];
    if (count > 0) this.#setup.lost(count);
  }

  async #run(records: Records): Promise<void> {
    const { runtime, nowMs, write, isClosing, lost, ended } = this.#setup;
    this.#underWay += 1;
    const count = await handOver(records, {
      nowMs,
      write,
      again: async () => {
        if (!isClosing()) await pause(runtime, PAUSE_MS);
        return !isClosing();
      },
    });
    this.#underWay -= 1;
    if (count > 0) lost(count);
    ended();
  }
}
