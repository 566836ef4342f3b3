import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Introduction, PeerTable, SUSPICION_MS, type View } from '../../lib/membership/index.js';
import { type MemberEvent, Members } from '../../lib/node/members.js';
import type { PaxosNode } from '../../lib/node/node.js';
import { Farm, until } from './farm.js';

const INTRODUCTION: Introduction = {
  name: 'b:2',
  host: 'b',
  streamPort: 0,
  clusterSize: 3,
  wish: 0,
  phase: 'voter',
  bound: 0,
  incarnation: 9,
  slot: 2,
  voter: 0,
  isDurable: false,
  hasResigned: false,
  open: [],
  ended: [],
  copied: 0,
  lost: 0,
};

const VIEW: View = {
  incarnation: 9,
  formedAtMs: 1,
  holders: [
    { process: 1, generation: 1, name: 'a:1' },
    { process: 2, generation: 4, name: 'b:2' },
    { process: 3, generation: 2, name: 'c:3' },
  ],
};

const STEP_MS = 50;

/** Process 1, which holds slot 1, and a time that is ours. */
class Bench {
  nowMs = 1000;
  readonly told: string[] = [];
  readonly events: MemberEvent[] = [];
  readonly membership = { view: VIEW as View | null, slot: 1, phase: 'voter' as const, number: 1 };
  readonly peers: PeerTable = new PeerTable((process) => this.members.forget(process));
  /** How often all peers were gone through. */
  scans = 0;
  readonly members = new Members({
    process: 1,
    name: 'a:1',
    host: 'a',
    membership: this.membership,
    peers: this.peers,
    monotonicMs: () => this.nowMs,
    tell: (event) => {
      this.events.push(event);
      this.told.push(`${event.kind} ${event.member.process}`);
    },
  });

  constructor() {
    const { peers } = this;
    const iterate = peers[Symbol.iterator].bind(peers);
    peers[Symbol.iterator] = () => {
      this.scans += 1;
      return iterate();
    };
  }

  hello(process: number, said: Partial<Introduction> = {}): void {
    const peer = this.peers.hear(process, { host: '10.0.0.1', port: process }, this.nowMs);
    this.members.heard(process, this.nowMs);
    if (peer.leftMs === null) this.peers.introduce(peer, { ...INTRODUCTION, ...said }, this.nowMs);
    if (said.phase === 'leaving') this.peers.leave(peer, this.nowMs);
    this.members.introduced(process, this.nowMs);
  }

  /** Time passes; those named say hello every half second. */
  pass(ms: number, ...speaking: number[]): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs += STEP_MS;
      if (this.nowMs % 500 === 0) for (const process of speaking) this.hello(process);
      this.members.look(this.nowMs);
      this.peers.dropSilent(this.nowMs, 60_000);
    }
  }
}

let bench: Bench;
beforeEach(() => {
  bench = new Bench();
});

