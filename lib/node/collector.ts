import debugging from 'debug';
import { type Config, stageOf } from '../membership/index.js';
import { type Instant, MAX_COPY_AGE_MS, type Tombstone } from '../paxos/index.js';
import type { Operations } from './operations.js';
import type { Voter } from './voter.js';

const debug = debugging('connect-paxos:node');

/** Half-done registers settled at a time. */
const MAX_SETTLING = 64;
/** Tombstones remembered that all voters were past once. */
const MAX_REMEMBERED = 10_000;

export interface CollectorSetup {
  readonly voter: Voter;
  readonly operations: Operations;
  /** Ms for each operation. */
  readonly timeoutMs: number;
  now(): Instant;
  /** `null` while there is no view. */
  config(): Config | null;
  /** Whether all voters are heard. */
  isComplete(): boolean;
  /** Has the operation driven until it is over. @returns it */
  track<T>(operation: Promise<T>): Promise<T>;
}

/**
 * Forgets what is over, and does what other voters have to agree to before more can go (docs/protocol.md, "Expiry and
 * forgetting").
 */
export class Collector {
  readonly #setup: CollectorSetup;
  #settling = 0;
  /** By tombstone: monotonic ms at which all voters were first past it. */
  readonly #pastSinceMs = new Map<string, number>();

  constructor(setup: CollectorSetup) {
    this.#setup = setup;
  }

  tick(): void {
    const { voter, operations, timeoutMs } = this.#setup;
    const { unsettled, endless, overtaken } = voter.collect(this.#setup.now());
    for (const key of unsettled.filter(isOfUsers)) this.#settle(key, () => operations.settle(key, timeoutMs));
    for (const key of overtaken.filter(isOfUsers)) this.#settle(key, () => operations.seal(key, timeoutMs));
    const config = this.#setup.config();
    // While the farm changes its size it is not certain who all voters are. And who is not heard would be asked in vain.
    if (config === null || stageOf(config) !== 'stable' || !this.#setup.isComplete()) return;
    for (const tombstone of endless) this.#settle(tombstone.key, () => this.#release(tombstone));
  }

  /** So many at a time: what can't be settled now comes up again at a later collection. */
  #settle(key: string, settle: () => Promise<unknown>): void {
    if (this.#settling >= MAX_SETTLING) return;
    this.#settling += 1;
    this.#setup
      .track(settle())
      .catch((error: unknown) => debug('settling %s failed: %s', key, error))
      .finally(() => {
        this.#settling -= 1;
      });
  }

  /**
   * When all voters have said so twice. A voter that holds nothing says so too; but it may just be copying the older value
   * from another one, which it would hold then as one that is chosen.
   */
  async #release(tombstone: Tombstone): Promise<void> {
    const { voter, operations, timeoutMs } = this.#setup;
    const name = `${tombstone.operation} ${tombstone.key}`;
    if (!(await operations.arePast(tombstone.key, tombstone, timeoutMs))) {
      this.#pastSinceMs.delete(name);
      return;
    }
    const now = this.#setup.now();
    const sinceMs = this.#pastSinceMs.get(name);
    if (sinceMs === undefined) this.#remember(name, now.monotonicMs);
    else if (now.monotonicMs - sinceMs > MAX_COPY_AGE_MS) {
      this.#pastSinceMs.delete(name);
      voter.release(tombstone, now);
    }
  }

  #remember(name: string, nowMs: number): void {
    const [oldest] = this.#pastSinceMs.keys();
    if (oldest !== undefined && this.#pastSinceMs.size >= MAX_REMEMBERED) this.#pastSinceMs.delete(oldest);
    this.#pastSinceMs.set(name, nowMs);
  }
}

/** The farm's own registers, of a bucket without a name, are never over. */
function isOfUsers(key: string): boolean {
  return !key.startsWith('/');
}
