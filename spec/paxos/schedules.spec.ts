/** Schedules too rare for chance, each of which once made acceptors say what was not so. */
import { expect, it } from '@jest/globals';
import {
  Acceptor,
  BallotSource,
  type Change,
  ClassicRound,
  type Electorate,
  FOREVER,
  type Instant,
  NO_BALLOT,
  type Outgoing,
  QuorumRead,
  RecordTransfer,
  Unanimity,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';
import { append, decode, destroy, observe } from './changes.js';

const S = 10_000;
const EPOCH = 1_700_000_000_000;
const IN_A_DAY = EPOCH + 86_400_000;
const KEY = 'b/k';

const at = (ms: number): Instant => ({ monotonicMs: ms, wallMs: EPOCH + ms, isTrusted: true });
/** What is done about what comes out `unsettled`. */
const settle = (): Change<unknown> => ({ ...observe(), seals: true });

/** Voters by slot, each its own process, and what is done with them. */
class Voters {
  readonly #acceptors = new Map<number, Acceptor>();
  #electorate: Electorate;
  readonly #skewMs: number;
  #requests = 0;

  constructor(sizes: readonly number[], skewMs = S) {
    this.#electorate = { sizes, isVoter: ({ process, slot }) => process === slot };
    this.#skewMs = skewMs;
    for (let slot = 1; slot <= Math.max(...sizes); slot += 1) this.#acceptors.set(slot, this.make());
  }

  /** From now on other majorities decide. */
  resize(sizes: readonly number[]): void {
    this.#electorate = { ...this.#electorate, sizes };
  }

  make(): Acceptor {
    return new Acceptor(new MemoryTable(), { maxClockSkewMs: this.#skewMs });
  }

  of(slot: number): Acceptor {
    const acceptor = this.#acceptors.get(slot);
    if (acceptor === undefined) throw new Error(`slot ${slot}`);
    return acceptor;
  }

  replace(slot: number, acceptor: Acceptor): void {
    this.#acceptors.set(slot, acceptor);
  }

  #begin(ms: number) {
    this.#requests += 1;
    return { request: this.#requests, electorate: this.#electorate, deadlineMs: ms + 2000, retransmitMs: 100 };
  }

  round(proposer: number, change: Change<unknown>, ms: number): Exchange<ClassicRound> {
    const round = new ClassicRound({
      ...this.#begin(ms),
      context: {
        ballots: new BallotSource(proposer),
        maxClockSkewMs: this.#skewMs,
        lineageKeepMs: 14_000,
        isDone: () => false,
        random: () => 0.5,
      },
      key: KEY,
      operation: `${proposer}.${ms}`,
      changes: () => [change],
      own: undefined,
    });
    return new Exchange(this, round, ms);
  }

  /** What a quorum read finds that hears those; `null` if that settles nothing. */
  read(slots: readonly number[], ms: number): string | null {
    const read = new QuorumRead({
      ...this.#begin(ms),
      key: KEY,
      maxClockSkewMs: this.#skewMs,
      own: undefined,
    });
    new Exchange(this, read, ms).heardBy(slots, ms);
    return read.outcome?.kind === 'chosen' ? `chosen ${decode(read.outcome.proposal?.value ?? null)}` : null;
  }

  arePast(tombstone: ConstructorParameters<typeof Unanimity>[0]['tombstone'], ms: number): boolean {
    const exchange = new Unanimity({
      ...this.#begin(ms),
      tombstone,
    });
    new Exchange(this, exchange, ms).heardBy([...this.#acceptors.keys()], ms);
    return exchange.outcome?.isPast === true;
  }

  /** One acceptor takes over all that others hold. */
  transfer(from: readonly number[], to: Acceptor, ms: number): void {
    for (const slot of from) {
      const transfer = new RecordTransfer({
        request: 1,
        electorate: this.#electorate,
        retransmitMs: 100,
        slot,
        isSource: () => true,
        absorb: (records, now) => {
          for (const record of records) to.absorb(record, now);
        },
      });
      new Exchange(this, transfer, ms).heardBy([slot], ms);
      if (!transfer.isOver) throw new Error('more than a page');
      to.raiseFloor(transfer.outcome?.floor ?? NO_BALLOT);
    }
  }

  collect(slots: readonly number[], ms: number) {
    return slots.map((slot) => this.of(slot).collect(at(ms), 1000, 0));
  }
}

/** One exchange, with what it asks next. */
class Exchange<T extends { start(now: Instant): Outgoing | null; receive: ClassicRound['receive'] }> {
  readonly it: T;
  readonly #voters: Voters;
  #outgoing: Outgoing | null;

  constructor(voters: Voters, it: T, ms: number) {
    this.it = it;
    this.#voters = voters;
    this.#outgoing = it.start(at(ms));
  }

  /** Its question reaches those, and their answers reach it. */
  heardBy(slots: readonly number[], ms: number): this {
    const asked = this.#outgoing;
    if (asked === null) throw new Error('it asks nothing');
    for (const slot of slots) {
      const answer = this.#voters.of(slot).receive(asked.message as never, at(ms));
      const next = answer && this.it.receive({ process: slot, slot }, answer, at(ms));
      if (next != null) this.#outgoing = next;
    }
    return this;
  }
}

it('a voter that copies does not accept what it has only copied, against its own promise', () => {
  const voters = new Voters([3, 5]);
  const p = voters.round(101, append('P', IN_A_DAY), 0).heardBy([1, 3, 4], 1).heardBy([1], 2);
  const q = voters.round(102, append('Q', IN_A_DAY), 3).heardBy([2, 3, 5], 4);
  voters.transfer([1], voters.of(3), 5);
  p.heardBy([3, 4], 102);
  expect(p.it.outcome).toBeNull();
  q.heardBy([2, 3, 5], 103);
  expect(q.it.outcome?.kind).toBe('chosen');
  expect(voters.read([2, 3, 5], 104)).toBe('chosen Q');
});

it('a copy that nobody has promised against may still be accepted', () => {
  const voters = new Voters([3, 5]);
  const p = voters.round(101, append('P', IN_A_DAY), 0).heardBy([1, 3, 4], 1).heardBy([1], 2);
  voters.transfer([1], voters.of(3), 5);
  expect(p.heardBy([3, 4], 102).it.outcome?.kind).toBe('chosen');
  expect(voters.read([1, 3, 4], 103)).toBe('chosen P');
});

it('what was promised against a value by one who has forgotten it keeps a successor from voting for that value', () => {
  const voters = new Voters([5]);
  voters.round(101, append('P', IN_A_DAY), 0).heardBy([1, 2, 3], 1).heardBy([1, 2], 2);
  expect(voters.read([3, 4, 5], 3)).toBeNull();
  const reader = voters.round(102, observe(), 4).heardBy([3, 4, 5], 5).heardBy([5], 6);
  reader.it.tick(at(5000));
  for (let ms = 6; ms <= 26_000; ms += 50) voters.collect([1, 2, 4, 5], ms);
  expect(voters.of(4).size).toBe(0);

  const successor = voters.make();
  voters.transfer([1, 2, 4], successor, 26_100);
  voters.replace(3, successor);
  expect(voters.read([1, 2, 3], 26_200)).toBeNull();
});

it('a vote that others have promised against, and forgotten that, is none in a smaller farm', () => {
  const voters = new Voters([5]);
  voters.round(101, append('P', IN_A_DAY), 10).heardBy([1, 2, 3], 10).heardBy([3], 10);
  const half = voters.round(102, append('Q', IN_A_DAY), 20).heardBy([1, 2, 3], 20);
  voters.round(103, observe(), 30).heardBy([3, 4, 5], 30).heardBy([3], 30);
  half.heardBy([1, 2], 31);
  for (let ms = 31; ms <= 60_000; ms += 50) voters.collect([1, 2, 3, 4, 5], ms);
  expect([voters.of(4).size, voters.of(5).size]).toEqual([0, 0]);

  voters.transfer([4, 5], voters.of(1), 60_100);
  voters.transfer([4, 5], voters.of(2), 60_100);
  voters.transfer([1, 2], voters.of(3), 60_100);
  voters.resize([3]);
  // 3 holds P at a higher ballot: was that of 1 and 2 chosen, and Q read, it would be gone at the next read.
  expect(voters.read([1, 2], 60_200)).toBeNull();
  expect(voters.read([1, 3], 60_300)).toBeNull();
  const decided = voters.round(104, observe(), 60_400).heardBy([1, 3], 60_400).heardBy([1, 3], 60_400).it.outcome;
  expect(decided).toMatchObject({ kind: 'chosen' });
  expect(voters.read([1, 3], 60_500)).toBe('chosen P');
});

it('a tombstone is not released from under a write that was promised above it', () => {
  const voters = new Voters([3]);
  const all = [1, 2, 3];
  const done = (proposer: number, change: Change<unknown>, ms: number, slots = all) => {
    const { it: round } = voters.round(proposer, change, ms).heardBy(slots, ms).heardBy(slots, ms);
    if (round.outcome?.kind !== 'chosen') throw new Error(JSON.stringify(round.outcome));
    for (const slot of slots) if (round.outcome.commit) voters.of(slot).commit(round.outcome.commit);
    return round.outcome;
  };
  done(101, append('old', FOREVER), 0);
  done(101, destroy(), 1000);
  let ms = 1000;
  let tombstones = voters.collect(all, ms).map(({ endless }) => endless[0]);
  while (tombstones.includes(undefined)) {
    ms += 50;
    tombstones = voters.collect(all, ms).map(({ endless }, index) => endless[0] ?? tombstones[index]);
  }
  const [tombstone] = tombstones;
  if (tombstone === undefined) throw new Error('all ask');
  const write = voters.round(102, append('new', FOREVER), ms).heardBy([1, 2], ms);
  expect(voters.arePast(tombstone, ms)).toBe(true);
  for (const slot of [1, 2]) voters.of(slot).release(tombstone, at(ms));
  write.heardBy([3], ms + 5);

  done(103, destroy(), ms + 3000, [1, 2]);
  // For as long as a write without an end is promised.
  for (const endMs = ms + 60_000; ms < endMs; ms += 50) voters.collect([1, 2], ms);
  expect(done(104, observe(), ms, [1, 3]).results).toMatchObject([{ result: '-' }]);
});

it('a tombstone with a promise above it is to be made anew above that, and then released', () => {
  const voters = new Voters([1]);
  const acceptor = voters.of(1);
  const done = (proposer: number, change: Change<unknown>, ms: number): void => {
    const { outcome } = voters.round(proposer, change, ms).heardBy([1], ms).heardBy([1], ms).it;
    if (outcome?.kind !== 'chosen' || outcome.commit === null) throw new Error(JSON.stringify(outcome));
    acceptor.commit(outcome.commit);
  };
  done(101, append('old', FOREVER), 0);
  done(101, destroy(), 10);
  voters.round(102, append('new', FOREVER), 20).heardBy([1], 20);
  let ms = 20;
  const next = (): ReturnType<Acceptor['collect']> | undefined => {
    ms += 50;
    return voters.collect([1], ms)[0];
  };
  let found = next();
  while (found?.unsettled.length === 0) {
    expect(found.endless).toEqual([]);
    found = next();
  }
  expect(found?.unsettled).toEqual([KEY]);
  done(103, settle(), ms);
  while (found?.endless.length === 0) found = next();
  const [tombstone] = found?.endless ?? [];
  if (tombstone === undefined) throw new Error('it is to be released');
  expect(voters.arePast(tombstone, ms)).toBe(true);
  acceptor.release(tombstone, at(ms));
  for (const endMs = ms + 60_000; ms < endMs; ms += 50) voters.collect([1], ms);
  expect(acceptor.size).toBe(0);
});

it('a tombstone that one voter has missed is released, though that voter is always the first to ask', () => {
  const voters = new Voters([3], 1000);
  const all = [1, 2, 3];
  const decide = (change: Change<unknown>, ms: number, slots: readonly number[]): void => {
    const { outcome } = voters
      .round(101 + ms, change, ms)
      .heardBy(slots, ms)
      .heardBy(slots, ms).it;
    if (outcome?.kind !== 'chosen') throw new Error(JSON.stringify(outcome));
    const { commit } = outcome;
    if (commit !== null) for (const slot of slots) voters.of(slot).commit(commit);
  };
  // All have promised a write without an end, of which nothing came, and one has heard nothing since.
  voters.round(100, append('new', FOREVER), 0).heardBy(all, 0);
  decide(destroy(), 20, [1, 2]);
  for (let ms = 20; ms < 120_000; ms += 50) {
    for (const slot of all) {
      const acceptor = voters.of(slot);
      const { unsettled, endless } = acceptor.collect(at(ms), 10, slot === 3 ? 0 : Number.POSITIVE_INFINITY);
      if (unsettled.length > 0) decide(settle(), ms, all);
      for (const tombstone of endless) if (voters.arePast(tombstone, ms)) acceptor.release(tombstone, at(ms));
    }
  }
  expect(all.map((slot) => voters.of(slot).size)).toEqual([0, 0, 0]);
});

it('a value that is half done goes, though its holder answers last, and the others have forgotten what they promised', () => {
  const voters = new Voters([3], 1000);
  const all = [1, 2, 3];
  voters
    .round(100, append('new', EPOCH + 1000), 0)
    .heardBy([1, 2, 3], 0)
    .heardBy([3], 0);
  for (let ms = 20; ms < 60_000; ms += 50) {
    for (const slot of all) {
      if (voters.of(slot).collect(at(ms), 10, 0).unsettled.length === 0) continue;
      // Its disk is slow: the others' answers make up the majority.
      const { outcome } = voters
        .round(101 + ms, settle(), ms)
        .heardBy([1, 2], ms)
        .heardBy(all, ms).it;
      if (outcome?.kind === 'chosen' && outcome.commit !== null)
        for (const each of all) voters.of(each).commit(outcome.commit);
    }
  }
  expect(all.map((slot) => voters.of(slot).size)).toEqual([0, 0, 0]);
});

it('what is half done is asked about by one voter after another', () => {
  const voters = new Voters([3], 10_000);
  voters
    .round(100, append('new', EPOCH + 1000), 0)
    .heardBy([1, 2, 3], 0)
    .heardBy([1, 2, 3], 0);
  const askedMs = [1, 2, 3].map((slot) => {
    const acceptor = voters.of(slot);
    for (let ms = 0; ms < 120_000; ms += 50)
      if (acceptor.collect(at(ms), 10, (slot - 1) * 1000).unsettled.length > 0) return ms;
    return Number.NaN;
  });
  const [first = Number.NaN] = askedMs;
  expect(askedMs).toEqual([first, first + 1000, first + 2000]);
});

it.each([
  ['a promise', observe(), 1],
  ['a tombstone above it', destroy(), 2],
])('what was to be kept for a while is not forgotten sooner for %s', (_, change, phases) => {
  const voters = new Voters([1], 1000);
  const acceptor = voters.of(1);
  voters.round(101, append('old', FOREVER), 0).heardBy([1], 0).heardBy([1], 0);
  const { outcome } = voters.round(101, destroy(), 10).heardBy([1], 10).heardBy([1], 10).it;
  if (outcome?.kind !== 'chosen' || outcome.commit === null) throw new Error(JSON.stringify(outcome));
  acceptor.commit(outcome.commit);
  let ms = 10;
  let tombstone = voters.collect([1], ms)[0]?.endless[0];
  for (; tombstone === undefined; ms += 50) tombstone = voters.collect([1], ms)[0]?.endless[0];
  acceptor.release(tombstone, at(ms));
  const later = voters.round(102, change, ms + 100);
  for (let phase = 0; phase < phases; phase += 1) later.heardBy([1], ms + 100);
  const decided = later.it.outcome;
  if (decided?.kind === 'chosen' && decided.commit !== null) acceptor.commit(decided.commit);
  for (const endMs = ms + 9000; ms < endMs; ms += 50) voters.collect([1], ms);
  expect(acceptor.size).toBe(1);
});

it('a tombstone put where nothing was found counts as written: what is handed over from another farm is older', () => {
  const tombstoneOf = (change: Change<unknown>) => {
    const voters = new Voters([3]);
    voters.round(101, change, 0).heardBy([1, 2, 3], 1).heardBy([1, 2, 3], 2);
    return voters.of(1).record(KEY)?.proposal;
  };
  const removed = tombstoneOf(destroy());
  expect(removed?.dataBallot).toEqual(removed?.accepted);
  // What is sealed by the farm itself nobody has written.
  expect(tombstoneOf(settle())?.dataBallot).toEqual(NO_BALLOT);
});
