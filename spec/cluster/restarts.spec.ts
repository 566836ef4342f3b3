import { afterEach, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server } from './farm.js';
import { each, pause, until } from './waiting.js';

const USERS = 200;

let farm: Farm;

endAll();
afterEach(() => farm.end());

/** Servers that run. */
function running(): Server[] {
  return farm.servers.filter(({ exit }) => exit === null);
}

async function login(count: number): Promise<Browser[]> {
  const browsers = Array.from({ length: count }, () => new Browser());
  const servers = running();
  await each(count, 8, async (index) => {
    await browsers[index]?.login(servers[index % servers.length] as Server, `user-${index}`);
  });
  return browsers;
}

async function expectAll(browsers: readonly Browser[]): Promise<void> {
  for (const server of running()) {
    await each(browsers.length, 8, async (index) => {
      expect(await browsers[index]?.read(server)).toMatchObject({ user: `user-${index}` });
    });
  }
}

it('kill -9 of each server in turn, of the next one as soon as the new one says that it is ready: no session is missing', async () => {
  farm = new Farm();
  await farm.start({}, {}, {});
  const browsers = await login(USERS);
  for (let turn = 0; turn < 4; turn += 1) {
    await farm.at(turn).kill();
    const fresh = farm.add();
    await fresh.ready();
    expect(await fresh.status()).toMatchObject({ state: 'voter', isReady: true });
    if (turn === 3) await expectAll(browsers);
  }
  const { voters } = await farm.at(6).status();
  expect(voters.map(({ generation }) => generation).sort()).toEqual([2, 2, 3]);
});

it('a deploy, server by server, under clicking users: no request fails, nobody is logged out', async () => {
  farm = new Farm();
  await farm.start({}, {}, {});
  const browsers = await login(40);
  /** Requests under way at each server that takes some: a front end sends no more to one that is about to stop. */
  const serving = new Map(farm.servers.map((server) => [server, 0]));
  let leaving: Server | null = null;
  const failures: string[] = [];
  let clicks = 0;
  let isOver = false;
  const clicking = browsers.map(async (browser, user) => {
    const { cookie } = browser;
    for (let count = 1; !isOver; count += 1) {
      const servers = [...serving.keys()].filter((server) => server !== leaving);
      const server = servers[(user + count) % servers.length] as Server;
      serving.set(server, (serving.get(server) ?? 0) + 1);
      const { status, text } = await browser.post(server, `/web/save?field=count&value=${count}`);
      serving.set(server, (serving.get(server) ?? 0) - 1);
      const { user: name, count: saved } = status === 200 ? JSON.parse(text) : { user: '', count: 0 };
      if (status !== 200) failures.push(`${status} ${text}`);
      else if (name !== `user-${user}` || Number(saved) !== count) failures.push(`user-${user} ${count}: ${text}`);
      if (browser.cookie !== cookie) failures.push(`user-${user} was given another session`);
      clicks += 1;
      await pause(20);
    }
  });
  for (let turn = 0; turn < 3; turn += 1) {
    const old = farm.at(turn);
    leaving = old;
    await until('its last request is answered', () => serving.get(old) === 0);
    serving.delete(old);
    await old.close();
    expect(old.exit).toBe(0);
    const fresh = farm.add();
    await fresh.ready();
    serving.set(fresh, 0);
    const before = clicks;
    await until('users have clicked', () => clicks > before + 50);
  }
  isOver = true;
  await Promise.all(clicking);
  expect(failures).toEqual([]);
  await expectAll(browsers);
  for (const server of running()) {
    expect(await server.status()).toMatchObject({ state: 'voter' });
    expect(await server.errors()).toEqual([]);
  }
});

it('of two servers that were given one slot the second votes for none, and both are told of each other', async () => {
  farm = new Farm();
  await farm.start({ options: { slot: 1 } }, { options: { slot: 2 } }, { options: { slot: 3 } });
  const second = farm.add({ options: { slot: 2 } });
  await second.ready();
  expect(await second.status()).toMatchObject({ state: 'learner', slot: 0 });
  const addresses = await Promise.all([farm.at(1), second].map(async (server) => (await server.status()).name));
  await until('the second has been told', () => second.warnings('slot-taken').length === 1);
  await until('the first has been told', () => farm.at(1).warnings('slot-doubled').length === 1);
  for (const name of addresses) {
    expect(second.warnings('slot-taken')[0]).toContain(name);
    expect(farm.at(1).warnings('slot-doubled')[0]).toContain(name);
  }
  // Each names both, and where they are.
  for (const warning of [second.warnings('slot-taken')[0], farm.at(1).warnings('slot-doubled')[0]]) {
    expect(warning?.match(/\(127\.0\.0\.1:\d+\)/g)).toHaveLength(2);
  }
});

it('a server that stood still for long finds its slot taken when it goes on, and serves', async () => {
  farm = new Farm({ options: { timeout: 1000 } });
  await farm.start({}, {}, {});
  const standby = farm.add();
  await standby.ready();
  const [browser] = await login(1);
  const stopped = farm.at(2);
  stopped.signal('SIGSTOP');
  await until('the standby votes', async () => (await standby.status()).state === 'voter');
  await browser?.post(farm.at(0), '/web/set?field=missed&value=1');
  stopped.signal('SIGCONT');
  await until('it has been told', () => stopped.warnings('fenced').length === 1);
  expect(await browser?.read(stopped)).toMatchObject({ user: 'user-0', missed: '1' });
  expect(await stopped.status()).toMatchObject({ state: 'learner', slot: 0, records: 0 });
});
