import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ClosedError,
  ConfigError,
  HandlerFailedError,
  NoAnswerError,
  NoHandlerError,
  NoQuorumError,
  OverloadedError,
  ValueTooLargeError,
} from '../../lib/errors.js';
import type { Answer } from '../../lib/node/asking.js';
import type { PaxosNode } from '../../lib/node/node.js';
import { type Envelope, encodeMessage, encodeValue, makeKeyring, Outbox, Sealer } from '../../lib/wire/index.js';
import { Farm, until } from './farm.js';

let farm: Farm;
beforeEach(() => {
  farm = new Farm();
});
afterEach(() => farm.close());

/** What was said, by the names of those who said it. */
function said(answers: readonly Answer[]): Record<string, unknown> {
  return Object.fromEntries(answers.map(({ member, value, error }) => [member.name, error?.code ?? value]));
}

async function start(count: number, options = {}): Promise<[PaxosNode, PaxosNode, PaxosNode, ...PaxosNode[]]> {
  const nodes = await farm.start(count, options);
  await until(() => nodes.every((node) => node.members().length === count && node.members().every(({ isUp }) => isUp)));
  await until(() => nodes.every((node) => node.members().every(({ role }) => role === 'voter' || role === 'learner')));
  const [a, b, c, ...rest] = nodes;
  if (a === undefined || b === undefined || c === undefined) throw new Error('three were started');
  return [a, b, c, ...rest];
}

const numberOf = (node: PaxosNode): string => node.status().process;

