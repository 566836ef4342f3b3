// @ts-check
/**
 * Resolves when a key no longer is as it was seen: it was written again, or removed, or what it lived by has ended.
 *
 * A watch tells of changes from when it has begun. What happened between the look at the key and that beginning it does
 * not tell, and a key that comes and goes at once may be passed over. So the key is looked at once more, with the watch
 * already begun: if it still is as it was seen, the watch has that for the state from which it tells the next one.
 *
 * @param {import('connect-paxos').PaxosKV} kv
 * @param {import('connect-paxos').Key} key
 * @param {string} version of the entry that was seen
 * @param {AbortSignal} signal ends the waiting, without an error
 */
export async function changed(kv, key, version, signal) {
  const watch = kv.watch(key, { signal });
  try {
    await watch.ready();
    // Not from this process's memory, which may be older than what was seen.
    const entry = await kv.find(key, { consistency: 'quorum' });
    if (entry?.version === version) await watch.next();
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    await watch.return();
  }
}
