// @ts-check
import { PaxosKV } from 'connect-paxos';
import { changed } from '../../../demo/recipes/changed.mjs';
import { FencedRegister, Lock } from '../../../demo/recipes/lock.mjs';

/** @param {import('connect-paxos').PaxosNode} node @param {(event: string, payload?: unknown) => void} emit */
export function start(node, emit) {
  const kv = new PaxosKV({ node });
  const lock = new Lock(kv, 'account', { ttlMs: 1000 });
  const account = new FencedRegister(kv, 'balance');
  /** @type {Awaited<ReturnType<Lock['acquire']>> | undefined} */
  let held;

  return {
    /** So many contend for the lock at a time; each adds one to what it has read under it. */
    contend: (/** @type {number} */ contenders) =>
      Promise.all(
        Array.from({ length: contenders }, () =>
          lock.run(
            async ({ token }) => {
              emit('enter', String(token));
              await account.write(token, ((await account.read(token)) ?? 0) + 1);
              emit('leave', String(token));
            },
            { timeoutMs: 60_000 },
          ),
        ),
      ).then(() => null),
    acquire: async (/** @type {number} */ timeoutMs) => {
      held = await lock.acquire({ timeoutMs });
      return String(held.token);
    },
    release: () => held?.release(),
    write: (/** @type {unknown} */ value) => account.write(held?.token ?? 0n, value),
    hasLost: () => held?.signal.aborted,
    read: () => account.read(held?.token ?? 0n),
    peek: () => account.peek(),
    /** Waits for the end of what has ended already, and of what has ended and begun anew. */
    waitInVain: async () => {
      const { signal } = new AbortController();
      const { version } = await kv.set('a', 1);
      await kv.delete('a');
      await changed(kv, 'a', version, signal);
      await kv.set('a', 1);
      await changed(kv, 'a', version, signal);
    },
  };
}
