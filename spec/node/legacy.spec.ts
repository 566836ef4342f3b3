/** What becomes of a slot's memory when its holder loses the slot. */
import { expect, it } from '@jest/globals';
import { identityOf, placeOf } from '../../lib/node/identity.js';
import { Recoverer } from '../../lib/node/recoverer.js';
import { Voter } from '../../lib/node/voter.js';
import type { AcceptorAnswer, AcceptorRequest, Instant, Transfer } from '../../lib/paxos/index.js';
import { openMemory } from '../../lib/storage/index.js';
import { storageOn } from '../storage/map-storage.js';

const S = 10_000;
const NOW: Instant = { monotonicMs: 0, wallMs: 1_700_000_000_000, isTrusted: true };
const FIRST_PAGE: Transfer = { type: 'transfer', request: 1, shard: 0, after: '' };

function voterOf(slot: () => number): Voter {
  return new Voter({
    maxClockSkewMs: S,
    slot,
    defer: queueMicrotask,
    halted: (reason) => {
      throw new Error(reason);
    },
    failed: (error) => {
      throw error;
    },
  });
}

/** A recovery of slot 4, on the way from three voters to five; nobody answers but the slot's holder before. */
class Recovery {
  readonly questions: AcceptorRequest[] = [];
  readonly recovered: boolean[] = [];
  readonly it: Recoverer;
  #requests = 0;

  constructor() {
    this.it = new Recoverer({
      voter: voterOf(() => 0),
      now: () => NOW,
      electorate: () => ({ sizes: [3, 5], isVoter: () => true }),
      config: () => ({ version: 2, sizes: [3, 5], slots: 5, since: [0, 0, 0, 1, 1] }),
      slot: () => 4,
      mustCopy: () => false,
      votersHeard: () => [1, 2, 3, 5],
      predecessor: () => 104,
      transmitTo: (_, { message }) => this.questions.push(message as AcceptorRequest),
      nextRequest: () => {
        this.#requests += 1;
        return this.#requests;
      },
      retransmitMs: () => 100,
      transmit: () => undefined,
      wake: () => undefined,
      random: () => 0.5,
      progressed: () => undefined,
      recovered: (isOfQuorum) => this.recovered.push(isOfQuorum),
      copied: () => undefined,
    });
    this.it.begin();
  }

  answer(by: { readonly process: number; readonly slot: number }, ask: (question: Transfer) => AcceptorAnswer | null) {
    for (let question = this.questions.shift(); question !== undefined; question = this.questions.shift()) {
      const answer = ask(question as Transfer);
      if (answer !== null) this.it.receive(by, answer);
    }
  }
}

it('a slot is recovered by the memory of its holder before; that of a quorum it has not read by that', async () => {
  const before = voterOf(() => 0);
  before.retire(4, 1);
  await before.settle();
  const recovery = new Recovery();
  recovery.answer({ process: 104, slot: 0 }, (question) => before.bequeath(question, NOW));
  expect(recovery.recovered).toEqual([false]);
});

it('its holder before is asked for that memory and no other, though it may vote for another slot by now', async () => {
  const before = voterOf(() => 5);
  before.retire(4, 1);
  await before.settle();
  const recovery = new Recovery();
  recovery.answer({ process: 104, slot: 5 }, (question) => {
    expect(question).toMatchObject({ type: 'transfer', isOfLegacy: true });
    return before.bequeath(question, NOW);
  });
  expect(recovery.recovered).toEqual([false]);
});

it('the memory is given away when it is durable that the slot is lost, and not before', async () => {
  const disk = new Map<string, Uint8Array>();
  const writes: (() => void)[] = [];
  let isHeldUp = false;
  const storage = storageOn(disk, async () => {
    if (isHeldUp) await new Promise<void>((resolve) => writes.push(resolve));
  });
  const view = {
    incarnation: 7,
    formedAtMs: NOW.wallMs,
    holders: [101, 102, 103].map((process) => ({ process, generation: 1, name: `${process}` })),
  };
  let slot = 1;
  const voter = voterOf(() => slot);
  const opened = await openMemory(storage, { cluster: 'c' });
  if (opened.kind === 'corrupt') throw new Error(opened.reason);
  voter.restore(opened.table, NOW);
  voter.identify(identityOf('c', view, 1, 101));
  const ballot = { round: NOW.wallMs * 1024, proposer: 5 };
  const promised = new Promise((resolve) => {
    voter.ask({ type: 'prepare', request: 1, key: 'b/k', ballot, bound: 0, held: null }, NOW, resolve);
  });
  await promised;

  isHeldUp = true;
  slot = 0;
  voter.retire(1, 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(voter.bequeath(FIRST_PAGE, NOW)).toBeNull();
  while (voter.bequeath(FIRST_PAGE, NOW) === null) {
    for (const write of writes.splice(0)) write();
    await new Promise((resolve) => setImmediate(resolve));
  }
  isHeldUp = false;
  const found = await openMemory(storage, { cluster: 'c' });
  expect(found.kind === 'loaded' && placeOf(found.identity)).toBeFalsy();
});

it('a memory that no holder will ask for any more is handed on with the rest', () => {
  let slot = 1;
  const voter = voterOf(() => slot);
  const ballot = { round: NOW.wallMs * 1024, proposer: 5 };
  voter.ask({ type: 'prepare', request: 1, key: 'b/k', ballot, bound: 0, held: null }, NOW, () => undefined);
  slot = 0;
  voter.retire(1, 1);
  expect(voter.takeLegacy().map(([key]) => key)).toEqual(['b/k']);
  expect(voter.legacy).toBeNull();
  expect(voter.takeLegacy()).toEqual([]);
});
