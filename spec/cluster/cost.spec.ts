import { beforeAll, expect, it } from '@jest/globals';
import type { NodeStatus } from '../../lib/index.js';
import { endAll, Farm } from './farm.js';
import { each, pause } from './waiting.js';

/** A node says hello twice a second, at the most 0.45 s apart. */
const HELLO_MS = 450;
const OPERATIONS = 40;
/** On a busy machine an answer comes late and is asked for again, which is another matter. */
const ATTEMPTS = 5;

const farm = new Farm();

endAll();
beforeAll(() => farm.start({}, {}, {}));

it('an idle farm of three costs each node less than 20 datagrams a second', async () => {
  const before = await measure();
  await pause(5000);
  const after = await measure();
  const rates = after.map((now, at) => {
    const then = before[at] ?? now;
    const seconds = (now.atMs - then.atMs) / 1000;
    return (now.sent - then.sent + now.received - then.received) / seconds;
  });
  console.log(`idle: ${rates.map((rate) => rate.toFixed(1)).join(', ')} datagrams a second, sent and received`);
  for (const rate of rates) expect(rate).toBeLessThan(20);
});

it('a get costs one datagram to all and at most an answer from each other node; a set twice that', async () => {
  const session = { cookie: {}, user: 'somebody' };
  await expectCost('set', 2, (index) => farm.at(0).store('set', `sid ${index}`, session));
  await expectCost('get', 1, (index) => farm.at(0).store('get', `sid ${index}`));
});

interface Measurement {
  readonly atMs: number;
  readonly sent: number;
  /** Own ones, which come back by multicast, left out. */
  readonly received: number;
}

async function expectCost(what: string, rounds: number, operation: (index: number) => Promise<unknown>): Promise<void> {
  const costs: number[][] = [];
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const before = await measure();
    // One after another: at the same time they would share datagrams.
    await each(OPERATIONS, 1, async (index) => {
      await operation(index);
    });
    const after = await measure();
    const sent = after.map((now, at) => now.sent - (before[at]?.sent ?? 0));
    const hellos = Math.ceil(Math.max(...after.map((now, at) => now.atMs - (before[at]?.atMs ?? 0))) / HELLO_MS) + 1;
    costs.push(sent);
    if (sent.every((count) => count <= rounds * OPERATIONS + hellos)) {
      console.log(`${OPERATIONS} times ${what}: ${sent.join(', ')} datagrams sent, up to ${hellos} hellos among each`);
      return;
    }
  }
  throw new Error(`${OPERATIONS} times ${what} cost more each time: ${costs.join('; ')}`);
}

async function measure(): Promise<Measurement[]> {
  const statuses = await Promise.all(farm.servers.map((server) => server.status()));
  const atMs = performance.now();
  return statuses.map(({ network: { transport, sealing } }: NodeStatus) => ({
    atMs,
    sent: transport.datagramsSent,
    received: transport.datagramsReceived - (sealing?.own ?? 0),
  }));
}
