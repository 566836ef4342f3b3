/** Watches on three voters and a learner that talk to each other. */
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ClosedError, UnreadableValueError } from '../../lib/errors.js';
import { type Change, PaxosKV, REMOVE, type Watch } from '../../lib/kv/index.js';
import type { PaxosNode } from '../../lib/node/node.js';
import { decodeBody, makeKeyring, Opener } from '../../lib/wire/index.js';
import { Farm, setText, until } from '../node/farm.js';
import type { Traffic } from '../node/hub.js';

const LEARNER_PORT = 4;

let farm: Farm;
let nodes: PaxosNode[];
let stores: PaxosKV[];
let first: PaxosKV;
let second: PaxosKV;
let learner: PaxosKV;

beforeEach(async () => {
  farm = new Farm();
  nodes = await farm.start(3);
  nodes.push(farm.add({ slot: false }));
  await nodes[3]?.ready();
  stores = nodes.map((node) => new PaxosKV({ node }));
  [first, second, , learner] = stores as [PaxosKV, PaxosKV, PaxosKV, PaxosKV];
});

afterEach(async () => {
  await Promise.all(stores.map((kv) => kv.close()));
  await farm.close();
});

/** What a watch has told: `a=1`, `a-` for what was removed. */
class Log {
  readonly lines: string[] = [];
  readonly last = new Map<string, unknown>();
  readonly revisions = new Map<string, bigint>();
  readonly ended: Promise<void>;
  hasGoneBack = false;

  constructor(readonly watch: Watch<Change>) {
    this.ended = this.#follow();
    this.ended.catch(() => undefined);
  }

  async #follow(): Promise<void> {
    for await (const { key, kind, entry } of this.watch) {
      const name = String(key);
      this.lines.push(kind === 'removed' ? `${name}-` : `${name}=${entry?.value}`);
      if (entry === null) this.last.delete(name);
      else this.last.set(name, entry.value);
      const revision = entry?.revision ?? this.revisions.get(name) ?? 0n;
      if (revision < (this.revisions.get(name) ?? 0n)) this.hasGoneBack = true;
      this.revisions.set(name, revision);
    }
  }
}

async function logsOf(...options: Parameters<PaxosKV['watch']>): Promise<Log[]> {
  const logs = stores.map((kv) => new Log(kv.watch(...options)));
  await Promise.all(logs.map((log) => log.watch.ready()));
  return logs;
}

/** Loses every datagram that tells of a commit, to whomever. @returns how many were lost so far */
async function loseCommits(): Promise<() => number> {
  const keyring = await makeKeyring(false, 'default');
  const openers = new Map<number, Opener>();
  let lost = 0;
  farm.hub.fate = ({ to, bytes }: Traffic) => {
    const opener = openers.get(to) ?? new Opener({ keyring, randomBytes });
    openers.set(to, opener);
    const opened = opener.open(bytes, performance.now());
    const body = opened.ok ? decodeBody(opened.body) : null;
    if (body?.ok !== true || !body.messages.some(({ type }) => type === 'commit')) return { delaysMs: [0] };
    lost += 1;
    return { delaysMs: [] };
  };
  return () => lost;
}

const ALL = { prefix: '' };

