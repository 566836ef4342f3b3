import { expect, it } from '@jest/globals';
import { type Introduction, type Membership, PeerTable } from '../../lib/membership/index.js';
import { voterStatus } from '../../lib/node/status.js';
import { helloOf } from '../membership/hello.js';

it.each<[string, Partial<Introduction>, boolean]>([
  ['votes', {}, true],
  ['recovers', { phase: 'recovering' }, true],
  ['seeks, which may be an old word of it', { phase: 'seeking', incarnation: 0, slot: 0 }, true],
  ['has resigned', { phase: 'learner', slot: 0, hasResigned: true }, false],
  ['has another slot', { slot: 3 }, false],
  ['hears nobody', { open: [1, 3] }, false],
  ['is in another farm', { incarnation: 8 }, false],
])('a holder that is heard, and %s, by its own account', (_, said, isUp) => {
  const peers = new PeerTable();
  const holders = [1, 2, 3].map((process) => ({ process, generation: 1, name: `host-${process}` }));
  const view = { incarnation: 7, formedAtMs: 1, holders };
  const { type, view: none, maxClockSkewMs, ...hello } = helloOf('host-2', null);
  const peer = peers.hear(2, { host: '10.0.0.1', port: 2 }, 0);
  peers.introduce(peer, { ...hello, incarnation: 7, slot: 2, ...said }, 0);
  const membership: Pick<Membership, 'view' | 'slot' | 'sizes' | 'phase' | 'slotsHeard'> = {
    view,
    slot: 1,
    sizes: [3],
    phase: 'voter',
    slotsHeard: () => [1, 2],
  };
  const voters = voterStatus(membership as Membership, peers, 0);
  expect(voters.map((voter) => voter.isUp)).toEqual([true, isUp, false]);
});
