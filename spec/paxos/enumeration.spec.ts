import { expect, test } from '@jest/globals';
import {
  Acceptor,
  type Ballot,
  Enumeration,
  type Instant,
  NO_BALLOT,
  NO_BYTES,
  type Proposal,
  SHARDS,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';
import { encode } from './changes.js';

const now: Instant = { monotonicMs: 0, wallMs: 1_700_000_000_000, isTrusted: true };

function proposal(round: number, value: string | null): Proposal {
  const accepted: Ballot = { round, proposer: 1 };
  return {
    value: value === null ? null : encode(value),
    attributes: NO_BYTES,
    until: value === null ? 0 : 2 * now.wallMs,
    birth: accepted,
    dataBallot: accepted,
    accepted,
    operation: `op${round}`,
    lineage: [],
    lineageFrom: NO_BALLOT,
  };
}

class Voters {
  readonly acceptors = [1, 2, 3].map(() => new Acceptor(new MemoryTable(), { maxClockSkewMs: 10_000 }));

  accept(slots: readonly number[], key: string, round: number, value: string | null): void {
    const accept = { type: 'accept', request: 1, key, proposal: proposal(round, value), horizon: 0 } as const;
    for (const slot of slots) this.acceptors[slot - 1]?.receive(accept, now);
  }

  commit(slot: number, key: string, round: number): void {
    const { accepted: ballot, operation } = proposal(round, null);
    this.acceptors[slot - 1]?.receive({ type: 'commit', key, ballot, operation, effect: 'none' }, now);
  }

  /** What an enumeration comes to that hears these slots, in that order; each of them twice. */
  enumerate(slots: readonly number[], prefix: string) {
    const exchange = new Enumeration({
      request: 1,
      electorate: { sizes: [3], isVoter: ({ slot }) => slot > 0 },
      deadlineMs: 1000,
      retransmitMs: 100,
      prefix,
    });
    let outgoing = exchange.start(now);
    let pages = 0;
    while (outgoing !== null && pages < SHARDS) {
      const { message } = outgoing;
      pages += 1;
      outgoing = null;
      for (const slot of slots.flatMap((each) => [each, each])) {
        const answer = this.acceptors[slot - 1]?.receive(message, now);
        if (answer != null) outgoing ??= exchange.receive({ process: slot, slot }, answer, now);
      }
    }
    const { outcome } = exchange;
    if (outcome?.kind !== 'complete') return { pages, outcome };
    const settled = outcome.settled.map((entry) => `${entry.key}${entry.until === 0 ? ' gone' : ''}`).sort();
    return { pages, settled, unsettled: [...outcome.unsettled].sort() };
  }
}

test('nothing', () => {
  expect(new Voters().enumerate([1, 2], 'b/')).toEqual({ pages: 1, settled: [], unsettled: [] });
});

test('one acceptor is no majority, however often it answers', () => {
  expect(new Voters().enumerate([1], 'b/')).toEqual({ pages: 1, outcome: null });
});

test('a key is settled if a majority holds its highest value, or one knows that it is chosen', () => {
  const voters = new Voters();
  voters.accept([1, 2], 'b/both', 1, 'v');
  voters.accept([1], 'b/one', 1, 'v');
  voters.accept([2], 'b/known', 1, 'v');
  voters.commit(2, 'b/known', 1);
  voters.accept([3], 'b/unheard', 1, 'v');
  expect(voters.enumerate([1, 2], 'b/')).toEqual({ pages: 1, settled: ['b/both', 'b/known'], unsettled: ['b/one'] });
});

test('the highest value counts: an older one, chosen or not, is not heard', () => {
  const voters = new Voters();
  voters.accept([1, 2, 3], 'b/gone', 1, 'v');
  voters.commit(1, 'b/gone', 1);
  voters.accept([2, 3], 'b/gone', 2, null);
  voters.accept([1, 2, 3], 'b/half', 1, 'v');
  voters.commit(1, 'b/half', 1);
  voters.accept([2], 'b/half', 2, null);
  expect(voters.enumerate([3, 2], 'b/').settled).toEqual(['b/gone gone']);
  expect(voters.enumerate([2, 3], 'b/').unsettled).toEqual(['b/half']);
  // Whoever does not hear of the half-done destroy may say what was before.
  expect(voters.enumerate([1, 3], 'b/').settled).toEqual(['b/half']);
});

test('other buckets are left out', () => {
  const voters = new Voters();
  for (const key of ['a/x', 'b/x', 'bb/x', 'c']) voters.accept([1, 2], key, 1, 'v');
  expect(voters.enumerate([1, 2], 'b/').settled).toEqual(['b/x']);
});

test('many keys take several pages, which may end elsewhere at each acceptor; each key comes once', () => {
  const voters = new Voters();
  const keys = Array.from({ length: 3000 }, (_, index) => `b/${index}`);
  keys.forEach((key, index) => {
    voters.accept(index % 7 === 0 ? [1, 3] : [1, 2, 3], key, 1, 'v');
    voters.commit(1, key, 1);
  });
  // Slot 2 has others too, so that its pages end earlier.
  for (let index = 0; index < 2000; index += 1) voters.accept([2], `b/x${index}`, 1, 'v');
  const { pages, settled, unsettled } = voters.enumerate([1, 2], 'b/');
  expect(pages).toBeGreaterThan(5);
  expect(settled).toEqual([...keys].sort());
  expect(unsettled?.length).toBe(2000);
});
