import { expect, it } from '@jest/globals';
import { drawMulticast, drawSecret, endAll, Farm, type Server } from './farm.js';
import { until } from './waiting.js';

endAll();

it('clusters with different names share a group and port without seeing each other', async () => {
  const transport = drawMulticast();
  const secret = drawSecret();
  const options = { transport, clusterSize: 2 };
  const farms = [
    new Farm({ options: { ...options, cluster: 'one', secret } }),
    new Farm({ options: { ...options, cluster: 'two', secret } }),
    new Farm({ options: { ...options, cluster: 'three', secret: drawSecret() } }),
  ];
  await Promise.all(farms.map((farm) => farm.start({ options: { name: farm.options.cluster } }, {})));

  const session = (user: string): object => ({ cookie: {}, user });
  for (const { servers, options } of farms) await servers[0]?.store('set', 'shared', session(`of ${options.cluster}`));
  for (const { servers, options } of farms) await servers[1]?.store('set', `own ${options.cluster}`, session('x'));
  await farms[0]?.at(1).store('destroy', 'own two');

  const incarnations = new Set<string | null>();
  for (const { servers, options } of farms) {
    for (const server of servers) {
      expect(await server.store('get', 'shared')).toMatchObject({ user: `of ${options.cluster}` });
      expect((await server.store<string[]>('ids')).sort()).toEqual([`own ${options.cluster}`, 'shared']);
      const status = await server.status();
      incarnations.add(status.incarnation);
      expect(status).toMatchObject({ state: 'voter', learners: [] });
      expect(status.voters.map(({ process }) => process).sort()).toEqual(await processesOf(servers));
      // It does hear them, and knows from the label alone that they are none of its business.
      expect(status.network.sealing?.cluster).toBeGreaterThan(0);
      expect(status.network.sealing).toMatchObject({ unknownKey: 0, badTag: 0 });
      expect(server.warnings('alone')).toEqual([]);
    }
  }
  expect(incarnations.size).toBe(3);
});

it('a process with another secret never joins, and says why it can see nobody', async () => {
  const farm = new Farm();
  await farm.start({}, {}, {});
  const stranger = farm.add({ options: { secret: drawSecret(), timeout: 300 } });
  await until('the stranger has said why', () => stranger.warnings('alone').length > 0);
  expect(stranger.warnings('alone')[0]).toMatch(/sealed with another secret.*set the same secret in all processes/);
  expect(await stranger.status()).toMatchObject({ state: 'seeking', isReady: false, incarnation: null });
  await expect(stranger.store('get', 'sid')).rejects.toMatchObject({
    code: 'ERR_NO_QUORUM',
    message: expect.stringMatching(/another secret/),
  });
  for (const server of farm.servers.slice(0, 3)) {
    const { learners, voters, network } = await server.status();
    expect(learners).toEqual([]);
    expect(voters.map(({ isUp }) => isUp)).toEqual([true, true, true]);
    expect(network.sealing?.unknownKey).toBeGreaterThan(0);
  }
});

it('servers that seal with different ones of the same secrets are one farm, as while a secret is changed', async () => {
  const [old, fresh] = [drawSecret(), drawSecret()];
  const farm = new Farm();
  await farm.start(
    { options: { secret: [old, fresh] } },
    { options: { secret: [fresh, old] } },
    { options: { secret: [old, fresh] } },
  );
  for (const server of farm.servers) {
    await server.store('set', 'sid', { cookie: {}, user: server.pid });
    for (const other of farm.servers) expect(await other.store('get', 'sid')).toMatchObject({ user: server.pid });
  }
});

async function processesOf(servers: readonly Server[]): Promise<string[]> {
  const statuses = await Promise.all(servers.map((server) => server.status()));
  return statuses.map(({ process }) => process).sort();
}
