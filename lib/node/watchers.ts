import { type Ballot, type Commit, compareBallots } from '../paxos/index.js';
import type { CommitEvent } from './registers.js';

type Listener = (event: CommitEvent) => void;

/**
 * How long it is remembered at least what was told. Word of a change waits half a second for a datagram to ride with, and
 * may be of something that is gone by then; who has missed a change fetches it within a few comparisons.
 */
const MEMORY_MS = 15_000;
/** Keys remembered, twice at most: of more the eldest are forgotten early. */
const MAX_REMEMBERED = 20_000;

/**
 * Who wants to hear of commits, by bucket.
 *
 * Each node tells the others what its changes have done, once, and not in one order with what others do: a change may be
 * heard of after one that came on top of it. So that the last word on a key is of its latest change, what is below that is
 * not told any more.
 */
export class Watchers {
  readonly #monotonicMs: () => number;
  readonly #listeners = new Map<string, Set<Listener>>();
  /** The highest ballot told of each key, of this period and the one before. */
  #told = new Map<string, Ballot>();
  #toldBefore = new Map<string, Ballot>();
  #sinceMs = Number.NEGATIVE_INFINITY;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** @returns ends it */
  add(bucket: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(bucket) ?? new Set();
    this.#listeners.set(bucket, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(bucket) === listeners) this.#listeners.delete(bucket);
    };
  }

  tell({ key, ballot, effect, operation }: Commit, isOwn: boolean): void {
    if (effect !== 'changed' && effect !== 'removed') return;
    const slash = key.indexOf('/');
    const listeners = this.#listeners.get(key.slice(0, slash));
    if (listeners === undefined || !this.#isNews(key, ballot)) return;
    const event: CommitEvent = { id: key.slice(slash + 1), effect, operation, isOwn };
    for (const listener of [...listeners]) listener(event);
  }

  clear(): void {
    this.#listeners.clear();
    this.#told.clear();
    this.#toldBefore.clear();
  }

  #isNews(key: string, ballot: Ballot): boolean {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#sinceMs >= MEMORY_MS || this.#told.size >= MAX_REMEMBERED) {
      // What was not looked at for two periods is gone with the older of them.
      this.#toldBefore = nowMs - this.#sinceMs < 2 * MEMORY_MS ? this.#told : new Map();
      this.#told = new Map();
      this.#sinceMs = nowMs;
    }
    const told = this.#told.get(key) ?? this.#toldBefore.get(key);
    if (told !== undefined && compareBallots(ballot, told) <= 0) return false;
    this.#told.set(key, ballot);
    return true;
  }
}
