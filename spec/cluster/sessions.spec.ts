import { randomInt } from 'node:crypto';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server } from './farm.js';
import { multicast, peers } from './networks.js';
import { each, until } from './waiting.js';

const HOUR_MS = 3_600_000;

endAll();

// touchAfter 0: every use of a session is written, so touches race with everything else here.
describe.each([multicast, peers])('over $name, on three servers', (network) => {
  let farm: Farm;
  let first: Server;
  let second: Server;
  let third: Server;

  beforeAll(async () => {
    farm = new Farm({ options: { transport: network.draw(3), touchAfter: 0 } });
    await farm.start({}, { express: 4 }, {});
    [first, second, third] = [farm.at(0), farm.at(1), farm.at(2)];
  });

  /** What went wrong in the apps, for a browser may not be told: a failed save comes after the response's head. */
  async function expectNoErrors(): Promise<void> {
    for (const server of farm.servers) expect(await server.errors()).toEqual([]);
  }

  it('a login on any of them is seen at once on the two others, 300 times', async () => {
    const wrong: string[] = [];
    await each(300, 6, async (index) => {
      const browser = new Browser();
      const at = randomInt(3);
      await browser.login(farm.at(at), `user ${index}`);
      for (const { user } of await Promise.all(farm.others(at).map((other) => browser.read(other)))) {
        if (user !== `user ${index}`) wrong.push(`user ${index} was ${user}`);
      }
    });
    expect(wrong).toEqual([]);
    await expectNoErrors();
  });

  it.each(['/web', '/resave'])(
    'a logout stays one, though slow requests on two other servers end with and after it, 80 times (%s)',
    async (app) => {
      const statuses = new Set<number>();
      const back: string[] = [];
      await each(80, 4, async (index) => {
        const browser = new Browser();
        const at = index % 3;
        const [reader, writer] = farm.others(at);
        if (reader === undefined || writer === undefined) throw new Error('there are two others');
        const sid = await browser.login(farm.at(at), 'somebody', app);
        const idle = await browser.begin(reader, `${app}/set`);
        const busy = await browser.begin(writer, `${app}/set?field=late&value=1`);
        const logout = browser.post(farm.at(at), `${app}/logout`);
        // In a third of the rounds the slow requests end after the logout, in the others at the same time.
        if (index % 3 === 0) await logout;
        const responses = await Promise.all([logout, idle.end(), busy.end()]);
        for (const { status } of responses) statuses.add(status);
        for (const server of farm.servers) {
          const { user, late } = await browser.read(server, app);
          if (user !== undefined || late !== undefined) back.push(`round ${index}: read`);
          if ((await server.store('get', sid)) !== null) back.push(`round ${index}: get`);
        }
      });
      expect(back).toEqual([]);
      expect([...statuses]).toEqual([200]);
      await expectNoErrors();
      // They did get in each other's way, and the store says so.
      expect(farm.servers.flatMap(({ events }) => events).some(({ payload }) => payload?.kind === 'late-save')).toBe(
        true,
      );
    },
  );

  it('three requests at a time that set different fields of one session keep all 180 of 60 rounds', async () => {
    const browser = new Browser();
    await browser.login(first, 'somebody');
    const expected: Record<string, string> = { user: 'somebody' };
    for (let round = 0; round < 60; round += 1) {
      const slow = await Promise.all(
        farm.servers.map((server, at) => browser.begin(server, `/web/set?field=f${round}-${at}&value=${round}`)),
      );
      for (const at of [0, 1, 2]) expected[`f${round}-${at}`] = String(round);
      const answers = await Promise.all(slow.map((request) => request.end()));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    }
    expect(Object.keys(expected)).toHaveLength(181);
    for (const server of farm.servers) expect(await browser.read(server)).toEqual(expected);
    await expectNoErrors();
  });

  it('a regenerated session has a new id everywhere, and the old one is gone', async () => {
    const browser = new Browser();
    const before = await browser.login(first, 'somebody');
    const { text } = await browser.post(second, '/web/regenerate');
    expect(text).not.toContain(before);
    expect(await browser.read(third)).toEqual({ user: 'somebody' });
    for (const server of farm.servers) expect(await server.store('get', before)).toBeNull();
  });

  it('an app on Express 4 and apps on Express 5 share their sessions', async () => {
    expect(farm.servers.map(({ config }) => config.express ?? 5)).toEqual([5, 4, 5]);
    const browser = new Browser();
    await browser.login(second, 'of Express 4');
    await browser.post(first, '/web/set?field=five&value=1');
    await browser.post(second, '/web/set?field=four&value=1');
    expect(await browser.read(third)).toEqual({ user: 'of Express 4', five: '1', four: '1' });
    await browser.post(first, '/web/logout');
    expect(await browser.read(second)).toEqual({});
  });

  it('a session of 300 kB is read on the others; one above the limit is refused', async () => {
    const browser = new Browser();
    const sid = await browser.login(first, 'somebody');
    expect((await browser.post(first, '/web/large?size=300000')).status).toBe(200);
    for (const server of farm.servers) {
      const read = await server.store<{ readonly large: string }>('get', sid);
      expect(read.large).toHaveLength(300_000);
    }
    const refused = await browser.post(second, '/web/large?size=1100000');
    expect(refused.status).toBe(413);
    expect(refused.text).toMatch(/1048576/);
    const session = { cookie: {}, large: 'x'.repeat(2 ** 20) };
    await expect(third.store('set', sid, session)).rejects.toMatchObject({ code: 'ERR_VALUE_TOO_LARGE', status: 413 });
    expect((await third.store<{ readonly large: string }>('get', sid)).large).toHaveLength(300_000);
  });

  it.each(['apple', '%', '/foo', '🍎', 'a b?c#d', '__proto__'])('a session may have the id %s', async (sid) => {
    await first.store('set', sid, { cookie: { originalMaxAge: null, expires: null }, user: sid });
    expect(await second.store('get', sid)).toMatchObject({ user: sid });
    expect(await third.store('ids')).toContain(sid);
    await third.store('destroy', sid);
    expect(await first.store('get', sid)).toBeNull();
  });

  it('all, ids, length and clear are the same everywhere', async () => {
    const lists = await Promise.all(farm.servers.map((server) => server.store<string[]>('ids')));
    const [ids = []] = lists;
    expect(ids.length).toBeGreaterThan(300);
    for (const list of lists) expect(list.sort()).toEqual(ids.sort());
    for (const server of farm.servers) expect(await server.store('length')).toBe(ids.length);
    expect(Object.keys(await second.store<object>('all')).sort()).toEqual(ids);
    await third.store('clear');
    for (const server of farm.servers) expect(await server.store('length')).toBe(0);
  });

  it('lives from a minute to 3 000 000 000 ms come back as they were set', async () => {
    for (const lifeMs of [60_000, HOUR_MS, 2 ** 31 - 1, 2 ** 31 + 1000, 3_000_000_000]) {
      const cookie = { originalMaxAge: lifeMs, expires: new Date(Date.now() + lifeMs).toISOString(), path: '/' };
      await first.store('set', `life ${lifeMs}`, { cookie, n: 1 });
      for (const server of farm.servers) {
        expect(await server.store('get', `life ${lifeMs}`)).toEqual({ cookie, n: 1 });
      }
      const later = { ...cookie, expires: new Date(Date.now() + lifeMs + 1000).toISOString() };
      await second.store('touch', `life ${lifeMs}`, { cookie: later, n: 2 });
      expect(await third.store('get', `life ${lifeMs}`)).toEqual({ cookie: later, n: 1 });
    }
  });

  it('nothing is lost and nothing fails when one is killed under eight writers; started again, it serves', async () => {
    const survivors = [first, second];
    const failures: string[] = [];
    /** What each session must show now. */
    const acknowledged = new Map<string, number>();
    let slowestMs = 0;
    let writes = 0;
    let isOver = false;
    const timed = async (sid: string, count: number, write: () => Promise<unknown>): Promise<void> => {
      const startMs = performance.now();
      try {
        await write();
        acknowledged.set(sid, count);
      } catch (error) {
        failures.push(`${sid}: ${error}`);
      }
      slowestMs = Math.max(slowestMs, performance.now() - startMs);
      writes += 1;
    };
    /** Writes one session again and again, by way of the app. */
    const rewrite = async (server: Server): Promise<void> => {
      const browser = new Browser();
      const sid = await browser.login(server, 'somebody');
      for (let count = 1; !isOver; count += 1) {
        await timed(sid, count, async () => {
          const { status, text } = await browser.post(server, `/web/save?field=count&value=${count}`);
          if (status !== 200) throw new Error(text);
        });
      }
    };
    /** Writes a new session each time. */
    const add = async (server: Server, writer: number): Promise<void> => {
      for (let count = 1; !isOver; count += 1) {
        const sid = `writer ${writer} at ${server.pid}: ${count}`;
        await timed(sid, count, () => server.store('set', sid, { cookie: {}, count }));
      }
    };
    const writing = Promise.all(
      [0, 1, 2, 3].flatMap((writer) => survivors.map((server) => (writer < 2 ? rewrite(server) : add(server, writer)))),
    );
    const more = (count: number): Promise<void> => {
      const enough = writes + count;
      return until('there were more writes', () => writes >= enough);
    };
    let before = 0;
    let killedSlot = 0;
    try {
      await more(200);
      before = writes;
      killedSlot = (await third.status()).slot;
      await third.kill();
      await more(500);
      await until('its silence was noticed', async () => (await first.status()).voters.some(({ isUp }) => !isUp));
      await more(200);
    } finally {
      isOver = true;
    }
    await writing;
    expect(failures).toEqual([]);
    const expected = [...acknowledged];
    for (const server of survivors) {
      await each(expected.length, 8, async (index) => {
        const [sid = '', count] = expected[index] ?? [];
        const read = await server.store<{ readonly count: unknown }>('get', sid);
        expect([sid, Number(read?.count)]).toEqual([sid, count]);
      });
    }
    console.log(`${network.name}: ${writes} writes, ${before} before the kill; slowest ${slowestMs.toFixed(0)} ms`);
    await expectReplaced(killedSlot);
  });

  async function expectReplaced(killedSlot: number): Promise<void> {
    const again = farm.add();
    await again.ready();
    expect(await again.status()).toMatchObject({ state: 'voter', slot: killedSlot, isReady: true });
    const browser = new Browser();
    await browser.login(again, 'late');
    expect(await browser.read(first)).toEqual({ user: 'late' });
    await browser.post(second, '/web/set?field=a&value=1');
    expect(await browser.read(again)).toEqual({ user: 'late', a: '1' });
  }
});
