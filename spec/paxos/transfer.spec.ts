import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  Acceptor,
  type AcceptorAnswer,
  compareBallots,
  type Instant,
  type Kept,
  MAX_TRANSFERRED,
  NO_BALLOT,
  NO_BYTES,
  type Proposal,
  pick,
  RecordTransfer,
  type Report,
  SHARDS,
  shardOf,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const NOW: Instant = { monotonicMs: 1000, wallMs: 1_700_000_000_000, isTrusted: true };
const ballot = (round: number, proposer = 1) => ({ round, proposer });

function proposal(accepted: ReturnType<typeof ballot>, text: string | null = 'x', until = NOW.wallMs + 1000): Proposal {
  return {
    value: text === null ? null : Buffer.from(text),
    attributes: NO_BYTES,
    until: text === null ? 0 : until,
    birth: accepted,
    dataBallot: accepted,
    accepted,
    operation: `op${accepted.round}.${accepted.proposer}`,
    lineage: [],
    lineageFrom: NO_BALLOT,
  };
}

const acceptor = (): Acceptor => new Acceptor(new MemoryTable(), { maxClockSkewMs: 1000 });

function kept(key: string, { promised, ...rest }: Partial<Kept> & Pick<Kept, 'promised'>): Kept {
  return { key, promised, proposal: null, committed: false, horizon: 0, ...rest };
}

function answerOf(to: Acceptor, request: Parameters<Acceptor['receive']>[0], now = NOW): AcceptorAnswer {
  const answer = to.receive(request, now);
  if (answer === null) throw new Error('there is an answer');
  return answer;
}

const prepare = (key: string, at: ReturnType<typeof ballot>) =>
  ({ type: 'prepare', request: 1, key, ballot: at, bound: 0, held: null }) as const;
const accept = (key: string, what: Proposal) =>
  ({ type: 'accept', request: 1, key, proposal: what, horizon: what.until }) as const;

