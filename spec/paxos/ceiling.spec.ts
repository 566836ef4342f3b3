import { expect, it } from '@jest/globals';
import { Acceptor, BallotSource, ROUNDS_PER_MS } from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const S = 10_000;
const WALL_MS = 1_700_000_000_000;

it('an acceptor whose clock is set back takes the rounds of a proposer that goes on from what it promised, and no others', () => {
  const acceptor = new Acceptor(new MemoryTable(), { maxClockSkewMs: S });
  const ballots = new BallotSource(1);
  const prepare = (wallMs: number, ballot = ballots.next(wallMs)) =>
    acceptor.receive(
      { type: 'prepare', request: 1, key: 'b/k', ballot, bound: 0, held: null },
      { monotonicMs: 0, wallMs, isTrusted: true },
    );
  expect(prepare(WALL_MS)).toMatchObject({ type: 'promised' });
  const backMs = WALL_MS - 3_600_000;
  for (let count = 0; count < 3; count += 1) expect(prepare(backMs)).toMatchObject({ type: 'promised' });
  // As a clock that is ahead would have it.
  const ahead = { round: (WALL_MS + 1) * ROUNDS_PER_MS, proposer: 2 };
  expect(prepare(backMs, ahead)).toMatchObject({ type: 'nack', reason: 'clock' });
});
