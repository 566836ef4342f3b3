/** The stores compared, each made in a process of its own from a plain description. */
import session from 'express-session';

/**
 * Settles when the store can be used.
 * @returns `store`; `eager`, one that writes each touch; `status` and `close`
 */
export function openStore({ kind, ...options }) {
  switch (kind) {
    case 'memory':
      return openMemory();
    case 'redis':
      return openRedisStore(options);
    case 'paxos':
      return openPaxos(options);
    default:
      throw new Error(`No such store: ${kind}`);
  }
}

async function openMemory() {
  const store = new session.MemoryStore();
  return { store, eager: store, status: () => null, close: async () => undefined };
}

async function openRedisStore({ url, prefix }) {
  const [{ createClient }, { RedisStore }] = await Promise.all([import('redis'), import('connect-redis')]);
  const client = await createClient({ url })
    .on('error', () => undefined)
    .connect();
  const store = new RedisStore({ client, prefix });
  return { store, eager: store, status: () => null, close: () => client.close() };
}

async function openPaxos(options) {
  const { PaxosNode, PaxosStore } = await import('connect-paxos');
  const node = new PaxosNode(options);
  const store = new PaxosStore({ node });
  // Sessions of its own: what the other store saves may lag, whoever touches it.
  const eager = new PaxosStore({ node, prefix: 'eager', touchAfter: 0 });
  await store.ready();
  return { store, eager, status: () => node.status(), close: () => node.close() };
}

/** A description of a farm on this machine's loopback, with a group and port that no other run has. */
export function farmOptions({ isSealed }) {
  const below = (bound) => Math.floor(Math.random() * bound);
  return {
    kind: 'paxos',
    cluster: `bench-${process.pid}-${below(1e9)}`,
    secret: isSealed ? 'only for measuring, on loopback' : false,
    clusterSize: 3,
    transport: {
      multicast: `239.255.${1 + below(254)}.${1 + below(254)}:${20_000 + below(10_000)}`,
      interface: '127.0.0.1',
    },
  };
}

export function redisOptions({ url }) {
  return { kind: 'redis', url, prefix: `connect-paxos-bench:${process.pid}:${Date.now()}:` };
}