describe('a question', () => {
  it('is answered by each process asked, in the order of the members, itself included', async () => {
    const nodes = await start(4);
    const [first] = nodes;
    for (const node of nodes)
      node.answer('sum', (list, from) => [node.status().name, (list as number[]).length, from.name]);
    const answers = await first.ask('sum', [1, 2, 3], { to: 'all' });
    expect(answers.map(({ member }) => member.process)).toEqual(first.members().map(({ process }) => process));
    expect(answers.map(({ value }) => value)).toEqual(first.members().map(({ name }) => [name, 3, 'node-1']));
    expect((await first.ask('sum', [])).map(({ member }) => member.slot)).toEqual([1, 2, 3]);
    const learner = nodes.find((node) => node.status().slot === 0);
    expect((await learner?.ask('sum', []))?.map(({ member }) => member.slot)).toEqual([1, 2, 3]);
  });

  it('goes to one process, which may be itself, and carries what it is given', async () => {
    const [first, second] = await start(3);
    const asked: unknown[] = [];
    for (const node of [first, second]) {
      node.answer('echo', (payload, { name, isSelf }) => {
        asked.push([name, isSelf]);
        return { payload };
      });
    }
    const payload = { map: new Map([[1n, new Set([new Date(7)])]]), bytes: Buffer.of(1), no: undefined, zero: -0 };
    for (const node of [first, second]) {
      const [answer, ...none] = await first.ask('echo', payload, { to: numberOf(node) });
      expect(none).toEqual([]);
      expect(answer?.value).toStrictEqual({ payload });
    }
    expect(asked).toEqual([
      ['node-1', true],
      ['node-1', false],
    ]);
    expect(await first.ask('echo', undefined, { to: numberOf(second) })).toEqual([
      expect.objectContaining({ value: { payload: undefined } }),
    ]);
  });

  it('says of each what went wrong: no handler, a handler that fails, an answer that can not be sent', async () => {
    const [first, second, third] = await start(3, { maxValueSize: 2000 });
    let isFailing = true;
    second.answer('t', () => {
      if (isFailing) throw new RangeError('too much');
      return () => 1;
    });
    third.answer('t', () => (isFailing ? Promise.reject('no reason') : 'x'.repeat(2000)));
    const answers = await first.ask('t');
    expect(said(answers)).toEqual({
      'node-1': 'ERR_NO_HANDLER',
      'node-2': 'ERR_HANDLER_FAILED',
      'node-3': 'ERR_HANDLER_FAILED',
    });
    const errors = new Map(answers.map(({ member, error }) => [member.name, error]));
    expect(errors.get('node-1')).toBeInstanceOf(NoHandlerError);
    expect(errors.get('node-2')).toBeInstanceOf(HandlerFailedError);
    expect(errors.get('node-2')?.message).toMatch(/The handler of t failed at node-2 .*: too much$/);
    expect(errors.get('node-3')?.message).toMatch(/: no reason$/);
    isFailing = false;
    const again = (await first.ask('t')).flatMap(({ error }) => error?.message ?? []);
    expect(again.join()).toMatch(/value is a function/);
    expect(again.join()).toMatch(/its answer has 2003 bytes; option maxValueSize allows 2000/);
  });

  it('gives the asker of itself what its handler threw', async () => {
    const [first] = await start(3);
    const thrown = new RangeError('own');
    first.answer('t', () => {
      throw thrown;
    });
    const [answer] = await first.ask('t', null, { to: numberOf(first) });
    expect(answer?.error?.cause).toBe(thrown);
  });

  it.each([
    ['longer than may be sent', () => new Error(`é${'ü'.repeat(5000)}`), /: éü{498,499}$/],
    ['half a surrogate pair', () => new Error('a\ud800'), /: a$/],
    ['no text', () => Object.create(null) as object, /: of something that can not be shown$/],
  ])('survives an error with %s', async (_, make, message) => {
    const [first, second] = await start(3);
    second.answer('t', () => {
      throw make();
    });
    const [answer] = await first.ask('t', null, { to: numberOf(second) });
    expect(answer?.error?.message).toMatch(message);
    expect(farm.warnings).toEqual([]);
  });

  it('is given up in time where nobody answers, or the handler takes too long', async () => {
    const [first, second, third] = await start(3);
    second.answer('t', () => new Promise(() => undefined));
    farm.kill(third);
    first.answer('t', () => 'here');
    const answers = await first.ask('t', null, { timeoutMs: 300 });
    expect(said(answers)).toEqual({ 'node-1': 'here', 'node-2': 'ERR_NO_ANSWER', 'node-3': 'ERR_NO_ANSWER' });
    const [slow, dead] = ['node-2', 'node-3'].map((name) => answers.find(({ member }) => member.name === name)?.error);
    expect(slow).toBeInstanceOf(NoAnswerError);
    expect(slow?.message).toMatch(/within 300 ms; it has the question/);
    expect(dead?.message).toMatch(/within 300 ms; it is heard: answers may have been lost/);
    // Or its close would wait for it.
    farm.kill(second);
  });

  it('to a process never heard is given up in time', async () => {
    const [first] = await start(3);
    const answers = await first.ask('t', null, { to: 'abc', timeoutMs: 100 });
    expect(answers).toEqual([
      { member: expect.objectContaining({ process: 'abc', isUp: false }), error: expect.any(NoAnswerError) },
    ]);
    expect(answers[0]?.error?.message).toMatch(/nothing has been heard of it/);
  });

  it('waits for the farm; without one it is refused', async () => {
    const early = farm.add({ timeout: 9000 });
    early.answer('t', () => 1);
    const asked = early.ask('t', null, { timeoutMs: 9000 });
    await expect(early.ask('t', null, { timeoutMs: 50 })).rejects.toThrow(NoQuorumError);
    await farm.start(2);
    expect(Object.values(said(await asked)).sort()).toEqual([1, 'ERR_NO_HANDLER', 'ERR_NO_HANDLER']);
  });

  it('is refused where it is none', async () => {
    const [first] = await start(3, { maxValueSize: 100 });
    for (const topic of ['', 'x'.repeat(129), '\ud800', 7 as never]) {
      await expect(first.ask(topic)).rejects.toThrow(ConfigError);
      expect(() => first.answer(topic, () => 1)).toThrow(ConfigError);
    }
    for (const to of ['', 'voter s', '-1', '0', 'z'.repeat(11), 'zzzzzzzzzz', 'ABC', 7 as never]) {
      await expect(first.ask('t', null, { to })).rejects.toThrow(/Option to got/);
    }
    for (const timeoutMs of [-1, Number.NaN, 10_000, '1' as never]) {
      await expect(first.ask('t', null, { timeoutMs })).rejects.toThrow(/Option timeoutMs got/);
    }
    await expect(first.ask('t', { f: () => 1 })).rejects.toThrow(/The question can't be sent: value\.f is a function/);
    await expect(first.ask('t', 'x'.repeat(100))).rejects.toThrow(ValueTooLargeError);
    expect(() => first.answer('t', 'no function' as never)).toThrow(ConfigError);
    const end = first.answer('t', () => 1);
    expect(() => first.answer('t', () => 2)).toThrow(/has a handler already/);
    end();
    first.answer('t', () => 3);
    end();
    expect(said(await first.ask('t', null, { to: numberOf(first) }))).toEqual({ 'node-1': 3 });
  });

  it('is refused beyond 1024 under way', async () => {
    const [first, second] = await start(3);
    let end: (value: unknown) => void = () => undefined;
    const ended = new Promise((resolve) => {
      end = resolve;
    });
    second.answer('t', () => ended);
    const asked = Array.from({ length: 1024 }, () => first.ask('t', null, { to: numberOf(second), timeoutMs: 9000 }));
    await expect(first.ask('t')).rejects.toThrow(OverloadedError);
    end(1);
    for (const answers of await Promise.all(asked)) expect(said(answers)).toEqual({ 'node-2': 1 });
    expect(said(await first.ask('t', null, { to: numberOf(second) }))).toEqual({ 'node-2': 1 });
  });

  it('gets "overloaded" from one that has 1024 to answer already, of itself too', async () => {
    const [first, second, third] = await start(3);
    let end: (value: unknown) => void = () => undefined;
    const ended = new Promise((resolve) => {
      end = resolve;
    });
    let calls = 0;
    second.answer('t', () => {
      calls += 1;
      return ended;
    });
    const to = numberOf(second);
    const asked = Array.from({ length: 1024 }, () => first.ask('t', null, { to, timeoutMs: 9000 }));
    await until(() => calls === 1024);
    const [answer] = await third.ask('t', null, { to });
    expect(answer?.error).toBeInstanceOf(OverloadedError);
    expect(said(await second.ask('t', null, { to }))).toEqual({ 'node-2': 'ERR_OVERLOADED' });
    end(1);
    await Promise.all(asked);
    expect(calls).toBe(1024);
    // What is answered is remembered until the asker says that it has it.
    await first.ask('t', null, { to });
    expect(said(await third.ask('t', null, { to }))).toEqual({ 'node-2': 1 });
  });
});

describe('on a poor network', () => {
  it('a handler runs once for each question, however often it is sent, and each has its answer', async () => {
    const nodes = await start(4, { timeout: 9000 });
    let count = 0;
    farm.hub.fate = () => {
      count += 1;
      if (count % 3 === 0) return { delaysMs: [] };
      return { delaysMs: count % 4 === 0 ? [0, 40] : [count % 5 === 0 ? 60 : 0] };
    };
    const calls = new Map<string, number>();
    for (const node of nodes) {
      const { name } = node.status();
      node.answer('work', async (payload) => {
        const id = `${name} ${String(payload)}`;
        calls.set(id, (calls.get(id) ?? 0) + 1);
        // Some take longer than it takes until they are asked again.
        if (Number(payload) % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 150));
        return id;
      });
    }
    const payloads = Array.from({ length: 40 }, (_, index) => index);
    const names = nodes.map((node) => node.status().name);
    await Promise.all(
      payloads.map(async (payload) => {
        const answers = await nodes[payload % 4]?.ask('work', payload, { to: 'all' });
        expect(said(answers ?? [])).toEqual(Object.fromEntries(names.map((name) => [name, `${name} ${payload}`])));
      }),
    );
    expect(calls.size).toBe(160);
    expect([...calls.values()].every((times) => times === 1)).toBe(true);
    farm.hub.fate = () => ({ delaysMs: [0] });
  });

  it('what is larger than a datagram goes over a connection, both ways, and is not sent again at once', async () => {
    const [first, second] = await start(3);
    const large = Buffer.alloc(900_000, 7);
    let calls = 0;
    second.answer('large', (payload) => {
      calls += 1;
      return [payload, calls];
    });
    farm.hub.sent.length = 0;
    const [answer] = await first.ask('large', large, { to: numberOf(second) });
    expect(answer?.value).toStrictEqual([large, 1]);
    expect(farm.hub.sent.filter(({ isFrame }) => isFrame)).toEqual([
      { from: 1, to: 2, isFrame: true },
      { from: 2, to: 1, isFrame: true },
    ]);
    // Frames can be lost, too.
    const { fate } = farm.hub;
    let lost = 0;
    farm.hub.fate = (traffic) => {
      if (!traffic.isFrame || lost === 2) return fate(traffic);
      lost += 1;
      return { delaysMs: [] };
    };
    const answers = await first.ask('large', large, { to: numberOf(second), timeoutMs: 9000 });
    expect(answers[0]?.value).toStrictEqual([large, 2]);
    expect(lost).toBe(2);
  });

  it('one whose handler runs is reminded of a large question, and not sent it again', async () => {
    const [first, second] = await start(3);
    second.answer('large', async (payload) => {
      await new Promise((resolve) => setTimeout(resolve, 1500));
      return (payload as Buffer).length;
    });
    farm.hub.sent.length = 0;
    const answers = await first.ask('large', Buffer.alloc(100_000), { to: numberOf(second), timeoutMs: 9000 });
    expect(answers[0]?.value).toBe(100_000);
    expect(farm.hub.sent.filter(({ isFrame, from }) => isFrame && from === 1).length).toBeLessThanOrEqual(2);
  });
});

