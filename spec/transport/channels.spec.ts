/** The ways to reach everybody, while what they rest on changes: this machine's interfaces, and what names stand for. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { ChannelContext, Counters, DatagramChannel } from '../../lib/transport/channel.js';
import { type Interface, listInterfaces } from '../../lib/transport/interfaces.js';
import { MulticastChannel } from '../../lib/transport/multicast.js';
import type { MulticastSettings, PeersSettings } from '../../lib/transport/options.js';
import { parseTransportOption } from '../../lib/transport/options.js';
import { PeersChannel } from '../../lib/transport/peers.js';
import { Warnings } from '../../lib/transport/warnings.js';
import { drawGroup, drawPort, Notes, until } from './farm.js';

const channels: DatagramChannel[] = [];
const aborts: AbortController[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const abort of aborts.splice(0)) abort.abort();
  await Promise.all(channels.splice(0).map((channel) => channel.close()));
  for (const socket of sockets.splice(0)) socket.close();
});

function contextOf(notes: Notes): ChannelContext {
  const abort = new AbortController();
  aborts.push(abort);
  return {
    receiveBufferSize: 65_536,
    counters: { datagramsSent: 0, datagramsReceived: 0, sendErrors: 0 },
    warnings: new Warnings((code, message) => notes.onWarning(code, message)),
    signal: abort.signal,
    deliver: (datagram, from) => notes.onDatagram(datagram, from),
  };
}

const lists: NodeJS.Dict<NetworkInterfaceInfo[]> = {
  eth0: [
    {
      address: '192.0.2.1',
      netmask: '255.255.255.0',
      family: 'IPv4',
      mac: '',
      internal: false,
      cidr: '192.0.2.1/24',
    },
  ],
};

function openPeers(
  peers: readonly string[],
  { hosts = {}, bind, list }: { hosts?: Record<string, string[]>; bind?: string; list?: () => typeof lists } = {},
): { readonly channel: PeersChannel; readonly notes: Notes; readonly counters: Counters } {
  const notes = new Notes();
  const context = contextOf(notes);
  const settings = parseTransportOption({ peers: [...peers], ...(bind === undefined ? {} : { bind }) });
  const resolve = async (name: string): Promise<string[]> => hosts[name] ?? Promise.reject(new Error('unknown'));
  const channel = new PeersChannel(settings as PeersSettings, context, resolve, list);
  channels.push(channel);
  return { channel, notes, counters: context.counters };
}

/** A node's socket, as others see it. */
async function listen(address: string, port: number): Promise<string[]> {
  const socket = createSocket('udp4', (datagram) => void heard.push(datagram.toString()));
  const heard: string[] = [];
  sockets.push(socket);
  socket.bind({ address, port });
  await once(socket, 'listening');
  return heard;
}

/** What has the channel look its names up again: sends that fail, one after another. */
function failToSend(channel: DatagramChannel): void {
  for (let count = 0; count < 3; count += 1) channel.send({ host: '127.0.0.1', port: 0 }, Buffer.from('x'));
}

