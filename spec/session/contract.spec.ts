/** Two servers of a farm, with express-session and Express as users run them, and a browser that goes to either. */
import type { Server } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import express5, { type ErrorRequestHandler, type Request, type RequestHandler } from 'express';
import session, { type SessionOptions } from 'express-session';
import express4 from 'express4';
import request from 'supertest';
import type { SessionConflict } from '../../lib/session/index.js';
import { PaxosStore, type PaxosStoreOptions } from '../../lib/session/index.js';
import { MemoryFarm, type MemoryNode } from './memory-registers.js';

const HOUR = 3_600_000;
const MONTH = 30 * 24 * HOUR;

interface Shop {
  readonly store: PaxosStore;
  readonly node: MemoryNode;
  readonly conflicts: SessionConflict[];
  readonly http: Server;
}

const open: Server[] = [];
afterEach(() => {
  for (const http of open.splice(0)) http.close();
});

/** A cookie jar of one cookie. */
class Browser {
  cookie = '';
  setCookies = 0;

  async get(shop: Shop, path: string): Promise<{ status: number; body: unknown }> {
    // What the browser sends is settled when it sends, not when other answers come in.
    const response = await request(shop.http).get(path).set('Cookie', this.cookie);
    const [set] = ([] as string[]).concat(response.get('Set-Cookie') ?? []);
    if (set !== undefined) {
      this.setCookies += 1;
      this.cookie = set.split(';')[0] ?? '';
    }
    return { status: response.status, body: response.body };
  }

  get sid(): string {
    return decodeURIComponent(this.cookie.split('=')[1] ?? '')
      .slice(2)
      .replace(/\.[^.]*$/, '');
  }
}

/** A point at which a request waits until the test lets it go on. */
function stop(): { reached: Promise<void>; go(): void; wait(): Promise<void> } {
  let arrive = (): void => {};
  let go = (): void => {};
  const reached = new Promise<void>((resolve) => {
    arrive = resolve;
  });
  const gone = new Promise<void>((resolve) => {
    go = resolve;
  });
  const wait = (): Promise<void> => {
    arrive();
    return gone;
  };
  return { reached, go, wait };
}

const promised = (call: (done: (error?: unknown) => void) => unknown): Promise<void> =>
  new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });

const data = (req: Request): unknown => {
  const { cookie: _, ...fields } = req.session;
  return fields;
};

