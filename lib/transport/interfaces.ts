/** The network interfaces of this machine, as multicast needs them. */
import { BlockList, isIP } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import { canonicalHost, type Family } from './endpoints.js';

/** One interface, in one family. */
export interface Interface {
  readonly name: string;
  /** Its first address. */
  readonly address: string;
  /** Whether it is the loopback interface. */
  readonly internal: boolean;
  /** How `addMembership` and `setMulticastInterface` name it. */
  readonly selector: string;
  /** Its subnets. */
  readonly cidrs: readonly string[];
  readonly addresses: readonly string[];
}

/** Linux lets a socket join 20 IPv4 groups (`net.ipv4.igmp_max_memberships`), one for each interface here. */
export const MAX_INTERFACES = 20;

export type Listing = () => NodeJS.Dict<NetworkInterfaceInfo[]>;

/** The interfaces that are up and have an address of that family: loopback first, so that it is within any bound. */
export function listInterfaces(family: Family, list: Listing = networkInterfaces): Interface[] {
  const found: Interface[] = [];
  for (const [name, infos = []] of Object.entries(list())) {
    const own = infos.filter((info) => info.family === `IPv${family}`);
    const [first] = own;
    if (!first) continue;
    found.push({
      name,
      address: first.address,
      internal: first.internal,
      selector: family === 4 ? first.address : `::%${zoneOf(name, own)}`,
      cidrs: own.flatMap(({ cidr }) => cidr ?? []),
      addresses: own.map(({ address }) => address),
    });
  }
  return found.sort((a, b) => Number(b.internal) - Number(a.internal));
}

/** The interface that a user named by its name or one of its addresses. */
export function findInterface(nameOrAddress: string, interfaces: readonly Interface[]): Interface | undefined {
  const named = interfaces.find(({ name }) => name === nameOrAddress);
  if (named) return named;
  const wanted = canonicalHost(withoutZone(nameOrAddress));
  const holder = interfaces.find(({ addresses }) => addresses.includes(wanted));
  // An interface may have several IPv4 addresses; the one that was named is the one to send from.
  if (holder && isIP(wanted) === 4) return { ...holder, address: wanted, selector: wanted };
  if (holder) return holder;
  // All of 127/8 is this machine, though only 127.0.0.1 is listed.
  return wanted.startsWith('127.') && isIP(wanted) === 4 ? interfaces.find(({ internal }) => internal) : undefined;
}

/** The addresses of this machine, as they are when it is asked. */
export class OwnAddresses {
  readonly #onFailure: (error: unknown) => void;
  readonly #list: Listing;
  #known: ReadonlySet<string> | undefined;

  /** @param onFailure is told when the system does not say, as it does not while too many files are open */
  constructor(onFailure: (error: unknown) => void, list: Listing = networkInterfaces) {
    this.#onFailure = onFailure;
    this.#list = list;
  }

  /** As it was, where the system does not say any more. @throws the system's error, where it has never said */
  has(host: string): boolean {
    return isLoopback(host) || this.look().has(withoutZone(host));
  }

  /** @throws as `has` */
  look(): ReadonlySet<string> {
    try {
      const all = Object.values(this.#list()).flatMap((infos) => infos ?? []);
      this.#known = new Set(all.map(({ address }) => address));
    } catch (error) {
      if (this.#known === undefined) throw error;
      this.#onFailure(error);
    }
    return this.#known;
  }
}

/** Whether only this machine can send there. */
export function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith('127.') : canonicalHost(host) === '::1';
}

/** For an error message: `lo 127.0.0.1, eth0 192.0.2.2`. */
export function describeInterfaces(interfaces: readonly Interface[]): string {
  return interfaces.map(({ name, address }) => `${name} ${address}`).join(', ') || 'none';
}

/** Tells behind which interface an address is, by the interfaces' subnets. */
export class Subnets {
  readonly #subnets: { readonly name: string; readonly list: BlockList }[] = [];
  readonly #family: 'ipv4' | 'ipv6';

  constructor(family: Family, interfaces: readonly Interface[]) {
    this.#family = `ipv${family}`;
    for (const { name, cidrs } of interfaces) {
      const list = new BlockList();
      for (const cidr of cidrs) {
        const [net = '', bits = ''] = cidr.split('/');
        list.addSubnet(net, Number(bits), this.#family);
      }
      this.#subnets.push({ name, list });
    }
  }

  /** @returns the interface's name, or undefined if the address is beyond a router */
  interfaceOf(host: string): string | undefined {
    const [address = '', zone] = host.split('%');
    // fe80::/64 is every interface's subnet; the zone says which one is meant.
    const byZone = zone && this.#subnets.find(({ name }) => name === zone);
    return (byZone || this.#subnets.find(({ list }) => list.check(address, this.#family)))?.name;
  }
}

function withoutZone(host: string): string {
  return host.split('%', 1)[0] ?? host;
}

/** Windows knows zones by number, which only the link-local address carries. */
function zoneOf(name: string, infos: readonly NetworkInterfaceInfo[]): string {
  if (process.platform !== 'win32') return name;
  return String(infos.find((info) => info.family === 'IPv6' && info.scopeid !== 0)?.scopeid ?? 0);
}
