import { RoundTrip } from './round-trip.js';

/** Where a process can be reached: the address its datagrams come from. */
export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

/** What a process said of itself in its latest hello. */
export interface Introduction {
  readonly name: string;
  readonly streamPort: number;
  readonly clusterSize: number;
  readonly wish: number;
  readonly phase: 'seeking' | 'voter' | 'learner' | 'leaving';
  readonly bound: number;
  readonly incarnation: number;
}

/** Another process of the farm, as this one knows it. */
export interface Peer {
  readonly process: number;
  address: PeerAddress;
  introduction: Introduction | null;
  /** Monotonic ms; −∞ once it has said good-bye. */
  lastHeardMs: number;
  readonly roundTrip: RoundTrip;
}

/** Peers remembered at most; of more, the one longest silent is dropped. */
const MAX_PEERS = 1024;

/** The other processes heard of. */
export class PeerTable {
  readonly #peers = new Map<number, Peer>();
  readonly #forgotten: (process: number) => void;

  /** @param forgotten told of each process that the table knows no more: what is kept of it elsewhere is to go too */
  constructor(forgotten: (process: number) => void = () => undefined) {
    this.#forgotten = forgotten;
  }

  get(process: number): Peer | undefined {
    return this.#peers.get(process);
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
      peer = { process, address, introduction: null, lastHeardMs: nowMs, roundTrip: new RoundTrip() };
      this.#peers.set(process, peer);
    } else {
      if (peer.address.host !== address.host || peer.address.port !== address.port) peer.address = address;
      renew(peer, nowMs);
    }
    return peer;
  }

  isHeard(process: number, nowMs: number, withinMs: number): boolean {
    const peer = this.#peers.get(process);
    return peer !== undefined && nowMs - peer.lastHeardMs <= withinMs;
  }

  /** Forgets those who were silent for longer. */
  dropSilent(nowMs: number, longerThanMs: number): void {
    for (const peer of this.#peers.values()) if (nowMs - peer.lastHeardMs > longerThanMs) this.#drop(peer);
  }

  #dropLongestSilent(): void {
    let silent: Peer | undefined;
    for (const peer of this.#peers.values()) {
      if (silent === undefined || peer.lastHeardMs < silent.lastHeardMs) silent = peer;
    }
    if (silent !== undefined) this.#drop(silent);
  }

  #drop({ process }: Peer): void {
    this.#peers.delete(process);
    this.#forgotten(process);
  }
}

/** Its last answers come by another socket than its good-bye, and may be read after that: they don't bring it back. */
function renew(peer: Peer, nowMs: number): void {
  if (peer.introduction?.phase !== 'leaving') peer.lastHeardMs = Math.max(peer.lastHeardMs, nowMs);
}
