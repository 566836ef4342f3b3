import { type Answerer, type Electorate, isQuorum, lastSlotOf } from '../paxos/index.js';
import type { Form, Hello, MembershipMessage, Unform, Vouch } from '../wire/messages.js';
import { type Claim, Claims, PAUSE_MS } from './claims.js';
import { Forming, type FormingSetup } from './forming.js';
import { Forsaken } from './forsaken.js';
import type { MembershipInstant } from './instant.js';
import { isAt, isAtAnother, isDeaf, type PeerAddress, type PeerTable, SUSPICION_MS } from './peers.js';
import { Resizing, stageOf } from './resizing.js';
import {
  type Config,
  configOf,
  type Holder,
  isOlder,
  mergeViews,
  slotOf,
  stepView,
  type View,
  vectorOf,
} from './view.js';

/** What a step of the membership wants done. */
export type Directive =
  | { readonly kind: 'send' /** Process, or 0 for all. */; readonly to: number; readonly message: MembershipMessage }
  /** This process lives in another view now; what it held and had under way in the one before is void. */
  | { readonly kind: 'entered'; readonly left: View | null }
  /** The view has learnt of a holder: what was counted under the vector before is void. */
  | { readonly kind: 'grown' }
  /** A slot is to be asked for; what comes of it is to be told by {@link Membership.claimed}. */
  | { readonly kind: 'claim'; readonly claim: Claim }
  /** The next step to another size is to be proposed; what comes of it is to be told by {@link Membership.configured}. */
  | { readonly kind: 'configure'; readonly config: Config }
  /** This process holds a slot now, and has to get its memory before it votes: see {@link Membership.recovered}. */
  | { readonly kind: 'recover' }
  /** The farm's memory is gone: this process seeks another; what it held may be worth something there. */
  | { readonly kind: 'abandoned' }
  /** Another process holds this one's slot: it votes no more, and keeps what it holds for that one only. */
  | {
      readonly kind: 'fenced';
      /** The place that it had, if it had its memory. */
      readonly held: { readonly slot: number; readonly generation: number } | null;
    }
  | { readonly kind: 'warning'; readonly code: string; readonly message: string };

export interface MembershipSetup extends FormingSetup {
  /** Where this process's datagrams come from, if it knows. */
  readonly ownAddress: () => PeerAddress | null;
  /** Whether this process's memory outlives it. */
  readonly isDurable: boolean;
}

/** What a process is in a farm. */
export interface Place {
  readonly view: View;
  readonly slot: number;
  /** Number by which the view names it. */
  readonly voter: number;
}

/** How often to say hello, in ms: while seeking company, and later. */
const SEEKING_INTERVAL_MS = 100;
const HELLO_INTERVAL_MS = 500;
/** Silence after which a failed operation names a process as missing: three hellos. */
export const SILENCE_MS = 1500;
/** Time without a quorum after which a voter takes up with another farm, and hands over to it what it holds. */
const STRANDED_MS = 30_000;
/** Silence of all voters after which a learner takes up with another farm. */
const DESERTED_MS = 10_000;
/** So long a farm has to be beyond recovery before it is given up: what was on its way may show that it is not. */
const LOST_MS = 2000;
/** Between two answers to one process that does not know the same holders; processes so answered that are remembered. */
const TELL_INTERVAL_MS = 50;
const MAX_TOLD = 1024;
/** Ended holders named in a hello at most. */
const MAX_ENDED = 99;
/**
 * Who votes: finds the others, forms the farm once when it starts for the first time, and keeps the view of its slots
 * (docs/protocol.md, "First start"). Pure: what it hears and the time go in, directives come out.
 *
 * Forming takes all N processes, each bound to one formation at a time, so that no process can vote in two farms. A
 * process that comes later finds voters who vouch for their view, and joins as a learner. It takes a slot that is open by
 * an agreement of the others' holders, and votes as soon as it has the memory that goes with the slot.
 */
export class Membership {
  readonly #setup: MembershipSetup;
  readonly #peers: PeerTable;
  #streamPort = 0;
  #view: View | null = null;
  /** Derived from the view, since they are asked for at each operation. */
  #sizes: readonly number[] = [1];
  #otherHolders: readonly number[] = [];
  #vector = 0;
  #slot = 0;
  /** The number under which an earlier process held the slot that this one has from it, with its memory; else 0. */
  #voter = 0;
  /** Whether this process has the memory that goes with its slot. */
  #isRecovered = false;
  readonly #claims: Claims;
  readonly #resizing: Resizing;
  readonly #electorate: Electorate;
  /** Version of the config under which this process, voting, has read what the size before holds; 0 for none. */
  #copied = 0;
  /** By process: when it was last told of holders that it did not know. */
  readonly #told = new Map<number, number>();
  #seekingSinceMs: number | null = null;
  #nextHelloMs = Number.NEGATIVE_INFINITY;
  /** Whether a vouching voter was ever heard: such a process does not form a farm of its own. */
  #hasSeenVoters = false;
  #voterHeardMs = 0;
  #quorumHeardMs = 0;
  #who: { readonly request: number; readonly atMs: number } | null = null;
  /** The process that held this one's slot in the generation before; 0 if it is not known. */
  #predecessor = 0;
  #hasResigned = false;
  /** Holders, by process number, that are known to have ended. */
  readonly #ended = new Set<number>();
  /** Since when too few of the holders are left that have a memory; `null` while there are enough. */
  #lostSinceMs: number | null = null;
  #tickedMs = Number.NEGATIVE_INFINITY;
  /** Incarnation of the farm given up last. */
  #lost = 0;
  readonly #forming: Forming;
  readonly #forsaken: Forsaken;
  #isRetiring = false;
  #isLeaving = false;
  readonly #warned = new Set<string>();

