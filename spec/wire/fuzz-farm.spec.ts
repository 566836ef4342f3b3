/** Whole nodes amid hostile traffic: made live from what they say themselves, while clients work. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { PaxosError } from '../../lib/errors.js';
import type { PaxosNode } from '../../lib/node/node.js';
import type { Receiver, Transport } from '../../lib/transport/index.js';
import { decodeBody, decodeEnvelope } from '../../lib/wire/decode.js';
import { encodeEnvelope } from '../../lib/wire/encode.js';
import { type Keyring, makeKeyring } from '../../lib/wire/keyring.js';
import { Opener } from '../../lib/wire/open.js';
import { Sealer } from '../../lib/wire/seal.js';
import { Farm, increment, setText, textOf, until } from '../node/farm.js';
import { effort, FUZZING_TIMEOUT_MS, runs } from './fuzzing.js';
import { byteMutations, lies, type Mutation, mutated, mutations } from './mutation.js';
import { SECRET } from './traffic.js';

jest.setTimeout(FUZZING_TIMEOUT_MS);

const OPTIONS = { secret: SECRET, cluster: 'default' };
/** Datagrams to choose from: the latest. */
const MEMORY = 400;
/** Hostile datagrams in one turn of the event loop. */
const BURST = 10;
/** Told to one farm, which may be past all help by then. */
const LIES = 500;
const KEYS = ['b/one', 'b/two', 'b/three'];

let farm: Farm;
let keyring: Keyring;
/** What left the nodes' receivers as an exception, which none may. */
let thrown: unknown[];
let recent: Buffer[];
/** Of the nodes, in their order. */
let ports: number[];

beforeAll(async () => {
  keyring = await makeKeyring(SECRET, 'default');
});
beforeEach(() => {
  farm = new Farm();
  thrown = [];
  recent = [];
  ports = [];
});
afterEach(() => farm.close());

/** Notes what its receiver throws, and goes on. */
function watched(): Transport {
  const transport = farm.hub.transport();
  ports.push(transport.port);
  const guard = (receive: () => boolean): boolean => {
    try {
      return receive();
    } catch (error) {
      thrown.push(error);
      return false;
    }
  };
  return {
    ...transport,
    open: (receiver: Receiver) =>
      transport.open({
        onDatagram: (bytes, from) => guard(() => receiver.onDatagram(bytes, from)),
        onFrame: (bytes, from) => guard(() => receiver.onFrame(bytes, from)),
        onWarning: (code, message) => receiver.onWarning(code, message),
      }),
  };
}

async function startFarm(timeout = 5000): Promise<PaxosNode[]> {
  const nodes = [1, 2, 3].map(() => farm.add({ ...OPTIONS, timeout, transport: watched() }));
  await Promise.all(nodes.map((node) => node.ready()));
  for (const node of nodes) node.answer('echo', (payload) => payload);
  farm.hub.fate = ({ from, bytes }) => {
    if (ports.includes(from)) {
      recent.push(Buffer.from(bytes));
      if (recent.length > MEMORY) recent.shift();
    }
    return { delaysMs: [0] };
  };
  return nodes;
}

/** What clients were told. */
interface Ledger {
  readonly acknowledged: Map<string, number[]>;
  /** What was asked, and the answer. */
  readonly echoed: [string, unknown][];
  unknown: number;
  failed: number;
}

