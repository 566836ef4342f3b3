import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { frameHeader } from '../../lib/transport/frames.js';
import { StreamChannel } from '../../lib/transport/stream.js';
import { STREAM_LIMITS, type StreamLimits } from '../../lib/transport/stream-limits.js';
import type { Address } from '../../lib/transport/transport.js';
import { Warnings } from '../../lib/transport/warnings.js';
import { Notes, until } from './farm.js';

const HOST = '127.0.0.1';
const MIB = 1024 * 1024;
const MAX_FRAME = MIB + 64 * 1024;

interface End {
  readonly channel: StreamChannel;
  readonly notes: Notes;
  readonly address: Address;
}

const channels: StreamChannel[] = [];
const sockets: Socket[] = [];
const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(channels.splice(0).map((channel) => channel.close()));
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function openEnd(limits: Partial<StreamLimits> = {}, port = 0): Promise<End> {
  const notes = new Notes();
  const warnings = new Warnings((code, message) => notes.onWarning(code, message));
  const channel = new StreamChannel(MAX_FRAME, warnings, (frame, from) => notes.onFrame(frame, from), {
    ...STREAM_LIMITS,
    ...limits,
  });
  channels.push(channel);
  return { channel, notes, address: { host: HOST, port: await channel.open(HOST, port) } };
}

/** A connection that says whatever the spec makes it say. */
function stranger({ address }: End): Socket {
  const socket = connect(address.port, address.host);
  socket.on('error', () => {});
  // Without a reader the end would not be noticed.
  socket.resume();
  sockets.push(socket);
  return socket;
}

/** A server that does whatever the spec makes it do. */
async function openServer(onConnection: (socket: Socket) => void, port = 0): Promise<Address> {
  const server = createServer((socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    onConnection(socket);
  });
  servers.push(server);
  server.listen(port, HOST);
  await once(server, 'listening');
  // An address and no pipe name, since it listens on a port.
  return { host: HOST, port: (server.address() as AddressInfo).port };
}

/** A server whose first connection leads nowhere, and nothing says so: its other end reads nothing. */
async function openDeafAtFirst(): Promise<{ readonly to: Address; readonly connections: Socket[]; text(): string }> {
  const connections: Socket[] = [];
  let taken = '';
  const to = await openServer((socket) => {
    connections.push(socket);
    if (connections.length === 1) socket.pause();
    else
      socket.on('data', (chunk) => {
        taken += chunk.toString();
      });
  });
  return { to, connections, text: () => taken };
}

function framed(text: string): Buffer {
  return Buffer.concat([frameHeader(text.length), Buffer.from(text)]);
}

describe('frames between two nodes', () => {
  it('go both ways, of 1 MiB and in order', async () => {
    const [a, b] = [await openEnd(), await openEnd()];
    const big = Buffer.from(Array.from({ length: MIB }, (_, i) => i * 7919));
    const sizes = [MIB, 1, 70_000, MAX_FRAME, 3];
    const frames = sizes.map((size, index) => Buffer.concat([Buffer.from([index]), big, big]).subarray(0, size));
    for (const frame of frames) {
      expect(a.channel.send(b.address, frame)).toBe(true);
      expect(b.channel.send(a.address, frame)).toBe(true);
    }
    for (const { notes } of [a, b]) {
      await until(() => notes.frames.length === frames.length);
      expect(notes.frames.every(({ bytes }, index) => bytes.equals(frames[index] ?? Buffer.alloc(0)))).toBe(true);
      expect(new Set(notes.frames.map(({ from }) => from.port)).size).toBe(1);
      expect(notes.warnings).toEqual([]);
    }
    await until(() => a.channel.framesSent === 5 && b.channel.framesSent === 5);
    expect(a.channel.framesReceived).toBe(5);
  });

  it('are refused when empty or too large', async () => {
    const [a, b] = [await openEnd(), await openEnd()];
    expect(a.channel.send(b.address, Buffer.alloc(0))).toBe(false);
    expect(a.channel.send(b.address, Buffer.alloc(MAX_FRAME + 1))).toBe(false);
  });

  it('open a new connection after one was idle', async () => {
    let opened = 0;
    let closed = 0;
    const to = await openServer((socket) => {
      opened += 1;
      socket.resume().on('close', () => {
        closed += 1;
      });
    });
    const { channel, notes } = await openEnd({ idleMs: 50 });
    for (const connections of [1, 2]) {
      expect(channel.send(to, Buffer.from('hello'))).toBe(true);
      await until(() => opened === connections && closed === connections);
    }
    expect(channel.framesSent).toBe(2);
    expect(notes.warnings).toEqual([]);
  });

  it('go over a new connection once the other side is heard again after a silence', async () => {
    const { to, connections, text } = await openDeafAtFirst();
    const { channel, notes } = await openEnd();
    channel.reconnect(to);
    channel.send(to, Buffer.from('lost'));
    await until(() => connections.length === 1 && channel.framesSent === 1);
    channel.reconnect(to);
    expect(channel.send(to, Buffer.from('hello'))).toBe(true);
    await until(() => text().endsWith('hello'));
    expect(notes.warnings).toEqual([]);
  });

  it('go over a new connection after a while, since one that leads nowhere can not be told from one that is read', async () => {
    const { to, connections, text } = await openDeafAtFirst();
    const { channel, notes } = await openEnd({ maxAgeMs: 1000 });
    await until(
      () => text().endsWith('hello'),
      () => channel.send(to, Buffer.from('hello')),
    );
    expect(connections.length).toBeGreaterThanOrEqual(2);
    expect(notes.warnings).toEqual([]);
  });

  it('leave before the channel is closed', async () => {
    const [a, b] = [await openEnd({ lingerMs: 20_000 }), await openEnd()];
    const frame = Buffer.alloc(MIB, 7);
    expect(a.channel.send(b.address, frame)).toBe(true);
    await a.channel.close();
    await until(() => b.notes.frames.length === 1);
    expect(b.notes.frames[0]?.bytes.equals(frame)).toBe(true);
  });

  it('get through again after the other side was started anew', async () => {
    const [a, b] = [await openEnd(), await openEnd()];
    a.channel.send(b.address, Buffer.from('one'));
    await until(() => b.notes.frames.length === 1);
    await b.channel.close();
    const again = await openEnd({}, b.address.port);
    await until(
      () => again.notes.frames.length > 0,
      () => a.channel.send(again.address, Buffer.from('two')),
    );
    expect(again.notes.frames[0]?.bytes.toString()).toBe('two');
  });
});

