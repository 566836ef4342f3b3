// @ts-check
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PaxosKV } from 'connect-paxos';
import express from 'express';
import { listen } from '../../../demo/recipes/farm.mjs';
import { onlineEvents, Presence } from '../../../demo/recipes/presence.mjs';

/** @param {import('connect-paxos').PaxosNode} node */
export async function start(node) {
  const kv = new PaxosKV({ node });
  const presence = new Presence(kv, { ttlMs: 1500 });
  const app = express();
  const userOf = (/** @type {express.Request} */ { query: { user } }) => (user === undefined ? user : String(user));
  let gone = 0;
  app.get(
    '/online',
    // As a session that is being loaded when the tab is closed.
    async (request, response, next) => {
      if (request.query.isGone !== undefined) {
        request.socket.destroy();
        await once(response, 'close');
        gone += 1;
      }
      next();
    },
    onlineEvents(presence, { userOf, lastingMs: 600_000, lingeringMs: 0 }),
  );
  app.get('/briefly', onlineEvents(presence, { userOf, lastingMs: 1000, lingeringMs: 3000 }));
  const { urls } = await listen([app]);

  return {
    url: () => urls[0],
    gone: () => gone,
    users: () => presence.users,
    keys: () => kv.keys({ prefix: ['online'] }),
    close: () => presence.close(),
    /** @param {number} ttlMs that no list can have */
    errorWith: async (ttlMs) => (await once(new Presence(kv, { ttlMs }), 'error'))[0].code,
    /** A user opens a connection by each of two lists, and closes the first. @param {string} user */
    joinTwice: async (user) => {
      const lists = [0, 1].map(() => new Presence(kv, { ttlMs: 1500 }));
      const [leave] = lists.map((list) => list.join(user));
      while ((await kv.keys({ prefix: ['online', user] })).length < 2) await sleep(50);
      leave();
    },
  };
}
