// @ts-check
/**
 * Who is online, on whichever server; each server has the whole list, and hears of each change.
 *
 *   const presence = new Presence(kv);
 *   app.get('/online', onlineEvents(presence, { userOf: (request) => request.session?.user }));  // 401 without a user
 *
 * In the browser, which gives an `EventSource` up at the first answer that is none of events, as there are without a quorum:
 *
 *   function follow() {
 *     const events = new EventSource('/online');
 *     events.onmessage = ({ data }) => show(JSON.parse(data));
 *     events.onerror = () => events.readyState === EventSource.CLOSED && setTimeout(follow, 3000);
 *   }
 *
 * Each connection is a key, `['online', user, connection]`, so a user with three tabs is online until the last one closes.
 * All keys of a server live by one lease, which the server renews: where it dies its connections are gone some seconds later
 * (`ttlMs`, and two more), on all other servers, and nobody has to clean up. Where it was only cut off for so long, it gets
 * another lease, and writes the keys of its connections again.
 *
 * The list is what this server has heard: some milliseconds old, or more while it is cut off. It is good to be shown, and not
 * to be relied upon; `kv.keys({ prefix: ['online', user] })` asks the farm.
 */
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { PaxosError, PaxosKV } from 'connect-paxos';
import express from 'express';
import { isStarted, startFarm } from './farm.mjs';

/** Before what has failed is tried again, in ms. Meanwhile there are too few servers, mostly. */
const RETRY_MS = 300;
/** What may go better the next time. */
const PASSING = ['ERR_NO_QUORUM', 'ERR_OUTCOME_UNKNOWN', 'ERR_OVERLOADED', 'ERR_LIFETIME_OVER'];

/** Of all lists in this process: no two connections have the same number. */
let joins = 0;

/** @typedef {{ readonly key: string[], isOpen: boolean, isBusy: boolean }} Connection */

/** Emits `change`, with the user, when one comes or goes, and `error` where nobody will be heard of any more. */
export class Presence extends EventEmitter {
  #kv;
  #closed = new AbortController();
  /** Connections of users, on all servers. @type {Map<string, Set<string>>} */
  #online = new Map();
  /** This server's. @type {Set<Connection>} */
  #own = new Set();
  /** That all of those live by; `null` while there is none. @type {import('connect-paxos').Lease | null} */
  #lease = null;

  /** @param {PaxosKV} kv @param {{ ttlMs?: number }} [options] `ttlMs`: how long the users of a dead server stay, 500 or more */
  constructor(kv, { ttlMs = 3000 } = {}) {
    super();
    this.setMaxListeners(0);
    this.#kv = kv;
    this.#keepLease(ttlMs);
    this.#follow();
  }

