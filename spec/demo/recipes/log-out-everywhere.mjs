// @ts-check
import { promisify } from 'node:util';
import { PaxosKV, PaxosStore } from 'connect-paxos';
import express from 'express';
import session from 'express-session';
import { listen } from '../../../demo/recipes/farm.mjs';
import { LogOutEverywhere } from '../../../demo/recipes/log-out-everywhere.mjs';

const SESSION_MS = 3_600_000;

/** @param {import('connect-paxos').PaxosNode} node @param {(event: string, payload?: unknown) => void} emit */
export async function start(node, emit) {
  const kv = new PaxosKV({ node });
  const store = new PaxosStore({ node });
  const everywhere = new LogOutEverywhere(kv, { sessionMs: SESSION_MS });
  /** Requests that wait for the spec. @type {Map<string, () => void>} */
  const gates = new Map();
  const passGate = async (/** @type {any} */ { query: { gate } }) => {
    if (gate === undefined) return;
    const opened = new Promise((resolve) => gates.set(gate, () => resolve(null)));
    emit('arrived', gate);
    await opened;
  };

  const app = express();
  app.use(
    session({
      store,
      secret: 'keyboard cat',
      resave: false,
      saveUninitialized: false,
      cookie: { maxAge: SESSION_MS },
    }),
  );
  app.use(everywhere.check());
  app.get('/', async (/** @type {any} */ request, response) => {
    await passGate(request);
    if (request.query.note !== undefined) request.session.note = request.query.note;
    response.json({ user: request.session.user ?? null, note: request.session.note ?? null });
  });
  app.post('/login', async (/** @type {any} */ request, response) => {
    const verify = async () => {
      await passGate(request);
      return request.query.password !== 'wrong';
    };
    const isIn = await everywhere.logIn(request, String(request.query.user), verify);
    response.sendStatus(isIn ? 204 : 403);
  });
  app.post('/logout', async (/** @type {any} */ request, response) => {
    await promisify(request.session.destroy.bind(request.session))();
    response.sendStatus(204);
  });
  app.post('/logout-elsewhere', async (/** @type {any} */ request, response) => {
    request.session.mark = await everywhere.logOut(request.session.user);
    response.sendStatus(204);
  });
  const { urls } = await listen([app]);

  return {
    url: () => urls[0],
    logOut: async (/** @type {string} */ user) => void (await everywhere.logOut(user)),
    open: (/** @type {string} */ gate) => gates.get(gate)?.(),
    lifetime: (/** @type {string} */ user) => kv.lifetime(['logged out', user]),
  };
}
