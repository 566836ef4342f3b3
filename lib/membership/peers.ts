import { lastSlotOf } from '../paxos/index.js';
import { RoundTrip } from './round-trip.js';

/** Where a process can be reached: the address its datagrams come from. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** What a process said of itself in its latest hello. */
export interface Introduction {
  readonly name: string;
  readonly host: string;
  readonly streamPort: number;
  readonly clusterSize: number;
  readonly wish: number;
  readonly phase: 'seeking' | 'voter' | 'learner' | 'leaving' | 'recovering';
  readonly bound: number;
  readonly incarnation: number;
  /** Slot that it holds by its own account; 0 for none. */
  readonly slot: number;
  /** Number under which it holds it, if that is not its own; else 0. */
  readonly voter: number;
  readonly isDurable: boolean;
  /** Whether it can hold no slot any more. */
  readonly hasResigned: boolean;
  /** Slots whose holders it finds gone. */
  readonly open: readonly number[];
  /** Holders that it knows to have ended. */
  readonly ended: readonly number[];
  /** See `Hello.copied`. */
  readonly copied: number;
  /** The farm that it has given up; 0 if none. */
  readonly lost: number;
}

/** Whether it says of itself that it has that slot of that farm. */
export function isAt(said: Introduction, slot: number, farm: { readonly incarnation: number } | null): boolean {
  return said.slot === slot && said.incarnation === farm?.incarnation;
}

/** Whether it says of itself that it has another slot of that farm: it was named in both. */
export function isAtAnother(
  said: Introduction | null | undefined,
  slot: number,
  farm: { readonly incarnation: number } | null,
): boolean {
  return said != null && said.slot !== 0 && said.slot !== slot && said.incarnation === farm?.incarnation;
}

/**
 * Whether the holder of that slot hears none of the other voters, by its own account: its words get through, and those of
 * others don't get to it. Whoever hears one of them can still answer that one.
 */
export function isDeaf({ open }: Introduction, slot: number, sizes: readonly number[]): boolean {
  const others = lastSlotOf(sizes) - 1;
  return others > 0 && open.filter((each) => each !== slot && each <= others + 1).length === others;
}

/** Another process of the farm, as this one knows it. */
export interface Peer {
  readonly process: number;
  address: PeerAddress;
  introduction: Introduction | null;
  /** When that came, in monotonic ms. */
  introducedMs: number;
  /** Monotonic ms; −∞ once it has said good-bye. */
  lastHeardMs: number;
  /** Monotonic ms of its good-bye. */
  leftMs: number | null;
  readonly roundTrip: RoundTrip;
  readonly patience: Patience;
}

/** Silence after which a process counts as gone, at first; and at most, for one that has come back before. */
export const SUSPICION_MS = 3000;
const MAX_SUSPICION_MS = 30_000;
/** The patience beyond the first is halved in that time. */
const HALF_LIFE_MS = 60_000;

/**
 * How long a process may be silent until it counts as gone. Whoever was silent for a while and came back is only slow: it
 * gets twice that time, or it would lose its slot at each of its pauses (the time-out that grows at a false suspicion:
 * Chandra, Toueg, *Unreliable Failure Detectors for Reliable Distributed Systems*, 1996). That wears off.
 */
export class Patience {
  #extraMs = 0;
  #sinceMs = 0;

  /** It was heard again after that silence. */
  renew(silenceMs: number, nowMs: number): void {
    if (silenceMs < SUSPICION_MS / 2) return;
    const extraMs = Math.min(MAX_SUSPICION_MS, 2 * silenceMs) - SUSPICION_MS;
    if (extraMs <= this.#extraAt(nowMs)) return;
    this.#extraMs = extraMs;
    this.#sinceMs = nowMs;
  }

  ms(nowMs: number): number {
    return SUSPICION_MS + this.#extraAt(nowMs);
  }

  #extraAt(nowMs: number): number {
    return this.#extraMs * 2 ** (-(nowMs - this.#sinceMs) / HALF_LIFE_MS);
  }
}

/**
 * How much speaks for that process's being gone, 0..1: its silence as a share of what it may be silent for. At 1 it counts
 * as gone.
 *
 * @param sinceMs since when this process listens: what was before says nothing
 */
export function suspicionOf({ lastHeardMs, leftMs, patience }: Peer, nowMs: number, sinceMs: number): number {
  if (leftMs !== null) return 1;
  const silenceMs = Math.max(0, nowMs - Math.max(lastHeardMs, sinceMs));
  return Math.min(1, silenceMs / patience.ms(nowMs));
}

