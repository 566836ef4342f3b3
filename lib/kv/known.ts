import type { Head } from '../node/registers.js';
import type { Subscriber, Subscribers } from './subscribers.js';

/** Of a key that is not there; and of one whose state can't be read. */
export const ABSENT = 'absent';
export const UNREADABLE = 'unreadable';

/** A key that is there, and that somebody watches. */
interface Known<H> {
  /** As the latest look at all keys had it. */
  head: string | null;
  /** The state that was read; `null`: it is only known that the key was there when those who watch it began. */
  readonly mark: string | null;
  /** Who has been told of that state; `null`: all, or it was there when they began. */
  readonly told: ReadonlySet<Subscriber<H>> | null;
}

/** A key that was read. */
export interface Finding<H> {
  /** Tells its state from those that followed or preceded it. */
  readonly mark: string;
  /** Whether it was read because it seemed to have changed. */
  readonly isHeardOf: boolean;
  /** For whom it was read, whether it has changed or not. */
  readonly owing: ReadonlySet<Subscriber<H>>;
}

/**
 * What those who watch know of the keys that are there: by it news are told from what they know. Those who have begun know
 * of all other keys that they are absent.
 */
export class KnownKeys<H> {
  readonly #subscribers: Subscribers<H>;
  readonly #known = new Map<string, Known<H>>();

  constructor(subscribers: Subscribers<H>) {
    this.#subscribers = subscribers;
  }

  get ids(): string[] {
    return [...this.#known.keys()];
  }

  forget(id: string): void {
    this.#known.delete(id);
  }

  /** @returns those to whom it is news, or who are told in any case */
  found(id: string, { mark, isHeardOf, owing }: Finding<H>): Subscriber<H>[] {
    const watchers = this.#subscribers.of(id);
    const known = this.#known.get(id);
    const before = known === undefined ? ABSENT : known.mark;
    // Where it was only known to be there: it may have changed since, or not.
    const told = known?.mark === null ? new Set<Subscriber<H>>() : (known?.told ?? null);
    const isOther = before === null ? mark === ABSENT : before !== mark;
    const isNewsTo = (each: Subscriber<H>): boolean => isOther || (isHeardOf && told?.has(each) === false);
    const isToldToAll = isOther || isHeardOf || told === null;
    this.#learn(id, mark, isToldToAll ? null : new Set([...told, ...owing]), watchers);
    return watchers.filter((each) => {
      if (owing.has(each)) return each.wantsInitial && mark !== ABSENT;
      return this.#subscribers.hasBegun(each) && isNewsTo(each);
    });
  }

  #learn(id: string, mark: string, told: Set<Subscriber<H>> | null, watchers: readonly Subscriber<H>[]): void {
    if (mark === ABSENT || watchers.length === 0) {
      this.#known.delete(id);
      return;
    }
    const isMissing = watchers.some((each) => told?.has(each) === false && this.#subscribers.hasBegun(each));
    this.#known.set(id, { head: this.#known.get(id)?.head ?? null, mark, told: isMissing ? told : null });
  }

  /**
   * @param heads of all keys that are there
   * @returns keys that may have changed
   */
  compare(heads: readonly Head[]): string[] {
    const changed: string[] = [];
    const there = new Set<string>();
    for (const { id, mark } of heads) {
      const watchers = this.#subscribers.of(id);
      if (watchers.length === 0) continue;
      there.add(id);
      const known = this.#known.get(id);
      // What nobody has watched until now is there; so much is known, unless it is half done.
      const isFirst =
        known === undefined && mark !== null && !watchers.some((each) => this.#subscribers.hasBegun(each));
      if (isFirst) this.#known.set(id, { head: mark, mark: null, told: null });
      else if (known === undefined || mark === null || known.head !== mark) changed.push(id);
      if (known !== undefined) known.head = mark;
    }
    return [...changed, ...this.ids.filter((id) => !there.has(id))];
  }
}
