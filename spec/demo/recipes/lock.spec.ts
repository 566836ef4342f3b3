import { describe, expect, it } from '@jest/globals';
import { until } from '../../cluster/waiting.js';
import { demonstrate, endAllAfterEach, startServers } from './farm.js';

endAllAfterEach();

describe('the lock', () => {
  it('has one holder at a time, of twenty on three servers, with tokens that rise', async () => {
    const servers = await startServers('lock');
    await Promise.all(servers.map((server, index) => server.do('contend', [7, 7, 6][index])));
    expect(await servers[0].do('peek')).toBe(20);

    const holds = servers.flatMap((server) =>
      server.all('enter').map(({ payload, atMs }) => {
        const left = server.all('leave').find((event) => event.payload === payload);
        return { token: BigInt(payload as string), fromMs: atMs, toMs: left?.atMs ?? Number.NaN };
      }),
    );
    holds.sort((a, b) => (a.token < b.token ? -1 : 1));
    expect(new Set(holds.map(({ token }) => token)).size).toBe(20);
    // By the tokens, and by the clock of the machine that they share.
    holds.slice(1).forEach(({ fromMs }, index) => {
      expect(fromMs).toBeGreaterThanOrEqual(holds[index]?.toMs ?? Number.NaN);
    });
  });

  it('refuses the late write of a holder that was stopped for longer than its lease', async () => {
    const [stopped, other] = await startServers('lock');
    const first = BigInt(await stopped.do<string>('acquire', 10_000));
    await stopped.do('write', 'early');
    stopped.signal('SIGSTOP');
    const second = BigInt(await other.do<string>('acquire', 20_000));
    expect(second).toBeGreaterThan(first);
    // Not by the time that it writes: what it writes rests on what it has read.
    expect(await other.do('read')).toBe('early');
    stopped.signal('SIGCONT');
    await expect(stopped.do('write', 'late')).rejects.toMatchObject({ code: 'FencedError' });
    await expect(stopped.do('read')).rejects.toMatchObject({ code: 'FencedError' });
    await other.do('write', 'later');
    await expect(stopped.do('write', 'late')).rejects.toMatchObject({ code: 'FencedError' });
    expect(await stopped.do('peek')).toBe('later');
    await until('it knows that it has lost the lock', () => stopped.do<boolean>('hasLost'));
    // What it does not hold any more it does not take from the other.
    await stopped.do('release');
    await expect(stopped.do('acquire', 300)).rejects.toMatchObject({ code: 'LockTimeoutError' });
    expect(await other.do('hasLost')).toBe(false);
    await other.do('release');
    expect(BigInt(await stopped.do<string>('acquire', 10_000))).toBeGreaterThan(second);
  });

  it('does not wait for an end that came before the waiting', async () => {
    const [server] = await startServers('lock');
    await server.do('waitInVain');
  });

  it('is shown by its demonstration', async () => {
    const lines = (await demonstrate('lock')).trim().split('\n');
    expect(lines.map((line) => line.replace(/^web-[123] /, ''))).toEqual(
      Array.from({ length: 9 }, (_, n) => `has made ${n} ${n + 1}`),
    );
  });
});
