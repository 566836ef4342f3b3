// @ts-check
/**
 * A primary of Node's cluster module with workers that share a port and a farm, as docs/operations.md has it; told to replace
 * them, and ended, by its parent.
 */
import cluster from 'node:cluster';
import { once } from 'node:events';
import { PaxosStore } from 'connect-paxos';
import express from 'express';
import session from 'express-session';

const { options, workers, pauseMs, drainMs } = JSON.parse(process.argv[2] ?? '{}');

/**
 * What a busy machine does to any process at any point.
 *
 * @param {number} ms
 */
function block(ms) {
  const endMs = performance.now() + ms;
  while (performance.now() < endMs);
}

if (cluster.isPrimary) {
  process.on('disconnect', () => process.exit(0));
  const fork = async () => {
    const worker = cluster.fork();
    worker.once('exit', (code, signal) => process.send?.({ type: 'exit', how: signal ?? code }));
    const [ready] = await once(worker, 'message');
    return { worker, port: ready.port };
  };
  let running = await Promise.all(Array.from({ length: workers }, fork));
  process.send?.({ type: 'ready', port: running[0]?.port });
  process.on('message', async (message) => {
    if (message !== 'replace') return;
    const before = running;
    running = [];
    for (const { worker } of before) {
      running.push(await fork());
      const exited = once(worker, 'exit');
      // Not by a message of its own: a worker that just ended would take along what was on its way to it.
      worker.disconnect();
      const timer = setTimeout(() => worker.process.kill(), drainMs);
      block(pauseMs);
      await exited;
      clearTimeout(timer);
    }
    process.send?.({ type: 'replaced' });
  });
} else {
  const store = new PaxosStore(options);
  store.on('warning', () => undefined);
  const app = express();
  // Or who keeps a connection busy would keep the worker from ending.
  app.use((_request, response, next) => {
    if (cluster.worker?.exitedAfterDisconnect) response.set('connection', 'close');
    next();
  });
  app.use(session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false }));
  app.get('/', (request, response) => {
    const { session: mine } = /** @type {any} */ (request);
    mine.clicks = (mine.clicks ?? 0) + 1;
    response.json({ clicks: mine.clicks, worker: process.pid });
  });
  // Ends by nothing of its own, as streams of events do.
  app.get('/stream', (_request, response) => void response.write('\n'));
  await store.ready();
  // The workers share the port that the first of them was given.
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  process.send?.({ type: 'ready', port: /** @type {any} */ (server.address()).port });
  // Comes when the last request is answered.
  process.once('disconnect', async () => {
    await store.close();
    process.exit(0);
  });
  process.on('SIGTERM', () => server.closeAllConnections());
}
