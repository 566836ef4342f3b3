import { isBoundAlive } from './evaluate.js';
import { BoundedExchange, completeReport, type ExchangeSetup, heldName, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Report } from './messages.js';
import { pick } from './pick.js';
import { type Answerer, Tally } from './quorum.js';
import type { Proposal, RegisterRecord } from './record.js';

/** What one read is given. */
export interface QuorumReadSetup extends ExchangeSetup {
  /** The register. */
  readonly key: string;
  /** S, in ms: see `AcceptorLimits`. */
  readonly maxClockSkewMs: number;
  /** This process's own record of the key, if it votes: answers may leave out what is in it. Else `undefined`. */
  readonly own: RegisterRecord | undefined;
}

/** What a read comes to. */
export type ReadOutcome =
  /**
   * What is chosen; `null` if nothing is. Its lineage is empty, and its `until` has not been looked at: where that is over,
   * a classic round makes it a tombstone before anybody is told so.
   */
  | { readonly kind: 'chosen'; readonly proposal: Proposal | null }
  /** A write is half done: whether its value is chosen takes a classic round to find out, one that changes nothing. */
  | { readonly kind: 'unsettled' }
  /** Time was up. */
  | { readonly kind: 'no-quorum' };

/**
 * Reads a register without writing: one round trip, if what a majority holds is certain to be chosen
 * (docs/protocol.md, "Quorum read"). Promises nothing and changes nothing at the acceptors. Linearizable: it finds every
 * write that had ended when it began, and what one read has found the next finds, or something later.
 */
export class QuorumRead extends BoundedExchange<ReadOutcome> {
  readonly #setup: QuorumReadSetup;
  #reports: Tally<Report | null>;
  /** The latest `until` that any answer knows to have been promised. */
  #horizon = 0;

  constructor(setup: QuorumReadSetup) {
    super(setup);
    this.#setup = setup;
    this.#reports = new Tally(setup.electorate);
  }

  start(now: Instant): Outgoing | null {
    if (this.isPast(now)) return null;
    this.retransmission.first(now.monotonicMs);
    return this.#question(null);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isPast(now) || now.monotonicMs < this.wakeAtMs) return null;
    // They disagree, and those still silent had one retransmission time to decide it.
    if (this.#reports.isQuorum) return this.end({ kind: 'unsettled' });
    this.retransmission.again(now.monotonicMs);
    return this.#question(this.#reports.missing);
  }

  restart(now: Instant): Outgoing | null {
    this.#reports = new Tally(this.#setup.electorate);
    this.#horizon = 0;
    return this.start(now);
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isPast(now) || answer.type !== 'held') return null;
    const report = completeReport(answer.report, this.#setup.own);
    if (report === undefined || !this.#reports.add(from, report)) return null;
    this.#horizon = Math.max(this.#horizon, answer.horizon);
    if (!this.#reports.isQuorum) return null;
    const { proposal, isChosen } = pick(this.#reports.entries, this.#setup.electorate.sizes);
    if (isChosen) return this.end({ kind: 'chosen', proposal });
    // Something built on a value that has expired and been forgotten since may be on its way; a classic round shuts it
    // out, or it would show that value again after this read has found nothing.
    const isAbsent = proposal === null && !isBoundAlive(this.#horizon, this.#setup.maxClockSkewMs, now);
    if (isAbsent) return this.end({ kind: 'chosen', proposal });
    return proposal === null || this.#reports.isComplete ? this.end({ kind: 'unsettled' }) : null;
  }

  protected expire(): ReadOutcome {
    return { kind: 'no-quorum' };
  }

  #question(slots: readonly number[] | null): Outgoing {
    const { key, own } = this.#setup;
    return { message: { type: 'read', request: this.request, key, held: heldName(own) }, slots };
  }
}
