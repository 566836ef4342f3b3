import { type Ballot, type BallotSource, higherBallot, NO_BALLOT, sameBallot } from './ballot.js';
import type { Change } from './change.js';
import { type Evaluation, evaluate, isBoundAlive, isExpired, type MemberResult } from './evaluate.js';
import { BoundedExchange, completeReport, type ExchangeSetup, heldName, type Outgoing } from './exchange.js';
import type { Instant } from './instant.js';
import { extendLineage, fateOf, type Lineage } from './lineage.js';
import type { AcceptorAnswer, AcceptorRequest, Commit, Effect, Promised, Report } from './messages.js';
import { pick } from './pick.js';
import { type Answerer, Tally } from './quorum.js';
import { ABSENT, isSameProposal, type OperationId, type Proposal, type RegisterRecord, type State } from './record.js';

/** What all rounds of a process share. */
export interface RoundContext {
  /** The one source of the process. */
  readonly ballots: BallotSource;
  /** S, in ms: see `AcceptorLimits`. */
  readonly maxClockSkewMs: number;
  /** Age in ms at which operations drop out of the lineage: `lineageAgeMs`, or more. */
  readonly lineageKeepMs: number;
  /**
   * Whether an operation is an earlier one of this process, and its caller was told what became of it: it is left out of
   * lineages, for nobody will look for it. `false` is always right.
   */
  readonly isDone: (operation: OperationId) => boolean;
  /** In 0..1, for the back-off: from a source that differs from process to process. */
  readonly random: () => number;
}

/** What one operation is given. Its deadline is less than S ahead: see `AcceptorLimits`. */
export interface ClassicRoundSetup extends ExchangeSetup {
  /** What it shares with the others of its process. */
  readonly context: RoundContext;
  /** The register. */
  readonly key: string;
  /** Names this operation, and no other ever. */
  readonly operation: OperationId;
  /**
   * The changes to make, as one step, in this order; asked for at each attempt anew. One that may remove the value comes
   * last. Some may be left out the next time while {@link ClassicRound.isExposed} is `false`; after that none.
   */
  readonly changes: () => readonly Change<unknown>[];
  /** This process's own record of the key, if it votes: answers may leave out what is in it. Else `undefined`. */
  readonly own: RegisterRecord | undefined;
}

/** How an operation ended. */
export type RoundOutcome =
  /** It took effect, once: the value that has it is held by a majority. */
  | {
      readonly kind: 'chosen';
      /** One result for each change. */
      readonly results: readonly MemberResult[];
      /** To tell everybody; `null` if nothing was proposed. */
      readonly commit: Commit | null;
    }
  /** Time was up, and no accept was ever sent: nothing has happened and nothing will. */
  | { readonly kind: 'no-quorum' }
  /** Time was up after an accept: the operation may have been applied, or may yet be. */
  | { readonly kind: 'unknown' };

/** What an attempt that sent an accept proposed. */
interface Attempt {
  readonly ballot: Ballot;
  readonly results: readonly MemberResult[];
  readonly effect: Effect;
}

/** Attempts that one operation makes at most; it ends as *unknown* rather than keep a longer history. */
const MAX_ATTEMPTS = 256;
const MAX_BACK_OFF_MS = 250;

/**
 * One operation of one proposer on one register, from the first prepare to the end (*Paxos Made Simple*, section 2.2;
 * *CASPaxos*, section 2.2), with as many ballots as it takes; after a conflict it waits for a random time (*Paxos Made
 * Simple*, section 2.4: without that, two proposers can outbid each other for ever).
 *
 * A ballot serves one attempt: after a nack or a loss the next attempt takes a new one, whatever came back (a ballot
 * used again after a time-out lost acknowledged writes elsewhere). Once an accept has been sent, the operation's
 * answer comes from what the lineage shows, so it is applied once or the caller is told that nobody knows.
 */
