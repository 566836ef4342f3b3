import debugging from 'debug';
import {
  type Holder,
  type Membership,
  type Peer,
  type PeerTable,
  SUSPICION_MS,
  suspicionOf,
} from '../membership/index.js';

const debug = debugging('connect-paxos:members');

/** A process of the farm, as another one knows it. */
export interface Member {
  /** Its number in base 36; drawn anew at each start. */
  readonly process: string;
  /** `host:pid`, or what its option `name` says. */
  readonly name: string;
  /** Host that it runs on; empty where it has never been heard. */
  readonly host: string;
  /** Where its datagrams come from; `null` for this process and for those never heard. */
  readonly address: string | null;
  /** Voter slot that it holds, from 1; 0 for none. */
  readonly slot: number;
  /** How often that slot has changed hands, from 1; 0 for none. */
  readonly generation: number;
  /**
   * `voter`: votes for its slot; `recovering`: holds a slot, and reads the memory that goes with it; `learner`: has none;
   * `seeking`: has not found the farm yet; `leaving`: has said good-bye.
   */
  readonly role: 'voter' | 'recovering' | 'learner' | 'seeking' | 'leaving';
  readonly isSelf: boolean;
  /** Whether it does not count as gone. */
  readonly isUp: boolean;
  /**
   * 0..1: how long it has been silent, as a share of the patience after which it counts as gone. That is 3 s; more, up to
   * 30 s, for one that was silent before and came back, which wears off by half a minute. 1 once it has said good-bye.
   */
  readonly suspicion: number;
  /** Smoothed mean in ms; `null` where none was measured, and for this process. */
  readonly roundTripMs: number | null;
}

/** What has become of a process of the farm, as this one sees it. */
export interface MemberEvent {
  /**
   * `joined`: heard for the first time, or again after it was forgotten; `left`: it said good-bye; `suspected`: it was
   * silent for longer than its patience; `returned`: it is heard again after that.
   */
  readonly kind: 'joined' | 'left' | 'suspected' | 'returned';
  readonly member: Member;
}

export interface MembersContext {
  readonly process: number;
  readonly name: string;
  readonly host: string;
  readonly membership: Pick<Membership, 'view' | 'slot' | 'phase' | 'number'>;
  readonly peers: PeerTable;
  monotonicMs(): number;
  tell(event: MemberEvent): void;
}

/** What was said last of a process. */
interface Told {
  state: 'up' | 'suspected' | 'left';
  atMs: number;
  member: Member;
}

/** Of one process something is told at most once in that time. */
const TELL_INTERVAL_MS = 1000;
/** How often to look at those who are silent, until their patience is over. */
const LOOK_INTERVAL_MS = 100;
/** After a gap as long between two looks this process was paused: what was said meanwhile waits to be read. */
const PAUSE_MS = 1000;

/** Who is in the farm, and who comes and goes: for people and applications. Nothing of the protocol rests on it. */
export class Members {
  readonly #context: MembersContext;
  /** By process; of those that the peer table knows. */
  readonly #told = new Map<number, Told>();
  #suspected = 0;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #listeningSinceMs = Number.NEGATIVE_INFINITY;
  /** When the first of those heard may come to be suspected. */
  #nextMs = Number.NEGATIVE_INFINITY;

  constructor(context: MembersContext) {
    this.#context = context;
  }

