import { describe, expect, it } from '@jest/globals';
import { FarmItems } from '../../lib/cli/farm-items.js';
import { isLoopback, parseHttpAddress } from '../../lib/cli/http/address.js';
import { createGuard } from '../../lib/cli/http/guard.js';
import { HttpApi } from '../../lib/cli/http/server.js';
import { ConfigError } from '../../lib/errors.js';
import { ask, closeAll, start, TOKEN } from './http-server.js';
import { MemoryValues } from './memory-values.js';

closeAll();

describe('who may ask', () => {
  it('is who knows the token', async () => {
    const { url } = await start({ token: TOKEN });
    const status = async (headers: Record<string, string>): Promise<unknown[]> => {
      const answer = await ask(url, '/a', { headers });
      return [answer.status, answer.headers['www-authenticate']];
    };
    expect(await status({})).toEqual([401, 'Bearer realm="connect-paxos"']);
    expect(await status({ Authorization: `Basic ${TOKEN}` })).toEqual([401, 'Bearer realm="connect-paxos"']);
    expect(await status({ Authorization: `Bearer ${TOKEN}x` })).toEqual([
      401,
      'Bearer realm="connect-paxos", error="invalid_token"',
    ]);
    expect(await status({ Authorization: `Bearer ${TOKEN}` })).toEqual([404, undefined]);
    expect(await status({ Authorization: `bearer ${TOKEN}`, Host: 'any.example' })).toEqual([404, undefined]);
  });

  it.each([
    ['localhost', 404],
    ['localhost:1234', 404],
    ['LOCALHOST.', 404],
    ['127.0.0.1:8080', 404],
    ['[::1]:8080', 404],
    ['evil.example', 421],
    ['localhost.evil.example:80', 421],
    ['10.0.0.1', 421],
    ['[::2]', 421],
    ['127.0.0.1.evil.example', 421],
  ])('is, without one, who asks under a name of this machine: %s', async (host, status) => {
    const { url } = await start();
    expect((await ask(url, '/a', { headers: { Host: host } })).status).toBe(status);
  });

  it('is no page in a browser', async () => {
    const { url } = await start();
    expect((await ask(url, '/a', { headers: { Origin: 'null' } })).status).toBe(403);
    expect((await ask(url, '/a', { method: 'POST', headers: { Origin: url }, body: 'x' })).status).toBe(403);
    expect((await ask(url, '/a', { headers: { 'Sec-Fetch-Site': 'cross-site' } })).status).toBe(403);
    expect((await ask(url, '/a', { headers: { 'Sec-Fetch-Site': 'none' } })).status).toBe(404);
    const answer = await ask(url, '/a');
    expect(answer.headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' });
    expect(answer.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('must be said beyond loopback', () => {
    const api = (host: string, token?: string) => createGuard({ host, port: 0 }, token);
    expect(() => api('0.0.0.0')).toThrow(/Set CONNECT_PAXOS_TOKEN to 16 characters or more/);
    expect(() => api('::')).toThrow(ConfigError);
    expect(() => api('web-1')).toThrow(ConfigError);
    expect(() => api('0.0.0.0', 'short')).toThrow(/has 5 characters; it takes 16/);
    expect(() => api('0.0.0.0', TOKEN)).not.toThrow();
    expect(() => api('::1')).not.toThrow();
  });
});

describe('an address', () => {
  it.each([
    ['8080', { host: '127.0.0.1', port: 8080 }],
    ['0', { host: '127.0.0.1', port: 0 }],
    ['0.0.0.0:80', { host: '0.0.0.0', port: 80 }],
    ['[::1]:80', { host: '::1', port: 80 }],
    ['localhost:80', { host: 'localhost', port: 80 }],
  ])('%s', (text, address) => expect(parseHttpAddress(text)).toEqual(address));

  it.each(['', 'x', '70000', ':80', '[x]:80', '::1:80', 'a:b', '-1'])('not %s', (text) =>
    expect(() => parseHttpAddress(text)).toThrow(/it takes a port, or a host and a port/),
  );

  it('says whether it is this machine’s alone', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '10.0.0.1', 'web-1', '::ffff:10.0.0.1'].some(isLoopback)).toBe(false);
  });

  it('that is taken is told from others', async () => {
    const { url } = await start();
    const port = Number(new URL(url).port);
    const second = new HttpApi({
      address: { host: '127.0.0.1', port },
      guard: () => undefined,
      items: new FarmItems(new MemoryValues(), 1000),
      maxValueSize: 1,
      status: () => ({ isReady: true }),
    });
    await expect(second.listen()).rejects.toThrow(/another program has that port/);
  });
});
