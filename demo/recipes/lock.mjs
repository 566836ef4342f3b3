// @ts-check
/**
 * A lock that servers share: one holder at a time, whichever process it is in.
 *
 *   const lock = new Lock(kv, 'invoices');
 *   await lock.run(async ({ token, signal }) => { … }, { timeoutMs: 5000 });
 *
 * The lock is a key. Who finds it absent writes it, and of two who try at a time the farm lets one succeed. It lives by a
 * lease, which the holder's process renews: a holder that dies loses the lock some `ttlMs` later.
 *
 * No lock of this kind keeps two processes apart by itself. A holder may be stopped (by the garbage collector, a debugger,
 * a virtual machine that is moved) until its lease has ended, and go on as if nothing had happened. So each holder has a
 * token, higher than those of all before it, and what the lock guards refuses a token below the highest it has seen: see
 * `FencedRegister` below. It has to see a holder's token before that goes by what it reads; else a former holder's write
 * comes between the reading and the writing. For a database: docs/recipes.md, "Tokens".
 */
import { KEEP, PaxosKV } from 'connect-paxos';
import { changed } from './changed.mjs';
import { isStarted, startFarm } from './farm.mjs';

/** The lock was not to be had in time. */
export class LockTimeoutError extends Error {
  /** @override */
  name = 'LockTimeoutError';
}

/** Another has held the lock since, and been at what it guards. */
export class FencedError extends Error {
  /** @override */
  name = 'FencedError';
}

export class Lock {
  #kv;
  #key;
  #ttlMs;

  /**
   * @param {PaxosKV} kv
   * @param {string} name locks with different names have nothing to do with each other
   * @param {{ ttlMs?: number }} [options] `ttlMs`: how long others wait for a holder that has died; 500 or more
   */
  constructor(kv, name, { ttlMs = 5000 } = {}) {
    this.#kv = kv;
    this.#key = ['lock', name];
    this.#ttlMs = ttlMs;
  }

  /**
   * Waits for the lock. With `await using held = await lock.acquire()`, where the language has it, it is released at the
   * end of the block; else by `finally { await held.release(); }`.
   *
   * @param {{ timeoutMs?: number }} [options] how long to wait, in ms
   * @throws LockTimeoutError; PaxosError
   */
  async acquire({ timeoutMs = 30_000 } = {}) {
    const timeout = AbortSignal.timeout(timeoutMs);
    // Before the lock: what is written is to hang on it. If this fails half way, so that nobody knows whether the lock was
    // written, the end of the lease is the end of the lock.
    const lease = await this.#kv.lease({ ttlMs: this.#ttlMs });
    try {
      for (;;) {
        const { entry } = await this.#kv.compareAndSet(this.#key, { absent: true }, lease.id, { lease });
        lease.signal.throwIfAborted();
        if (entry?.value === lease.id) return this.#held(entry, lease);
        if (entry !== null) {
          await changed(this.#kv, this.#key, entry.version, AbortSignal.any([timeout, lease.signal]));
        }
        if (timeout.aborted) throw new LockTimeoutError(`Lock ${this.#key[1]} was not to be had for ${timeoutMs} ms.`);
      }
    } catch (error) {
      lease[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Runs `work` with the lock, and releases it.
   *
   * @template T
   * @param {(held: { token: bigint, signal: AbortSignal }) => Promise<T>} work to stop when `signal` is aborted: then it
   *   has lost the lock
   * @param {{ timeoutMs?: number }} [options] how long to wait for it
   */
  async run(work, options) {
    const held = await this.acquire(options);
    try {
      return await work(held);
    } finally {
      // Whether the work was done does not depend on it: where it can't be told, the lease ends by itself.
      await held.release().catch(() => undefined);
    }
  }

  /** @param {import('connect-paxos').Entry} entry @param {import('connect-paxos').Lease} lease */
  #held(entry, lease) {
    const release = async () => {
      // Those who wait hear of this at once; that the lease has ended they would find out within seconds.
      await this.#kv.delete(this.#key, { expected: { version: entry.version } }).catch(() => false);
      await lease.release();
    };
    // The key is absent between two holders, so each has it from its first write on, and none has the same.
    return { token: entry.created, signal: lease.signal, release, [Symbol.asyncDispose]: release };
  }
}

/** A value in the farm that only the latest holder of a lock can read to change it, and write. */
export class FencedRegister {
  #kv;
  #key;

  /** @param {PaxosKV} kv @param {import('connect-paxos').Key} key */
  constructor(kv, key) {
    this.#kv = kv;
    this.#key = key;
  }

  /** As anybody may. What is to be written must not rest on it. */
  async peek() {
    return (await this.#kv.get(this.#key))?.value;
  }

  /**
   * From when it has returned on, no former holder can write: what was read stays until this holder writes, or a later one.
   *
   * @param {bigint} token
   * @throws FencedError; PaxosError
   */
  async read(token) {
    return (await this.#update(token, (held) => (held?.token === token ? KEEP : { token, value: held?.value })))?.value;
  }

  /** @param {bigint} token @param {unknown} value @throws FencedError, and nothing was written; PaxosError */
  async write(token, value) {
    await this.#update(token, () => ({ token, value }));
  }

  /** @param {bigint} token @param {(held: { token: bigint, value: any } | undefined) => any} change */
  async #update(token, change) {
    const entry = await this.#kv.update(this.#key, (held) => (held && held.token > token ? KEEP : change(held)));
    if (entry?.value.token !== token) throw new FencedError('A later holder of the lock has been here.');
    return entry.value;
  }
}

if (isStarted(import.meta.url)) {
  const nodes = await startFarm();
  const stores = nodes.map((node) => new PaxosKV({ node }));
  const counter = new FencedRegister(stores[0], 'counter');
  const count = async (/** @type {PaxosKV} */ kv) => {
    const lock = new Lock(kv, 'counter');
    await lock.run(async ({ token }) => {
      const before = (await counter.read(token)) ?? 0;
      // Nobody else is here between the reading and the writing.
      await counter.write(token, before + 1);
      console.log(`${kv.status().name} has made ${before} ${before + 1}`);
    });
  };
  await Promise.all([...stores, ...stores, ...stores].map(count));
  await Promise.all(nodes.map((node) => node.close()));
}
