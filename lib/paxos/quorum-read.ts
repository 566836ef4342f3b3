import {
  completeReport,
  type Exchange,
  type ExchangeSetup,
  heldName,
  type Outgoing,
  Retransmission,
} from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Report } from './messages.js';
import { pick } from './pick.js';
import { type Answerer, majorityOf, Tally } from './quorum.js';
import type { Proposal, RegisterRecord } from './record.js';

export interface QuorumReadSetup extends ExchangeSetup {
  readonly key: string;
  readonly maxClockSkewMs: number;
  /** This process's own record of the key, if it votes. */
  readonly own: RegisterRecord | undefined;
}

export type ReadOutcome =
  /** What is chosen; `null` if nothing is. Its `until` has not been looked at. */
  | { readonly kind: 'chosen'; readonly proposal: Proposal | null }
  /** A write is half done: whether its value is chosen takes a classic round to find out. */
  | { readonly kind: 'unsettled' }
  | { readonly kind: 'no-quorum' };

/**
 * Reads a register without writing: one round trip, if what a majority holds is certain to be chosen
 * (docs/protocol.md, "Quorum read"). Promises nothing and changes nothing at the acceptors.
 */
export class QuorumRead implements Exchange {
  readonly request: number;
  readonly #setup: QuorumReadSetup;
  readonly #retransmission: Retransmission;
  readonly #reports: Tally<Report | null>;
  /** The latest `until` that any answer knows to have been promised. */
  #horizon = 0;
  #outcome: ReadOutcome | null = null;

  constructor(setup: QuorumReadSetup) {
    this.#setup = setup;
    this.request = setup.request;
    this.#retransmission = new Retransmission(setup.retransmitMs);
    this.#reports = new Tally(setup.electorate);
  }

  get outcome(): ReadOutcome | null {
    return this.#outcome;
  }

  get isOver(): boolean {
    return this.#outcome !== null;
  }

  get wakeAtMs(): number {
    return Math.min(this.#retransmission.wakeAtMs, this.#setup.deadlineMs);
  }

  get sentAtMs(): number | null {
    return this.#retransmission.sentAtMs;
  }

  start(now: Instant): Outgoing | null {
    if (this.#isLate(now)) return null;
    this.#retransmission.first(now.monotonicMs);
    return this.#question(null);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isOver || this.#isLate(now) || now.monotonicMs < this.wakeAtMs) return null;
    if (this.#reports.isMajority) {
      // They disagree, and those still silent had one retransmission time to decide it.
      this.#outcome = { kind: 'unsettled' };
      return null;
    }
    this.#retransmission.again(now.monotonicMs);
    const slots: number[] = [];
    for (let slot = 1; slot <= this.#setup.electorate.size; slot += 1) if (!this.#reports.has(slot)) slots.push(slot);
    return this.#question(slots);
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isOver || this.#isLate(now) || answer.type !== 'held') return null;
    const report = completeReport(answer.report, this.#setup.own);
    if (report === undefined || !this.#reports.add(from, report)) return null;
    this.#horizon = Math.max(this.#horizon, answer.horizon);
    if (!this.#reports.isMajority) return null;
    const { proposal, isChosen } = pick(this.#reports.answers, majorityOf(this.#setup.electorate.size));
    if (proposal === null)
      this.#outcome = this.#isBoundAlive(now) ? { kind: 'unsettled' } : { kind: 'chosen', proposal };
    else if (isChosen) this.#outcome = { kind: 'chosen', proposal };
    else if (this.#reports.isComplete) this.#outcome = { kind: 'unsettled' };
    return null;
  }

  /**
   * Whether a write may be on its way that was built on a value which has expired and been forgotten since: it would
   * show that value again after this read has found nothing. A classic round shuts it out first.
   */
  #isBoundAlive(now: Instant): boolean {
    return this.#horizon > 0 && (!now.isTrusted || this.#horizon + this.#setup.maxClockSkewMs > now.wallMs);
  }

  #question(slots: readonly number[] | null): Outgoing {
    const { key, own } = this.#setup;
    return { message: { type: 'read', request: this.request, key, held: heldName(own) }, slots };
  }

  #isLate(now: Instant): boolean {
    if (now.monotonicMs < this.#setup.deadlineMs) return false;
    this.#outcome = { kind: 'no-quorum' };
    return true;
  }
}
