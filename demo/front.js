// @ts-check
/**
 * The front: sends each request to the next server, and knows nothing of sessions. No sticky sessions, no cookies read:
 * that any server can answer any request is what the demo shows.
 */
import http from 'node:http';
import { HEADERS, servePage } from './page-files.js';

/** Bytes of a request's body; it is kept whole, so that the request can be sent again. */
const MAX_BODY = 64 * 1024;
const STATUS_TIMEOUT_MS = 800;
const MAX_TRAFFIC = 300;
/** What the page asks without a click. */
const BY_ITSELF = /^\/events$|\.(css|js)$|[?&]poll\b/;
const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS']);
/** Of one connection, not of the message. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
/** A connection a request: one that is refused then means that the server is gone, and that it did nothing. */
const agent = new http.Agent({ keepAlive: false });

/**
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {import('node:http').ServerResponse} Response
 * @typedef {import('./farm.js').ServerInfo} ServerInfo
 */

/**
 * @param {import('./farm.js').Farm} farm
 * @param {number} port where the front itself will listen
 */
export function createFront(farm, port) {
  const turns = new Turns(farm);
  return http.createServer((request, response) => {
    handle(farm, turns, port, request, response).catch((error) => {
      if (response.headersSent) response.destroy();
      else sendPage(response, error.status ?? 500, 'The front failed', String(error.message));
    });
  });
}

/** @param {import('./farm.js').Farm} farm @param {Turns} turns @param {number} port @param {Request} request @param {Response} response */
async function handle(farm, turns, port, request, response) {
  const url = new URL(request.url ?? '/', `http://127.0.0.1:${port}`);
  if (!url.pathname.startsWith('/demo/')) return pass(farm, turns, url, request, response);

  if (!isFromOwnPage(request, port)) return sendJson(response, 403, { error: 'Only for the demo page itself.' });
  const [, , what, number] = url.pathname.split('/');
  if (request.method === 'GET' && what === 'servers') {
    return sendJson(response, 200, { servers: await askAll(farm, url.searchParams.get('since') ?? '') });
  }
  if (request.method === 'POST' && what === 'kill') {
    const killed = farm.kill(Number(number));
    if (killed === null) return sendJson(response, 409, { error: `There is no server ${number} that runs.` });
    return sendJson(response, 200, { killed });
  }
  if (request.method === 'POST' && what === 'start') {
    const started = await farm.startAgain(Number(number));
    if (started === null) return sendJson(response, 409, { error: `There is no server ${number} that does not run.` });
    return sendJson(response, 200, { started });
  }
  if (request.method === 'POST' && (what === 'cut-off' || what === 'heal')) {
    const server = await farm.setCutOff(Number(number), what === 'cut-off');
    if (server === null) return sendJson(response, 409, { error: `There is no server ${number} that is up.` });
    return sendJson(response, 200, { server });
  }
  if (request.method === 'GET' && what === 'ask') {
    const server = farm.servers.find((each) => each.number === Number(number) && each.state === 'up');
    if (server === undefined) return sendJson(response, 409, { error: `There is no server ${number} that is up.` });
    request.url = '/api/state';
    return forward(farm, server, request, await readBody(request), response);
  }
  if (request.method === 'POST' && what === 'traffic') {
    const perSecond = Number(number);
    if (!Number.isInteger(perSecond) || perSecond < 0 || perSecond > MAX_TRAFFIC) {
      return sendJson(response, 400, { error: `Traffic takes a whole number, 0 to ${MAX_TRAFFIC}.` });
    }
    farm.setTraffic(perSecond);
    return sendJson(response, 200, { perSecond });
  }
  return sendJson(response, 404, { error: 'Not known to the front.' });
}

/**
 * Killing is not for other sites that the browser has open: those come with an origin of their own or, where they had
 * their name resolved to this address, with another host.
 * @param {Request} request @param {number} port
 */
function isFromOwnPage({ headers: { host, origin } }, port) {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`];
  return host !== undefined && hosts.includes(host) && (origin === undefined || origin === `http://${host}`);
}

/**
 * What each server says of itself and of the cluster; `status` is `null` for those that don't answer.
 * @param {import('./farm.js').Farm} farm
 * @param {string} since latency samples taken later are wanted: ms since 1970 for each server, with commas
 */
function askAll(farm, since) {
  const times = since.split(',');
  return Promise.all(
    farm.servers.map(async (server) => {
      const isRunning = server.state === 'up' || server.state === 'starting';
      if (!isRunning || !server.isListening) return { ...server, status: null };
      try {
        const url = `http://127.0.0.1:${server.port}/status?since=${Number(times[server.number - 1]) || 0}`;
        const answer = await fetch(url, { signal: AbortSignal.timeout(STATUS_TIMEOUT_MS) });
        return { ...server, status: await answer.json() };
      } catch {
        return { ...server, status: null };
      }
    }),
  );
}

/**
 * Whose turn it is. What the page asks by itself (its polls, its style sheet) takes turns of its own, so that one click
 * after another is answered by one server after another.
 */
class Turns {
  #farm;
  #last = { click: 0, other: 0 };

  /** @param {import('./farm.js').Farm} farm */
  constructor(farm) {
    this.#farm = farm;
  }

  get isStarting() {
    return this.#farm.servers.some(({ state }) => state === 'starting');
  }

