import { type Ballot, NO_BALLOT } from './ballot.js';
import { BoundedExchange, type ExchangeSetup, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Kept, Transferred } from './messages.js';
import type { Answerer } from './quorum.js';
import { SHARDS } from './table.js';

/** What one transfer is given. It has no deadline: whoever began it may drop it. */
export interface RecordTransferSetup extends Omit<ExchangeSetup, 'deadlineMs'> {
  /** Slot of the acceptor to read from; 0 for one that holds none any more. */
  readonly slot: number;
  /** Whether that process is the one to read from. */
  readonly isSource: (from: Answerer) => boolean;
  /** Takes what a page brings: `Acceptor.absorb` for each, or a collection to be absorbed at the end. */
  readonly absorb: (records: readonly Kept[], now: Instant) => void;
}

/** What a transfer comes to, when all records have been absorbed. */
export interface TransferOutcome {
  /** That acceptor's, as it was after the last record had been read: for `Acceptor.raiseFloor`. */
  readonly floor: Ballot;
}

/**
 * Reads all records of one acceptor, page by page, from the first shard to the last: what was promised only, too (Michael,
 * Ports, Sharma, Szekeres, *Recovering Shared Objects Without Stable Storage*, section 4.3). One page is asked for at a
 * time, and the next one once it has been absorbed, which costs more than making it does: so the other side has most of its
 * time for others. A pause by a timer would take longer than a page. It goes on for as long as it takes: what has been read
 * needs no second reading.
 * But all pages, of all sources, are read while the same processes vote: if that changes, whoever recovers begins anew.
 */
export class RecordTransfer extends BoundedExchange<TransferOutcome> {
  readonly #setup: RecordTransferSetup;
  #shard = 0;
  #after = '';
  #heardAtMs = 0;

  constructor(setup: RecordTransferSetup) {
    super({ ...setup, deadlineMs: Number.POSITIVE_INFINITY });
    this.#setup = setup;
  }

  /** That of the setup. */
  get slot(): number {
    return this.#setup.slot;
  }

  /** How much of it is done, 0..1. */
  get share(): number {
    return this.isOver ? 1 : this.#shard / SHARDS;
  }

  /** Monotonic ms at which it began, or the last page came. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** A page takes its time to make: it would spoil the measurement of round trips. */
  override get sentAtMs(): null {
    return null;
  }

  start(now: Instant): Outgoing | null {
    this.#heardAtMs = now.monotonicMs;
    return this.#ask(now);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isOver || now.monotonicMs < this.wakeAtMs) return null;
    this.retransmission.again(now.monotonicMs);
    return this.#question;
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isOver || answer.type !== 'transferred') return null;
    if (!this.#setup.isSource(from) || !this.#isAwaited(answer)) return null;
    this.#setup.absorb(answer.records, now);
    this.#heardAtMs = now.monotonicMs;
    this.#shard = answer.nextShard;
    this.#after = answer.nextAfter;
    if (this.#shard >= SHARDS) return this.end({ floor: answer.floor });
    return this.#ask(now);
  }

  #isAwaited({ shard, after, nextShard, nextAfter }: Transferred): boolean {
    if (shard !== this.#shard || after !== this.#after) return false;
    return nextShard > shard || (nextShard === shard && nextAfter !== after);
  }

  #ask(now: Instant): Outgoing {
    this.retransmission.first(now.monotonicMs);
    return this.#question;
  }

  get #question(): Outgoing {
    const { slot } = this.#setup;
    const { request } = this;
    return { message: { type: 'transfer', request, shard: this.#shard, after: this.#after }, slots: [slot] };
  }

  /** It has no deadline. */
  protected expire(): TransferOutcome {
    return { floor: NO_BALLOT };
  }
}
