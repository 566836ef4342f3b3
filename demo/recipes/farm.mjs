// @ts-check
/**
 * What the recipes' demonstrations share: three servers of one farm, here in one process and on loopback. In an
 * application each server makes one node, `new PaxosNode({ cluster, secret })`, and everything stands on that.
 */
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { PaxosNode } from 'connect-paxos';

/**
 * @param {number} [count]
 * @returns {Promise<PaxosNode[]>} nodes that are ready; to be closed
 */
export async function startFarm(count = 3) {
  // A group and a secret of its own: two demonstrations at a time are two farms.
  const group = `239.255.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  const transport = { multicast: `${group}:${randomInt(10_000, 32_000)}`, interface: '127.0.0.1' };
  const secret = randomBytes(16).toString('hex');
  const nodes = Array.from({ length: count }, (_, index) => {
    return new PaxosNode({ cluster: 'recipes', secret, transport, name: `web-${index + 1}` });
  });
  await Promise.all(nodes.map((node) => node.ready()));
  return nodes;
}

/**
 * Has Express apps listen on loopback.
 *
 * @param {import('express').Express[]} apps
 * @returns {Promise<{ urls: string[], close(): void }>}
 */
export async function listen(apps) {
  const servers = apps.map((app) => app.listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const urls = servers.map((server) => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
    return `http://127.0.0.1:${port}`;
  });
  const close = () => {
    for (const server of servers) server.close().closeAllConnections();
  };
  return { urls, close };
}

/**
 * Whether a module was started by `node module.mjs`, and not imported.
 *
 * @param {string} url its `import.meta.url`
 */
export function isStarted(url) {
  return process.argv[1] === fileURLToPath(url);
}
