import { expect, it } from '@jest/globals';
import { type HandOverSetup, handOver } from '../../lib/node/hand-over.js';
import { HandOvers } from '../../lib/node/hand-overs.js';
import { systemRuntime } from '../../lib/node/runtime.js';
import {
  ABSENT,
  type Ballot,
  type Change,
  evaluate,
  type Proposal,
  type RegisterRecord,
} from '../../lib/paxos/index.js';
import { set } from '../paxos/changes.js';

const NOW_MS = 1_700_000_000_000;
const now = { monotonicMs: 0, wallMs: NOW_MS, isTrusted: true };
const LATER_MS = NOW_MS + 60_000;

/** The farm that is joined: a register for each key, one operation after the other. */
class Joined {
  readonly #held = new Map<string, Proposal>();
  #round = NOW_MS * 1024;

  readonly write = async (key: string, change: Change<unknown>): Promise<void> => {
    this.#round += 1;
    const accepted = { round: this.#round, proposer: 9 };
    const { state, isWrite } = evaluate(this.#held.get(key) ?? null, [change], accepted, now);
    const rest = { operation: `9.${this.#round}`, lineage: [], lineageFrom: accepted };
    if (isWrite) this.#held.set(key, { ...state, accepted, ...rest });
  };

  until(key: string): number | undefined {
    return this.#held.get(key)?.until;
  }

  show(key: string): string | null {
    const value = this.#held.get(key)?.value ?? null;
    return value === null ? null : new TextDecoder().decode(value);
  }
}

function ballot(round: number): Ballot {
  return { round, proposer: 1 };
}

/** What one process held: a text, or a tombstone. */
function held(text: string | null, round: number, options: Partial<Proposal> = {}): RegisterRecord {
  const accepted = ballot(round);
  const value = text === null ? null : new TextEncoder().encode(text);
  const until = text === null ? 0 : LATER_MS;
  const rest = { operation: `1.${round}`, lineage: [], lineageFrom: ballot(0) };
  const state = { ...ABSENT, value, until, birth: ballot(1), dataBallot: accepted };
  const proposal = { ...state, accepted, ...rest, ...options };
  return { promised: accepted, proposal, committed: true, horizon: LATER_MS, touchedMs: 0 };
}

const setup = (write: HandOverSetup['write'], again = async (): Promise<boolean> => false): HandOverSetup => ({
  nowMs: () => NOW_MS,
  write,
  again,
});

/** Each process hands over what it held, in that order. */
async function meet(joined: Joined, ...processes: RegisterRecord[]): Promise<void> {
  for (const record of processes) await handOver([['sess/s', record]], setup(joined.write));
}

it('does not bring back what was destroyed, whoever comes first', async () => {
  const [stale, gone] = [held('alive', 2), held(null, 3)];
  const [one, other] = [new Joined(), new Joined()];
  await meet(one, stale, gone, gone);
  await meet(other, gone, gone, stale);
  expect([one.show('sess/s'), other.show('sess/s')]).toEqual([null, null]);
});

it('keeps the latest of what was written, whoever comes first', async () => {
  const [stale, latest] = [held('old', 2), held('new', 3)];
  const [one, other] = [new Joined(), new Joined()];
  await meet(one, stale, latest, latest);
  await meet(other, latest, stale, latest);
  expect([one.show('sess/s'), other.show('sess/s')]).toEqual(['new', 'new']);
});

it('leaves alone what the farm joined has itself, or what its clients have made of it', async () => {
  const joined = new Joined();
  await joined.write('sess/s', set('own', LATER_MS));
  await meet(joined, held('theirs', 2), held(null, 3));
  expect(joined.show('sess/s')).toBe('own');

  const changed = new Joined();
  await meet(changed, held('old', 2));
  await changed.write('sess/s', set('since', LATER_MS));
  await meet(changed, held('new', 3), held(null, 4));
  expect(changed.show('sess/s')).toBe('since');
});

it('passes over what has expired, and tombstones of it', async () => {
  const written: string[] = [];
  const write = async (key: string): Promise<void> => void written.push(key);
  const over = held('over', 2, { until: NOW_MS });
  const gone = { ...held(null, 3), horizon: NOW_MS };
  const promised = { ...held('x', 4), proposal: null };
  const all = [over, gone, promised].map((record, index) => [`sess/${index}`, record] as const);
  expect(await handOver([...all, ['/slot/1', held('y', 5)]], setup(write))).toBe(0);
  expect(written).toEqual([]);
});

it('counts what could not be written', async () => {
  const write = (): Promise<never> => Promise.reject(new Error('no quorum'));
  expect(await handOver([['sess/s', held('x', 2)]], setup(write))).toBe(1);
});

it('tries again what is refused, for as long as it may and that is of use', async () => {
  const joined = new Joined();
  let refusals = 0;
  const write: HandOverSetup['write'] = async (key, change) => {
    refusals += 1;
    if (refusals <= 3) throw new Error('no quorum');
    return joined.write(key, change);
  };
  expect(
    await handOver(
      [['sess/s', held('x', 2)]],
      setup(write, async () => true),
    ),
  ).toBe(0);
  expect([joined.show('sess/s'), refusals]).toEqual(['x', 4]);

  let nowMs = NOW_MS;
  const never = {
    nowMs: () => nowMs,
    write: () => Promise.reject(new Error('no quorum')),
    again: async () => {
      nowMs += 30_000;
      return true;
    },
  };
  expect(await handOver([['sess/s', held('x', 2)]], never)).toBe(0);
  expect(nowMs).toBe(LATER_MS);
});

it('goes by the age of the data, though it was handed over before', async () => {
  // Destroyed in the one farm, while a voter of it that was cut off has handed it over to another.
  const joined = new Joined();
  await meet(joined, held(null, 3));
  await meet(joined, held('alive', 9, { dataBallot: ballot(2) }));
  expect(joined.show('sess/s')).toBeNull();
});

it('keeps the later end of two that differ in nothing else', async () => {
  const [short, long] = [held('x', 2, { until: LATER_MS - 1 }), held('x', 3, { dataBallot: ballot(2) })];
  for (const order of [
    [short, long],
    [long, short],
  ]) {
    const joined = new Joined();
    await meet(joined, ...order);
    expect(joined.until('sess/s')).toBe(LATER_MS);
  }
});

it('begins with the eldest: what others live by was there before them', async () => {
  const written: string[] = [];
  const write = async (key: string): Promise<void> => void written.push(key);
  const born = (round: number): RegisterRecord => held('x', 9, { birth: ballot(round) });
  const records = [3, 1, 2].map((round) => [`kv/${round}`, born(round)] as const);
  await handOver(records, setup(write));
  expect(written).toEqual(['kv/1', 'kv/2', 'kv/3']);
});

it('says what it had kept for a farm that never came', () => {
  const lost: number[] = [];
  const handOvers = new HandOvers({
    runtime: systemRuntime,
    nowMs: () => NOW_MS,
    write: () => Promise.reject(new Error('there is no farm')),
    isClosing: () => true,
    lost: (count) => void lost.push(count),
    ended: () => undefined,
  });
  const over = held('over', 2, { until: NOW_MS });
  handOvers.keep([
    ['sess/c', over],
    ['/slot/1', held('y', 5)],
  ]);
  expect(handOvers.isKept).toBe(false);
  handOvers.keep([
    ['sess/a', held('alive', 2)],
    ['sess/b', held(null, 3)],
    ['sess/c', over],
    ['/slot/1', held('y', 5)],
  ]);
  expect(handOvers.isKept).toBe(true);
  handOvers.end();
  expect([handOvers.isKept, lost]).toEqual([false, [2]]);
  handOvers.end();
  expect(lost).toEqual([2]);
});
