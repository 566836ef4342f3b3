/** The user's `transport` option: its forms, defaults and limits. All mistakes are found here, before a socket is opened. */
import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import { type Family, familyOf, formatEndpoint, parseEndpoint } from './endpoints.js';
import type { Address, Transport } from './transport.js';

/** What all the built-in transports take. */
export interface CommonTransportOptions {
  /** Bytes of the largest datagram, 512..7800. Above the network's MTU less 28 (IPv6: 48) IP splits it. Default 1400. */
  readonly maxDatagramSize?: number | undefined;
  /** Bytes of kernel buffer to ask for, 65536..1073741824; the kernel may grant less. Default 4 MiB. */
  readonly receiveBufferSize?: number | undefined;
  /** TCP port for what is too large for a datagram; 0, the default, lets the system choose. */
  readonly streamPort?: number | undefined;
}

/** One datagram reaches every node: for networks with multicast. */
export interface MulticastOptions extends CommonTransportOptions {
  /** Group and port: `239.1.2.3:5000` or `[ff15::77]:5000`. Default `239.255.77.77:7707`. */
  readonly multicast?: string | undefined;
  /** Address or name of the one interface to use: `10.0.0.5`, `eth0`. Default: every interface. */
  readonly interface?: string | undefined;
  /** Routers a datagram may pass plus one, 0..255. Default 1, the local network. */
  readonly ttl?: number | undefined;
}

/** One datagram reaches every node of an IPv4 subnet, by its broadcast address. */
export interface BroadcastOptions extends CommonTransportOptions {
  /** Broadcast address and port: `192.0.2.255:5000`. */
  readonly broadcast: string;
}

/** A datagram is sent to each of the nodes named: for networks without multicast. */
export interface PeersOptions extends CommonTransportOptions {
  /** All nodes, 1..256, this one included: `10.0.0.1:5000`, `[::1]:5000` or `dns-name:5000`. The same list everywhere. */
  readonly peers: readonly string[];
  /** Where this node listens: `0.0.0.0:5000`. Default: the first of `peers` that is this machine's and is free. */
  readonly bind?: string | undefined;
}

/** What `transport` takes. */
export type TransportOption = MulticastOptions | BroadcastOptions | PeersOptions | Transport;

interface CommonSettings {
  readonly maxDatagramSize: number;
  readonly receiveBufferSize: number;
  readonly streamPort: number;
}

export interface MulticastSettings extends CommonSettings {
  readonly kind: 'multicast';
  readonly group: Address;
  readonly family: Family;
  /** Undefined for every interface. */
  readonly interface: string | undefined;
  readonly ttl: number;
}

export interface BroadcastSettings extends CommonSettings {
  readonly kind: 'broadcast';
  readonly to: Address;
}

export interface PeersSettings extends CommonSettings {
  readonly kind: 'peers';
  /** `host` may be a name here. */
  readonly peers: readonly Address[];
  readonly bind: Address | undefined;
  /** Undefined if only names are given. */
  readonly family: Family | undefined;
}

/** A {@link TransportOption} with all defaults filled in; a `Transport` of the user's own passes through. */
export type UdpSettings = MulticastSettings | BroadcastSettings | PeersSettings;
export type TransportSettings = UdpSettings | { readonly kind: 'custom'; readonly transport: Transport };

const DEFAULT_GROUP = '239.255.77.77:7707';
const MAX_PEERS = 256;
const COMMON_NAMES = ['maxDatagramSize', 'receiveBufferSize', 'streamPort'];
const FORMS =
  "nothing (UDP multicast), { multicast: '239.1.2.3:5000', interface, ttl }, { broadcast: '192.0.2.255:5000' }, " +
  "{ peers: ['10.0.0.1:5000', …], bind } or an object that implements Transport";

/**
 * Checks the user's `transport` option and fills in what was left out.
 * @throws ConfigError that says which option, what it got and what it takes.
 */
export function parseTransportOption(option: unknown): TransportSettings {
  if (option === undefined) return parseMulticast({});
  if (!isRecord(option)) throw refuse('transport', option, FORMS);
  if (typeof option.open === 'function') return { kind: 'custom', transport: checkTransport(option) };

  const forms = ['multicast', 'broadcast', 'peers'].filter((name) => option[name] !== undefined);
  if (forms.length > 1) throw refuse('transport', option, `only one of ${forms.join(' and ')}`);
  if (option.broadcast !== undefined) return parseBroadcast(option);
  if (option.peers !== undefined) return parsePeers(option);
  return parseMulticast(option);
}

function parseMulticast(option: Record<string, unknown>): MulticastSettings {
  refuseOthers(option, ['multicast', 'interface', 'ttl']);
  const text = option.multicast ?? DEFAULT_GROUP;
  const takes = "a multicast group and port: '239.1.2.3:5000' or '[ff15::77]:5000'";
  const group = endpointOf('transport.multicast', text, takes);
  const family = familyOf(group.host);
  // A zone (`ff02::1%eth0`) would name one interface in a place of its own; `interface` does.
  if (family === undefined || group.port === 0 || group.host.includes('%') || !isMulticast(group.host)) {
    throw refuse('transport.multicast', text, takes);
  }
  const name = option.interface;
  if (name !== undefined) {
    if (typeof name !== 'string' || name === '' || name.length > 255) {
      throw refuse('transport.interface', name, "an interface's address or name: '10.0.0.5' or 'eth0'");
    }
    const given = familyOf(name);
    if (given !== undefined && given !== family) {
      throw refuse('transport.interface', name, `an IPv${family} address, as the group ${group.host} is`);
    }
  }
  const ttl = integerOf('transport.ttl', option.ttl, 1, 0, 255);
  return { kind: 'multicast', group, family, interface: name, ttl, ...parseCommon(option) };
}