describe('a question whose time is past', () => {
  /** Says of itself that it is that node, which then need not. */
  async function forger(node: PaxosNode): Promise<(message: Parameters<typeof encodeMessage>[0]) => void> {
    const keyring = await makeKeyring(false, 'default');
    const from = Number.parseInt(numberOf(node), 36);
    const envelope = (to: number): Envelope => ({ from, to, clockMs: Date.now(), incarnation: 1, slot: 0, vector: 1 });
    const randomBytes = (size: number): Uint8Array => crypto.getRandomValues(new Uint8Array(size));
    const sealer = new Sealer(keyring, randomBytes);
    const outbox = new Outbox({ sealer, frameSealer: sealer, envelope, maxDatagramSize: 1400 });
    const transport = farm.hub.transport();
    return (message) => {
      outbox.add(0, encodeMessage(message));
      outbox.flush((_, datagram) => transport.broadcast(datagram));
    };
  }

  it('is not run when it comes late', async () => {
    const [first, second] = await start(3);
    const calls: unknown[] = [];
    second.answer('t', (payload) => calls.push(payload));
    const say = await forger(first);
    say({ type: 'ask', request: 10, floor: 10, topic: 't', payload: encodeValue('ten') });
    await until(() => calls.length === 1);
    say({ type: 'ask', request: 9, floor: 1, topic: 't', payload: encodeValue('nine') });
    say({ type: 'ask', request: 10, floor: 3, topic: 't', payload: encodeValue('ten again') });
    // Of this one the answerer is said to know.
    say({ type: 'ask', request: 11, floor: 10, topic: 't', payload: null });
    say({ type: 'ask', request: 12, floor: 10, topic: 't', payload: Buffer.of(0xc1) });
    say({ type: 'ask', request: 13, floor: 10, topic: 't', payload: encodeValue('thirteen') });
    await until(() => calls.length === 2);
    expect(calls).toEqual(['ten', 'thirteen']);
  });
});

