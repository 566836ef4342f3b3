/** An acceptor catches up with another one: in what is chosen, and in nothing else. */
import { describe, expect, it, test } from '@jest/globals';
import fc from 'fast-check';
import {
  ABSENT,
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Ballot,
  Comparison,
  type ComparisonOutcome,
  type Copy,
  type Instant,
  type Proposal,
  ROUNDS_PER_MS,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const SKEW_MS = 10_000;
const WALL_MS = 1_700_000_000_000;

function at(ms: number): Instant {
  return { monotonicMs: ms, wallMs: WALL_MS + ms, isTrusted: true };
}

function ballotAt(ms: number, proposer = 1): Ballot {
  return { round: (WALL_MS + ms) * ROUNDS_PER_MS, proposer };
}

function proposalAt(ms: number, until = WALL_MS + 60_000, proposer = 1): Proposal {
  const accepted = ballotAt(ms, proposer);
  const operation = `${proposer}.${ms}`;
  return {
    ...ABSENT,
    value: new TextEncoder().encode(`v${ms}`),
    until,
    birth: accepted,
    dataBallot: accepted,
    accepted,
    operation,
    lineage: [{ operation, ballot: accepted }],
    lineageFrom: { round: 0, proposer: 0 },
  };
}

function acceptor(): Acceptor {
  return new Acceptor(new MemoryTable(), { maxClockSkewMs: SKEW_MS });
}

function accept(to: Acceptor, key: string, proposal: Proposal, isCommitted = true): void {
  to.receive({ type: 'accept', request: 1, key, proposal, horizon: proposal.until }, at(0));
  const { accepted, operation } = proposal;
  if (isCommitted) to.commit({ type: 'commit', key, ballot: accepted, operation, effect: 'changed' });
}

function copyOf(from: Acceptor, key: string): Copy {
  const answer = from.receive({ type: 'pull', request: 1, keys: [key] }, at(0));
  const copy = answer?.type === 'pulled' ? answer.copies[0] : undefined;
  if (copy === undefined) throw new Error(`${key} is not given`);
  return copy;
}

/** Compares `own` with `other` until there is no more to do, as a node does. @returns how often */
function repair(own: Acceptor, other: Acceptor, now: Instant): number {
  let firstShard = 0;
  for (let rounds = 1; rounds < 100; rounds += 1) {
    const comparison = new Comparison({
      request: rounds,
      electorate: { sizes: [3], isVoter: () => true },
      deadlineMs: Number.POSITIVE_INFINITY,
      retransmitMs: 100,
      slot: 2,
      digests: own.digests,
      firstShard,
      lacks: (entry, instant) => own.lacks(entry, instant),
    });
    for (let sent = comparison.start(now); sent !== null; ) {
      const answer = other.receive(sent.message, now);
      if (answer === null) throw new Error('no answer');
      sent = comparison.receive({ process: 2, slot: 2 }, answer, now);
    }
    const outcome = comparison.outcome as ComparisonOutcome;
    for (const copy of outcome.copies) own.install(copy, now);
    for (const { key, accepted, operation } of outcome.words) {
      own.commit({ type: 'commit', key, ballot: accepted, operation, effect: 'none' });
    }
    if (outcome.nextShard === null) return rounds;
    firstShard = outcome.nextShard;
  }
  throw new Error('there is always more to do');
}

describe('an acceptor', () => {
  it('takes over a later value that is chosen, and keeps what it has promised', () => {
    const [own, other] = [acceptor(), acceptor()];
    accept(own, 'k', proposalAt(0));
    accept(other, 'k', proposalAt(5));
    const promised = ballotAt(9, 3);
    own.receive(
      { type: 'prepare', request: 1, key: 'k', ballot: promised, bound: WALL_MS + 90_000, held: null },
      at(9),
    );
    expect(own.install(copyOf(other, 'k'), at(10))).toBe(true);
    expect(own.record('k')).toMatchObject({
      promised,
      proposal: { operation: '1.5' },
      committed: true,
      horizon: WALL_MS + 90_000,
    });
    expect(own.install(copyOf(other, 'k'), at(10))).toBe(false);
  });

  it('keeps a later value of its own', () => {
    const [own, other] = [acceptor(), acceptor()];
    accept(own, 'k', proposalAt(9), false);
    accept(other, 'k', proposalAt(5));
    expect(own.install(copyOf(other, 'k'), at(10))).toBe(false);
    expect(own.record('k')).toMatchObject({ proposal: { operation: '1.9' }, committed: false });
  });

  it('gives nothing that may never be chosen', () => {
    const other = acceptor();
    accept(other, 'k', proposalAt(5), false);
    expect(other.receive({ type: 'pull', request: 1, keys: ['k', 'none'] }, at(10))).toEqual({
      type: 'pulled',
      request: 1,
      first: 'k',
      looked: 2,
      copies: [],
    });
  });

  it('takes over what lives below its floor, and stays promised up to the floor', () => {
    const [own, other] = [acceptor(), acceptor()];
    accept(own, 'gone', proposalAt(8, WALL_MS + 100));
    own.collect(at(40_000), 10, 0);
    expect(own.record('gone')).toBeUndefined();
    accept(other, 'k', proposalAt(5));
    repair(own, other, at(40_000));
    expect(own.record('k')).toMatchObject({ promised: ballotAt(8), proposal: { accepted: ballotAt(5) } });
    const late: AcceptorRequest = { type: 'prepare', request: 1, key: 'k', ballot: ballotAt(7), bound: 0, held: null };
    expect(own.receive(late, at(40_000))).toMatchObject({ type: 'nack', reason: 'stale' });
  });

  it('stays so, too, where it has read an older record of the key back', () => {
    const from = acceptor();
    const to = acceptor();
    accept(from, 'k', proposalAt(20));
    to.raiseFloor(ballotAt(30));
    const older = proposalAt(10);
    const kept = { key: 'k', promised: older.accepted, proposal: older, committed: false, horizon: older.until };
    to.absorb(kept, at(40));
    expect(to.install(copyOf(from, 'k'), at(40))).toBe(true);
    expect(to.record('k')).toMatchObject({ promised: ballotAt(30), proposal: { accepted: ballotAt(20) } });
  });

  it('takes over nothing that is over', () => {
    const [own, other] = [acceptor(), acceptor()];
    accept(other, 'k', proposalAt(5));
    accept(other, 'gone', { ...proposalAt(6), value: null, until: 0 });
    accept(own, 'x', proposalAt(8, WALL_MS + 100));
    own.collect(at(40_000), 10, 0);
    repair(own, other, at(70_000));
    expect(own.size).toBe(0);
  });

  it('takes no round from the future, by which it would refuse all proposers', () => {
    const [own, other] = [acceptor(), acceptor()];
    accept(other, 'k', proposalAt(5));
    const copy = copyOf(other, 'k');
    const far = { ...copy, proposal: { ...copy.proposal, accepted: ballotAt(SKEW_MS + 60) } };
    expect(own.install(far, at(50))).toBe(false);
  });

  it('answers a pull in pieces that fit in a frame', () => {
    const other = acceptor();
    const keys = Array.from({ length: 20 }, (_, index) => `k${index}`);
    for (const key of keys) accept(other, key, { ...proposalAt(5), value: new Uint8Array(10_000) });
    const pulled = other.receive({ type: 'pull', request: 1, keys }, at(10));
    expect(pulled).toMatchObject({ type: 'pulled', looked: 4 });
    accept(other, 'large', { ...proposalAt(5), value: new Uint8Array(300_000) });
    expect(other.receive({ type: 'pull', request: 1, keys: ['large', 'k0'] }, at(10))).toMatchObject({ looked: 1 });
  });
});

test('whatever two acceptors have missed, in the end both hold the same', () => {
  /** What is written to a key, one after the other, and what becomes of it at each of the two. */
  const writes = fc.array(fc.record({ key: fc.nat(40), at: fc.constantFrom('both', 'own', 'other', 'own unheard') }), {
    minLength: 1,
    maxLength: 120,
  });
  fc.assert(
    fc.property(writes, (all) => {
      const [own, other] = [acceptor(), acceptor()];
      all.forEach(({ key, at: where }, index) => {
        const proposal = proposalAt(index);
        if (where !== 'other') accept(own, `k${key}`, proposal, where !== 'own unheard');
        if (where !== 'own') accept(other, `k${key}`, proposal);
      });
      repair(own, other, at(200));
      repair(other, own, at(200));
      const held = (of: Acceptor): unknown[] =>
        Array.from({ length: 41 }, (_, key) => {
          const record = of.record(`k${key}`);
          return record && [record.proposal?.operation, record.committed];
        });
      expect(held(own)).toEqual(held(other));
      expect(own.digests).toEqual(other.digests);
    }),
  );
});

test('a voter that has missed everything catches up piece by piece', () => {
  const [own, other] = [acceptor(), acceptor()];
  for (let index = 0; index < 3000; index += 1) accept(other, `k${index}`, proposalAt(5));
  const rounds = repair(own, other, at(200));
  expect(own.size).toBe(3000);
  expect(own.digests).toEqual(other.digests);
  expect(rounds).toBeGreaterThan(5);
});

test('the digests follow what is chosen, and forget what is forgotten', () => {
  const own = acceptor();
  const empty = own.digests;
  accept(own, 'k', proposalAt(5, WALL_MS + 100), false);
  expect(own.digests).toEqual(empty);
  own.commit({ type: 'commit', key: 'k', ballot: ballotAt(5), operation: '1.5', effect: 'changed' });
  const one = own.digests;
  expect(one).not.toEqual(empty);
  own.receive({ type: 'prepare', request: 1, key: 'k', ballot: ballotAt(7), bound: 0, held: null }, at(7));
  expect(own.digests).toEqual(one);
  accept(own, 'k', proposalAt(7, WALL_MS + 100), false);
  expect(own.digests).toEqual(empty);
  own.commit({ type: 'commit', key: 'k', ballot: ballotAt(7), operation: '1.7', effect: 'changed' });
  expect(own.digests).not.toEqual(one);
  own.collect(at(40_000), 10, 0);
  expect(own.digests).toEqual(empty);
});

describe('a comparison', () => {
  const setup = {
    request: 7,
    electorate: { sizes: [3], isVoter: ({ slot }: { slot: number }) => slot > 0 },
    deadlineMs: 1000,
    retransmitMs: 100,
    slot: 2,
    digests: acceptor().digests,
    firstShard: 0,
    lacks: () => 'record' as const,
  };
  const from = { process: 2, slot: 2 };

  it('hears only the one that was asked, and only what was asked', () => {
    const comparison = new Comparison(setup);
    comparison.start(at(0));
    const differs: AcceptorAnswer = { type: 'differs', request: 7, shards: [3] };
    expect(comparison.receive({ ...from, slot: 3 }, differs, at(1))).toBeNull();
    expect(comparison.receive({ ...from, slot: 0 }, differs, at(1))).toBeNull();
    const early: AcceptorAnswer = { type: 'enumerated', request: 7, shard: 3, nextShard: 256, keys: [] };
    expect(comparison.receive(from, early, at(1))).toBeNull();
    const asked: AcceptorRequest | undefined = comparison.receive(from, differs, at(1))?.message;
    expect(asked).toEqual({ type: 'enumerate', request: 7, prefix: '', shard: 3 });
    expect(comparison.receive(from, differs, at(2))).toBeNull();
    comparison.receive(from, early, at(3));
    expect(comparison.outcome).toEqual({ copies: [], words: [], nextShard: null });
  });

  it('asks again, and ends when its time is up', () => {
    const comparison = new Comparison(setup);
    comparison.start(at(0));
    expect(comparison.tick(at(50))).toBeNull();
    expect(comparison.tick(at(100))?.message.type).toBe('compare');
    expect(comparison.tick(at(1000))).toBeNull();
    expect(comparison.isOver).toBe(true);
  });
});