describe('what is told of a process', () => {
  it('is that it is in contact, has fallen silent beyond its patience, is heard again, has said good-bye', () => {
    bench.pass(100);
    bench.hello(2);
    bench.pass(2000, 2);
    expect(bench.told).toEqual(['joined 2']);
    bench.pass(SUSPICION_MS + STEP_MS);
    expect(bench.told).toEqual(['joined 2', 'suspected 2']);
    expect(bench.events[1]?.member).toMatchObject({ name: 'b:2', slot: 2, isUp: false, suspicion: 1 });
    bench.pass(1000);
    bench.hello(2);
    expect(bench.told.at(-1)).toBe('returned 2');
    expect(bench.events[2]?.member).toMatchObject({ isUp: true, suspicion: 0 });
    bench.pass(1000, 2);
    bench.hello(2, { phase: 'leaving' });
    expect(bench.events[3]).toMatchObject({ kind: 'left', member: { role: 'leaving', isUp: false, suspicion: 1 } });
    bench.pass(70_000);
    expect(bench.told.length).toBe(4);
  });

  it('is more patient with one that came back: it was only slow', () => {
    bench.pass(100);
    bench.hello(2);
    bench.pass(4000);
    bench.hello(2);
    expect(bench.told).toEqual(['joined 2', 'suspected 2', 'returned 2']);
    bench.pass(6000);
    expect(bench.members.get(2)?.suspicion).toBeGreaterThan(0.7);
    expect(bench.told.length).toBe(3);
    bench.pass(2000);
    expect(bench.told.at(-1)).toBe('suspected 2');
  });

  it('comes at most once a second, and then what is so by then', () => {
    bench.pass(100);
    bench.hello(2);
    bench.hello(3, { slot: 3 });
    bench.hello(2, { phase: 'leaving' });
    expect(bench.told).toEqual(['joined 2', 'joined 3']);
    bench.pass(900, 3);
    expect(bench.told).toEqual(['joined 2', 'joined 3']);
    bench.pass(200, 3);
    expect(bench.told).toEqual(['joined 2', 'joined 3', 'left 2']);
    bench.pass(3500);
    expect(bench.told.at(-1)).toBe('suspected 3');
    for (let i = 0; i < 20; i += 1) bench.hello(3, { slot: 3 });
    const told = bench.told.length;
    bench.pass(1000, 3);
    expect(bench.told.slice(told - 1)).toEqual(['suspected 3', 'returned 3']);
  });

  it('is nothing after a pause of this process, when everybody seems silent; what they said is read then', () => {
    bench.pass(100);
    bench.hello(2);
    bench.pass(1000, 2);
    bench.nowMs += 20_000;
    expect(bench.members.get(2)).toMatchObject({ isUp: true, suspicion: 0 });
    bench.members.look(bench.nowMs);
    bench.pass(1000);
    expect(bench.told).toEqual(['joined 2']);
    bench.pass(2500);
    expect(bench.told).toEqual(['joined 2', 'suspected 2']);
  });

  it('is that it is gone where a pause was so long that all are forgotten', () => {
    bench.pass(100);
    bench.hello(2);
    bench.nowMs += 100_000;
    bench.members.look(bench.nowMs);
    bench.peers.dropSilent(bench.nowMs, 60_000);
    expect(bench.told).toEqual(['joined 2', 'suspected 2']);
    bench.hello(2);
    expect(bench.told).toEqual(['joined 2', 'suspected 2', 'joined 2']);
  });

  it('is nothing of one that was never heard otherwise, and says good-bye', () => {
    bench.pass(100);
    bench.hello(2, { phase: 'leaving' });
    bench.pass(5000);
    expect(bench.told).toEqual([]);
  });
});

it('those who are heard cost a look every few seconds, not at each housekeeping', () => {
  bench.pass(100);
  for (let process = 2; process < 30; process += 1) bench.hello(process);
  bench.scans = 0;
  bench.peers.dropSilent = () => undefined;
  const speaking = Array.from({ length: 28 }, (_, index) => index + 2);
  bench.pass(60_000, ...speaking);
  expect(bench.scans).toBeLessThan(30);
  expect(bench.told.length).toBe(28);
});

