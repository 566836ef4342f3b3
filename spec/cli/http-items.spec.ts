import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { CommandError } from '../../lib/cli/exit-codes.js';
import { FarmItems } from '../../lib/cli/farm-items.js';
import { HttpItems } from '../../lib/cli/http-items.js';
import { NoQuorumError } from '../../lib/errors.js';
import { pause, until } from '../cluster/waiting.js';
import { closeAll, start, TOKEN } from './http-server.js';
import { MemoryValues } from './memory-values.js';

closeAll();

const others: Server[] = [];
afterEach(() => {
  for (const server of others.splice(0)) server.close();
});

describe('items in the farm', () => {
  it('that can not be watched yet are no longer waited for when the watch is to end', async () => {
    const values = new MemoryValues();
    values.watchable = new Promise(() => undefined);
    let isAsked = false;
    values.find = () => {
      isAsked = true;
      return new Promise(() => undefined);
    };
    const ending = new AbortController();
    const watched = new FarmItems(values, 10).watch({ key: 'a' }, ending.signal);
    await until('it is asked whether there is a quorum', () => isAsked);
    ending.abort();
    const changes = await Promise.race([watched, pause(1000)]);
    expect(await changes?.next()).toEqual({ done: true, value: undefined });
  });
});

describe('items by HTTP', () => {
  const itemsAt = (url: string, token?: string): HttpItems =>
    new HttpItems({ url: new URL(url), token, timeoutMs: 5000 });
  const item = { type: 'text/plain', body: Buffer.from('v') };

  it('are what they are in the farm', async () => {
    const { url, values } = await start({ token: TOKEN });
    const items = itemsAt(url, TOKEN);
    const direct = new FarmItems(values, 1000);
    for (const key of ['..', 'a/b', 'ä?#%']) {
      expect(await items.find(key)).toBeNull();
      expect(await items.remove(key)).toBe('absent');
      const absent = { kind: 'absent' } as const;
      const written = await items.write(key, item, { condition: absent, ttlMs: 100_000 });
      expect(await items.write(key, item, { condition: absent })).toBeNull();
      const found = await items.find(key);
      expect(found).toEqual({ ...(await direct.find(key)), ttlMs: 100_000 });
      expect(found).toMatchObject({ key, item, ...written });
      expect(await items.remove(key, { kind: 'version', versions: ['v0'] })).toBe('other');
      expect(await items.remove(key, absent)).toBe('other');
      expect(await items.remove(key, { kind: 'version', versions: [written?.version ?? ''] })).toBe('removed');
      for (const each of [items, direct]) {
        expect(await each.remove(key, absent)).toBe('absent');
        expect(await each.remove(key, { kind: 'present' })).toBe('other');
      }
      await items.write(key, item);
    }
    expect(await items.keys('', 10)).toEqual({ keys: ['..', 'a/b', 'ä?#%'], isComplete: true });
    expect(await items.keys('a', 10)).toEqual({ keys: ['a/b'], isComplete: true });
  });

  it('are watched', async () => {
    const { url, values, api } = await start();
    const items = itemsAt(url);
    const ending = new AbortController();
    const changes = await items.watch({ key: 'a' }, ending.signal);
    const next = changes.next();
    await until('it watches', () => values.watchers === 1);
    await items.write('a', item);
    expect((await next).value).toMatchObject({ kind: 'set', key: 'a', found: { item, version: 'v1', revision: 1n } });
    const last = changes.next();
    ending.abort();
    expect((await last).done).toBe(true);
    await until('nobody watches', () => values.watchers === 0);
    const slow = await items.watch({ prefix: 'slow' }, new AbortController().signal);
    values.overflow();
    await expect(slow.next()).rejects.toMatchObject({ code: 'ERR_WATCH_OVERFLOW', message: 'too many wait' });
    const others = (await items.watch({ prefix: '' }, new AbortController().signal)).next();
    await until('it watches', () => values.watchers === 1);
    await api.close();
    await expect(others).rejects.toThrow(/has ended the stream/);
  });

  it('fail as they do in the farm, and as HTTP does', async () => {
    const { url, values } = await start({ token: TOKEN });
    const items = itemsAt(url, TOKEN);
    values.failure = new NoQuorumError('too few');
    await expect(items.find('a')).rejects.toMatchObject({ code: 'ERR_NO_QUORUM', message: 'too few' });
    await expect(itemsAt(url).find('a')).rejects.toMatchObject({ code: 'ERR_UNAUTHORIZED' });
    await expect(itemsAt('http://127.0.0.1:1').write('a', item)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await expect(itemsAt('http://127.0.0.1:1').find('a')).rejects.toThrow(CommandError);
  });

  /** Another program, at the address that should be a node's. */
  async function startOther(status: number): Promise<HttpItems> {
    const server = createServer((request, response) => {
      request.resume();
      response.writeHead(status, { 'Content-Type': 'text/html', ETag: '"1"' }).end('<h1>Here is something else</h1>');
    });
    others.push(server);
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    return itemsAt(`http://127.0.0.1:${port}`);
  }

  const refusedBy = (status: number) => ({
    code: 'ERR_HTTP',
    message: `The answer is HTTP ${status}, as no node of a farm gives it for this. Check --url.`,
  });

  it.each([404, 412, 502, 504])('fail where what answers %i is no node', async (status) => {
    const items = await startOther(status);
    await expect(items.find('a')).rejects.toMatchObject(refusedBy(status));
    // What answers for a node that it can't reach, or that is slow, may have told it.
    const notDone = status < 500 ? refusedBy(status) : { code: 'ERR_OUTCOME_UNKNOWN' };
    await expect(items.remove('a')).rejects.toMatchObject(notDone);
    await expect(items.write('a', item, { condition: { kind: 'absent' } })).rejects.toMatchObject(notDone);
  });

  it('fail where what answers as if all were well is no node', async () => {
    const items = await startOther(200);
    await expect(items.find('a')).rejects.toMatchObject(refusedBy(200));
    await expect(items.keys('', 10)).rejects.toMatchObject(refusedBy(200));
    await expect(items.status()).rejects.toMatchObject(refusedBy(200));
    await expect(items.watch({ key: 'a' }, new AbortController().signal)).rejects.toMatchObject(refusedBy(200));
    const writing = await startOther(204);
    await expect(writing.write('a', item)).rejects.toMatchObject(refusedBy(204));
    await expect(writing.remove('a')).rejects.toMatchObject(refusedBy(204));
  });

  it('have not been written where no connection came about', async () => {
    const { createServer } = await import('node:net');
    // It takes the connection, and never says what TLS waits for.
    const server = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
    const sockets: import('node:net').Socket[] = [];
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    const items = new HttpItems({ url: new URL(`https://127.0.0.1:${port}`), token: undefined, timeoutMs: 300 });
    await expect(items.write('a', item)).rejects.toMatchObject({ code: 'ETIMEDOUT' });
    for (const socket of sockets) socket.destroy();
    server.close();
  });

  it('may have been written when the node is gone', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => socket.destroy());
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    const { port } = server.address() as { port: number };
    const items = itemsAt(`http://127.0.0.1:${port}`);
    await expect(items.write('a', item)).rejects.toMatchObject({ code: 'ERR_OUTCOME_UNKNOWN' });
    await expect(items.find('a')).rejects.toMatchObject({ code: 'ECONNRESET' });
    server.close();
  });
});
