import { afterEach, describe, expect, it } from '@jest/globals';
import { type View, vectorOf } from '../../lib/membership/index.js';
import type { PaxosNode } from '../../lib/node/node.js';
import type { NodeOptions } from '../../lib/node/options.js';
import { systemRuntime } from '../../lib/node/runtime.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { decodeBody, encodeMessage, makeKeyring, Opener, Outbox, Sealer } from '../../lib/wire/index.js';
import { drawMulticast } from '../cluster/farm.js';
import { helloOf } from '../membership/hello.js';
import { Farm, increment, remove, setText, textOf, until } from './farm.js';

const STRANGER = 4711;

let farm = new Farm();

afterEach(async () => {
  await farm.close();
  farm = new Farm();
});

const holds = (node: PaxosNode, slot: number): boolean => {
  const { state, slot: held } = node.status();
  return state === 'voter' && held === slot;
};

async function fill(node: PaxosNode, count: number, size = 20): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, index) => `sess/k${index}`);
  await Promise.all(keys.map((key) => node.change(key, setText(key.padEnd(size, '.'), FOREVER), { timeoutMs: 9000 })));
  return keys;
}

describe('a voter that is gone', () => {
  it('is replaced by a process that comes; once that is ready another may go', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const keys = await fill(first, 1200);
    const slot = third.status().slot;
    farm.kill(third);
    const fourth = farm.add();
    const told: number[] = [];
    fourth.on('recovery', ({ share }) => told.push(share));
    await fourth.ready();
    expect(holds(fourth, slot)).toBe(true);
    expect(fourth.status().voters[slot - 1]?.generation).toBe(2);
    expect([told[0], told.at(-1)]).toEqual([0, 1]);
    expect(fourth.status().recovery).toBeNull();
    farm.kill(first);
    // All at once, by four nodes of one process, on a machine that may be busy.
    const values = await Promise.all(keys.map((key) => second.read(key, { timeoutMs: 9000 })));
    expect(values.map((value) => textOf(value)?.replaceAll('.', ''))).toEqual(keys);
    const there = await Promise.all(keys.slice(0, 100).map((key) => fourth.read(key, { timeoutMs: 9000 })));
    expect(there.map((value) => textOf(value)?.replaceAll('.', ''))).toEqual(keys.slice(0, 100));
  });

  it('is replaced where processes may write hardly anything: that limit is for callers', async () => {
    const [first, second, third] = (await farm.start(3, { maxValueSize: 16 })) as [PaxosNode, PaxosNode, PaxosNode];
    const { slot } = third.status();
    farm.kill(third);
    const fourth = farm.add({ maxValueSize: 16 });
    await fourth.ready();
    expect(holds(fourth, slot)).toBe(true);
    await second.resize(1);
    expect(first.status().config?.sizes).toEqual([1]);
  });

  it('is replaced by a process that may not write what it has to read', async () => {
    const transport = drawMulticast();
    const add = (options: NodeOptions): PaxosNode => farm.add({ ...options, transport });
    const voters = [1, 2, 3].map(() => add({ maxValueSize: 3 * 2 ** 20 }));
    await Promise.all(voters.map((node) => node.ready()));
    const [first, , third] = voters as [PaxosNode, PaxosNode, PaxosNode];
    await first.change('b/large', setText('x'.repeat(2 * 2 ** 20), FOREVER), { timeoutMs: 9000 });
    const { slot } = third.status();
    await third.close();
    const small = add({});
    await small.ready();
    expect(holds(small, slot)).toBe(true);
    expect(textOf(await small.read('b/large'))).toHaveLength(2 * 2 ** 20);
  });

  it('is replaced after a good-bye', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    await fill(first, 10);
    const slot = third.status().slot;
    await third.close();
    const fourth = farm.add();
    await fourth.ready();
    expect(holds(fourth, slot)).toBe(true);
    await first.close();
    expect(textOf(await second.read('sess/k3'))).toContain('k3');
  });

  it('is replaced by a learner that has been there', async () => {
    const [, , third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const standby = farm.add();
    await standby.ready();
    expect(standby.status().state).toBe('learner');
    const slot = third.status().slot;
    farm.kill(third);
    await until(() => holds(standby, slot));
  });

  it('is not replaced by a learner that never votes, nor by one that was given another slot', async () => {
    const nodes = [farm.add({ slot: 1 }), farm.add({ slot: 2 }), farm.add({ slot: 3 })] as const;
    await Promise.all(nodes.map((node) => node.ready()));
    const learner = farm.add({ slot: false });
    const wrong = farm.add({ slot: 2 });
    await Promise.all([learner.ready(), wrong.ready()]);
    farm.kill(nodes[2]);
    await until(() => nodes[0].status().voters[2]?.isUp === false);
    await new Promise((resolve) => setTimeout(resolve, 4000));
    expect([learner, wrong].map((node) => node.status().state)).toEqual(['learner', 'learner']);
    const right = farm.add({ slot: 3 });
    await until(() => holds(right, 3));
  });
});

