import debugging from 'debug';
import { type Config, stageOf } from '../membership/index.js';
import { type Instant, MAX_COPY_AGE_MS, type Tombstone } from '../paxos/index.js';
import type { Operations } from './operations.js';
import type { Voter } from './voter.js';

const debug = debugging('connect-paxos:node');

/** Half-done registers settled, and tombstones asked about, at a time. */
const MAX_SETTLING = 64;
/** Tombstones in hand: each is, from when it is first to be asked about until it is released. */
const MAX_IN_HAND = 10_000;
/** One that has not come up again for so long is in hand no more: something else was written under its key. */
const MAX_UNSEEN_MS = 600_000;

/** A tombstone of a value without an end, on its way to being released. */
interface Leaving {
  readonly tombstone: Tombstone;
  /** Monotonic ms at which all voters were first found past it; `null`: not yet. */
  pastSinceMs: number | null;
  /** Whether the voters are being asked. */
  isAsked: boolean;
  /** Monotonic ms at which it last came up. */
  seenMs: number;
}

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
  /** By tombstone. */
  readonly #inHand = new Map<string, Leaving>();
  /** Those of them that are to be asked about next, in their order. */
  readonly #due = new Set<Leaving>();
  #lookedMs = 0;

  constructor(setup: CollectorSetup) {
    this.#setup = setup;
  }

  tick(): void {
    const { voter, operations, timeoutMs } = this.#setup;
    const { unsettled, endless } = voter.collect(this.#setup.now());
    for (const key of unsettled.filter(isOfUsers)) this.#settle(key, () => operations.settle(key, timeoutMs));
    const config = this.#setup.config();
    // While the farm changes its size it is not certain who all voters are. And who is not heard would be asked in vain.
    if (config === null || stageOf(config) !== 'stable' || !this.#setup.isComplete()) {
      this.#due.clear();
      return;
    }
    const nowMs = this.#setup.now().monotonicMs;
    this.#dropUnseen(nowMs);
    for (const tombstone of endless) this.#take(tombstone, nowMs);
    for (const leaving of this.#due) {
      if (this.#settling >= MAX_SETTLING) return;
      this.#due.delete(leaving);
      this.#settle(leaving.tombstone.key, () => this.#release(leaving));
    }
  }

  /**
   * Many come up at once, and none again before others have: all that there is room for are kept until it is their turn.
   * Of more than that none is begun, or it would be its second question that finds no room.
   */
  #take(tombstone: Tombstone, nowMs: number): void {
    const name = nameOf(tombstone);
    const leaving = this.#inHand.get(name) ?? { tombstone, pastSinceMs: null, isAsked: false, seenMs: nowMs };
    if (!this.#inHand.has(name)) {
      if (this.#inHand.size >= MAX_IN_HAND) return;
      this.#inHand.set(name, leaving);
    }
    leaving.seenMs = nowMs;
    const { pastSinceMs, isAsked } = leaving;
    // What is being asked about may have to be asked about again, and not before its time.
    if (isAsked) return;
    if (pastSinceMs === null || nowMs - pastSinceMs > MAX_COPY_AGE_MS) this.#due.add(leaving);
  }

  #dropUnseen(nowMs: number): void {
    if (nowMs - this.#lookedMs < MAX_UNSEEN_MS / 10) return;
    this.#lookedMs = nowMs;
    for (const [name, leaving] of this.#inHand) {
      if (nowMs - leaving.seenMs > MAX_UNSEEN_MS && !this.#due.has(leaving)) this.#inHand.delete(name);
    }
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
   * from another one, which it would hold then as one that is chosen. So they are asked again when that has come to its
   * end: the second question begins so long after the last answer to the first.
   */
  async #release(leaving: Leaving): Promise<void> {
    const { voter, operations, timeoutMs } = this.#setup;
    const { tombstone, pastSinceMs } = leaving;
    leaving.isAsked = true;
    const arePast = await operations.arePast(tombstone.key, tombstone, timeoutMs).finally(() => {
      leaving.isAsked = false;
    });
    const now = this.#setup.now();
    if (arePast && pastSinceMs === null) {
      leaving.pastSinceMs = now.monotonicMs;
      return;
    }
    this.#inHand.delete(nameOf(tombstone));
    if (arePast) voter.release(tombstone, now);
  }
}

function nameOf({ key, operation }: Tombstone): string {
  return `${operation} ${key}`;
}

/** The farm's own registers, of a bucket without a name, are never over. */
function isOfUsers(key: string): boolean {
  return !key.startsWith('/');
}
