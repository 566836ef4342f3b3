import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, expect, it } from '@jest/globals';
import { drawMulticast, drawSecret } from './farm.js';
import { pause, until } from './waiting.js';

let primary: ChildProcess | null = null;

afterEach(async () => {
  if (primary === null || primary.exitCode !== null) return;
  // Its workers end with it: their channel to it closes.
  const exited = once(primary, 'exit');
  primary.disconnect();
  await exited;
});

it("workers of Node's cluster module that are replaced one after the other keep their sessions, and fail no request", async () => {
  const config = { options: { secret: drawSecret(), transport: drawMulticast() }, workers: 3 };
  primary = fork(join(__dirname, 'primary.js'), [JSON.stringify(config)], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ port }] = (await once(primary, 'message')) as [{ readonly port: number }];
  let cookie = '';
  let clicks = 0;
  const workers = new Set<number>();
  const click = async (): Promise<void> => {
    // A connection of its own for each: the workers take turns.
    const headers = { connection: 'close', ...(cookie === '' ? {} : { cookie }) };
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers });
    expect(response.status).toBe(200);
    cookie ||= response.headers.getSetCookie()[0]?.split(';', 1)[0] ?? '';
    const said = (await response.json()) as { readonly clicks: number; readonly worker: number };
    clicks += 1;
    expect(said.clicks).toBe(clicks);
    workers.add(said.worker);
  };
  let isReplaced = false;
  primary.on('message', (message: { readonly type: string }) => {
    isReplaced ||= message.type === 'replaced';
  });
  for (let count = 0; count < 6; count += 1) await click();
  primary.send('replace');
  while (!isReplaced) {
    await click();
    await pause(5);
  }
  const before = clicks;
  await until('users have clicked', async () => {
    await click();
    return clicks > before + 10;
  });
  expect(workers.size).toBe(6);
}, 90_000);
