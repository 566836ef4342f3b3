import { beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../cluster/waiting.js';
import { demonstrate, endAllAfterEach, type Server, startServers } from './farm.js';

let servers: [Server, Server, Server];
let urls: readonly string[];
beforeEach(async () => {
  servers = await startServers('log-out-everywhere');
  urls = await Promise.all(servers.map((server) => server.do<string>('url')));
});
endAllAfterEach();

/** A browser, as far as cookies go. */
class Device {
  #cookie = '';

  async ask(index: number, path: string, method = 'GET'): Promise<Response> {
    const response = await fetch(`${urls[index % 3]}${path}`, {
      method,
      headers: { cookie: this.#cookie },
    });
    for (const line of response.headers.getSetCookie()) this.#cookie = line.split(';', 1)[0] ?? '';
    return response;
  }

  async logIn(index: number, user = 'ada', query = ''): Promise<number> {
    return (await this.ask(index, `/login?user=${user}${query}`, 'POST')).status;
  }

  /** By each server. */
  async users(): Promise<unknown[]> {
    return Promise.all([0, 1, 2].map(async (index) => (await this.read(index)).user));
  }

  async read(index: number, query = ''): Promise<{ user: string | null; note: string | null }> {
    return (await (await this.ask(index, `/${query}`)).json()) as { user: string | null; note: string | null };
  }
}

async function loggedIn(index: number, user = 'ada'): Promise<Device> {
  const device = new Device();
  expect(await device.logIn(index, user)).toBe(204);
  return device;
}

async function arrived(server: Server, gate: string): Promise<void> {
  await until(`a request is at gate ${gate}`, () => server.all('arrived').some(({ payload }) => payload === gate));
}

const NOBODY = [null, null, null];
const ADA = ['ada', 'ada', 'ada'];

describe('logging out everywhere', () => {
  it("ends a user's sessions on all servers, and nobody else's", async () => {
    const devices = await Promise.all([0, 1, 2].map((index) => loggedIn(index)));
    const grace = await loggedIn(1, 'grace');
    for (const device of devices) expect(await device.users()).toEqual(ADA);
    expect(await new Device().logIn(0, 'ada', '&password=wrong')).toBe(403);

    await servers[1].do('logOut', 'ada');
    for (const device of devices) expect(await device.users()).toEqual(NOBODY);
    expect(await grace.users()).toEqual(['grace', 'grace', 'grace']);

    const again = await loggedIn(2);
    expect(await again.users()).toEqual(ADA);
    await servers[2].do('logOut', 'ada');
    expect(await again.users()).toEqual(NOBODY);
    // It is remembered for as long as what it has ended can live: two lives, each longer by a tenth; and not for ever.
    const { until: endMs } = await servers[0].do<{ until: number }>('lifetime', 'ada');
    expect(endMs).toBeGreaterThan(Date.now() + 2 * 1.1 * 3_600_000);
    expect(endMs).toBeLessThanOrEqual(Date.now() + 3 * 3_600_000);
  });

  it('ends the session of a login that was under way', async () => {
    // Of one who has never logged out everywhere, and of one who has.
    for (const gate of ['first', 'second']) {
      const late = new Device();
      const login = late.logIn(0, 'ada', `&gate=${gate}`);
      await arrived(servers[0], gate);
      await servers[1].do('logOut', 'ada');
      await servers[0].do('open', gate);
      expect(await login).toBe(204);
      expect(await late.users()).toEqual(NOBODY);
    }
  });

  it('is not undone by a request that saves its session afterwards', async () => {
    const device = await loggedIn(0);
    const slow = device.read(0, '?gate=slow&note=late');
    await arrived(servers[0], 'slow');
    await servers[1].do('logOut', 'ada');
    await servers[0].do('open', 'slow');
    // It was let in before.
    expect(await slow).toEqual({ user: 'ada', note: 'late' });
    expect(await device.users()).toEqual(NOBODY);
  });

  it('minds no session that has ended already, and can keep the one that asks', async () => {
    const [gone, other, own] = [await loggedIn(0), await loggedIn(1), await loggedIn(2)];
    await gone.ask(1, '/logout', 'POST');
    expect(await gone.users()).toEqual(NOBODY);
    expect((await own.ask(0, '/logout-elsewhere', 'POST')).status).toBe(204);
    expect(await own.users()).toEqual(ADA);
    expect(await other.users()).toEqual(NOBODY);
    expect(await gone.users()).toEqual(NOBODY);
  });

  it('leaves nothing of before and everything of after, while logins go on', async () => {
    const logins: { device: Device; fromMs: number; toMs: number }[] = [];
    let isOver = false;
    const user = async (index: number): Promise<void> => {
      while (!isOver) {
        const device = new Device();
        const fromMs = performance.now();
        expect(await device.logIn(index)).toBe(204);
        logins.push({ device, fromMs, toMs: performance.now() });
      }
    };
    const users = [0, 1, 2, 0, 1, 2].map(user);
    let call = { fromMs: 0, toMs: 0 };
    for (let calls = 1; calls <= 5; calls += 1) {
      const count = logins.length;
      await until('there are more logins', () => logins.length > count + 6);
      const fromMs = performance.now();
      await servers[calls % 3]?.do('logOut', 'ada');
      call = { fromMs, toMs: performance.now() };
    }
    await until(
      'there are some after the last call',
      () => logins.filter(({ fromMs }) => fromMs > call.toMs).length > 5,
    );
    isOver = true;
    await Promise.all(users);

    const seen = await Promise.all(
      logins.map(async ({ device, ...login }, index) => ({ ...login, user: (await device.read(index)).user })),
    );
    const before = seen.filter(({ toMs }) => toMs < call.fromMs);
    const after = seen.filter(({ fromMs }) => fromMs > call.toMs);
    expect(before.length).toBeGreaterThan(20);
    expect(before.filter((login) => login.user !== null)).toEqual([]);
    expect(after.filter((login) => login.user !== 'ada')).toEqual([]);
  });
});

describe('its demonstration', () => {
  it('shows it', async () => {
    const lines = (await demonstrate('log-out-everywhere')).trim().split('\n');
    expect(lines).toEqual([
      'before, the telephone is that of: Ada, Ada, Ada',
      'before, the laptop is that of: Ada, Ada, Ada',
      'after, the telephone is that of: nobody, nobody, nobody',
      'after, the laptop is that of: nobody, nobody, nobody',
    ]);
  });
});