/** Peers remembered at most; of more, the one longest silent is dropped. */
const MAX_PEERS = 1024;

/** The other processes heard of. */
export class PeerTable {
  readonly #peers = new Map<number, Peer>();
  /** Processes by the numbers under which they vote. */
  readonly #acting = new Map<number, number>();
  readonly #forgotten: (process: number) => void;

  /** @param forgotten told of each process that the table knows no more: what is kept of it elsewhere is to go too */
  constructor(forgotten: (process: number) => void = () => undefined) {
    this.#forgotten = forgotten;
  }

  /** @param number of a process, or the one under which it votes, having an earlier one's memory */
  get(number: number): Peer | undefined {
    return this.#peers.get(this.#acting.get(number) ?? number);
  }

  /** That very process, whoever has its memory now. */
  exact(process: number): Peer | undefined {
    return this.#peers.get(process);
  }

  /** A process has introduced itself. */
  introduce(peer: Peer, introduction: Introduction, nowMs: number): void {
    this.#stopActing(peer);
    peer.introduction = introduction;
    peer.introducedMs = nowMs;
    if (introduction.voter !== 0) this.#acting.set(introduction.voter, peer.process);
  }

  [Symbol.iterator](): IterableIterator<Peer> {
    return this.#peers.values();
  }

  get size(): number {
    return this.#peers.size;
  }

  /**
   * It was heard over a connection, which says nothing of where its datagrams come from.
   *
   * @returns whether it is known: nothing is to be kept of others, or that would stay for ever
   */
  hearAgain(process: number, nowMs: number): boolean {
    const peer = this.#peers.get(process);
    if (peer === undefined) return false;
    renew(peer, nowMs);
    return true;
  }

  /** An authentic datagram came from it. */
  hear(process: number, address: PeerAddress, nowMs: number): Peer {
    let peer = this.#peers.get(process);
    if (peer === undefined) {
      if (this.#peers.size >= MAX_PEERS) this.#dropLongestSilent();
      peer = {
        process,
        address,
        introduction: null,
        introducedMs: Number.NEGATIVE_INFINITY,
        lastHeardMs: nowMs,
        leftMs: null,
        roundTrip: new RoundTrip(),
        patience: new Patience(),
      };
      this.#peers.set(process, peer);
    } else {
      if (peer.address.host !== address.host || peer.address.port !== address.port) peer.address = address;
      renew(peer, nowMs);
    }
    return peer;
  }

  /** How long that very process has not been heard; 0 if it never was, or has said good-bye. */
  silenceMs(process: number, nowMs: number): number {
    const peer = this.#peers.get(process);
    return peer === undefined || peer.leftMs !== null ? 0 : nowMs - peer.lastHeardMs;
  }

  isHeard(number: number, nowMs: number, withinMs: number): boolean {
    const peer = this.get(number);
    return peer !== undefined && nowMs - peer.lastHeardMs <= withinMs;
  }

  /** It has said good-bye: it is not heard any more, whatever comes late. It is remembered for a while, as one that is gone. */
  leave(peer: Peer, nowMs: number): void {
    peer.leftMs = nowMs;
    peer.lastHeardMs = Number.NEGATIVE_INFINITY;
  }

  /** Forgets those who were silent for longer. */
  dropSilent(nowMs: number, longerThanMs: number): void {
    for (const peer of this.#peers.values()) {
      if (nowMs - (peer.leftMs ?? peer.lastHeardMs) > longerThanMs) this.#drop(peer);
    }
  }

  #dropLongestSilent(): void {
    let silent: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (silent === undefined || peer.lastHeardMs < silent.lastHeardMs) silent = peer;
    }
    if (silent !== undefined) this.#drop(silent);
  }

  #drop(peer: Peer): void {
    this.#peers.delete(peer.process);
    this.#stopActing(peer);
    this.#forgotten(peer.process);
  }

  #stopActing({ process, introduction }: Peer): void {
    const voter = introduction?.voter ?? 0;
    if (this.#acting.get(voter) === process) this.#acting.delete(voter);
  }
}

/** Its last answers come by another socket than its good-bye, and may be read after that: they don't bring it back. */
function renew(peer: Peer, nowMs: number): void {
  if (peer.leftMs !== null) return;
  peer.patience.renew(nowMs - peer.lastHeardMs, nowMs);
  peer.lastHeardMs = Math.max(peer.lastHeardMs, nowMs);
}