describe('an acceptor that takes over what others are bound to', () => {
  it('keeps the highest promise, the latest horizon, and the value of the highest ballot', () => {
    const to = acceptor();
    to.absorb(kept('k', { promised: ballot(5), proposal: proposal(ballot(3), 'three'), horizon: 70 }), NOW);
    to.absorb(kept('k', { promised: ballot(9), horizon: 90 }), NOW);
    to.absorb(kept('k', { promised: ballot(4), proposal: proposal(ballot(4), 'four'), committed: true }), NOW);
    expect(to.record('k')).toMatchObject({
      promised: ballot(9),
      proposal: { accepted: ballot(4) },
      committed: true,
      horizon: 90,
    });
  });

  it('learns from any of them that a value is chosen, and from none of them that another one is', () => {
    const to = acceptor();
    to.absorb(kept('k', { promised: ballot(3), proposal: proposal(ballot(3)) }), NOW);
    to.absorb(kept('k', { promised: ballot(2), proposal: proposal(ballot(2)), committed: true }), NOW);
    expect(to.record('k')?.committed).toBe(false);
    to.absorb(kept('k', { promised: ballot(3), proposal: proposal(ballot(3)), committed: true }), NOW);
    expect(to.record('k')?.committed).toBe(true);
  });

  it('has the same digests as an acceptor that was asked itself', () => {
    const asked = acceptor();
    const to = acceptor();
    const what = proposal(ballot(3));
    answerOf(asked, prepare('k', ballot(3)));
    answerOf(asked, accept('k', what));
    to.absorb(kept('k', { promised: ballot(3), proposal: what }), NOW);
    asked.receive({ type: 'commit', key: 'k', ballot: ballot(3), operation: what.operation, effect: 'changed' }, NOW);
    to.absorb(kept('k', { promised: ballot(3), proposal: what, committed: true }), NOW);
    expect(to.digests).toEqual(asked.digests);
  });

  it('refuses what any of them had promised against', () => {
    const to = acceptor();
    to.absorb(kept('k', { promised: ballot(9) }), NOW);
    expect(answerOf(to, prepare('k', ballot(8)))).toMatchObject({ type: 'nack', promised: ballot(9) });
    expect(answerOf(to, accept('k', proposal(ballot(8))))).toMatchObject({ type: 'nack', promised: ballot(9) });
    expect(answerOf(to, accept('k', proposal(ballot(9))))).toMatchObject({ type: 'accepted' });
  });

  it('refuses what one of them has forgotten its promise against, though another still has a record', () => {
    const to = acceptor();
    to.absorb(kept('k', { promised: ballot(3), proposal: proposal(ballot(3)) }), NOW);
    to.raiseFloor(ballot(7));
    expect(answerOf(to, accept('k', proposal(ballot(6))))).toMatchObject({ type: 'nack', promised: ballot(7) });
    expect(answerOf(to, prepare('k', ballot(6)))).toMatchObject({ type: 'nack', promised: ballot(7) });
    expect(answerOf(to, prepare('other', ballot(7)))).toMatchObject({ type: 'nack', promised: ballot(7) });
    expect(answerOf(to, prepare('k', ballot(8)))).toMatchObject({ type: 'promised', report: { committed: false } });
  });

  it('does not vote for what it has taken over, where its slot may have promised against it', () => {
    // Five voters. `one` and `two` accept a value; `three`, `four` and the slot's earlier holder promise a higher ballot.
    const [one, two, three] = [acceptor(), acceptor(), acceptor()];
    const low = proposal(ballot(3), 'low');
    for (const each of [one, two]) {
      answerOf(each, prepare('k', ballot(3)));
      answerOf(each, accept('k', low));
    }
    answerOf(three, prepare('k', ballot(5)));
    const to = acceptor();
    for (const each of [one, two, three]) {
      const page = answerOf(each, { type: 'transfer', request: 1, shard: 0, after: '' });
      if (page.type === 'transferred') for (const record of page.records) to.absorb(record, NOW);
    }
    const read = { type: 'read', request: 1, key: 'k', held: null } as const;
    const reports = [one, two, to].map((each, index): [number, Report | null] => {
      const answer = answerOf(each, read);
      return [index + 1, answer.type === 'held' ? answer.report : null];
    });
    // `four` may accept the higher one yet: the lower is not chosen, though three hold it.
    expect(pick(reports, [5])).toMatchObject({ proposal: { accepted: ballot(3) }, isChosen: false });
    // Nor after another promise; what it accepts itself is a vote.
    answerOf(to, prepare('k', ballot(6)));
    expect(answerOf(to, read)).toMatchObject({ report: { isCopy: true } });
    const page = answerOf(to, { type: 'enumerate', request: 1, prefix: '', shard: shardOf('k') });
    expect(page).toMatchObject({ keys: [{ key: 'k', isCopy: true }] });
    answerOf(to, accept('k', { ...low, accepted: ballot(6) }));
    expect(answerOf(to, read)).not.toHaveProperty('report.isCopy');
  });

  it('votes no more for what both had promised against, though the other tells nothing else', () => {
    // A voter that reads others while it votes, as for a change of size. A majority of both may have lost that promise.
    const [one, to] = [acceptor(), acceptor()];
    for (const each of [one, to]) {
      answerOf(each, prepare('k', ballot(3)));
      answerOf(each, accept('k', proposal(ballot(3), 'low')));
      answerOf(each, prepare('k', ballot(5)));
    }
    const read = { type: 'read', request: 1, key: 'k', held: null } as const;
    expect(answerOf(to, read)).not.toHaveProperty('report.isCopy');
    const page = answerOf(one, { type: 'transfer', request: 1, shard: shardOf('k'), after: '', isByName: true });
    if (page.type !== 'named') throw new Error(page.type);
    expect(page.names.map((name) => to.absorbName(name, NOW))).toEqual([true]);
    expect(answerOf(to, read)).toMatchObject({ report: { isCopy: true } });
  });

  it('forgets in the end what it has taken over', () => {
    const to = acceptor();
    to.absorb(
      kept('k', { promised: ballot(3), proposal: proposal(ballot(3)), committed: true, horizon: NOW.wallMs + 1000 }),
      NOW,
    );
    const late = { ...NOW, wallMs: NOW.wallMs + 10_000, monotonicMs: NOW.monotonicMs + 10_000 };
    to.collect(late, 100, 0);
    expect(to.size).toBe(0);
    expect(to.floor).toEqual(ballot(3));
  });
});

