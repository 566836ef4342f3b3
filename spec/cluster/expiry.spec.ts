import { describe, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server } from './farm.js';
import { multicast, peers } from './networks.js';
import { pause, until } from './waiting.js';

/** How long after its end a session may still be seen: clocks of processes tick in whole milliseconds. */
const LATE_MS = 5;

endAll();

describe.each([multicast, peers])('over $name, a session whose time is up', (network) => {
  // A busy machine takes its time, and what is kept beyond the end of a session is kept for about as long.
  const farm = new Farm({
    options: { transport: network.draw(3), maxClockSkewMs: 4000, timeout: 3900, touchAfter: 0 },
    maxAgeMs: 1500,
  });

  it('is gone on every server, and none keeps anything of it', async () => {
    const servers = await farm.start({}, {}, {});
    await Promise.all([5, 20, 100, 500, 1000, 2000].flatMap((lifeMs) => servers.map((_, at) => live(lifeMs, at))));
    await liveInBrowser();
    // Many at once, of which some are destroyed and some touched on their way.
    await Promise.all(
      Array.from({ length: 150 }, async (_, index) => {
        const server = farm.at(index % 3);
        await server.store('set', `many ${index}`, sessionOf(1000));
        if (index % 5 === 0) await farm.at((index + 1) % 3).store('destroy', `many ${index}`);
        if (index % 5 === 1) await farm.at((index + 1) % 3).store('touch', `many ${index}`, sessionOf(1500));
      }),
    );
    expect((await farm.at(0).status()).records).toBeGreaterThanOrEqual(150);
    await until('no server sees a session', async () => {
      const lengths = await Promise.all(servers.map((server) => server.store<number>('length')));
      return lengths.every((length) => length === 0);
    });
    await until('no server keeps a record', async () => {
      const statuses = await Promise.all(servers.map((server) => server.status()));
      return statuses.every(({ records }) => records === 0);
    });
  });

  /** Sets a session on one server and watches it on all of them until it is gone. */
  async function live(lifeMs: number, at: number): Promise<void> {
    const sid = `life ${lifeMs} at ${at}`;
    const session = sessionOf(lifeMs);
    const endMs = Date.parse(session.cookie.expires);
    await farm.at(at).store('set', sid, session);
    await Promise.all(farm.servers.map((server) => watch(server, sid, session, endMs)));
    expect(await farm.at(at).store('ids')).not.toContain(sid);
  }

  async function watch(server: Server, sid: string, session: object, endMs: number): Promise<void> {
    for (;;) {
      const askedMs = Date.now();
      const seen = await server.store('get', sid);
      if (seen === null) {
        expect(Date.now()).toBeGreaterThanOrEqual(endMs - LATE_MS);
        return;
      }
      expect(seen).toEqual(session);
      expect(askedMs).toBeLessThanOrEqual(endMs + LATE_MS);
      await pause(Math.min(Math.max(endMs - Date.now(), 1), 50));
    }
  }

  /** One that its browser keeps alive by using it, for longer than it would live by itself. */
  async function liveInBrowser(): Promise<void> {
    const browser = new Browser();
    const startMs = Date.now();
    await browser.login(farm.at(0), 'somebody');
    let usedMs = Date.now();
    for (let at = 0; Date.now() < startMs + 2500; at += 1) {
      const { user } = await browser.read(farm.at(at % 3));
      // On a machine so busy that the requests come too late it may expire; then there is nothing to see here.
      if (Date.now() - usedMs > 1400) return;
      expect(user).toBe('somebody');
      usedMs = Date.now();
      await pause(200);
    }
    await pause(Math.max(0, usedMs + 1700 - Date.now()));
    for (const server of farm.servers) expect(await browser.read(server)).toEqual({});
  }
});

function sessionOf(lifeMs: number): { cookie: { originalMaxAge: number; expires: string }; lifeMs: number } {
  return { cookie: { originalMaxAge: lifeMs, expires: new Date(Date.now() + lifeMs).toISOString() }, lifeMs };
}
