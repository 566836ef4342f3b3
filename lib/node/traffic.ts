import { type GuardedClock, type Membership, type PeerTable, SILENCE_MS } from '../membership/index.js';
import type {
  AcceptorAnswer,
  AcceptorRequest,
  Answerer,
  BallotSource,
  Commit,
  Instant,
  Outgoing,
} from '../paxos/index.js';
import type { MembershipMessage, Message } from '../wire/index.js';
import type { Answering } from './answering.js';
import type { Asking } from './asking.js';
import { slotOfKey } from './claim.js';
import type { Arrival, Link } from './link.js';
import type { Members } from './members.js';
import type { Operations } from './operations.js';
import type { Recoverer } from './recoverer.js';
import type { Repairer } from './repairer.js';
import { MAX_RETRANSMIT_MS } from './retransmission.js';
import type { Voter } from './voter.js';
import type { Watchers } from './watchers.js';

export interface TrafficSetup {
  readonly process: number;
  readonly maxClockSkewMs: number;
  readonly clock: GuardedClock;
  readonly ballots: BallotSource;
  readonly membership: Membership;
  readonly peers: PeerTable;
  readonly members: Members;
  readonly voter: Voter;
  readonly operations: Operations;
  readonly repairer: Repairer;
  readonly recoverer: Recoverer;
  readonly asking: Asking;
  readonly answering: Answering;
  readonly watchers: Watchers;
  now(): Instant;
  /** `null` until the network is open. */
  link(): Link | null;
  onMembership(from: Answerer, message: MembershipMessage): void;
  /** That process knows of other holders, or another config. */
  differs(from: number, now: Instant): void;
  /**
   * What that process sends is that much too old, or too new, to count.
   * @param who what to call it if it has not said its name
   */
  isOff(from: number, who: string, ageMs: number): void;
}

/** Hands each message that comes to whom it is for, and brings messages to acceptors, this process's own among them. */
export class Traffic {
  readonly #setup: TrafficSetup;

  constructor(setup: TrafficSetup) {
    this.#setup = setup;
  }

  receive({ envelope, messages, from, isFrame, answerer }: Arrival): void {
    const { membership, peers, clock, members, voter, asking, answering, watchers } = this.#setup;
    const link = this.#setup.link();
    const now = this.#setup.now();
    if (!isFrame && peers.silenceMs(envelope.from, now.monotonicMs) > SILENCE_MS) link?.reconnect(envelope.from);
    const isKnown = isFrame
      ? peers.hearAgain(envelope.from, now.monotonicMs)
      : peers.hear(envelope.from, from, now.monotonicMs) !== undefined;
    if (isKnown) clock.hear(envelope.from, envelope.clockMs, now.monotonicMs);
    members.heard(envelope.from, now.monotonicMs);
    const isOurs = (): boolean => envelope.incarnation === membership.view?.incarnation;
    // What was sent by one who knows other holders counts in no quorum of those that this process knows, and answers to it
    // could be counted there in one with those of an older holder.
    const counts = (): boolean => {
      if (!isOurs()) return false;
      if (envelope.vector === membership.vector) return true;
      if (link !== null) link.counters.otherVector += 1;
      return false;
    };
    for (const message of messages) {
      switch (message.type) {
        case 'hello':
        case 'who':
        case 'vouch':
        case 'form':
        case 'unform':
          this.#setup.onMembership(answerer, message);
          break;
        case 'ask':
          answering.receive(envelope.from, message);
          break;
        case 'told':
          asking.receive(envelope.from, message);
          break;
        case 'prepare':
        case 'accept':
        case 'read':
        case 'enumerate':
        case 'compare':
        case 'pull':
        case 'transfer':
          if (counts()) this.#onRequest(envelope.from, message, now);
          break;
        case 'commit':
          if (!isOurs()) break;
          // That something is chosen is so whoever votes. It may be gone by now from what this voter holds, or not be there yet.
          voter.commit(message);
          watchers.tell(message, false);
          break;
        default:
          if (counts()) this.#onAnswer(answerer, envelope.clockMs, message);
      }
    }
    if (isOurs() && envelope.vector !== membership.vector) this.#setup.differs(envelope.from, now);
  }