  /**
   * All that this process knows of, itself included: voters by their slots, then the others by their numbers. Those that
   * have left are there only while they hold a slot.
   */
  list(): Member[] {
    const nowMs = this.#context.monotonicMs();
    const members = [this.#self(), ...this.#unheard()];
    for (const peer of this.#context.peers) {
      const member = this.#describe(peer, nowMs);
      if (member !== null && (member.slot > 0 || member.role !== 'leaving')) members.push(member);
    }
    const place = ({ slot }: Member): number => slot || Number.POSITIVE_INFINITY;
    return members.sort(
      (a, b) => place(a) - place(b) || Number.parseInt(a.process, 36) - Number.parseInt(b.process, 36),
    );
  }

  /** @returns `null` for a process of which nothing is known but its number, if that */
  get(process: number): Member | null {
    if (process === this.#context.process) return this.#self();
    const peer = this.#context.peers.get(process);
    return peer === undefined ? null : this.#describe(peer, this.#context.monotonicMs());
  }

  /** Looks at the time: at intervals well below a second. Mostly there is nothing to do. */
  look(nowMs: number): void {
    if (nowMs - this.#lookedMs > PAUSE_MS) {
      this.#listeningSinceMs = nowMs;
      this.#nextMs = nowMs;
    }
    this.#lookedMs = nowMs;
    if (nowMs < this.#nextMs) return;
    // Whoever comes meanwhile is not suspected before that either.
    this.#nextMs = nowMs + SUSPICION_MS;
    for (const peer of this.#context.peers) this.#consider(peer, nowMs);
  }

  /** Something came from that process. */
  heard(process: number, nowMs: number): void {
    if (this.#suspected === 0 || this.#told.get(process)?.state !== 'suspected') return;
    const peer = this.#context.peers.exact(process);
    if (peer !== undefined) this.#consider(peer, nowMs);
  }

  /** That process has said who it is, or that it leaves. */
  introduced(process: number, nowMs: number): void {
    const peer = this.#context.peers.exact(process);
    if (peer !== undefined) this.#consider(peer, nowMs);
  }

  /** Nothing is known any more of that process, which was silent for long. */
  forget(process: number): void {
    const told = this.#told.get(process);
    if (told === undefined) return;
    this.#told.delete(process);
    if (told.state === 'suspected') this.#suspected -= 1;
    debug('%s: %s is forgotten after a long silence', this.#context.name, nameOf(told.member));
    // Nobody has looked since it fell silent: this process was paused. Who counts members must hear that it is gone.
    if (told.state === 'up') {
      this.#context.tell({ kind: 'suspected', member: { ...told.member, isUp: false, suspicion: 1 } });
    }
  }

  #consider(peer: Peer, nowMs: number): void {
    if (peer.introduction === null) return;
    const told = this.#told.get(peer.process);
    const state = peer.leftMs !== null ? 'left' : this.#suspicionOf(peer, nowMs) < 1 ? 'up' : 'suspected';
    if (state === 'up') {
      const dueMs = Math.max(peer.lastHeardMs, this.#listeningSinceMs) + SUSPICION_MS;
      this.#wakeAt(dueMs > nowMs ? dueMs : nowMs + LOOK_INTERVAL_MS);
    }
    if (state === told?.state || (told === undefined && state !== 'up')) return;
    if (told !== undefined && nowMs - told.atMs < TELL_INTERVAL_MS) this.#wakeAt(told.atMs + TELL_INTERVAL_MS);
    else this.#tell(peer, state, told, nowMs);
  }

  #wakeAt(ms: number): void {
    this.#nextMs = Math.min(this.#nextMs, ms);
  }

  #tell(peer: Peer, state: Told['state'], before: Told | undefined, nowMs: number): void {
    const member = this.#describe(peer, nowMs);
    if (member === null) return;
    this.#suspected += Number(state === 'suspected') - Number(before?.state === 'suspected');
    this.#told.set(peer.process, { state, atMs: nowMs, member });
    const kind = state === 'up' ? (before === undefined ? 'joined' : 'returned') : state;
    debug('%s: %s %s', this.#context.name, nameOf(member), this.#storyOf(kind, peer, nowMs));
    this.#context.tell({ kind, member });
  }

  #storyOf(kind: MemberEvent['kind'], peer: Peer, nowMs: number): string {
    switch (kind) {
      case 'joined':
        return 'is in contact';
      case 'left':
        return 'has said good-bye';
      case 'suspected':
        return `counts as gone: silent for ${seconds(nowMs - peer.lastHeardMs)}, and its patience is ${seconds(peer.patience.ms(nowMs))}. It has ended, is paused, or the network between it and this process is cut`;
      case 'returned':
        return `is heard again; it now counts as gone after ${seconds(peer.patience.ms(nowMs))} of silence`;
    }
  }

  #suspicionOf(peer: Peer, nowMs: number): number {
    // After a pause of this process everybody seems silent.
    const sinceMs = nowMs - this.#lookedMs > PAUSE_MS ? nowMs : this.#listeningSinceMs;
    return suspicionOf(peer, nowMs, sinceMs);
  }

  #self(): Member {
    const { process, name, host, membership } = this.#context;
    const { slot, phase, view } = membership;
    return {
      process: process.toString(36),
      name,
      host,
      address: null,
      slot,
      generation: view?.holders[slot - 1]?.generation ?? 0,
      role: phase,
      isSelf: true,
      isUp: true,
      suspicion: 0,
      roundTripMs: null,
    };
  }

  /** @returns `null` while it has not said who it is, and holds no slot */
  #describe(peer: Peer, nowMs: number): Member | null {
    const said = peer.introduction;
    const slot = this.#slotOf(peer);
    const holder = this.#context.membership.view?.holders[slot - 1];
    if (said === null && holder == null) return null;
    const suspicion = this.#suspicionOf(peer, nowMs);
    return {
      process: peer.process.toString(36),
      name: said?.name ?? holder?.name ?? '',
      host: said?.host ?? '',
      address: `${peer.address.host}:${peer.address.port}`,
      slot,
      generation: holder?.generation ?? 0,
      role: roleOf(said?.phase ?? 'voter', slot),
      isSelf: false,
      isUp: suspicion < 1,
      suspicion,
      roundTripMs: peer.roundTrip.meanMs,
    };
  }

  /** Of several slots that name it as their holder it is the one that it says. */
  #slotOf(peer: Peer): number {
    const holders = this.#context.membership.view?.holders ?? [];
    const isIts = (holder: Holder | null | undefined): boolean =>
      holder != null && !this.#isSelf(holder) && this.#context.peers.get(holder.process) === peer;
    const said = peer.introduction?.slot ?? 0;
    return isIts(holders[said - 1]) ? said : holders.findIndex(isIts) + 1;
  }

