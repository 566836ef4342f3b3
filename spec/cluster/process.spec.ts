import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { sign } from 'cookie-signature';
import type { PaxosStoreOptions } from '../../lib/index.js';
import { Browser } from './browser.js';
import { drawMulticast, drawSecret, endAll, Farm } from './farm.js';
import { until } from './waiting.js';

endAll();

describe('a process alone that waits for two others', () => {
  const farm = new Farm({ options: { timeout: 300 } });

  beforeAll(() => farm.add().listening());

  it('answers 503 when its time is up, and says who is missing', async () => {
    const server = farm.at(0);
    const browser = new Browser();
    browser.cookie = `connect.sid=${encodeURIComponent(`s:${sign('some-session', 'keyboard cat')}`)}`;
    const startMs = performance.now();
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.post(server, '/web/save?field=a')));
    expect(performance.now() - startMs).toBeGreaterThan(250);
    for (const { status, text } of answers) {
      expect(status).toBe(503);
      expect(text).toMatch(
        /No quorum in cluster .*: 2 of 3 voters are needed.*Seen: server-1\. Missing: a voter never/,
      );
    }
    const visitor = new Browser();
    expect((await visitor.post(server, '/web/save?field=a')).status).toBe(503);
    // Not saved before the head is sent, as by express-session at the end of a response: then only the app hears of it.
    await visitor.login(server, 'somebody').catch(() => undefined);
    await until('the app heard of it', async () => (await server.errors()).some((error) => error.includes('/login')));
  });

  it.each([
    ['get', 'sid'],
    ['set', 'sid', { cookie: {} }],
    ['touch', 'sid', { cookie: {} }],
    ['destroy', 'sid'],
    ['length'],
    ['ids'],
    ['all'],
    ['clear'],
  ])('fails a call of %s', async (method, ...parameters) => {
    const call = farm.at(0).store(method, ...parameters);
    await expect(call).rejects.toMatchObject({ code: 'ERR_NO_QUORUM', status: 503 });
  });

  it('goes on, and works when the others are there', async () => {
    expect(farm.at(0).exit).toBeNull();
    expect(farm.at(0).isReady).toBe(false);
    farm.add();
    farm.add();
    await Promise.all(farm.servers.map((server) => server.ready()));
    const browser = new Browser();
    await browser.login(farm.at(0), 'somebody');
    expect(await browser.read(farm.at(2))).toEqual({ user: 'somebody' });
  });

  it('that is left alone again answers 503, and says so', async () => {
    const browser = new Browser();
    await browser.login(farm.at(0), 'somebody');
    await Promise.all(farm.others(0).map((server) => server.kill()));
    await until('its store is disconnected', async () => {
      // All the while it answers.
      expect((await browser.post(farm.at(0), '/web/save?field=a')).status).toBe(503);
      return farm.at(0).events.some(({ event }) => event === 'disconnect');
    });
    expect(farm.at(0).warnings('quorum-lost')[0]).toMatch(/Missing: slot \d \(server-\d\), slot \d \(server-\d\)/);
    expect((await farm.at(0).status()).isReady).toBe(false);
  });
});

it('a process alone whose clusterSize is 1 needs nobody', async () => {
  const farm = new Farm({ options: { clusterSize: 1 } });
  const [server] = await farm.start({});
  if (server === undefined) throw new Error('one was started');
  const browser = new Browser();
  await browser.login(server, 'somebody');
  expect(await browser.read(server)).toEqual({ user: 'somebody' });
  await browser.post(server, '/web/logout');
  expect(await browser.read(server)).toEqual({});
  expect(await server.store('length')).toBe(0);
});

describe('the end of a process', () => {
  const options: PaxosStoreOptions = { transport: drawMulticast(), secret: drawSecret() };
  const farm = new Farm({ options });
  const alones: ChildProcess[] = [];

  /** Starts alone.js; gives what it says until it has ended by itself. */
  async function runAlone(mode: 'idle' | 'ready' | 'close', onOutput = (_output: string): void => {}): Promise<string> {
    const setup = JSON.stringify({ options, mode });
    const child = spawn(process.execPath, [join(__dirname, 'alone.js'), setup], { stdio: ['ignore', 'pipe', 'pipe'] });
    alones.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk) => {
        output += String(chunk);
        onOutput(output);
      });
    }
    await once(child, 'close');
    return output;
  }

  afterAll(() => {
    for (const child of alones) child.kill('SIGKILL');
  });

  it('an idle open store does not put it off', async () => {
    expect(await runAlone('idle')).toMatch(/^exit 0 /);
  });

  it('ready() puts it off until there is a farm, and no longer', async () => {
    let output = '';
    const ended = runAlone('ready', (text) => {
      output = text;
    });
    const other = farm.add();
    await other.listening();
    await until('the two see each other', async () => {
      const error = await other.store('ids').catch((reason: Error) => reason.message);
      return /2 processes of cluster .* see each other/.test(String(error));
    });
    expect(output).toBe('');
    farm.add();
    expect(await ended).toBe('ready\nexit 0 voter\n');
  });

  it('close() of the store, and of its server, lets it come', async () => {
    await Promise.all(farm.servers.map((server) => server.ready()));
    expect(await runAlone('close')).toBe('ready\nclosed\nexit 0 closed\n');
    const browser = new Browser();
    await browser.login(farm.at(0), 'somebody');
    const server = farm.at(1);
    await server.close();
    expect(server.isClosed).toBe(true);
    expect(server.exit).toBe(0);
    expect(server.output).toBe('');
  });
});
