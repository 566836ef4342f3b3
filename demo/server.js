// @ts-check
/**
 * One of the servers: an Express app as anybody might write it, with its sessions in a PaxosStore. What is
 * special to the demo (measuring, background traffic, /status) stands apart, below.
 */
import { createServer } from 'node:http';
import { PaxosStore, poorNetwork } from 'connect-paxos';
import express from 'express';
import session from 'express-session';
import { History } from './history.js';
import { Latency } from './latency.js';
import { listen } from './listen.js';
import { HEADERS, servePage } from './page-files.js';
import { Traffic } from './traffic.js';

/**
 * What this app keeps in a session.
 * @typedef {{ user?: string, since?: number, clicks?: number, cart?: Record<string, number> }} Contents
 * @typedef {express.Request & { session: session.Session & Contents }} Request
 */

const GOODS = ['apples', 'bread', 'cheese', 'coffee'];
const MAX_QUANTITY = 99;
const MAX_DELAY_MS = 2000;
const SESSION_MS = 30 * 60 * 1000;

if (process.send === undefined) {
  console.error('demo/start.js starts this; run `npm run demo`.');
  process.exit(1);
}
// Ctrl-C reaches every process of the terminal; the parent decides when the servers end.
process.on('SIGINT', () => undefined);
process.on('SIGHUP', () => undefined);
process.on('disconnect', end);
if (!process.connected) process.exit(0);

const number = Number(process.env.DEMO_SERVER);
const port = Number(process.env.DEMO_PORT);
/** As good as loopback is, until the page cuts this server off. */
const network = poorNetwork({
  multicast: /** @type {string} */ (process.env.DEMO_MULTICAST),
  interface: /** @type {string} */ (process.env.DEMO_INTERFACE),
});
const store = new PaxosStore({
  cluster: 'demo',
  secret: /** @type {string} */ (process.env.DEMO_CLUSTER_SECRET),
  // Any slot that is free, as is the default. One of its own would be all that it could ever take: not another's that is
  // gone, nor, were it itself gone for long, any but the one that has gone to a standby meanwhile.
  slot: 'auto',
  name: `server ${number}`,
  transport: network,
  // Of two requests that count at once each adds its own.
  merge: ({ path, base, theirs, mine }) => {
    const sum = Number(theirs ?? 0) + Number(mine ?? 0) - Number(base ?? 0);
    if (path.join() === 'clicks') return sum;
    if (path[0] !== 'cart' || path.length !== 2) return mine;
    return sum > 0 ? Math.min(sum, MAX_QUANTITY) : undefined;
  },
});
// What a load balancer's health check would find out.
store.on('connect', () => tellParent({ type: 'quorum', hasQuorum: true }));
store.on('disconnect', () => tellParent({ type: 'quorum', hasQuorum: false }));
store.on('warning', ({ code, message }) => console.warn(`Server ${number}: ${code}: ${message}`));
const history = new History(store);
const latency = new Latency(store);
const traffic = new Traffic(store);
let requests = 0;

const app = express();
app.disable('x-powered-by');
app.use((_request, response, next) => {
  requests += 1;
  response.set({ ...HEADERS, 'X-Served-By': `server ${number}` });
  next();
});
app.get('/status', (request, response) => {
  requests -= 1; // the front's own question, not a visitor's
  response.json(describeServer(Number(request.query.since) || 0));
});
// The front's business; see front.js.
app.use('/demo', (_request, response) => refuse(response, 404, 'Only the front knows this.'));
app.use(servePage);

app.use(
  session({
    store,
    secret: /** @type {string} */ (process.env.DEMO_COOKIE_SECRET),
    name: 'demo.sid',
    resave: false,
    saveUninitialized: false,
    // Where the app is reached by https, add `secure: true`.
    cookie: { maxAge: SESSION_MS, httpOnly: true, sameSite: 'lax' },
  }),
);
// While the store has lost its quorum, express-session lets requests through without a session.
app.use((request, _response, next) => {
  if (request.session !== undefined) return next();
  const message = 'Too few servers are up to form a majority, so none may say what is in a session.';
  next(Object.assign(new Error(message), { status: 503, code: 'ERR_NO_QUORUM' }));
});
// JSON only: no page of another site can send it without being asked for permission first.
app.use(express.json());

app.get('/api/state', (request, response) => {
  response.json(stateOf(request));
});

app.post('/login', async (/** @type {Request} */ request, response) => {
  const name = String(request.body?.name ?? '').trim();
  if (name === '' || name.length > 40) return refuse(response, 400, 'A name has 1 to 40 characters.');
  // A new id at each login: one that somebody planted in the browser before gains nothing.
  await new Promise((resolve, reject) =>
    request.session.regenerate((error) => (error ? reject(error) : resolve(null))),
  );
  Object.assign(request.session, { user: name, since: Date.now(), clicks: 1, cart: {} });
  response.json(stateOf(request));
});