/** Clients that count, each at its node, until told to stop. */
async function work(nodes: readonly PaxosNode[], isOver: () => boolean): Promise<Ledger> {
  const ledger: Ledger = { acknowledged: new Map(KEYS.map((key) => [key, []])), echoed: [], unknown: 0, failed: 0 };
  const inAnHour = Date.now() + 3_600_000;
  const client = async (node: PaxosNode, key: string): Promise<void> => {
    while (!isOver()) {
      try {
        const { result } = await node.change(key, increment(inAnHour));
        ledger.acknowledged.get(key)?.push(result);
        await node.change(`b/large-${key}`, setText('large '.repeat(400), inAnHour));
        await node.read(key);
        await node.ids('b');
        const answers = await node.ask('echo', { key, large: 'large '.repeat(result % 10 === 0 ? 400 : 1) });
        for (const { value, error } of answers) if (error === undefined) ledger.echoed.push([key, value]);
      } catch (error) {
        if (!(error instanceof PaxosError)) throw error;
        if (error.code === 'ERR_OUTCOME_UNKNOWN') ledger.unknown += 1;
        ledger.failed += 1;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  };
  await Promise.all(nodes.flatMap((node) => KEYS.map((key) => client(node, key))));
  return ledger;
}

/** Sends what `make` makes to all nodes, as datagrams and as frames, some each turn. @returns how many */
async function attack(
  changes: fc.Arbitrary<readonly Mutation[]>,
  make: Make,
  count: number,
  episode: number,
): Promise<number> {
  const attacker = farm.hub.transport();
  const { seed = Math.floor(Math.random() * 2 ** 31) } = effort();
  const attempts = fc.tuple(changes, fc.nat(), fc.nat(), fc.nat(9));
  const list = fc.sample(attempts, { seed: seed + episode, numRuns: count });
  let sent = 0;
  for (const [index, [change, one, two, way]] of list.entries()) {
    // Of other lengths than the clients' messages come in.
    await until(() => recent.length > 50);
    const bytes = make(
      recent[one % recent.length] ?? Buffer.alloc(0),
      change,
      recent[two % recent.length] ?? Buffer.alloc(0),
    );
    if (bytes !== null) {
      sent += 1;
      const port = ports[two % ports.length] ?? 0;
      if (way === 0) attacker.sendStream({ host: '127.0.0.1', port }, bytes);
      else if (way < 4) attacker.send({ host: '127.0.0.1', port }, bytes);
      else attacker.broadcast(bytes);
    }
    if (index % BURST === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return sent;
}

type Make = (sealed: Buffer, changes: readonly Mutation[], other: Buffer) => Buffer | null;

/** Has the clients work during an attack, and for a while after it. */
async function underAttack(
  nodes: readonly PaxosNode[],
  changes: fc.Arbitrary<readonly Mutation[]>,
  make: Make,
  count = 2 * runs(),
  episode = 0,
): Promise<{ readonly ledger: Ledger; readonly sent: number }> {
  let isOver = false;
  const working = work(nodes, () => isOver);
  const sent = await attack(changes, make, count, episode);
  isOver = true;
  return { ledger: await working, sent };
}

/** Each acknowledged increment counted once, and nothing else. */
async function checkAnswers(nodes: readonly PaxosNode[], { acknowledged, echoed, unknown }: Ledger): Promise<void> {
  expect(echoed.length).toBeGreaterThan(0);
  expect(echoed.every(([key, value]) => (value as { key?: unknown }).key === key)).toBe(true);
  for (const [key, results] of acknowledged) {
    expect(new Set(results).size).toBe(results.length);
    expect(results.length).toBeGreaterThan(0);
    for (const node of nodes) {
      const count = Number(textOf(await node.read(key)));
      expect(count).toBeGreaterThanOrEqual(results.length);
      expect(count).toBeLessThanOrEqual(results.length + unknown);
    }
  }
}

/** Each node as it was: a voter that sees the others where they are. */
function checkFarm(nodes: readonly PaxosNode[]): void {
  for (const node of nodes) {
    const { state, voters, learners } = node.status();
    expect({ state, learners }).toEqual({ state: 'voter', learners: [] });
    for (const { isSelf, isUp, address, name } of voters) {
      expect(isUp).toBe(true);
      const index = nodes.findIndex((each) => each.status().name === name);
      if (!isSelf) expect(address).toBe(`127.0.0.1:${ports[index]}`);
    }
  }
}

/** Changes what the nodes send inside, where only those can who know the secret. */
function bodiesOf(make: Make): Make {
  const opener = new Opener({ keyring, randomBytes });
  const bodies: Buffer[] = [];
  return (sealed, changes, other) => {
    const opened = opener.open(sealed, performance.now());
    if (opened.ok) bodies.push(opened.body);
    if (bodies.length > MEMORY) bodies.shift();
    const [first = Buffer.alloc(0)] = bodies;
    return make(bodies[(sealed.length * other.length) % bodies.length] ?? first, changes, first);
  };
}

function sizeOfEnvelope(body: Buffer): number {
  const envelope = decodeEnvelope(body);
  return envelope === null ? 0 : encodeEnvelope(envelope).length;
}

describe('a farm at work', () => {
  it('is not touched by those who lack the secret: changed datagrams, replays, garbage', async () => {
    const nodes = await startFarm();
    const { ledger, sent } = await underAttack(nodes, byteMutations, (sealed, changes, other) => {
      // A third of them replays as they were.
      return changes.length === 2 ? sealed : mutated(sealed, changes, other);
    });
    expect(sent).toBe(2 * runs());
    await checkAnswers(nodes, ledger);
    checkFarm(nodes);
    expect(thrown).toEqual([]);
    expect(ledger.failed).toBe(0);
    expect(farm.warnings).toEqual([]);
    for (const node of nodes) expect(node.status().network).toMatchObject({ malformed: 0, tooOld: 0, unknownType: 0 });
  });

  it('is not touched by a peer that knows the secret and talks nonsense, which is warned of once', async () => {
    const nodes = await startFarm();
    const sealer = new Sealer(keyring, randomBytes);
    const nonsense = bodiesOf((body, changes, other) => {
      const bytes = mutated(body, changes, other);
      return decodeBody(bytes).ok ? null : sealer.seal(bytes);
    });
    const { ledger, sent } = await underAttack(nodes, mutations, nonsense);
    expect(sent).toBeGreaterThan(runs() / 2);
    await checkAnswers(nodes, ledger);
    checkFarm(nodes);
    expect(thrown).toEqual([]);
    expect(ledger.failed).toBe(0);
    for (const node of nodes) expect(node.status().network.malformed).toBeGreaterThan(0);
    expect(farm.warnings.map(({ code, node }) => `${code} ${node}`).sort()).toEqual(
      nodes.map((_, i) => `malformed node-${i + 1}`),
    );
  });

  // What they answer may be wrong by then, and they may vote no more: who knows the secret is trusted.
  it.each(Array.from({ length: Math.ceil(runs() / LIES) }, (_, episode) => episode))(
    'goes on whatever a peer says that knows the secret and lies (%d)',
    async (episode) => {
      const nodes = await startFarm(200);
      const sealer = new Sealer(keyring, randomBytes);
      const lying = bodiesOf((body, changes, other) => {
        // The envelope stays: one clock that is wrong by far, and nothing is listened to any more.
        const at = sizeOfEnvelope(body);
        const lie = Buffer.concat([body.subarray(0, at), mutated(body.subarray(at), changes, other)]);
        return decodeBody(lie).ok ? sealer.seal(lie) : null;
      });
      const { sent } = await underAttack(nodes, lies, lying, 2 * LIES, episode);
      expect(sent).toBeGreaterThan(LIES / 10);
      expect(thrown).toEqual([]);
      for (const node of nodes) {
        // One that has lost its slot by a lie may be about to have its memory again.
        await until(() => ['voter', 'learner'].includes(node.status().state));
        expect(node.status().network.sealing?.opened).toBeGreaterThan(sent / 10);
      }
      const codes = farm.warnings.map(({ code, node }) => `${code} ${node}`);
      // Within a minute, one of a kind.
      expect(new Set(codes).size).toBe(codes.length);
    },
  );
});
