import type { Change, Entry, Key, PaxosKV, Watch } from '../../lib/kv/index.js';
import type { Random } from './random.js';
import type { Server } from './server.js';

/** What a watcher was told of a key last. */
interface Told {
  readonly kind: 'set' | 'removed';
  readonly revision: bigint;
  readonly version: string;
}

export interface WatchersSetup {
  readonly object: (what: string) => void;
  readonly count: (name: string) => void;
  /** The name by which the clients know a key. */
  readonly nameOf: (key: Key) => string;
  /** An entry was seen, by whatever way. */
  readonly seen: (name: string, entry: Entry<string>) => void;
}

/** One who watches some keys on one server, from a time on. */
export class Watcher {
  readonly server: Server;
  readonly #setup: WatchersSetup;
  readonly #label: string;
  readonly #target: Key | { readonly prefix: Key };
  readonly #isInitial: boolean;
  readonly #watch: Watch<Change<string>>;
  readonly #told = new Map<string, Told>();
  /** From when on it is told of all; infinite until then. */
  readyMs = Number.POSITIVE_INFINITY;
  hasEnded = false;

  constructor(
    setup: WatchersSetup,
    server: Server,
    kv: PaxosKV,
    target: Key | { readonly prefix: Key },
    random: Random,
  ) {
    this.#setup = setup;
    this.server = server;
    this.#target = target;
    this.#label = `${server.process.name} watching ${JSON.stringify(target)}`;
    this.#isInitial = random.chance(0.5);
    this.#watch = kv.watch<string>(target, { initial: this.#isInitial });
    this.#watch.ready().then(
      () => {
        this.readyMs = server.process.nowMs;
      },
      () => undefined,
    );
    void this.#consume(random.pick([0, 0, 0, 50, 700]));
  }

  end(): void {
    void this.#watch.return();
  }

  covers(key: Key): boolean {
    if (typeof this.#target === 'string' || !('prefix' in this.#target)) {
      return JSON.stringify(this.#target) === JSON.stringify(key);
    }
    const { prefix } = this.#target;
    if (typeof prefix === 'string') return typeof key === 'string' && key.startsWith(prefix);
    return typeof key !== 'string' && prefix.every((part, index) => part === key[index]);
  }

  /**
   * Whether it was told the latest of a key.
   *
   * @param writtenMs when the call was made that wrote what is there
   * @returns what is wrong, or `null`
   */
  lacks(name: string, entry: Entry<string> | null, writtenMs: number): string | null {
    const told = this.#told.get(name);
    const words = told === undefined ? 'nothing' : `${told.kind} ${told.version}`;
    if (entry === null)
      return told?.kind === 'set' ? `${this.#label} was told ${words} of ${name}, which is gone` : null;
    if (told === undefined) {
      const isOwed = this.#isInitial || writtenMs > this.readyMs;
      return isOwed ? `${this.#label} was told nothing of ${name}, which has version ${entry.version}` : null;
    }
    if (told.kind === 'set' && told.version === entry.version) return null;
    return `${this.#label} was told ${words} of ${name}, which has version ${entry.version}`;
  }

  async #consume(pauseMs: number): Promise<void> {
    try {
      for await (const change of this.#watch) {
        this.#take(change);
        if (pauseMs > 0) await this.server.sleep(pauseMs);
      }
    } catch (error) {
      this.#setup.object(`${this.#label} failed: ${String(error)}`);
    }
    this.hasEnded = true;
  }

  #take({ kind, key, entry }: Change<string>): void {
    const name = this.#setup.nameOf(key);
    const before = this.#told.get(name);
    this.#setup.count(`watch: ${kind}`);
    if (!this.covers(key)) this.#setup.object(`${this.#label} was told of ${name}`);
    if ((kind === 'set') !== (entry !== null))
      this.#setup.object(`${this.#label} was told ${kind} of ${name}, and not what`);
    if (entry === null) {
      this.#told.set(name, { kind, revision: before?.revision ?? -1n, version: '' });
      return;
    }
    this.#setup.seen(name, entry);
    const { revision, version, created } = entry;
    if (before !== undefined && revision < before.revision) {
      this.#setup.object(`${this.#label}: ${name} goes back from revision ${before.revision} to ${revision}`);
    }
    if (before?.kind === 'removed' && created <= before.revision) {
      this.#setup.object(`${this.#label}: ${name} comes back after it was removed, created ${created}`);
    }
    this.#told.set(name, { kind, revision, version });
  }
}
