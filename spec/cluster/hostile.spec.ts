import { randomBytes, randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { NodeStatus } from '../../lib/index.js';
import { Browser } from './browser.js';
import { drawMulticast, endAll, Farm } from './farm.js';
import { until } from './waiting.js';

const DATAGRAMS = 3500;
/** Sent without a look at whether the servers keep up. */
const BURST = 100;
const MARKER = 'nobody-but-the-servers-may-read-this';

const transport = drawMulticast();
const [group = '', port = ''] = transport.multicast?.split(':') ?? [];
const farm = new Farm({ options: { transport, cluster: 'a-name-not-to-be-read', touchAfter: 0 }, isTapped: true });
const listener = createSocket({ type: 'udp4', reuseAddr: true });
const sender = createSocket('udp4');
const heard: Buffer[] = [];

endAll();
beforeAll(async () => {
  listener.on('message', (datagram) => heard.push(datagram));
  listener.bind(Number(port), group);
  await once(listener, 'listening');
  listener.addMembership(group, '127.0.0.1');
  await bindOnLoopback(sender);
  await farm.start({}, {}, {});
});
afterAll(() => {
  listener.close();
  sender.close();
});

it('strangers can neither read nor write sessions, nor disturb those who do', async () => {
  // The busier they are, the more messages share a datagram.
  while (heard.length < 300) await makeTraffic();
  const sent = farm.servers.flatMap((server) => server.sent);
  expect(sent.filter(({ to }) => to !== `${group}:${port}`).length).toBeGreaterThan(100);
  const captured = [...heard, ...sent.map(({ bytes }) => bytes)];
  for (const secret of [MARKER, 'sid-', 'somebody', 'a-name-not-to-be-read', 'server-1']) {
    expect(captured.filter((datagram) => datagram.includes(secret))).toEqual([]);
  }

  const before = await Promise.all(farm.servers.map((server) => server.store('all')));
  const statuses = await Promise.all(farm.servers.map((server) => server.status()));
  const targets = [`${group}:${port}`, ...addressesOf(statuses)];
  expect(targets).toHaveLength(4);
  const outputs = farm.servers.map(({ output }) => output.length);
  for (let count = 0; count < DATAGRAMS; count += BURST) {
    for (let index = 0; index < BURST; index += 1) {
      await send(hostile(captured, (count + index) % 3), targets[randomInt(targets.length)] ?? '');
    }
    // Also so that each is looked at: what overruns a socket's buffer is harmless for another reason.
    await Promise.all(farm.servers.map((server) => server.status()));
  }

  await until('the servers have seen them', async () => (await refusals(statuses)) > DATAGRAMS / 2);
  console.log(`${DATAGRAMS} hostile datagrams were refused ${await refusals(statuses)} times by three servers`);
  expect(await Promise.all(farm.servers.map((server) => server.store('all')))).toEqual(before);
  for (const [at, server] of farm.servers.entries()) {
    const { state, voters, learners, incarnation, network } = await server.status();
    expect(server.exit).toBeNull();
    expect({ state, incarnation, learners }).toEqual({
      state: 'voter',
      incarnation: statuses[at]?.incarnation,
      learners: [],
    });
    expect(voters.map(({ isUp, address }) => [isUp, address])).toEqual(
      statuses[at]?.voters.map(({ address }) => [true, address]),
    );
    expect(network.malformed).toBe(0);
    expect(server.output.length - (outputs[at] ?? 0)).toBeLessThan(2000);
    expect(server.events.filter(({ event }) => event === 'warning').length).toBeLessThan(5);
    expect(server.events.filter(({ event }) => event === 'disconnect')).toEqual([]);
    expect(await server.errors()).toEqual([]);
  }
  await makeTraffic();
});

it('a server that starts amid replays joins and serves: it has seen none of them before', async () => {
  await makeTraffic();
  const captured = [
    ...heard.slice(-500),
    ...farm.servers.flatMap(({ sent }) => sent.slice(-500).map((each) => each.bytes)),
  ];
  const fresh = farm.add();
  await fresh.listening();
  await until('it is ready', async () => {
    for (let index = 0; index < BURST; index += 1) {
      await send(captured[randomInt(captured.length)] ?? Buffer.alloc(0), `${group}:${port}`);
    }
    return fresh.isReady;
  });
  const browser = new Browser();
  await browser.login(fresh, 'somebody');
  for (const server of farm.servers) expect(await browser.read(server)).toEqual({ user: 'somebody' });
  expect((await fresh.status()).state).toBe('learner');
  expect(await fresh.store('ids')).toHaveLength(await farm.at(0).store<number>('length'));
});

/** Sessions made, changed, read and ended on all servers. */
async function makeTraffic(): Promise<void> {
  await Promise.all(
    Array.from({ length: 30 }, async (_, index) => {
      const browser = new Browser();
      await browser.login(farm.at(index % 3), MARKER);
      expect(await browser.read(farm.at((index + 1) % 3))).toEqual({ user: MARKER });
      await browser.post(farm.at((index + 2) % 3), `/web/set?field=name&value=somebody`);
      expect(await browser.read(farm.at(index % 3))).toEqual({ user: MARKER, name: 'somebody' });
      // What replays would bring back, if they could.
      if (index % 2 === 0) await browser.post(farm.at((index + 1) % 3), '/web/logout');
      await farm.at(index % 3).store('set', `sid-${index}`, { cookie: {}, user: MARKER });
      await farm.at((index + 1) % 3).store('set', `sid-${index}`, { cookie: {}, user: `${MARKER} again` });
    }),
  );
}

function hostile(captured: readonly Buffer[], kind: number): Buffer {
  const original = captured[randomInt(captured.length)] ?? Buffer.alloc(0);
  if (kind === 0) return original;
  if (kind === 1) return randomBytes(randomInt(1400));
  return mutated(original, captured[randomInt(captured.length)] ?? original);
}

function mutated(datagram: Buffer, other: Buffer): Buffer {
  const changed = Buffer.from(datagram);
  const at = randomInt(changed.length);
  switch (randomInt(5)) {
    case 0:
      // One bit.
      changed.writeUInt8(changed.readUInt8(at) ^ (1 << randomInt(8)), at);
      return changed;
    case 1:
      for (let count = randomInt(1, 16); count > 0; count -= 1) changed[randomInt(changed.length)] = randomInt(256);
      return changed;
    case 2:
      return changed.subarray(0, at);
    case 3:
      return Buffer.concat([changed, randomBytes(randomInt(1, 100))]);
    default:
      // One's head on the other's body.
      return Buffer.concat([changed.subarray(0, at), other.subarray(at)]);
  }
}

/** How often the servers have refused a datagram since. */
async function refusals(since: readonly NodeStatus[]): Promise<number> {
  const statuses = await Promise.all(farm.servers.map((server) => server.status()));
  const count = ({ network: { sealing, notForUs } }: NodeStatus): number => {
    if (sealing === null) return 0;
    const { short, foreign, cluster, replayed, unknownKey, badTag, overload } = sealing;
    return short + foreign + cluster + replayed + unknownKey + badTag + overload + notForUs;
  };
  const sum = (all: readonly NodeStatus[]): number => all.reduce((total, status) => total + count(status), 0);
  return sum(statuses) - sum(since);
}

/** The nodes' own addresses, as they know them of each other. */
function addressesOf(statuses: readonly NodeStatus[]): string[] {
  return [...new Set(statuses.flatMap(({ voters }) => voters.flatMap(({ address }) => address ?? [])))];
}

async function send(datagram: Buffer, to: string): Promise<void> {
  const [host, toPort] = to.split(':');
  await promisify<Buffer, number, string | undefined>(sender.send.bind(sender))(datagram, Number(toPort), host);
}

async function bindOnLoopback(socket: Socket): Promise<void> {
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  socket.setMulticastInterface('127.0.0.1');
}
