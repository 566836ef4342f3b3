import { majorityOf } from '../paxos/index.js';
import type { Form, Unform } from '../wire/messages.js';
import { type Applicant, assignAgreeing, type Candidate } from './formation.js';
import type { MembershipInstant } from './instant.js';
import { type PeerTable, SUSPICION_MS } from './peers.js';
import { slotOf, type View } from './view.js';

export interface FormingSetup {
  readonly process: number;
  readonly name: string;
  readonly host: string;
  readonly clusterSize: number;
  /** 1..N for that slot, 0 for any, −1 for none. */
  readonly wish: number;
  readonly maxClockSkewMs: number;
  /** Ms after which a bare majority may form the farm. */
  readonly formationGraceMs: number;
  /** Whether a bare majority may form it at once. */
  readonly isBootstrap: boolean;
  /** By how many ms a process's clock, as heard of late, is ahead of this one's. */
  readonly clockAheadMs: (process: number) => number;
  /** In 0..1. */
  readonly random: () => number;
  /** A number in 1..2⁴⁸−1 never drawn before. */
  readonly drawNumber: () => number;
}

/** What a step towards a first farm wants done: everybody told something, or the view entered that all named are bound to. */
export type FormingStep =
  | { readonly kind: 'tell'; readonly message: Form | Unform }
  | { readonly kind: 'enter'; readonly view: View };

/** For how long the candidates must stay the same before a farm is formed of them. */
const STABLE_MS = 300;
/** A candidate not heard for that long is none. */
const CANDIDATE_MS = 1500;
/** How long a formation may take until its coordinator gives it up. */
const FORMATION_MS = 1500;
/** How often it is proposed meanwhile. */
const FORM_INTERVAL_MS = 200;

/**
 * Forms a farm when it starts for the first time (docs/protocol.md, "First start"). It takes all N processes, or a majority
 * after a while, each bound to one formation at a time, so that no process can vote in two farms.
 */
export class Forming {
  readonly #setup: FormingSetup;
  readonly #peers: PeerTable;
  #bound: { readonly view: View; readonly coordinator: number; readonly sinceMs: number } | null = null;
  #nextAttemptMs = Number.NEGATIVE_INFINITY;
  #nextFormMs = Number.NEGATIVE_INFINITY;
  #candidates = '';
  #candidatesSinceMs = 0;
  /** Whether the next formation that this process tries leaves out who may refuse it: every other one. */
  #isCautious = false;
  /** Those who were bound to none when it gave up its last one: they may hear nobody, or find a clock too far away. */
  #unbound: ReadonlySet<number> = new Set();

  constructor(setup: FormingSetup, peers: PeerTable) {
    this.#setup = setup;
    this.#peers = peers;
  }

  /** Incarnation of the farm to come that this process is bound to; 0 for none. */
  get bound(): number {
    return this.#bound?.view.incarnation ?? 0;
  }

  /** It is in a farm. */
  end(): void {
    this.#bound = null;
  }