function parseBroadcast(option: Record<string, unknown>): BroadcastSettings {
  refuseOthers(option, ['broadcast']);
  const takes = "an IPv4 subnet's broadcast address and port: '192.0.2.255:5000' (IPv6 has none: use multicast)";
  const to = endpointOf('transport.broadcast', option.broadcast, takes);
  if (familyOf(to.host) !== 4 || to.port === 0 || isMulticast(to.host) || to.host === '0.0.0.0') {
    throw refuse('transport.broadcast', option.broadcast, takes);
  }
  return { kind: 'broadcast', to, ...parseCommon(option) };
}

function parsePeers(option: Record<string, unknown>): PeersSettings {
  refuseOthers(option, ['peers', 'bind']);
  const list: unknown = option.peers;
  const takes = `an array of 1 to ${MAX_PEERS} of 'host:port' ('10.0.0.1:5000', '[::1]:5000', 'dns-name:5000')`;
  if (!Array.isArray(list) || list.length < 1 || list.length > MAX_PEERS) throw refuse('transport.peers', list, takes);

  const peers = new Map<string, Address>();
  for (const [index, text] of list.entries()) {
    const name = `transport.peers[${index}]`;
    const each = "'host:port' of one node: '10.0.0.1:5000', '[::1]:5000' or 'dns-name:5000'";
    const peer = endpointOf(name, text, each);
    if (peer.port === 0 || isWildcard(peer.host) || isMulticast(peer.host)) throw refuse(name, text, each);
    peers.set(formatEndpoint(peer), peer);
  }
  const bindTakes = "'host:port' of this machine: '10.0.0.1:5000' or '0.0.0.0:5000'";
  const bind = option.bind === undefined ? undefined : endpointOf('transport.bind', option.bind, bindTakes);
  if (bind && isMulticast(bind.host)) throw refuse('transport.bind', option.bind, bindTakes);

  // One socket sends to all of them, so they are of one family.
  const families = new Set([...peers.values(), ...(bind ? [bind] : [])].map(({ host }) => familyOf(host)));
  families.delete(undefined);
  if (families.size > 1) {
    throw refuse('transport.peers', list, "addresses (and 'bind') all of IPv4 or all of IPv6, not both");
  }
  const [family] = families;
  return { kind: 'peers', peers: [...peers.values()], bind, family, ...parseCommon(option) };
}

function parseCommon(option: Record<string, unknown>): CommonSettings {
  return {
    // 7800 B is the last step at which a datagram's memory fits its size well; at least 512, or headers eat it up.
    maxDatagramSize: integerOf('transport.maxDatagramSize', option.maxDatagramSize, 1400, 512, 7800),
    receiveBufferSize: integerOf(
      'transport.receiveBufferSize',
      option.receiveBufferSize,
      4 * 1024 * 1024,
      64 * 1024,
      1024 * 1024 * 1024,
    ),
    streamPort: integerOf('transport.streamPort', option.streamPort, 0, 0, 65_535),
  };
}

function checkTransport(option: Record<string, unknown>): Transport {
  for (const name of ['open', 'broadcast', 'send', 'sendStream', 'status', 'close']) {
    if (typeof option[name] !== 'function') throw refuse(`transport.${name}`, option[name], 'a method of Transport');
  }
  for (const name of ['maxDatagramSize', 'maxFrameSize']) {
    if (!Number.isSafeInteger(option[name]) || Number(option[name]) < 1) {
      throw refuse(`transport.${name}`, option[name], 'a number of bytes');
    }
  }
  // All members of the interface were looked at; what they do can't be.
  return option as unknown as Transport;
}

function refuseOthers(option: Record<string, unknown>, names: readonly string[]): void {
  const known = [...names, ...COMMON_NAMES];
  for (const [name, value] of Object.entries(option)) {
    if (value === undefined || known.includes(name)) continue;
    throw new ConfigError(`Option transport.${name} is not known beside ${names[0]}; it takes ${known.join(', ')}.`);
  }
}

function endpointOf(name: string, value: unknown, takes: string): Address {
  const endpoint = typeof value === 'string' ? parseEndpoint(value) : undefined;
  if (!endpoint) throw refuse(name, value, takes);
  return endpoint;
}

function integerOf(name: string, value: unknown, otherwise: number, min: number, max: number): number {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw refuse(name, value, `a whole number, ${min} to ${max}`);
  }
  return value;
}

function refuse(name: string, got: unknown, takes: string): ConfigError {
  const shown = inspect(got, { depth: 1, breakLength: Number.POSITIVE_INFINITY, maxArrayLength: 4 });
  return new ConfigError(
    `Option ${name} got ${shown.length > 120 ? `${shown.slice(0, 120)}…` : shown}; it takes ${takes}.`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isMulticast(host: string): boolean {
  const family = familyOf(host);
  if (family === 6) return /^ff/i.test(host);
  const first = Number(host.split('.', 1)[0]);
  return family === 4 && first >= 224 && first <= 239;
}

function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || (familyOf(host) === 6 && /^[0:]+$/.test(host));
}