  /** Holders of slots that this process has heard nothing of, or not for long. */
  #unheard(): Member[] {
    const { membership, peers } = this.#context;
    return (membership.view?.holders ?? []).flatMap((holder, index) => {
      if (holder === null || this.#isSelf(holder) || peers.get(holder.process) !== undefined) return [];
      const { process, name, generation } = holder;
      return [{ ...strangerOf(process), name, slot: index + 1, generation, role: 'voter' as const }];
    });
  }

  #isSelf({ process }: Holder): boolean {
    return process === this.#context.process || process === this.#context.membership.number;
  }
}

/** A process that was never heard, or is forgotten. */
export function strangerOf(process: number): Member {
  return {
    process: process.toString(36),
    name: '',
    host: '',
    address: null,
    slot: 0,
    generation: 0,
    role: 'learner',
    isSelf: false,
    isUp: false,
    suspicion: 1,
    roundTripMs: null,
  };
}

/** For people. */
export function nameOf({ name, process, slot, address }: Member): string {
  const place = slot === 0 ? 'no slot' : `slot ${slot}`;
  return `${name || 'a process never heard'} (process ${process}, ${place}${address === null ? '' : `, ${address}`})`;
}

/** By its own account, but for one whose slot is another's, or who votes in another farm. */
function roleOf(phase: Member['role'], slot: number): Member['role'] {
  return slot === 0 && (phase === 'voter' || phase === 'recovering') ? 'learner' : phase;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}
