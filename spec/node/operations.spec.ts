import { expect, it } from '@jest/globals';
import { NoQuorumError } from '../../lib/errors.js';
import { Operations } from '../../lib/node/operations.js';
import { BallotSource, type Electorate } from '../../lib/paxos/index.js';

it('calls that ran out without a quorum leave nothing that would have to be gone through once there is one', async () => {
  let monotonicMs = 0;
  let looks = 0;
  let electorate: Electorate | null = null;
  const operations = new Operations({
    ballots: new BallotSource(1),
    maxClockSkewMs: 10_000,
    lineageKeepMs: 60_000,
    now: () => ({ monotonicMs, wallMs: 1_700_000_000_000 + monotonicMs, isTrusted: true }),
    electorate: () => {
      looks += 1;
      return electorate;
    },
    own: () => undefined,
    transmit: () => undefined,
    committed: () => undefined,
    retransmitMs: () => 100,
    random: () => 0.5,
    noQuorum: () => new NoQuorumError('No quorum.', [], []),
    impediment: () => null,
  });
  const calls = Array.from({ length: 5000 }, (_, index) => operations.read(`b/${index}`, 50));
  monotonicMs = 60;
  operations.tick();
  for (const { status } of await Promise.allSettled(calls)) expect(status).toBe('rejected');

  electorate = { sizes: [3], isVoter: () => true };
  looks = 0;
  operations.start();
  expect(looks).toBeLessThan(10);
});
