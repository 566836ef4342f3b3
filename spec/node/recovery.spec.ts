import { afterEach, describe, expect, it } from '@jest/globals';
import type { PaxosNode } from '../../lib/node/node.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { Farm, increment, remove, setText, textOf, until } from './farm.js';

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
  await Promise.all(keys.map((key) => node.change(key, setText(key.padEnd(size, '.'), FOREVER))));
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
    const values = await Promise.all(keys.map((key) => second.read(key)));
    expect(values.map((value) => textOf(value)?.replaceAll('.', ''))).toEqual(keys);
    const there = await Promise.all(keys.slice(0, 100).map((key) => fourth.read(key)));
    expect(there.map((value) => textOf(value)?.replaceAll('.', ''))).toEqual(keys.slice(0, 100));
  }, 60_000);

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
  }, 30_000);

  it('is replaced by a learner that has been there', async () => {
    const [, , third] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const standby = farm.add();
    await standby.ready();
    expect(standby.status().state).toBe('learner');
    const slot = third.status().slot;
    farm.kill(third);
    await until(() => holds(standby, slot));
  }, 30_000);

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
  }, 60_000);
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
  }, 60_000);

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
  }, 60_000);
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
  }, 60_000);
});

describe('while a slot changes hands', () => {
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
  }, 60_000);
});
