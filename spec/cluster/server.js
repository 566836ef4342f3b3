// @ts-check
/**
 * One web server of a farm of the specs: an Express app with its sessions in a PaxosStore, as users run it from the
 * built package. Told what to be by its first argument (`Config` in farm.ts, as JSON) and ended by the spec; its
 * parent's end is its own.
 */
import dgram from 'node:dgram';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { PaxosStore, poorNetwork } from 'connect-paxos';
import express5 from 'express';
import session from 'express-session';
import express4 from 'express4';

const config = JSON.parse(process.argv[2] ?? '{}');
const express = config.express === 4 ? express4 : express5;

/** @param {object} message */
const tell = (message) => {
  if (process.connected) process.send?.(message);
};
process.on('disconnect', () => process.exit(0));
if (config.isTapped) tapDatagrams();

const network = config.conditions && poorNetwork(config.options.transport, config.conditions);
const store = new PaxosStore({ ...config.options, ...(network && { transport: network }) });
for (const event of ['connect', 'disconnect', 'conflict', 'warning']) {
  store.on(event, (payload) => tell({ type: 'event', event, payload }));
}
store.on('resize', (progress) => tell({ type: 'resize', progress }));
if (config.isWatching) {
  for (const event of ['change', 'destroy']) store.on(event, (sid) => tell({ type: 'session', event, sid }));
}
store.ready().then(
  () => tell({ type: 'ready' }),
  (error) => tell({ type: 'failed', message: String(error) }),
);

/** What Express was handed by express-session or by a route, for the spec to see. */
const errors = [];
/** @type {Map<string, { opened: Promise<void>, open: () => void }>} */
const gates = new Map();

const app = express();
app.disable('x-powered-by');
app.use('/resave', web(true));
app.use('/web', web(false));
app.get('/status', (_request, response) => {
  response.json(store.status());
});
app.get('/errors', (_request, response) => {
  response.json(errors);
});
// A call of the store's method of that name, with the body for its arguments.
app.post(
  '/store/:method',
  express.json({ limit: '8mb' }),
  route(async (request, response) => {
    const { method } = request.params;
    try {
      response.json({ value: (await store[method](...request.body)) ?? null });
    } catch (error) {
      const { code, message, status, missing } = error;
      response.json({ error: { code, message, status, missing } });
    }
  }),
);
app.use((error, request, _response, next) => {
  errors.push(`${request.method} ${request.path}: ${error.code}: ${error.message}`);
  // Express's own handler answers, as in an app that has none.
  next(error);
});

const server = config.host ? app.listen(config.host.socket) : app.listen(0, '127.0.0.1');
await once(server, 'listening');
// The client ends an idle connection, so none of its requests meets the end of one.
server.keepAliveTimeout = 0;
process.on('message', ({ type, gate, cut, conditions }) => {
  if (type === 'open') gateOf(gate).open();
  if (type === 'close') close();
  if (type === 'network') {
    if (cut === null) network.heal();
    else if (cut !== undefined) network.cutOff(cut);
    if (conditions !== undefined) network.set(conditions);
    tell({ type: 'network' });
  }
});
tell({ type: 'listening', port: server.address().port });

/** Closes what keeps the process alive, and leaves it to end by itself. */
async function close() {
  const closed = once(server, 'close');
  server.close();
  // The requests under way come first: their sessions are saved when they end.
  await closed;
  await store.close();
  tell({ type: 'closed' });
  process.removeAllListeners('disconnect');
  process.disconnect();
}

/** @param {boolean} resave */
function web(resave) {
  const router = express.Router();
  router.use(
    session({
      store,
      secret: 'keyboard cat',
      resave,
      saveUninitialized: false,
      cookie: { maxAge: config.maxAgeMs ?? 3_600_000 },
      ...(config.hasOwnIds && { genid: (request) => String(request.query.id) }),
    }),
  );
  router.use((request, response, next) => {
    // If its session can't be saved Express breaks the connection off behind the answer: no other request is to be on it.
    response.set('connection', 'close');
    // So express-session lets requests pass while the store says that it is disconnected.
    if (request.session === undefined) response.sendStatus(503);
    else next();
  });
  router.post('/login', (request, response) => {
    request.session.user = request.query.user;
    response.json({ id: request.sessionID });
  });
  router.get('/read', (request, response) => {
    response.json(fieldsOf(request.session));
  });
  router.post(
    '/set',
    route(async (request, response) => {
      const { field, value } = request.query;
      await passGate(request);
      if (field !== undefined) request.session[field] = value;
      response.json(fieldsOf(request.session));
    }),
  );
  // Answers only when it is saved: what express-session does at the end of a response can't change its status.
  router.post(
    '/save',
    route(async (request, response) => {
      const { field, value } = request.query;
      request.session[field] = value;
      await promisify(request.session.save.bind(request.session))();
      response.json(fieldsOf(request.session));
    }),
  );
  router.post(
    '/regenerate',
    route(async (request, response) => {
      const { user } = request.session;
      await promisify(request.session.regenerate.bind(request.session))();
      request.session.user = user;
      response.json({ id: request.sessionID });
    }),
  );
  router.post(
    '/logout',
    route(async (request, response) => {
      await promisify(request.session.destroy.bind(request.session))();
      response.json({});
    }),
  );
  router.post(
    '/large',
    route(async (request, response) => {
      request.session.large = 'x'.repeat(Number(request.query.size));
      await promisify(request.session.save.bind(request.session))();
      response.json({});
    }),
  );
  return router;
}

/** Express 4 does not look at the promise that a route returns. */
function route(handle) {
  return (request, response, next) => {
    handle(request, response).catch(next);
  };
}

function fieldsOf({ cookie: _, ...fields }) {
  return fields;
}

/** Keeps a request between the loading of its session and its end until the spec opens the gate that it names. */
async function passGate(request) {
  const { gate } = request.query;
  if (gate === undefined) return;
  tell({ type: 'arrived', gate });
  await gateOf(gate).opened;
  gates.delete(gate);
}

/** @param {string} name */
function gateOf(name) {
  let gate = gates.get(name);
  if (gate === undefined) {
    let open = () => {};
    const opened = new Promise((resolve) => {
      open = () => resolve(undefined);
    });
    gate = { opened, open };
    gates.set(name, gate);
  }
  return gate;
}

/** Shows the spec every datagram that this process sends, to single nodes too. */
function tapDatagrams() {
  const { send } = dgram.Socket.prototype;
  dgram.Socket.prototype.send = function (...parameters) {
    const [datagram, port, host] = parameters;
    tell({ type: 'sent', base64: Buffer.from(datagram).toString('base64'), to: `${host}:${port}` });
    return Reflect.apply(send, this, parameters);
  };
}