describe('a voter that is cut off for long', () => {
  it('finds its slot taken when it is heard again, says so, and goes on as a learner', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const keys = await fill(first, 50);
    const standby = farm.add();
    await standby.ready();
    const slot = third.status().slot;
    const { fate } = farm.hub;
    farm.kill(third);
    await until(() => holds(standby, slot));
    await second.change('sess/k0', setText('later', FOREVER));
    farm.hub.fate = fate;
    await until(() => third.status().state === 'learner');
    expect(farm.warnings.find(({ code }) => code === 'fenced')).toMatchObject({ node: 'node-3' });
    expect(third.status().records).toBe(0);
    await until(() => third.status().isReady);
    expect(textOf(await third.read('sess/k0'))).toBe('later');
    expect(textOf(await third.read(keys[7] ?? ''))).toContain('k7');
  });

  it('gives its memory to its successor, were there nobody else to read from', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const standby = farm.add();
    await standby.ready();
    const keys = await fill(first, 300);
    const { slot } = third.status();
    // Those that have agreed to it are never heard with what they hold.
    let isHeard = false;
    farm.hub.fate = ({ from, to, isFrame }) => {
      const isCut = (from === 3 || to === 3) && (!isHeard || (from !== 4 && to !== 4));
      return { delaysMs: isCut || (isFrame && from !== 3) ? [] : [0] };
    };
    await until(() => standby.status().state === 'recovering');
    isHeard = true;
    await until(() => holds(standby, slot));
    expect(third.status().state).toBe('learner');
    farm.kill(second);
    for (const key of keys) expect(textOf(await standby.read(key))).toContain(key);
  });

  it('keeps its slot while nobody can take it', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const { fate } = farm.hub;
    farm.kill(third);
    await until(() => first.status().voters[third.status().slot - 1]?.isUp === false);
    await second.change('sess/a', setText('a', FOREVER));
    farm.hub.fate = fate;
    await until(() => third.status().isReady);
    expect(third.status().state).toBe('voter');
    farm.kill(second);
    expect(textOf(await third.read('sess/a'))).toBe('a');
  });
});

describe('a farm whose voters end faster than others have their memory', () => {
  it('begins anew, with what those held that are left', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const keys = await fill(first, 60);
    await second.change('sess/k7', remove);
    await until(() => third.status().records >= 60);
    await Promise.all([first.close(), second.close()]);
    const fresh = [farm.add(), farm.add()];
    await Promise.all(fresh.map((node) => node.ready()));
    await until(() => third.status().isReady);
    expect(new Set([third, ...fresh].map((node) => node.status().incarnation)).size).toBe(1);
    expect(farm.warnings.filter(({ code }) => code === 'memory-lost').map(({ node }) => node)).toContain('node-3');
    const kept = keys.filter((key) => key !== 'sess/k7');
    const reader = fresh[1] as PaxosNode;
    await until(async () => {
      const values = await Promise.all(kept.map((key) => reader.read(key)));
      return values.every((value, index) => textOf(value)?.replaceAll('.', '') === kept[index]);
    });
    expect(textOf(await reader.read('sess/k7'))).toBeNull();
  });

  it('says what is lost, when who is left ends too before there is another', async () => {
    const [first, second, third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    await fill(first, 20);
    await until(() => third.status().records >= 20);
    await Promise.all([first.close(), second.close()]);
    await until(() => farm.warnings.some(({ code, node }) => code === 'memory-lost' && node === 'node-3'));
    await third.close();
    const said = farm.warnings.find(({ code, node }) => code === 'hand-over' && node === 'node-3');
    expect(said?.message).toContain('20 records');
  });
});