  #onRequest(from: number, request: AcceptorRequest, now: Instant): void {
    const { membership, voter, ballots, maxClockSkewMs } = this.#setup;
    if (request.type === 'prepare' || request.type === 'accept') {
      const { round } = request.type === 'prepare' ? request.ballot : request.proposal.accepted;
      ballots.observe(round, now.wallMs, maxClockSkewMs);
      const slot = slotOfKey(request.key);
      if (slot !== null && !membership.maySlotChange(slot, now.monotonicMs)) return;
    }
    // An earlier version asks for a legacy as for any memory: so this process gives it that of its own slot, if it has one.
    if (request.type === 'transfer' && (request.isOfLegacy === true || membership.slot === 0)) {
      const answer = this.#isHeir(from) ? voter.bequeath(request, now) : null;
      if (answer !== null) this.#send(from, answer);
      return;
    }
    this.#askOwn(request, now, (answer) => this.#send(from, answer));
  }

  /** Whether that process has the slot that this one had, and may have its memory. */
  #isHeir(process: number): boolean {
    const { voter, membership } = this.#setup;
    const { legacy } = voter;
    return legacy !== null && membership.isHolder(process, legacy.slot, legacy.generation + 1);
  }

  /** Asks this process's acceptor. What it says counts under the vector of that moment only. */
  #askOwn(request: AcceptorRequest, now: Instant, deliver: (answer: AcceptorAnswer) => void): void {
    const { membership, voter } = this.#setup;
    const { vector } = membership;
    voter.ask(request, now, (answer) => {
      if (membership.vector === vector && voter.isVoting) deliver(answer);
    });
  }

  #onAnswer(from: Answerer, clockMs: number, answer: AcceptorAnswer): void {
    const { peers, repairer, recoverer, operations, maxClockSkewMs } = this.#setup;
    // A voter whose clock is beyond the bound may forget or refuse at the wrong time: it does not count.
    const ageMs = this.#setup.now().wallMs - clockMs;
    const peer = peers.get(from.process);
    if (Math.abs(ageMs) > maxClockSkewMs + (peer?.roundTrip.timeoutMs ?? MAX_RETRANSMIT_MS)) {
      this.#setup.isOff(from.process, peer?.introduction?.name ?? 'a voter', ageMs);
      return;
    }
    if (repairer.receive(from, answer) || recoverer.receive(from, answer)) return;
    const tookMs = operations.receive(from, answer);
    if (tookMs !== null) peer?.roundTrip.sample(tookMs);
  }

  /** To the acceptors of those slots, all if `null`. Their answers are for operations. */
  toAcceptors({ message, slots }: Outgoing): void {
    const { membership, operations, process } = this.#setup;
    const own = membership.votingSlot;
    const others = slots?.filter((slot) => slot !== own) ?? null;
    if (others === null) this.#send(0, message);
    else this.toSlots(others, message);
    if (own === 0 || (slots !== null && !slots.includes(own))) return;
    this.#askOwn(message, this.#setup.now(), (answer) => operations.receive({ process, slot: own }, answer));
  }

  /** To others' slots. One voter gets a datagram of its own; more of them are cheaper to reach all at once. */
  toSlots(slots: readonly number[], message: Message): void {
    const { membership, peers } = this.#setup;
    const holders = slots.flatMap((slot) => membership.view?.holders[slot - 1] ?? []);
    const [only, ...rest] = holders;
    if (only === undefined) return;
    const peer = peers.get(only.process);
    this.#send(rest.length === 0 && peer !== undefined ? peer.process : 0, message);
  }

  /** A value of this process's own operation is chosen. */
  committed(commit: Commit): void {
    const { voter, watchers } = this.#setup;
    voter.commit(commit);
    this.#setup.link()?.sendLazy(commit);
    watchers.tell(commit, true);
  }

  #send(to: number, message: Message): void {
    this.#setup.link()?.send(to, message);
  }
}
