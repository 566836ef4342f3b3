import { createSocket } from 'node:dgram';
import { networkInterfaces } from 'node:os';
import { describe, expect, it } from '@jest/globals';
import { ClosedError, ConfigError } from '../../lib/errors.js';
import { createTransport, UdpTransport } from '../../lib/transport/index.js';
import { parseTransportOption, type TransportOption, type UdpSettings } from '../../lib/transport/options.js';
import { announce, closeAll, drawGroup, drawPort, type Node, Notes, openNode, until } from './farm.js';

closeAll();

const LOOPBACK = { interface: '127.0.0.1' };

/** All hear a broadcast of the first, each can answer it alone, and a frame goes both ways. */
async function converse(nodes: readonly Node[]): Promise<void> {
  const [first, ...others] = nodes;
  if (!first) throw new Error('no nodes');
  await announce(first, 'who is there', others);
  for (const [index, node] of others.entries()) {
    // `announce` has seen it there.
    const from = node.notes.find('who is there')?.from ?? { host: '', port: 0 };
    await until(
      () => first.notes.find(`answer ${index}`) !== undefined,
      () => node.transport.send(from, Buffer.from(`answer ${index}`)),
    );
    expect(node.transport.sendStream({ host: from.host, port: first.streamPort }, Buffer.alloc(5000, index))).toBe(
      true,
    );
    await until(() => first.notes.frames.some(({ bytes }) => bytes.equals(Buffer.alloc(5000, index))));
    const back = first.notes.frames.at(-1)?.from.host ?? '';
    expect(first.transport.sendStream({ host: back, port: node.streamPort }, Buffer.from('thanks'))).toBe(true);
    await until(() => node.notes.frames.some(({ bytes }) => bytes.toString() === 'thanks'));
  }
}

async function openSome(count: number, option: TransportOption): Promise<Node[]> {
  return Promise.all(Array.from({ length: count }, () => openNode(option)));
}

describe('multicast', () => {
  it('reaches all on one machine, and answers reach the one asked alone', async () => {
    const nodes = await openSome(3, { multicast: drawGroup(), ...LOOPBACK });
    await converse(nodes);
    for (const { notes } of nodes.slice(1))
      expect(notes.datagrams.some(({ bytes }) => /answer/.test(`${bytes}`))).toBe(false);
    expect(nodes[0]?.transport.status()).toMatchObject({
      description: expect.stringMatching(/^multicast 239\.255\.\d+\.\d+:\d+ on 127\.0\.0\.1$/),
      sendErrors: 0,
      streamFramesReceived: 2,
      streamFramesSent: 2,
    });
    expect(nodes[0]?.transport.status().receiveBufferSize).toBeGreaterThan(0);
    expect(nodes[0]?.transport.status().datagramsReceived).toBeGreaterThan(0);
  });

  it('works by an interface name', async () => {
    const name = Object.entries(networkInterfaces()).find(([, infos]) => infos?.some((info) => info.internal))?.[0];
    await converse(await openSome(2, { multicast: drawGroup(), interface: name }));
  });

  it('works on every interface, and keeps a farm of one machine to the loopback interface', async () => {
    const [a, b] = await openSome(2, { multicast: drawGroup() });
    if (!a || !b) throw new Error('no nodes');
    await converse([a, b]);
    expect(a.notes.codes()).not.toContain('send-failed');
    // More than one copy comes once a second, when all interfaces are tried.
    const before = a.transport.status().datagramsSent;
    for (let i = 0; i < 50; i += 1) a.transport.broadcast(Buffer.from(`number ${i}`));
    await until(() => a.transport.status().datagramsSent >= before + 50);
    expect(a.transport.status().datagramsSent - before).toBeLessThan(50 + 30);
  });

  it('keeps groups apart on one port', async () => {
    const port = drawPort();
    const [a] = await openSome(1, { multicast: `239.255.1.1:${port}`, ...LOOPBACK });
    const [b] = await openSome(1, { multicast: `239.255.1.2:${port}`, ...LOOPBACK });
    if (!a || !b) throw new Error('no nodes');
    await announce(a, 'mine', [a]);
    await announce(b, 'yours', [b]);
    expect(a.notes.find('yours')).toBeUndefined();
    expect(b.notes.find('mine')).toBeUndefined();
  });

  it('works by IPv6 where the machine can', async () => {
    const name = await ipv6MulticastInterface();
    if (name === undefined) return;
    const group = `[ff15::${(drawPort() % 0xffff).toString(16)}]:${drawPort()}`;
    await converse(await openSome(2, { multicast: group, interface: name }));
    await converse(await openSome(2, { multicast: group }));
  });

  it('names the interfaces there are when told one that is not', async () => {
    await expect(openNode({ interface: 'nowhere0' })).rejects.toThrow(
      /transport\.interface got 'nowhere0'.*127\.0\.0\.1.*Choose one/,
    );
  });

  it('says so when another program holds the port', async () => {
    const group = drawGroup();
    const [host, port] = group.split(':');
    const holder = createSocket('udp4');
    await new Promise<void>((resolve) => holder.bind({ port: Number(port), address: host ?? '' }, resolve));
    try {
      const failed = openNode({ multicast: group, ...LOOPBACK });
      await expect(failed).rejects.toThrow(/EADDRINUSE.*choose another/);
      await expect(failed).rejects.toBeInstanceOf(ConfigError);
    } finally {
      holder.close();
    }
  });
});