describe('while a slot changes hands', () => {
  it('what was asked before leaves as asked before, and the round begins anew', async () => {
    const [node] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const { incarnation, formedAtMs, voters, cluster } = node.status();
    const before: View = {
      incarnation: Number.parseInt(incarnation ?? '', 36),
      formedAtMs: formedAtMs ?? 0,
      holders: voters.map(({ process, generation, name }) => ({
        process: Number.parseInt(process ?? '', 36),
        generation,
        name: name ?? '',
      })),
    };
    const other = voters.find(({ isSelf }) => !isSelf)?.slot ?? 0;
    const viewOf = (generation: number): View => ({
      ...before,
      holders: before.holders.with(other - 1, { process: STRANGER, generation, name: 'stranger' }),
    });
    const prepares: { readonly key: string; readonly round: number; readonly vector: number }[] = [];
    const keyring = await makeKeyring(false, cluster);
    const { randomBytes } = systemRuntime;
    const opener = new Opener({ keyring, randomBytes, own: [], retentionMs: 60_000, isRecent: () => true });
    farm.hub.fate = ({ from, to, bytes }) => {
      const opened = from === 1 && to === 2 ? opener.open(bytes, performance.now()) : null;
      const body = opened?.ok === true ? decodeBody(opened.body) : null;
      for (const message of body?.ok === true ? body.messages : []) {
        if (message.type !== 'prepare' || body?.ok !== true) continue;
        prepares.push({ key: message.key, round: message.ballot.round, vector: body.envelope.vector });
      }
      return { delaysMs: [0] };
    };
    const stranger = farm.hub.transport();
    const say = (view: View): void => {
      const clockMs = Date.now();
      const { incarnation } = view;
      const envelope = (to: number) => ({
        from: STRANGER,
        to,
        clockMs,
        incarnation,
        slot: other,
        vector: vectorOf(view),
      });
      const [sealer, frameSealer] = [new Sealer(keyring, randomBytes), new Sealer(keyring, randomBytes)];
      const outbox = new Outbox({ sealer, frameSealer, envelope, maxDatagramSize: 1400 });
      outbox.add(0, encodeMessage(helloOf('stranger', view, { phase: 'recovering', slot: other })));
      outbox.flush((_, datagram) => stranger.send({ host: '127.0.0.1', port: 1 }, datagram));
    };
    for (let generation = 2; generation < 8; generation += 1) {
      const key = `b/${generation}`;
      await new Promise((resolve) => setImmediate(resolve));
      // It arrives behind the call, and before what the call sends has left.
      say(viewOf(generation));
      await node.change(key, setText('x', FOREVER), { timeoutMs: 100 }).catch(() => undefined);
      const asked = prepares.filter((prepare) => prepare.key === key);
      const first = Math.min(...asked.map(({ round }) => round));
      const vectors = (isFirst: boolean): number[] => [
        ...new Set(asked.flatMap(({ round, vector }) => ((round === first) === isFirst ? vector : []))),
      ];
      expect(vectors(true)).toEqual([vectorOf(generation === 2 ? before : viewOf(generation - 1))]);
      expect(vectors(false)).toEqual([vectorOf(viewOf(generation))]);
    }
  });

  it('nothing is applied twice, and nothing is lost', async () => {
    const nodes = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    let isOver = false;
    let done = 0;
    let unknown = 0;
    const count = async (node: PaxosNode): Promise<void> => {
      while (!isOver) {
        await node.change('sess/n', increment(FOREVER)).then(
          () => {
            done += 1;
          },
          (error: { code?: string }) => {
            if (error.code === 'ERR_OUTCOME_UNKNOWN') unknown += 1;
          },
        );
      }
    };
    const standby = farm.add();
    await standby.ready();
    const counting = [nodes[0], nodes[1], standby].map(count);
    farm.kill(nodes[2]);
    await until(() => standby.status().state === 'voter');
    const before = done;
    await until(() => done > before + 20);
    farm.kill(nodes[0]);
    await until(() => done > before + 60);
    isOver = true;
    await Promise.all(counting);
    const total = Number(textOf(await standby.read('sess/n')));
    expect(total).toBeGreaterThanOrEqual(done);
    expect(total).toBeLessThanOrEqual(done + unknown);
  });
});
