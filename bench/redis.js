import { once } from 'node:events';
import { createServer } from 'node:net';
import { startProgram } from './processes.js';

const START_TIMEOUT_MS = 10_000;

/**
 * The Redis to compare with: the one at `url`, or a `redis-server` of this run's own, without persistence.
 * @returns `null` if neither is wanted
 */
export async function openRedis({ url, isOwn }) {
  if (url === undefined && !isOwn) return null;
  const { createClient } = await import('redis');
  if (url !== undefined) {
    const client = createClient({ url, socket: { connectTimeout: START_TIMEOUT_MS, reconnectStrategy: false } });
    return opened(url, client, null);
  }
  const port = await freePort();
  const options = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const server = await startProgram('redis-server', options).catch((error) => {
    throw new Error(`redis-server can't be started (${error.message}): install it, or set REDIS_URL.`);
  });
  const own = `redis://127.0.0.1:${port}`;
  const reconnectStrategy = (tries) => (server.hasEnded || tries > 100 ? new Error('redis-server has ended') : 50);
  return opened(own, createClient({ url: own, socket: { reconnectStrategy } }), server);
}

async function opened(url, client, server) {
  client.on('error', () => undefined);
  await client.connect();
  const version = /redis_version:(\S+)/.exec(await client.info('server'))?.[1] ?? 'unknown';
  return {
    url,
    version,
    /** µs of CPU time that the server has used. */
    async cpuMicros() {
      const info = await client.info('cpu');
      const used = (mode) => Number(new RegExp(`used_cpu_${mode}:(\\S+)`).exec(info)?.[1]);
      return (used('user') + used('sys')) * 1e6;
    },
    async close() {
      client.destroy();
      await server?.end();
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
