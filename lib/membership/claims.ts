import { isQuorum } from '../paxos/index.js';
import { isAt, isDeaf, type Peer, type PeerTable, SUSPICION_MS } from './peers.js';
import { configOf, type Holder, type View } from './view.js';

export interface ClaimsSetup {
  readonly process: number;
  readonly name: string;
  readonly host: string;
  /** 1..N for that slot, 0 for any, −1 for none. */
  readonly wish: number;
  /** In 0..1. */
  readonly random: () => number;
}

/** What a process is to be written into the slot's register as. */
export interface Claim {
  readonly slot: number;
  /** See {@link Config.since}. */
  readonly since: number;
  readonly holder: Holder;
}

/** So long a process that has been there leaves an open slot to one that comes: it may be the old holder's successor. */
const STANDBY_GRACE_MS = 2000;
/** And so long to one whose host has no voter. */
const CROWDED_GRACE_MS = 3000;
/** A process that has entered its view for less than that is one that comes. */
const NEWCOMER_MS = 10_000;
/** So long a slot is kept for a holder that has ended and whose memory has not. */
const RETURN_MS = 30_000;
/** And so long one that does not count for every size, while one that does has no voter: it may be open soon. */
const UNCOUNTED_MS = RETURN_MS + 10_000;
/** Between two claims, about. */
const CLAIM_INTERVAL_MS = 500;
/** What a voter says of open slots counts for so long: three hellos. */
export const SAYING_MS = 1500;
/** After a gap as long between two looks at the time, this process was paused: what was said meanwhile waits to be read. */
export const PAUSE_MS = 1000;

/**
 * Which slots are open, and when this process is to ask for one (docs/protocol.md, "Slots that change hands"). All of it
 * is a question of liveness: that no two processes vote for one slot rests on the agreement in the slot's register.
 */
export class Claims {
  readonly #setup: ClaimsSetup;
  readonly #peers: PeerTable;
  readonly #ownSlot: () => number;
  #view: View | null = null;
  /** Monotonic ms at which this process learnt of each slot's holder. */
  #heldSinceMs: number[] = [];
  /** Since when each open slot is seen to be. */
  readonly #openSinceMs = new Map<number, number>();
  /** Since when each holder that votes says that it hears no other. */
  readonly #deafSinceMs = new Map<number, number>();
  #enteredMs = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #listeningSinceMs = 0;
  #nextMs = 0;
  #underWay: Claim | null = null;

  /** @param ownSlot the slot that this process holds; 0 for none */
  constructor(setup: ClaimsSetup, peers: PeerTable, ownSlot: () => number = () => 0) {
    this.#setup = setup;
    this.#peers = peers;
    this.#ownSlot = ownSlot;
  }