  /**
   * One that starts is given nothing before it is ready. As a load balancer's health checks would have it, one that has
   * no quorum, or will have none in a moment, is asked only where none is better off.
   * @param {URL} url @returns {ServerInfo | null} the next server that is up
   */
  next(url) {
    const kind = BY_ITSELF.test(url.pathname + url.search) ? 'other' : 'click';
    const up = this.#farm.servers.filter(({ state }) => state === 'up');
    const reachable = up.filter(({ isCutOff }) => !isCutOff);
    const healthy = reachable.filter(({ hasQuorum }) => hasQuorum);
    const best = [healthy, reachable, up].find(({ length }) => length > 0) ?? [];
    const server = best.find(({ number }) => number > this.#last[kind]) ?? best[0] ?? null;
    if (server !== null) this.#last[kind] = server.number;
    return server;
  }
}

/**
 * @param {import('./farm.js').Farm} farm @param {Turns} turns @param {URL} url @param {Request} request
 * @param {Response} response
 */
async function pass(farm, turns, url, request, response) {
  const body = await readBody(request);
  for (let attempt = 1; ; attempt += 1) {
    const server = turns.next(url);
    if (server === null) return answerAlone(request, response, turns.isStarting);
    try {
      return await forward(farm, server, request, body, response);
    } catch (error) {
      const { code } = /** @type {NodeJS.ErrnoException} */ (error);
      // A request that may have been carried out is not sent twice.
      const mayRepeat = code === 'ECONNREFUSED' || SAFE_METHODS.has(request.method ?? '');
      if (response.destroyed) return;
      if (attempt === 1 && mayRepeat) continue;
      const text =
        `Server ${server.number} broke off while it was answering. ` +
        'The request may have been carried out, so it was not sent to another server.';
      return sendPage(response, 502, 'No answer', text);
    }
  }
}

/**
 * Resolves when the answer has begun; rejects if the server went before that. What is streamed (Server-Sent Events)
 * goes through piece by piece.
 * @param {import('./farm.js').Farm} farm @param {ServerInfo} server @param {Request} request @param {Buffer} body
 * @param {Response} response
 * @returns {Promise<void>}
 */
function forward(farm, server, request, body, response) {
  const headers = {
    ...withoutHopByHop(request.headers),
    ...(body.length > 0 && { 'content-length': String(body.length) }),
    'x-forwarded-for': request.socket.remoteAddress ?? '',
    'x-forwarded-host': request.headers.host ?? '',
    'x-forwarded-proto': 'http',
  };
  return new Promise((resolve, reject) => {
    const { method, url: path } = request;
    const upstream = http.request({ host: '127.0.0.1', port: server.port, method, path, headers, agent });
    response.on('close', () => upstream.destroy());
    upstream.on('error', reject);
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, withoutHopByHop(answer.headers));
      response.flushHeaders();
      // The server died in the midst of its answer: the browser is to see that it is not whole.
      answer.on('error', () => response.destroy());
      if (answer.headers['content-type']?.startsWith('text/event-stream')) endWhenCutOff(farm, server, response);
      answer.pipe(response);
      resolve();
    });
    upstream.end(body);
  });
}

/**
 * A server that is cut off hears of no changes; the browser is to listen to another one.
 * @param {import('./farm.js').Farm} farm @param {ServerInfo} server @param {Response} response
 */
function endWhenCutOff(farm, server, response) {
  const look = () => {
    if (server.isCutOff) response.destroy();
  };
  farm.on('cut', look);
  response.on('close', () => farm.off('cut', look));
}

/** @param {import('node:http').IncomingHttpHeaders} headers */
function withoutHopByHop(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.has(name)));
}

/** @param {Request} request */
async function readBody(request) {
  const parts = [];
  let size = 0;
  for await (const part of request) {
    size += part.length;
    if (size > MAX_BODY) throw Object.assign(new Error(`A body has ${MAX_BODY} bytes at most.`), { status: 413 });
    parts.push(part);
  }
  return Buffer.concat(parts);
}

/** @param {Response} response @param {number} status @param {unknown} value */
function sendJson(response, status, value) {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
  response.end(JSON.stringify(value));
}

/**
 * No server is up. The page comes all the same, or nobody could start one.
 * @param {Request} request @param {Response} response @param {boolean} isStarting
 */
function answerAlone(request, response, isStarting) {
  const refuse = () => {
    if (isStarting) return sendError(response, 503, 'STARTING', 'No server is ready yet.');
    sendError(response, 502, 'NO_SERVER', 'None of the servers is up.');
  };
  response.setHeaders(new Map(Object.entries(HEADERS)));
  // A POST has its body read already, and is for no file.
  servePage(/** @type {any} */ (request), /** @type {any} */ (response), refuse);
}

/**
 * As the servers refuse.
 * @param {Response} response @param {number} status @param {string} code @param {string} message
 */
function sendError(response, status, code, message) {
  sendJson(response, status, { error: { code, message } });
}

/** @param {Response} response @param {number} status @param {string} title @param {string} text none of it from a request */
function sendPage(response, status, title, text) {
  response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' });
  response.end(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>${title}</title>
<body style="font: 1.1rem/1.5 system-ui; max-width: 36rem; margin: 20vh auto; padding: 0 1rem">
<h1>${title}</h1>
<p>${text}</p>
</body>
</html>
`);
}
