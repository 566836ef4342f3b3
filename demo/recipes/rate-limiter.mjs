// @ts-check
/**
 * So many requests at once, and so many in so much time on average, whichever server they come to.
 *
 *   app.set('trust proxy', 1);  // behind one proxy or load balancer; else all have its address
 *   const limiter = new RateLimiter(kv, { name: 'api', limit: 100, windowMs: 60_000 });
 *   app.use('/api', rateLimit(limiter, { keyOf: (request) => request.ip }));
 *
 * Each client has a bucket of `limit` tokens in the farm. A request takes one, and they grow back evenly, all of them in
 * `windowMs`: a full bucket may be emptied at once, and what grows meanwhile be taken too, so within one window up to twice
 * the `limit` can pass. The taking is one `update` of one key, so no two servers take the same token. A bucket that nobody
 * takes from is full again after `windowMs`, and a full one is as good as none: so the key ends some seconds later, and its
 * memory returns. Not at once: by a clock that is ahead that would be too early.
 *
 * Each request costs a write, agreed on by a majority: of the order of a millisecond in one network. Requests that are
 * refused cost nothing once this server knows that the bucket is empty, and until when: others can only take from it, so it
 * need not ask before. A flood, which is what a limiter is for, is turned away by each server from its own memory.
 *
 * Servers whose clocks differ let tokens grow by the clock that is ahead: once, by that difference.
 */
import { KEEP, PaxosError, PaxosKV } from 'connect-paxos';
import express from 'express';
import { isStarted, listen, startFarm } from './farm.mjs';

/** Clients that are known to have no token, on one server, at most. */
const MAX_KNOWN = 10_000;
/** How far the servers' clocks may be apart, in ms: the option `maxClockSkewMs`. */
const MAX_SKEW_MS = 10_000;

/** When nobody can count, in contrast to what a client may cause by what it sends. */
const UNCOUNTED = ['ERR_NO_QUORUM', 'ERR_OUTCOME_UNKNOWN', 'ERR_OVERLOADED'];

/** Of all limiters in this process: no two takes have the same number. */
let takes = 0;

/** @typedef {{ tokens: number, atMs: number, taker: string }} Bucket `atMs`: when it had so many tokens */

export class RateLimiter {
  #kv;
  #name;
  #limit;
  #windowMs;
  /** Until when there is no token for that client. @type {Map<string, number>} */
  #emptyUntilMs = new Map();

  /**
   * @param {PaxosKV} kv
   * @param {{ name: string, limit: number, windowMs: number }} options the same on all servers; limiters with different
   *   names have nothing to do with each other
   */
  constructor(kv, { name, limit, windowMs }) {
    this.#kv = kv;
    this.#name = name;
    this.#limit = limit;
    this.#windowMs = windowMs;
  }

  /**
   * Takes a token, if there is one.
   *
   * @param {string} client
   * @returns {Promise<{ isAllowed: boolean, remaining: number, retryAfterMs: number }>} `retryAfterMs`: until there is one
   *   again, or 0
   * @throws PaxosError, without a quorum
   */
  async take(client) {
    const nowMs = this.#kv.now();
    const emptyMs = (this.#emptyUntilMs.get(client) ?? 0) - nowMs;
    if (emptyMs > 0) return { isAllowed: false, remaining: 0, retryAfterMs: emptyMs };
    this.#emptyUntilMs.delete(client);

    // The function may be run several times before one of its results is agreed on, so it can't say by a variable whether
    // it has taken a token: what was agreed on says it, by who took last.
    const taker = `${this.#kv.status().process} ${takes++}`;
    const take = (/** @type {Bucket | undefined} */ held) => {
      const { tokens, atMs } = this.#refilled(held, nowMs);
      return tokens < 1 ? KEEP : { tokens: tokens - 1, atMs, taker };
    };
    const ttlMs = this.#windowMs + MAX_SKEW_MS;
    const entry = await this.#kv.update(['limit', this.#name, client], take, { ttlMs });
    const { tokens } = this.#refilled(entry?.value, nowMs);
    const retryAfterMs = tokens < 1 ? ((1 - tokens) * this.#windowMs) / this.#limit : 0;
    if (retryAfterMs > 0) this.#remember(client, nowMs + retryAfterMs);
    return { isAllowed: entry?.value.taker === taker, remaining: Math.floor(tokens), retryAfterMs };
  }

  /** @param {Bucket | undefined} held @param {number} nowMs */
  #refilled(held, nowMs) {
    if (held === undefined) return { tokens: this.#limit, atMs: nowMs };
    const grown = (Math.max(0, nowMs - held.atMs) * this.#limit) / this.#windowMs;
    return { tokens: Math.min(this.#limit, held.tokens + grown), atMs: Math.max(nowMs, held.atMs) };
  }

  /** @param {string} client @param {number} untilMs */
  #remember(client, untilMs) {
    this.#emptyUntilMs.set(client, untilMs);
    const [first] = this.#emptyUntilMs.keys();
    // To forget one costs a round trip.
    if (this.#emptyUntilMs.size > MAX_KNOWN) this.#emptyUntilMs.delete(first);
  }
}

/**
 * Express middleware: 429 with `Retry-After` for those who have no token left.
 *
 * @param {RateLimiter} limiter
 * @param {{ keyOf?: (request: express.Request) => string, isLenient?: boolean }} [options] `keyOf`: a text of up to
 *   some hundred characters, with another the request fails; `isLenient`: without a quorum requests are let through, else
 *   they get 503
 * @returns {express.RequestHandler}
 */
export function rateLimit(limiter, { keyOf = (request) => request.ip ?? '', isLenient = false } = {}) {
  return async (request, response, next) => {
    try {
      const { isAllowed, remaining, retryAfterMs } = await limiter.take(keyOf(request));
      response.set('RateLimit-Remaining', String(remaining));
      if (isAllowed) next();
      else response.set('Retry-After', String(Math.ceil(retryAfterMs / 1000))).sendStatus(429);
    } catch (error) {
      const isUncounted = error instanceof PaxosError && UNCOUNTED.includes(error.code);
      next(isLenient && isUncounted ? undefined : error);
    }
  };
}

if (isStarted(import.meta.url)) {
  const nodes = await startFarm();
  const { urls, close } = await listen(
    nodes.map((node) => {
      const app = express();
      app.use(rateLimit(new RateLimiter(new PaxosKV({ node }), { name: 'all', limit: 10, windowMs: 60_000 })));
      return app.get('/', (_request, response) => void response.send('hello'));
    }),
  );
  const requests = Array.from({ length: 30 }, (_, index) => fetch(urls[index % 3]));
  const statuses = (await Promise.all(requests)).map(({ status }) => status);
  for (const status of [200, 429]) console.log(`${status}: ${statuses.filter((each) => each === status).length} of 30`);
  close();
  await Promise.all(nodes.map((node) => node.close()));
}