describe('Watches of a farm', () => {
  it('tell every node, the learner too, of each change in order', async () => {
    const logs = await logsOf(ALL);
    await first.set('a', 1);
    await until(() => logs.every(({ lines }) => lines.length === 1));
    await second.set('a', 2);
    await until(() => logs.every(({ lines }) => lines.length === 2));
    await learner.delete('a');
    await until(() => logs.every(({ lines }) => lines.length === 3));
    await first.set('a', 3);
    await until(() => logs.every(({ lines }) => lines.length === 4));
    for (const { lines } of logs) expect(lines).toEqual(['a=1', 'a=2', 'a-', 'a=3']);
  });

  it('find within seconds what every word was lost of', async () => {
    await first.set('before', 1);
    await first.set('gone', 1);
    const logs = [...(await logsOf(ALL)), ...(await logsOf('b'))];
    const lost = await loseCommits();
    for (let n = 0; n < 20; n += 1) {
      await (stores[n % 4] as PaxosKV).set(`k${n % 5}`, n);
      await (stores[(n + 1) % 4] as PaxosKV).set('b', n);
    }
    await second.delete('gone');
    await second.update('k0', () => REMOVE);
    const truth = new Map<string, unknown>();
    for await (const { key, value } of first.entries()) truth.set(String(key), value);
    await until(() => logs.slice(0, 4).every(({ last }) => !last.has('k0') && last.get('k4') === 19));
    await until(() => logs.every(({ last }) => last.get('b') === 19));
    await until(() => logs.slice(0, 4).every(({ lines }) => lines.includes('gone-')));
    expect(lost()).toBeGreaterThan(40);
    for (const { last, hasGoneBack } of logs.slice(0, 4)) {
      expect(hasGoneBack).toBe(false);
      // Of what was there before nothing is told.
      expect(new Map([['before', 1], ...last] as [string, unknown][])).toEqual(truth);
    }
  });

  it('find what has happened while the learner was cut off', async () => {
    const log = new Log(learner.watch(ALL, { initial: true }));
    await log.watch.ready();
    await first.set('a', 1);
    await first.set('b', 1);
    await until(() => log.last.size === 2);
    farm.hub.fate = ({ from, to }) =>
      from === LEARNER_PORT || to === LEARNER_PORT ? { delaysMs: [] } : { delaysMs: [0] };
    await first.set('a', 2);
    await first.delete('b');
    await first.set('c', 3);
    await new Promise((resolve) => setTimeout(resolve, 7000));
    expect(log.lines).toEqual(['a=1', 'b=1']);
    farm.hub.fate = () => ({ delaysMs: [0] });
    await until(() => log.lines.length === 5);
    expect(log.lines.slice(2).sort()).toEqual(['a=2', 'b-', 'c=3']);
  });

  it('tell of the end of keys, by their time and by what they live by', async () => {
    const logs = await logsOf(ALL);
    const lease = await first.lease({ ttlMs: 60_000 });
    await first.set('timed', 1, { ttlMs: 2500 });
    await second.set('leased', 1, { lease: lease.id });
    await until(() => logs.every(({ lines }) => lines.includes('timed=1') && lines.includes('leased=1')));
    await lease.release();
    await until(() => logs.every(({ lines }) => lines.includes('timed-') && lines.includes('leased-')));
    for (const { lines } of logs) expect(lines).toHaveLength(4);
  });

  it('with initial, begin with what is there', async () => {
    const heard = stores.map((kv) => {
      const keys = new Set<string>();
      kv.on('change', ({ key }) => keys.add(String(key)));
      return keys;
    });
    await Promise.all(Array.from({ length: 50 }, (_, n) => first.set(['n', n], n)));
    await until(() => heard.every((keys) => keys.size === 50));
    const logs = await logsOf({ prefix: ['n'] }, { initial: true, limit: 20 });
    await until(() => logs.every(({ last }) => last.size === 50));
    for (const { lines } of logs) expect(lines).toHaveLength(50);
  });

  it('emit change on every node, and on each for its bucket alone', async () => {
    const seen: string[] = [];
    stores.forEach((kv, index) => {
      kv.on('change', ({ key, kind }) => seen.push(`${index} ${kind} ${key}`));
    });
    await logsOf(ALL);
    await first.bucket('other').set('a', 1);
    await first.set('a', 1);
    await until(() => seen.length === 4);
    await second.delete('a');
    await until(() => seen.length === 8);
    expect(seen.slice(0, 4).sort()).toEqual(['0 set a', '1 set a', '2 set a', '3 set a']);
    expect(seen.slice(4).sort()).toEqual(['0 removed a', '1 removed a', '2 removed a', '3 removed a']);
    for (const kv of stores) kv.removeAllListeners('change');
  });

  it('warn in place of a change that can not be read, and tell of it whoever waits for it', async () => {
    const warnings: string[] = [];
    const changes: unknown[] = [];
    first.on('warning', ({ code, message }) => warnings.push(`${code} ${message}`));
    first.on('change', ({ key }) => changes.push(key));
    const log = new Log(first.watch(ALL));
    const other = new Log(first.watch('b'));
    await Promise.all([log.watch.ready(), other.watch.ready()]);
    await nodes[1]?.change('kv/sa', setText('of something else', Date.now() + 60_000));
    await expect(log.ended).rejects.toThrow(UnreadableValueError);
    await until(() => warnings.length > 0);
    expect(warnings).toEqual([expect.stringMatching(/^unreadable-change .*"a"/)]);
    await second.set('b', 1);
    await until(() => other.lines.length === 1 && changes.length === 1);
    expect(changes).toEqual(['b']);
  });

  it('give that warning to Node where nobody listens', async () => {
    const emitWarning = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined);
    first.on('change', () => undefined);
    const { watch } = new Log(first.watch('b'));
    await watch.ready();
    await nodes[1]?.change('kv/sa', setText('of something else', Date.now() + 60_000));
    await until(() => emitWarning.mock.calls.length > 0);
    expect(emitWarning.mock.calls[0]).toMatchObject([expect.stringContaining('"a"'), { code: 'unreadable-change' }]);
    emitWarning.mockRestore();
  });

  it('end with their store, and with their node', async () => {
    const [one, two] = await logsOf(ALL);
    await first.close();
    await one?.ended;
    expect(() => first.watch('a')).toThrow(ClosedError);
    await nodes[1]?.close();
    await two?.ended;
    expect(() => second.watch('a')).toThrow(ClosedError);
    second.on('change', () => undefined);
  });
});
