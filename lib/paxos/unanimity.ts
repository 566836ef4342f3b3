import type { Tombstone } from './acceptor.js';
import { compareBallots } from './ballot.js';
import { BoundedExchange, type ExchangeSetup, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import type { AcceptorAnswer, Held } from './messages.js';
import { type Answerer, Tally } from './quorum.js';
import { isSameProposal } from './record.js';

/** What {@link Unanimity} is about. */
export interface UnanimitySetup extends ExchangeSetup {
  /** One that the asker's own acceptor holds, and knows to be chosen. */
  readonly tombstone: Tombstone;
}

/** What came of the question. */
export interface UnanimityOutcome {
  /** Whether all of them are past it; `false` also if not all have answered in time, or a slot has changed hands. */
  readonly isPast: boolean;
}

/**
 * Asks the voters of all slots whether they are past a tombstone: whether they hold that very one, or nothing, with a floor
 * at or above it. No value older than it is held by any of them then, and none will ever be accepted. But one that holds
 * nothing may just be fetching an older value from another, by a `Comparison`, and would hold that as chosen.
 *
 * So a tombstone of which no clock says when it may go goes when all were past it twice: the second question is to be asked
 * more than `MAX_COPY_AGE_MS` after the first was answered, and copies are installed only within `MAX_COPY_AGE_MS` of the
 * start of their comparison (docs/protocol.md, "Values without an end").
 */
export class Unanimity extends BoundedExchange<UnanimityOutcome> {
  readonly #setup: UnanimitySetup;
  readonly #answers: Tally<true>;

  constructor(setup: UnanimitySetup) {
    super(setup);
    this.#setup = setup;
    this.#answers = new Tally(setup.electorate);
  }

  start(now: Instant): Outgoing | null {
    if (this.isPast(now)) return null;
    this.retransmission.first(now.monotonicMs);
    return this.#question(null);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isPast(now) || now.monotonicMs < this.wakeAtMs) return null;
    this.retransmission.again(now.monotonicMs);
    return this.#question(this.#answers.missing);
  }

  /** What was answered before says nothing of those who vote now. It is asked again at another time. */
  restart(): null {
    return this.end({ isPast: false });
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): null {
    if (this.isPast(now) || answer.type !== 'held') return null;
    if (!this.#setup.electorate.isVoter(from)) return null;
    if (!this.#isBeyond(answer)) return this.end({ isPast: false });
    this.#answers.add(from, true);
    return this.#answers.isComplete ? this.end({ isPast: true }) : null;
  }

  #isBeyond({ report, floor }: Held): boolean {
    const { accepted, operation } = this.#setup.tombstone;
    return report === null
      ? compareBallots(floor, accepted) >= 0
      : isSameProposal(report.proposal, accepted, operation);
  }

  protected expire(): UnanimityOutcome {
    return { isPast: false };
  }

  #question(slots: readonly number[] | null): Outgoing {
    const { key, accepted, operation } = this.#setup.tombstone;
    return { message: { type: 'read', request: this.request, key, held: { accepted, operation } }, slots };
  }
}
