// @ts-check
import { once } from 'node:events';
import { PaxosKV } from 'connect-paxos';
import { Election } from '../../../demo/recipes/leader-election.mjs';

/** @param {import('connect-paxos').PaxosNode} node @param {(event: string, payload?: unknown) => void} emit */
export function start(node, emit) {
  const kv = new PaxosKV({ node });
  const { name } = node.status();
  let resign = new AbortController();
  /** @type {Promise<void>} */
  let campaign;

  (async (/** @type {Election} */ election) => {
    for await (const leader of election.leaders()) emit('heard', leader);
  })(new Election(kv, { name }));

  return {
    campaign: (/** @type {number} */ ttlMs) => {
      resign = new AbortController();
      const election = new Election(kv, { name, ttlMs });
      campaign = election.campaign(async ({ signal, token }) => {
        emit('leads', String(token));
        if (!signal.aborted) await once(signal, 'abort');
        emit('steps down', String(token));
      }, resign.signal);
    },
    resign: () => {
      resign.abort();
      return campaign;
    },
    depose: () => kv.delete(['office', 'leader']),
    /** As at an orderly end: the campaign ends with the node. */
    close: async () => {
      await node.close();
      await campaign;
    },
  };
}
