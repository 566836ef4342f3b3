import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { NetworkDirection } from '../../lib/index.js';
import { Browser } from './browser.js';
import { expectToAgreeAfterSolitude, expectToOutliveCut } from './cut.js';
import { endAll, Farm } from './farm.js';
import { each } from './waiting.js';

endAll();

describe('over a network that loses, doubles, delays and reorders', () => {
  const farm = new Farm({ options: { touchAfter: 0 } });

  beforeAll(async () => {
    const bad = { duplication: 0.1, reordering: 0.1, delayMs: 1, jitterMs: 8 };
    // Each way is poor at both its ends: from the first to the third, three datagrams in ten are lost.
    await farm.start(...[0.1, 0.15, 0.2].map((loss) => ({ conditions: { ...bad, loss } })));
  });

  /** That nobody was told so is not enough: express-session may find an error after it has sent the head. */
  async function expectNoErrors(): Promise<void> {
    for (const server of farm.servers) expect(await server.errors()).toEqual([]);
  }

  it('a login is seen on the others, and a logout too, 60 times', async () => {
    const wrong: string[] = [];
    await each(60, 6, async (index) => {
      const browser = new Browser();
      const at = randomInt(3);
      await browser.login(farm.at(at), `user ${index}`);
      for (const { user } of await Promise.all(farm.others(at).map((other) => browser.read(other)))) {
        if (user !== `user ${index}`) wrong.push(`user ${index} was ${user}`);
      }
      await browser.post(farm.at((at + 1) % 3), '/web/logout');
      for (const { user } of await Promise.all(farm.servers.map((server) => browser.read(server)))) {
        if (user !== undefined) wrong.push(`user ${index} was back as ${user}`);
      }
    });
    expect(wrong).toEqual([]);
    await expectNoErrors();
  });

  it('requests at the same time keep their fields, 15 times on all three servers', async () => {
    const browser = new Browser();
    await browser.login(farm.at(0), 'somebody');
    const expected: Record<string, string> = { user: 'somebody' };
    for (let round = 0; round < 15; round += 1) {
      const requests = await Promise.all(
        farm.servers.map((server, at) => browser.begin(server, `/web/set?field=f${at}&value=${round}`)),
      );
      for (const { status } of await Promise.all(requests.map((request) => request.end()))) expect(status).toBe(200);
      for (const at of [0, 1, 2]) expected[`f${at}`] = String(round);
      expect(await browser.read(farm.at(round % 3))).toEqual(expected);
    }
    await expectNoErrors();
  });

  it('a logout stays one, though slow requests on the other servers end with it, 20 times', async () => {
    const back: unknown[] = [];
    await each(20, 4, async (index) => {
      const browser = new Browser();
      const at = index % 3;
      const sid = await browser.login(farm.at(at), 'somebody');
      const slow = await Promise.all(
        farm.others(at).map((server) => browser.begin(server, '/web/set?field=late&value=1')),
      );
      const answers = [browser.post(farm.at(at), '/web/logout'), ...slow.map((request) => request.end())];
      for (const { status } of await Promise.all(answers)) expect(status).toBe(200);
      for (const server of farm.servers) {
        const session = await server.store('get', sid);
        if (session !== null) back.push(session);
      }
    });
    expect(back).toEqual([]);
    await expectNoErrors();
  });

  it('a session too large for a datagram is read on the others', async () => {
    const browser = new Browser();
    const sid = await browser.login(farm.at(0), 'somebody');
    for (let size = 20_000; size <= 29_000; size += 1000) {
      expect((await browser.post(farm.at(size % 3), `/web/large?size=${size}`)).status).toBe(200);
      for (const server of farm.servers) {
        const { large } = await server.store<{ readonly large: string }>('get', sid);
        expect(large).toHaveLength(size);
      }
    }
    await expectNoErrors();
  });

  it('and it was such a network, on each of them', async () => {
    for (const server of farm.servers) {
      const { lost, duplicated, delayed, reordered, overflowed } = await server.poorCounters();
      expect(Math.min(lost, duplicated, delayed, reordered)).toBeGreaterThan(50);
      expect(overflowed).toBe(0);
    }
  });
});

describe('a server that is cut off', () => {
  const farm = new Farm({ options: { touchAfter: 0, timeout: 1500 }, conditions: {} });

  beforeAll(() => farm.start({}, {}, {}));

  it.each<[NetworkDirection, string]>([
    ['both', 'hears nobody and is not heard'],
    ['sent', 'hears the others and is not heard'],
    ['received', 'is heard and hears nobody'],
  ])(
    '(%s: it %s) answers 503 in time while the others go on; healed it serves again, with all it missed',
    (direction) =>
      expectToOutliveCut(farm, 2, {
        isDeaf: direction !== 'sent',
        begin: () => farm.at(2).network({ cut: { direction } }),
        end: () => farm.at(2).network({ cut: null }),
      }),
  );

  it('a majority that is cut off from one another answers 503 too, and agrees on all when healed', async () => {
    await expectToAgreeAfterSolitude(farm, {
      begin: () => Promise.all(farm.servers.map((server) => server.network({ cut: {} }))),
      heal: () => Promise.all(farm.servers.map((server) => server.network({ cut: null }))),
    });
  });
});