  constructor(setup: MembershipSetup, peers: PeerTable) {
    this.#setup = setup;
    this.#peers = peers;
    this.#forming = new Forming(setup, peers);
    this.#forsaken = new Forsaken(setup.process);
    this.#claims = new Claims(setup, peers, () => this.#slot);
    this.#resizing = new Resizing({ slot: () => this.votingSlot, copied: () => this.#copied }, peers);
    this.#electorate = new CurrentElectorate(this);
  }

  get view(): View | null {
    return this.#view;
  }

  /** Slot held, from 1; 0 for none. */
  get slot(): number {
    return this.#slot;
  }

  /** Slot that this process votes for; 0 for none, as while it is without the memory that goes with its slot. */
  get votingSlot(): number {
    return this.#isRecovered ? this.#slot : 0;
  }

  /** Names what this process knows of the slots' holders; see {@link vectorOf}. 0 while there is no view. */
  get vector(): number {
    return this.#vector;
  }

  get phase(): Hello['phase'] {
    if (this.#isLeaving) return 'leaving';
    if (this.#view === null) return 'seeking';
    if (this.#slot === 0) return 'learner';
    return this.#isRecovered ? 'voter' : 'recovering';
  }

  /** The voters, as known at each moment; `null` while there is no view. */
  get electorate(): Electorate | null {
    return this.#view === null ? null : this.#electorate;
  }

  /** `null` while there is no view. */
  get config(): Config | null {
    return this.#view && configOf(this.#view);
  }

  /** Sizes of which each decides; see {@link Config.sizes}. */
  get sizes(): readonly number[] {
    return this.#sizes;
  }

  isVoter({ process, slot }: Answerer): boolean {
    const holder = this.#view?.holders[slot - 1];
    if (holder == null) return false;
    if (this.#isSelf(process)) return this.#isSelf(holder.process);
    return holder.process === process || this.#peers.exact(process)?.introduction?.voter === holder.process;
  }

  /** The number by which views name this process, if they do. */
  get number(): number {
    return this.#voter === 0 ? this.#setup.process : this.#voter;
  }

  #isSelf(number: number): boolean {
    return number === this.#setup.process || (number === this.#voter && number !== 0);
  }

  /** The other voters' process numbers: of those that act for earlier ones, their own. */
  get otherVoters(): readonly number[] {
    return this.#otherHolders.map((number) => this.#peers.get(number)?.process ?? number);
  }

  /** Slots whose holder was heard of late, this process's own included. */
  slotsHeard(monotonicMs: number, withinMs: number = SUSPICION_MS): number[] {
    const slots: number[] = [];
    let slot = 0;
    for (const holder of this.#view?.holders ?? []) {
      slot += 1;
      if (holder === null) continue;
      if (slot === this.#slot || this.#peers.isHeard(holder.process, monotonicMs, withinMs)) slots.push(slot);
    }
    return slots;
  }

  /** Those of them that vote, and hear others. */
  votersHeard(monotonicMs: number, withinMs: number = SUSPICION_MS): number[] {
    return this.slotsHeard(monotonicMs, withinMs).filter((slot) => {
      if (slot === this.#slot) return this.#isRecovered;
      const process = this.#view?.holders[slot - 1]?.process ?? 0;
      const said = this.#peers.get(process)?.introduction;
      // That it seeks says nothing: such a hello may be an old one, come late, or recorded by somebody.
      if (said == null || said.phase === 'seeking') return true;
      // By its own account: it may be in the farm without the place that it had, or in another one, and know nothing of this.
      return said.phase === 'voter' && isAt(said, slot, this.#view) && !isDeaf(said, slot, this.#sizes);
    });
  }

  hasQuorum(monotonicMs: number): boolean {
    return this.#view !== null && isQuorum(this.#sizes, this.votersHeard(monotonicMs));
  }

  /** Whether this process does its part: it votes, or has come where all slots that it could take have their voters. */
  isSettled(monotonicMs: number): boolean {
    if (this.#view === null) return false;
    return this.#slot > 0 ? this.#isRecovered : this.#claims.isSpare(monotonicMs);
  }

  /** The process that held this one's slot in the generation before, if it is heard. */
  predecessorHeard(monotonicMs: number): number | null {
    const peer = this.#predecessor === 0 ? undefined : this.#peers.exact(this.#predecessor);
    return peer !== undefined && monotonicMs - peer.lastHeardMs <= SILENCE_MS ? peer.process : null;
  }

  /** Whether that process holds that slot now, in that generation. */
  isHolder(process: number, slot: number, generation: number): boolean {
    const holder = this.#view?.holders[slot - 1];
    return holder?.generation === generation && this.isVoter({ process, slot });
  }

  /** Whether the slot's holder votes, or the slot has gone on to a later generation than that. */
  isBeyond(slot: number, generation: number): boolean {
    const holder = this.#view?.holders[slot - 1];
    if (holder == null || holder.generation > generation) return true;
    const said = this.#peers.get(holder.process)?.introduction;
    // What it said of another slot, before it had this one, says nothing.
    return holder.generation === generation && said?.phase === 'voter' && said.slot === slot;
  }

  /** Whether this process agrees to another one's taking that slot: not while it hears the holder. */
  maySlotChange(slot: number, monotonicMs: number): boolean {
    return this.#claims.isOpen(slot, monotonicMs);
  }

  /**
   * @param streamPort for the hello
   * @param kept the place that an earlier process had, whose memory this one has: it goes on as that one
   */
  start(streamPort: number, now: MembershipInstant, kept: Place | null = null): Directive[] {
    this.#streamPort = streamPort;
    this.#seekingSinceMs = now.monotonicMs;
    return kept === null ? this.tick(now) : [...this.#resume(kept, now), ...this.tick(now)];
  }

  /** Votes at once: whoever has been given the slot meanwhile is known to a majority, and will be told of by any of it. */
  #resume({ view, slot, voter }: Place, now: MembershipInstant): Directive[] {
    this.#setView(view);
    this.#slot = slot;
    this.#voter = voter;
    this.#isRecovered = true;
    this.#hasSeenVoters = true;
    this.#voterHeardMs = now.monotonicMs;
    this.#quorumHeardMs = now.monotonicMs;
    this.#claims.see(view, true, now.monotonicMs);
    return [{ kind: 'entered', left: null }];
  }

  /** It is about to leave: from now on it takes part in no formation, and claims nothing. */
  retire(): void {
    this.#isRetiring = true;
  }

  /** Says good-bye; to be sent at once. */
  leave(): Directive[] {
    this.#isLeaving = true;
    // To each voter by itself, too: who has not heard it waits long until the slot is open.
    return [this.#hello(0, 0), ...this.otherVoters.map((process) => this.#hello(process, 0))];
  }

  /** The claim under way, if it is of no use any more. */
  get lateClaim(): Claim | null {
    return this.#claims.late;
  }

  /** It was agreed on who holds the slot that was claimed: this process or another. */
  claimed({ slot, since, holder }: Claim, now: MembershipInstant): Directive[] {
    this.#claims.ended();
    // What became of slots that were given up, or have come back, since then is in the views of those who know.
    if (this.#view === null || configOf(this.#view).since[slot - 1] !== since) return [];
    const holders = this.#view.holders.map((held, index) => (index === slot - 1 ? holder : held));
    return this.#merge({ ...this.#view, holders }, now);
  }

  /** The claim under way was refused, or may yet be chosen: whoever hears of that tells this process. */
  claimFailed(): void {
    this.#claims.ended();
  }

  /** It was agreed on what the farm's config is now: the one proposed, or another one of that version. */
  configured(config: Config, now: MembershipInstant): Directive[] {
    this.#resizing.ended();
    // Of a later one those tell who know what became of the slots on the way there.
    const view = this.#view && stepView(this.#view, config);
    return view === null ? [] : this.#merge(view, now);
  }

  /** The proposal under way was refused, or may yet be chosen: it is made again, and then it is known. */
  configureFailed(): void {
    this.#resizing.ended();
  }

  /** Whether the farm could go on with so few voters. */
  mayResize(size: number, monotonicMs: number): boolean {
    return this.#view !== null && this.#resizing.mayBegin(this.#view, size, monotonicMs);
  }

  /** Slots that a change of size under way waits for. */
  slotsMissing(monotonicMs: number): number[] {
    return this.#view === null ? [] : this.#resizing.missing(this.#view, monotonicMs);
  }

  /** Whether this process, being a voter of the size to come, has yet to read what the size before holds. */
  get mustCopy(): boolean {
    const config = this.config;
    if (config === null || stageOf(config) !== 'copying' || this.#copied === config.version) return false;
    return this.votingSlot > 0 && this.votingSlot <= (config.sizes[1] ?? 0);
  }

  /** It has read that. */
  copied(now: MembershipInstant): Directive[] {
    this.#copied = this.config?.version ?? 0;
    return [this.#hello(0, now.monotonicMs)];
  }

  /** This process can't keep a memory any more: it holds no slot from now on, and the one that it held is open. */
  resign(now: MembershipInstant): Directive[] {
    this.#hasResigned = true;
    this.#slot = 0;
    this.#voter = 0;
    this.#isRecovered = false;
    this.#copied = 0;
    if (this.#view !== null) this.#setView(this.#view);
    return this.#view === null ? [] : [{ kind: 'grown' }, this.#hello(0, now.monotonicMs)];
  }

  /** This process has the memory that goes with its slot, and votes from now on. */
  recovered(isOfQuorum: boolean, now: MembershipInstant): Directive[] {
    if (this.#slot === 0) return [];
    this.#isRecovered = true;
    // Among what a quorum holds is all that a majority of the size before does. Not among what the slot's holder before did.
    if (isOfQuorum) this.#copied = this.config?.version ?? 0;
    return [this.#hello(0, now.monotonicMs)];
  }

  /** What that process sent was not counted: it does not know the same holders. */
  differs(from: number, now: MembershipInstant): Directive[] {
    if (this.#isLeaving || now.monotonicMs - (this.#told.get(from) ?? Number.NEGATIVE_INFINITY) < TELL_INTERVAL_MS)
      return [];
    if (this.#told.size >= MAX_TOLD) this.#told.clear();
    this.#told.set(from, now.monotonicMs);
    return [this.#hello(from, now.monotonicMs)];
  }

  tick(now: MembershipInstant): Directive[] {
    if (this.#seekingSinceMs === null || this.#isLeaving) return [];
    const directives: Directive[] = [];
    this.#claims.look(now.monotonicMs);
    // After a pause what others have said since is still on its way to it.
    if (this.#lostSinceMs !== null && now.monotonicMs - this.#tickedMs > PAUSE_MS) this.#lostSinceMs = now.monotonicMs;
    this.#tickedMs = now.monotonicMs;
    if (this.hasQuorum(now.monotonicMs)) this.#quorumHeardMs = now.monotonicMs;
    if (now.monotonicMs >= this.#nextHelloMs) {
      const isEager = this.#view === null && now.monotonicMs - this.#seekingSinceMs < 5000;
      const intervalMs = isEager ? SEEKING_INTERVAL_MS : HELLO_INTERVAL_MS;
      // Spread a little, so that nodes started together don't all speak at once for ever.
      this.#nextHelloMs = now.monotonicMs + intervalMs * (0.9 + 0.2 * this.#setup.random());
      directives.push(this.#hello(0, now.monotonicMs));
      // Where a farm seems lost, too: its voters may be others than this process knows of.
      if (this.#view === null || this.#lostSinceMs !== null) directives.push(this.#ask(0, now));
    }
    directives.push(...this.#abandon(now));
    if (this.#view === null) directives.push(...this.#form(now));
    else if (this.#slot === 0) directives.push(...this.#claim(now), ...this.#checkTaken(now));
    else directives.push(...this.#configure(this.#view, now));
    return directives;
  }

  /** @param from with the slot that it held when it sent that */
  receive(from: Answerer, message: MembershipMessage, now: MembershipInstant): Directive[] {
    if (this.#isLeaving || this.#seekingSinceMs === null) return [];
    const { process } = from;
    switch (message.type) {
      case 'hello':
        return this.#onHello(process, message, now);
      case 'who':
        return [...this.#askBack(from, now), ...this.#vouch(process, message.request, now)];
      case 'vouch':
        return this.#onVouch(from, message, now);
      case 'form':
        return this.#onForm(process, message, now);
      case 'unform':
        return this.#onUnform(process, message);
    }
  }

  #onHello(from: number, hello: Hello, now: MembershipInstant): Directive[] {
    const peer = this.#peers.exact(from);
    if (peer === undefined) return [];
    const isNew = peer.introduction === null;
    // A hello that was overtaken by the good-bye; the process is gone, and its number with it.
    if (peer.leftMs !== null) return [];
    const { type: _type, maxClockSkewMs: _skewMs, view, ...said } = hello;
    this.#peers.introduce(peer, { ...said, incarnation: view?.incarnation ?? 0 }, now.monotonicMs);
    const { phase, slot, voter, isDurable, ended } = said;
    for (const process of ended) this.#noteEnd(process);
    if (phase === 'leaving') {
      // First what it knew of others: who has missed that takes more of them for ended than have.
      const isOurs = hello.view !== null && hello.view.incarnation === this.#view?.incarnation;
      const learnt = isOurs && hello.view !== null ? this.#merge(hello.view, now) : [];
      this.#peers.leave(peer, now.monotonicMs);
      if (!isDurable) this.#noteEnd(from);
      return learnt;
    }
    const number = voter === 0 ? from : voter;
    // It has given up the farm, and what it held there. (That it seeks says nothing: such a hello may be an old one.)
    if (hello.lost !== 0 && hello.lost === this.#view?.incarnation) {
      // It may have come back since, and taken a place anew.
      if (slot === 0) this.#noteEnd(number);
      else this.#ended.delete(number);
    }
    const directives = this.#checkSettings(hello, from);
    // A twin's, or of the process before this one, whose memory it goes on with: an answer of now tells.
    if (number === this.number && this.#isOwnSlot(slot, hello.view)) directives.push(this.#ask(from, now));
    // So that two that start at different times know each other at once, and whoever comes later the voters: it enters
    // the view on their word, and needs to know where they take what is too large for a datagram.
    if (isNew && (this.#view === null || this.#slot > 0)) directives.push(this.#hello(from, now.monotonicMs));
    if (hello.view === null) return directives;
    if (hello.view.incarnation === this.#view?.incarnation) {
      // One that has left for another farm keeps nobody in this one.
      if (this.#slotOfPeer(this.#view, from) > 0) this.#voterHeardMs = now.monotonicMs;
      directives.push(...this.#merge(hello.view, now));
    } else if (hello.view.incarnation === this.#forming.bound) {
      directives.push(...this.#enter(hello.view, now));
    } else if (this.#view !== null && this.#isWorthEntering(hello.view, now)) {
      // A hello may be old, or of a farm that is gone. Only a voter's answer to a question of now proves it alive.
      directives.push(this.#ask(0, now));
    }
    return directives;
  }

  #isOwnSlot(slot: number, view: View | null): boolean {
    return this.#slot > 0 && slot === this.#slot && view?.incarnation === this.#view?.incarnation;
  }

  /**
   * Whether another process votes with the memory that this one has: of a storage that was copied, put back from a backup, or
   * is shared by machines that don't see each other's locks. Each of the two counts for the one voter.
   */
  #isTwin({ slot }: Answerer, view: View): boolean {
    return this.#isOwnSlot(slot, view) && slotOf(view, this.number) === slot;
  }

  /** One that holds this process's slot asks: it is to know of this one before this one knows of it, and stops voting. */
  #askBack({ process, slot }: Answerer, now: MembershipInstant): Directive[] {
    return this.#slot > 0 && slot === this.#slot ? [this.#ask(process, now)] : [];
  }

  /** Nobody can tell what of that memory is whose, or what is in neither: it counts as lost. So does the other one find. */
  #leaveToNobody(from: number, now: MembershipInstant): Directive[] {
    const peer = this.#peers.exact(from);
    const other = named(peer?.introduction?.name ?? '', peer?.address);
    const message = `${other} votes for slot ${this.#slot} with the same memory as ${this.#own} does: its storage was copied, put back, or is used by both. Neither votes any more, and what they stored counts as lost; the others have it. Give each process a directory of its own, and restart both.`;
    return [{ kind: 'fenced', held: null }, { kind: 'warning', code: 'memory-doubled', message }, ...this.resign(now)];
  }

  #vouch(to: number, request: number, { monotonicMs }: MembershipInstant): Directive[] {
    if (this.#view === null || this.votingSlot === 0) return [];
    const isServing = this.hasQuorum(monotonicMs);
    return [{ kind: 'send', to, message: { type: 'vouch', request, view: this.#view, isServing } }];
  }

  #onVouch(from: Answerer, { request, view, isServing }: Vouch, now: MembershipInstant): Directive[] {
    const { process } = from;
    if (this.#who?.request !== request || now.monotonicMs - this.#who.atMs > SUSPICION_MS) return [];
    if (this.#isTwin(from, view)) return this.#leaveToNobody(process, now);
    if (this.#slotOfPeer(view, process) === 0) return [];
    if (view.incarnation === this.#view?.incarnation) {
      this.#voterHeardMs = now.monotonicMs;
      return this.#merge(view, now);
    }
    // A voter that is left of an older farm must not draw the others away from one that serves.
    const isWorthIt = this.#view === null || (isServing && this.#isWorthEntering(view, now));
    return isWorthIt ? this.#enter(view, now) : [];
  }

  #slotOfPeer(view: View, process: number): number {
    return slotOf(view, process) || slotOf(view, this.#peers.exact(process)?.introduction?.voter ?? 0);
  }

  /**
   * Of two farms that meet, the older stays; a learner whose voters are all gone takes what there is, and so does a voter that
   * has long been too few.
   */
  #isWorthEntering(view: View, now: MembershipInstant): boolean {
    if (this.#view === null) return true;
    if (isOlder(view, this.#view)) return true;
    if (this.#slot > 0) return now.monotonicMs - this.#quorumHeardMs > STRANDED_MS;
    return now.monotonicMs - this.#voterHeardMs > DESERTED_MS;
  }

  #onForm(from: number, { view }: Form, now: MembershipInstant): Directive[] {
    if (this.#isRetiring || this.#hasResigned || this.#view !== null || this.#hasSeenVoters) return [];
    return this.#forming.bind(from, view, now.monotonicMs) ? [this.#hello(from, now.monotonicMs)] : [];
  }

  #onUnform(from: number, { incarnation }: Unform): Directive[] {
    this.#forming.unbind(from, incarnation);
    return [];
  }

  /** A step towards a first farm: what is bound is pursued, else a formation is tried when the time has come. */
  #form(now: MembershipInstant): Directive[] {
    const isBound = this.#forming.bound !== 0;
    if (!isBound && (this.#setup.wish < 0 || this.#hasSeenVoters || this.#hasResigned || this.#isRetiring)) return [];
    const step = isBound
      ? this.#forming.pursue(now)
      : this.#forming.attempt(this.#seekingSinceMs ?? now.monotonicMs, now);
    if (step === null) return [];
    return step.kind === 'enter' ? this.#enter(step.view, now) : [{ kind: 'send', to: 0, message: step.message }];
  }

  #claim(now: MembershipInstant): Directive[] {
    if (this.#hasResigned || this.#isRetiring) return [];
    const claim = this.#claims.next(now.monotonicMs);
    return claim === null ? [] : [{ kind: 'claim', claim }];
  }

  #configure(view: View, now: MembershipInstant): Directive[] {
    if (this.#isRetiring) return [];
    const config = this.#resizing.next(view, now.monotonicMs);
    return config === null ? [] : [{ kind: 'configure', config }];
  }

  /** The slot that this process is to have, and only that one, has a holder that lives. */
  #checkTaken({ monotonicMs }: MembershipInstant): Directive[] {
    const { wish } = this.#setup;
    const holder = wish > 0 ? this.#view?.holders[wish - 1] : null;
    if (holder == null || !this.#peers.isHeard(holder.process, monotonicMs, SILENCE_MS)) return [];
    return this.#warnOnce(
      'slot-taken',
      holder.process,
      `Slot ${wish} is held by ${this.#nameOf(holder)}, which is up; ${this.#own} was given the same one and joins as a learner: give each its own, or leave option slot out.`,
    );
  }

  #enter(view: View, now: MembershipInstant): Directive[] {
    const left = this.#view;
    this.#setView(view);
    this.#forming.end();
    this.#hasSeenVoters = true;
    this.#quorumHeardMs = now.monotonicMs;
    this.#voterHeardMs = now.monotonicMs;
    // Whoever voted in another farm holds that farm's records: here it has only what it can learn. Nor has one who comes back to
    // a farm that it has left what it held there: it comes without its place.
    const isNew = left === null && !this.#forsaken.has(view.incarnation);
    if (left !== null) {
      this.#forsaken.add(left, this.#slot);
      // A place that it was given here without knowing of it is as good as left: so it says, and others may take it.
      const slot = slotOf(view, this.#setup.process);
      if (slot > 0 && !this.#forsaken.has(view.incarnation)) this.#forsaken.add(view, slot);
    }
    this.#slot = isNew && !this.#hasResigned ? this.#forsaken.placeIn(view) : 0;
    this.#voter = 0;
    this.#copied = 0;
    // Whoever the farm was formed with has never voted: there is nothing that it could have forgotten.
    this.#isRecovered = this.#slot > 0;
    this.#claims.see(view, true, now.monotonicMs);
    this.#ended.clear();
    this.#lostSinceMs = null;
    this.#nextHelloMs = now.monotonicMs + HELLO_INTERVAL_MS;
    return [{ kind: 'entered', left }, this.#hello(0, now.monotonicMs)];
  }

  /** Whoever ends takes its memory with it, for good. Of others than holders nothing is noted. */
  #noteEnd(process: number): void {
    if (!this.#isSelf(process) && slotOf(this.#view, process) > 0) this.#ended.add(process);
  }

  /**
   * Gives up a farm in which too few holders with a memory are left ever to agree on anything: the others have ended, or
   * have taken a slot and not read its memory. What is only not heard is not given up: it may be serving elsewhere. Nor is a
   * farm at once of which one is not heard that may know more: its size may have changed, and those who ended have had no
   * part in it any more.
   */
  #abandon(now: MembershipInstant): Directive[] {
    const view = this.#view;
    if (view === null || this.#forming.bound !== 0) return [];
    const left: number[] = [];
    let isHeard = true;
    let slot = 0;
    for (const holder of view.holders) {
      slot += 1;
      if (holder === null || !this.#mayRemember(holder, slot, now)) continue;
      left.push(slot);
      isHeard &&= this.#hasSaidOfLate(holder.process, now);
    }
    if (isQuorum(this.#sizes, left)) this.#lostSinceMs = null;
    else this.#lostSinceMs ??= now.monotonicMs;
    if (this.#lostSinceMs === null || now.monotonicMs - this.#lostSinceMs < (isHeard ? LOST_MS : STRANDED_MS))
      return [];
    const names = view.holders.flatMap((holder) =>
      holder !== null && this.#ended.has(holder.process) ? holder.name : [],
    );
    this.#lost = view.incarnation;
    const { number } = this;
    this.#forsaken.add(view, this.#slot);
    this.#view = null;
    this.#copied = 0;
    this.#otherHolders = [];
    this.#vector = 0;
    this.#slot = 0;
    this.#voter = 0;
    this.#isRecovered = false;
    this.#hasSeenVoters = false;
    this.#lostSinceMs = null;
    this.#ended.clear();
    // Nobody has the memory of that number any more: of this process's own, that it has lost the farm says so.
    if (number !== this.#setup.process) this.#ended.add(number);
    this.#seekingSinceMs = now.monotonicMs;
    return [
      { kind: 'abandoned' },
      {
        kind: 'warning',
        code: 'memory-lost',
        message: `${names.join(', ')} ended before others had their memory: too few are left of this farm's ${lastSlotOf(this.#sizes)} voters. This process begins anew with those that come; what it held it hands over there, what only the others held is lost. To avoid this, restart a server only when the one before is ready.`,
      },
      this.#hello(0, now.monotonicMs),
    ];
  }

  /** The farm whose memory it gave up last; this one, if it has come back to it. */
  get #givenUp(): number {
    const current = this.#view?.incarnation ?? 0;
    return this.#forsaken.has(current) ? current : this.#lost;
  }

  /** Of one that has not said of late how far it has come nobody knows that. */
  #mayRemember({ process }: Holder, slot: number, now: MembershipInstant): boolean {
    if (this.#isSelf(process)) return this.#isRecovered && slot === this.#slot;
    if (this.#ended.has(process)) return false;
    const peer = this.#peers.get(process);
    const said = peer?.introduction;
    if (peer === undefined || said == null) return true;
    if (said.hasResigned && !said.isDurable) return false;
    if (!this.#hasSaidOfLate(process, now)) return true;
    // What it said before it knew who has ended may be of long ago, and it have read their memory since.
    const isOfThisFarm = said.incarnation === this.#view?.incarnation;
    if (isOfThisFarm && [...this.#ended].some((number) => !said.ended.includes(number))) return true;
    // Whoever was named in two slots has the memory of the one that it says it holds.
    return said.phase !== 'recovering' && !isAtAnother(said, slot, this.#view);
  }

  /** Whether what it says of itself, and knows of the farm, is of now. */
  #hasSaidOfLate(process: number, { monotonicMs }: MembershipInstant): boolean {
    const peer = this.#peers.get(process);
    return this.#isSelf(process) || (peer?.introduction != null && monotonicMs - peer.introducedMs <= SILENCE_MS);
  }

  #merge(view: View, now: MembershipInstant): Directive[] {
    if (this.#view === null) return [];
    const merged = mergeViews(this.#view, view);
    if (merged === this.#view) return [];
    const before = this.#slot;
    const { holders: left, config } = this.#view;
    const isDropped = before > merged.holders.length;
    // The memory of a slot that there is no more is in those that are left.
    const isOfUse = this.#isRecovered && !isDropped;
    const held = isOfUse ? { slot: before, generation: left[before - 1]?.generation ?? 0 } : null;
    this.#setView(merged);
    for (const process of this.#ended) if (slotOf(merged, process) === 0) this.#ended.delete(process);
    this.#claims.see(merged, false, now.monotonicMs);
    // A second slot that an earlier claim brings is not worth the memory of the first: it stays open.
    // And the memory of one generation is not that of another, which an earlier process with this one's number may have.
    const ours = merged.holders[before - 1];
    if (ours == null || !this.#isSelf(ours.process) || ours.generation !== left[before - 1]?.generation) {
      this.#slot = this.#hasResigned ? 0 : this.#forsaken.placeIn(merged);
      this.#voter = 0;
    }
    const directives: Directive[] = [];
    if (this.#slot !== before) {
      this.#isRecovered = false;
      this.#copied = 0;
      if (before > 0) directives.push({ kind: 'fenced', held });
      if (before > 0 && !isDropped) directives.push(this.#fencedWarning(before, merged));
      const isOfOne = (merged.config?.since[this.#slot - 1] ?? 0) <= (config?.version ?? 0);
      const number = isOfOne ? predecessorIn(left[this.#slot - 1], merged.holders[this.#slot - 1]) : 0;
      // Once it knows that it has lost its slot it has no number but its own.
      this.#predecessor = this.#peers.get(number)?.process ?? number;
    }
    directives.push({ kind: 'grown' });
    if (this.#slot > 0 && this.#slot !== before) directives.push({ kind: 'recover' });
    return [...directives, this.#hello(0, now.monotonicMs)];
  }

  #fencedWarning(slot: number, { holders }: View): Directive {
    const holder = holders[slot - 1];
    const by = holder == null ? 'another process' : this.#nameOf(holder);
    return {
      kind: 'warning',
      code: 'fenced',
      message: `Slot ${slot} went to ${by}: the voters had not heard this process (${this.#setup.name}) for too long. It goes on as a learner, and takes a slot again when one is open. If that comes often, look for pauses of this process (CPU, memory, suspended machine), or a bad network.`,
    };
  }

  #setView(view: View): void {
    this.#view = view;
    this.#vector = vectorOf(view);
    this.#sizes = configOf(view).sizes;
    this.#otherHolders = view.holders
      .slice(0, lastSlotOf(this.#sizes))
      .flatMap((holder) => (holder === null || this.#isSelf(holder.process) ? [] : holder.process));
  }

  #checkSettings(hello: Hello, from: number): Directive[] {
    const { clusterSize, maxClockSkewMs, wish } = this.#setup;
    const directives: Directive[] = [];
    const warn = (code: string, message: string): void => {
      directives.push(...this.#warnOnce(code, from, message));
    };
    const where = this.#peers.get(from)?.address;
    const who = `${hello.name} (${where?.host}:${where?.port})`;
    if (hello.clusterSize !== clusterSize) {
      warn(
        'cluster-size',
        `${who} has clusterSize ${hello.clusterSize}, this process ${clusterSize}: set the same everywhere.`,
      );
    }
    if (hello.maxClockSkewMs !== maxClockSkewMs) {
      warn(
        'clock-skew-setting',
        `${who} has maxClockSkewMs ${hello.maxClockSkewMs}, this process ${maxClockSkewMs}: set the same everywhere, or expiry is not safe.`,
      );
    }
    if (wish > 0 && hello.wish === wish) {
      warn(
        'slot-doubled',
        `${who} wants slot ${wish}, and so does ${this.#own}: give each its own, or leave 'slot' out.`,
      );
    }
    return directives;
  }

  #warnOnce(code: string, about: number, message: string): Directive[] {
    const once = `${code} ${about}`;
    if (this.#warned.has(once) || this.#warned.size > 1000) return [];
    this.#warned.add(once);
    return [{ kind: 'warning', code, message }];
  }

  #ask(to: number, now: MembershipInstant): Directive {
    // One question stands at a time, and for a while: a slow answer to it must still count.
    if (this.#who === null || now.monotonicMs - this.#who.atMs > SUSPICION_MS / 2) {
      this.#who = { request: this.#setup.drawNumber(), atMs: now.monotonicMs };
    }
    return { kind: 'send', to, message: { type: 'who', request: this.#who.request } };
  }

  #hello(to: number, nowMs: number): Directive {
    const { name, host, clusterSize, maxClockSkewMs, wish } = this.#setup;
    const message: Hello = {
      type: 'hello',
      name,
      host,
      streamPort: this.#streamPort,
      clusterSize,
      maxClockSkewMs,
      wish: this.#isRetiring || this.#hasResigned ? -1 : wish,
      phase: this.phase,
      bound: this.#forming.bound,
      view: this.#view,
      slot: this.#slot,
      voter: this.#voter,
      isDurable: this.#setup.isDurable,
      hasResigned: this.#hasResigned,
      // Not those whose holders only hear nobody: whoever is called open by others would hear nobody by that alone.
      open: this.#isLeaving ? [] : this.#claims.gone(nowMs),
      ended: [...this.#ended].slice(0, MAX_ENDED),
      lost: this.#givenUp,
      copied: this.#copied,
    };
    return { kind: 'send', to, message };
  }

  get #own(): string {
    return `this process, ${named(this.#setup.name, this.#setup.ownAddress())},`;
  }

  #nameOf(holder: Holder): string {
    return named(holder.name, this.#peers.get(holder.process)?.address);
  }
}

function named(name: string, address: PeerAddress | null | undefined): string {
  return address == null ? name : `${name} (${address.host}:${address.port})`;
}

/** Whoever held the slot just before: one that held it earlier has not the memory that goes with it. */
function predecessorIn(before: Holder | null | undefined, now: Holder | null | undefined): number {
  return before != null && now != null && now.generation === before.generation + 1 ? before.process : 0;
}

/** The voters as they are known at the time of asking. */
class CurrentElectorate implements Electorate {
  readonly #membership: Membership;

  constructor(membership: Membership) {
    this.#membership = membership;
  }

  get sizes(): readonly number[] {
    return this.#membership.sizes;
  }

  isVoter(from: Answerer): boolean {
    return from.slot <= lastSlotOf(this.#membership.sizes) && this.#membership.isVoter(from);
  }
}