  /** Users who are online, as far as this server has heard. */
  get users() {
    return [...this.#online.keys()].sort();
  }

  /**
   * A user has opened a connection to this server.
   *
   * @param {string} user as long as a part of a key may be: with one that is too long, or no string, nobody is online
   * @returns {() => void} to be called when it closes
   */
  join(user) {
    const id = `${this.#kv.status().process}.${joins++}`;
    const connection = { key: ['online', user, id], isOpen: true, isBusy: false };
    this.#own.add(connection);
    this.#settle(connection);
    return () => {
      connection.isOpen = false;
      this.#settle(connection);
    };
  }

  /** Takes all of this server's connections off the list. */
  async close() {
    this.#closed.abort();
    await this.#lease?.release();
  }

  /** Has the farm hold what there is of a connection, however long that takes: one write of it at a time. @param {Connection} connection */
  async #settle(connection) {
    if (connection.isBusy) return;
    connection.isBusy = true;
    while (!this.#closed.signal.aborted) {
      const { key, isOpen } = connection;
      const lease = this.#lease;
      try {
        if (!isOpen) await this.#kv.delete(key);
        else if (lease !== null) await this.#kv.set(key, null, { lease });
        // Nothing has changed meanwhile. Without a lease, the next one brings it here again.
        if (connection.isOpen === isOpen && this.#lease === lease) break;
      } catch (error) {
        if (!isPassing(error)) {
          this.#own.delete(connection);
          break;
        }
        await sleep(RETRY_MS, null, { ref: false });
      }
    }
    connection.isBusy = false;
    if (!connection.isOpen) this.#own.delete(connection);
  }

  /** Gets another lease whenever one is lost: by no quorum, or a pause of this process, for longer than it lives. @param {number} ttlMs */
  async #keepLease(ttlMs) {
    while (!this.#closed.signal.aborted) {
      try {
        const lease = await this.#kv.lease({ ttlMs });
        if (this.#closed.signal.aborted) return void (await lease.release());
        this.#lease = lease;
        for (const connection of this.#own) this.#settle(connection);
        if (!lease.signal.aborted) await once(lease.signal, 'abort');
      } catch (error) {
        if (error.code === 'ERR_CLOSED') return;
        if (!isPassing(error)) return void this.emit('error', error);
        await sleep(RETRY_MS, null, { ref: false });
      }
    }
  }

  async #follow() {
    const options = { initial: true, limit: 100_000, signal: this.#closed.signal };
    for (;;) {
      try {
        for await (const { kind, key } of this.#kv.watch({ prefix: ['online'] }, options)) {
          this.#hear(kind, String(key[1]), String(key[2]));
        }
        return;
      } catch (error) {
        // More has changed than was kept for this loop: all is looked at anew.
        if (error.code !== 'ERR_WATCH_OVERFLOW') return void this.emit('error', error);
        for (const [user, connections] of this.#online)
          for (const each of connections) this.#hear('removed', user, each);
      }
    }
  }

  /** @param {string} kind @param {string} user @param {string} connection */
  #hear(kind, user, connection) {
    const connections = this.#online.get(user) ?? new Set();
    if (kind === 'set') connections.add(connection);
    else connections.delete(connection);
    const wasOnline = this.#online.has(user);
    const isOnline = connections.size > 0;
    if (isOnline) this.#online.set(user, connections);
    else this.#online.delete(user);
    if (isOnline !== wasOnline) this.emit('change', user);
  }
}

/** @param {unknown} error */
function isPassing(error) {
  return error instanceof PaxosError && PASSING.includes(error.code);
}

/**
 * Express handler: an `EventSource` on it is online, and told who else is.
 *
 * One that has vanished, since a lid was shut or a telephone has no network, closes nothing, and what is written to it fails a
 * quarter of an hour later. So no response lasts longer than `lastingMs`: those that are there come again at once. For as
 * long as that takes, and for a page that is loaded anew, each stays for `lingeringMs` after it has closed.
 *
 * @param {Presence} presence
 * @param {{ userOf: (request: express.Request) => string | undefined, lastingMs?: number, lingeringMs?: number }} options
 *   `userOf`: `undefined` if nobody has logged in
 * @returns {express.RequestHandler}
 */
export function onlineEvents(presence, { userOf, lastingMs = 20_000, lingeringMs = 3000 }) {
  return (request, response) => {
    const user = userOf(request);
    if (user === undefined) return void response.sendStatus(401);
    // While the session was being loaded: its `close` has been.
    if (response.closed) return;
    const leave = presence.join(user);
    const tell = () => response.write(`data: ${JSON.stringify(presence.users)}\n\n`);
    const end = () => {
      clearTimeout(timer);
      presence.off('change', tell);
      response.off('close', end);
      response.end();
      setTimeout(leave, lingeringMs).unref();
    };
    const timer = setTimeout(end, lastingMs);
    presence.on('change', tell);
    response.on('close', end);
    response.set({ 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' });
    response.write(`retry: ${RETRY_MS}\n\n`);
    tell();
  };
}

if (isStarted(import.meta.url)) {
  const nodes = await startFarm();
  const [first, second, third] = nodes.map((node) => new Presence(new PaxosKV({ node })));
  third.on('change', (user) => console.log(`${user} ${third.users.includes(user) ? 'came' : 'went'}`));
  const leave = first.join('Ada');
  await once(third, 'change');
  second.join('Grace');
  await once(third, 'change');
  leave();
  await once(third, 'change');
  await second.close(); // its server goes down, and its connections with it
  await once(third, 'change');
  await Promise.all(nodes.map((node) => node.close()));
}