describe('a close', () => {
  it('lets handlers end and questions be answered; what is asked from then on is refused', async () => {
    const [first, second] = await start(3);
    let end: (value: unknown) => void = () => undefined;
    let calls = 0;
    second.answer('t', () => {
      calls += 1;
      return new Promise((resolve) => {
        end = resolve;
      });
    });
    const to = numberOf(second);
    const asked = first.ask('t', null, { to });
    await until(() => calls === 1);
    const closed = second.close();
    await expect(second.ask('t')).rejects.toThrow(ClosedError);
    const [late] = await first.ask('t', null, { to });
    expect(late?.error).toBeInstanceOf(NoAnswerError);
    expect(late?.error?.message).toMatch(/is being closed, and did nothing about t/);
    end('ended');
    await closed;
    expect(said(await asked)).toEqual({ 'node-2': 'ended' });
    expect(calls).toBe(1);
  });

  it('waits for a handler no longer than the time-out; the asker hears the good-bye', async () => {
    const [first, second] = await start(3, { timeout: 200 });
    let calls = 0;
    second.answer('t', () => {
      calls += 1;
      return new Promise(() => undefined);
    });
    const asked = first.ask('t', null, { to: numberOf(second), timeoutMs: 9000 });
    await until(() => calls === 1);
    await second.close();
    const [answer] = await asked;
    expect(answer?.error?.message).toMatch(/has said good-bye, without an answer/);
  });

  it('of the asker ends its questions at their time-outs, at most after its own', async () => {
    const [first, second] = await start(3, { timeout: 200 });
    second.answer('t', () => new Promise(() => undefined));
    const to = numberOf(second);
    const brief = first.ask('t', null, { to, timeoutMs: 100 });
    const long = first.ask('t', null, { to, timeoutMs: 9000 });
    const failed = expect(long).rejects.toThrow(ClosedError);
    await first.close();
    expect(said(await brief)).toEqual({ 'node-2': 'ERR_NO_ANSWER' });
    await failed;
    farm.kill(second);
  });

  it('while a question waits for a farm that never comes fails it', async () => {
    const alone = farm.add();
    const failed = expect(alone.ask('t')).rejects.toThrow(ClosedError);
    await alone.close();
    await failed;
  });
});
