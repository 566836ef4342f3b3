import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { PaxosNode } from '../../lib/node/node.js';
import { type Change, FOREVER } from '../../lib/paxos/index.js';
import { Farm, remove, setText, until } from './farm.js';

const KEYS = 20;

/** Moves the end, as reading a session does: nobody is told of it. */
const touch: Change<null> = {
  bound: FOREVER - 1,
  mayRemove: false,
  seals: false,
  apply: ({ value, attributes }) => ({ write: { value, attributes, until: FOREVER - 1 }, result: null }),
};

let farm: Farm;
let nodes: PaxosNode[];
/** What each node was told of each key, in order. */
let told: Map<string, string[]>[];

beforeEach(async () => {
  farm = new Farm();
  nodes = await farm.start(3);
  const learner = farm.add({ slot: false });
  await learner.ready();
  nodes.push(learner);
  told = nodes.map((node) => {
    const events = new Map<string, string[]>();
    node.watch('n', ({ id, effect }) => events.set(id, [...(events.get(id) ?? []), effect]));
    return events;
  });
});
afterEach(() => farm.close());

const names = Array.from({ length: KEYS }, (_, index) => `k${index}`);
const first = (): PaxosNode => nodes[0] as PaxosNode;
const second = (): PaxosNode => nodes[1] as PaxosNode;

/** Word of a change may wait half a second for a datagram to ride with; the next step does not wait for it. */
async function each(...steps: ((id: string) => Promise<unknown>)[]): Promise<void> {
  for (const id of names) for (const step of steps) await step(id);
}
const toldOf = (id: string): (string[] | undefined)[] => told.map((events) => events.get(id));
const lastOf = (id: string): (string | undefined)[] => toldOf(id).map((events) => events?.at(-1));
const all = <T>(value: T): T[] => nodes.map(() => value);

describe('voters and learners are told', () => {
  it('once of what was changed and read at once by all others', async () => {
    await each(
      (id) => first().change(`n/${id}`, setText('a', FOREVER)),
      (id) => Promise.all(nodes.map((node) => node.read(`n/${id}`))),
    );
    await until(() => names.every((id) => toldOf(id).every((events) => events !== undefined)));
    for (const id of names) expect(toldOf(id)).toEqual(all(['changed']));
  });

  it('once of what was changed, though another one has touched it before they heard of that', async () => {
    await each(
      (id) => first().change(`n/${id}`, setText('a', FOREVER)),
      (id) => second().change(`n/${id}`, touch),
    );
    await until(() => names.every((id) => toldOf(id).every((events) => events !== undefined)));
    for (const id of names) expect(toldOf(id)).toEqual(all(['changed']));
  });

  it('at last of what came last, though word of what was before it comes later', async () => {
    await each(
      (id) => first().change(`n/${id}`, setText('a', FOREVER)),
      (id) => second().change(`n/${id}`, remove),
      // The second node's word rides with that; the first one's waits.
      (id) => second().change(`n/other ${id}`, setText('b', FOREVER)),
    );
    await first().change('n/later', setText('a', FOREVER));
    await second().change('n/later', setText('b', FOREVER));
    await until(() => lastOf('later').every((event) => event !== undefined));
    await until(() => names.every((id) => lastOf(id).every((event) => event === 'removed')));
  });
});
