import {
  type AcceptorAnswer,
  type Answerer,
  type Commit,
  Comparison,
  type ComparisonOutcome,
  type Copy,
  type Electorate,
  type EnumeratedKey,
  type Instant,
  MAX_COPY_AGE_MS,
  type Outgoing,
  roundTimeMs,
} from '../paxos/index.js';
import type { Voter } from './voter.js';

export interface RepairerSetup {
  readonly voter: Voter;
  now(): Instant;
  /** `null` while this process takes no part. */
  electorate(): Electorate | null;
  /** Slots of other processes that vote and were heard of late. */
  votersHeard(): readonly number[];
  nextRequest(): number;
  retransmitMs(): number;
  transmit(outgoing: Outgoing): void;
  /** Something that this process had missed is known to be chosen. */
  learned(commit: Commit): void;
  /** In 0..1. */
  random(): number;
}

/** Counters only rise. */
export interface RepairCounters {
  /** Comparisons with another voter that were answered. */
  comparisons: number;
  /** Records taken over from another voter. */
  copied: number;
  /** Values held already, of which this process had not heard that they are chosen. */
  committed: number;
}

/** Ms from one comparison to the next. */
const INTERVAL_MS = 5000;
/** Ms until the next one if there is more to do: so a voter that was away catches up without holding up the others. */
const MORE_MS = 200;
const DEADLINE_MS = 5000;
/** What was written in the last second may be on its way. */
const YOUNG_MS = 1000;

/**
 * Has this process's acceptor catch up with the others in what it has missed, without any client doing anything
 * (docs/protocol.md, "Repair"). It is no part of what makes the registers safe: every answer counts on a majority.
 */
export class Repairer {
  readonly #setup: RepairerSetup;
  readonly counters: RepairCounters = { comparisons: 0, copied: 0, committed: 0 };
  #exchange: Comparison | null = null;
  #slot = 0;
  #beganMs = 0;
  /** By slot: where the next comparison with it begins. */
  readonly #firstShards = new Map<number, number>();
  /** Whether the voter compared with last has more to give. */
  #hasMore = false;
  #nextMs: number | null = null;

  constructor(setup: RepairerSetup) {
    this.#setup = setup;
  }

  tick(): void {
    const { voter } = this.#setup;
    const now = this.#setup.now();
    if (this.#exchange !== null) {
      this.#follow(this.#exchange, this.#exchange.tick(now));
      return;
    }
    this.#nextMs ??= now.monotonicMs + this.#setup.random() * INTERVAL_MS;
    if (now.monotonicMs < this.#nextMs || !voter.isVoting || !now.isTrusted) return;
    this.#begin(now);
  }

  /** @returns whether the answer was to one of its questions */
  receive(from: Answerer, answer: AcceptorAnswer): boolean {
    const exchange = this.#exchange;
    if (exchange === null || answer.request !== exchange.request) return false;
    this.#follow(exchange, exchange.receive(from, answer, this.#setup.now()));
    return true;
  }

  /** Forgets what is under way, as when the farm changes. */
  abort(): void {
    this.#exchange = null;
    this.#nextMs = null;
  }

  #begin(now: Instant): void {
    const { voter } = this.#setup;
    const electorate = this.#setup.electorate();
    const slot = this.#nextSlot();
    if (electorate === null || slot === null) {
      this.#nextMs = now.monotonicMs + INTERVAL_MS;
      return;
    }
    const exchange = new Comparison({
      request: this.#setup.nextRequest(),
      electorate,
      deadlineMs: now.monotonicMs + DEADLINE_MS,
      retransmitMs: this.#setup.retransmitMs(),
      slot,
      digests: voter.digests,
      firstShard: this.#firstShards.get(slot) ?? 0,
      lacks: (entry, at) => (isYoung(entry, at) ? 'nothing' : voter.lacks(entry, at)),
    });
    this.#slot = slot;
    this.#beganMs = now.monotonicMs;
    this.#exchange = exchange;
    this.#follow(exchange, exchange.start(now));
  }

  /** The same again while it has more to give, else one after the other. */
  #nextSlot(): number | null {
    const slots = [...this.#setup.votersHeard()].sort((a, b) => a - b);
    if (this.#hasMore && slots.includes(this.#slot)) return this.#slot;
    return slots.find((slot) => slot > this.#slot) ?? slots[0] ?? null;
  }

  #follow(exchange: Comparison, outgoing: Outgoing | null): void {
    if (outgoing !== null) this.#setup.transmit(outgoing);
    const { outcome } = exchange;
    if (outcome === null || this.#exchange !== exchange) return;
    this.#exchange = null;
    this.#apply(outcome);
  }

  #apply({ copies, words, nextShard }: ComparisonOutcome): void {
    const now = this.#setup.now();
    this.counters.comparisons += 1;
    // After a pause of this process what has replaced them may be forgotten.
    const isFresh = now.monotonicMs - this.#beganMs < MAX_COPY_AGE_MS;
    if (isFresh) for (const copy of copies) this.#install(copy, now);
    for (const word of words) this.#commit(word);
    this.#firstShards.set(this.#slot, nextShard ?? 0);
    // What differs may do so for good: values that are half done have no copies.
    this.#hasMore = nextShard !== null && copies.length + words.length > 0;
    this.#nextMs = now.monotonicMs + (this.#hasMore ? MORE_MS : INTERVAL_MS) * (0.8 + 0.4 * this.#setup.random());
  }

  #install(copy: Copy, now: Instant): void {
    if (!this.#setup.voter.install(copy, now)) return;
    this.counters.copied += 1;
    const { key, proposal } = copy;
    const effect = proposal.value === null ? 'removed' : 'changed';
    this.#setup.learned({ type: 'commit', key, ballot: proposal.accepted, operation: proposal.operation, effect });
  }

  #commit({ key, accepted, operation, until }: EnumeratedKey): void {
    const effect = until === 0 ? 'removed' : 'changed';
    const commit: Commit = { type: 'commit', key, ballot: accepted, operation, effect };
    if (!this.#setup.voter.commit(commit)) return;
    this.counters.committed += 1;
    this.#setup.learned(commit);
  }
}

function isYoung({ accepted }: EnumeratedKey, now: Instant): boolean {
  return roundTimeMs(accepted.round) > now.wallMs - YOUNG_MS;
}
