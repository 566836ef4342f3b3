/** `host:port` as people write it. */
import { isIP, isIPv6, SocketAddress } from 'node:net';
import type { Address } from './transport.js';

export type Family = 4 | 6;

const HOST_NAME = /^[a-z\d_](?:[a-z\d_.-]{0,252})$/i;
const BRACKETED = /^\[([^\]]*)\]:(\d{1,5})$/;
const PLAIN = /^([^:[\]]+):(\d{1,5})$/;
const DIGITS_AND_DOTS = /^[\d.]+$/;

/**
 * Reads `10.0.0.1:5000`, `[::1]:5000` or `dns-name:5000`.
 * @returns undefined if the text is none of these; the port is 0..65535.
 */
export function parseEndpoint(text: string): Address | undefined {
  const bracketed = BRACKETED.exec(text);
  const [, host = '', digits = ''] = bracketed ?? PLAIN.exec(text) ?? [];
  const port = Number(digits);
  if (host === '' || port > 65_535) return undefined;
  if (bracketed) return isIPv6(host) ? { host: canonicalHost(host), port } : undefined;
  if (isIP(host) === 4) return { host, port };
  // What looks like an address but isn't one would be asked of the DNS, in vain: `10.0.0.300`.
  return HOST_NAME.test(host) && !DIGITS_AND_DOTS.test(host) ? { host, port } : undefined;
}

/** The text that {@link parseEndpoint} reads. */
export function formatEndpoint({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** 4 or 6 for a numeric address, undefined for a name. */
export function familyOf(host: string): Family | undefined {
  const family = isIP(host);
  return family === 4 || family === 6 ? family : undefined;
}

/** IPv6 addresses can be written in many ways; this is the one that sockets report, so that texts can be compared. */
export function canonicalHost(host: string): string {
  if (!isIPv6(host)) return host;
  const [address = '', zone] = host.split('%');
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address;
  return zone === undefined ? canonical : `${canonical}%${zone}`;
}
