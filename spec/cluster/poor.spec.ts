import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { NetworkDirection } from '../../lib/index.js';
import { Browser } from './browser.js';
import { endAll, Farm, type Server } from './farm.js';
import { each, until } from './waiting.js';

endAll();

describe('over a network that loses, doubles, delays and reorders', () => {
  // A timeout that no luck of the draw uses up: what is lost is asked for again every few ten ms.
  const farm = new Farm({ options: { touchAfter: 0, timeout: 8000 } });

  beforeAll(async () => {
    const bad = { duplication: 0.1, reordering: 0.1, delayMs: 1, jitterMs: 8 };
    // Each way is poor at both its ends: from the first to the third, three datagrams in ten are lost.
    await farm.start(...[0.1, 0.15, 0.2].map((loss) => ({ conditions: { ...bad, loss } })));
  }, 60_000);

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
  }, 60_000);

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
  }, 60_000);

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
  }, 60_000);

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
  }, 60_000);

  it('and it was such a network, on each of them', async () => {
    for (const server of farm.servers) {
      const { lost, duplicated, delayed, reordered, overflowed } = await server.poorCounters();
      expect(Math.min(lost, duplicated, delayed, reordered)).toBeGreaterThan(50);
      expect(overflowed).toBe(0);
    }
  });
});

describe('a server that is cut off', () => {
  const TIMEOUT_MS = 1500;
  /** Beyond the timeout: the answer's own way, on a busy machine. */
  const SLACK_MS = 1500;
  const farm = new Farm({ options: { touchAfter: 0, timeout: TIMEOUT_MS }, conditions: {} });
  let others: Server[];
  let cut: Server;

  beforeAll(async () => {
    await farm.start({}, {}, {});
    cut = farm.at(2);
    others = farm.others(2);
  }, 60_000);

  it.each<[NetworkDirection, string]>([
    ['both', 'hears nobody and is not heard'],
    ['sent', 'hears the others and is not heard'],
    ['received', 'is heard and hears nobody'],
  ])(
    '(%s: it %s) answers 503 in time while the others go on; healed it serves again, with all it missed',
    async (direction) => {
      const [first, second] = others;
      if (first === undefined || second === undefined) throw new Error('there are two others');
      const { process: identity } = await cut.status();
      const leaving = new Browser();
      await leaving.login(cut, 'leaving');
      const slow = await leaving.begin(cut, '/web/set?field=late&value=1');
      const staying = new Browser();
      await staying.login(cut, 'staying');

      await cut.network({ cut: { direction } });
      await Promise.all([expectUnavailable(), expectGoesOn(first, second, staying)]);
      expect((await leaving.post(first, '/web/logout')).status).toBe(200);
      // What it had loaded before, it saves while it can't.
      await slow.end().catch(() => undefined);
      await expectUnavailable();
      if (direction !== 'sent') {
        // It knows by then, and hands out no sessions.
        await until('its store is disconnected', async () => !(await cut.status()).isReady);
        await expectUnavailable();
      }
      expect(cut.exit).toBeNull();

      await cut.network({ cut: null });
      await until('it serves again', async () => (await new Browser().post(cut, '/web/save?field=a')).status === 200);
      expect(await staying.read(cut)).toEqual({ user: 'staying', count: '20' });
      for (const server of farm.servers) expect(await leaving.read(server)).toEqual({});
      expect((await staying.post(cut, '/web/set?field=again&value=1')).status).toBe(200);
      expect(await staying.read(first)).toEqual({ user: 'staying', count: '20', again: '1' });
      // The same process, with the memory and the slot that it had.
      expect(await cut.status()).toMatchObject({ process: identity, state: 'voter', isReady: true });
      await until('all see all', async () => {
        const statuses = await Promise.all(farm.servers.map((server) => server.status()));
        return statuses.every(({ voters }) => voters.every(({ isUp }) => isUp));
      });
      for (const server of others) expect(await server.errors()).toEqual([]);
    },
    60_000,
  );

  async function expectUnavailable(): Promise<void> {
    const startMs = performance.now();
    const asked = Array.from({ length: 10 }, (_, index) => new Browser().post(cut, `/web/save?field=f${index}`));
    for (const { status, text } of await Promise.all(asked)) {
      expect(status).toBe(503);
      expect(text).toMatch(/No quorum in cluster|Service Unavailable/);
    }
    expect(performance.now() - startMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
  }

  async function expectGoesOn(first: Server, second: Server, browser: Browser): Promise<void> {
    for (let count = 1; count <= 20; count += 1) {
      const [writer, reader] = count % 2 === 0 ? [first, second] : [second, first];
      expect((await browser.post(writer, `/web/save?field=count&value=${count}`)).status).toBe(200);
      expect(await browser.read(reader)).toEqual({ user: 'staying', count: String(count) });
    }
  }

  it('a majority that is cut off from one another answers 503 too, and agrees on all when healed', async () => {
    const browser = new Browser();
    await browser.login(cut, 'somebody');
    await Promise.all(farm.servers.map((server) => server.network({ cut: {} })));
    const answers = await Promise.all(
      farm.servers.map((server, at) => browser.post(server, `/web/save?field=f${at}&value=1`)),
    );
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
    await Promise.all(farm.servers.map((server) => server.network({ cut: null })));
    await until('all serve again', async () => {
      const again = await Promise.all(farm.servers.map((server) => new Browser().post(server, '/web/save?field=a')));
      return again.every(({ status }) => status === 200);
    });
    const [read, ...same] = await Promise.all(farm.servers.map((server) => browser.read(server)));
    expect(read).toMatchObject({ user: 'somebody' });
    for (const other of same) expect(other).toEqual(read);
  }, 60_000);
});
