// @ts-check
/**
 * One of the servers does what only one is to do: sends the newsletter, cleans up at night, polls a supplier.
 *
 *   const election = new Election(kv, { name: 'web-1' });
 *   const campaign = election.campaign(async ({ signal, token }) => {
 *     while (!signal.aborted) await sendNext(token);
 *   });
 *   campaign.catch(report);  // what the work has thrown: this server campaigns no more
 *
 * The leader is whoever has written the key, which only one can while it is absent. It lives by a lease that the leader's
 * process renews; the others watch the key, and try again when it has gone. All of them, and servers that don't campaign,
 * can tell who leads.
 *
 * There is one leader as far as clocks are equal: one that has been cut off, or stopped, finds out by its own clock that its
 * time is up, and gets its signal then. Until it looks at that it may go on, while another leads already. What must not be
 * done by both takes the `token`, which rises with each leader, and refuses one that is lower than it has seen: lock.mjs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { PaxosError, PaxosKV } from 'connect-paxos';
import { changed } from './changed.mjs';
import { isStarted, startFarm } from './farm.mjs';

/** Before it is tried again where too few servers are up, in ms. */
const RETRY_MS = 500;

export class Election {
  #kv;
  #key;
  #name;
  #ttlMs;

  /**
   * @param {PaxosKV} kv
   * @param {{ name: string, office?: string, ttlMs?: number }} options `name`: what observers are told; `office`: what it is
   *   the leader of; `ttlMs`: after how long a leader that has died is one no more, 500 or more
   */
  constructor(kv, { name, office = 'leader', ttlMs = 5000 }) {
    this.#kv = kv;
    this.#key = ['office', office];
    this.#name = name;
    this.#ttlMs = ttlMs;
  }

  /**
   * Campaigns until `signal` is aborted, or the node is closed, and has `work` done whenever this server leads. When that
   * returns it steps down, and campaigns again. It campaigns no sooner than the work has ended, so it never runs twice here.
   *
   * @param {(term: { signal: AbortSignal, token: bigint }) => Promise<void>} work to end soon after its signal is aborted:
   *   the leadership is lost, or no longer wanted
   * @param {AbortSignal} [signal]
   * @throws what `work` throws, having stepped down; after a `PaxosError` it campaigns again
   */
  async campaign(work, signal = new AbortController().signal) {
    while (!signal.aborted) {
      try {
        await this.#stand(work, signal);
      } catch (error) {
        if (!(error instanceof PaxosError)) throw error;
        if (error.code === 'ERR_CLOSED') return;
        // No quorum, or a lease that was lost while it waited.
        await sleep(RETRY_MS, null, { signal }).catch(() => undefined);
      }
    }
  }

  /**
   * Tells who leads, now and whenever that changes; nothing, as long as nobody does at first.
   *
   * @param {AbortSignal} [signal] ends it
   * @returns {AsyncGenerator<string | null>} `null`: nobody does any more, for the moment
   */
  async *leaders(signal) {
    for await (const { entry } of this.#kv.watch(this.#key, { signal, initial: true })) {
      yield entry === null ? null : /** @type {any} */ (entry.value).name;
    }
  }

  /** Waits until it leads, leads once, and steps down. @param {Parameters<Election['campaign']>[0]} work @param {AbortSignal} signal */
  async #stand(work, signal) {
    const lease = await this.#kv.lease({ ttlMs: this.#ttlMs });
    // Anybody may remove the key, to have another server lead.
    const deposed = new AbortController();
    const ended = AbortSignal.any([signal, lease.signal, deposed.signal]);
    try {
      while (!ended.aborted) {
        const me = { name: this.#name, lease: lease.id };
        const { entry } = await this.#kv.compareAndSet(this.#key, { absent: true }, me, { lease });
        const { value, version, created } = entry ?? {};
        if (value?.lease !== lease.id) {
          if (entry !== null) await changed(this.#kv, this.#key, version, ended);
          continue;
        }
        const depose = () => deposed.abort();
        changed(this.#kv, this.#key, version, ended).then(depose, depose);
        try {
          await work({ signal: ended, token: created });
        } finally {
          // Else the others would find out when the lease is over.
          await this.#kv.delete(this.#key, { expected: { version } }).catch(() => false);
        }
        return;
      }
    } finally {
      lease[Symbol.dispose]();
    }
  }
}

if (isStarted(import.meta.url)) {
  const nodes = await startFarm();
  const servers = nodes.map((node) => {
    const { name } = node.status();
    const resign = new AbortController();
    const election = new Election(new PaxosKV({ node }), { name });
    const campaign = election.campaign(async (term) => {
      console.log(`${name} leads`);
      await new Promise((resolve) => term.signal.addEventListener('abort', resolve));
      console.log(`${name} steps down`);
    }, resign.signal);
    return { name, election, resign, campaign };
  });
  let terms = 0;
  for await (const leader of servers[0].election.leaders()) {
    const server = servers.find(({ name }) => name === leader);
    if (server === undefined) continue;
    console.log(`web-1 has heard that ${leader} leads`);
    server.resign.abort();
    await server.campaign;
    terms += 1;
    if (terms === servers.length) break;
  }
  await Promise.all(nodes.map((node) => node.close()));
}
