/** Two processes that vote with one memory. */
import { afterEach, expect, it } from '@jest/globals';
import { FOREVER } from '../../lib/paxos/index.js';
import { storageOn } from '../storage/map-storage.js';
import { Farm, setText, textOf, until } from './farm.js';

const farm = new Farm();

afterEach(() => farm.close());

it('find that out by asking each other, say so, and vote with it no more; the farm goes on', async () => {
  const disk = new Map<string, Uint8Array>();
  const nodes = [farm.add({ storage: storageOn(disk) }), farm.add(), farm.add()] as const;
  await Promise.all(nodes.map((node) => node.ready()));
  await nodes[1].change('b/k', setText('v', FOREVER));
  const { slot } = nodes[0].status();
  const twin = farm.add({ storage: storageOn(new Map(disk)) });
  const told = (): string[] => farm.warnings.filter(({ code }) => code === 'memory-doubled').map(({ node }) => node);
  await until(() => told().length === 2);
  expect(told().sort()).toEqual(['node-1', 'node-4']);
  expect([nodes[0], twin].map((node) => node.status().slot)).toEqual([0, 0]);
  // Who comes in their place has read what the others hold.
  const next = farm.add();
  await until(() => next.status().state === 'voter');
  expect(next.status()).toMatchObject({
    slot,
    voters: expect.arrayContaining([expect.objectContaining({ slot, generation: 2 })]),
  });
  for (const node of farm.nodes) expect(textOf(await node.read('b/k'))).toBe('v');
});