describe('a transfer', () => {
  /** Follows it to its end. */
  function transfer(
    from: Acceptor,
    to: Acceptor,
    between: (page: number, after: string) => void = () => undefined,
  ): number {
    const electorate = { sizes: [3], isVoter: ({ process }: { process: number }) => process === 2 };
    let records = 0;
    const exchange = new RecordTransfer({
      request: 7,
      electorate,
      retransmitMs: 10,
      slot: 2,
      isSource: ({ process }) => process === 2,
      absorb: (page, now) => {
        records += page.length;
        for (const record of page) to.absorb(record, now);
      },
    });
    let now = NOW;
    let outgoing = exchange.start(now);
    for (let page = 1; !exchange.isOver; page += 1) {
      if (outgoing === null) throw new Error('it has something to ask');
      const { message, slots } = outgoing;
      expect(slots).toEqual([2]);
      const answer = answerOf(from, message, now);
      if (answer.type !== 'transferred') throw new Error(answer.type);
      expect(answer.records.length).toBeLessThanOrEqual(MAX_TRANSFERRED);
      now = { ...now, monotonicMs: now.monotonicMs + 3 };
      // Of another process, or the second time, it does not count.
      expect(exchange.receive({ process: 3, slot: 2 }, answer, now)).toBeNull();
      outgoing = exchange.receive({ process: 2, slot: 2 }, answer, now);
      expect(exchange.receive({ process: 2, slot: 2 }, answer, now)).toBeNull();
      between(page, answer.nextAfter);
    }
    to.raiseFloor(exchange.outcome?.floor ?? NO_BALLOT);
    return records;
  }

  const entries = fc.uniqueArray(
    fc.record({ name: fc.nat(5000), round: fc.integer({ min: 1, max: 50 }), size: fc.constantFrom(-1, 0, 5, 30_000) }),
    { maxLength: 400, selector: ({ name }) => name },
  );

  it('brings every record, promise-only ones included, in pages', () => {
    fc.assert(
      fc.property(entries, (some) => {
        const from = acceptor();
        const to = acceptor();
        for (const { name, round, size } of some) {
          answerOf(from, prepare(`k${name}`, ballot(round)));
          if (size >= 0) answerOf(from, accept(`k${name}`, proposal(ballot(round), 'v'.repeat(size))));
        }
        expect(transfer(from, to)).toBe(some.length);
        expect(to.size).toBe(from.size);
        for (const { name } of some) {
          const { touchedMs: _, ...rest } = from.record(`k${name}`) ?? {};
          expect(to.record(`k${name}`)).toMatchObject(rest);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('misses nothing of what is forgotten amid it: a record, or a floor above it', () => {
    const keys = Array.from({ length: 3000 }, (_, index) => `k${index}`);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 25 }), (at) => {
        const from = acceptor();
        const to = acceptor();
        for (const [index, key] of keys.entries()) {
          const until = index % 3 === 0 ? NOW.wallMs + 1 : NOW.wallMs + 1e9;
          answerOf(from, prepare(key, ballot(index + 1)));
          answerOf(from, accept(key, proposal(ballot(index + 1), 'v', until)));
          from.commit({
            type: 'commit',
            key,
            ballot: ballot(index + 1),
            operation: `op${index + 1}.1`,
            effect: 'changed',
          });
        }
        transfer(from, to, (page) => {
          if (page !== at) return;
          const late = { ...NOW, wallMs: NOW.wallMs + 10_000, monotonicMs: NOW.monotonicMs + 10_000 };
          while (from.size > 2000) from.collect(late, 1000, 0);
        });
        for (const [index, key] of keys.entries()) {
          const promised = to.record(key)?.promised ?? to.floor;
          expect(compareBallots(promised, ballot(index + 1))).toBeGreaterThanOrEqual(0);
        }
      }),
      { numRuns: 10 },
    );
  });

  it('misses nothing behind a key that is forgotten and written anew amid it', () => {
    const from = acceptor();
    const to = acceptor();
    const keys = Array.from({ length: 3000 }, (_, index) => `k${index}`);
    const isShort = (key: string): boolean => Number(key.slice(1)) % 3 === 0;
    for (const [index, key] of keys.entries()) {
      const what = proposal(ballot(index + 1), 'v', NOW.wallMs + (isShort(key) ? 1 : 1e9));
      answerOf(from, accept(key, what));
      from.commit({ type: 'commit', key, ballot: what.accepted, operation: what.operation, effect: 'changed' });
    }
    let renewed = '';
    transfer(from, to, (_, after) => {
      if (renewed !== '' || after === '' || !isShort(after)) return;
      renewed = after;
      const late = { ...NOW, wallMs: NOW.wallMs + 10_000, monotonicMs: NOW.monotonicMs + 10_000 };
      while (from.size > 2000) from.collect(late, 1000, 0);
      answerOf(from, accept(after, proposal(ballot(5000), 'new', NOW.wallMs + 1e9)), late);
    });
    expect(renewed).not.toBe('');
    expect(keys.filter((key) => !isShort(key) && to.record(key) === undefined)).toEqual([]);
  });

  it('finds where a page ended without going through what was read before it', () => {
    const size = 20_000;
    let looked = 0;
    class Counted extends MemoryTable {
      override get(key: string) {
        looked += 1;
        return super.get(key);
      }
      override *shard(shard: number) {
        for (const entry of super.shard(shard)) {
          looked += 1;
          yield entry;
        }
      }
    }
    const from = new Acceptor(new Counted(), { maxClockSkewMs: 1000 });
    const to = acceptor();
    for (let index = 0; index < size; index += 1) {
      answerOf(from, accept(`k${index}`, proposal(ballot(1), 'v'.repeat(5000))));
    }
    looked = 0;
    expect(transfer(from, to)).toBe(size);
    // Each key once to put the shard in order, and once to read it; and one of each page that does not fit.
    expect(looked).toBeLessThan(3 * size);
  });

  /** What one acceptor gets from two, of the second by name. @returns how many whole pages that took of the second */
  function transferByName(first: Acceptor, second: Acceptor, to: Acceptor, lead: () => number = () => SHARDS): number {
    transfer(first, to);
    let wholePages = 0;
    const exchange = new RecordTransfer({
      request: 8,
      electorate: { sizes: [3], isVoter: () => true },
      retransmitMs: 10,
      slot: 3,
      isSource: () => true,
      absorb: (page, now) => {
        wholePages += 1;
        for (const record of page) to.absorb(record, now);
      },
      absorbName: (name, now) => to.absorbName(name, now),
      ahead: lead,
    });
    let outgoing = exchange.start(NOW);
    while (!exchange.isOver) {
      if (outgoing === null) {
        outgoing = exchange.tick(NOW);
        continue;
      }
      expect(outgoing.message).toMatchObject({ type: 'transfer' });
      const answer = answerOf(second, outgoing.message, NOW);
      outgoing = exchange.receive({ process: 3, slot: 3 }, answer, NOW);
      expect(exchange.receive({ process: 3, slot: 3 }, answer, NOW)).toBeNull();
    }
    to.raiseFloor(exchange.outcome?.floor ?? NO_BALLOT);
    return wholePages;
  }

  const seen = fc.record({
    name: fc.nat(3000),
    round: fc.integer({ min: 1, max: 9 }),
    promisedLater: fc.nat(9),
    isAccepted: fc.boolean(),
    isKnown: fc.boolean(),
  });

  it('by name comes to the same as one that brings all values', () => {
    const history = fc.array(fc.tuple(fc.constantFrom(0, 1, 2), seen), { maxLength: 600 });
    fc.assert(
      fc.property(history, fc.integer({ min: 1, max: 40 }), (steps, stride) => {
        const sources = [acceptor(), acceptor()] as const;
        for (const [which, { name, round, promisedLater, isAccepted, isKnown }] of steps) {
          // A ballot has one value, whoever takes it.
          for (const source of which === 2 ? sources : [sources[which] as Acceptor]) {
            source.receive(prepare(`k${name}`, ballot(round)), NOW);
            const taken = isAccepted && source.receive(accept(`k${name}`, proposal(ballot(round), `v${round}`)), NOW);
            if (taken !== false && taken?.type === 'accepted' && isKnown) {
              const { operation } = proposal(ballot(round), '');
              source.commit({ type: 'commit', key: `k${name}`, ballot: ballot(round), operation, effect: 'changed' });
            }
            source.receive(prepare(`k${name}`, ballot(round + promisedLater)), NOW);
          }
        }
        const [whole, byName] = [acceptor(), acceptor()];
        for (const source of sources) transfer(source, whole);
        let lead = 0;
        transferByName(...sources, byName, () => {
          lead = Math.min(SHARDS, lead + stride);
          return lead;
        });
        expect(byName.size).toBe(whole.size);
        expect(byName.digests).toEqual(whole.digests);
        for (const [, { name }] of steps) {
          const { touchedMs: _, ...record } = whole.record(`k${name}`) ?? {};
          expect(byName.record(`k${name}`) ?? {}).toMatchObject(record);
          expect(byName.record(`k${name}`)?.isCopy).toBe(whole.record(`k${name}`)?.isCopy);
        }
      }),
      { numRuns: 50 },
    );
  });

  it('by name brings no value that is there already', () => {
    const [first, second, to] = [acceptor(), acceptor(), acceptor()];
    for (const source of [first, second]) {
      for (let index = 0; index < 2000; index += 1) {
        answerOf(source, prepare(`k${index}`, ballot(1)));
        answerOf(source, accept(`k${index}`, proposal(ballot(1), 'v')));
      }
    }
    expect(transferByName(first, second, to)).toBe(0);
    expect(to.size).toBe(2000);
    answerOf(second, prepare('k7', ballot(2)));
    answerOf(second, accept('k7', proposal(ballot(2), 'later')));
    const other = acceptor();
    expect(transferByName(first, second, other)).toBe(1);
    expect(other.record('k7')).toMatchObject({ promised: ballot(2), proposal: { accepted: ballot(2) } });
  });

  it('reads whole records as soon as there is nobody ahead of it any more', () => {
    let ahead: number | null = 3;
    const exchange = new RecordTransfer({
      request: 7,
      electorate: { sizes: [3], isVoter: () => true },
      retransmitMs: 10,
      slot: 2,
      isSource: () => true,
      absorb: () => undefined,
      absorbName: () => true,
      ahead: () => ahead,
    });
    expect(exchange.start(NOW)).toMatchObject({ message: { shard: 0, isByName: true } });
    const page = { type: 'named', request: 7, floor: NO_BALLOT, names: [], shard: 0, after: '', nextShard: 3 } as const;
    expect(exchange.receive({ process: 2, slot: 2 }, { ...page, nextAfter: '' }, NOW)).toBeNull();
    const later = { ...NOW, monotonicMs: NOW.monotonicMs + 60_000 };
    expect(exchange.tick(later)).toBeNull();
    expect(exchange.heardAtMs).toBe(later.monotonicMs);
    ahead = null;
    const next = exchange.tick(later);
    expect(next).toMatchObject({ message: { shard: 3, after: '' } });
    expect(next?.message).not.toHaveProperty('isByName');
  });

  it('asks again for what is lost, and for the next page as soon as one has come', () => {
    const exchange = new RecordTransfer({
      request: 7,
      electorate: { sizes: [3], isVoter: () => true },
      retransmitMs: 10,
      slot: 2,
      isSource: () => true,
      absorb: () => undefined,
    });
    const at = (ms: number): Instant => ({ ...NOW, monotonicMs: NOW.monotonicMs + ms });
    const first = exchange.start(at(0));
    expect(exchange.tick(at(9))).toBeNull();
    expect(exchange.tick(at(10))).toEqual(first);
    const page = { type: 'transferred', request: 7, floor: NO_BALLOT, records: [] } as const;
    const answer = { ...page, shard: 0, after: '', nextShard: 9, nextAfter: 'k' };
    const next = exchange.receive({ process: 2, slot: 2 }, answer, at(20));
    expect(next).toMatchObject({ message: { type: 'transfer', shard: 9, after: 'k' } });
    expect(exchange.share).toBeCloseTo(9 / SHARDS);
    // The time-out is that of the new question, not what was left of the one before.
    expect(exchange.tick(at(29))).toBeNull();
    expect(exchange.tick(at(30))).toEqual(next);
  });

  it('comes in pages that are worth asking for, and hold up its source for no longer than one frame', () => {
    const from = acceptor();
    for (let index = 0; index < 400; index += 1) {
      answerOf(from, prepare(`k${index}`, ballot(1)));
      answerOf(from, accept(`k${index}`, proposal(ballot(1), 'v'.repeat(600))));
    }
    const page = answerOf(from, { type: 'transfer', request: 1, shard: 0, after: '' });
    if (page.type !== 'transferred') throw new Error(page.type);
    const bytes = page.records.reduce((sum, record) => sum + (record.proposal?.value?.byteLength ?? 0), 0);
    expect(bytes).toBeGreaterThan(24 * 1024);
    expect(bytes).toBeLessThanOrEqual(48 * 1024);
  });
});
