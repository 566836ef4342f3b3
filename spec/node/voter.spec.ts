import { expect, it } from '@jest/globals';
import { Voter } from '../../lib/node/voter.js';
import type { Instant } from '../../lib/paxos/index.js';
import { openMemory, type Storage } from '../../lib/storage/index.js';
import { IDENTITY } from '../storage/arbitrary.js';
import { SimulatedDisk } from '../storage/simulated-disk.js';
import { until } from './farm.js';

const NOW: Instant = { monotonicMs: 0, wallMs: 1_700_000_000_000, isTrusted: true };

async function withStorage(storage: Storage): Promise<{ voter: Voter; failures: string[]; turn: () => void }> {
  const deferred: (() => void)[] = [];
  const failures: string[] = [];
  const voter = new Voter({
    maxClockSkewMs: 10_000,
    slot: () => 1,
    defer: (callback) => void deferred.push(callback),
    halted: (reason) => void failures.push(reason),
    failed: ({ message }) => void failures.push(message),
  });
  const { table } = await openMemory(storage, { cluster: IDENTITY.cluster });
  voter.restore(table, NOW);
  voter.identify(IDENTITY);
  const turn = (): void => {
    for (const callback of deferred.splice(0)) callback();
  };
  return { voter, failures, turn };
}

it('answers no more than it can hold while its storage does not answer, and then gives it up', async () => {
  const disk = new SimulatedDisk();
  const { voter, failures, turn } = await withStorage(disk.storage());
  let answers = 0;
  const ask = (): void =>
    voter.ask({ type: 'read', request: 1, key: 'b/k', held: null }, NOW, () => {
      answers += 1;
    });
  for (let count = 0; count < 20_000; count += 1) {
    ask();
    if (count % 100 === 0) turn();
  }
  expect([answers, disk.pending !== null]).toEqual([0, true]);
  disk.complete();
  turn();
  await new Promise((resolve) => setImmediate(resolve));
  expect(answers).toBe(8192);
  ask();
  expect(answers).toBe(8193);

  voter.ask(
    { type: 'prepare', request: 2, key: 'b/k', ballot: { round: 1, proposer: 1 }, bound: 0, held: null },
    NOW,
    ask,
  );
  turn();
  for (let ms = 0; ms < 31_000; ms += 50) voter.look(50);
  await new Promise((resolve) => setImmediate(resolve));
  expect(failures).toEqual([expect.stringContaining('it has not answered for 30 s')]);
  expect(voter.isVoting).toBe(false);
  await voter.close();
});

it('has what has gathered written where it is so much that nothing is answered for it', async () => {
  const { table } = await openMemory(new SimulatedDisk(true).storage(), { cluster: IDENTITY.cluster });
  let isFull = true;
  const memory = new Proxy(table, {
    get(target, name) {
      if (name === 'isFull') return isFull;
      if (name === 'flush') isFull = false;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const voter = new Voter({
    maxClockSkewMs: 10_000,
    slot: () => 1,
    defer: setImmediate,
    halted: (reason) => {
      throw new Error(reason);
    },
    failed: (error) => {
      throw error;
    },
  });
  voter.restore(memory, NOW);
  const answers: unknown[] = [];
  const ask = (): void =>
    voter.ask({ type: 'read', request: 1, key: 'b/k', held: null }, NOW, (answer) => answers.push(answer));
  ask();
  expect(answers).toEqual([]);
  ask();
  await until(() => answers.length > 0);
  expect(answers).toMatchObject([{ type: 'held' }]);
  await voter.close();
});

it('does not answer by its memory alone what is over by the clock that there is, though nobody vouches for that', async () => {
  const { voter } = await withStorage(new SimulatedDisk(true).storage());
  const accepted = { round: NOW.wallMs * 1024, proposer: 1 };
  const state = { value: new Uint8Array(1), attributes: new Uint8Array(), until: NOW.wallMs + 1000 };
  const age = { birth: accepted, dataBallot: accepted, lineage: [], lineageFrom: accepted };
  const proposal = { accepted, operation: '1.1', ...state, ...age };
  voter.install({ key: 'b/k', proposal, horizon: state.until }, NOW);
  const at = (ms: number): Instant => ({ ...NOW, wallMs: NOW.wallMs + ms, isTrusted: false });
  expect(voter.localState('b/k', at(999))).toMatchObject(state);
  expect(voter.localState('b/k', at(1000))).toBeNull();
  await voter.close();
});
