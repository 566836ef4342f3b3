/** A farm on three hosts with a switch between them, all of it real but the hardware. Run by `npm run test:netns`. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from '../cluster/browser.js';
import { type Cut, expectToAgreeAfterSolitude, expectToOutliveCut } from '../cluster/cut.js';
import { drawPort, endAll, Farm, type Server } from '../cluster/farm.js';
import { each, until } from '../cluster/waiting.js';
import { Lab, type Tools } from './lab.js';

const tools = JSON.parse(process.env.NETNS_TOOLS ?? '{}') as Tools;

let lab: Lab;
const farm = new Farm({ options: { touchAfter: 0, timeout: 1500, transport: drawGroup() } });

endAll();
afterAll(() => lab?.close());

beforeAll(async () => {
  lab = await Lab.open(3, process.env.NETNS_DIRECTORY ?? '');
  await farm.start(...lab.hosts.map((host) => ({ host })));
}, 60_000);

it('a farm forms by multicast between the hosts', async () => {
  for (const [at, server] of farm.servers.entries()) {
    const { voters, network } = await server.status();
    expect(network.transport.description).toMatch(/^multicast 239\.255\.77\.77:/);
    const hosts = voters.filter(({ isSelf }) => !isSelf).map(({ address }) => address?.split(':')[0]);
    expect(hosts.sort()).toEqual(lab.hosts.filter((_, other) => other !== at).map(({ address }) => address));
  }
});

it('what one host writes the others read: logins, fields at the same time, logouts, large sessions', async () => {
  await each(40, 4, async (index) => {
    const browser = new Browser();
    await browser.login(farm.at(index % 3), `user ${index}`);
    const requests = await Promise.all(
      farm.servers.map((server, at) => browser.begin(server, `/web/set?field=f${at}&value=1`)),
    );
    await Promise.all(requests.map((request) => request.end()));
    for (const server of farm.servers) {
      expect(await browser.read(server)).toEqual({ user: `user ${index}`, f0: '1', f1: '1', f2: '1' });
    }
    await browser.post(farm.at((index + 1) % 3), '/web/logout');
    for (const server of farm.servers) expect(await browser.read(server)).toEqual({});
  });
  await expectLarge(farm.at(0), 300_000);
  for (const server of farm.servers) expect(await server.errors()).toEqual([]);
}, 60_000);

describe('a host that is parted from the others', () => {
  const third = () => lab.at(2);
  const cuts: [string, boolean, Cut][] = [
    [
      'the switch drops what it sends and is sent',
      true,
      { isDeaf: true, begin: () => lab.unplug(third()), end: () => lab.plug(third()) },
    ],
    ['its cable is out', true, { isDeaf: true, begin: () => lab.pull(third()), end: () => lab.push(third()) }],
    [
      'it is sent nothing, but heard',
      tools.tbf,
      { isDeaf: true, begin: () => lab.deafen(third()), end: () => lab.undeafen(third()) },
    ],
    [
      'it hears the others, but is not heard',
      tools.tbf,
      { isDeaf: false, begin: () => lab.silence(third()), end: () => lab.unsilence(third()) },
    ],
  ];
  for (const [what, isPossible, cut] of cuts) {
    (isPossible ? it : it.skip)(
      `(${what}) answers 503 in time while the others go on; healed it serves again, with all it missed`,
      () => expectToOutliveCut(farm, 2, cut),
      60_000,
    );
  }

  it('reads afterwards what was too large for a datagram', async () => {
    const browser = new Browser();
    const sid = await browser.login(farm.at(2), 'somebody');
    expect((await browser.post(farm.at(2), '/web/large?size=200000')).status).toBe(200);
    await lab.unplug(third());
    expect((await browser.post(farm.at(0), '/web/large?size=250000')).status).toBe(200);
    await until('its store is disconnected', async () => !(await farm.at(2).status()).isReady);
    await lab.plug(third());
    await until('it reads it', async () => {
      const session = await farm
        .at(2)
        .store<{ readonly large: string }>('get', sid)
        .catch(() => null);
      if (session !== null) expect(session.large).toHaveLength(250_000);
      return session !== null;
    });
  }, 60_000);
});

it('a host whose interface was made anew more often than a socket may join hears the others still', async () => {
  for (let count = 0; count < 24; count += 1) {
    await lab.replaceCable(lab.at(2));
    // Longer than until the transport has looked.
    await new Promise((resolve) => setTimeout(resolve, 2500));
  }
  const cut = { isDeaf: true, begin: () => lab.pull(lab.at(2)), end: () => lab.push(lab.at(2)) };
  await expectToOutliveCut(farm, 2, cut);
}, 150_000);

it('three hosts, each alone, all answer 503; healed, they agree', async () => {
  await expectToAgreeAfterSolitude(farm, {
    begin: () => Promise.all(lab.hosts.map((host) => lab.unplug(host))),
    heal: () => Promise.all(lab.hosts.map((host) => lab.plug(host))),
  });
}, 60_000);

(tools.netem || tools.nft ? it : it.skip)(
  'a switch that loses a fifth of all packets slows a farm, and no more',
  async () => {
    // A timeout that no luck of the draw uses up. The losses hit the hosts' search for each other's addresses as well.
    const slow = new Farm({ options: { touchAfter: 0, timeout: 8000, transport: drawGroup() } });
    await slow.start(...lab.hosts.map((host) => ({ host: { ...host, socket: `${host.socket}-slow` } })));
    await lab.makePoor(20, tools);
    try {
      await each(40, 4, async (index) => {
        const browser = new Browser();
        const [writer, reader] = [slow.at(index % 3), slow.at((index + 1) % 3)];
        await browser.login(writer, `user ${index}`);
        expect((await browser.post(reader, '/web/save?field=a&value=1')).status).toBe(200);
        expect(await browser.read(writer)).toEqual({ user: `user ${index}`, a: '1' });
        await browser.post(reader, '/web/logout');
        expect(await browser.read(writer)).toEqual({});
      });
    } finally {
      expect(await lab.makeGood(tools)).toBeGreaterThan(50);
    }
    for (const server of slow.servers) expect(await server.errors()).toEqual([]);
    await slow.end();
  },
  60_000,
);

/** As users have it: one group, no interface named. */
function drawGroup(): { readonly multicast: string } {
  return { multicast: `239.255.77.77:${drawPort()}` };
}

async function expectLarge(writer: Server, size: number): Promise<void> {
  const browser = new Browser();
  const sid = await browser.login(writer, 'somebody');
  expect((await browser.post(writer, `/web/large?size=${size}`)).status).toBe(200);
  for (const server of farm.servers) {
    expect((await server.store<{ readonly large: string }>('get', sid)).large).toHaveLength(size);
  }
}
