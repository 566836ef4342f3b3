/** Where the HTTP API listens. */
import { BlockList, isIP, isIPv6 } from 'node:net';
import { ConfigError } from '../../errors.js';

export interface HttpAddress {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8, 'ipv4');
LOOPBACK.addAddress('::1', 'ipv6');

/**
 * Reads `8080`, `10.0.0.1:8080`, `[::1]:8080` or `localhost:8080`. Without a host it is this machine alone.
 * @throws ConfigError
 */
export function parseHttpAddress(text: string): HttpAddress {
  const [, bracketed, plain, digits = ''] = /^(?:\[([^\]]+)\]:|([^:[\]]+):)?(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain ?? '127.0.0.1';
  const port = Number(digits);
  if (digits === '' || port > 65_535 || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw new ConfigError(
      `Option --http got '${text.slice(0, 100)}'; it takes a port, or a host and a port: 8080, 127.0.0.1:8080, [::1]:8080, 0.0.0.0:8080.`,
    );
  }
  return { host, port };
}

/** Whether only this machine reaches it. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  return LOOPBACK.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

export function urlOf({ host, port }: HttpAddress): string {
  return `http://${isIPv6(host) ? `[${host}]` : host}:${port}`;
}
