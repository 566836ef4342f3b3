import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { drawMulticast, drawSecret } from './farm.js';
import { PATIENCE_MS, until } from './waiting.js';

let primary: ChildProcess | null = null;

afterEach(async () => {
  if (primary === null || primary.exitCode !== null) return;
  // Its workers end with it: their channel to it closes.
  const exited = once(primary, 'exit');
  primary.disconnect();
  await exited;
});

interface Farm {
  readonly port: number;
  /** How its workers have ended: with an exit code, or by a signal. */
  readonly exits: unknown[];
  isReplaced: boolean;
}

/** @param drainMs how long what a worker is answering may take once the worker is to end */
async function start(workers: number, drainMs: number): Promise<Farm> {
  const options = { secret: drawSecret(), transport: drawMulticast(), clusterSize: workers };
  const config = { options, workers, pauseMs: 300, drainMs };
  primary = fork(join(__dirname, 'primary.js'), [JSON.stringify(config)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(primary, 'message')) as [{ readonly port: number }];
  const farm: Farm = { port, exits: [], isReplaced: false };
  primary.on('message', (message: { readonly type: string; readonly how?: unknown }) => {
    farm.isReplaced ||= message.type === 'replaced';
    if (message.type === 'exit') farm.exits.push(message.how);
  });
  return farm;
}

it("a worker of Node's cluster module that is replaced waits for a stream that does not end as long as it is to, and ends in order", async () => {
  const farm = await start(1, 1000);
  const response = await fetch(`http://127.0.0.1:${farm.port}/stream`, { signal: AbortSignal.timeout(PATIENCE_MS) });
  expect(response.status).toBe(200);
  const read = response.text();
  const cut = expect(read).rejects.toThrow();
  primary?.send('replace');
  await until('it is replaced', () => farm.isReplaced);
  await cut;
  expect(farm.exits).toEqual([0]);
});

it("workers of Node's cluster module that are replaced one after the other keep their sessions, and fail no request", async () => {
  const farm = await start(3, PATIENCE_MS);
  let cookie = '';
  let clicks = 0;
  let isOver = false;
  const workers = new Set<number>();
  const click = async (): Promise<void> => {
    // A connection of its own for each: the workers take turns.
    const headers = { connection: 'close', ...(cookie === '' ? {} : { cookie }) };
    const response = await fetch(`http://127.0.0.1:${farm.port}/`, {
      headers,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    expect(response.status).toBe(200);
    cookie ||= response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
    const said = (await response.json()) as { readonly clicks: number; readonly worker: number };
    clicks += 1;
    expect(said.clicks).toBe(clicks);
    workers.add(said.worker);
  };
  // Visitors who have no session: more connections, so that the primary has some to hand out at any moment.
  const visit = async (): Promise<void> => {
    while (!isOver) {
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await fetch(`http://127.0.0.1:${farm.port}/`, { headers: { connection: 'close' }, signal });
      expect(response.status).toBe(200);
      await response.json();
    }
  };
  for (let count = 0; count < 6; count += 1) await click();
  const visits = Promise.all(Array.from({ length: 4 }, visit));
  primary?.send('replace');
  // One after the other: each time until a successor is ready.
  for (let ended = 1; ended <= 3; ended += 1) {
    await until(`${ended} workers have ended (${farm.exits})`, async () => {
      await click();
      return farm.exits.length >= ended;
    });
  }
  await until('all are replaced', () => farm.isReplaced);
  expect(farm.exits).toEqual([0, 0, 0]);
  const before = clicks;
  await until('users have clicked', async () => {
    await click();
    return clicks > before + 10;
  });
  isOver = true;
  await visits;
  expect(workers.size).toBe(6);
});
