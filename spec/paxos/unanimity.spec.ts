import { describe, expect, it } from '@jest/globals';
import {
  type Accept,
  Acceptor,
  type AcceptorAnswer,
  type Ballot,
  FOREVER,
  type Instant,
  NO_BALLOT,
  NO_BYTES,
  type Proposal,
  ROUNDS_PER_MS,
  type Tombstone,
  Unanimity,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/index.js';

const S = 1000;
const START_MS = 1_000_000;
const KEY = 'kv/k';
const electorate = { sizes: [3], isVoter: ({ process, slot }: { process: number; slot: number }) => process === slot };

function at(ms: number): Instant {
  return { wallMs: START_MS + ms, monotonicMs: ms, isTrusted: true };
}

function ballotAt(ms: number, proposer = 1): Ballot {
  return { round: (START_MS + ms) * ROUNDS_PER_MS, proposer };
}

function proposalAt(ms: number, value: string | null): Proposal {
  const accepted = ballotAt(ms);
  return {
    accepted,
    operation: `p.${ms}`,
    value: value === null ? null : new TextEncoder().encode(value),
    attributes: NO_BYTES,
    until: value === null ? 0 : FOREVER,
    birth: value === null ? NO_BALLOT : accepted,
    dataBallot: accepted,
    lineage: [],
    lineageFrom: NO_BALLOT,
  };
}

function acceptOf(proposal: Proposal): Accept {
  return { type: 'accept', request: 1, key: KEY, proposal, horizon: FOREVER };
}

function commit(acceptor: Acceptor, { accepted, operation }: Proposal): void {
  acceptor.commit({ type: 'commit', key: KEY, ballot: accepted, operation, effect: 'removed' });
}

function makeAcceptor(): Acceptor {
  return new Acceptor(new MemoryTable(), { maxClockSkewMs: S });
}

/** Three acceptors, of which those listed hold a value without an end, and those of the second list its tombstone, too. */
function makeFarm(values: readonly number[], tombstones: readonly number[]): Acceptor[] {
  const acceptors = [makeAcceptor(), makeAcceptor(), makeAcceptor()];
  for (const [index, acceptor] of acceptors.entries()) {
    for (const [slots, proposal] of [
      [values, VALUE],
      [tombstones, TOMBSTONE],
    ] as const) {
      if (!slots.includes(index + 1)) continue;
      acceptor.receive(acceptOf(proposal), at(10));
      commit(acceptor, proposal);
    }
  }
  return acceptors;
}

const VALUE = proposalAt(0, 'v');
const TOMBSTONE = proposalAt(5, null);

/** Of those acceptors. */
function ask(acceptors: readonly (Acceptor | null)[], tombstone: Tombstone, nowMs: number): boolean | null {
  const exchange = new Unanimity({ request: 7, electorate, deadlineMs: nowMs + 500, retransmitMs: 100, tombstone });
  const outgoing = exchange.start(at(nowMs));
  if (outgoing === null) throw new Error('nothing was asked');
  const answers = acceptors.map((acceptor) => acceptor?.receive(outgoing.message, at(nowMs)) ?? null);
  for (const [index, answer] of answers.entries()) {
    if (answer !== null) exchange.receive({ process: index + 1, slot: index + 1 }, answer, at(nowMs));
  }
  return exchange.outcome?.isPast ?? null;
}

function endlessOf(acceptor: Acceptor, nowMs: number): Tombstone {
  const [tombstone] = acceptor.collect(at(nowMs), 10, 0).endless;
  if (tombstone === undefined) throw new Error('no tombstone is waiting');
  return tombstone;
}

describe('a tombstone of a value without an end', () => {
  it('waits for all voters, is asked for again and again, and keeps its record meanwhile', () => {
    const [first] = makeFarm([1, 2, 3], [1, 2, 3]) as [Acceptor, Acceptor, Acceptor];
    expect(first.collect(at(500), 10, 0)).toEqual({ unsettled: [], endless: [] });
    // It was filed as a value without an end: looked at after 30 S.
    expect(endlessOf(first, 31 * S)).toEqual({ key: KEY, accepted: TOMBSTONE.accepted, operation: 'p.5' });
    expect(endlessOf(first, 33 * S)).toMatchObject({ key: KEY });
    expect(first.size).toBe(1);
  });

  it('is released when all hold it, and is forgotten when what was asked for before is over, and not earlier', () => {
    const farm = makeFarm([1, 2, 3], [1, 2, 3]);
    for (const acceptor of farm) {
      const tombstone = endlessOf(acceptor, 31 * S);
      expect(ask(farm, tombstone, 31 * S)).toBe(true);
      acceptor.release(tombstone, at(31 * S));
      acceptor.collect(at(31 * S + 10_000), 10, 0);
      expect(acceptor.size).toBe(1);
    }
    for (const acceptor of farm) {
      acceptor.collect(at(31 * S + 10_000 + 3 * S), 10, 0);
      expect(acceptor.size).toBe(0);
      // The accept of the value that it ended may still be on its way.
      expect(acceptor.receive(acceptOf(VALUE), at(45 * S))).toMatchObject({ type: 'nack' });
    }
  });

  it('may go where others have forgotten it already: their floors tell', () => {
    const farm = makeFarm([1, 2, 3], [1, 2, 3]);
    const [first, second] = farm as [Acceptor, Acceptor, Acceptor];
    const tombstone = endlessOf(first, 31 * S);
    first.release(tombstone, at(31 * S));
    first.collect(at(60 * S), 10, 0);
    expect(first.size).toBe(0);
    expect(ask(farm, endlessOf(second, 61 * S), 61 * S)).toBe(true);
  });

  it.each([
    ['holds the value still', makeFarm([1, 2, 3], [1, 2]), false],
    ['holds nothing, and may accept the value yet', makeFarm([1, 2], [1, 2]), false],
  ])('stays while one %s', (_, farm, expected) => {
    const [first] = farm as [Acceptor];
    expect(ask(farm, endlessOf(first, 31 * S), 31 * S)).toBe(expected);
  });

  it('stays while one does not answer', () => {
    const [first, second] = makeFarm([1, 2, 3], [1, 2, 3]) as [Acceptor, Acceptor];
    expect(ask([first, second, null], endlessOf(first, 31 * S), 31 * S)).toBeNull();
  });

  it('counts each voter once, and nobody else', () => {
    const [first] = makeFarm([1, 2, 3], [1, 2, 3]) as [Acceptor];
    const tombstone = endlessOf(first, 31 * S);
    const exchange = new Unanimity({ request: 7, electorate, deadlineMs: 40 * S, retransmitMs: 100, tombstone });
    const outgoing = exchange.start(at(31 * S));
    const answer = first.receive(outgoing?.message ?? acceptOf(VALUE), at(31 * S)) as AcceptorAnswer;
    for (const from of [1, 1, 1, 2]) exchange.receive({ process: from, slot: from }, answer, at(31 * S));
    exchange.receive({ process: 9, slot: 3 }, answer, at(31 * S));
    expect(exchange.outcome).toBeNull();
    exchange.receive({ process: 3, slot: 3 }, answer, at(31 * S));
    expect(exchange.outcome).toEqual({ isPast: true });
  });

  it('is not released by who votes now if a slot has changed hands amid the question, nor after the time is up', () => {
    const [first] = makeFarm([1, 2, 3], [1, 2, 3]) as [Acceptor];
    const tombstone = endlessOf(first, 31 * S);
    const exchange = new Unanimity({ request: 7, electorate, deadlineMs: 40 * S, retransmitMs: 100, tombstone });
    exchange.start(at(31 * S));
    exchange.restart();
    expect(exchange.outcome).toEqual({ isPast: false });
    const late = new Unanimity({ request: 8, electorate, deadlineMs: 40 * S, retransmitMs: 100, tombstone });
    late.start(at(31 * S));
    expect(late.tick(at(32 * S))).toMatchObject({ slots: [1, 2, 3] });
    expect(late.tick(at(40 * S))).toBeNull();
    expect(late.outcome).toEqual({ isPast: false });
  });

  it('is not released once something else was written', () => {
    const [first] = makeFarm([1, 2, 3], [1, 2, 3]) as [Acceptor];
    const tombstone = endlessOf(first, 31 * S);
    const next = proposalAt(31_000, 'w');
    first.receive(acceptOf(next), at(31 * S));
    first.release(tombstone, at(31 * S));
    expect(first.record(KEY)?.horizon).toBe(FOREVER);
  });
});

it('above a promise without an end that came to nothing a tombstone is put first', () => {
  const acceptor = makeAcceptor();
  const prepare = { type: 'prepare', request: 1, key: KEY, ballot: ballotAt(0), bound: FOREVER, held: null } as const;
  acceptor.receive(prepare, at(0));
  expect(acceptor.collect(at(S), 10, 0)).toEqual({ unsettled: [], endless: [] });
  expect(acceptor.collect(at(4 * S), 10, 0)).toEqual({ unsettled: [KEY], endless: [] });
});
