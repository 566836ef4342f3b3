import { describe, expect, it } from '@jest/globals';
import { until } from '../../cluster/waiting.js';
import { demonstrate, endAllAfterEach, type Server, startServers } from './farm.js';

endAllAfterEach();

/** Far longer than a test may take: nothing that is seen comes of a lease's end. */
const LONG_MS = 600_000;
const SHORT_MS = 1500;

interface Term {
  readonly server: Server;
  readonly token: bigint;
  readonly fromMs: number;
  /** `Infinity` while it lasts. */
  readonly toMs: number;
}

function termsOf(servers: readonly Server[]): Term[] {
  const terms = servers.flatMap((server) =>
    server.all('leads').map(({ payload, atMs }) => {
      const end = server.all('steps down').find((event) => event.payload === payload);
      return { server, token: BigInt(payload as string), fromMs: atMs, toMs: end?.atMs ?? Number.POSITIVE_INFINITY };
    }),
  );
  return terms.sort((a, b) => (a.token < b.token ? -1 : 1));
}

async function termOf(servers: readonly Server[], number: number): Promise<Term> {
  await until(`there has been a leader for time ${number}`, () => termsOf(servers).length >= number);
  const terms = termsOf(servers);
  expect(terms.length).toBe(number);
  return terms[number - 1] as Term;
}

/** The first one of another server: a busy machine may cost a leader its lease, too. */
async function termAfter(servers: readonly Server[], { token, server: former }: Term): Promise<Term> {
  const find = () => termsOf(servers).find((term) => term.server !== former && term.token > token);
  await until('another leads', () => find() !== undefined);
  return find() as Term;
}

const heardBy = (servers: readonly Server[]): unknown[] => servers.map((server) => server.all('heard').at(-1)?.payload);

async function untilAllHear(servers: readonly Server[], leader: string): Promise<void> {
  await until(`all have heard that ${leader} leads`, () => heardBy(servers).every((heard) => heard === leader));
}

/** By their tokens, and by the clock that they share. */
function expectOneAtATime(terms: readonly Term[]): void {
  terms.slice(1).forEach(({ fromMs }, index) => {
    expect(fromMs).toBeGreaterThanOrEqual(terms[index]?.toMs ?? Number.NaN);
  });
}

describe('the election', () => {
  it('has one leader at a time, and moves at once when that resigns or is deposed', async () => {
    const servers = await startServers('leader-election');
    for (const server of servers) await server.do('campaign', LONG_MS);
    const first = await termOf(servers, 1);
    await untilAllHear(servers, first.server.name);

    await first.server.do('resign');
    const second = await termOf(servers, 2);
    expect(second.server).not.toBe(first.server);
    await untilAllHear(servers, second.server.name);

    // Whoever leads then has heard of it and gone before, or another's token is higher than its own.
    await first.server.do('depose');
    const third = await termOf(servers, 3);
    await untilAllHear(servers, third.server.name);
    await until('the one deposed has stepped down', () => termsOf(servers)[1]?.toMs !== Number.POSITIVE_INFINITY);

    await third.server.do('resign');
    const fourth = await termOf(servers, 4);
    await fourth.server.do('resign');
    await first.server.do('campaign', LONG_MS);
    expect((await termOf(servers, 5)).server).toBe(first.server);
    const terms = termsOf(servers);
    expectOneAtATime(terms.slice(0, 2));
    expectOneAtATime(terms.slice(2));
  });

  it('has another leader when the process of one is killed', async () => {
    const servers = await startServers('leader-election');
    await Promise.all(servers.map((server) => server.do('campaign', SHORT_MS)));
    await until('there is a leader', () => termsOf(servers).length > 0);
    const last = termsOf(servers).at(-1) as Term;
    await last.server.kill();
    const others = servers.filter((server) => server !== last.server);
    await termAfter(servers, last);
    await until('all have heard of it', () => {
      const [heard, same] = heardBy(others);
      return heard === same && others.some(({ name }) => name === heard);
    });
  });

  it('steps down where it was stopped for longer than its lease', async () => {
    const servers = await startServers('leader-election');
    await Promise.all(servers.map((server) => server.do('campaign', SHORT_MS)));
    await until('there is a leader', () => termsOf(servers).length > 0);
    const stopped = termsOf(servers).at(-1) as Term;
    stopped.server.signal('SIGSTOP');
    await termAfter(servers, stopped);
    stopped.server.signal('SIGCONT');
    await until('it steps down', () => {
      const term = termsOf(servers).find(({ token }) => token === stopped.token);
      return term?.toMs !== Number.POSITIVE_INFINITY;
    });
    await until('it has heard that another leads', () => {
      const [heard] = heardBy([stopped.server]);
      return heard !== null && heard !== stopped.server.name;
    });
  });

  it('ends with the node, on the leader and on those that wait', async () => {
    const servers = await startServers('leader-election');
    for (const server of servers) await server.do('campaign', LONG_MS);
    const { server: leader } = await termOf(servers, 1);
    const [waiting] = servers.filter((server) => server !== leader) as [Server, Server];
    await waiting.do('close');
    await leader.do('close');
    await until('the leader has stepped down', () => leader.all('steps down').length === 1);
  });

  it('is shown by its demonstration', async () => {
    const lines = (await demonstrate('leader-election')).trim().split('\n');
    expect(lines.filter((line) => line.endsWith(' leads') && !line.includes('heard')).sort()).toEqual([
      'web-1 leads',
      'web-2 leads',
      'web-3 leads',
    ]);
    expect(lines.filter((line) => line.endsWith(' steps down')).length).toBe(3);
  });
});
