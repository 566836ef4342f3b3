import type { Instant } from './instant.js';
import type { AcceptorAnswer, AcceptorRequest, HeldName, Report } from './messages.js';
import type { Answerer, Electorate } from './quorum.js';
import { isSameProposal, type RegisterRecord } from './record.js';

/** What a step of an exchange wants sent. */
export interface Outgoing {
  /** To be sent as it is, to each of them. */
  readonly message: AcceptorRequest;
  /** Slots that it is for; `null` for all acceptors. */
  readonly slots: readonly number[] | null;
}

/**
 * One question put to the acceptors and followed to its end: a classic round, a read, an enumeration. Time and answers
 * go in; each step gives at most one message to send. When `isOver`, the outcome stands and nothing is sent any more.
 *
 * After every step the caller sends what it returned, and looks at `isOver` and `wakeAtMs`. No step throws but for what
 * its setup's functions throw.
 */
export interface Exchange {
  /** Number that its requests carry and its answers repeat. */
  readonly request: number;
  /** Whether it has ended: `outcome` says how. */
  readonly isOver: boolean;
  /** Monotonic ms at which {@link tick} has something to do; the deadline at the latest. */
  readonly wakeAtMs: number;
  /** Monotonic ms of the latest first transmission, or `null` after a retransmission: for measuring round trips. */
  readonly sentAtMs: number | null;
  /** Begins. Once, before anything else. */
  start(now: Instant): Outgoing | null;
  /**
   * Takes an answer that carries its number. What does not count is ignored: from no voter, from one twice, of an earlier
   * attempt, of another kind.
   *
   * @param from the process that sent it, authentic
   */
  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null;
  /** Looks at what time it is: at `wakeAtMs` or later; before, it does nothing. */
  tick(now: Instant): Outgoing | null;
  /**
   * Who votes has changed: what was counted before is void, since the answers of one quorum must all be given, and
   * counted, under one vector (docs/protocol.md, "Generations").
   */
  restart(now: Instant): Outgoing | null;
}

/** What every exchange is given. */
export interface ExchangeSetup {
  readonly request: number;
  /** Whose answers count, and how many it takes. */
  readonly electorate: Electorate;
  /** Monotonic ms at which it gives up. */
  readonly deadlineMs: number;
  /** Ms after which to ask again those who have not answered; doubles each time. */
  readonly retransmitMs: number;
}

/**
 * An exchange as far as all have it in common: it ends once, by its outcome or by its deadline. To make others of: each step
 * begins with {@link isPast}, and the last one returns {@link end}.
 */
export abstract class BoundedExchange<Outcome> implements Omit<Exchange, 'restart'> {
  /** {@inheritDoc Exchange.request} */
  readonly request: number;
  /** When what it has asked is asked again. */
  protected readonly retransmission: Retransmission;
  readonly #deadlineMs: number;
  #outcome: Outcome | null = null;

  constructor({ request, deadlineMs, retransmitMs }: ExchangeSetup) {
    this.request = request;
    this.#deadlineMs = deadlineMs;
    this.retransmission = new Retransmission(retransmitMs);
  }

  /** How it ended; `null` until then. */
  get outcome(): Outcome | null {
    return this.#outcome;
  }

  get isOver(): boolean {
    return this.#outcome !== null;
  }

  get wakeAtMs(): number {
    return Math.min(this.nextMs, this.#deadlineMs);
  }

  get sentAtMs(): number | null {
    return this.retransmission.sentAtMs;
  }

  abstract start(now: Instant): Outgoing | null;
  abstract receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null;
  abstract tick(now: Instant): Outgoing | null;

  /** What it comes to when the time is up. */
  protected abstract expire(): Outcome;

  /** Monotonic ms at which there is something to do before the deadline. */
  protected get nextMs(): number {
    return this.retransmission.wakeAtMs;
  }

  /** Ends it. @returns `null`, for there is nothing more to send */
  protected end(outcome: Outcome): null {
    this.#outcome = outcome;
    return null;
  }

  /**
   * Whether it is over, the deadline included. Asked before each step, not by timers alone: this process may have been
   * paused, and what a step sends after the caller was told of a failure could still take effect.
   */
  protected isPast(now: Instant): boolean {
    if (this.#outcome === null && now.monotonicMs >= this.#deadlineMs) this.#outcome = this.expire();
    return this.#outcome !== null;
  }
}

/** Longest wait between two transmissions of one request. */
const MAX_RETRANSMIT_MS = 500;

/** When to send a request again: after a time-out that doubles, up to half a second or the first if that is longer. */
export class Retransmission {
  /** The first time-out, in ms. */
  readonly initialMs: number;
  #intervalMs: number;
  #attempts = 0;
  #sentAtMs = 0;
  /** Monotonic ms at which to send it again; never, before the first. */
  wakeAtMs = Number.POSITIVE_INFINITY;

  /** @param initialMs the first time-out, in ms; such as a measured round trip and some more */
  constructor(initialMs: number) {
    this.initialMs = initialMs;
    this.#intervalMs = initialMs;
  }

  /** Monotonic ms of the transmission, if there was one only: an answer to either of two would tell no round trip. */
  get sentAtMs(): number | null {
    return this.#attempts === 1 ? this.#sentAtMs : null;
  }

  /** A new request goes out. @param nowMs monotonic */
  first(nowMs: number): void {
    this.#attempts = 1;
    this.#sentAtMs = nowMs;
    this.#intervalMs = this.initialMs;
    this.wakeAtMs = nowMs + this.#intervalMs;
  }

  /** The same one again. @param nowMs monotonic */
  again(nowMs: number): void {
    this.#attempts += 1;
    this.#intervalMs = Math.min(this.#intervalMs * 2, Math.max(MAX_RETRANSMIT_MS, this.initialMs));
    this.wakeAtMs = nowMs + this.#intervalMs;
  }
}

/** The name under which answers may leave out the bytes of the value that the asker's own record holds. */
export function heldName(record: RegisterRecord | undefined): HeldName | null {
  const proposal = record?.proposal;
  return proposal == null ? null : { accepted: proposal.accepted, operation: proposal.operation };
}

/**
 * Puts back what an answer left out because the asker holds it.
 *
 * @param own the record that the question named
 * @returns `undefined` if the answer refers to a name that was not given: it must not count for anything
 */
export function completeReport(report: Report | null, own: RegisterRecord | undefined): Report | null | undefined {
  if (report === null || !report.isHeld) return report;
  const held = own?.proposal;
  if (held == null || !isSameProposal(held, report.proposal.accepted, report.proposal.operation)) return undefined;
  return {
    ...report,
    proposal: { ...report.proposal, value: held.value, attributes: held.attributes },
    isHeld: false,
  };
}