export class ClassicRound extends BoundedExchange<RoundOutcome> {
  readonly #setup: ClassicRoundSetup;
  #phase: 'prepare' | 'accept' | 'back-off' = 'prepare';
  #ballot: Ballot = NO_BALLOT;
  /** The bound that the promises are asked for with. */
  #bound = 0;
  #message: AcceptorRequest | null = null;
  /** Of the attempt under way; made when they are needed, since most attempts are refused by nobody. */
  #promises: Tally<Promised> | null = null;
  #accepted: Tally<true> | null = null;
  #refusals: Tally<true> | null = null;
  #attempts: Attempt[] = [];
  /** What the attempt under way will answer, once chosen. */
  #results: readonly MemberResult[] = [];
  #effect: Effect = 'none';
  #conflicts = 0;
  #backOffUntilMs = 0;

  constructor(setup: ClassicRoundSetup) {
    super(setup);
    this.#setup = setup;
  }

  /** Whether an accept has been sent: from then on the operation can't be said not to have happened. */
  get isExposed(): boolean {
    return this.exposedSince !== null;
  }

  /** Ballot of the first attempt that sent an accept; `null` while none has. */
  get exposedSince(): Ballot | null {
    return this.#attempts[0]?.ballot ?? null;
  }

  /**
   * What a change threw in each attempt that may have taken effect: nothing has happened of that change then. `null` if it
   * did not in one of them, or there was none.
   *
   * @param index in `changes`
   */
  failureOf(index: number): { readonly error: unknown } | null {
    let failure: { readonly error: unknown } | null = null;
    for (const { results } of this.#attempts) {
      const result = results[index];
      if (result?.kind !== 'threw') return null;
      failure = { error: result.error };
    }
    return failure;
  }

  /** Number of attempts that met another proposer. */
  get conflicts(): number {
    return this.#conflicts;
  }

  protected override get nextMs(): number {
    return this.#phase === 'back-off' ? this.#backOffUntilMs : super.nextMs;
  }

  override get sentAtMs(): number | null {
    return this.#phase === 'back-off' ? null : super.sentAtMs;
  }

  start(now: Instant): Outgoing | null {
    return this.isPast(now) ? null : this.#prepare(now);
  }

