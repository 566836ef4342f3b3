import { afterEach, expect, it } from '@jest/globals';
import { NoQuorumError, OutcomeUnknownError, PaxosKV, poorNetwork } from '../../lib/index.js';
import { drawMulticast, drawSecret } from './farm.js';

const UPDATES = 1000;

let stores: PaxosKV[] = [];

afterEach(() => Promise.all(stores.map((kv) => kv.close())));

it('a thousand increments at once from three nodes, with one datagram in twenty lost: each counts once, or is told to have failed', async () => {
  const network = drawMulticast();
  const secret = drawSecret();
  stores = Array.from(
    { length: 3 },
    () => new PaxosKV({ cluster: 'counting', secret, transport: poorNetwork(network, { loss: 0.05 }), timeout: 5000 }),
  );
  await Promise.all(stores.map((kv) => kv.ready()));
  const told = { done: 0, nothing: 0, unknown: 0 };
  const updates = Array.from({ length: UPDATES }, async (_, index) => {
    const kv = stores[index % stores.length] as PaxosKV;
    try {
      await kv.update<number>('count', (count = 0) => count + 1);
      told.done += 1;
    } catch (error) {
      if (error instanceof OutcomeUnknownError) told.unknown += 1;
      else if (error instanceof NoQuorumError) told.nothing += 1;
      else throw error;
    }
  });
  await Promise.all(updates);
  expect(told.done + told.nothing + told.unknown).toBe(UPDATES);
  // A machine that is busy with other things may take too long for some of them.
  expect(told.done).toBeGreaterThan(UPDATES / 2);
  for (const kv of stores) {
    const count = Number(await kv.get<number>('count'));
    expect(count).toBeGreaterThanOrEqual(told.done);
    expect(count).toBeLessThanOrEqual(told.done + told.unknown);
  }
});
