import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { endAll, Farm, type Server } from './farm.js';
import { each, until } from './waiting.js';

let farm: Farm;
let directory: string;

endAll();
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'connect-paxos-'));
  farm = new Farm({ options: { touchAfter: 0 } });
});
afterEach(async () => {
  await farm.end();
  await rm(directory, { recursive: true, force: true });
});

/** The server that keeps its memory in that place; a second one goes on where the first has ended. */
function serverAt(place: string): Server {
  return farm.add({ options: { storage: { path: join(directory, place) } } });
}

async function startAll(): Promise<Server[]> {
  const servers = ['a', 'b', 'c'].map(serverAt);
  await Promise.all(servers.map((server) => server.ready()));
  return servers;
}

interface Writing {
  /** What was acknowledged, by session. */
  readonly acknowledged: Map<string, number>;
  end(): Promise<void>;
}

/** Saves sessions, new ones and the same again, until it is ended, or the servers are. */
function write(servers: readonly Server[], round = 0): Writing {
  const acknowledged = new Map<string, number>();
  let isOver = false;
  const writing = servers.flatMap((server, at) =>
    [0, 1, 2, 3].map(async (writer) => {
      for (let count = 1; !isOver; count += 1) {
        const sid = `${round} ${at} ${writer}${writer < 2 ? '' : ` ${count}`}`;
        try {
          await server.store('set', sid, { cookie: {}, count });
          acknowledged.set(sid, count);
        } catch {
          return; // it was killed
        }
      }
    }),
  );
  return {
    acknowledged,
    end: async () => {
      isOver = true;
      await Promise.all(writing);
    },
  };
}

async function expectAll(acknowledged: ReadonlyMap<string, number>, server: Server): Promise<void> {
  const all = [...acknowledged];
  await each(all.length, 8, async (index) => {
    const [sid, count] = all[index] as [string, number];
    const read = await server.store<{ readonly count: number } | null>('get', sid);
    expect([sid, (read?.count ?? 0) >= count]).toEqual([sid, true]);
  });
}

it('after kill -9 of all servers at once every acknowledged write is there', async () => {
  let servers = await startAll();
  const { incarnation } = await (servers[0] as Server).status();
  const all = new Map<string, number>();
  for (let round = 0; round < 3; round += 1) {
    const { acknowledged, end } = write(servers, round);
    await until('there were writes', () => acknowledged.size > 200);
    await Promise.all(servers.map((server) => server.kill()));
    await end();
    servers = await startAll();
    for (const server of servers) expect(await server.status()).toMatchObject({ state: 'voter', incarnation });
    for (const [sid, count] of acknowledged) all.set(sid, count);
    await expectAll(round === 2 ? all : acknowledged, servers[round] as Server);
  }
});

it('one that was away for long, and one whose directory is damaged, get their memory from the others', async () => {
  const servers = await startAll();
  const { acknowledged, end } = write(servers.slice(0, 2));
  await until('there were writes', () => acknowledged.size > 100);
  await servers[2]?.kill();
  const more = acknowledged.size + 100;
  await until('there were more', () => acknowledged.size > more);
  await end();
  const { flipBytes } = await import('./damage.js');
  await flipBytes(join(directory, 'c'));
  const again = serverAt('c');
  await again.ready();
  expect(await again.status()).toMatchObject({ state: 'voter' });
  await servers[0]?.kill();
  await expectAll(acknowledged, again);
  // Whatever was hit: it is as it was, or counts as lost.
  const moved = (await readdir(join(directory, 'c'))).filter((name) => name.startsWith('corrupt-'));
  expect(moved.length).toBe(again.warnings('storage-corrupt').length);
});

it('a deploy, server by server, keeps all of it, and the generations', async () => {
  let servers = await startAll();
  const { acknowledged, end } = write(servers.slice(0, 1));
  await until('there were writes', () => acknowledged.size > 50);
  await end();
  for (const [at, place] of ['a', 'b', 'c'].entries()) {
    await servers[at]?.close();
    const again = serverAt(place);
    await again.ready();
    servers = servers.with(at, again);
  }
  const { voters } = await (servers[0] as Server).status();
  expect(voters.map(({ generation }) => generation)).toEqual([1, 1, 1]);
  await expectAll(acknowledged, servers[1] as Server);
});