  /** @returns whether this process is bound to that formation now */
  bind(from: number, view: View, monotonicMs: number): boolean {
    if (view.holders.length !== this.#setup.clusterSize) return false;
    if (slotOf(view, this.#setup.process) === 0 || slotOf(view, from) === 0) return false;
    if (this.#bound !== null && this.#bound.view.incarnation !== view.incarnation) return false;
    // Voters whose clocks are too far apart hear one another as too old, or not at all: what one of them does not hear
    // could never set its clock right.
    if (view.holders.some((holder) => holder !== null && this.#isClockFar(holder.process))) return false;
    this.#bound ??= { view, coordinator: from, sinceMs: monotonicMs };
    return true;
  }

  /** That process gives a formation of its own up. */
  unbind(from: number, incarnation: number): void {
    if (this.#bound?.view.incarnation === incarnation && this.#bound.coordinator === from) this.#bound = null;
  }

  /** What is bound is pursued. @returns `null` if nothing is to be done, or nothing is bound */
  pursue(now: MembershipInstant): FormingStep | null {
    if (this.#bound === null) return null;
    if (this.#bound.coordinator === this.#setup.process) {
      return this.#pursueOwn(this.#bound.view, this.#bound.sinceMs, now);
    }
    const isSilent = !this.#peers.isHeard(this.#bound.coordinator, now.monotonicMs, SUSPICION_MS);
    const isOverdue = now.monotonicMs - this.#bound.sinceMs > FORMATION_MS + SUSPICION_MS;
    if (isSilent || isOverdue) this.#bound = null;
    return null;
  }

  /** A formation is tried, if the time has come. @param seekingSinceMs since when this process is without a farm */
  attempt(seekingSinceMs: number, now: MembershipInstant): FormingStep | null {
    const { process } = this.#setup;
    const seekingMs = now.monotonicMs - seekingSinceMs;
    const slots = this.#assign(this.#listApplicants(now), this.#mayBeFew(seekingMs));
    const signature = slots.map((candidate) => candidate?.process ?? 0).join();
    if (signature !== this.#candidates) {
      this.#candidates = signature;
      this.#candidatesSinceMs = now.monotonicMs;
    }
    if (!this.#mayForm(slots, seekingMs, now)) return null;
    const view: View = {
      incarnation: this.#setup.drawNumber(),
      formedAtMs: Math.floor(now.wallMs),
      holders: slots.map((each) => each && { process: each.process, generation: 1, name: each.name }),
    };
    this.#bound = { view, coordinator: process, sinceMs: now.monotonicMs };
    return this.#pursueOwn(view, now.monotonicMs, now);
  }

  #assign(applicants: readonly Applicant[], mayBeFew: boolean): (Candidate | null)[] {
    const { process, clusterSize, maxClockSkewMs } = this.#setup;
    const enough = mayBeFew ? majorityOf(clusterSize) : clusterSize;
    // Clocks that are within S here may not be as those hear one another that are named, who would refuse every time.
    const reachMs = maxClockSkewMs * (this.#isCautious && mayBeFew ? 3 / 4 : 1);
    const assigned = (some: readonly Applicant[]): (Candidate | null)[] =>
      assignAgreeing(some, process, clusterSize, maxClockSkewMs, reachMs);
    if (!this.#isCautious) return assigned(applicants);
    const slots = assigned(applicants.filter((applicant) => !this.#unbound.has(applicant.process)));
    return slots.filter((slot) => slot !== null).length >= enough ? slots : assigned(applicants);
  }

  #mayForm(slots: readonly (Candidate | null)[], seekingMs: number, now: MembershipInstant): boolean {
    if (now.monotonicMs < this.#nextAttemptMs) return false;
    const present = slots.filter((candidate) => candidate !== null);
    const isMember = present.some((candidate) => candidate.process === this.#setup.process);
    if (!isMember || present.length < majorityOf(slots.length)) return false;
    const isAll = present.length === slots.length;
    // The lowest number tries first, the others only if nothing comes of it: two at a time would hinder each other.
    const isFirst = present.every((candidate) => candidate.process >= this.#setup.process);
    const stableMs = now.monotonicMs - this.#candidatesSinceMs;
    const waitMs = isFirst ? 0 : 2 * FORMATION_MS;
    return (isAll || this.#mayBeFew(seekingMs - waitMs)) && stableMs >= STABLE_MS + waitMs;
  }

  /** Whether a bare majority may form the farm after so long without one. */
  #mayBeFew(seekingMs: number): boolean {
    return seekingMs >= (this.#setup.isBootstrap ? 2 * STABLE_MS : this.#setup.formationGraceMs);
  }

  /** The coordinator decides as soon as everybody named is bound: none of them can be in another farm then. */
  #pursueOwn(view: View, sinceMs: number, now: MembershipInstant): FormingStep | null {
    const others = view.holders.flatMap((holder) =>
      holder === null || holder.process === this.#setup.process ? [] : holder.process,
    );
    const boundTo = (process: number): number => this.#peers.get(process)?.introduction?.bound ?? 0;
    // In time only: what was said before a pause of this process may no longer hold, and they be in another farm.
    if (now.monotonicMs - sinceMs < FORMATION_MS) {
      if (others.every((process) => boundTo(process) === view.incarnation)) return { kind: 'enter', view };
      if (now.monotonicMs < this.#nextFormMs) return null;
      // Again for those whom it has not reached.
      this.#nextFormMs = now.monotonicMs + FORM_INTERVAL_MS;
      return { kind: 'tell', message: { type: 'form', view } };
    }
    this.#bound = null;
    this.#isCautious = !this.#isCautious;
    this.#unbound = new Set(others.filter((process) => boundTo(process) === 0));
    this.#nextAttemptMs = now.monotonicMs + FORMATION_MS * this.#setup.random();
    return { kind: 'tell', message: { type: 'unform', incarnation: view.incarnation } };
  }

  #listApplicants(now: MembershipInstant): Applicant[] {
    const { process, wish, name, host, clusterSize } = this.#setup;
    const applicants: Applicant[] = [{ process, wish, name, host, aheadMs: 0 }];
    for (const peer of this.#peers) {
      const said = peer.introduction;
      if (said === null || said.phase !== 'seeking' || said.wish < 0 || said.bound !== 0) continue;
      if (said.clusterSize !== clusterSize || now.monotonicMs - peer.lastHeardMs > CANDIDATE_MS) continue;
      const aheadMs = this.#setup.clockAheadMs(peer.process);
      applicants.push({ process: peer.process, wish: said.wish, name: said.name, host: said.host, aheadMs });
    }
    return applicants;
  }

  #isClockFar(process: number): boolean {
    return Math.abs(this.#setup.clockAheadMs(process)) > this.#setup.maxClockSkewMs;
  }
}
