import type { PaxosError } from '../errors.js';
import { type EnumerationOutcome, formatBallot, type State } from '../paxos/index.js';
import type { Operations } from './operations.js';
import type { EnumerationOptions, Head, OperationOptions, TimeLeft } from './registers.js';
import type { Runtime } from './runtime.js';
import { waitWhile } from './waits.js';

export interface ListingsSetup {
  readonly runtime: Runtime;
  readonly operations: Operations;
  readonly maxClockSkewMs: number;
  nowMs(): number;
  /** Why no call with that time-out may be made now, or `null`. */
  refusal(timeoutMs?: number): PaxosError | null;
  /** Whether operations can start: there is a farm, and this process's clock is trusted. */
  isFound(): boolean;
  noQuorum(): PaxosError;
  deadline(timeoutMs: number): TimeLeft;
  read(key: string, options: OperationOptions): Promise<State>;
  /** Has the operation driven until it is over. @returns it */
  track<T>(operation: Promise<T>): Promise<T>;
}

/** What a bucket holds, over the whole farm. */
export class Listings {
  readonly #setup: ListingsSetup;

  constructor(setup: ListingsSetup) {
    this.#setup = setup;
  }

  /** See `Registers.ids`. */
  async ids(bucket: string, timeoutMs: number, { includesJustEnded = false }: EnumerationOptions): Promise<string[]> {
    const { deadline, nowMs, read, maxClockSkewMs } = this.#setup;
    // All that it takes together has to be done in that time.
    const left = deadline(timeoutMs);
    const prefix = `${bucket}/`;
    const { settled, unsettled } = await this.#enumerate(prefix, timeoutMs);
    const overMs = nowMs() - (includesJustEnded ? maxClockSkewMs : 0);
    const ids = settled.filter((entry) => entry.until > overMs).map((entry) => entry.key.slice(prefix.length));
    // What is half done is settled by reading it: few keys, those being written just now.
    for (const key of unsettled) {
      const state = await read(key, left);
      if (state.value !== null) ids.push(key.slice(prefix.length));
    }
    return ids;
  }

  /** See `WatchableRegisters.heads`. */
  async heads(bucket: string, timeoutMs: number): Promise<Head[]> {
    const prefix = `${bucket}/`;
    const { settled, unsettled } = await this.#enumerate(prefix, timeoutMs);
    const nowMs = this.#setup.nowMs();
    const heads = settled
      .filter(({ until }) => until > nowMs)
      .map(({ key, accepted }) => ({ id: key.slice(prefix.length), mark: formatBallot(accepted) }));
    return [...heads, ...unsettled.map((key) => ({ id: key.slice(prefix.length), mark: null }))];
  }

  async #enumerate(
    prefix: string,
    timeoutMs: number,
  ): Promise<Extract<EnumerationOutcome, { readonly kind: 'complete' }>> {
    const { refusal, deadline, track, operations } = this.#setup;
    const reason = refusal(timeoutMs);
    if (reason !== null) throw reason;
    const left = deadline(timeoutMs);
    await this.#foundWithin(timeoutMs);
    return track(operations.enumerate(prefix, left.timeoutMs));
  }

  async #foundWithin(timeoutMs: number): Promise<void> {
    const { runtime, isFound, refusal, noQuorum } = this.#setup;
    await waitWhile(runtime, () => !isFound() && refusal() === null, timeoutMs);
    if (!isFound()) throw refusal() ?? noQuorum();
  }
}
