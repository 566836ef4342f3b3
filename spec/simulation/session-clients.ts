import session, { type SessionData } from 'express-session';
import { PaxosError } from '../../lib/errors.js';
import { type Life, Lives } from './lives.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';

/** Sessions in use at a time: few, so that requests meet. */
const MAX_SESSIONS = 6;

type Request = Parameters<InstanceType<typeof session.Store>['createSession']>[0];

/** Browsers: log in, make requests that load, change and save a session, log out. */
export class SessionClients {
  readonly #simulation: Simulation;
  readonly #lives: Lives;
  #published: string[] = [];
  #sequence = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#lives = new Lives((what) => simulation.object(what));
  }

  /** One client's one request. */
  async step(server: Server, random: Random, client: string): Promise<void> {
    const sid = random.pick(this.#published);
    if (sid === undefined || (this.#published.length < MAX_SESSIONS && random.chance(0.2))) {
      return this.#login(server, random);
    }
    if (random.chance(0.02)) return this.#list(server);
    if (random.chance(0.08)) return this.#logout(server, sid);
    return this.#request(server, random, client, sid);
  }

  async #login(server: Server, random: Random): Promise<void> {
    this.#sequence += 1;
    const life = this.#lives.begin(`s${this.#sequence}`, `life${this.#sequence}`);
    await this.#create(server, random, life);
  }

  async #create(server: Server, random: Random, life: Life): Promise<void> {
    const fresh = asSession({ cookie: new session.Cookie(), life: life.name });
    // An attempt of unknown outcome may have begun it; one that comes after its end is a late save.
    const calledMs = server.process.nowMs;
    for (let attempt = 0; attempt < 3; attempt += 1) {
      life.begunMs = Number.POSITIVE_INFINITY;
      const will = (): void => {
        life.begunMs = this.#simulation.world.nowMs;
      };
      server.wills.add(will);
      const done = await this.#call(server, `create ${life.sid}`, () => server.store.set(life.sid, fresh));
      server.wills.delete(will);
      life.begunMs = server.process.nowMs;
      if (done !== null) {
        life.savedMs = server.process.nowMs;
        life.livesUntilMs = calledMs + this.#simulation.plan.sessionLifeMs - 2 * this.#simulation.skewMs;
        this.#published.push(life.sid);
        return;
      }
      await server.sleep(random.around(100));
      if (!server.isClockFit) return;
    }
  }

  async #request(server: Server, random: Random, client: string, sid: string): Promise<void> {
    const { store, process } = server;
    const look = this.#lives.look(sid, process.nowMs);
    const endedBefore = this.#lives.endedOf(sid);
    const got = await this.#call(server, `get ${sid}`, () => store.get(sid));
    if (got === null) return;
    if (got.result === null) {
      this.#forget(sid);
      this.#lives.missing(sid, look, process.nowMs);
      return;
    }
    const fields = { ...got.result } as Readonly<Record<string, unknown>>;
    this.#lives.found(look, endedBefore, String(fields.life), fields);
    const life = this.#lives.get(String(fields.life));
    if (life === undefined) return;
    const live = store.createSession({ sessionID: sid } as Request, got.result);
    await server.sleep(random.around(random.chance(0.1) ? 3000 : 5));
    if (random.chance(0.3)) {
      await this.#call(server, `touch ${sid}`, () => store.touch(sid, live));
      return;
    }
    const isSaved = await this.#save(server, random, client, life, live);
    const more = random.fraction();
    if (more < 0.2) await this.#save(server, random, client, life, live);
    else if (isSaved && more < 0.4) await this.#saveAgain(server, random, client, life, live);
  }

  /** A request that goes on after its save: what the same browser's next request has saved since is not its affair. */
  async #saveAgain(server: Server, random: Random, client: string, life: Life, live: SessionData): Promise<void> {
    const { sid } = life;
    const next = await this.#call(server, `get ${sid}`, () => server.store.get(sid));
    if (next === null || next.result === null || !(await this.#save(server, random, client, life, next.result))) return;
    Object.assign(live, { note: this.#sequence });
    await this.#call(server, `save ${sid} again`, () => server.store.set(sid, live));
  }

  async #save(server: Server, random: Random, client: string, life: Life, live: SessionData): Promise<boolean> {
    this.#sequence += 1;
    const value = this.#sequence;
    const field = `c${client}`;
    life.most.set(field, value);
    // Of a size that goes by a stream, now and then.
    Object.assign(live, { [field]: value }, random.chance(0.03) ? { blob: 'x'.repeat(3000) } : {});
    const attempts = random.chance(0.5) ? 2 : 1;
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const done = await this.#call(server, `save ${life.sid} ${field}=${value}`, () =>
        server.store.set(life.sid, live),
      );
      if (done === null) continue;
      life.least.set(field, Math.max(life.least.get(field) ?? 0, value));
      return true;
    }
    return false;
  }

  async #logout(server: Server, sid: string): Promise<void> {
    const { store, process } = server;
    this.#forget(sid);
    const sinceMs = process.nowMs;
    this.#lives.ending(sid, sinceMs);
    const done = await this.#call(server, `destroy ${sid}`, () => store.destroy(sid));
    if (done === null) return;
    this.#lives.gone(sid, sinceMs, `it was destroyed at ${sinceMs.toFixed(3)}..${process.nowMs.toFixed(3)}`);
    // It goes on being asked for: that is what this is about.
    this.#published.push(sid);
  }

  async #list(server: Server): Promise<void> {
    const { store, process } = server;
    const askedMs = process.nowMs;
    const endedBefore = this.#lives.ended;
    const ids = await this.#call(server, 'ids', () => store.ids());
    if (ids !== null) this.#lives.listed(ids.result, askedMs, process.nowMs, endedBefore);
  }

  /** A session that is over is asked for a few more times, then room is made. */
  #forget(sid: string): void {
    const index = this.#published.indexOf(sid);
    if (index >= 0) this.#published.splice(index, 1);
    this.#published = this.#published.slice(-2 * MAX_SESSIONS);
  }

  async #call<T>(server: Server, what: string, operation: () => Promise<T>): Promise<{ readonly result: T } | null> {
    const { world } = this.#simulation;
    const label = `${server.process.name} ${what} #${++this.#sequence}`;
    world.note(`${label} ...`);
    world.count('operations');
    server.pending.add(label);
    try {
      const result = await operation();
      world.note(`${label}: ${JSON.stringify(result)?.slice(0, 200)}`);
      world.count('operations done');
      return { result };
    } catch (error) {
      const code = error instanceof PaxosError ? error.code : String(error);
      world.note(`${label}: ${code}`);
      world.count(code);
      if (!(error instanceof PaxosError) || code === 'ERR_VALUE_TOO_LARGE' || code === 'ERR_CONFIG') {
        this.#simulation.object(`${label} failed: ${code}`);
      }
      return null;
    } finally {
      server.pending.delete(label);
    }
  }
}

/** The types know the fields that an application declares; these are nobody's. */
function asSession(fields: Pick<SessionData, 'cookie'> & Readonly<Record<string, unknown>>): SessionData {
  return fields;
}
