import { afterEach, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server, StoreError } from './farm.js';
import { pause, until } from './waiting.js';

const USERS = 12;

let farm: Farm;

endAll();
afterEach(() => farm.end());

/** Users who click all the time, log out and in again; what goes wrong is kept. */
class Crowd {
  readonly failures: string[] = [];
  clicks = 0;
  logouts = 0;
  /** Requests under way at each server that takes some. */
  readonly #serving = new Map<Server, number>();
  readonly #users: Promise<void>[];
  #isOver = false;

  constructor(first: Server) {
    this.#serving.set(first, 0);
    this.#users = Array.from({ length: USERS }, (_, user) => this.#live(user));
  }

  add(server: Server): void {
    this.#serving.set(server, 0);
  }

  /** As a front end does with a server that is about to go: no more requests, and those under way are waited for. */
  async leave(server: Server): Promise<void> {
    const isIdle = (): boolean => this.#serving.get(server) === 0;
    this.#leaving.add(server);
    await until('its last request is answered', isIdle);
    this.#serving.delete(server);
  }

  readonly #leaving = new Set<Server>();

  async goOn(): Promise<void> {
    const before = this.clicks;
    await until('users have clicked', () => this.clicks > before + 2 * USERS);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#users);
  }

  async #live(user: number): Promise<void> {
    for (let life = 1; !this.#isOver; life += 1) {
      const browser = new Browser();
      await this.#at(user + life, (server) => browser.login(server, `user-${user}`));
      for (let count = 1; count <= 20 && !this.#isOver; count += 1) {
        const { status, text } = await this.#at(user + count, (server) =>
          browser.post(server, `/web/save?field=count&value=${count}`),
        );
        this.clicks += 1;
        const saved = status === 200 ? JSON.parse(text) : {};
        if (saved.user !== `user-${user}` || Number(saved.count) !== count)
          this.failures.push(`user-${user}, click ${count} of life ${life}: ${status} ${text}`);
        await pause(10);
      }
      const { cookie } = browser;
      const { status } = await this.#at(user, (server) => browser.post(server, '/web/logout'));
      if (status !== 200) this.failures.push(`user-${user} could not log out: ${status}`);
      browser.cookie = cookie;
      const left = await this.#at(user + 1, (server) => browser.read(server));
      if (left.user !== undefined) this.failures.push(`user-${user} is back after the logout of life ${life}`);
      this.logouts += 1;
    }
  }

  async #at<T>(turn: number, request: (server: Server) => Promise<T>): Promise<T> {
    const servers = [...this.#serving.keys()].filter((server) => !this.#leaving.has(server));
    const server = servers[turn % servers.length] as Server;
    this.#serving.set(server, (this.#serving.get(server) ?? 0) + 1);
    try {
      return await request(server);
    } finally {
      this.#serving.set(server, (this.#serving.get(server) ?? 1) - 1);
    }
  }
}

/** Waits in steps: a call goes on waiting where the one before left off. */
async function resize(server: Server, size: number): Promise<void> {
  await until(`the farm has ${size} voters`, async () => {
    try {
      await server.store('resize', size, { timeoutMs: 5000 });
      return true;
    } catch (error) {
      if (error instanceof StoreError && error.code === 'ERR_RESIZE_PENDING') return false;
      throw error;
    }
  });
}

it('from one voter to three, five, three and one, under clicking users, one server killed on the way: no request fails, no session is lost, none comes back', async () => {
  farm = new Farm();
  const [first] = (await farm.start({ options: { clusterSize: 1 } })) as [Server];
  const crowd = new Crowd(first);
  const join = async (count: number, clusterSize: number): Promise<Server[]> => {
    const fresh = Array.from({ length: count }, () => farm.add({ options: { clusterSize } }));
    await Promise.all(fresh.map((server) => server.ready()));
    for (const server of fresh) crowd.add(server);
    return fresh;
  };
  const expectSize = async (size: number): Promise<void> => {
    await crowd.goOn();
    await until(`every server knows of ${size} voters`, async () => {
      const running = farm.servers.filter(({ exit }) => exit === null);
      const seen = await Promise.all(running.map((server) => server.status()));
      const votes = seen.filter(({ state }) => state === 'voter').length;
      return votes === size && seen.every((each) => each.clusterSize === size && each.resize === null);
    });
    expect(crowd.failures).toEqual([]);
  };

  await crowd.goOn();
  await join(2, 3);
  await resize(first, 3);
  await expectSize(3);

  // One of the two that are to vote is there; the other is killed while the farm waits for it, and followed by a third.
  await join(1, 5);
  const growing = resize(first, 5);
  await until(
    'the farm waits for a slot to be taken',
    async () => (await first.status()).resize?.stage === 'gathering',
  );
  const [unlucky] = (await join(1, 5)) as [Server];
  await crowd.leave(unlucky);
  await unlucky.kill();
  await join(1, 5);
  await growing;
  await expectSize(5);

  await resize(first, 3);
  await expectSize(3);
  await resize(first, 1);
  await expectSize(1);

  await crowd.end();
  expect(crowd.failures).toEqual([]);
  expect(crowd.logouts).toBeGreaterThan(USERS);
  for (const server of farm.servers) if (server.exit === null) expect(await server.errors()).toEqual([]);
}, 180_000);