describe('the list', () => {
  it('is of voters by their slots, those never heard too, and then of the others by their numbers', () => {
    bench.pass(100);
    for (const process of [50, 2, 36])
      bench.hello(process, {
        name: `p:${process}`,
        phase: process === 2 ? 'voter' : 'learner',
        slot: process === 2 ? 2 : 0,
      });
    expect(bench.members.list()).toEqual([
      expect.objectContaining({
        process: '1',
        slot: 1,
        generation: 1,
        role: 'voter',
        isSelf: true,
        isUp: true,
        address: null,
      }),
      expect.objectContaining({
        process: '2',
        slot: 2,
        generation: 4,
        role: 'voter',
        isSelf: false,
        address: '10.0.0.1:2',
      }),
      {
        process: '3',
        name: 'c:3',
        host: '',
        address: null,
        slot: 3,
        generation: 2,
        role: 'voter',
        isSelf: false,
        isUp: false,
        suspicion: 1,
        roundTripMs: null,
      },
      expect.objectContaining({ process: '10', slot: 0, generation: 0, role: 'learner' }),
      expect.objectContaining({ process: '1e', slot: 0, generation: 0, role: 'learner' }),
    ]);
  });

  it('leaves out whoever has left, unless it is still a slot’s holder', () => {
    bench.pass(100);
    bench.hello(2);
    bench.hello(5, { phase: 'learner', slot: 0 });
    bench.hello(2, { phase: 'leaving' });
    bench.hello(5, { phase: 'leaving', slot: 0 });
    expect(bench.members.list().map(({ process, role }) => `${process} ${role}`)).toEqual([
      '1 voter',
      '2 leaving',
      '3 voter',
    ]);
  });

  it('names by its own number a process that goes on with an earlier one’s memory', () => {
    bench.pass(100);
    bench.hello(7, { voter: 3, slot: 3, name: 'c:4' });
    expect(bench.members.list()[2]).toMatchObject({ process: '7', name: 'c:4', slot: 3, generation: 2, isUp: true });
    expect(bench.members.get(3)?.process).toBe('7');
  });

  it('takes whoever votes in another farm, or has lost its slot, for a learner; one that two slots name has the one it says', () => {
    bench.pass(100);
    bench.hello(9, { slot: 1, incarnation: 8 });
    expect(bench.members.get(9)).toMatchObject({ slot: 0, role: 'learner' });
    bench.membership.view = {
      ...VIEW,
      holders: [...VIEW.holders.slice(0, 2), { process: 2, generation: 3, name: 'b:2' }],
    };
    bench.hello(2, { slot: 3 });
    expect(bench.members.list().map(({ process, slot }) => `${process} ${slot}`)).toEqual(['1 1', '2 3', '9 0']);
  });

  it('is of this process alone at first, and of nobody who has not said who he is', () => {
    bench.membership.view = null;
    bench.membership.slot = 0;
    bench.peers.hear(4, { host: '10.0.0.1', port: 4 }, bench.nowMs);
    expect(bench.members.list()).toEqual([expect.objectContaining({ process: '1', slot: 0, generation: 0 })]);
    expect(bench.members.get(4)).toBeNull();
  });
});

describe('a farm', () => {
  const farm = new Farm();
  afterEach(() => farm.close());

  const eventsOf = (node: PaxosNode): string[] => {
    const events: string[] = [];
    node.on('member', ({ kind, member }) => events.push(`${kind} ${member.name}`));
    return events;
  };

  const rolesOf = (node: PaxosNode): string =>
    node
      .members()
      .map(({ role }) => role)
      .join(' ');

  it('knows its members, and tells of those who come, fall silent, return and leave', async () => {
    const [first] = await farm.start(3);
    if (first === undefined) throw new Error('three were started');
    const events = eventsOf(first);
    const late = farm.add({ slot: false });
    await late.ready();
    await until(() => events.includes('joined node-4'));
    await until(() => farm.nodes.every((node) => rolesOf(node) === 'voter voter voter learner'));
    for (const node of farm.nodes) {
      const members = node.members();
      expect(members.map(({ slot }) => slot)).toEqual([1, 2, 3, 0]);
      expect(members.every(({ isUp, suspicion }) => isUp && suspicion < 1)).toBe(true);
      expect(members.find(({ isSelf }) => isSelf)?.process).toBe(node.status().process);
      expect(node.size).toBe(3);
    }
    const { fate } = farm.hub;
    farm.kill(late);
    await until(() => events.includes('suspected node-4'));
    expect(first.members().find(({ name }) => name === 'node-4')).toMatchObject({ isUp: false, suspicion: 1 });
    farm.hub.fate = fate;
    await until(() => events.includes('returned node-4'));
    await late.close();
    await until(() => events.includes('left node-4'));
    expect(events).toEqual(['joined node-4', 'suspected node-4', 'returned node-4', 'left node-4']);
    expect(first.members().length).toBe(3);
  });
});
