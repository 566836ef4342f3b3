import { afterEach, describe, expect, it } from '@jest/globals';
import { NoQuorumError, OutcomeUnknownError } from '../../lib/errors.js';
import type { PaxosNode } from '../../lib/node/node.js';
import type { ResizeProgress } from '../../lib/node/resize.js';
import { FOREVER } from '../../lib/paxos/index.js';
import { Farm, increment, setText, textOf, until } from './farm.js';

let farm = new Farm();

afterEach(async () => {
  await farm.close();
  farm = new Farm();
});

const votersOf = (node: PaxosNode): string[] => node.status().voters.map(({ name }) => name ?? '');
const agrees = (node: PaxosNode, size: number): boolean => {
  const { clusterSize, resize, voters } = node.status();
  return clusterSize === size && resize === null && voters.length === size;
};

describe('the number of voters', () => {
  it('goes from one to three, to five, to three, to one while the farm serves: nothing is lost, nothing applied twice', async () => {
    const first = farm.add({ clusterSize: 1 });
    await first.ready();
    const others = await farm.start(4, { clusterSize: 5 });
    const all = [first, ...others];
    await Promise.all(
      Array.from({ length: 300 }, (_, index) => first.change(`sess/k${index}`, setText(`v${index}`, FOREVER))),
    );
    let isOver = false;
    const results: number[] = [];
    // On a busy machine five that outbid each other may use up all the time there is.
    let unknown = 0;
    const clients = all.map(async (node) => {
      while (!isOver) {
        // A process that is its farm's only voter needs nobody, and would leave the others no time.
        await new Promise((resolve) => setTimeout(resolve, 10));
        try {
          results.push((await node.change('n/hot', increment(FOREVER), { timeoutMs: 9000 })).result);
        } catch (error) {
          if (error instanceof OutcomeUnknownError) unknown += 1;
          else if (!(error instanceof NoQuorumError)) throw error;
        }
      }
    });
    const told: string[] = [];
    first.on('resize', ({ from, to, stage }: ResizeProgress) => told.push(`${from} ${to} ${stage}`));
    for (const size of [3, 5, 3, 1]) {
      await all[size - 1]?.resize(size);
      await until(() => all.every((node) => agrees(node, size)));
      const done = results.length;
      await until(() => results.length > done + 20);
    }
    isOver = true;
    await Promise.all(clients);
    expect(new Set(results).size).toBe(results.length);
    const count = Number(textOf(await first.read('n/hot')));
    expect(count).toBeGreaterThanOrEqual(results.length);
    expect(count).toBeLessThanOrEqual(results.length + unknown);
    expect(Math.max(...results)).toBeLessThan(count);
    const read = await Promise.all(all.flatMap((node) => [0, 150, 299].map((index) => node.read(`sess/k${index}`))));
    expect(read.map(textOf)).toEqual(all.flatMap(() => ['v0', 'v150', 'v299']));
    expect([...new Set(told)]).toEqual([
      '1 3 gathering',
      '1 3 copying',
      '3 3 done',
      '3 5 gathering',
      '3 5 copying',
      '5 5 done',
      '5 3 copying',
      '3 1 copying',
      '1 1 done',
    ]);
    expect(farm.warnings.filter(({ code }) => code === 'fenced')).toEqual([]);
  });

  it('grows by servers of which each takes a slot, those included that came too late for the first one they asked for', async () => {
    const patient = { timeout: 60_000, maxClockSkewMs: 70_000 };
    const first = farm.add({ ...patient, clusterSize: 1 });
    await first.ready();
    const others = await farm.start(4, { ...patient, clusterSize: 5 });
    const all = [first, ...others];
    await first.resize(3);
    await until(() => all.every((node) => agrees(node, 3)));
    // Four asked for two slots: whom nobody answers any more does not wait until its time is up, but until it hears who holds it.
    const inFlight = (): number[] => all.map((node) => node.status().operations.inFlight);
    await until(() => inFlight().every((count) => count === 0), inFlight, patient.timeout / 2);
    await first.resize(5);
    await until(() => all.every((node) => agrees(node, 5)));
  });

  it('is what decides from then on: of five two may go, of three that were five one', async () => {
    const nodes = await farm.start(3);
    const [first, second, third] = nodes as [PaxosNode, PaxosNode, PaxosNode];
    const [fourth, fifth] = (await farm.start(2)) as [PaxosNode, PaxosNode];
    await first.change('sess/a', setText('five', FOREVER));
    await first.resize(5);
    farm.kill(first);
    farm.kill(second);
    expect(textOf(await fourth.read('sess/a', { timeoutMs: 9000 }))).toBe('five');
    await fifth.change('sess/a', setText('two gone', FOREVER), { timeoutMs: 9000 });
    expect(votersOf(third)).toHaveLength(5);
  });

  it('waits for servers to take the slots that come, says so, and can be given up until then', async () => {
    const [first, second] = (await farm.start(3)) as [PaxosNode, PaxosNode, PaxosNode];
    const standby = farm.add();
    await standby.ready();
    const asked = first.resize(5, { timeoutMs: 5000 }).catch((error: unknown) => error);
    await until(() => standby.status().state === 'voter');
    const missing = 9 - standby.status().slot;
    expect(await asked).toMatchObject({
      code: 'ERR_RESIZE_PENDING',
      missing: [missing],
      message: expect.stringContaining(
        `waits for servers that take slot ${missing}: start them, or call resize(3) to give it up.`,
      ),
    });
    expect(second.status().resize).toEqual({ from: 3, to: 5, stage: 'gathering', missing: [missing] });
    // A majority of the three still decides.
    expect(second.status().quorum).toBe(2);
    await second.resize(3);
    await until(() => farm.nodes.every((node) => agrees(node, 3)));
    expect(standby.status().state).toBe('learner');
    const later = farm.add();
    await later.ready();
    await second.resize(5);
    await until(() => farm.nodes.every((node) => node.status().state === 'voter'));
  });

  it('goes on though whoever asked for it ends amid it', async () => {
    const nodes = await farm.start(3);
    const asking = farm.add({ slot: false });
    await asking.ready();
    const asked = asking.resize(5).catch((error: unknown) => error);
    await until(() => nodes.every((node) => node.status().resize?.stage === 'gathering'));
    farm.kill(asking);
    const added = await farm.start(2);
    await until(() => [...nodes, ...added].every((node) => agrees(node, 5)));
    await asking.close();
    expect(await asked).toMatchObject({ code: 'ERR_CLOSED' });
  });

  it('is not brought below what a majority of the slots that stay can decide', async () => {
    const nodes = await farm.start(5, { clusterSize: 5 });
    const bySlot = [...nodes].sort((a, b) => a.status().slot - b.status().slot) as PaxosNode[];
    farm.kill(bySlot[0] as PaxosNode);
    farm.kill(bySlot[1] as PaxosNode);
    await expect(bySlot[3]?.resize(3, { timeoutMs: 7000 })).rejects.toThrow(
      /a majority of slots 1 to 3 has to vote first/,
    );
    expect(bySlot[3]?.status().resize).toBeNull();
  });

  it('is a whole number from 1 to 99', async () => {
    const node = farm.add({ clusterSize: 1 });
    await expect(node.resize(0)).rejects.toThrow('Option size got 0; it takes a whole number from 1 to 99.');
    await expect(node.resize(100)).rejects.toThrow('a whole number from 1 to 99');
  });
});
