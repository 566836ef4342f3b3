// @ts-check
/**
 * "Log out everywhere": after a password was changed, or a telephone lost, none of a user's sessions is good any more, on
 * any server, from when the call has returned.
 *
 *   const everywhere = new LogOutEverywhere(kv, { sessionMs: DAY_MS });
 *   app.use(session({ store, … }), everywhere.check());
 *   app.post('/login', async (request, response) => {
 *     await everywhere.logIn(request, name, () => verifyPassword(name, request.body.password));
 *   …
 *   await everywhere.logOut(name);
 *
 * Each user has a mark in the farm, and each session the mark of when it was begun. To log out is to write another mark:
 * one write, so there is one moment before which all sessions are good and after which none is. Each request compares.
 *
 * The other way, a list of each user's session ids, to be destroyed one by one, loses races. A login under way has put its id
 * on the list and not yet saved its session, or has checked the old password and is not yet on the list; a server dies half
 * way through the list; a session that is prolonged by each request outlives its line. Here a login reads the mark before it
 * looks at the password: if a log-out comes between, what it saves has an old mark. Nothing has to be found for it to end, so
 * nothing can be missed. What it costs: each request of somebody who is logged in reads one more key, by a majority as its
 * session is. Sessions that have ended so are destroyed when they come again, or go by themselves.
 *
 * Requests that were let in before run to their end; nothing but their own code could stop them.
 */
import { promisify } from 'node:util';
import { PaxosKV, PaxosStore } from 'connect-paxos';
import express from 'express';
import session from 'express-session';
import { isStarted, listen, startFarm } from './farm.mjs';

/** Of a user who has not logged out everywhere, as far as is remembered. */
const NEVER = '';

/** @typedef {express.Request & { session: any }} Request with `user` and `mark` in its session, if somebody is logged in */

export class LogOutEverywhere {
  #kv;
  #sessionMs;

  /**
   * @param {PaxosKV} kv
   * @param {{ sessionMs: number }} options how long a session lives after its last request: the cookie's `maxAge`, or the
   *   store's `ttl`
   */
  constructor(kv, { sessionMs }) {
    this.#kv = kv;
    this.#sessionMs = sessionMs;
  }

  /**
   * Begins a session, with a new id, if `verify` says so. It is saved then: whoever is told so is logged in.
   *
   * @param {Request} request
   * @param {string} user
   * @param {() => boolean | Promise<boolean>} verify looks at the password, or what there is in its place
   * @returns {Promise<boolean>} whether it did
   */
  async logIn(request, user, verify) {
    // First of all: what is verified before a log-out is not to be good after it.
    const mark = await this.#markOf(user);
    if (!(await verify())) return false;
    await promisify(request.session.regenerate.bind(request.session))();
    Object.assign(request.session, { user, mark });
    await promisify(request.session.save.bind(request.session))();
    return true;
  }

  /**
   * Ends all sessions of a user, also those that logins under way are about to begin. If it fails it may have done so:
   * it is to be called again.
   *
   * @param {string} user
   * @returns {Promise<string>} for `request.session.mark`, where one's own session is to stay: "log out everywhere else"
   */
  async logOut(user) {
    // It may go when the sessions that it is to end have gone by themselves. A request that was let in before may prolong
    // one once more, at the very end of its life; and each life is longer by the store's `touchAfter`, at most a tenth.
    const { version } = await this.#kv.set(['logged out', user], null, { ttlMs: 3 * this.#sessionMs });
    return version;
  }

  /** Express middleware, behind `session()`. @returns {express.RequestHandler} */
  check() {
    return async (/** @type {Request} */ request, _response, next) => {
      const { user, mark } = request.session ?? {};
      if (user === undefined) return next();
      try {
        const current = await this.#markOf(user);
        // Where nothing is remembered, what was to be ended has gone.
        if (current !== NEVER && current !== mark) await promisify(request.session.regenerate.bind(request.session))();
      } catch (error) {
        // Express 4 does not wait for a middleware's promise.
        return next(error);
      }
      next();
    };
  }

  /** Another one after each log-out, and never again one that was: the version of a key is so. @param {string} user */
  async #markOf(user) {
    return (await this.#kv.find(['logged out', user], { consistency: 'quorum' }))?.version ?? NEVER;
  }
}

if (isStarted(import.meta.url)) {
  const nodes = await startFarm();
  const apps = nodes.map((node) => {
    const everywhere = new LogOutEverywhere(new PaxosKV({ node }), { sessionMs: 3_600_000 });
    const app = express();
    const cookie = { maxAge: 3_600_000 };
    const store = new PaxosStore({ node });
    app.use(session({ store, secret: 'keyboard cat', resave: false, saveUninitialized: false, cookie }));
    app.use(everywhere.check());
    app.get('/', (/** @type {Request} */ request, response) => void response.send(request.session.user ?? 'nobody'));
    app.post('/login', async (/** @type {Request} */ request, response) => {
      response.json(await everywhere.logIn(request, 'Ada', () => true));
    });
    app.post('/log-out-everywhere', async (/** @type {Request} */ request, response) => {
      response.json(await everywhere.logOut(request.session.user));
    });
    return app;
  });
  const { urls, close } = await listen(apps);
  const logIn = async (/** @type {string} */ url) => {
    const response = await fetch(`${url}/login`, { method: 'POST' });
    return response.headers.getSetCookie()[0].split(';')[0];
  };
  const [telephone, laptop] = [await logIn(urls[0]), await logIn(urls[1])];
  const show = async (/** @type {string} */ when) => {
    for (const cookie of [telephone, laptop]) {
      const seen = await Promise.all(urls.map(async (url) => (await fetch(url, { headers: { cookie } })).text()));
      console.log(`${when}, the ${cookie === laptop ? 'laptop' : 'telephone'} is that of: ${seen.join(', ')}`);
    }
  };
  await show('before');
  await fetch(`${urls[2]}/log-out-everywhere`, { method: 'POST', headers: { cookie: laptop } });
  await show('after');
  close();
  await Promise.all(nodes.map((node) => node.close()));
}