describe.each([
  ['Express 5', express5],
  ['Express 4', express4],
])('%s', (_title, express) => {
  interface Setup {
    readonly session?: Partial<SessionOptions>;
    readonly store?: PaxosStoreOptions;
    readonly routes?: Record<string, (req: Request) => unknown>;
  }

  function shop(farm: MemoryFarm, { routes, ...setup }: Setup = {}): Shop {
    const node = farm.node();
    const store = new PaxosStore({ node, ...setup.store });
    const conflicts: SessionConflict[] = [];
    store.on('conflict', (conflict: SessionConflict) => conflicts.push(conflict));
    const app = express();
    const secret = 'keyboard cat';
    app.use(
      session({ store, secret, resave: false, saveUninitialized: false, cookie: { maxAge: HOUR }, ...setup.session }),
    );
    const all = { ...standardRoutes, ...routes };
    for (const [path, route] of Object.entries(all)) app.get(path, handler(route));
    const onError: ErrorRequestHandler = (error, _req, res, _next) => {
      if (!res.headersSent) res.status(error.status ?? 500).json({ error: error.code ?? error.message });
    };
    app.use(onError);
    const http = app.listen(0, '127.0.0.1');
    open.push(http);
    return { store, node, conflicts, http };
  }

  /** Routes that may be asynchronous, with Express 4 too; they answer with what they return. */
  function handler(route: (req: Request) => unknown): RequestHandler {
    return (req, res, next) => {
      Promise.resolve(route(req)).then((body) => res.json(body ?? null), next);
    };
  }

  const standardRoutes: Record<string, (req: Request) => unknown> = {
    '/': data,
    '/login': (req) => {
      req.session.user = 'ann';
    },
    '/views': (req) => {
      req.session.views = (req.session.views ?? 0) + 1;
      return data(req);
    },
    '/logout': (req) => promised((done) => req.session.destroy(done)),
  };

  function farmOfTwo(setup: Setup = {}): { farm: MemoryFarm; a: Shop; b: Shop; browser: Browser } {
    const farm = new MemoryFarm();
    return { farm, a: shop(farm, setup), b: shop(farm, setup), browser: new Browser() };
  }

  it('a login on one server is good on the other, a logout too', async () => {
    const { a, b, browser } = farmOfTwo();
    await browser.get(a, '/login');
    expect((await browser.get(b, '/')).body).toEqual({ user: 'ann' });
    await browser.get(b, '/logout');
    expect((await browser.get(a, '/')).body).toEqual({});
    expect(await a.store.length()).toBe(0);
  });

  it('a cookie for a destroyed session makes another one, under another id', async () => {
    const { a, b, browser } = farmOfTwo();
    await browser.get(a, '/login');
    const { sid } = browser;
    await browser.get(b, '/logout');
    await browser.get(a, '/login');
    expect(browser.sid).not.toBe(sid);
    expect(await a.store.ids()).toEqual([browser.sid]);
  });

  it('a cookie that is not signed, or badly, does not reach the store', async () => {
    const { farm, a, browser } = farmOfTwo();
    for (const cookie of ['connect.sid=apple', 'connect.sid=s%3Aapple.bad']) {
      browser.cookie = cookie;
      await browser.get(a, '/');
    }
    expect(farm.performed).toEqual([]);
  });

  it('two requests load, change different fields, save: both stay', async () => {
    const [one, two] = [stop(), stop()];
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/one': async (req) => {
          req.session.a = 1;
          await one.wait();
        },
        '/two': async (req) => {
          req.session.b = 2;
          await two.wait();
        },
      },
    });
    await browser.get(a, '/login');
    const both = [browser.get(a, '/one'), browser.get(b, '/two')];
    await Promise.all([one.reached, two.reached]);
    one.go();
    await both[0];
    two.go();
    await both[1];
    expect((await browser.get(a, '/')).body).toEqual({ user: 'ann', a: 1, b: 2 });
    expect([...a.conflicts, ...b.conflicts]).toEqual([]);
  });

  it.each(['save', 'touch'])(
    'a request loads, another logs out, then comes the first one’s %s: logged out',
    async (kind) => {
      const late = stop();
      const { a, b, browser } = farmOfTwo({
        store: { touchAfter: 0 },
        routes: {
          '/late': async (req) => {
            if (kind === 'save') req.session.views = 1;
            await late.wait();
            return 'fine';
          },
        },
      });
      await browser.get(a, '/login');
      const { sid } = browser;
      const slow = browser.get(a, '/late');
      await late.reached;
      await browser.get(b, '/logout');
      late.go();
      expect(await slow).toEqual({ status: 200, body: 'fine' });
      expect(await b.store.get(sid)).toBeNull();
      expect((await browser.get(b, '/')).body).toEqual({});
      expect(a.conflicts).toEqual([{ kind: `late-${kind}`, sid, reason: 'destroyed-or-expired' }]);
    },
  );

  it('a touch races with a save: only the expiry moves', async () => {
    const late = stop();
    const { a, b, browser } = farmOfTwo({
      store: { touchAfter: 0 },
      routes: { '/late': () => late.wait() },
    });
    await browser.get(a, '/login');
    const slow = browser.get(a, '/late');
    await late.reached;
    await browser.get(b, '/views');
    late.go();
    await slow;
    expect((await browser.get(a, '/')).body).toEqual({ user: 'ann', views: 1 });
  });

  it('regenerate, save, end of the response: a destroy in between holds', async () => {
    const saved = stop();
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/fixation': async (req) => {
          await promised((done) => req.session.regenerate(done));
          req.session.user = 'ann';
          await promised((done) => req.session.save(done));
          await saved.wait();
          req.session.views = 1;
        },
      },
    });
    await browser.get(a, '/views');
    const old = browser.sid;
    const slow = browser.get(a, '/fixation');
    await saved.reached;
    const ids = await b.store.ids();
    expect(ids.length).toBe(1);
    expect(ids).not.toContain(old);
    await b.store.clear();
    saved.go();
    await slow;
    expect(await b.store.ids()).toEqual([]);
    expect(a.conflicts.map(({ kind }) => kind)).toEqual(['late-save']);
  });

  it('regenerate and save without a destroy keep what came after', async () => {
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/fixation': async (req) => {
          await promised((done) => req.session.regenerate(done));
          req.session.user = 'ann';
          await promised((done) => req.session.save(done));
          req.session.views = 1;
        },
      },
    });
    await browser.get(a, '/views');
    await browser.get(a, '/fixation');
    expect((await browser.get(b, '/')).body).toEqual({ user: 'ann', views: 1 });
    expect(await b.store.ids()).toEqual([browser.sid]);
  });

  it.each([true, false])('tmp = 1, save, delete tmp (waiting for the save: %s): no tmp', async (isWaiting) => {
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/tmp': async (req) => {
          req.session.tmp = 1;
          const saving = promised((done) => req.session.save(done));
          if (isWaiting) await saving;
          delete req.session.tmp;
        },
      },
    });
    await browser.get(a, '/login');
    await browser.get(a, '/tmp');
    expect((await browser.get(b, '/')).body).toEqual({ user: 'ann' });
    expect(a.conflicts).toEqual([]);
  });

  it('reload gives what others have saved, and the save after it is based on that', async () => {
    const loaded = stop();
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/reload': async (req) => {
          await loaded.wait();
          await promised((done) => req.session.reload(done));
          req.session.views = (req.session.views ?? 0) + 10;
        },
      },
    });
    await browser.get(a, '/views');
    const slow = browser.get(a, '/reload');
    await loaded.reached;
    await browser.get(b, '/views');
    loaded.go();
    await slow;
    expect((await browser.get(b, '/')).body).toEqual({ views: 12 });
    expect([...a.conflicts, ...b.conflicts]).toEqual([]);
  });

  it('a change of the cookie alone (remember me) is stored, and kept by requests that began before', async () => {
    const late = stop();
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/remember': (req) => {
          req.session.cookie.maxAge = MONTH;
        },
        '/late': async (req) => {
          req.session.views = 1;
          await late.wait();
        },
      },
    });
    await browser.get(a, '/login');
    const slow = browser.get(a, '/late');
    await late.reached;
    await browser.get(b, '/remember');
    late.go();
    await slow;
    const found = await b.store.get(browser.sid);
    expect(found).toMatchObject({ user: 'ann', views: 1 });
    // express-session looks at the clock twice, and a millisecond may lie between.
    expect(found?.cookie.originalMaxAge).toBeCloseTo(MONTH, -2);
    expect(new Date(String(found?.cookie.expires)).getTime()).toBeGreaterThan(Date.now() + MONTH / 2);
  });

  it('a session that is only read is not written, and not even touched for a while', async () => {
    const { farm, a, b, browser } = farmOfTwo();
    await browser.get(a, '/login');
    farm.performed.length = 0;
    for (let i = 0; i < 10; i += 1) await browser.get(i % 2 ? a : b, '/');
    expect(farm.performed.map(({ kind }) => kind)).toEqual(Array(10).fill('read'));
  });

  it('with resave neither', async () => {
    const { farm, a, b, browser } = farmOfTwo({ session: { resave: true } });
    await browser.get(a, '/login');
    farm.performed.length = 0;
    for (let i = 0; i < 10; i += 1) await browser.get(i % 2 ? a : b, '/');
    expect(farm.performed.map(({ kind }) => kind)).toEqual(Array(10).fill('read'));
    expect((await browser.get(a, '/')).body).toEqual({ user: 'ann' });
  });

  it('with touchAfter 0 each use moves the expiry, and no data', async () => {
    const { farm, a, b, browser } = farmOfTwo({ store: { touchAfter: 0 } });
    await browser.get(a, '/login');
    const before = await b.store.get(browser.sid);
    farm.performed.length = 0;
    await new Promise((resolve) => setTimeout(resolve, 5));
    await browser.get(b, '/');
    expect(farm.performed.map(({ kind, wroteData }) => (wroteData ? 'data' : kind))).toEqual(['read', 'change']);
    const after = await a.store.get(browser.sid);
    expect(new Date(String(after?.cookie.expires)).getTime()).toBeGreaterThan(
      new Date(String(before?.cookie.expires)).getTime(),
    );
    expect(after?.cookie.originalMaxAge).toBeCloseTo(HOUR, -2);
  });

  it.each([true, false])('rolling: %s', async (rolling) => {
    const { a, b, browser } = farmOfTwo({ session: { rolling } });
    await browser.get(a, '/login');
    await browser.get(b, '/');
    await browser.get(a, '/');
    expect(browser.setCookies).toBe(rolling ? 3 : 1);
  });

  it.each([true, false])('saveUninitialized: %s', async (saveUninitialized) => {
    const { a, b, browser } = farmOfTwo({ session: { saveUninitialized } });
    await browser.get(a, '/');
    expect(await b.store.length()).toBe(saveUninitialized ? 1 : 0);
    await browser.get(a, '/');
    expect(browser.setCookies).toBe(saveUninitialized ? 1 : 0);
  });

  it('unset: destroy', async () => {
    const { a, b, browser } = farmOfTwo({
      session: { unset: 'destroy' },
      // As the documentation of `unset` has it, though the types do not.
      routes: { '/unset': (req) => void Object.assign(req, { session: null }) },
    });
    await browser.get(a, '/login');
    await browser.get(b, '/unset');
    expect(await a.store.length()).toBe(0);
  });

  it.each(['apple', '%', '/foo', 'käse 🧀'])('genid returns %j each time', async (id) => {
    const { a, b, browser } = farmOfTwo({ session: { genid: () => id } });
    await browser.get(a, '/login');
    expect((await browser.get(b, '/')).body).toEqual({ user: 'ann' });
    // Destroyed and made again under the same id, by one request.
    const again = shop(a.node.farm, {
      session: { genid: () => id },
      routes: {
        '/again': async (req) => {
          await promised((done) => req.session.regenerate(done));
          req.session.views = 7;
        },
      },
    });
    await browser.get(again, '/again');
    expect((await browser.get(b, '/')).body).toEqual({ views: 7 });
    expect(await b.store.ids()).toEqual([id]);
  });

  it('a life of milliseconds', async () => {
    const { a, b, browser } = farmOfTwo({ session: { cookie: { maxAge: 50 } } });
    await browser.get(a, '/login');
    const { sid } = browser;
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(await b.store.get(sid)).toBeNull();
    expect((await browser.get(b, '/')).body).toEqual({});
  });

  it('a browser session, and a life of a year', async () => {
    const { a, b, browser } = farmOfTwo({ session: { cookie: {} } });
    await browser.get(a, '/login');
    expect((await browser.get(b, '/')).body).toEqual({ user: 'ann' });
    expect((await b.store.get(browser.sid))?.cookie.originalMaxAge).toBeNull();
    const year = farmOfTwo({ session: { cookie: { maxAge: 365 * 24 * HOUR } } });
    await year.browser.get(year.a, '/login');
    expect((await year.browser.get(year.b, '/')).body).toEqual({ user: 'ann' });
  });

  it('a loss of the quorum makes Express answer 503', async () => {
    const { a, browser } = farmOfTwo();
    await browser.get(a, '/login');
    a.node.faults.push('no-quorum');
    expect(await browser.get(a, '/logout')).toEqual({ status: 503, body: { error: 'ERR_NO_QUORUM' } });
    expect((await browser.get(a, '/')).body).toEqual({ user: 'ann' });
  });

  it('between disconnect and connect requests have no session', async () => {
    const { a, browser } = farmOfTwo({ routes: { '/has': (req) => req.session !== undefined } });
    expect((await browser.get(a, '/has')).body).toBe(true);
    a.node.emit('disconnect');
    expect((await browser.get(a, '/has')).body).toBe(false);
    a.node.emit('connect');
    expect((await browser.get(a, '/has')).body).toBe(true);
  });

  it('nothing that the store remembers can be seen on the session', async () => {
    const { a, b, browser } = farmOfTwo({
      routes: {
        '/keys': (req) => ({
          own: Reflect.ownKeys(req.session).map(String),
          json: Object.keys(JSON.parse(JSON.stringify(req.session))),
        }),
      },
    });
    await browser.get(a, '/login');
    const { body } = await browser.get(b, '/keys');
    expect(body).toEqual({ own: ['req', 'id', 'user', 'cookie', 'reload', 'save'], json: ['user', 'cookie'] });
  });

  it('store.load gives a session that can be saved', async () => {
    const { a, b, browser } = farmOfTwo();
    await browser.get(a, '/login');
    const { sid } = browser;
    const found = await new Promise<session.Session & session.SessionData>((resolve, reject) => {
      b.store.load(sid, (error, loaded) =>
        loaded ? resolve(loaded as session.Session & session.SessionData) : reject(error),
      );
    });
    await browser.get(a, '/views');
    found.tmp = 1;
    await promised((done) => found.save(done));
    expect((await browser.get(a, '/')).body).toEqual({ user: 'ann', views: 1, tmp: 1 });
    await browser.get(a, '/logout');
    await promised((done) => found.save(done));
    expect(await a.store.get(sid)).toBeNull();
  });
});
