/** What has to hold when one server of three is cut off from the others, whatever it is that cuts it off. */
import { expect } from '@jest/globals';
import { Browser } from './browser.js';
import type { Farm, Server } from './farm.js';
import { until } from './waiting.js';

export interface Cut {
  /** Whether the server hears nobody, and so finds out. */
  readonly isDeaf: boolean;
  begin(): Promise<unknown>;
  end(): Promise<unknown>;
}

/**
 * It answers 503 in time while the others go on; when the cut has ended, the same process serves again, with all that it
 * missed.
 * @param at of the server to cut off, in a farm of three
 */
export async function expectToOutliveCut(farm: Farm, at: number, { isDeaf, begin, end }: Cut): Promise<void> {
  const cut = farm.at(at);
  const others = farm.others(at);
  const [first, second] = others;
  if (first === undefined || second === undefined) throw new Error('there are two others');
  const unavailable = (): Promise<void> => expectUnavailable(cut);
  const { process: identity } = await cut.status();
  const leaving = new Browser();
  await leaving.login(cut, 'leaving');
  const slow = await leaving.begin(cut, '/web/set?field=late&value=1');
  const staying = new Browser();
  await staying.login(cut, 'staying');

  await begin();
  try {
    await Promise.all([unavailable(), expectToGoOn(first, second, staying)]);
    expect((await leaving.post(first, '/web/logout')).status).toBe(200);
    // What it loaded before it was cut off it tries to save while it can't.
    await slow.end().catch(() => undefined);
    await unavailable();
    if (isDeaf) {
      // It knows by then, and hands out no sessions.
      await until('its store is disconnected', async () => !(await cut.status()).isReady);
      await unavailable();
    }
    expect(cut.exit).toBeNull();
  } finally {
    await end();
    // Also where something else failed, for the specs that follow.
    await until('it serves again', async () => (await new Browser().post(cut, '/web/save?field=a')).status === 200);
  }
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
}

async function expectUnavailable(server: Server): Promise<void> {
  const asked = Array.from({ length: 10 }, (_, index) => new Browser().post(server, `/web/save?field=f${index}`));
  for (const { status, text } of await Promise.all(asked)) {
    expect(status).toBe(503);
    expect(text).toMatch(/No quorum in cluster|Service Unavailable/);
  }
}

async function expectToGoOn(first: Server, second: Server, browser: Browser): Promise<void> {
  for (let count = 1; count <= 20; count += 1) {
    const [writer, reader] = count % 2 === 0 ? [first, second] : [second, first];
    expect((await browser.post(writer, `/web/save?field=count&value=${count}`)).status).toBe(200);
    expect(await browser.read(reader)).toEqual({ user: 'staying', count: String(count) });
  }
}

/** Has every server be alone for a while: each answers 503, and healed they agree on all. */
export async function expectToAgreeAfterSolitude(
  farm: Farm,
  solitude: { begin(): Promise<unknown>; heal(): Promise<unknown> },
): Promise<void> {
  const browser = new Browser();
  await browser.login(farm.at(0), 'somebody');
  await solitude.begin();
  const answers = await Promise.all(
    farm.servers.map((server, at) => browser.post(server, `/web/save?field=f${at}&value=1`)),
  );
  expect(answers.map(({ status }) => status)).toEqual(farm.servers.map(() => 503));
  await solitude.heal();
  await until('all serve again', async () => {
    const again = await Promise.all(farm.servers.map((server) => new Browser().post(server, '/web/save?field=a')));
    return again.every(({ status }) => status === 200);
  });
  const [read, ...same] = await Promise.all(farm.servers.map((server) => browser.read(server)));
  expect(read).toMatchObject({ user: 'somebody' });
  for (const other of same) expect(other).toEqual(read);
}