describe('a connection from a stranger', () => {
  it.each<[string, Buffer]>([
    ['a length beyond the bound', frameHeader(MAX_FRAME + 1) as Buffer],
    ['a length of 0', Buffer.alloc(4)],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a frame that is not authentic', framed('bad')],
  ])('with %s is closed at once', async (_name, bytes) => {
    const end = await openEnd({ proveMs: 3_600_000 });
    const socket = stranger(end);
    socket.write(bytes);
    await until(() => socket.closed);
  });

  it('is closed at its first frame that is not authentic, and what follows is not looked at', async () => {
    const end = await openEnd();
    const socket = stranger(end);
    socket.write(Buffer.concat([framed('good'), framed('bad'), framed('more')]));
    await until(() => socket.closed);
    expect(end.notes.frames.map(({ bytes }) => bytes.toString())).toEqual(['good', 'bad']);
  });

  it('that sends a byte now and then is closed when its time is up', async () => {
    const end = await openEnd({ proveMs: 100 });
    const socket = stranger(end);
    socket.write(frameHeader(1000));
    await until(
      () => socket.closed,
      () => void socket.write('x'),
    );
    expect(end.notes.frames).toEqual([]);
  });

  it('has all the time it wants once it has proven itself', async () => {
    const end = await openEnd({ proveMs: 1000 });
    const [good, silent] = [stranger(end), stranger(end)];
    good.write(framed('good'));
    await until(() => silent.closed && end.notes.frames.length === 1);
    good.write(framed('still here'));
    await until(() => end.notes.frames.length === 2);
  });

  it('that has proven nothing gives way to newer ones, and never pushes out one that has', async () => {
    const end = await openEnd({ maxUnproven: 2, maxIncoming: 3, proveMs: 3_600_000 });
    const first = stranger(end);
    first.write(framed('first'));
    await until(() => end.notes.frames.length === 1);
    const others: Socket[] = [];
    for (let i = 0; i < 4; i += 1) {
      const socket = stranger(end);
      others.push(socket);
      await once(socket, 'connect');
    }
    await until(() => others.slice(0, 2).every(({ closed }) => closed));
    expect(others.slice(2).some(({ closed }) => closed)).toBe(false);
    for (const socket of others.slice(2)) socket.write(framed('proof'));
    await until(() => end.notes.frames.length === 3);
    const late = stranger(end);
    await until(() => late.closed);
    expect(end.notes.codes()).toEqual(['stream-full']);
    first.write(framed('first again'));
    await until(() => end.notes.frames.length === 4);
  });

  it('that has gone silent is closed in the end', async () => {
    const end = await openEnd({ incomingIdleMs: 100, proveMs: 3_600_000 });
    const socket = stranger(end);
    socket.write(framed('good'));
    await until(() => socket.closed);
  });
});

