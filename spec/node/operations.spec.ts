import { expect, it } from '@jest/globals';
import { NoQuorumError } from '../../lib/errors.js';
import { Operations, type OperationsContext } from '../../lib/node/operations.js';
import {
  type AcceptorRequest,
  BallotSource,
  type Change,
  type Electorate,
  NO_BALLOT,
  NO_BYTES,
} from '../../lib/paxos/index.js';

const WALL_MS = 1_700_000_000_000;

function operationsWith(context: Pick<OperationsContext, 'now' | 'electorate' | 'transmit'>): Operations {
  return new Operations({
    ballots: new BallotSource(1),
    maxClockSkewMs: 10_000,
    lineageKeepMs: 60_000,
    own: () => undefined,
    committed: () => undefined,
    retransmitMs: () => 100,
    random: () => 0.5,
    noQuorum: () => new NoQuorumError('No quorum.', [], []),
    impediment: () => null,
    ...context,
  });
}

it('calls that ran out without a quorum leave nothing that would have to be gone through once there is one', async () => {
  let monotonicMs = 0;
  let looks = 0;
  let electorate: Electorate | null = null;
  const operations = operationsWith({
    now: () => ({ monotonicMs, wallMs: WALL_MS + monotonicMs, isTrusted: true }),
    electorate: () => {
      looks += 1;
      return electorate;
    },
    transmit: () => undefined,
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

it('a destroy of what has expired is later than all that was written before it', () => {
  const sent: AcceptorRequest[] = [];
  const operations = operationsWith({
    now: () => ({ monotonicMs: 0, wallMs: WALL_MS, isTrusted: true }),
    electorate: () => ({ sizes: [1], isVoter: () => true }),
    transmit: ({ message }) => sent.push(message),
  });
  const destroy: Change<null> = {
    bound: 0,
    mayRemove: true,
    seals: true,
    apply: () => ({ write: { value: null, attributes: NO_BYTES, until: 0 }, result: null }),
  };
  void operations.change('b/k', destroy, 1000);
  const [prepare] = sent.splice(0);
  if (prepare?.type !== 'prepare') throw new Error('it has to prepare');
  const accepted = { round: (WALL_MS - 60_000) * 1024, proposer: 2 };
  const rest = { attributes: NO_BYTES, birth: accepted, dataBallot: accepted, lineage: [], lineageFrom: NO_BALLOT };
  const proposal = { value: new Uint8Array(1), until: WALL_MS - 1000, accepted, operation: '2.1', ...rest };
  const report = { proposal, committed: true, isHeld: false };
  const { request, ballot } = prepare;
  operations.receive(
    { process: 2, slot: 1 },
    { type: 'promised', request, ballot, report, horizon: proposal.until, floor: NO_BALLOT },
  );
  expect(sent).toMatchObject([{ type: 'accept', proposal: { value: null, birth: accepted, dataBallot: ballot } }]);
});

it('a call that threw in a round of unknown outcome is told what it threw, and only the others that it is unknown', async () => {
  let monotonicMs = 0;
  const sent: AcceptorRequest[] = [];
  const operations = operationsWith({
    now: () => ({ monotonicMs, wallMs: WALL_MS + monotonicMs, isTrusted: true }),
    electorate: () => ({ sizes: [1], isVoter: () => true }),
    transmit: ({ message }) => sent.push(message),
  });
  const change = (apply: Change<null>['apply']): Change<null> => ({
    bound: WALL_MS + 60_000,
    mayRemove: false,
    seals: false,
    apply,
  });
  const write = { value: new Uint8Array(1), attributes: NO_BYTES, until: WALL_MS + 60_000 };
  const writes = change(() => ({ write, result: null }));
  const throws = change(() => {
    throw new TypeError('no session');
  });
  // The first has a round of its own; these two wait for it, and share the next.
  const first = operations.change('b/k', writes, 1000);
  const calls = [operations.change('b/k', throws, 1000), operations.change('b/k', writes, 1000)];
  const [prepare] = sent.splice(0);
  if (prepare?.type !== 'prepare') throw new Error('it has to prepare');
  const promise = ({ request, ballot }: typeof prepare): void => {
    const answer = { type: 'promised', request, ballot, report: null, horizon: 0, floor: NO_BALLOT } as const;
    operations.receive({ process: 2, slot: 1 }, answer);
  };
  promise(prepare);
  const [accept] = sent.splice(0);
  if (accept?.type !== 'accept') throw new Error('it has to be accepted');
  operations.receive(
    { process: 2, slot: 1 },
    { type: 'accepted', request: accept.request, ballot: accept.proposal.accepted },
  );
  await first;
  const [next] = sent.splice(0);
  if (next?.type !== 'prepare') throw new Error('it has to prepare');
  promise(next);
  expect(sent.splice(0)).toMatchObject([{ type: 'accept' }]);
  // Nobody answers that.
  monotonicMs = 1001;
  operations.tick();
  const [threw, wrote] = await Promise.allSettled(calls);
  expect(threw).toMatchObject({ status: 'rejected', reason: { message: 'no session' } });
  expect(wrote).toMatchObject({ status: 'rejected', reason: { code: 'ERR_OUTCOME_UNKNOWN' } });
});
