import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import {
  ClosedError,
  ConfigError,
  OverloadedError,
  TooManyLivesError,
  UnreadableValueError,
  WatchOverflowError,
} from '../../lib/errors.js';
import { KvFarm } from './memory-node.js';
import { uncaughtWhile } from './uncaught.js';
import { noQuorum, settled, told, WatchedBucket } from './watched-bucket.js';

/** In which all that was missed is found. */
const FOUND_MS = 6000;

const ALL = { prefix: '' };

let bucket: WatchedBucket;

beforeEach(() => {
  bucket = new WatchedBucket();
});

afterEach(() => {
  bucket.watching.close();
  expect(bucket.isLooping).toBe(false);
  expect(bucket.isFree).toBe(true);
  expect(bucket.mostReadsUnderWay).toBeLessThanOrEqual(16);
});

describe('Watching', () => {
  describe.each([
    ['one key', { id: 'a1' }],
    ['a prefix', { prefix: 'a' }],
    ['all keys', ALL],
  ])('%s', (_name, scope) => {
    it('tells of what is set, set again, removed and made again, and not of what was there', async () => {
      bucket.set('a1', 'before');
      const watch = bucket.follow(scope);
      await settled();
      expect(watch.isReady).toBe(true);
      expect(watch.take()).toEqual([]);
      bucket.set('a1', 'one');
      await settled();
      bucket.set('a1', 'two');
      await settled();
      bucket.delete('a1');
      await settled();
      bucket.set('a1', 'three');
      await settled();
      expect(watch.take()).toEqual(['a1=one', 'a1=two', 'a1-', 'a1=three']);
    });

    it('finds what nobody has heard of: set, set again, touched, removed', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.word = () => [];
      for (const text of ['one', 'two', 'two']) {
        bucket.set('a1', text);
        await bucket.pass(FOUND_MS);
        expect(watch.take()).toEqual([`a1=${text}`]);
      }
      bucket.delete('a1');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1-']);
    });

    it('tells of a state once, however often its word comes, and how late', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.set('a1', 'one', { word: [0, 0, 10, 7000] });
      await bucket.pass(9000);
      expect(watch.take()).toEqual(['a1=one']);
      bucket.delete('a1', [0, 0, 10, 7000]);
      await bucket.pass(9000);
      expect(watch.take()).toEqual(['a1-']);
      bucket.say('a1');
      bucket.say('a never');
      await bucket.pass(20_000);
      expect(watch.take()).toEqual([]);
    });

    it('says nothing of a round that changed nothing', async () => {
      bucket.set('a1', 'one');
      const watch = bucket.follow(scope, { initial: true });
      await settled();
      watch.take();
      bucket.again('a1');
      bucket.say('a1');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual([]);
    });

    it('tells of the end that a key was given', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.set('a1', 'short', { until: bucket.nowMs + 1000 });
      await bucket.pass(900);
      expect(watch.take()).toEqual(['a1=short']);
      await bucket.pass(600);
      expect(watch.take()).toEqual(['a1-']);
    });

    it('tells of the end of a key that was there before, unless it is moved on', async () => {
      bucket.set('a1', 'short', { until: bucket.nowMs + 1000 });
      const watch = bucket.follow(scope);
      await settled();
      bucket.set('a1', 'longer', { until: bucket.nowMs + 20_000, word: [] });
      await bucket.pass(19_000);
      expect(watch.take()).toEqual(['a1=longer']);
      await bucket.pass(1000 + FOUND_MS);
      expect(watch.take()).toEqual(['a1-']);
    });

    it('tells of the end of what a key lives by, though nothing is written and nobody reads the key', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.set('a1', 'one', { livesBy: ['~lease/l'] });
      await bucket.pass(60_000);
      expect(watch.take()).toEqual(['a1=one']);
      bucket.end('~lease/l');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1-']);
    });

    it('tells so of what initial has reported', async () => {
      bucket.set('a1', 'here', { livesBy: ['~lease/l', 'kv/sp'] });
      const watch = bucket.follow(scope, { initial: true });
      await bucket.pass(300);
      bucket.end('kv/sp');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1=here', 'a1-']);
    });

    it.each([-3_600_000, 3_600_000])('goes on when the clock is set by %d ms', async (byMs) => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.set('a1', 'short', { until: bucket.nowMs + 60_000 });
      await settled();
      bucket.setClock(byMs);
      bucket.set('a1', 'lasts', { word: [] });
      await bucket.pass(FOUND_MS);
      expect(watch.take().at(-1)).toBe('a1=lasts');
      bucket.set('a1', 'short', { until: bucket.nowMs + 1000 });
      await bucket.pass(1500);
      expect(watch.take().at(-1)).toBe(byMs < 0 ? 'a1=short' : 'a1-');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(byMs < 0 ? ['a1-'] : []);
    });

    it('with initial, reports first what is there', async () => {
      bucket.set('a1', 'here');
      const watch = bucket.follow(scope, { initial: true });
      await settled();
      expect(watch.take()).toEqual(['a1=here']);
      bucket.set('a1', 'next');
      await settled();
      expect(watch.take()).toEqual(['a1=next']);
    });

    it('with initial, reports nothing of what is not there', async () => {
      const watch = bucket.follow(scope, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(watch.isReady).toBe(true);
      expect(watch.take()).toEqual([]);
    });

    it('begins once a quorum is there', async () => {
      bucket.readFate = () => ({ error: noQuorum() });
      bucket.headsFate = () => ({ error: noQuorum() });
      bucket.set('a1', 'before');
      const watch = bucket.follow(scope, { initial: true });
      await bucket.pass(60_000);
      expect(watch.isReady).toBe(false);
      bucket.readFate = () => ({});
      bucket.headsFate = () => ({});
      await bucket.pass(300);
      expect(watch.isReady).toBe(true);
      expect(watch.take()).toEqual(['a1=before']);
    });

    it('looks at once when a quorum is regained', async () => {
      const watch = bucket.follow(scope);
      await settled();
      await bucket.pass(1000);
      bucket.set('a1', 'missed', { word: [] });
      bucket.connect();
      await settled();
      expect(watch.take()).toEqual(['a1=missed']);
    });

    it('tells what a key holds once it can be read again, and does not ask without pause', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.readFate = () => ({ error: new OverloadedError('too much') });
      bucket.set('a1', 'one');
      bucket.set('a1', 'two');
      const before = bucket.reads.length;
      await bucket.pass(10_000);
      expect(bucket.reads.length - before).toBeLessThan(60);
      expect(watch.take()).toEqual([]);
      bucket.readFate = () => ({});
      await bucket.pass(300);
      expect(watch.take()).toEqual(['a1=two']);
    });

    it('never tells an earlier state after a later one, though answers come late', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.readFate = () => ({ delayMs: 100 });
      bucket.set('a1', 'one');
      await bucket.pass(50);
      bucket.readFate = () => ({});
      bucket.set('a1', 'two');
      await bucket.pass(500);
      expect(watch.take()).toEqual(['a1=one', 'a1=two']);
    });

    it('misses nothing that is changed while it begins', async () => {
      bucket.headsFate = () => ({ delayMs: 200 });
      bucket.readFate = () => ({ delayMs: 200 });
      bucket.set('a1', 'before');
      const watch = bucket.follow(scope, { initial: true });
      await bucket.pass(100);
      bucket.set('a1', 'meanwhile', { word: [] });
      await bucket.pass(1000);
      expect(watch.isReady).toBe(true);
      await bucket.pass(FOUND_MS);
      expect(watch.take().at(-1)).toBe('a1=meanwhile');
    });

    it('ends by the signal, and drops what waits', async () => {
      const controller = new AbortController();
      const watch = bucket.watch(scope, { signal: controller.signal });
      await watch.ready();
      bucket.set('a1', 'one');
      await settled();
      controller.abort();
      await expect(watch.next()).resolves.toEqual({ done: true, value: undefined });
      expect(bucket.isFree).toBe(true);
    });

    it('ends by the signal before it has begun', async () => {
      const controller = new AbortController();
      bucket.headsFate = () => ({ delayMs: 100 });
      bucket.readFate = () => ({ delayMs: 100 });
      const watch = bucket.watch(scope, { signal: controller.signal, initial: true });
      const next = watch.next();
      controller.abort();
      await expect(watch.ready()).rejects.toThrow(ClosedError);
      await expect(next).resolves.toEqual({ done: true, value: undefined });
      expect(bucket.isFree).toBe(true);
      await bucket.pass(1000);
      expect(bucket.isFree).toBe(true);
    });

    it('does not begin with a signal that was aborted before', async () => {
      const watch = bucket.watch(scope, { signal: AbortSignal.abort() });
      await expect(watch.next()).resolves.toEqual({ done: true, value: undefined });
      await expect(watch.ready()).rejects.toThrow(ClosedError);
      expect(bucket.looks + bucket.reads.length).toBe(0);
    });

    it('ends, and begins no more, where the node turns out to be closed', async () => {
      bucket.readFate = () => ({ error: new ClosedError('closed') });
      bucket.headsFate = () => ({ error: new ClosedError('closed') });
      const watch = bucket.follow(scope, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(watch.hasEnded).toBe(true);
      expect(bucket.isFree).toBe(true);
      await expect(watch.queue.ready()).rejects.toThrow(ClosedError);
      expect(() => bucket.watch(scope)).toThrow(ClosedError);
    });

    it('leaves no listener with the signal', async () => {
      const { signal } = new AbortController();
      const remove = jest.spyOn(signal, 'removeEventListener');
      const add = jest.spyOn(signal, 'addEventListener');
      await bucket.watch(scope, { signal }).return();
      expect(remove).toHaveBeenCalledTimes(add.mock.calls.length);
    });

    it('tells a watch that begins anew nothing of what happened between', async () => {
      await bucket.watch(scope, { initial: true }).return();
      const first = bucket.follow(scope);
      bucket.set('a1', 'one');
      await settled();
      await first.queue.return();
      bucket.set('a1', 'two');
      const second = bucket.follow(scope);
      await bucket.pass(20_000);
      expect(second.take()).toEqual([]);
    });

    it('tells a watch nothing of what a read began to find before it was there', async () => {
      const first = bucket.follow(scope);
      await settled();
      bucket.readFate = () => ({ delayMs: 100 });
      bucket.set('a1', 'one');
      await settled();
      await first.queue.return();
      const second = bucket.follow(scope);
      await bucket.pass(20_000);
      expect(second.isReady).toBe(true);
      expect(second.take()).toEqual([]);
    });

    it('tells a slow consumer of the latest state of each key', async () => {
      const watch = bucket.watch(scope, { limit: 1 });
      await watch.ready();
      for (const text of ['one', 'two', 'three']) {
        bucket.set('a1', text);
        await settled();
      }
      expect((await watch.next()).value).toMatchObject({ id: 'a1', text: 'three' });
    });

    it('holds the process only while next() is waited for', async () => {
      const watch = bucket.watch(scope);
      await watch.ready();
      await bucket.pass(FOUND_MS);
      expect(bucket.isHoldingProcess).toBe(false);
      const next = watch.next();
      await bucket.pass(FOUND_MS);
      expect(bucket.isHoldingProcess).toBe(true);
      bucket.set('a1', 'one');
      await next;
      expect(bucket.isHoldingProcess).toBe(false);
    });

    it('ends with what can not be read, where it is watched', async () => {
      const watch = bucket.follow(scope);
      await settled();
      bucket.readFate = () => ({ error: new UnreadableValueError('of another version') });
      bucket.set('a1', 'strange');
      await settled();
      await expect(watch.ended).rejects.toThrow(UnreadableValueError);
    });

    it('begins though a key can not be read', async () => {
      bucket.set('a1', 'strange');
      bucket.readFate = () => ({ error: new TooManyLivesError('too many') });
      const watch = bucket.follow(scope);
      await bucket.pass(20_000);
      expect(watch.isReady).toBe(true);
      bucket.readFate = () => ({});
      bucket.set('a1', 'one');
      await settled();
      expect(watch.take()).toEqual(['a1=one']);
    });
  });

  describe('several keys', () => {
    const ids = Array.from({ length: 3000 }, (_, i) => `key ${i}`);

    it('are read as fast as they can be, sixteen at a time', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      bucket.readFate = () => ({ delayMs: 1 });
      for (const id of ids) bucket.set(id, 'one');
      await bucket.pass(1000);
      expect(watch.take()).toHaveLength(ids.length);
      expect(bucket.mostReadsUnderWay).toBe(16);
    });

    it('with initial, are reported at the pace of the consumer', async () => {
      for (const id of ids) bucket.set(id, 'here');
      const watch = bucket.watch(ALL, { initial: true, limit: 10 });
      await watch.ready();
      const seen = new Set<string>();
      for (let i = 0; i < ids.length; i += 1) {
        if (i % 500 === 0) await bucket.pass(100);
        const { value } = await watch.next();
        if (value) seen.add(value.id);
      }
      expect(seen.size).toBe(ids.length);
    });

    it('more of them than wait to be read are found by looking at all', async () => {
      const many = Array.from({ length: 12_000 }, (_, i) => `key ${i}`);
      const watch = bucket.follow(ALL, { limit: 1_000_000 });
      await settled();
      bucket.readFate = () => ({ error: noQuorum() });
      bucket.headsFate = () => ({ error: noQuorum() });
      for (const id of many) bucket.set(id, 'one');
      await bucket.pass(1000);
      bucket.readFate = () => ({});
      await bucket.pass(FOUND_MS);
      const first = watch.take();
      expect(first.length).toBeLessThan(10_100);
      bucket.headsFate = () => ({});
      await bucket.pass(FOUND_MS);
      expect(first.length + new Set(watch.take()).size).toBe(many.length);
    });

    it('with initial, are reported though reads of some fail for a time', async () => {
      const few = ids.slice(0, 20);
      for (const id of few) bucket.set(id, 'here');
      let count = 0;
      bucket.readFate = () => {
        count += 1;
        return count % 3 === 0 ? { error: noQuorum(), delayMs: 40 } : { delayMs: 10 };
      };
      const watch = bucket.follow(ALL, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(watch.take().sort()).toEqual(few.map((id) => `${id}=here`).sort());
    });

    it('of more keys than the limit the consumer is told that it is too slow', async () => {
      const watch = bucket.watch(ALL, { limit: 100 });
      await watch.ready();
      for (const id of ids.slice(0, 101)) bucket.set(id, 'one');
      await settled();
      await expect(watch.next()).rejects.toThrow(WatchOverflowError);
      expect(bucket.isFree).toBe(true);
    });

    it('only one that can not be read ends a watch, and only where it is watched', async () => {
      const all = bucket.follow(ALL);
      const other = bucket.follow({ id: 'b' });
      await settled();
      bucket.readFate = (id) => (id === 'a' ? { error: new UnreadableValueError('strange') } : {});
      bucket.set('a', 'one');
      await settled();
      bucket.set('b', 'one');
      await settled();
      await expect(all.ended).rejects.toThrow(UnreadableValueError);
      expect(other.take()).toEqual(['b=one']);
    });

    it('one that is not answered for holds up no other', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      bucket.readFate = (id) => (id === 'slow' ? { delayMs: 5000, error: noQuorum() } : {});
      bucket.set('slow', 'one');
      bucket.set('quick', 'one');
      await bucket.pass(10);
      expect(watch.take()).toEqual(['quick=one']);
    });

    it('are read once more for a change that nobody has heard of, and not at each look', async () => {
      const watch = bucket.follow(ALL, { limit: 1_000_000 });
      for (const id of ids) bucket.set(id, 'before');
      await bucket.pass(2 * FOUND_MS);
      watch.take();
      const before = bucket.reads.length;
      for (const id of ids) bucket.set(id, 'after', { word: [] });
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toHaveLength(ids.length);
      await bucket.pass(60_000);
      expect(bucket.reads.length - before).toBe(ids.length);
    });

    it('that have ended are not remembered', async () => {
      const watch = bucket.follow(ALL, { limit: 1_000_000 });
      await settled();
      for (const id of ids) bucket.set(id, 'short', { until: bucket.nowMs + 1000 });
      await bucket.pass(1600);
      expect(watch.take()).toHaveLength(2 * ids.length);
      const before = bucket.reads.length;
      await bucket.pass(60_000);
      expect(bucket.reads.length).toBe(before);
      expect(watch.take()).toEqual([]);
    });
  });

  describe('keys that live by others', () => {
    const ids = Array.from({ length: 500 }, (_, i) => `key ${i}`);

    it('are not read again while it is there, and it is asked for once at each look', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      for (const id of ids) bucket.set(id, 'one', { livesBy: ['~lease/l'] });
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toHaveLength(ids.length);
      const [before, asked, looks] = [bucket.reads.length, bucket.livesAsked.length, bucket.looks];
      await bucket.pass(60_000);
      expect(bucket.reads.length).toBe(before);
      expect(bucket.livesAsked.length - asked).toBe(bucket.looks - looks);
      bucket.end('~lease/l');
      await bucket.pass(FOUND_MS);
      expect(watch.take().sort()).toEqual(ids.map((id) => `${id}-`).sort());
      await bucket.pass(60_000);
      expect(bucket.reads.length - before).toBe(ids.length);
    });

    it('are no longer looked after when they live by nothing, or nobody watches them', async () => {
      bucket.follow({ prefix: 'a' });
      const part = bucket.follow({ prefix: 'b' });
      await settled();
      bucket.set('a', 'one', { livesBy: ['~lease/l'] });
      bucket.set('b', 'one', { livesBy: ['~lease/m'] });
      await bucket.pass(FOUND_MS);
      expect(new Set(bucket.livesAsked)).toEqual(new Set(['~lease/l', '~lease/m']));
      bucket.set('a', 'two');
      await part.queue.return();
      bucket.livesAsked.length = 0;
      await bucket.pass(60_000);
      expect(bucket.livesAsked).toEqual([]);
    });

    it('are looked after where one of them is watched by itself beside others', async () => {
      const others = bucket.follow({ prefix: 'b' });
      const watch = bucket.follow({ id: 'a1' });
      await settled();
      bucket.set('a1', 'one', { livesBy: ['~lease/l'] });
      await bucket.pass(FOUND_MS);
      bucket.end('~lease/l');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1=one', 'a1-']);
      expect(others.take()).toEqual([]);
    });

    it('have what they live by asked for sixteen at a time, and no more than a twentieth of the time', async () => {
      bucket.follow(ALL);
      await settled();
      let most = 0;
      let underWay = 0;
      const answered = (): void => {
        underWay -= 1;
      };
      bucket.lifeFate = () => {
        underWay += 1;
        most = Math.max(most, underWay);
        return { delayMs: 100, answered };
      };
      for (const id of ids) bucket.set(id, 'one', { livesBy: [`~lease/${id}`] });
      await bucket.pass(250_000);
      expect(most).toBe(16);
      // A look takes 3.2 s.
      const looks = bucket.livesAsked.length / ids.length;
      expect(looks).toBeGreaterThan(2);
      expect(looks).toBeLessThan(5);
    });

    it('are told of once a quorum is there', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      for (const id of ids) bucket.set(id, 'one', { livesBy: [`~lease/${id}`] });
      await bucket.pass(FOUND_MS);
      watch.take();
      bucket.livesAsked.length = 0;
      for (const id of ids) bucket.end(`~lease/${id}`);
      bucket.lifeFate = () => ({ error: noQuorum(), delayMs: 2000 });
      await bucket.pass(60_000);
      // Not each of them in vain.
      expect(bucket.livesAsked.length).toBeLessThan(ids.length);
      expect(watch.take()).toEqual([]);
      bucket.lifeFate = () => ({});
      await bucket.pass(FOUND_MS + 2000);
      expect(watch.take()).toHaveLength(ids.length);
    });

    it('are told of though what one of them lives by can not be read', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      bucket.set('a1', 'one', { livesBy: ['kv/sodd'] });
      bucket.set('a2', 'one', { livesBy: ['~lease/l'] });
      await bucket.pass(FOUND_MS);
      bucket.lifeFate = (register) => (register === 'kv/sodd' ? { error: new UnreadableValueError('strange') } : {});
      bucket.end('~lease/l');
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1=one', 'a2=one', 'a2-']);
      expect(watch.hasEnded).toBe(false);
    });

    it('are read by nobody where they were there before a watch without initial, and told of once they are', async () => {
      bucket.set('a1', 'before', { livesBy: ['~lease/l'] });
      const watch = bucket.follow(ALL);
      await settled();
      bucket.end('~lease/l');
      await bucket.pass(60_000);
      expect(bucket.reads).toEqual([]);
      expect(watch.take()).toEqual([]);
      bucket.delete('a1', []);
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a1-']);
    });

    it('are looked after no more when nobody watches', async () => {
      const watch = bucket.follow(ALL);
      await settled();
      for (const id of ids) bucket.set(id, 'one', { livesBy: [`~lease/${id}`] });
      await settled();
      bucket.lifeFate = () => ({ delayMs: 100 });
      await bucket.pass(5000);
      const asked = bucket.livesAsked.length;
      expect(asked).toBe(16);
      await watch.queue.return();
      await bucket.pass(60_000);
      expect(bucket.livesAsked.length).toBe(asked);
    });
  });

  describe('several watches', () => {
    it('share one look at all keys', async () => {
      const watches = Array.from({ length: 20 }, () => bucket.follow(ALL));
      await bucket.pass(FOUND_MS);
      expect(watches.every(({ isReady }) => isReady)).toBe(true);
      const before = bucket.looks;
      await bucket.pass(50_000);
      expect(bucket.looks - before).toBe(10);
    });

    it('share one read of a change', async () => {
      const watches = Array.from({ length: 20 }, (_, i) => bucket.follow(i % 2 === 0 ? ALL : { id: 'a' }));
      await bucket.pass(300);
      const before = bucket.reads.length;
      bucket.set('a', 'one');
      await settled();
      expect(bucket.reads.length - before).toBe(1);
      for (const watch of watches) expect(watch.take()).toEqual(['a=one']);
    });

    it('look at all keys no more than a twentieth of the time', async () => {
      bucket.follow(ALL);
      bucket.headsFate = () => ({ delayMs: 1000 });
      await bucket.pass(2000);
      const before = bucket.looks;
      await bucket.pass(210_000);
      expect(bucket.looks - before).toBeLessThanOrEqual(11);
    });

    it('are each told of their own keys', async () => {
      const watches = [{ id: 'a' }, { id: 'ab' }, { prefix: 'a' }, { prefix: 'ab' }, ALL].map((scope) =>
        bucket.follow(scope),
      );
      await bucket.pass(300);
      bucket.set('ab', 'one');
      bucket.set('b', 'one');
      await settled();
      expect(watches.map((watch) => watch.take())).toEqual([
        [],
        ['ab=one'],
        ['ab=one'],
        ['ab=one'],
        ['ab=one', 'b=one'],
      ]);
    });

    it('a later one with initial is told what is there, and the earlier ones nothing new', async () => {
      bucket.set('a', 'here');
      bucket.set('b', 'here');
      const first = bucket.follow(ALL);
      await bucket.pass(300);
      const second = bucket.follow({ id: 'a' }, { initial: true });
      const third = bucket.follow(ALL, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(first.take()).toEqual([]);
      expect(second.take()).toEqual(['a=here']);
      expect(third.take().sort()).toEqual(['a=here', 'b=here']);
    });

    it('an earlier one is told of what a later one was told first, if it has missed it', async () => {
      bucket.set('a', 'before');
      const first = bucket.follow(ALL);
      await bucket.pass(300);
      bucket.set('a', 'missed', { word: [] });
      const second = bucket.follow({ id: 'a' }, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(first.take()).toEqual(['a=missed']);
      expect(second.take()).toEqual(['a=missed']);
    });

    it('an earlier one is told that a key is gone, if a later one has found that', async () => {
      bucket.set('a', 'before');
      const first = bucket.follow(ALL);
      await bucket.pass(300);
      bucket.delete('a', []);
      const second = bucket.follow({ id: 'a' }, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(first.take()).toEqual(['a-']);
      expect(second.take()).toEqual([]);
    });

    it('a later one with initial is not told again of what an earlier one had read', async () => {
      bucket.follow(ALL);
      await settled();
      bucket.set('a', 'one');
      await settled();
      bucket.readFate = () => ({ delayMs: 200 });
      bucket.set('a', 'two');
      await bucket.pass(100);
      const second = bucket.follow(ALL, { initial: true });
      await bucket.pass(FOUND_MS);
      expect(second.take()).toEqual(['a=two']);
    });

    it('a later one is told nothing of what nobody watched before it', async () => {
      const first = bucket.follow({ prefix: 'a' });
      await bucket.pass(300);
      bucket.set('b', 'one');
      const second = bucket.follow({ prefix: 'b' });
      await bucket.pass(FOUND_MS);
      expect(second.take()).toEqual([]);
      expect(first.take()).toEqual([]);
    });

    it('the ending of one leaves the others as they are', async () => {
      const first = bucket.follow(ALL);
      const second = bucket.follow({ id: 'a' });
      await bucket.pass(300);
      await first.queue.return();
      bucket.set('a', 'one');
      await settled();
      bucket.set('a', 'two', { word: [] });
      await bucket.pass(FOUND_MS);
      expect(second.take()).toEqual(['a=one', 'a=two']);
      expect(first.take()).toEqual([]);
    });

    it('a single key is watched on, from it alone to all keys and back', async () => {
      bucket.set('a', 'before');
      bucket.set('gone', 'before');
      const watch = bucket.follow({ id: 'a' });
      await bucket.pass(300);
      const all = bucket.follow(ALL);
      const gone = bucket.follow({ id: 'gone' });
      await bucket.pass(300);
      bucket.set('a', 'one', { word: [] });
      bucket.delete('gone', []);
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a=one']);
      await all.queue.return();
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual([]);
      expect(gone.take()).toEqual(['gone-']);
      bucket.set('a', 'two', { word: [] });
      bucket.set('gone', 'back', { word: [] });
      await bucket.pass(FOUND_MS);
      expect(watch.take()).toEqual(['a=two']);
      expect(gone.take()).toEqual(['gone=back']);
    });

    it('a key that was looked at while all were watched is not reported when only it is', async () => {
      bucket.set('a', 'before');
      const all = bucket.follow(ALL);
      await bucket.pass(300);
      const watch = bucket.follow({ id: 'a' });
      await bucket.pass(300);
      await all.queue.return();
      await bucket.pass(20_000);
      expect(watch.take()).toEqual([]);
    });

    it('go on sharing after a listener was taken away twice', async () => {
      const stop = bucket.watching.listen(() => undefined);
      stop();
      bucket.follow(ALL);
      await settled();
      stop();
      bucket.follow(ALL);
      await settled();
      expect(bucket.listeners.size).toBe(1);
    });

    it('what one knew goes with it, though others go on', async () => {
      bucket.follow({ id: 'b' });
      const first = bucket.follow({ prefix: 'a' });
      await settled();
      bucket.set('a', 'one');
      await settled();
      expect(first.take()).toEqual(['a=one']);
      await first.queue.return();
      bucket.set('a', 'two');
      const second = bucket.follow({ prefix: 'a' });
      await bucket.pass(20_000);
      expect(second.take()).toEqual([]);
    });

    it('a listener is not called once it has been taken away', async () => {
      const stops: (() => void)[] = [];
      const listener = jest.fn(() => {
        for (const stop of stops) stop();
      });
      stops.push(bucket.watching.listen(listener), bucket.watching.listen(listener));
      await settled();
      bucket.set('a', 'one');
      await settled();
      expect(listener).toHaveBeenCalledTimes(1);
    });

    it('a listener that throws is no matter of the others', async () => {
      const boom = jest.fn(() => {
        throw new Error('of a listener');
      });
      const stop = bucket.watching.listen(boom);
      const watch = bucket.follow(ALL);
      await bucket.pass(300);
      const other = jest.fn();
      const stopOther = bucket.watching.listen(other);
      await bucket.pass(300);
      const uncaught = await uncaughtWhile(async () => {
        bucket.set('a', 'one');
        await settled();
      });
      expect(uncaught).toEqual([new Error('of a listener')]);
      expect(boom).toHaveBeenCalledTimes(1);
      expect(other).toHaveBeenCalledTimes(1);
      expect(watch.take()).toEqual(['a=one']);
      stop();
      stopOther();
    });
  });

  it('finds keys made and removed before all were looked at', async () => {
    bucket.headsFate = () => ({ delayMs: 100 });
    const watch = bucket.follow(ALL);
    await bucket.pass(50);
    bucket.set('a', 'one');
    await bucket.pass(10);
    bucket.delete('a');
    await bucket.pass(20_000);
    expect(watch.take().filter((each) => each !== 'a-')).toEqual([]);
  });

  it('does not report twice that a key was removed while all were looked at', async () => {
    const watch = bucket.follow(ALL, { initial: true });
    await settled();
    bucket.set('a', 'one');
    await settled();
    bucket.headsFate = () => ({ delayMs: 100 });
    await bucket.pass(5010);
    expect(bucket.looks).toBeGreaterThan(1);
    bucket.delete('a');
    await bucket.pass(20_000);
    expect(watch.take()).toEqual(['a=one', 'a-']);
  });

  it('reports nothing of a write that came to nothing before it began', async () => {
    bucket.set('a', 'half done', { word: [] });
    bucket.halfDone.add('a');
    const watch = bucket.follow(ALL);
    bucket.delete('a', []);
    await bucket.pass(20_000);
    expect(watch.take()).toEqual([]);
  });

  it('reports a write that was half done when it began, since that may have been finished later', async () => {
    bucket.set('a', 'half done', { word: [] });
    bucket.halfDone.add('a');
    const watch = bucket.follow(ALL);
    await bucket.pass(FOUND_MS);
    expect(watch.take()).toEqual(['a=half done']);
    await bucket.pass(20_000);
    expect(watch.take()).toEqual([]);
  });

  it('begins at once where a look is under way for another', async () => {
    bucket.headsFate = () => ({ delayMs: 100 });
    const first = bucket.follow(ALL);
    await bucket.pass(50);
    const second = bucket.follow(ALL);
    await bucket.pass(60);
    expect([first.isReady, second.isReady]).toEqual([true, false]);
    await bucket.pass(100);
    expect(second.isReady).toBe(true);
  });

  it('ends all with close()', async () => {
    const watches = [bucket.follow(ALL), bucket.follow({ id: 'a' })];
    const stop = bucket.watching.listen(() => undefined);
    bucket.watching.close();
    await Promise.all(watches.map(({ ended }) => ended));
    expect(bucket.isFree).toBe(true);
    stop();
    expect(() => bucket.follow(ALL)).toThrow(ClosedError);
    bucket.watching.listen(() => undefined)();
    expect(bucket.isFree).toBe(true);
  });

  it('ends in a bucket that was made when its node was closed', async () => {
    const { kv, node } = new KvFarm().store();
    await node.close();
    const next = kv.bucket('late').watch('a').next();
    const waits = settled().then(() => 'it waits');
    expect(await Promise.race([next, waits])).toEqual({ done: true, value: undefined });
    await kv.close();
  });

  it.each([0, -1, 1.5, 1_000_001, Number.NaN, '10'])('refuses %p as limit', (limit) => {
    const watch = (): unknown => bucket.watching.watch(ALL, { limit: limit as number }, told);
    expect(watch).toThrow(ConfigError);
    expect(watch).toThrow(/limit.*1 to 1000000/);
  });
});
