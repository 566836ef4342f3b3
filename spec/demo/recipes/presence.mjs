// @ts-check
import { PaxosKV } from 'connect-paxos';
import express from 'express';
import { listen } from '../../../demo/recipes/farm.mjs';
import { onlineEvents, Presence } from '../../../demo/recipes/presence.mjs';

/** @param {import('connect-paxos').PaxosNode} node */
export async function start(node) {
  const kv = new PaxosKV({ node });
  const presence = new Presence(kv, { ttlMs: 1500 });
  const app = express();
  app.get('/online', onlineEvents(presence, { userOf: (request) => String(request.query.user) }));
  const { urls } = await listen([app]);

  return {
    url: () => urls[0],
    users: () => presence.users,
    keys: () => kv.keys({ prefix: ['online'] }),
    close: () => presence.close(),
  };
}
