import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClosedError, ConfigError, NoQuorumError, ValueTooLargeError } from '../../lib/errors.js';
import { GuardedClock } from '../../lib/membership/index.js';
import { type Runtime, systemRuntime } from '../../lib/node/runtime.js';
import { Acceptor, InvariantError, type State } from '../../lib/paxos/index.js';
import { type Envelope, encodeMessage, makeKeyring, Outbox, Sealer } from '../../lib/wire/index.js';
import { Farm, increment, remove, setText, textOf, until } from './farm.js';

let farm: Farm;
beforeEach(() => {
  farm = new Farm();
});
afterEach(() => farm.close());

const inAnHour = (): number => Date.now() + 3_600_000;

/** A number in 0..1 from a seed: mulberry32. */
function seeded(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

describe('a first start', () => {
  it.each([1, 2, 3, 5])('forms a farm of all %d voters, each with a slot of its own', async (size) => {
    const nodes = await farm.start(size, { clusterSize: size });
    await until(() => nodes.every((node) => node.status().voters.length === size && node.status().slot > 0));
    const slots = nodes.map((node) => node.status().slot).sort();
    expect(slots).toEqual(Array.from({ length: size }, (_, index) => index + 1));
    expect(new Set(nodes.map((node) => node.status().incarnation)).size).toBe(1);
  });

  it.each([-3_600_000, 3_600_000])(
    'joins once its clock, wrong by %d ms at its start, is set right',
    async (wrongMs) => {
      await farm.start(3);
      let offMs = wrongMs;
      const late = farm.add({}, { ...systemRuntime, wallMs: () => Date.now() + offMs });
      await expect(late.read('test/x', { timeoutMs: 500 })).rejects.toThrow(NoQuorumError);
      offMs = 0;
      await late.ready();
      await late.change('test/x', setText('v', inAnHour()));
    },
  );

  it('ends calls that waited for its clock to be set right: by it they have reckoned when to end', async () => {
    await farm.start(3);
    let offMs = 3_600_000;
    const late = farm.add({}, { ...systemRuntime, wallMs: () => Date.now() + offMs });
    const left = late.deadline();
    // As whoever gives a value a second to live.
    const waiting = late.change('test/x', setText('v', late.nowMs() + 1000));
    const refused = expect(waiting).rejects.toThrow(/clock was wrong when the call was made.*Nothing was written/);
    offMs = 0;
    await refused;
    // Nor may anything that was begun then come later.
    expect(left.timeoutMs).toBe(0);
    await late.ready();
    await expect(late.change('test/x', setText('v', inAnHour()), left)).rejects.toThrow(NoQuorumError);
    await late.change('test/x', setText('w', inAnHour()), late.deadline());
  });

  it('is of use once its clock is set right, though by it all others had been too old to be heard', async () => {
    await farm.start(3);
    let offMs = 6000;
    let monotonicAheadMs = 0;
    const runtime = {
      ...systemRuntime,
      wallMs: () => Date.now() + offMs,
      monotonicMs: () => systemRuntime.monotonicMs() + monotonicAheadMs,
    };
    const late = farm.add({}, runtime);
    await until(() => late.status().state === 'learner');
    // In place of waiting until what was heard before is no longer relied on; its clock goes ahead by as much.
    monotonicAheadMs = 11_000;
    offMs = 0;
    await until(() => late.status().isReady && late.status().clock.isTrusted);
    await late.change('test/x', setText('v', inAnHour()));
  });

  it('gives fixed slots to those who ask for them', async () => {
    const nodes = [farm.add({ slot: 3 }), farm.add(), farm.add({ slot: 1 })];
    await Promise.all(nodes.map((node) => node.ready()));
    await until(() => nodes.every((node) => node.status().state === 'voter'));
    expect(nodes.map((node) => node.status().slot)).toEqual([3, 2, 1]);
  });

  it('makes learners of those who come later, and they read and write', async () => {
    const [first] = await farm.start(3);
    const late = farm.add();
    await late.ready();
    expect(late.status()).toMatchObject({ state: 'learner', slot: 0, records: 0 });
    await late.change('b/k', setText('from a learner', inAnHour()));
    expect(textOf((await first?.read('b/k')) ?? fail())).toBe('from a learner');
    expect(textOf(await late.read('b/k'))).toBe('from a learner');
  });

  it('lets one that comes later write at once what takes a connection', async () => {
    const [first] = await farm.start(3);
    const late = farm.add();
    await late.ready();
    const large = 'x'.repeat(10_000);
    await late.change('b/k', setText(large, inAnHour()));
    expect(textOf((await first?.read('b/k')) ?? fail())).toBe(large);
    expect(late.status().network.unsent).toBe(0);
  });

  it('lets a bare majority form the farm where bootstrap says so, and the third take the slot left vacant', async () => {
    const nodes = await farm.start(2, { bootstrap: true });
    await nodes[0]?.change('b/k', setText('early', inAnHour()));
    const third = farm.add();
    await third.ready();
    await until(() => third.status().state === 'voter');
    await until(() => farm.nodes.every((node) => node.status().voters.every((voter) => voter.isUp)));
    farm.kill(farm.nodes[1] ?? third);
    expect(textOf(await third.read('b/k'))).toBe('early');
  });

  it('tells a process alone, after its time-out, who is missing', async () => {
    const alone = farm.add({ timeout: 100 });
    await expect(alone.read('b/k')).rejects.toThrow(NoQuorumError);
    await expect(alone.change('b/k', setText('x', inAnHour()))).rejects.toMatchObject({
      code: 'ERR_NO_QUORUM',
      status: 503,
      message: expect.stringMatching(/2 of 3 voters are needed.*never heard of/),
    });
    await expect(alone.ids('b')).rejects.toThrow(NoQuorumError);
  });

  it('keeps operations called before the farm is there until it is', async () => {
    const early = farm.add();
    const written = early.change('b/k', setText('early', inAnHour()));
    farm.add();
    farm.add();
    await written;
    expect(textOf(await early.read('b/k'))).toBe('early');
  });
});

describe('the registers', () => {
  it('show on every node what was written on one', async () => {
    const nodes = await farm.start(3);
    for (const [index, writer] of nodes.entries()) {
      await writer.change(`b/${index}`, setText(`of ${index}`, inAnHour()));
      for (const reader of nodes) expect(textOf(await reader.read(`b/${index}`))).toBe(`of ${index}`);
    }
    expect((await nodes[0]?.ids('b'))?.sort()).toEqual(['0', '1', '2']);
    expect(await nodes[1]?.ids('other')).toEqual([]);
  });

  it('do not show what was removed', async () => {
    const [a, b] = await farm.start(3);
    if (a === undefined || b === undefined) throw new Error('two nodes were started');
    await a.change('b/k', setText('x', inAnHour()));
    expect((await b.change('b/k', remove)).result).toBe(true);
    expect(textOf(await a.read('b/k'))).toBeNull();
    expect(await a.ids('b')).toEqual([]);
    expect((await b.change('b/unknown', remove)).result).toBe(false);
  });

  it('carry what is too large for a datagram, up to the limit', async () => {
    const [a, b] = await farm.start(3, { maxValueSize: 400_000 });
    if (a === undefined || b === undefined) throw new Error('two nodes were started');
    const large = 'x'.repeat(300_000);
    await a.change('b/large', setText(large, inAnHour()));
    expect(textOf(await b.read('b/large'))).toBe(large);
    await expect(a.change('b/larger', setText('x'.repeat(400_001), inAnHour()))).rejects.toThrow(ValueTooLargeError);
  });

  it('apply concurrent increments from all nodes exactly once each', async () => {
    const nodes = await farm.start(3);
    const befores = await Promise.all(
      nodes.flatMap((node) => Array.from({ length: 20 }, () => node.change('b/n', increment(inAnHour())))),
    );
    expect(befores.map(({ result }) => result).sort((x, y) => x - y)).toEqual(Array.from({ length: 60 }, (_, i) => i));
  });

  it.each([1, 2, 3])(
    'apply increments exactly once though a fifth of all datagrams is lost, delayed or doubled (%d)',
    async (seed) => {
      const nodes = await farm.start(3, { timeout: 9000 });
      const random = seeded(seed);
      farm.hub.fate = () => {
        const chance = random();
        if (chance < 0.2) return { delaysMs: [] };
        return { delaysMs: chance < 0.4 ? [random() * 20, random() * 40] : [0] };
      };
      const outcomes = await Promise.allSettled(
        nodes.flatMap((node) => Array.from({ length: 10 }, () => node.change('b/n', increment(inAnHour())))),
      );
      farm.hub.fate = () => ({ delaysMs: [0] });
      const befores = outcomes.flatMap((each) => (each.status === 'fulfilled' ? each.value.result : []));
      expect(new Set(befores).size).toBe(befores.length);
      const final = Number(textOf((await nodes[0]?.read('b/n')) ?? fail()));
      expect(final).toBeGreaterThanOrEqual(befores.length);
      expect(final).toBeLessThanOrEqual(outcomes.length);
    },
  );

  it('go on with the others when one is killed, and stop with no quorum when two are', async () => {
    const [a, b, c] = await farm.start(3, { timeout: 300 });
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes were started');
    await a.change('b/k', setText('x', inAnHour()));
    farm.kill(c);
    expect(textOf(await b.read('b/k'))).toBe('x');
    await b.change('b/k', setText('y', inAnHour()));
    farm.kill(b);
    await expect(a.read('b/k')).rejects.toMatchObject({ code: 'ERR_NO_QUORUM' });
    await until(() => !a.status().isReady);
    await expect(a.change('b/k', setText('z', inAnHour()))).rejects.toMatchObject({
      message: expect.stringMatching(
        /Missing: slot \d \(node-2\), slot \d \(node-3\)|Missing: slot \d \(node-3\), slot \d \(node-2\)/,
      ),
    });
  });

  it('expire at one time for all, and leave no record behind', async () => {
    const nodes = await farm.start(3, { maxClockSkewMs: 300, timeout: 250 });
    const [a, b] = nodes;
    if (a === undefined || b === undefined) throw new Error('two nodes were started');
    await a.change('b/short', setText('x', Date.now() + 200));
    await a.change('b/other', setText('y', Date.now() + 300));
    expect(textOf(await b.read('b/short'))).toBe('x');
    await until(async () => textOf(await b.read('b/short')) === null);
    expect(textOf(await a.read('b/short'))).toBeNull();
    await until(() => nodes.every((node) => node.status().records === 0));
  });
});

describe('the cost', () => {
  it('of a read is one datagram to all and two answers; of a write twice that', async () => {
    const [a] = await farm.start(3);
    if (a === undefined) throw new Error('three nodes were started');
    const costOf = async (operate: (key: string) => Promise<unknown>): Promise<string> => {
      farm.hub.sent.length = 0;
      for (let i = 0; i < 10; i += 1) await operate(`b/${i}`);
      const sent = farm.hub.sent.filter(({ from, to }) => (from === 1 ? to === 'all' : to === 1));
      return `${sent.filter(({ from }) => from === 1).length} questions, ${sent.length} in all`;
    };
    const expectCost = async (cost: string, operate: (key: string) => Promise<unknown>): Promise<void> => {
      const costs: string[] = [];
      // At times a hello falls in between, and on a busy machine a question is asked twice.
      while (!costs.includes(cost) && costs.length < 50) costs.push(await costOf(operate));
      expect(costs).toContain(cost);
    };
    await expectCost('10 questions, 30 in all', (key) => a.read(key));
    await expectCost('20 questions, 60 in all', (key) => a.change(key, setText('x', inAnHour())));
  });
});

describe('trouble', () => {
  it('a process with more calls than it can hold refuses the rest at once', async () => {
    const alone = farm.add({ timeout: 200 });
    const calls = Array.from({ length: 8200 }, (_, index) => alone.read(`b/${index}`));
    const outcomes = await Promise.allSettled(calls);
    const codes = outcomes.map((each) => (each.status === 'rejected' ? each.reason.code : 'fulfilled'));
    expect(codes.filter((code) => code === 'ERR_OVERLOADED')).toHaveLength(8);
    expect(codes.filter((code) => code === 'ERR_NO_QUORUM')).toHaveLength(8192);
  });

  it.each([-1, 10_000, Number.NaN, Number.POSITIVE_INFINITY])(
    'an operation whose own time-out is %d is refused: the farm forgets by how long operations can take',
    async (timeoutMs) => {
      const node = farm.add({ maxClockSkewMs: 10_000 });
      const calls = [
        node.read('b/k', { timeoutMs }),
        node.change('b/k', remove, { timeoutMs }),
        node.ids('b', { timeoutMs }),
      ];
      for (const call of calls) await expect(call).rejects.toThrow('timeoutMs');
    },
  );

  it('goes on with its housekeeping whatever a listener throws', async () => {
    const thrown: string[] = [];
    const microtask = globalThis.queueMicrotask;
    const spy = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((callback) =>
      microtask(() => {
        try {
          callback();
        } catch (error) {
          thrown.push(String(error));
        }
      }),
    );
    try {
      const [a, b] = [farm.add({ clusterSize: 2 }), farm.add({ clusterSize: 2 })];
      for (const event of ['connect', 'disconnect', 'warning'] as const) {
        a.on(event, () => {
          throw new Error(`from ${event}`);
        });
      }
      await Promise.all([a.ready(), b.ready()]);
      const sound = farm.hub.fate;
      farm.hub.fate = () => ({ delaysMs: [] });
      await until(() => !a.status().isReady);
      farm.hub.fate = sound;
      await until(() => a.status().isReady && b.status().isReady);
      await until(() => b.members().every(({ isUp }) => isUp));
      await b.change('b/k', setText('x', inAnHour()));
      expect(new Set(thrown)).toEqual(
        new Set(['Error: from warning', 'Error: from connect', 'Error: from disconnect']),
      );
    } finally {
      spy.mockRestore();
    }
  });

  it.each([2 ** 53, 1.5, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'a change whose latest end is %d is refused: no other process could be told of it',
    async (bound) => {
      const [node] = await farm.start(1, { clusterSize: 1 });
      if (node === undefined) throw new Error('a node was started');
      await expect(node.change('b/k', setText('x', bound))).rejects.toThrow(ConfigError);
      expect(node.status().operations.changes).toBe(0);
    },
  );

  it('a process whose clock is off neither counts nor writes, and says so', async () => {
    const [a, b] = await farm.start(3, { maxClockSkewMs: 1000, timeout: 500 });
    if (a === undefined || b === undefined) throw new Error('three nodes were started');
    const late = farm.add(
      { maxClockSkewMs: 1000, timeout: 500 },
      { ...systemRuntime, wallMs: () => Date.now() + 2200 },
    );
    await until(() => farm.warnings.some(({ node, code }) => node === 'node-4' && code === 'clock'));
    expect(late.status().isReady).toBe(false);
    await expect(late.change('b/k', setText('x', inAnHour()))).rejects.toThrow(/clock is 2\.\d s ahead of a majority/);
    await a.change('b/k', setText('y', inAnHour()));
    expect(textOf(await b.read('b/k'))).toBe('y');
  });

  it('keeps nothing of a clock that was heard over a connection, from a process that is not known', async () => {
    const heard = jest.spyOn(GuardedClock.prototype, 'hear');
    try {
      const node = farm.add();
      await until(() => node.status().state === 'seeking');
      const keyring = await makeKeyring(false, node.status().cluster);
      const sealer = (): Sealer => new Sealer(keyring, systemRuntime.randomBytes);
      const envelope = (to: number): Envelope => {
        return { from: 4711, to, clockMs: Date.now(), incarnation: 0, slot: 0, vector: 0 };
      };
      const outbox = new Outbox({ sealer: sealer(), frameSealer: sealer(), envelope, maxDatagramSize: 1400 });
      const message = encodeMessage({ type: 'who', request: 1 });
      const stranger = farm.hub.transport();
      const opened = (): number => node.status().network.sealing?.opened ?? 0;
      const timesHeard = (): number => heard.mock.calls.filter(([process]) => process === 4711).length;
      const sendFrame = async (): Promise<void> => {
        const before = opened();
        stranger.sendStream({ host: '127.0.0.1', port: 1 }, outbox.sealFrame(0, message));
        await until(() => opened() > before);
      };
      await sendFrame();
      expect(timesHeard()).toBe(0);
      outbox.add(0, message);
      outbox.flush((_, datagram) => stranger.send({ host: '127.0.0.1', port: 1 }, datagram));
      await until(() => timesHeard() === 1);
      await sendFrame();
      expect(timesHeard()).toBe(2);
    } finally {
      heard.mockRestore();
    }
  });

  it('asks again in good time, though answers seemed slow, this process having been paused', async () => {
    const options = { clusterSize: 2, timeout: 4000 };
    let pausedMs = 0;
    const runtime = { ...systemRuntime, monotonicMs: () => systemRuntime.monotonicMs() + pausedMs };
    const node = farm.add(options, runtime);
    await Promise.all([node.ready(), farm.add(options).ready()]);
    const meanMs = (): number => Math.max(...node.status().voters.map(({ roundTripMs }) => roundTripMs ?? 0));
    while (meanMs() < 1000) {
      const reading = node.read('b/k');
      pausedMs += 3000;
      await reading;
    }
    // Until that has been taken in at the next housekeeping.
    await new Promise((resolve) => setTimeout(resolve, 150));
    const { fate } = farm.hub;
    farm.hub.fate = () => ({ delaysMs: [] });
    const reading = node.read('b/k');
    await new Promise((resolve) => setTimeout(resolve, 50));
    farm.hub.fate = fate;
    expect(textOf(await reading)).toBeNull();
  });

  it('a voter that has heard nothing for a while catches up with the others by itself', async () => {
    const nodes = await farm.start(3);
    const [a, b, c] = nodes;
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes were started');
    await a.change('b/old', setText('old', inAnHour()));
    await until(() => [...nodes].every((node) => node.status().records > 0));
    farm.hub.fate = ({ from, to }) => ({ delaysMs: from === 3 || to === 3 ? [] : [0] });
    await a.change('b/old', setText('new', inAnHour()));
    await b.change('b/large', setText('x'.repeat(100_000), inAnHour()));
    await Promise.all(Array.from({ length: 200 }, (_, index) => a.change(`b/${index}`, setText('v', inAnHour()))));
    await Promise.all(Array.from({ length: 50 }, (_, index) => a.change(`b/${index}`, remove)));
    // Questions sent again may wait to be sent though they have been answered since; c is not to hear them.
    await farm.haveSent();
    farm.hub.fate = () => ({ delaysMs: [0] });
    await until(() => c.status().repair.copied === 202, c.status.bind(c));
    farm.kill(a);
    // Its copies are votes like any other: with one of the others it makes a quorum that holds all of it.
    expect(textOf(await c.read('b/old'))).toBe('new');
    expect(textOf(await c.read('b/large'))).toHaveLength(100_000);
    expect((await c.ids('b')).length).toBe(152);
  });

  it('ids may include what is over by the own clock, and not yet by others', async () => {
    const [a] = await farm.start(3, { maxClockSkewMs: 30_000 });
    const ahead = farm.add({ maxClockSkewMs: 30_000 }, { ...systemRuntime, wallMs: () => Date.now() + 14_000 });
    if (a === undefined) throw new Error('three nodes were started');
    await until(() => ahead.status().isReady);
    await a.change('b/k', setText('v', Date.now() + 13_000));
    expect(await ahead.ids('b')).toEqual([]);
    expect(await ahead.ids('b', { includesJustEnded: true })).toEqual(['k']);
    // So whoever clears a bucket by them leaves nothing that others still see.
    expect(textOf(await a.read('b/k'))).toBe('v');
  });

  it('who there is and who votes reaches everybody, though it fits in no datagram', async () => {
    farm.hub.maxDatagramSize = 512;
    const name = (letter: string): string => letter.repeat(128);
    const voters = ['a', 'b', 'c', 'd', 'e'].map((letter) => farm.add({ clusterSize: 5, name: name(letter) }));
    await Promise.all(voters.map((node) => node.ready()));
    expect(voters.map((node) => node.status().slot).sort()).toEqual([1, 2, 3, 4, 5]);
    const learner = farm.add({ clusterSize: 5, name: name('f') });
    await learner.ready();
    // Longer than a voter may be silent.
    const sinceMs = performance.now();
    await until(() => performance.now() - sinceMs > 3500);
    expect(learner.status()).toMatchObject({ state: 'learner', isReady: true });
    expect(learner.status().voters.every(({ isUp }) => isUp)).toBe(true);
    expect(farm.warnings).toEqual([]);
  });

  it('a connection made before a silence is made anew after it', async () => {
    const [a, b, c] = await farm.start(3);
    if (a === undefined || b === undefined || c === undefined) throw new Error('three nodes were started');
    const before = farm.hub.reconnected.length;
    farm.hub.fate = ({ from, to }) => ({ delaysMs: from === 3 || to === 3 ? [] : [0] });
    await until(() => !c.status().isReady);
    farm.hub.fate = () => ({ delaysMs: [0] });
    const made = (): string[] => farm.hub.reconnected.slice(before).map(({ from, to }) => `${from} to ${to}`);
    await until(() => ['1 to 3', '2 to 3', '3 to 1', '3 to 2'].every((way) => made().includes(way)), made);
    expect(made()).not.toContain('1 to 2');
  });

  it('is closed at once while its network is being opened', async () => {
    let fail: ((error: Error) => void) | null = null;
    const transport = {
      ...farm.hub.transport(),
      open: () =>
        new Promise<never>((_resolve, reject) => {
          fail = reject;
        }),
      close: async () => fail?.(new Error('closed')),
    };
    const node = farm.add({ transport });
    await until(() => fail !== null);
    await node.close();
    expect(farm.warnings).toEqual([]);
  });

  it('two farms that meet become the older one, and keep what only the younger held', async () => {
    let isCut = true;
    const side = (port: number): boolean => port <= 3;
    farm.hub.fate = ({ from, to }) => (isCut && side(from) !== side(to) ? { delaysMs: [] } : { delaysMs: [0] });
    const [older] = await farm.start(3);
    const [younger] = await farm.start(3);
    if (older === undefined || younger === undefined) throw new Error('two farms were started');
    await older.change('b/both', setText('of the older', inAnHour()));
    await younger.change('b/both', setText('of the younger', inAnHour()));
    await younger.change('b/one', setText('of the younger', inAnHour()));
    isCut = false;
    await until(() => younger.status().state === 'learner');
    await until(async () => textOf(await older.read('b/one')) === 'of the younger');
    expect(textOf(await younger.read('b/both'))).toBe('of the older');
    expect(farm.warnings.filter(({ code }) => code === 'farms-met').length).toBeGreaterThanOrEqual(1);
  });

  it('two farms that meet: larger values are handed over than a process may write of its own', async () => {
    let isCut = true;
    const side = (port: number): boolean => port <= 3;
    farm.hub.fate = ({ from, to }) => (isCut && side(from) !== side(to) ? { delaysMs: [] } : { delaysMs: [0] });
    const [older] = await farm.start(3);
    const writer = farm.add();
    const others = [farm.add({ maxValueSize: 10 }), farm.add({ maxValueSize: 10 })];
    await Promise.all([writer, ...others].map((node) => node.ready()));
    await writer.change('b/large', setText('more than ten bytes', inAnHour()));
    farm.kill(writer);
    isCut = false;
    await until(() => others.every((node) => node.status().state === 'learner'));
    await Promise.all(others.map((node) => node.ready()));
    expect(textOf((await older?.read('b/large')) as State)).toBe('more than ten bytes');
  });

  it('an acceptor that breaks a rule of the protocol stops voting, and the others go on', async () => {
    const [a, b] = await farm.start(3);
    if (a === undefined || b === undefined) throw new Error('three nodes were started');
    jest.spyOn(Acceptor.prototype, 'receive').mockImplementationOnce(() => {
      throw new InvariantError('made up by this test');
    });
    await a.change('b/k', setText('x', inAnHour()));
    expect(farm.warnings.filter(({ code }) => code === 'halted')).toHaveLength(1);
    expect(textOf(await b.read('b/k'))).toBe('x');
  });

  it('a network that can not be opened fails every call with the reason', async () => {
    const transport = { ...farm.hub.transport(), open: () => Promise.reject(new ConfigError('port 7707 is taken')) };
    const node = farm.add({ transport });
    await expect(node.ready()).rejects.toThrow('port 7707 is taken');
    await expect(node.read('b/k')).rejects.toThrow('port 7707 is taken');
    expect(node.status()).toMatchObject({ state: 'failed', isReady: false });
  });
});

describe('close', () => {
  it('is final, and a second call gives the same promise', async () => {
    const [a] = await farm.start(1, { clusterSize: 1 });
    const closing = a?.close();
    expect(a?.close()).toBe(closing);
    await closing;
    await expect(a?.read('b/k')).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect(a?.ready()).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    expect(a?.status().state).toBe('closed');
  });

  it('does not wait for ever for a storage that is never open', async () => {
    const pending = new Promise<never>(() => undefined);
    let isAsked = false;
    const storage = {
      open: () => {
        isAsked = true;
        return pending;
      },
      write: () => pending,
      setAside: () => pending,
      close: async () => undefined,
    };
    // A hundred times as fast.
    const runtime: Runtime = {
      ...systemRuntime,
      setTimer: (delayMs, isHolding, callback) => systemRuntime.setTimer(delayMs / 100, isHolding, callback),
    };
    const node = farm.add({ storage }, runtime);
    await until(() => isAsked);
    await node.close();
  });

  it('leaves no listing without an answer', async () => {
    const [node] = await farm.start(3);
    if (node === undefined) throw new Error('three nodes were started');
    farm.hub.fate = () => ({ delaysMs: [] });
    const listing = node.ids('b', { timeoutMs: 9000 });
    await until(() => node.status().operations.inFlight > 0);
    const outcome = expect(listing).rejects.toThrow(ClosedError);
    await node.close();
    await outcome;
  });

  it('lets operations under way end', async () => {
    const nodes = await farm.start(3);
    const writes = nodes.map((node, index) => node.change(`b/${index}`, setText('x', inAnHour())));
    await Promise.all([...writes, ...nodes.map((node) => node.close())]);
  });
});

function fail(): never {
  throw new Error('there is such a node');
}