describe('broadcast', () => {
  it('reaches all on one machine', async () => {
    await converse(await openSome(3, { broadcast: `127.255.255.255:${drawPort()}` }));
  });

  it('names the remedy for an address that is not of this machine', async () => {
    if (process.platform !== 'linux') return;
    await expect(openNode({ broadcast: `198.51.100.255:${drawPort()}` })).rejects.toThrow(/not the broadcast address/);
  });
});

describe('peers', () => {
  const list = (host: string): string[] => [1, 2, 3].map(() => `${host}:${drawPort()}`);

  it.each(['127.0.0.1', 'localhost'])('listed by %s, each process finds the entry that is its own', async (host) => {
    const peers = list(host);
    const nodes = await openSome(3, { peers });
    await converse(nodes);
    // Not to itself.
    expect(nodes[0]?.notes.find('who is there')).toBeUndefined();
    const failed = openNode({ peers });
    await expect(failed).rejects.toThrow(/Other processes hold .*transport\.bind/);
    await expect(failed).rejects.toBeInstanceOf(ConfigError);
  });

  it('listed by an IPv6 address', async () => {
    if (!hasIPv6Loopback()) return;
    await converse(await openSome(3, { peers: list('[::1]') }));
  });

  it('listens where `bind` says, and does not send to itself there', async () => {
    const [mine, other] = [drawPort(), drawPort()];
    const peers = [`127.0.0.1:${mine}`, `127.0.0.1:${other}`];
    const a = await openNode({ peers, bind: `0.0.0.0:${mine}` });
    const b = await openNode({ peers, bind: `localhost:${other}` });
    await converse([a, b]);
    expect(a.notes.find('who is there')).toBeUndefined();
  });

  it('reaches one that has come from where no name points to as soon as that is heard, and no stranger', async () => {
    const [mine, other] = [drawPort(), drawPort()];
    const here = await openNode({ peers: [`127.0.0.1:${mine}`, `127.0.0.1:${other}`], bind: `127.0.0.1:${mine}` });
    const join = () => openNode({ peers: [`127.0.0.1:${mine}`], bind: '127.0.0.1:0' });
    const [newcomer, stranger] = [await join(), await join()];
    stranger.transport.broadcast(Buffer.from('bad: not of this farm'));
    newcomer.transport.broadcast(Buffer.from('I am new'));
    await until(() => here.notes.datagrams.length === 2);
    here.transport.broadcast(Buffer.from('to all'));
    await until(() => newcomer.notes.find('to all') !== undefined);
    expect(stranger.notes.find('to all')).toBeUndefined();
  });

  it('wants this machine among them', async () => {
    await expect(openNode({ peers: ['198.51.100.1:5000'] })).rejects.toThrow(/None of peers .* this machine: add this/);
    await expect(openNode({ peers: ['127.0.0.1:5000'], bind: '198.51.100.1:5000' })).rejects.toThrow(/EADDRNOTAVAIL/);
  });

  it('goes on while a name has no address', async () => {
    const port = drawPort();
    const { notes } = await openNode({ peers: [`127.0.0.1:${port}`, 'no-such-host.invalid:5000'] });
    expect(notes.warnings).toContainEqual({
      code: 'peer-unresolved',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });
});

describe('any of them', () => {
  const option = { peers: [1, 2].map(() => `127.0.0.1:${drawPort()}`) };

  it('refuses what is too large, and says so once', async () => {
    const { transport, notes } = await openNode({ ...option, maxDatagramSize: 600 });
    for (let i = 0; i < 3; i += 1) transport.broadcast(Buffer.alloc(601));
    expect(transport.status()).toMatchObject({ sendErrors: 3, datagramsSent: 0 });
    expect(transport.sendStream({ host: '127.0.0.1', port: 1 }, Buffer.alloc(transport.maxFrameSize + 1))).toBe(false);
    expect(notes.codes().filter((code) => code === 'too-large')).toHaveLength(1);
  });

  it('counts what can not be sent, warns once, never throws, and goes on', async () => {
    const [a, b] = await openSome(2, option);
    if (!a || !b) throw new Error('no nodes');
    for (let i = 0; i < 5; i += 1) a.transport.send({ host: 'fe80::1', port: 7 }, Buffer.from('x'));
    a.transport.send({ host: '127.0.0.1', port: 70_000 }, Buffer.from('x'));
    a.transport.send({ host: '127.0.0.1', port: 0 }, Buffer.from('x'));
    await until(() => a.transport.status().sendErrors === 7);
    expect(a.notes.codes().filter((code) => code === 'send-failed')).toHaveLength(1);
    await converse([a, b]);
  });

  it('warns of a receive buffer that is too small, with the remedy', async () => {
    const { notes, transport } = await openNode({ ...option, receiveBufferSize: 1024 * 1024 * 1024 });
    const isSmall = transport.status().receiveBufferSize < 256 * 1024;
    expect(notes.codes().includes('receive-buffer')).toBe(isSmall);
  });

  it('opens once, and not after it was closed', async () => {
    const { transport } = await openNode(option);
    await expect(transport.open(new Notes())).rejects.toBeInstanceOf(ConfigError);
    await transport.close();
    await expect(transport.open(new Notes())).rejects.toBeInstanceOf(ClosedError);
    const never = createTransport(option);
    await never.close();
    await expect(never.open(new Notes())).rejects.toBeInstanceOf(ClosedError);
  });

  it('leaves nothing open when its stream port is taken', async () => {
    const { streamPort } = await openNode(option);
    const peers = [`127.0.0.1:${drawPort()}`];
    const failed = openNode({ peers, streamPort });
    await expect(failed).rejects.toThrow(/streamPort.*EADDRINUSE.*choose another/);
    await expect(failed).rejects.toBeInstanceOf(ConfigError);
    // Its datagram port is free again.
    await openNode({ peers });
  });

  it.each<[string, () => TransportOption]>([
    ['multicast', () => ({ multicast: drawGroup() })],
    ['broadcast', () => ({ broadcast: `127.255.255.255:${drawPort()}` })],
    ['peers', () => ({ peers: [`localhost:${drawPort()}`, `127.0.0.1:${drawPort()}`] })],
  ])('%s closes while it opens', async (_name, make) => {
    // After each number of turns of the event loop the opening is somewhere else.
    for (let turns = 0; turns < 6; turns += 1) {
      const transport = new UdpTransport(parseTransportOption(make()) as UdpSettings);
      const notes = new Notes();
      const opening = transport.open(notes).then(
        () => 'opened',
        (error: unknown) => (error instanceof ClosedError ? 'closed' : error),
      );
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await transport.close();
      expect(['opened', 'closed']).toContain(await opening);
      const { datagramsReceived } = transport.status();
      transport.broadcast(Buffer.from('x'));
      expect(transport.status()).toMatchObject({ datagramsReceived, datagramsSent: 0 });
    }
    await until(() => handles().length === 0);
  });

  it('leaves nothing open when closed with traffic under way', async () => {
    const nodes = await openSome(3, { multicast: drawGroup(), ...LOOPBACK });
    const [a, b] = nodes;
    if (!a || !b) throw new Error('no nodes');
    await converse(nodes);
    for (let i = 0; i < 500; i += 1) a.transport.broadcast(Buffer.alloc(1400));
    for (let i = 0; i < 5; i += 1) a.transport.sendStream({ host: '127.0.0.1', port: b.streamPort }, Buffer.alloc(1e6));
    a.transport.sendStream({ host: '198.51.100.1', port: 9 }, Buffer.alloc(10));
    const closing = nodes.map(({ transport }) => transport.close());
    const got = b.notes.datagrams.length + b.notes.frames.length;
    await Promise.all([...closing, ...nodes.map(({ transport }) => transport.close())]);
    expect(b.notes.datagrams.length + b.notes.frames.length).toBe(got);
    expect(a.transport.sendStream({ host: '127.0.0.1', port: b.streamPort }, Buffer.alloc(10))).toBe(false);
    await until(() => handles().length === 0);
  });

  it('does not keep the process alive while idle', async () => {
    const nodes = await openSome(2, { multicast: drawGroup(), ...LOOPBACK });
    await converse(nodes);
    // Only what keeps the process alive is listed.
    await until(() => handles().length === 0);
  });
});

/** The sockets and servers that keep this process alive. */
function handles(): string[] {
  return process.getActiveResourcesInfo().filter((name) => /UDP|TCP|Send/.test(name));
}

function hasIPv6Loopback(): boolean {
  return Object.values(networkInterfaces()).some((infos) => infos?.some(({ address }) => address === '::1'));
}

/** An interface on which an IPv6 multicast is heard, found without the code under test. */
async function ipv6MulticastInterface(): Promise<string | undefined> {
  for (const [name, infos] of Object.entries(networkInterfaces())) {
    if (!infos?.some(({ family }) => family === 'IPv6')) continue;
    const socket = createSocket({ type: 'udp6', reuseAddr: true });
    try {
      await new Promise<void>((resolve, reject) => socket.once('error', reject).bind({ port: 0 }, resolve));
      socket.addMembership('ff15::7a', `::%${name}`);
      socket.setMulticastInterface(`::%${name}`);
      const heard = new Promise<boolean>((resolve) => {
        socket.once('message', () => resolve(true));
        setTimeout(() => resolve(false), 500);
      });
      const sent = new Promise<boolean>((resolve) => {
        socket.send('x', socket.address().port, 'ff15::7a', (error) => resolve(error === null));
      });
      if ((await sent) && (await heard)) return name;
    } catch {
      // This one can't.
    } finally {
      socket.close();
    }
  }
  return undefined;
}
