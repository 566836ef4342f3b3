/** The key-value API of a node: keys are paths, values are bodies. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import debugging from 'debug';
import { ConfigError } from '../../errors.js';
import type { Items } from '../items.js';
import { type HttpAddress, urlOf } from './address.js';
import { bytesOf, sendRefusal } from './answer.js';
import type { Guard } from './guard.js';
import { Refusal, refusalOf, refusalOfBytes } from './refusal.js';
import { answer, type RoutesSetup } from './routes.js';

const debug = debugging('connect-paxos:http');

/** All that a request without an end could take: bytes of the head, headers, ms for the head and for the whole of it. */
const LIMITS = { maxHeaderSize: 16_384, headersTimeout: 10_000, requestTimeout: 60_000, keepAliveTimeout: 10_000 };
const MAX_HEADERS = 100;
/** Ms of silence on a connection, whoever is silent; streams are never so long. */
const IDLE_MS = 75_000;
const MAX_CONNECTIONS = 1024;
/** Requests under way, each with its body in memory. */
const MAX_REQUESTS = 128;
const MAX_STREAMS = 100;
/** Ms that requests under way get when the server ends. */
const CLOSING_MS = 1000;

export interface HttpSetup {
  readonly address: HttpAddress;
  readonly guard: Guard;
  readonly items: Items;
  readonly maxValueSize: number;
  status(): { readonly isReady: boolean };
}

export class HttpApi {
  readonly #setup: HttpSetup;
  readonly #server: Server;
  readonly #streams = new Set<AbortController>();
  readonly #routes: RoutesSetup;
  /** What is being answered on a connection: one after another may come without waiting for the answers. */
  readonly #underWay = new WeakMap<Socket, Set<Exchange>>();
  #requests = 0;
  #isClosing = false;

  constructor(setup: HttpSetup) {
    this.#setup = setup;
    this.#routes = {
      items: setup.items,
      maxValueSize: setup.maxValueSize,
      status: () => setup.status(),
      openStream: () => this.#openStream(),
      closeStream: (ending) => this.#streams.delete(ending),
    };
    this.#server = createServer(LIMITS, (request, response) => void this.#serve(request, response));
    // The body is asked for when it is wanted: not one that is too large, nor a stranger's.
    this.#server.on('checkContinue', (request, response) => void this.#serve(request, response));
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => this.#refuseBytes(error, socket));
    // Each request that is under way waits for its connection's end.
    this.#server.on('connection', (socket) => socket.setMaxListeners(2 * (MAX_REQUESTS + MAX_STREAMS)));
    // Beyond such a count Node leaves fields out without a word, a condition too. `#serve` counts them; `LIMITS` bounds their
    // bytes.
    this.#server.maxHeadersCount = 0;
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.timeout = IDLE_MS;
  }

  /** @returns the URL under which it answers */
  async listen(): Promise<string> {
    const { host, port } = this.#setup.address;
    this.#server.listen({ host, port, exclusive: true });
    try {
      await once(this.#server, 'listening');
    } catch (error) {
      throw new ConfigError(`The HTTP API can't listen on ${host}:${port}: ${remedyOf(error)}`, { cause: error });
    }
    // The system may refuse a connection, for want of memory or files; it has no one else who would hear of it.
    this.#server.on('error', (error) => debug('taking a connection: %s', error.message));
    const address = this.#server.address();
    return urlOf({ host, port: typeof address === 'object' && address !== null ? address.port : port });
  }

  /** Ends the streams, lets requests under way end, and closes. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    this.#isClosing = true;
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const ending of this.#streams) ending.abort();
    this.#server.closeIdleConnections();
    const force = setTimeout(() => this.#server.closeAllConnections(), CLOSING_MS);
    await closed;
    clearTimeout(force);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // Whoever goes away in the middle is not worth more.
    response.on('error', (error) => debug('answering: %s', error.message));
    this.#requests += 1;
    const exchanges = this.#underWay.get(request.socket) ?? new Set();
    this.#underWay.set(request.socket, exchanges);
    const exchange = { request, response };
    exchanges.add(exchange);
    try {
      if (request.rawHeaders.length > 2 * MAX_HEADERS)
        throw new Refusal(431, 'ERR_TOO_MANY_HEADERS', `At most ${MAX_HEADERS} header fields are taken.`);
      this.#setup.guard(request.headers);
      if (this.#requests - this.#streams.size > MAX_REQUESTS) throw tooMany('requests', MAX_REQUESTS);
      await answer(request, response, this.#routes);
      // Until then it is in memory: its caller may send one request after another, and read nothing.
      await untilLeft(exchange);
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal.status >= 500) debug('%s %s: %s', request.method, request.url, (error as Error).stack);
      this.#refuse(request, response, refusal);
    } finally {
      this.#requests -= 1;
      exchanges.delete(exchange);
    }
  }

  /**
   * What is no HTTP, or too much of it. It is said where nothing has been done: after a request that was read to its end, the
   * words would be taken for its answer.
   */
  #refuseBytes(error: NodeJS.ErrnoException, socket: Socket): void {
    const before = [...(this.#underWay.get(socket) ?? [])];
    const mayTell = before.every(({ request, response }) => !request.complete && !response.headersSent);
    if (!socket.writable || error.code === 'ECONNRESET' || !mayTell) return void socket.destroy();
    socket.end(bytesOf(refusalOfBytes(error.code)));
  }

  #refuse(request: IncomingMessage, response: ServerResponse, refusal: Refusal): void {
    if (response.headersSent) return void response.destroy();
    // A body that was not asked for may come or not. Any other is read to its end and dropped: whose writing is cut off may
    // never read why.
    if (request.headers.expect !== undefined && !request.complete) response.setHeader('Connection', 'close');
    else request.resume();
    sendRefusal(response, refusal);
  }

  #openStream(): AbortController {
    if (this.#isClosing) throw new Refusal(503, 'ERR_CLOSED', 'This node is being closed; ask another.');
    if (this.#streams.size >= MAX_STREAMS) throw tooMany('streams', MAX_STREAMS);
    const ending = new AbortController();
    this.#streams.add(ending);
    return ending;
  }
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/**
 * Until the answer has been handed to the system, or its caller is gone: of an answer that waits behind another's, only the
 * connection says that.
 */
async function untilLeft({ request: { socket }, response }: Exchange): Promise<void> {
  if (!response.writableEnded || response.writableFinished || response.closed || socket.destroyed) return;
  await new Promise<void>((resolve) => {
    const onLeft = (): void => {
      response.off('finish', onLeft).off('close', onLeft);
      socket.off('close', onLeft);
      resolve();
    };
    response.once('finish', onLeft).once('close', onLeft);
    socket.once('close', onLeft);
  });
}

function tooMany(what: string, limit: number): Refusal {
  const message = `${limit} ${what} are under way at this node, which is all that it does at a time.`;
  return new Refusal(503, 'ERR_OVERLOADED', message, { 'Retry-After': '1' });
}

function remedyOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'EADDRINUSE') return 'another program has that port. Use another one; --http 0 takes any that is free.';
  if (code === 'EACCES') return 'this user may not take that port. Use one above 1023.';
  if (code === 'EADDRNOTAVAIL') return 'that address is not one of this machine.';
  return message;
}
