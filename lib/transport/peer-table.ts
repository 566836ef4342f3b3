/** The nodes that a user listed, and the addresses that their names stand for at present. */
import { lookup } from 'node:dns/promises';
import { type Family, familyOf, formatEndpoint } from './endpoints.js';
import { messageOf } from './failures.js';
import type { Address } from './transport.js';

/** All numeric addresses of a name, best first; rejects if there are none. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** As the system resolves names, `/etc/hosts` included. */
export const systemResolve: Resolve = async (name) =>
  (await lookup(name, { all: true, verbatim: true })).map(({ address }) => address);

/** Where a listed node is, at present. */
export interface PeerAddress extends Address {
  /** Whether it was listed by a name, so that it may be elsewhere tomorrow. */
  readonly isNamed: boolean;
}

/** A name may stand for many nodes (a headless service); this bounds them all. */
const MAX_ADDRESSES = 256;

/** Names are resolved when asked, never for a datagram. */
export class PeerTable {
  readonly #peers: readonly Address[];
  readonly #resolve: Resolve;
  /** By host as the user wrote it. A name that can't be resolved any more keeps the addresses it had. */
  readonly #hosts = new Map<string, readonly string[]>();

  constructor(peers: readonly Address[], resolve: Resolve = systemResolve) {
    this.#peers = peers;
    this.#resolve = resolve;
  }

  /** Resolves all names anew. Never rejects. @returns the names that could not be resolved, each with the reason */
  async refresh(): Promise<readonly string[]> {
    const failed: string[] = [];
    const resolveOne = async (host: string): Promise<void> => {
      try {
        this.#hosts.set(host, familyOf(host) === undefined ? await this.#resolve(host) : [host]);
      } catch (error) {
        failed.push(`${host} (${messageOf(error)})`);
      }
    };
    await Promise.all([...new Set(this.#peers.map(({ host }) => host))].map(resolveOne));
    return failed;
  }

  /** The family in which most can be reached; the same on every node, where all see the same names. */
  preferredFamily(): Family {
    return this.addresses(4).length > 0 ? 4 : 6;
  }

  /** The listed nodes' addresses of one family, in the list's order, each once. */
  addresses(family: Family): PeerAddress[] {
    const found = new Map<string, PeerAddress>();
    for (const { host, port } of this.#peers) {
      for (const address of this.#hosts.get(host) ?? []) {
        if (familyOf(address) !== family || found.size >= MAX_ADDRESSES) continue;
        const isNamed = familyOf(host) === undefined;
        found.set(formatEndpoint({ host: address, port }), { host: address, port, isNamed });
      }
    }
    return [...found.values()];
  }
}
