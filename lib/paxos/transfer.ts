import { type Ballot, NO_BALLOT } from './ballot.js';
import { BoundedExchange, type ExchangeSetup, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Kept, KeptName, Named, Transfer, Transferred } from './messages.js';
import type { Answerer } from './quorum.js';
import { SHARDS, shardOf } from './table.js';

/** What one transfer is given. It has no deadline: whoever began it may drop it. */
export interface RecordTransferSetup extends Omit<ExchangeSetup, 'deadlineMs'> {
  /** Slot of the acceptor to read from; 0 for one that holds none any more. */
  readonly slot: number;
  /** Whether that process is the one to read from. */
  readonly isSource: (from: Answerer) => boolean;
  /** Takes what a page brings: `Acceptor.absorb` for each, or a collection to be absorbed at the end. */
  readonly absorb: (records: readonly Kept[], now: Instant) => void;
  /**
   * Takes one record of which the value was named only; `false` if the value has to be read: see `Acceptor.absorbName`. Left
   * out: all values are read.
   */
  readonly absorbName?: (record: KeptName, now: Instant) => boolean;
  /**
   * The shards below that hold most of what this one will bring already, so it reads no further than that, and names first;
   * `null` if there is nothing to wait for: it reads whole records. Asked before each question. Left out: `null`.
   */
  readonly ahead?: (now: Instant) => number | null;
  /** Whether it reads what a process kept that held the slot before: see `Transfer.isOfLegacy`. Left out: it does not. */
  readonly isOfLegacy?: boolean;
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
 *
 * Acceptors of one farm hold nearly the same values. So of all but the first only names are read, and behind it; where
 * one names a value that is not held yet, the records from there on are read whole, and then names again.
 */
export class RecordTransfer extends BoundedExchange<TransferOutcome> {
  readonly #setup: RecordTransferSetup;
  #shard = 0;
  #after = '';
  #heardAtMs = 0;
  /** Whether the next page has to bring values. */
  #isValueMissing = false;
  /** What is asked; `null` while it waits for others. */
  #question: Transfer | null = null;

  constructor(setup: RecordTransferSetup) {
    super({ ...setup, deadlineMs: Number.POSITIVE_INFINITY });
    this.#setup = setup;
  }

  /** That of the setup. */
  get slot(): number {
    return this.#setup.slot;
  }

  /** The first shard that has not been read to its end. */
  get shard(): number {
    return this.#shard;
  }

  /** How much of it is done, 0..1. */
  get share(): number {
    return this.isOver ? 1 : this.#shard / SHARDS;
  }

  /** Monotonic ms at which it began, or the last page came; it has been heard for as long as it asks nothing. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  /** A page takes its time to make: it would spoil the measurement of round trips. */
  override get sentAtMs(): null {
    return null;
  }

  start(now: Instant): Outgoing | null {
    return this.#ask(now);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isOver) return null;
    if (this.#question === null) return this.#ask(now);
    if (now.monotonicMs < this.wakeAtMs) return null;
    this.retransmission.again(now.monotonicMs);
    return this.#outgoing(this.#question);
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isOver || (answer.type !== 'transferred' && answer.type !== 'named')) return null;
    if (!this.#setup.isSource(from) || !this.#isAwaited(answer)) return null;
    this.#shard = answer.nextShard;
    this.#after = answer.nextAfter;
    if (answer.type === 'transferred') {
      this.#isValueMissing = false;
      this.#setup.absorb(answer.records, now);
    } else {
      this.#absorbNames(answer, now);
    }
    if (this.#shard >= SHARDS) return this.end({ floor: answer.floor });
    return this.#ask(now);
  }

  #isAwaited(answer: Transferred | Named): boolean {
    if (this.#question === null || (answer.type === 'named' && this.#question.isByName !== true)) return false;
    const { shard, after, nextShard, nextAfter } = answer;
    if (shard !== this.#shard || after !== this.#after) return false;
    return nextShard > shard || (nextShard === shard && nextAfter !== after);
  }

  /** As far as the values named are held, and by then should be. From there on it is asked again. */
  #absorbNames({ shard: first, after, names }: Named, now: Instant): void {
    const ahead = this.#setup.ahead?.(now) ?? SHARDS;
    let last = { shard: first, key: after };
    for (const name of names) {
      const shard = shardOf(name.key);
      this.#isValueMissing = shard < ahead && this.#setup.absorbName?.(name, now) !== true;
      if (shard >= ahead || this.#isValueMissing) {
        this.#shard = shard;
        this.#after = last.shard === shard ? last.key : '';
        return;
      }
      last = { shard, key: name.key };
    }
  }

  #ask(now: Instant): Outgoing | null {
    this.#heardAtMs = now.monotonicMs;
    const ahead = this.#setup.ahead?.(now) ?? null;
    if (ahead !== null && this.#shard >= ahead) {
      this.#question = null;
      return null;
    }
    const isByName = ahead !== null && !this.#isValueMissing && this.#setup.absorbName !== undefined;
    this.retransmission.first(now.monotonicMs);
    const isOfLegacy = this.#setup.isOfLegacy === true;
    this.#question = {
      type: 'transfer',
      request: this.request,
      shard: this.#shard,
      after: this.#after,
      ...(isByName && { isByName }),
      ...(isOfLegacy && { isOfLegacy }),
    };
    return this.#outgoing(this.#question);
  }

  #outgoing(message: Transfer): Outgoing {
    return { message, slots: [this.#setup.slot] };
  }

  /** It has no deadline. */
  protected expire(): TransferOutcome {
    return { floor: NO_BALLOT };
  }
}
