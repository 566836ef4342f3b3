import { compareBallots } from './ballot.js';
import { BoundedExchange, type ExchangeSetup, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Enumerated, EnumeratedKey } from './messages.js';
import { type Answerer, isQuorum, Tally } from './quorum.js';
import { SHARDS, shardOf } from './table.js';

/** What one enumeration is given. */
export interface EnumerationSetup extends ExchangeSetup {
  /** Keys that start with this are meant; empty for all. */
  readonly prefix: string;
}

/** What an enumeration comes to. */
export type EnumerationOutcome =
  /** All shards have been looked at; at more than {@link MAX_ENUMERATED} keys it ends before. */
  | {
      readonly kind: 'complete';
      /** Keys whose chosen value is known; `until` 0 for a tombstone. */
      readonly settled: readonly EnumeratedKey[];
      /** Keys that only a read can tell about. */
      readonly unsettled: readonly string[];
    }
  /** Time was up. */
  | { readonly kind: 'no-quorum' };

/** Keys that one enumeration gathers at most, over the whole farm. */
export const MAX_ENUMERATED = 5_000_000;

/**
 * The union of what a majority of acceptors hold, page by page. A key written before it began is in it, if not removed
 * since; one written meanwhile may be. It is no snapshot: shards are read one after the other.
 */
export class Enumeration extends BoundedExchange<EnumerationOutcome> {
  readonly #setup: EnumerationSetup;
  readonly #settled: EnumeratedKey[] = [];
  readonly #unsettled: string[] = [];
  #shard = 0;
  #pages: Tally<Enumerated>;

  constructor(setup: EnumerationSetup) {
    super(setup);
    this.#setup = setup;
    this.#pages = new Tally(setup.electorate);
  }

  /** Pages take their time to make: they would spoil the measurement of round trips. */
  override get sentAtMs(): null {
    return null;
  }

  start(now: Instant): Outgoing | null {
    if (this.isPast(now)) return null;
    this.retransmission.first(now.monotonicMs);
    return this.#question(null);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isPast(now) || now.monotonicMs < this.wakeAtMs) return null;
    this.retransmission.again(now.monotonicMs);
    return this.#question(this.#pages.missing);
  }

  restart(now: Instant): Outgoing | null {
    // Pages before this one are each a majority's.
    this.#pages = new Tally(this.#setup.electorate);
    return this.start(now);
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isPast(now)) return null;
    if (answer.type !== 'enumerated' || answer.shard !== this.#shard || answer.nextShard <= answer.shard) return null;
    if (!this.#pages.add(from, answer) || !this.#pages.isQuorum) return null;
    const pages = [...this.#pages.entries];
    // Pages end where they are full; only what all of them cover is known from a majority.
    const next = Math.min(...pages.map(([, page]) => page.nextShard));
    this.#merge(pages, next);
    this.#shard = next;
    if (next >= SHARDS || this.#settled.length + this.#unsettled.length > MAX_ENUMERATED) {
      return this.end({ kind: 'complete', settled: this.#settled, unsettled: this.#unsettled });
    }
    this.#pages = new Tally(this.#setup.electorate);
    this.retransmission.first(now.monotonicMs);
    return this.#question(null);
  }

  #merge(pages: readonly (readonly [number, Enumerated])[], nextShard: number): void {
    const highest = new Map<string, Gathered>();
    for (const [slot, { keys }] of pages) {
      for (const entry of keys) {
        if (shardOf(entry.key) < nextShard && entry.key.startsWith(this.#setup.prefix)) gather(highest, slot, entry);
      }
    }
    const { sizes } = this.#setup.electorate;
    for (const { entry, votes, committed } of highest.values()) {
      if (committed || isQuorum(sizes, votes)) this.#settled.push(entry);
      else this.#unsettled.push(entry.key);
    }
  }

  #question(slots: readonly number[] | null): Outgoing {
    const { prefix } = this.#setup;
    return { message: { type: 'enumerate', request: this.request, prefix, shard: this.#shard }, slots };
  }

  protected expire(): EnumerationOutcome {
    return { kind: 'no-quorum' };
  }
}

/** The highest of what the pages tell of one key. */
interface Gathered {
  readonly entry: EnumeratedKey;
  /** Slots that hold it. */
  readonly votes: number[];
  committed: boolean;
}

function gather(highest: Map<string, Gathered>, slot: number, entry: EnumeratedKey): void {
  const known = highest.get(entry.key);
  const order = known === undefined ? 1 : compareBallots(entry.accepted, known.entry.accepted);
  if (order < 0) return;
  const votes = entry.isCopy === true ? [] : [slot];
  if (known === undefined || order > 0) {
    highest.set(entry.key, { entry, votes, committed: entry.committed });
  } else {
    known.votes.push(...votes);
    known.committed ||= entry.committed;
  }
}
