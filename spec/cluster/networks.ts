/** The ways in which the specs' farms reach each other on one machine. */
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { networkInterfaces } from 'node:os';
import type { TransportOption } from '../../lib/index.js';
import { drawMulticast, drawPort } from './farm.js';

export interface Network {
  readonly name: string;
  /** One that no other farm uses. @param size servers at most */
  draw(size: number): TransportOption;
}

export const multicast: Network = { name: 'multicast', draw: drawMulticast };

/** Those of a row of ports in which, at worst, another program has taken one: the servers are told one too many. */
export const peers: Network = {
  name: 'a list of peers',
  draw: (size) => {
    const first = drawPort();
    return { peers: Array.from({ length: size + 1 }, (_, index) => `127.0.0.1:${first + index}`) };
  },
};

export const broadcast: Network = {
  name: 'subnet broadcast',
  draw: () => ({ broadcast: `127.255.255.255:${drawPort()}` }),
};

/** By IPv6 multicast on one interface; with ttl 0 nothing leaves the machine. */
export function multicastV6(name: string): Network {
  return {
    name: 'IPv6 multicast',
    draw: () => ({
      multicast: `[ff15::${randomInt(1, 0xffff).toString(16)}:77]:${drawPort()}`,
      interface: name,
      ttl: 0,
    }),
  };
}

/** An interface that carries IPv6 multicasts, loopback first; on Linux that one does only if it is set up to. */
export async function findMulticastV6(): Promise<string | null> {
  const interfaces = Object.entries(networkInterfaces()).flatMap(([name, infos]) => {
    const info = infos?.find(({ family }) => family === 'IPv6');
    return info === undefined ? [] : { name, isInternal: info.internal };
  });
  interfaces.sort((a, b) => Number(b.isInternal) - Number(a.isInternal));
  for (const { name } of interfaces) if (await carriesMulticastV6(name)) return name;
  return null;
}

async function carriesMulticastV6(name: string): Promise<boolean> {
  const group = `ff15::${randomInt(1, 0xffff).toString(16)}:78`;
  const socket = createSocket({ type: 'udp6', reuseAddr: true });
  try {
    socket.bind(0, '::');
    await once(socket, 'listening');
    socket.setMulticastInterface(`::%${name}`);
    socket.setMulticastTTL(0);
    socket.addMembership(group, `::%${name}`);
    const received = once(socket, 'message', { signal: AbortSignal.timeout(1000) });
    const sent = new Promise<void>((resolve, reject) => {
      socket.send('x', socket.address().port, group, (error) => (error === null ? resolve() : reject(error)));
    });
    await Promise.all([received, sent]);
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