describe('a destination', () => {
  it('that never reads gets no more than its bound, and is given up', async () => {
    const to = await openServer((socket) => socket.pause());
    const { channel, notes } = await openEnd({ stallMs: 300, maxWaiting: 3 * MIB });
    // The kernel's buffers take some of it; the bound is on what they don't.
    let sent = 0;
    await until(() => {
      const isTaken = channel.send(to, Buffer.alloc(MIB));
      sent += Number(isTaken);
      return !isTaken;
    });
    expect(sent).toBeGreaterThanOrEqual(2);
    expect(sent - channel.framesSent).toBeLessThanOrEqual(3);
    // What waited is dropped, so there is room again.
    await until(() => channel.send(to, Buffer.alloc(MIB)));
    expect(notes.codes()).not.toContain('too-large');
  });

  it('shares a bound with all others', async () => {
    const deaf = await openServer((socket) => socket.pause());
    const [a, b] = [await openEnd({ maxWaitingInAll: 2 * MIB }), await openEnd()];
    await until(() => !a.channel.send(deaf, Buffer.alloc(MIB)));
    expect(a.channel.send(b.address, Buffer.alloc(MIB))).toBe(false);
  });

  it('that refuses is left in peace for a moment, then tried again, and said to be unreachable', async () => {
    const to = await openServer(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const { channel, notes } = await openEnd({ minBackoffMs: 20, maxBackoffMs: 50, quietMs: 200 });
    expect(channel.send(to, Buffer.from('lost'))).toBe(true);
    await until(() => !channel.send(to, Buffer.from('lost too')));
    await until(
      () => notes.codes().includes('stream-failed'),
      () => channel.send(to, Buffer.from('lost as well')),
    );
    expect(notes.warnings[0]?.message).toMatch(/ECONNREFUSED.*allow TCP/);
    const back = await openEnd({}, to.port);
    await until(
      () => back.notes.frames.length > 0,
      () => channel.send(to, Buffer.from('hello')),
    );
  });

  it('that is started anew, and refuses for so long, is not spoken of', async () => {
    const to = await openServer(() => {});
    await new Promise((resolve) => servers.pop()?.close(resolve));
    const { channel, notes } = await openEnd({ minBackoffMs: 1, maxBackoffMs: 2, quietMs: 3_600_000 });
    let tries = 0;
    await until(
      () => tries > 8,
      () => {
        if (channel.send(to, Buffer.from('lost'))) tries += 1;
      },
    );
    expect(notes.warnings).toEqual([]);
  });

  it('that talks back is no node', async () => {
    let connections = 0;
    const to = await openServer((socket) => {
      connections += 1;
      socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
    });
    const { channel } = await openEnd();
    await until(
      () => connections > 1,
      () => channel.send(to, Buffer.from('hello')),
    );
  });

  it('makes room for another one when it has nothing to get', async () => {
    const [a, b, c] = [await openEnd({ maxDestinations: 1 }), await openEnd(), await openEnd()];
    for (const to of [b, c, b]) {
      const before = to.notes.frames.length;
      await until(() => a.channel.send(to.address, Buffer.from('hello')));
      await until(() => to.notes.frames.length > before);
    }
    // While something waits for the one, there is no room for the other.
    const deaf = await openServer((socket) => socket.pause());
    await until(() => a.channel.send(deaf, Buffer.alloc(MIB)));
    await until(() => !a.channel.send(deaf, Buffer.alloc(MIB)));
    expect(a.channel.send(b.address, Buffer.from('hello'))).toBe(false);
  });

  it('with a port that can not be is refused, and leaves no socket behind', async () => {
    const { channel } = await openEnd();
    expect(channel.send({ host: HOST, port: 70_000 }, Buffer.from('x'))).toBe(false);
    expect(channel.send({ host: HOST, port: 70_000 }, Buffer.from('x'))).toBe(false);
    await until(() => !process.getActiveResourcesInfo().includes('TCPSocketWrap'));
  });
});

describe('closing', () => {
  it('gives up what waits, and takes nothing afterwards', async () => {
    const deaf = await openServer((socket) => socket.pause());
    const [a, b] = [await openEnd({ lingerMs: 10 }), await openEnd()];
    for (let i = 0; i < 5; i += 1) a.channel.send(deaf, Buffer.alloc(MIB));
    for (let i = 0; i < 5; i += 1) a.channel.send(b.address, Buffer.alloc(MIB));
    await Promise.all([a.channel.close(), a.channel.close(), b.channel.close()]);
    const got = b.notes.frames.length;
    expect(a.channel.send(b.address, Buffer.from('x'))).toBe(false);
    const socket = stranger(b);
    await until(() => socket.closed);
    expect(b.notes.frames).toHaveLength(got);
    expect(a.notes.warnings).toEqual([]);
  });

  it('works from within a frame', async () => {
    const warnings = new Warnings(() => {});
    let closing: Promise<void> | undefined;
    const got: string[] = [];
    const channel = new StreamChannel(MAX_FRAME, warnings, (frame) => {
      got.push(Buffer.from(frame).toString());
      closing = channel.close();
      return true;
    });
    const socket = stranger({
      channel,
      notes: new Notes(),
      address: { host: HOST, port: await channel.open(HOST, 0) },
    });
    socket.write(Buffer.concat([framed('one'), framed('two')]));
    await until(() => closing !== undefined);
    await closing;
    expect(got).toEqual(['one']);
  });
});
