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

it("workers of Node's cluster module that are replaced one after the other keep their sessions, and fail no request", async () => {
  const config = { options: { secret: drawSecret(), transport: drawMulticast() }, workers: 3, pauseMs: 300 };
  primary = fork(join(__dirname, 'primary.js'), [JSON.stringify(config)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(primary, 'message')) as [{ readonly port: number }];
  let cookie = '';
  let clicks = 0;
  let isOver = false;
  const workers = new Set<number>();
  const click = async (): Promise<void> => {
    // A connection of its own for each: the workers take turns.
    const headers = { connection: 'close', ...(cookie === '' ? {} : { cookie }) };
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
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
      const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' }, signal });
      expect(response.status).toBe(200);
      await response.json();
    }
  };
  let isReplaced = false;
  const exits: unknown[] = [];
  primary.on('message', (message: { readonly type: string; readonly how?: unknown }) => {
    isReplaced ||= message.type === 'replaced';
    if (message.type === 'exit') exits.push(message.how);
  });
  for (let count = 0; count < 6; count += 1) await click();
  const visits = Promise.all(Array.from({ length: 4 }, visit));
  primary.send('replace');
  // One after the other: each time until a successor is ready.
  for (let ended = 1; ended <= 3; ended += 1) {
    await until(`${ended} workers have ended (${exits})`, async () => {
      await click();
      return exits.length >= ended;
    });
  }
  await until('all are replaced', () => isReplaced);
  expect(exits).toEqual([0, 0, 0]);
  const before = clicks;
  await until('users have clicked', async () => {
    await click();
    return clicks > before + 10;
  });
  isOver = true;
  await visits;
  expect(workers.size).toBe(6);
}, 90_000);
