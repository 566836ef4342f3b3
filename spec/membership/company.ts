import type { Claim } from '../../lib/membership/claims.js';
import { Membership, type MembershipSetup, type Place } from '../../lib/membership/membership.js';
import { PeerTable } from '../../lib/membership/peers.js';
import type { Holder, View } from '../../lib/membership/view.js';
import { majorityOf } from '../../lib/paxos/index.js';
import type { MembershipMessage } from '../../lib/wire/messages.js';

/** A process of a {@link Company}. */
export interface Member {
  readonly process: number;
  readonly membership: Membership;
  readonly peers: PeerTable;
  readonly warnings: string[];
  /** Slots claimed. */
  readonly claims: number[];
  /** Views entered, in order. */
  readonly entered: View[];
  /** How often it has lost its slot. */
  fenced: number;
  /** How often it has given up its farm for lost. */
  abandoned: number;
  isAlive: boolean;
}

interface Letter {
  readonly from: number;
  readonly to: number;
  readonly message: MembershipMessage;
  readonly atMs: number;
}

/** Memberships in virtual time, on a network that a test decides about. */
export class Company {
  readonly members: Member[] = [];
  /** Ms that a message is under way, `null` if it is lost. */
  delayMs: (letter: Omit<Letter, 'atMs'>) => number | null = () => 1;
  nowMs = 1000;
  /** Ms that it takes to get a slot's memory. */
  recoveryMs = 50;
  readonly #random: () => number;
  /** What the slots' registers hold. */
  readonly #slots = new Map<number, Claim>();
  #recovering: { member: Member; atMs: number }[] = [];
  #letters: Letter[] = [];
  #numbers = 0;

  constructor(random: () => number = () => 0.5) {
    this.#random = random;
  }

  /** @param kept what an earlier process was, whose memory this one has */
  add(options: Partial<MembershipSetup> = {}, kept: Place | null = null): Member {
    const process = options.process ?? this.members.length + 1;
    const peers = new PeerTable();
    const membership = new Membership(
      {
        process,
        name: `host-${process}`,
        host: `host-${process}`,
        clusterSize: 3,
        wish: 0,
        maxClockSkewMs: 10_000,
        formationGraceMs: 30_000,
        isBootstrap: false,
        clockAheadMs: () => 0,
        isDurable: false,
        ownAddress: () => null,
        random: this.#random,
        drawNumber: () => process * 1_000_000 + ++this.#numbers,
        ...options,
      },
      peers,
    );
    const member: Member = {
      process,
      membership,
      peers,
      warnings: [],
      claims: [],
      entered: [],
      fenced: 0,
      abandoned: 0,
      isAlive: true,
    };
    this.members.push(member);
    this.#obey(member, membership.start(0, this.#instant(), kept));
    return member;
  }

  /** Has it say good-bye and end. */
  leave(member: Member): void {
    this.#obey(member, member.membership.leave());
    member.isAlive = false;
  }

  /** Lets time pass, in steps of 10 ms, until `condition` holds. @throws if it does not within `ms` */
  until(condition: () => boolean, ms = 20_000): void {
    const deadlineMs = this.nowMs + ms;
    while (!condition()) {
      if (this.nowMs >= deadlineMs) throw new Error(`not within ${ms} ms`);
      this.pass(10);
    }
  }

  pass(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs; this.nowMs += 10) {
      const due = this.#letters.filter((letter) => letter.atMs <= this.nowMs);
      this.#letters = this.#letters.filter((letter) => letter.atMs > this.nowMs);
      for (const letter of due) this.deliver(letter);
      const ready = this.#recovering.filter(({ atMs }) => atMs <= this.nowMs);
      this.#recovering = this.#recovering.filter(({ atMs }) => atMs > this.nowMs);
      for (const { member } of ready) {
        if (member.isAlive) this.#obey(member, member.membership.recovered(true, this.#instant()));
      }
      for (const member of this.members) {
        if (member.isAlive) this.#obey(member, member.membership.tick(this.#instant()));
      }
    }
  }

  deliver({ from, to, message }: Omit<Letter, 'atMs'>): void {
    const member = this.members.find((each) => each.process === to);
    if (member === undefined || !member.isAlive) return;
    member.peers.hear(from, { host: '10.0.0.1', port: from }, this.nowMs);
    const slot = this.members.find(({ process }) => process === from)?.membership.slot ?? 0;
    this.#obey(member, member.membership.receive({ process: from, slot }, message, this.#instant()));
  }

  #obey(member: Member, directives: ReturnType<Membership['tick']>): void {
    for (const directive of directives) {
      if (directive.kind === 'send') this.#post(member.process, directive.to, directive.message);
      else if (directive.kind === 'warning') member.warnings.push(directive.code);
      else if (directive.kind === 'claim') this.#claim(member, directive.claim);
      else if (directive.kind === 'recover') this.#recovering.push({ member, atMs: this.nowMs + this.recoveryMs });
      else if (directive.kind === 'fenced') member.fenced += 1;
      else if (directive.kind === 'abandoned') member.abandoned += 1;
      else if (directive.kind === 'entered' && member.membership.view !== null)
        member.entered.push(member.membership.view);
    }
  }

  /** Another process with the memory of one that has ended. */
  revive({ membership, process }: Member): Member {
    const { view, slot, number } = membership;
    if (view === null) throw new Error('it was in a farm');
    return this.add(
      { process: process + 100, isDurable: true, clusterSize: view.holders.length },
      { view, slot, voter: number },
    );
  }

  /** It was agreed, long ago perhaps, who holds the slot; the others hear of it by the first of them. */
  decide(slot: number, holder: Holder): void {
    const claim = { slot, since: 0, holder };
    this.#slots.set(slot, claim);
    const [member] = this.members;
    if (member !== undefined) this.#obey(member, member.membership.claimed(claim, this.#instant()));
  }

  /** The round on the slot's register, at one stroke: it takes a majority of the other slots' holders that vote. */
  #claim(member: Member, claim: Claim): void {
    member.claims.push(claim.slot);
    const agreeing = this.members.filter(
      ({ isAlive, membership, process }) =>
        isAlive &&
        membership.votingSlot > 0 &&
        membership.votingSlot !== claim.slot &&
        this.delayMs({ from: member.process, to: process, message: { type: 'who', request: 1 } }) !== null &&
        membership.maySlotChange(claim.slot, this.nowMs),
    );
    if (agreeing.length < majorityOf(member.membership.view?.holders.length ?? 0)) {
      member.membership.claimFailed();
      return;
    }
    const held = this.#slots.get(claim.slot);
    const standing = held !== undefined && held.holder.generation >= claim.holder.generation ? held : claim;
    this.#slots.set(claim.slot, standing);
    this.#obey(member, member.membership.claimed(standing, this.#instant()));
  }

  #post(from: number, to: number, message: MembershipMessage): void {
    for (const { process } of this.members) {
      if (process === from || (to !== 0 && to !== process)) continue;
      const letter = { from, to: process, message };
      const delayMs = this.delayMs(letter);
      if (delayMs !== null) this.#letters.push({ ...letter, atMs: this.nowMs + delayMs });
    }
  }

  #instant() {
    return { monotonicMs: this.nowMs, wallMs: 1_700_000_000_000 + this.nowMs };
  }
}