describe('peers', () => {
  it.each<[string, Record<string, string[]>, string]>([
    ["by a name that this machine's own list of hosts has for itself", { me: ['127.0.1.1'] }, '0.0.0.0'],
    ['by a name whose address may be another one tomorrow', { me: ['192.0.2.1'], other: ['127.0.0.9'] }, '0.0.0.0'],
    ['by names of this machine alone', { me: ['127.0.0.1'], other: ['127.0.0.2'] }, '127.0.0.1'],
  ])('%s: bound to what the others can reach, and no more', async (_, hosts, expected) => {
    const port = drawPort();
    const { channel } = openPeers([`me:${port}`, `other:${port + 1}`], {
      hosts: { other: ['198.51.100.1'], ...hosts },
      list: () => lists,
    });
    expect((await channel.open()).streamHost).toBe(expected);
  });

  it('by names that are one port of two addresses of this machine: two nodes, each at its own', async () => {
    const port = drawPort();
    const hosts = { a: ['127.0.0.1'], b: ['127.0.0.2'], elsewhere: ['198.51.100.1'] };
    const list = [`a:${port}`, `b:${port}`, `elsewhere:${port}`];
    const [first, second] = [openPeers(list, { hosts }), openPeers(list, { hosts })];
    expect((await first.channel.open()).streamHost).toBe('127.0.0.1');
    expect((await second.channel.open()).streamHost).toBe('127.0.0.2');
  });

  it('follow a name to another address', async () => {
    const port = drawPort();
    const [before, after] = [await listen('127.0.0.2', port), await listen('127.0.0.3', port)];
    const hosts = { other: ['127.0.0.2'] };
    const { channel } = openPeers([`127.0.0.1:${port}`, `other:${port}`], { hosts });
    await channel.open();
    await until(
      () => before.includes('first'),
      () => channel.broadcast(Buffer.from('first')),
    );
    hosts.other = ['127.0.0.3'];
    await until(
      () => after.includes('second'),
      () => {
        failToSend(channel);
        channel.broadcast(Buffer.from('second'));
      },
    );
  });

  it('go on where the system does not say which addresses this machine has, and say so', async () => {
    const port = drawPort();
    const other = await listen('127.0.0.2', port + 1);
    let isFailing = false;
    const list = (): typeof lists => {
      if (isFailing) throw Object.assign(new Error('too many open files'), { code: 'ERR_SYSTEM_ERROR' });
      return lists;
    };
    // At the port that this node is bound to: whether one is itself is asked of the system.
    const peers = [`192.0.2.1:${port}`, `127.0.0.2:${port + 1}`];
    const { channel, notes, counters } = openPeers(peers, { bind: `0.0.0.0:${port}`, list });
    await channel.open();
    isFailing = true;
    await until(
      () => notes.codes().includes('interfaces'),
      () => failToSend(channel),
    );
    // Not to itself, as far as it was known: one datagram.
    const sent = (): number => counters.datagramsSent + counters.sendErrors;
    const before = sent();
    channel.broadcast(Buffer.from('hello'));
    let others = 0;
    await until(
      () => other.includes('to it alone'),
      () => {
        channel.send({ host: '127.0.0.2', port: port + 1 }, Buffer.from('to it alone'));
        others += 1;
      },
    );
    await until(() => sent() >= before + 1 + others);
    expect(sent()).toBe(before + 1 + others);
  });

  it('go on where the system says it no more, though no name stood for an address before', async () => {
    const port = drawPort();
    const other = await listen('127.0.0.2', port + 1);
    const hosts: Record<string, string[]> = {};
    let isFailing = false;
    const list = (): typeof lists => {
      if (isFailing) throw Object.assign(new Error('too many open files'), { code: 'ERR_SYSTEM_ERROR' });
      return lists;
    };
    const peers = [`all:${port}`, `other:${port + 1}`];
    const { channel, notes } = openPeers(peers, { hosts, bind: `0.0.0.0:${port}`, list });
    await channel.open();
    isFailing = true;
    Object.assign(hosts, { all: ['192.0.2.1'], other: ['127.0.0.2'] });
    await until(
      () => notes.codes().includes('interfaces') && other.includes('hello'),
      () => {
        failToSend(channel);
        channel.broadcast(Buffer.from('hello'));
      },
    );
  });

  it('say what to do where the system has never said it', async () => {
    const list = (): never => {
      throw Object.assign(new Error('not permitted'), { code: 'ERR_SYSTEM_ERROR' });
    };
    const { channel } = openPeers([`198.51.100.1:${drawPort()}`], { list });
    await expect(channel.open()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('AF_NETLINK'),
    });
  });
});

describe('multicast', () => {
  function openMulticast(
    group: string,
    list: () => Interface[],
  ): { readonly channel: MulticastChannel; readonly notes: Notes } {
    const notes = new Notes();
    const settings = parseTransportOption({ multicast: group, interface: '127.0.0.1' }) as MulticastSettings;
    const channel = new MulticastChannel(settings, contextOf(notes), list);
    channels.push(channel);
    return { channel, notes };
  }

  const loopback = (): Interface[] => listInterfaces(4).filter(({ internal }) => internal);

  it('leaves the group of an interface that is gone, and hears it again when that is back', async () => {
    const group = drawGroup();
    let isGone = false;
    // Alone: what one socket on this machine has joined, Linux gives to all.
    const { channel, notes } = openMulticast(group, () => (isGone ? [] : loopback()));
    await channel.open();
    const hear = (text: string): Promise<void> =>
      until(
        () => notes.find(text) !== undefined,
        () => channel.broadcast(Buffer.from(text)),
      );
    await hear('before');
    const own = notes.find('before')?.from ?? { host: '', port: 0 };
    isGone = true;
    await until(() => notes.codes().includes('interfaces'));
    const [host = '', port] = group.split(':');
    const stranger = createSocket('udp4');
    sockets.push(stranger);
    stranger.bind({ address: '127.0.0.1' });
    await once(stranger, 'listening');
    stranger.setMulticastInterface('127.0.0.1');
    await until(
      () => notes.find('to it alone') !== undefined,
      () => {
        stranger.send('to the group', Number(port), host);
        stranger.send('to it alone', own.port, own.host);
      },
    );
    expect(notes.find('to the group')).toBeUndefined();
    isGone = false;
    await hear('after');
    await until(
      () => notes.find('to the group') !== undefined,
      () => stranger.send('to the group', Number(port), host),
    );
  });

  it('says what to do where the system does not tell the interfaces', async () => {
    const { channel } = openMulticast(drawGroup(), () => {
      throw Object.assign(new Error('not permitted'), { code: 'ERR_SYSTEM_ERROR' });
    });
    await expect(channel.open()).rejects.toMatchObject({
      code: 'ERR_CONFIG',
      message: expect.stringContaining('AF_NETLINK'),
    });
  });
});
