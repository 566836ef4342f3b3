import { afterEach, expect, it } from '@jest/globals';
import { Browser } from './browser.js';
import { endAll, Farm, type Server, StoreError } from './farm.js';
import { each, pause, until } from './waiting.js';

const USERS = 12;
/** Made at each step, of either kind. */
const IDLE = 10;

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
  readonly #leaving = new Set<Server>();
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

interface Kept {
  readonly user: string;
  readonly browser: Browser;
}

/** Sessions that nobody touches while the farm changes, and some that were ended: what each step finds, all later ones have. */
class Idle {
  readonly #kept: Kept[] = [];
  readonly #ended: Browser[] = [];

  /** Makes some of either, by all servers. */
  async make(servers: readonly Server[], step: string): Promise<void> {
    await each(IDLE, 4, async (index) => {
      const at = servers[index % servers.length] as Server;
      const other = servers[(index + 1) % servers.length] as Server;
      const [browser, leaving] = [new Browser(), new Browser()];
      const user = `${step} ${index}`;
      await browser.login(at, user);
      this.#kept.push({ user, browser });
      await leaving.login(at, user);
      const { cookie } = leaving;
      expect((await leaving.post(other, '/web/logout')).status).toBe(200);
      leaving.cookie = cookie;
      this.#ended.push(leaving);
    });
  }

  /** Each is as it was left, on one server after the other. */
  async check(servers: readonly Server[]): Promise<void> {
    for (const server of servers) {
      await each(this.#kept.length, 4, async (index) => {
        const { user, browser } = this.#kept[index] as Kept;
        expect(await browser.read(server)).toEqual({ user });
      });
      await each(this.#ended.length, 4, async (index) => {
        expect(await this.#ended[index]?.read(server)).toEqual({});
      });
    }
  }
}

/** Asks for that size, and waits for no more than that. The change goes on by itself. */
async function begin(server: Server, size: number): Promise<void> {
  await expect(server.store('resize', size, { timeoutMs: 1 })).rejects.toMatchObject({ code: 'ERR_RESIZE_PENDING' });
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

const told = (server: Server): string[] =>
  server.resizes
    .map(({ from, to, stage }) => `${from} ${to} ${stage}`)
    .filter((step, index, all) => step !== all[index - 1]);

it('from one voter to three, five, three and one, under clicking users, two servers killed on the way: no request fails, no session is lost, none comes back', async () => {
  farm = new Farm();
  const [first] = (await farm.start({ options: { clusterSize: 1 } })) as [Server];
  const crowd = new Crowd(first);
  const idle = new Idle();
  const running = (): Server[] => farm.servers.filter(({ exit }) => exit === null);
  const join = async (count: number, clusterSize: number): Promise<Server[]> => {
    const fresh = Array.from({ length: count }, () => farm.add({ options: { clusterSize } }));
    await Promise.all(fresh.map((server) => server.ready()));
    for (const server of fresh) crowd.add(server);
    return fresh;
  };
  const kill = async (server: Server): Promise<void> => {
    await crowd.leave(server);
    await server.kill();
  };
  /** The farm is at rest with so many voters, users click on, and all that was there before the step still is. */
  const expectSize = async (size: number): Promise<void> => {
    await crowd.goOn();
    await until(`every server knows of ${size} voters`, async () => {
      const seen = await Promise.all(running().map((server) => server.status()));
      const votes = seen.filter(({ state }) => state === 'voter').length;
      return votes === size && seen.every((each) => each.clusterSize === size && each.resize === null);
    });
    for (const server of running()) {
      const { voters, quorum, isReady } = await server.status();
      expect({ voters: voters.length, quorum, isReady }).toEqual({
        voters: size,
        quorum: (size + 1) / 2,
        isReady: true,
      });
    }
    await idle.check(running());
    await idle.make(running(), `of ${size}`);
    expect(crowd.failures).toEqual([]);
  };

  await expectSize(1);
  await join(2, 3);
  await resize(first, 3);
  await expectSize(3);

  // One of the two that are to vote is there. It takes a slot, and is killed while the farm waits for the other.
  const [unlucky] = (await join(1, 5)) as [Server];
  await begin(first, 5);
  await until('it has a slot that does not count yet', async () => {
    const { state, resize: progress } = await unlucky.status();
    return state === 'voter' && progress?.stage === 'gathering' && progress.missing.length === 1;
  });
  await kill(unlucky);
  await until('the farm waits for both slots', async () => {
    const progress = (await first.status()).resize;
    expect(progress).toMatchObject({ from: 3, to: 5, stage: 'gathering' });
    return progress?.missing.join() === '4,5';
  });
  await join(2, 5);
  await resize(first, 5);
  await expectSize(5);
  expect(await namesOfVoters(first)).not.toContain(unlucky.config.options.name);

  // A voter of the size to come is killed as that begins; one whose slot goes takes its place.
  const lost = await holderOf(first, 3);
  await crowd.leave(lost);
  lost.signal('SIGSTOP');
  await begin(first, 3);
  await until('the farm is about to shrink', () => told(first).includes('5 3 copying'));
  await lost.kill();
  await resize(first, 3);
  await expectSize(3);
  expect(await namesOfVoters(first)).not.toContain(lost.config.options.name);

  await resize(first, 1);
  await expectSize(1);

  await crowd.end();
  await idle.check(running());
  expect(crowd.failures).toEqual([]);
  expect(crowd.logouts).toBeGreaterThan(USERS);
  for (const server of running()) expect(await server.errors()).toEqual([]);
  // Who was there from the beginning was told of each step.
  const steps = ['1 3 gathering', '1 3 copying', '3 3 done', '3 5 gathering', '3 5 copying', '5 5 done'];
  expect(told(first)).toEqual([...steps, '5 3 copying', '3 3 done', '3 1 copying', '1 1 done']);
  for (const server of running()) expect(told(server).at(-1)).toBe('1 1 done');
}, 240_000);

async function namesOfVoters(server: Server): Promise<(string | null)[]> {
  return (await server.status()).voters.map(({ name }) => name);
}

async function holderOf(server: Server, slot: number): Promise<Server> {
  const { voters } = await server.status();
  const name = voters.find((each) => each.slot === slot)?.name;
  return farm.servers.find(({ config, exit }) => exit === null && config.options.name === name) as Server;
}
