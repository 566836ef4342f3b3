/** Which keys, by their ids. */
export type Scope = { readonly id: string } | { readonly prefix: string };

/** Somebody who is told of changes. */
export interface Subscriber<H> {
  readonly scope: Scope;
  /** Whether what is there when it begins is reported to it. */
  readonly wantsInitial: boolean;
  /** How many keys more it takes of those that could as well be read later. */
  room(): number;
  /** What is changed from now on is told. */
  begun(): void;
  /** @param look what the key holds; `null`: nothing. Throws where that can't be read. To be called when it is wanted, and once */
  tell(id: string, look: () => H | null): void;
}

/** Who watches which keys. */
export class Subscribers<H> {
  readonly #ofKeys = new Map<string, Set<Subscriber<H>>>();
  readonly #ofPrefixes = new Map<Subscriber<H>, string>();
  readonly #begun = new Set<Subscriber<H>>();

  add(subscriber: Subscriber<H>): void {
    const { scope } = subscriber;
    if ('prefix' in scope) {
      this.#ofPrefixes.set(subscriber, scope.prefix);
      return;
    }
    const others = this.#ofKeys.get(scope.id) ?? new Set();
    this.#ofKeys.set(scope.id, others.add(subscriber));
  }

  delete(subscriber: Subscriber<H>): void {
    const { scope } = subscriber;
    this.#begun.delete(subscriber);
    this.#ofPrefixes.delete(subscriber);
    if ('prefix' in scope) return;
    const others = this.#ofKeys.get(scope.id);
    others?.delete(subscriber);
    if (others?.size === 0) this.#ofKeys.delete(scope.id);
  }

  /** From now on it is told of changes. Once; not if it has ended before. */
  begin(subscriber: Subscriber<H>): void {
    if (this.#begun.has(subscriber) || !this.#isHere(subscriber)) return;
    this.#begun.add(subscriber);
    subscriber.begun();
  }

  hasBegun(subscriber: Subscriber<H>): boolean {
    return this.#begun.has(subscriber);
  }

  #isHere(subscriber: Subscriber<H>): boolean {
    const { scope } = subscriber;
    return 'prefix' in scope ? this.#ofPrefixes.has(subscriber) : this.#ofKeys.get(scope.id)?.has(subscriber) === true;
  }

  /** Those who watch that key. */
  of(id: string): Subscriber<H>[] {
    const subscribers = [...(this.#ofKeys.get(id) ?? [])];
    for (const [subscriber, prefix] of this.#ofPrefixes) if (id.startsWith(prefix)) subscribers.push(subscriber);
    return subscribers;
  }

  has(id: string): boolean {
    if (this.#ofKeys.has(id)) return true;
    for (const prefix of this.#ofPrefixes.values()) if (id.startsWith(prefix)) return true;
    return false;
  }

  /** Keys that are watched by themselves. */
  get ids(): string[] {
    return [...this.#ofKeys.keys()];
  }

  /** Those who watch more than a key. */
  get ofPrefixes(): Subscriber<H>[] {
    return [...this.#ofPrefixes.keys()];
  }

  get isEmpty(): boolean {
    return this.#ofKeys.size === 0 && this.#ofPrefixes.size === 0;
  }
}