  tick(now: Instant): Outgoing | null {
    if (this.isPast(now) || now.monotonicMs < this.wakeAtMs) return null;
    if (this.#phase === 'back-off') return this.#prepare(now);
    // Somebody refused and the rest keep silent: asking again at this ballot helps less than a higher one.
    if ((this.#refusals?.count ?? 0) > 0) return this.#backOff(now);
    return this.#repeat(now);
  }

  receive(from: Answerer, answer: AcceptorAnswer, now: Instant): Outgoing | null {
    if (this.isPast(now)) return null;
    switch (answer.type) {
      case 'promised':
        return this.#onPromised(from, answer, now);
      case 'accepted':
        return this.#onAccepted(from, answer.ballot);
      case 'nack':
        this.#setup.context.ballots.observe(answer.promised.round, now.wallMs, this.#setup.context.maxClockSkewMs);
        return this.#onNack(from, answer.phase, answer.ballot, now);
      default:
        return null;
    }
  }

  restart(now: Instant): Outgoing | null {
    // While it backs off nothing is counted.
    return this.isPast(now) || this.#phase === 'back-off' ? null : this.#prepare(now);
  }

  #prepare(now: Instant): Outgoing {
    const { key, electorate, context, own } = this.#setup;
    this.#phase = 'prepare';
    this.#ballot = context.ballots.next(now.wallMs);
    this.#promises = new Tally(electorate);
    this.#refusals = null;
    this.#bound = this.#changes().reduce((latest, change) => Math.max(latest, change.bound), 0);
    const held = heldName(own);
    return this.#send(
      { type: 'prepare', request: this.request, key, ballot: this.#ballot, bound: this.#bound, held },
      now,
    );
  }

  #onPromised(from: Answerer, answer: Promised, now: Instant): Outgoing | null {
    const promises = this.#promises;
    if (this.#phase !== 'prepare' || promises === null || !sameBallot(answer.ballot, this.#ballot)) return null;
    const report = completeReport(answer.report, this.#setup.own);
    if (report === undefined || !promises.add(from, { ...answer, report })) return null;
    return promises.isQuorum ? this.#propose(promises, now) : null;
  }

  /** Phase 1 is complete: what the promises show decides what is proposed, or answered at once. */
  #propose(tally: Tally<Promised>, now: Instant): Outgoing | null {
    const promises = [...tally.answers];
    const reports = Array.from(tally.entries, ([slot, { report }]): [number, Report | null] => [slot, report]);
    const { proposal: found, isChosen } = pick(reports, this.#setup.electorate.sizes);
    // With no record left anywhere, whatever was done to this key before lies at or below the floors.
    const floor = promises.reduce((highest, promise) => higherBallot(highest, promise.floor), NO_BALLOT);
    const past = found ?? { lineage: [], lineageFrom: floor };

    const first = this.#attempts[0];
    if (first !== undefined) {
      const fate = fateOf(past, this.#setup.operation, first.ballot);
      if (fate.kind === 'unknown') return this.end({ kind: 'unknown' });
      // Found is not chosen: it may be a minority's, and die. So it is proposed again, and answered when that is chosen.
      if (fate.kind === 'applied' && found !== null) return this.#proposeAgain(found, fate.ballot, promises, now);
    }

    // Its time is up by a clock that nobody vouches for: to write on top of it could revive it, to bury it could end a
    // life too soon. So nothing is proposed until the clock is trusted again.
    if (isInDoubt(found, now)) return this.#waitAtMost(MAX_BACK_OFF_MS, now);

    const evaluation = evaluate(found, this.#changes(), this.#ballot, now);
    if (
      !evaluation.isWrite &&
      first === undefined &&
      this.#canAnswerAtOnce(found, isChosen, evaluation, promises, now)
    ) {
      return this.end({ kind: 'chosen', results: evaluation.results, commit: this.#unheardCommit(found, reports) });
    }
    this.#results = evaluation.results;
    this.#effect = effectOf(found, evaluation);
    const { operation, context } = this.#setup;
    const lineage = evaluation.isWrite
      ? extendLineage(past, operation, this.#ballot, context.lineageKeepMs, context.isDone)
      : past;
    return this.#accept(sealed(evaluation, this.#ballot), lineage, promises, now);
  }

  /**
   * Tells those who hold a value that is chosen and have not heard so: else it counts as half done there until its end, and
   * each listing asks for it anew.
   */
  #unheardCommit(found: Proposal | null, reports: readonly (readonly [number, Report | null])[]): Commit | null {
    if (found === null) return null;
    const { accepted, operation } = found;
    const isUnheard = reports.some(
      ([, report]) => report !== null && !report.committed && isSameProposal(report.proposal, accepted, operation),
    );
    if (!isUnheard) return null;
    return { type: 'commit', key: this.#setup.key, ballot: accepted, operation, effect: 'none' };
  }

  /** An answer that changes nothing needs no second phase if what it rests on is certain already. */
  #canAnswerAtOnce(
    found: Proposal | null,
    isChosen: boolean,
    { seals }: Evaluation,
    promises: readonly Promised[],
    now: Instant,
  ): boolean {
    // A voter that was not heard may hold, or yet take, the accept of a write that nobody was told about: what seals
    // against it has to be a tombstone above it.
    if (seals) return false;
    if (found !== null) return isChosen && !isExpired(found, now);
    const horizon = promises.reduce((latest, promise) => Math.max(latest, promise.horizon), 0);
    return !isBoundAlive(horizon, this.#setup.context.maxClockSkewMs, now);
  }

  #proposeAgain(found: Proposal, attempted: Ballot, promises: readonly Promised[], now: Instant): Outgoing | null {
    const attempt = this.#attempts.find(({ ballot }) => sameBallot(ballot, attempted));
    // A lineage entry of this operation can only name a ballot that this operation issued.
    if (attempt === undefined) return this.end({ kind: 'unknown' });
    this.#results = attempt.results;
    this.#effect = attempt.effect;
    return this.#accept(found, found, promises, now);
  }

  #accept(state: State, past: Lineage, promises: readonly Promised[], now: Instant): Outgoing | null {
    if (this.#attempts.length >= MAX_ATTEMPTS) return this.end({ kind: 'unknown' });
    this.#phase = 'accept';
    this.#attempts.push({ ballot: this.#ballot, results: this.#results, effect: this.#effect });
    const { value, attributes, until, birth, dataBallot } = state;
    const { lineage, lineageFrom } = past;
    const { operation } = this.#setup;
    const accepted = this.#ballot;
    const proposal = { value, attributes, until, birth, dataBallot, accepted, operation, lineage, lineageFrom };
    this.#accepted = new Tally(this.#setup.electorate);
    this.#refusals = null;
    const own = Math.max(this.#bound, proposal.until);
    const horizon = promises.reduce((latest, promise) => Math.max(latest, promise.horizon), own);
    return this.#send({ type: 'accept', request: this.request, key: this.#setup.key, proposal, horizon }, now);
  }

  #onAccepted(from: Answerer, ballot: Ballot): null {
    const accepted = this.#accepted;
    if (this.#phase !== 'accept' || accepted === null || !sameBallot(ballot, this.#ballot)) return null;
    accepted.add(from, true);
    if (!accepted.isQuorum) return null;
    const commit: Commit = {
      type: 'commit',
      key: this.#setup.key,
      ballot,
      operation: this.#setup.operation,
      effect: this.#effect,
    };
    return this.end({ kind: 'chosen', results: this.#results, commit });
  }

  #onNack(from: Answerer, phase: 1 | 2, ballot: Ballot, now: Instant): Outgoing | null {
    const current = this.#phase === 'prepare' ? 1 : 2;
    if (this.#phase === 'back-off' || phase !== current || !sameBallot(ballot, this.#ballot)) return null;
    this.#refusals ??= new Tally(this.#setup.electorate);
    this.#refusals.add(from, true);
    return this.#refusals.leavesQuorum ? null : this.#backOff(now);
  }

  /** Lets another proposer finish first: for a random time whose range doubles with each conflict. */
  #backOff(now: Instant): null {
    this.#conflicts += 1;
    const doubled = (this.#setup.retransmitMs / 8) * 2 ** Math.min(this.#conflicts, 10);
    return this.#waitAtMost(Math.min(MAX_BACK_OFF_MS, doubled), now);
  }

  #waitAtMost(ms: number, now: Instant): null {
    this.#phase = 'back-off';
    this.#backOffUntilMs = now.monotonicMs + this.#setup.context.random() * ms;
    return null;
  }

  #send(message: AcceptorRequest, now: Instant): Outgoing {
    this.#message = message;
    this.retransmission.first(now.monotonicMs);
    return { message, slots: null };
  }

  /** The same bytes again, to those who have not answered. */
  #repeat(now: Instant): Outgoing | null {
    if (this.#message === null) return null;
    this.retransmission.again(now.monotonicMs);
    const answered = this.#phase === 'prepare' ? this.#promises : this.#accepted;
    return { message: this.#message, slots: answered?.missing ?? null };
  }

  #changes(): readonly Change<unknown>[] {
    return this.#setup.changes();
  }

  protected expire(): RoundOutcome {
    return { kind: this.isExposed ? 'unknown' : 'no-quorum' };
  }
}

/** Whether nobody can tell if the value's time is up. */
function isInDoubt(found: Proposal | null, now: Instant): boolean {
  return found !== null && found.value !== null && !now.isTrusted && found.until <= now.wallMs;
}

/** Who removes what is not found has written all the same: what is older must not come over that. */
function sealed({ state, removes }: Evaluation, ballot: Ballot): State {
  return removes && state.value === null ? { ...state, dataBallot: ballot } : state;
}

function effectOf(found: Proposal | null, { state, isWrite }: Evaluation): Effect {
  const before = found ?? ABSENT;
  if (!isWrite) return 'none';
  if (state.value === null) return before.value === null ? 'none' : 'removed';
  const isSameData = before.value !== null && sameBallot(state.dataBallot, before.dataBallot);
  return isSameData ? 'touched' : 'changed';
}