  /** This process lives in another view now, or has learnt of holders. */
  see(view: View, isNew: boolean, nowMs: number): void {
    this.#heldSinceMs = view.holders.map((holder, index) => {
      const before = isNew ? null : this.#view?.holders[index];
      return before?.process === holder?.process ? (this.#heldSinceMs[index] ?? nowMs) : nowMs;
    });
    this.#view = view;
    if (isNew) {
      this.#enteredMs = nowMs;
      this.#openSinceMs.clear();
      this.#deafSinceMs.clear();
    }
  }

  /** Looks at the time: at intervals well below a second. */
  look(nowMs: number): void {
    if (nowMs - this.#lookedMs > PAUSE_MS) this.#listeningSinceMs = nowMs;
    this.#lookedMs = nowMs;
    this.#lookForDeaf(nowMs);
    const open = this.open(nowMs);
    if (open.length === 0 && this.#openSinceMs.size === 0) return;
    for (const slot of [...this.#openSinceMs.keys()]) if (!open.includes(slot)) this.#openSinceMs.delete(slot);
    for (const slot of open) if (!this.#openSinceMs.has(slot)) this.#openSinceMs.set(slot, nowMs);
  }

  #lookForDeaf(nowMs: number): void {
    const view = this.#view;
    if (view === null) return;
    const { sizes } = configOf(view);
    for (let slot = 1; slot <= view.holders.length; slot += 1) {
      const said = slot === this.#ownSlot() ? null : this.#holderOf(slot)?.introduction;
      if (said == null || !isAt(said, slot, view) || !isDeaf(said, slot, sizes)) this.#deafSinceMs.delete(slot);
      else if (!this.#deafSinceMs.has(slot)) this.#deafSinceMs.set(slot, nowMs);
    }
  }

  /** Slots that nobody has held, or whose holders this process finds gone. */
  gone(nowMs: number): number[] {
    return this.#slots.filter((slot) => this.#isGone(slot, nowMs));
  }

  /** Slots that may be taken: those, and those whose holders hear nobody. */
  open(nowMs: number): number[] {
    return this.#slots.filter((slot) => this.isOpen(slot, nowMs));
  }

  isOpen(slot: number, nowMs: number): boolean {
    return this.#isGone(slot, nowMs) || this.#isDeafForLong(slot, nowMs);
  }

  get #slots(): number[] {
    return (this.#view?.holders ?? []).map((_, index) => index + 1);
  }

  #isGone(slot: number, nowMs: number): boolean {
    if (this.#view?.holders[slot - 1] == null) return true;
    if (slot === this.#ownSlot()) return false;
    const peer = this.#holderOf(slot);
    if (peer?.leftMs != null) return nowMs - peer.leftMs >= (peer.introduction?.isDurable === true ? RETURN_MS : 0);
    return (
      this.#isElsewhere(slot, peer) || this.#silenceMs(slot, peer, nowMs) > (peer?.patience.ms(nowMs) ?? SUSPICION_MS)
    );
  }

  #isDeafForLong(slot: number, nowMs: number): boolean {
    const sinceMs = this.#deafSinceMs.get(slot);
    // What was said before a pause of this process may no longer hold.
    if (sinceMs === undefined || nowMs - this.#lookedMs > PAUSE_MS) return false;
    const patienceMs = this.#holderOf(slot)?.patience.ms(nowMs) ?? SUSPICION_MS;
    return nowMs - Math.max(sinceMs, this.#listeningSinceMs) > patienceMs;
  }

  /** The slot's holder, as far as it was heard of. */
  #holderOf(slot: number): Peer | undefined {
    const holder = this.#view?.holders[slot - 1];
    return holder == null ? undefined : this.#peers.get(holder.process);
  }

  /** The slot's holder, if it votes, was heard of late, and hears others. */
  #voterOf(slot: number, nowMs: number): Peer | undefined {
    const peer = this.#holderOf(slot);
    const said = peer?.introduction;
    const isVoter = said?.phase === 'voter' && isAt(said, slot, this.#view) && !this.#deafSinceMs.has(slot);
    return isVoter && peer !== undefined && nowMs - peer.lastHeardMs <= SAYING_MS ? peer : undefined;
  }

  /**
   * Whether a slot's holder has another one: a claim of which it did not know what came of it was chosen in the end. Nobody
   * votes for two slots. Or it holds none any more, by its own account.
   */
  #isElsewhere(slot: number, peer: Peer | undefined): boolean {
    const said = peer?.introduction;
    if (said == null || said.incarnation !== this.#view?.incarnation || said.slot === slot) return false;
    if (said.slot === 0) return said.hasResigned || said.lost === said.incarnation;
    return numbersOf(peer).includes(this.#view.holders[said.slot - 1]?.process ?? 0);
  }

  /** Since after a pause of this process everybody seems silent, that counts from its end only. */
  #silenceMs(slot: number, peer: Peer | undefined, nowMs: number): number {
    if (nowMs - this.#lookedMs > PAUSE_MS) return 0;
    const sinceMs = Math.max(this.#heldSinceMs[slot - 1] ?? nowMs, this.#listeningSinceMs);
    return nowMs - Math.max(peer?.lastHeardMs ?? sinceMs, sinceMs);
  }

  /** Slots that this process may take, were they open. */
  get #wanted(): number[] {
    const { wish } = this.#setup;
    if (wish < 0) return [];
    return wish > 0 ? this.#slots.filter((slot) => slot === wish) : this.#slots;
  }

  /** Whether all slots that this process could take have holders that vote: it is needed in none of them. */
  isSpare(nowMs: number): boolean {
    return this.#wanted.every((slot) => this.#voterOf(slot, nowMs) !== undefined);
  }

  /** The claim to be made now, if any. */
  next(nowMs: number): Claim | null {
    const view = this.#view;
    if (view === null || this.#underWay !== null || nowMs < this.#nextMs) return null;
    const slots = this.#mostNeeded(
      this.#wanted.filter((slot) => this.#isDue(slot, nowMs)),
      view,
      nowMs,
    );
    const slot = slots[Math.floor(this.#setup.random() * slots.length)];
    if (slot === undefined || !this.#isQuorumHeard(slot, nowMs)) return null;
    this.#nextMs = nowMs + CLAIM_INTERVAL_MS * (1 + this.#setup.random());
    const { process, name } = this.#setup;
    const since = configOf(view).since[slot - 1] ?? 0;
    // Whom the formation named stands in no register, and in no view either once its slot was given up; its generation
    // must not come again.
    const formed = since > 0 ? 1 : 0;
    const generation = (view.holders[slot - 1]?.generation ?? formed) + 1;
    this.#underWay = { slot, since, holder: { process, generation, name } };
    return this.#underWay;
  }

  /**
   * While the farm changes its size a vacant slot that decides is one failure the less that it survives; one that does not,
   * or not alone, only delays the change.
   */
  #mostNeeded(due: readonly number[], view: View, nowMs: number): readonly number[] {
    const counting = Math.min(...configOf(view).sizes);
    const first = due.filter((slot) => slot <= counting);
    if (first.length > 0) return first;
    const isNoneVacant = this.#slots.slice(0, counting).every((slot) => this.#voterOf(slot, nowMs) !== undefined);
    if (isNoneVacant || this.#setup.wish > 0) return due;
    return due.filter((slot) => nowMs - (this.#openSinceMs.get(slot) ?? nowMs) >= UNCOUNTED_MS);
  }

  /**
   * The claim under way, if its slot has a holder of that generation by now, be it this process. Voters that hear the holder
   * answer no claim: this process would wait in vain, and take no other slot till then.
   */
  get late(): Claim | null {
    const claim = this.#underWay;
    const holder = this.#view?.holders[(claim?.slot ?? 0) - 1];
    return claim !== null && holder != null && holder.generation >= claim.holder.generation ? claim : null;
  }

  /** The claim under way has come to its end, or nobody knows to which. */
  ended(): void {
    this.#underWay = null;
  }

  #isDue(slot: number, nowMs: number): boolean {
    if (!this.isOpen(slot, nowMs)) {
      const peer = this.#holderOf(slot);
      // A process that has just come has not heard the good-bye, or the silence; the voters have.
      const isHeard = peer !== undefined && nowMs - peer.lastHeardMs <= peer.patience.ms(nowMs);
      if (isHeard || !this.#isSaidToBeOpen(slot, nowMs)) return false;
    }
    const openMs = nowMs - (this.#openSinceMs.get(slot) ?? nowMs);
    const isNewcomer = nowMs - this.#enteredMs < NEWCOMER_MS;
    const graceMs = (isNewcomer ? 0 : STANDBY_GRACE_MS) + (this.#isCrowdedOut(nowMs) ? CROWDED_GRACE_MS : 0);
    return openMs >= graceMs;
  }

  #isSaidToBeOpen(slot: number, nowMs: number): boolean {
    return this.#voters(nowMs).some(({ introduction }) => introduction?.open.includes(slot));
  }

  /** Whether this process's host has a voter, and another process could take the slot whose host has none. */
  #isCrowdedOut(nowMs: number): boolean {
    const crowded = new Set(this.#voters(nowMs).map(({ introduction }) => introduction?.host));
    if (!crowded.has(this.#setup.host)) return false;
    return [...this.#peers].some(
      ({ introduction, lastHeardMs }) =>
        introduction?.phase === 'learner' &&
        introduction.wish === 0 &&
        nowMs - lastHeardMs <= SAYING_MS &&
        !crowded.has(introduction.host),
    );
  }

  /** Whether so many of the other slots' holders vote and are heard that they can agree. */
  #isQuorumHeard(slot: number, nowMs: number): boolean {
    if (this.#view === null) return false;
    const others = this.#slots.filter((other) => other !== slot && this.#voterOf(other, nowMs) !== undefined);
    return isQuorum(configOf(this.#view).sizes, others);
  }

  #voters(nowMs: number): Peer[] {
    return (this.#view?.holders ?? []).flatMap((_, index) => this.#voterOf(index + 1, nowMs) ?? []);
  }
}

/** Numbers by which views may name it. */
function numbersOf(peer: Peer | undefined): number[] {
  return peer === undefined ? [] : [peer.process, peer.introduction?.voter ?? 0].filter((number) => number !== 0);
}
