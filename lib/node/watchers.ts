import type { Commit } from '../paxos/index.js';
import type { CommitEvent } from './registers.js';

type Listener = (event: CommitEvent) => void;

/** Who wants to hear of commits, by bucket. */
export class Watchers {
  readonly #listeners = new Map<string, Set<Listener>>();

  /** @returns ends it */
  add(bucket: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(bucket) ?? new Set();
    this.#listeners.set(bucket, listeners);
    listeners.add(listener);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0) this.#listeners.delete(bucket);
    };
  }

  tell({ key, effect, operation }: Commit, isOwn: boolean): void {
    if (effect !== 'changed' && effect !== 'removed') return;
    const slash = key.indexOf('/');
    const listeners = this.#listeners.get(key.slice(0, slash));
    if (listeners === undefined) return;
    const event: CommitEvent = { id: key.slice(slash + 1), effect, operation, isOwn };
    for (const listener of [...listeners]) listener(event);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