app.post('/logout', async (/** @type {Request} */ request, response) => {
  await new Promise((resolve, reject) => request.session.destroy((error) => (error ? reject(error) : resolve(null))));
  response.clearCookie('demo.sid').json(stateOf(request));
});

app.post('/cart', async (/** @type {Request} */ request, response) => {
  const { item, change, delayMs = 0 } = request.body ?? {};
  const { session } = request;
  if (session.user === undefined) return refuse(response, 401, 'Nobody is logged in.');
  if (!GOODS.includes(item)) return refuse(response, 400, `There is only ${GOODS.join(', ')}.`);
  if (change !== 1 && change !== -1) return refuse(response, 400, 'A change is 1 or -1.');
  // A slow request on demand: what happens to the session meanwhile must not be undone when it saves.
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, Math.min(delayMs, MAX_DELAY_MS)));
  const quantity = Math.min((session.cart?.[item] ?? 0) + change, MAX_QUANTITY);
  session.cart = { ...session.cart, [item]: quantity };
  if (quantity <= 0) delete session.cart[item];
  session.clicks = (session.clicks ?? 0) + 1;
  response.json(stateOf(request));
});

/** Tells the page when its session changed, whichever server changed it. */
app.get('/events', (/** @type {Request} */ request, response) => {
  // 204 tells the browser not to ask again.
  if (request.session.user === undefined) return void response.status(204).end();
  const tell = (/** @type {'change' | 'destroy'} */ kind) => (/** @type {string} */ id) => {
    if (id === request.sessionID) response.write(`event: ${kind}\ndata: ${number}\n\n`);
  };
  const [onChange, onDestroy] = [tell('change'), tell('destroy')];
  store.on('change', onChange).on('destroy', onDestroy);
  response.on('close', () => store.off('change', onChange).off('destroy', onDestroy));
  response.set('Content-Type', 'text/event-stream').write('retry: 500\n\n');
});

/** @type {express.ErrorRequestHandler} */
const onError = (error, _request, response, next) => {
  if (response.headersSent) return next(error);
  const status = Number(error.status) || 500;
  if (status >= 500 && status !== 503) console.error(error);
  refuse(response, status, error.message, error.code);
};
app.use(onError);

/** @param {express.Response} response @param {number} status @param {string} message @param {string} [code] */
function refuse(response, status, message, code = 'REFUSED') {
  const server = { number, port, pid: process.pid };
  response.status(status).json({ server, error: { code, message }, cluster: store.status() });
}

/** What the page shows of a visitor's session, and who says so. */
function stateOf(/** @type {Request} */ request) {
  const { user, since, clicks, cart } = request.session ?? {};
  const session = user === undefined ? null : { user, since, clicks, cart, id: request.sessionID.slice(0, 6) };
  return { server: { number, port, pid: process.pid }, goods: GOODS, session, cluster: store.status() };
}

/** @param {number} since ms since 1970; samples taken later are wanted */
function describeServer(since) {
  return {
    atMs: Date.now(),
    requests,
    traffic: traffic.perSecond,
    samples: latency.since(since),
    history: history.parts,
    cluster: store.status(),
  };
}

/** The parent is gone, or wants this server to end. */
function end() {
  // Closing says goodbye to the others; it must not take long.
  setTimeout(() => process.exit(0), 1000).unref();
  traffic.perSecond = 0;
  store.close().finally(() => process.exit(0));
}

process.on('message', (/** @type {any} */ message) => {
  if (message.type === 'traffic') traffic.perSecond = message.perSecond;
  if (message.type === 'network') {
    if (message.isCutOff) network.cutOff();
    else network.heal();
    tellParent({ type: 'network', isCutOff: network.isCutOff });
  }
});

/**
 * @typedef {{ type: 'listening' } | { type: 'ready' } | { type: 'quorum', hasQuorum: boolean }
 *   | { type: 'network', isCutOff: boolean } | { type: 'failed', code?: string | undefined, port: number, message: string }} Said
 * @param {Said} message
 */
function tellParent(message) {
  if (!process.connected) return;
  // Of a parent that has just gone this process hears a moment later, and ends by it.
  process.send?.(message, undefined, undefined, () => undefined);
}

try {
  await listen(createServer(app), port);
  tellParent({ type: 'listening' });
  // With a slot to be had: until it votes. Else it is a standby, and as good as the others for requests.
  await store.ready();
  tellParent({ type: 'ready' });
} catch (error) {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  tellParent({ type: 'failed', code, port, message });
  // The parent ends this process when it has heard.
}
