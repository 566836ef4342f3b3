// @ts-check
import { PaxosKV } from 'connect-paxos';
import express from 'express';
import { listen } from '../../../demo/recipes/farm.mjs';
import { RateLimiter, rateLimit } from '../../../demo/recipes/rate-limiter.mjs';

/** @param {import('connect-paxos').PaxosNode} node */
export async function start(node) {
  const kv = new PaxosKV({ node });
  const limiter = new RateLimiter(kv, { name: 'long', limit: 50, windowMs: 3_600_000 });
  const short = new RateLimiter(kv, { name: 'short', limit: 2, windowMs: 2000 });
  const keyOf = (/** @type {express.Request} */ request) => String(request.query.client);
  const app = express();
  app.get('/', rateLimit(limiter, { keyOf }), (_request, response) => void response.send('hello'));
  app.get(
    '/lenient',
    rateLimit(limiter, { keyOf, isLenient: true }),
    (_request, response) => void response.send('hello'),
  );
  const { urls } = await listen([app]);

  return {
    url: () => urls[0],
    take: (/** @type {string} */ client) => short.take(client),
    changes: () => node.status().operations.changes,
    keys: () => kv.keys(),
  };
}
