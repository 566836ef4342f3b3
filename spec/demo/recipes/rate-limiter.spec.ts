import { describe, expect, it } from '@jest/globals';
import { until } from '../../cluster/waiting.js';
import { demonstrate, endAllAfterEach, startServers } from './farm.js';

endAllAfterEach();

interface Taken {
  readonly isAllowed: boolean;
  readonly remaining: number;
  readonly retryAfterMs: number;
}

const counted = (all: readonly number[], one: number): number => all.filter((each) => each === one).length;

describe('the rate limiter', () => {
  it('lets just so many of 300 requests pass that come to three servers at a time', async () => {
    const servers = await startServers('rate-limiter');
    const urls = await Promise.all(servers.map((server) => server.do<string>('url')));
    const ask = async (index: number, client: string, path = '/'): Promise<Response> => {
      const response = await fetch(`${urls[index % 3]}${path}?client=${client}`);
      await response.text();
      return response;
    };
    const responses = await Promise.all(Array.from({ length: 300 }, (_, index) => ask(index, 'flood')));
    const statuses = responses.map(({ status }) => status);
    expect([counted(statuses, 200), counted(statuses, 429)]).toEqual([50, 250]);
    const remaining = responses.filter(({ ok }) => ok).map((each) => Number(each.headers.get('ratelimit-remaining')));
    expect(remaining.sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, n) => n));
    const refused = responses.find(({ status }) => status === 429);
    // A token grows in 72 s.
    expect(Number(refused?.headers.get('retry-after'))).toBeGreaterThan(10);
    expect(Number(refused?.headers.get('retry-after'))).toBeLessThanOrEqual(72);

    // What is known to be in vain does not go to the others.
    for (const [index, server] of servers.entries()) {
      const before = await server.do<number>('changes');
      const late = await Promise.all(Array.from({ length: 20 }, () => ask(index, 'flood')));
      expect(
        counted(
          late.map(({ status }) => status),
          429,
        ),
      ).toBe(20);
      expect(await server.do<number>('changes')).toBe(before);
    }
    // Another client has a bucket of its own.
    expect((await ask(0, 'other')).headers.get('ratelimit-remaining')).toBe('49');

    // Lenient it is where nobody can count, not where a client sends what can't be.
    expect((await ask(0, 'x'.repeat(2000), '/lenient')).status).toBe(413);

    // Without a quorum a server says so, or is lenient.
    await Promise.all([servers[1].kill(), servers[2].kill()]);
    expect((await ask(0, 'third')).status).toBe(503);
    expect((await ask(0, 'third', '/lenient')).status).toBe(200);
    expect((await ask(0, 'flood', '/lenient')).status).toBe(429);
  });

  it('gives tokens back in time, and then the memory', async () => {
    const [first, second, third] = await startServers('rate-limiter');
    expect(await first.do<Taken>('take', 'a')).toEqual({ isAllowed: true, remaining: 1, retryAfterMs: 0 });
    await until('one is refused', async () => !(await second.do<Taken>('take', 'a')).isAllowed);
    const refused = await third.do<Taken>('take', 'b');
    expect(refused.isAllowed).toBe(true);
    const keys = await first.do<string[][]>('keys');
    expect(keys.map(([, name, client]) => [name, client]).sort()).toEqual([
      ['short', 'a'],
      ['short', 'b'],
    ]);
    await until('one passes again', async () => (await second.do<Taken>('take', 'a')).isAllowed);
    await until('nothing is left', async () => (await third.do<string[][]>('keys')).length === 0);
    expect(await third.do<Taken>('take', 'a')).toEqual({ isAllowed: true, remaining: 1, retryAfterMs: 0 });
  });

  it('is shown by its demonstration', async () => {
    expect(await demonstrate('rate-limiter')).toBe('200: 10 of 30\n429: 20 of 30\n');
  });
});
