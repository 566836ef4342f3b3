import type { Lack } from './acceptor.js';
import { BoundedExchange, type ExchangeSetup, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import { type AcceptorAnswer, type AcceptorRequest, type Copy, type EnumeratedKey, MAX_PULLED } from './messages.js';
import type { Answerer } from './quorum.js';
import { SHARDS, shardOf } from './table.js';

/** What one comparison is given. */
export interface ComparisonSetup extends ExchangeSetup {
  /** Slot of the acceptor to compare with. */
  readonly slot: number;
  /** This process's own: `Acceptor.digests`. */
  readonly digests: Uint8Array;
  /** Where to begin, 0..255, if more shards differ than one comparison looks at. */
  readonly firstShard: number;
  /** What this process lacks of a value that the other one holds: `Acceptor.lacks`. */
  readonly lacks: (entry: EnumeratedKey, now: Instant) => Lack;
}

/** What another acceptor knows to be chosen, and this process did not. */
export interface ComparisonOutcome {
  /** For `Acceptor.install`. */
  readonly copies: readonly Copy[];
  /** Values held here already, and chosen: for `Acceptor.commit`. */
  readonly words: readonly EnumeratedKey[];
  /** Where to go on; `null` if all that differs has been looked at. */
  readonly nextShard: number | null;
}

/** Shards that one comparison looks at. */
const MAX_SHARDS = 16;
/** Records that one comparison asks for. */
const MAX_KEYS = 512;

/**
 * Compares this process's acceptor with another one's, and fetches what it lacks: digests of all shards first, then the
 * keys of those that differ, then the records themselves. Of what is written in the same moment the digests differ
 * too; it costs a list of keys. What it gives may be taken over for as long as copies may be old (`MAX_COPY_AGE_MS`): what
 * is chosen is so under every vector, so it need not be begun anew when who votes changes.
 */
export class Comparison extends BoundedExchange<ComparisonOutcome> {
  readonly #setup: ComparisonSetup;
  #question: AcceptorRequest;
  /** Shards to be listed, in the order of their numbers. */
  #shards: number[] | null = null;
  /** Keys to be pulled. */
  #keys: string[] = [];
  readonly #copies: Copy[] = [];
  readonly #words: EnumeratedKey[] = [];
  #nextShard: number | null = null;

  constructor(setup: ComparisonSetup) {
    super(setup);
    this.#setup = setup;
    this.#question = { type: 'compare', request: this.request, digests: setup.digests };
  }

  /** The other side has more to do than for one register: it would spoil the measurement of round trips. */
  override get sentAtMs(): null {
    return null;
  }

  start(now: Instant): Outgoing | null {
    return this.isPast(now) ? null : this.#ask(this.#question, now);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isPast(now) || now.monotonicMs < this.wakeAtMs) return null;
    this.retransmission.again(now.monotonicMs);
    return { message: this.#question, slots: [this.#setup.slot] };
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isPast(now) || from.slot !== this.#setup.slot || !this.#setup.electorate.isVoter(from)) return null;
    const question = this.#question;
    if (question.type === 'compare' && answer.type === 'differs') {
      this.#choose(answer.shards);
    } else if (question.type === 'enumerate' && answer.type === 'enumerated' && answer.shard === question.shard) {
      this.#sift(answer.keys, answer.nextShard, now);
    } else if (question.type === 'pull' && answer.type === 'pulled' && answer.first === question.keys[0]) {
      if (answer.looked === 0) return null;
      this.#copies.push(...answer.copies);
      this.#keys.splice(0, answer.looked);
    } else {
      return null;
    }
    return this.#goOn(now);
  }

  #choose(shards: readonly number[]): void {
    const { firstShard } = this.#setup;
    const sorted = [...new Set(shards)].sort((a, b) => a - b);
    const ahead = sorted.filter((shard) => shard >= firstShard);
    const from = ahead.length > 0 ? ahead : sorted;
    this.#shards = from.slice(0, MAX_SHARDS);
    const last = this.#shards.at(-1);
    const isAll =
      from === sorted ? from.length <= MAX_SHARDS : from.length <= MAX_SHARDS && ahead.length === sorted.length;
    this.#nextShard = last === undefined || isAll ? null : (last + 1) % SHARDS;
  }

  #sift(keys: readonly EnumeratedKey[], nextShard: number, now: Instant): void {
    const wanted = new Set(this.#shards);
    for (const entry of keys) {
      if (!wanted.has(shardOf(entry.key))) continue;
      const lack = this.#setup.lacks(entry, now);
      if (lack === 'word') this.#words.push(entry);
      else if (lack === 'record') this.#keys.push(entry.key);
    }
    const left = (this.#shards ?? []).filter((shard) => shard >= nextShard);
    const isFull = this.#keys.length + this.#words.length >= MAX_KEYS;
    if (isFull && left.length > 0) this.#nextShard = left[0] ?? null;
    this.#shards = isFull ? [] : left;
  }

  #goOn(now: Instant): Outgoing | null {
    const [shard] = this.#shards ?? [];
    if (shard !== undefined) return this.#ask({ type: 'enumerate', request: this.request, prefix: '', shard }, now);
    if (this.#keys.length === 0) return this.end(this.#result);
    return this.#ask({ type: 'pull', request: this.request, keys: this.#keys.slice(0, MAX_PULLED) }, now);
  }

  #ask(question: AcceptorRequest, now: Instant): Outgoing {
    this.#question = question;
    this.retransmission.first(now.monotonicMs);
    return { message: question, slots: [this.#setup.slot] };
  }

  get #result(): ComparisonOutcome {
    return { copies: this.#copies, words: this.#words, nextShard: this.#nextShard };
  }

  /** What came in is of use all the same. */
  protected expire(): ComparisonOutcome {
    return this.#result;
  }
}
