import session, { type SessionData } from 'express-session';
import { type Found, type Life, Lives, type Look } from './lives.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** Sessions in use at a time: few, so that requests meet. */
const MAX_SESSIONS = 6;

type Request = Parameters<InstanceType<typeof session.Store>['createSession']>[0];

/** One client's one request on a session that it has loaded. */
export interface Visit {
  readonly server: Server;
  readonly random: Random;
  readonly client: string;
  readonly life: Life;
  readonly live: SessionData;
  /** How often the cookie's life had been changed when it was loaded; `null` while somebody was about to. */
  readonly changes: number | null;
}

/** Browsers: log in, make requests that load, change and save a session, log out. */
export class SessionClients {
  readonly #simulation: Simulation;
  readonly #lives: Lives;
  /** Of sessions that were loaded: what was known when they were asked for. */
  readonly #looks = new WeakMap<SessionData, Look>();
  #published: string[] = [];
  /** Those that only whoever made them asks for. */
  readonly #secret = new Set<string>();
  #sequence = 0;
  #begun = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#lives = new Lives((what) => simulation.object(what));
  }

  /** One client's one request. */
  async step(server: Server, random: Random, client: string): Promise<void> {
    const sid = random.pick(this.#published);
    if (sid === undefined || (this.#published.length < MAX_SESSIONS && random.chance(0.2))) {
      return this.#login(server, random, client);
    }
    const kind = random.fraction();
    if (kind < 0.02) return this.#list(server);
    if (kind < 0.03) return this.#count(server);
    if (kind < 0.04) return this.#all(server);
    if (kind < 0.043) return this.#clear(server);
    if (kind < 0.053) return this.#strange(server, random);
    if (kind < 0.09) return this.#peek(server, sid);
    if (kind < 0.16) return void (await this.logout(server, sid));
    // A new id for a browser that logs in, so that nobody has known it before.
    if (kind < 0.18) return (await this.logout(server, sid)) ? this.#login(server, random, client) : undefined;
    return this.visit(server, random, client, sid);
  }

  /** In the end every process gives every session as the others do. */
  async checkAll(server: Server): Promise<void> {
    await Promise.all(
      this.#published.map(async (sid) => {
        if ((await this.look(server, sid)) === undefined) {
          this.#simulation.object(`${server.process.name} can't load ${sid} though all is well`);
        }
      }),
    );
  }

  /** An id that only whoever draws it asks for. */
  drawId(): string {
    this.#sequence += 1;
    const sid = `s${this.#sequence}`;
    this.#secret.add(sid);
    return sid;
  }

  async #login(server: Server, random: Random, client: string): Promise<void> {
    this.#sequence += 1;
    await this.begin(server, random, client, `s${this.#sequence}`);
  }

  /** @returns the session as the request that logs in has it; `null` if it failed */
  async begin(server: Server, random: Random, client: string, sid: string): Promise<Visit | null> {
    this.#begun += 1;
    const life = this.#lives.begin(sid, `life${this.#begun}`, server.process.nowMs);
    const { store, process } = server;
    const fresh = asSession({ cookie: new session.Cookie(), life: life.name });
    if (random.chance(0.4)) this.#giveLife(server, life, fresh, this.#drawAge(random));
    let isInDoubt = false;
    let doubtfulUntilMs = Number.POSITIVE_INFINITY;
    const attempts = random.pick([1, 3]);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      life.triedMs = Number.POSITIVE_INFINITY;
      const will = (): void => {
        life.triedMs = this.#simulation.world.nowMs;
      };
      server.wills.add(will);
      const untilMs = this.#expect(server, life, fresh);
      const answer = await server.call(`create ${life.sid}`, () => store.set(life.sid, fresh));
      server.wills.delete(will);
      life.triedMs = process.nowMs;
      if ('result' in answer) {
        life.begunMs = process.nowMs;
        life.savedMs = process.nowMs;
        // What an earlier attempt began may be over by now; then this one was dropped.
        if (process.nowMs <= doubtfulUntilMs) life.livesUntilMs = untilMs;
        this.#publish(life.sid);
        return {
          server,
          random,
          client,
          life,
          live: fresh,
          changes: null,
        };
      }
      if (answer.code === 'ERR_OUTCOME_UNKNOWN') {
        isInDoubt = true;
        doubtfulUntilMs = Math.min(doubtfulUntilMs, untilMs);
        if (random.chance(0.3) && (await this.#endAmidRetries(server, life, fresh))) return null;
      }
      await server.sleep(random.around(100));
      if (!server.isClockFit) break;
    }
    // Nobody knows whether they are logged in; the browser got its cookie, and comes back with it.
    if (isInDoubt && random.chance(0.7)) this.#publish(life.sid);
    return null;
  }

  /**
   * A login of which nobody knew whether it took effect is found, and ended; then its retry comes. That is known to have
   * been done, and must not do it again.
   *
   * @returns whether it came to that
   */
  async #endAmidRetries(server: Server, life: Life, fresh: SessionData): Promise<boolean> {
    const found = await this.look(server, life.sid);
    if (found == null || foundOf(found).life !== life.name || !(await this.logout(server, life.sid))) return false;
    await server.call(`create ${life.sid} again`, () => server.store.set(life.sid, fresh));
    return true;
  }

  /** Loads a session, and keeps what was loaded. */
  async hold(server: Server, random: Random, client: string, sid: string): Promise<Visit | null> {
    const loaded = await this.look(server, sid);
    return loaded == null ? null : this.#visit(server, random, client, loaded);
  }

  /** A request that saves what it has had for long. */
  async release(visit: Visit): Promise<void> {
    await this.#save(visit);
  }

  async visit(server: Server, random: Random, client: string, sid: string): Promise<void> {
    const loaded = await this.look(server, sid);
    if (loaded === undefined || loaded === null) return;
    const visit = this.#visit(server, random, client, loaded);
    if (visit === null) return;
    await server.sleep(random.around(random.chance(0.1) ? 3000 : 5));
    const kind = random.fraction();
    if (kind < 0.25) return this.#touch(visit);
    if (kind < 0.32) return this.#changeLife(visit);
    // As with `resave`: saved as it was loaded.
    if (kind < 0.37) return void (await this.#store(visit, 'resave', () => undefined));
    if (kind < 0.47) return this.#openTabs(visit);
    if (kind < 0.55) return this.#comeAndGo(visit);
    // Saved by the handler, which does not wait, and once more at the end of the response.
    if (kind < 0.6) return void (await Promise.all([this.#save(visit), this.#comeAndGo(visit)]));
    const isSaved = await this.#save(visit);
    const more = random.fraction();
    if (more < 0.2) await this.#save(visit);
    else if (isSaved && more < 0.4) await this.#saveAgain(visit);
  }

  /** @returns `null` for none, `undefined` if there was no answer */
  async look(server: Server, sid: string): Promise<SessionData | null | undefined> {
    const { store, process, node } = server;
    const look = this.#lives.look(sid, process.nowMs);
    const askedMs = node.nowMs();
    const { isClockTrusted, lapses } = process;
    const got = await server.call(`get ${sid}`, () => store.get(sid));
    if ('code' in got) return undefined;
    if (got.result === null) {
      this.#forget(sid);
      this.#lives.missing(sid, look, process.nowMs);
      return null;
    }
    const isTimed = isClockTrusted && process.lapses === lapses;
    this.#lives.found(look, foundOf(got.result), process.nowMs, isTimed);
    this.#looks.set(got.result, look);
    const { expires } = got.result.cookie;
    if (isTimed && expires != null && new Date(expires).getTime() <= askedMs - 2 * this.#simulation.skewMs) {
      this.#simulation.object(`session ${sid} is found with a cookie that has expired`);
    }
    return got.result;
  }

  #visit(server: Server, random: Random, client: string, loaded: SessionData): Visit | null {
    const life = this.#lives.get(foundOf(loaded).life);
    if (life === undefined) return null;
    const live = server.store.createSession({ sessionID: life.sid } as Request, loaded);
    const changes = this.#looks.get(loaded)?.changes.get(life.name) ?? null;
    return { server, random, client, life, live, changes };
  }

  /** A request that goes on after its save: what the same browser's next request has saved since is not its affair. */
  async #saveAgain(visit: Visit): Promise<void> {
    const { server, life, live } = visit;
    const next = await this.look(server, life.sid);
    if (next === null || next === undefined) return;
    const later = this.#visit(server, visit.random, visit.client, next);
    if (later === null || later.life !== life || !(await this.#save(later))) return;
    await this.#store({ ...visit, changes: null }, 'save again', () => Object.assign(live, { note: this.#sequence }));
  }

  async #save(visit: Visit, field = `c${visit.client}`): Promise<boolean> {
    const { life, live, random } = visit;
    this.#sequence += 1;
    const value = this.#sequence;
    life.most.set(field, value);
    const isDone = await this.#store(visit, `save ${field}=${value}`, () => {
      // Of a size that goes by a stream, now and then.
      Object.assign(live, { [field]: value }, random.chance(0.03) ? { blob: 'x'.repeat(3000) } : {});
    });
    if (isDone) life.least.set(field, Math.max(life.least.get(field) ?? 0, value));
    return isDone;
  }

  /** A field that is set, or taken out again. */
  async #comeAndGo(visit: Visit): Promise<void> {
    const { life, live, client } = visit;
    this.#sequence += 1;
    const number = this.#sequence;
    const field = `d${client}`;
    const fields = live as unknown as Record<string, unknown>;
    const isDeletion = fields[field] !== undefined;
    const tries = life.tries.get(field) ?? { all: new Map(), done: 0 };
    tries.all.set(number, isDeletion);
    life.tries.set(field, tries);
    const isDone = await this.#store(visit, `${isDeletion ? 'delete' : 'set'} ${field} as ${number}`, () => {
      if (isDeletion) delete fields[field];
      else fields[field] = number;
    });
    if (isDone) tries.done = Math.max(tries.done, number);
  }

  /** Several tabs of one browser: each changes a field of its own, all at the same time. */
  async #openTabs(visit: Visit): Promise<void> {
    const { server, random, client, life } = visit;
    const others = await Promise.all([1, 2].map(() => this.look(server, life.sid)));
    const tabs = others.flatMap((loaded) =>
      loaded == null ? [] : (this.#visit(server, random, client, loaded) ?? []),
    );
    await Promise.all(
      [visit, ...tabs].map((tab, index) => (tab.life === life ? this.#save(tab, `c${client}tab${index}`) : null)),
    );
  }

  /** The session gets a cookie of another life: remember me, or a life cut short. */
  async #changeLife(visit: Visit): Promise<void> {
    const { server, random, life, live } = visit;
    const age = this.#drawAge(random);
    life.changesBegun += 1;
    this.#giveLife(server, life, live, age);
    const isAlone = visit.changes === life.changesBegun - 1;
    const wasUntilMs = life.livesUntilMs;
    const untilMs = this.#expect(server, life, live);
    life.livesUntilMs = Math.min(life.livesUntilMs, untilMs);
    const { store } = server;
    const answer = await server.call(`give ${life.sid} ${age} ms`, () =>
      random.chance(0.5) ? store.touch(life.sid, live) : store.set(life.sid, live),
    );
    // Of one whose outcome nobody knows it stays open when it takes effect.
    if ('code' in answer && answer.code === 'ERR_OUTCOME_UNKNOWN') return;
    life.changesEnded += 1;
    const isOnly = isAlone && life.changesBegun === visit.changes + 1;
    if ('result' in answer && isOnly && wasUntilMs >= server.process.nowMs) life.livesUntilMs = untilMs;
  }

  async #touch(visit: Visit): Promise<void> {
    const { server, life, live } = visit;
    this.#renew(visit);
    const untilMs = this.#expect(server, life, live);
    const answer = await server.call(`touch ${life.sid}`, () => server.store.touch(life.sid, live));
    if ('result' in answer) this.#prolong(visit, untilMs);
  }

  /** Saves the session as `change` makes it, once more if that fails. */
  async #store(visit: Visit, what: string, change: () => void): Promise<boolean> {
    const { server, random, life, live } = visit;
    change();
    this.#renew(visit);
    const attempts = random.chance(0.5) ? 2 : 1;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const untilMs = this.#expect(server, life, live);
      const set = (): Promise<void> => server.store.set(life.sid, live);
      const answer = await server.call(`${what} of ${life.sid}`, set);
      if ('code' in answer) continue;
      this.#prolong(visit, untilMs);
      return true;
    }
    return false;
  }

  /** The expiry moves on with each request, as express-session does it at the end of the response. */
  #renew({ server, live, random }: Visit): void {
    const { cookie } = live;
    const age = cookie.originalMaxAge;
    if (typeof age === 'number' && random.chance(0.8)) setLife(cookie, server, age);
  }

  #drawAge(random: Random): number {
    const { sessionLifeMs } = this.#simulation.plan;
    return Math.floor(sessionLifeMs * random.pick([0.02, 0.2, 0.5, 1]) * random.between(0.5, 1));
  }

  #giveLife(server: Server, life: Life, live: SessionData, age: number): void {
    life.ages.add(age);
    setLife(live.cookie, server, age);
  }

  /** @returns true ms until which it surely lives if it is stored as it is now */
  #expect(server: Server, life: Life, { cookie }: SessionData): number {
    const { node, process } = server;
    const { plan, skewMs } = this.#simulation;
    const aheadMs = node.aheadOfMachineMs();
    const setMs = byMachine.get(cookie);
    // The machine's clock was set since: what it showed before means nothing to anybody.
    if (setMs !== undefined && setMs !== aheadMs) setLife(cookie, server, Number(cookie.originalMaxAge));
    const nowMs = node.nowMs();
    const { expires } = cookie;
    const shiftMs = setMs === undefined ? 0 : aheadMs;
    const untilMs = expires == null ? nowMs + plan.sessionLifeMs : new Date(expires).getTime() + shiftMs;
    // It is looked at again when it is serialised, a stall later perhaps.
    const stallMs = plan.stallChance > 0 ? 5000 : 100;
    const lagMs = Math.max(0, untilMs - nowMs) / 10 + stallMs;
    life.overMs = Math.max(life.overMs, Math.max(untilMs, nowMs) - EPOCH_MS + lagMs + 2 * skewMs);
    return Math.min(untilMs - EPOCH_MS, process.nowMs + plan.sessionLifeMs) - 2 * skewMs;
  }

  /**
   * It was stored with that end, by a request that left the cookie's life as it is; or it was dropped, if the session may
   * have ended meanwhile.
   */
  #prolong({ server, life, changes }: Visit, untilMs: number): void {
    const isKnown = changes === life.changesBegun && life.changesBegun === life.changesEnded;
    if (isKnown && life.livesUntilMs >= server.process.nowMs) life.livesUntilMs = Math.max(life.livesUntilMs, untilMs);
  }

  async logout(server: Server, sid: string): Promise<boolean> {
    const { store, process } = server;
    this.#forget(sid);
    const sinceMs = process.nowMs;
    this.#lives.ending(sid, sinceMs);
    const answer = await server.call(`destroy ${sid}`, () => store.destroy(sid));
    if ('code' in answer) return false;
    this.#lives.gone(sid, sinceMs, `it was destroyed at ${sinceMs.toFixed(3)}..${process.nowMs.toFixed(3)}`, true);
    // It goes on being asked for: that is what this is about.
    this.#publish(sid);
    return true;
  }

  /** An id that never was: nothing comes of it. */
  async #strange(server: Server, random: Random): Promise<void> {
    const { store } = server;
    this.#sequence += 1;
    const sid = `strange${this.#sequence}`;
    const nobody = asSession({ cookie: new session.Cookie(), life: sid });
    if (random.chance(0.5)) await server.call(`destroy ${sid}`, () => store.destroy(sid));
    else await server.call(`touch ${sid}`, () => store.touch(sid, nobody));
    await this.look(server, sid);
  }

  /** What this process has in its own memory may be old. */
  async #peek(server: Server, sid: string): Promise<void> {
    const got = await server.call(`get ${sid} locally`, () => server.localStore.get(sid));
    if ('result' in got && got.result !== null) this.#lives.foundOld(foundOf(got.result));
  }

  async #list(server: Server): Promise<void> {
    const { store, process } = server;
    const look = this.#lives.lookAtAll(process.nowMs);
    const { isClockTrusted, lapses } = process;
    const ids = await server.call('ids', () => store.ids());
    const isTimed = isClockTrusted && process.lapses === lapses;
    if ('result' in ids) this.#lives.listed(ids.result, look, process.nowMs, isTimed);
  }

  async #count(server: Server): Promise<void> {
    const { store, process } = server;
    const look = this.#lives.lookAtAll(process.nowMs);
    const count = await server.call('length', () => store.length());
    if ('result' in count) this.#lives.counted(count.result, look, process.nowMs);
  }

  async #all(server: Server): Promise<void> {
    const { store, process } = server;
    const look = this.#lives.lookAtAll(process.nowMs);
    const { isClockTrusted, lapses } = process;
    // One time-out to list them, one to load them.
    const all = await server.call('all', () => store.all(), 2);
    if ('code' in all) return;
    const isTimed = isClockTrusted && process.lapses === lapses;
    this.#lives.listed(Object.keys(all.result), look, process.nowMs, isTimed);
    for (const each of Object.values(all.result)) this.#lives.found(look, foundOf(each), process.nowMs, isTimed);
  }

  async #clear(server: Server): Promise<void> {
    const { store, process } = server;
    const sinceMs = process.nowMs;
    const { sids } = this.#lives;
    const ended = this.#lives.endingAll(sinceMs);
    server.wills.add(ended);
    const done = await server.call('clear', () => store.clear(), 2);
    server.wills.delete(ended);
    ended();
    if ('code' in done) return;
    for (const sid of sids) this.#lives.gone(sid, sinceMs, `all were cleared at ${sinceMs.toFixed(3)}`);
  }

  #publish(sid: string): void {
    if (!this.#secret.has(sid)) this.#published.push(sid);
  }

  /** A session that is over is asked for a few more times, then room is made. */
  #forget(sid: string): void {
    const index = this.#published.indexOf(sid);
    if (index >= 0) this.#published.splice(index, 1);
    this.#published = this.#published.slice(-2 * MAX_SESSIONS);
  }
}

/**
 * Cookies whose expiry was set here, and by how much the farm's clock was ahead of the machine's then; the others' is as the
 * store handed it out, by the farm's.
 */
const byMachine = new WeakMap<object, number>();

/** As express-session sets it, by the machine's clock. Not `cookie.maxAge`, which looks at the real one. */
function setLife(cookie: SessionData['cookie'], { node }: Server, age: number): void {
  const aheadMs = node.aheadOfMachineMs();
  cookie.expires = new Date(node.nowMs() - aheadMs + age);
  cookie.originalMaxAge = age;
  byMachine.set(cookie, aheadMs);
}

function foundOf({ cookie, ...rest }: SessionData): Found {
  const fields: Readonly<Record<string, unknown>> = { ...rest };
  return { life: String(fields.life), fields, originalMaxAge: cookie.originalMaxAge };
}

/** The types know the fields that an application declares; these are nobody's. */
function asSession(fields: Pick<SessionData, 'cookie'> & Readonly<Record<string, unknown>>): SessionData {
  return fields;
}
