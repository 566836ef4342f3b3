import debugging from 'debug';
import { type Config, stageOf } from '../membership/index.js';
import type { Instant, Tombstone } from '../paxos/index.js';
import type { Operations } from './operations.js';
import type { Voter } from './voter.js';

const debug = debugging('connect-paxos:node');

/** Half-done registers settled at a time. */
const MAX_SETTLING = 64;

export interface CollectorSetup {
  readonly voter: Voter;
  readonly operations: Operations;
  /** Ms for each operation. */
  readonly timeoutMs: number;
  now(): Instant;
  /** `null` while there is no view. */
  config(): Config | null;
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

  constructor(setup: CollectorSetup) {
    this.#setup = setup;
  }

  tick(): void {
    const { voter, operations, timeoutMs } = this.#setup;
    const { unsettled, endless, overtaken } = voter.collect(this.#setup.now());
    for (const key of unsettled.filter(isOfUsers)) this.#settle(key, () => operations.settle(key, timeoutMs));
    for (const key of overtaken.filter(isOfUsers)) this.#settle(key, () => operations.seal(key, timeoutMs));
    const config = this.#setup.config();
    // While the farm changes its size it is not certain who all voters are.
    if (config === null || stageOf(config) !== 'stable') return;
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

  async #release(tombstone: Tombstone): Promise<void> {
    const { voter, operations, timeoutMs } = this.#setup;
    if (await operations.arePast(tombstone.key, tombstone, timeoutMs)) voter.release(tombstone, this.#setup.now());
  }
}

/** The farm's own registers, of a bucket without a name, are never over. */
function isOfUsers(key: string): boolean {
  return !key.startsWith('/');
}
