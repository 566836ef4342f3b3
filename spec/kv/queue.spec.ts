import { describe, expect, it, jest } from '@jest/globals';
import { ClosedError, UnreadableValueError, WatchOverflowError } from '../../lib/errors.js';
import { Queue } from '../../lib/kv/queue.js';

function queueOf(limit: number) {
  const holds = new Set<() => void>();
  const onEnd = jest.fn();
  const onTaken = jest.fn();
  const hold = (callback: () => void): (() => void) => {
    holds.add(callback);
    return () => holds.delete(callback);
  };
  const queue = new Queue<string>({ limit, hold, onEnd, onTaken });
  const put = (id: string, text = id): void => queue.put(id, () => text);
  const taken = async (): Promise<string | undefined> => (await queue.next()).value ?? undefined;
  /** As the timers do when their time has come. */
  const passTime = (): void => {
    for (const callback of [...holds]) {
      holds.delete(callback);
      callback();
    }
  };
  return { queue, put, taken, holds, passTime, onEnd, onTaken };
}

const unreadable = (): never => {
  throw new UnreadableValueError('not to be read');
};

describe('Queue', () => {
  it('gives what waits in the order in which keys have changed, of each the latest', async () => {
    const { put, taken } = queueOf(10);
    put('a', 'a1');
    put('b', 'b1');
    put('a', 'a2');
    expect([await taken(), await taken()]).toEqual(['a2', 'b1']);
    put('b', 'b2');
    put('a', 'a3');
    expect([await taken(), await taken()]).toEqual(['b2', 'a3']);
  });

  it('hands to those who wait, each one change', async () => {
    const { put, taken } = queueOf(1);
    const all = Promise.all([taken(), taken(), taken()]);
    put('a');
    put('a', 'a2');
    put('b');
    expect(await all).toEqual(['a', 'a2', 'b']);
  });

  it('makes a change when it is taken, once', async () => {
    const { queue, taken } = queueOf(10);
    const make = jest.fn(() => 'made');
    queue.put('a', () => 'never made');
    queue.put('a', make);
    expect(make).not.toHaveBeenCalled();
    expect(await taken()).toBe('made');
    expect(make).toHaveBeenCalledTimes(1);
  });

  it('holds as many keys as its limit, however often they change; one more ends it', async () => {
    const { queue, put, onEnd } = queueOf(3);
    for (let i = 0; i < 100; i += 1) put(`key ${i % 3}`);
    expect(onEnd).not.toHaveBeenCalled();
    put('one more');
    expect(onEnd).toHaveBeenCalledTimes(1);
    await expect(queue.next()).rejects.toThrow(WatchOverflowError);
    await expect(queue.next()).resolves.toEqual({ done: true, value: undefined });
    put('later');
    await expect(queue.next()).resolves.toEqual({ done: true, value: undefined });
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('ends a loop over it with the overflow', async () => {
    const { queue, put } = queueOf(1);
    put('a');
    const seen: string[] = [];
    const loop = (async () => {
      for await (const each of queue) {
        seen.push(each);
        put('b');
        put('c');
      }
    })();
    await expect(loop).rejects.toThrow(WatchOverflowError);
    expect(seen).toEqual(['a']);
  });

  it('gives nothing of an overflow to whoever has given it up', async () => {
    const { queue, put } = queueOf(1);
    put('a');
    put('b');
    await queue.return();
    await expect(queue.next()).resolves.toEqual({ done: true, value: undefined });
  });

  it('drops what waits when it ends, and tells all who wait', async () => {
    const { queue, put, onEnd } = queueOf(5);
    put('a');
    queue.end();
    await expect(queue.next()).resolves.toEqual({ done: true, value: undefined });
    const other = queueOf(5);
    const waiting = [other.queue.next(), other.queue.next()];
    await expect(other.queue.return()).resolves.toEqual({ done: true, value: undefined });
    await expect(Promise.all(waiting)).resolves.toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
    queue.end();
    await queue.return();
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('ends with break', async () => {
    const { queue, put, onEnd } = queueOf(5);
    put('a');
    put('b');
    for await (const _each of queue) break;
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('ends by what can not be read, thrown once, and drops the rest', async () => {
    const { queue, put, onEnd } = queueOf(5);
    queue.put('a', unreadable);
    put('b');
    await expect(queue.next()).rejects.toThrow(UnreadableValueError);
    await expect(queue.next()).resolves.toEqual({ done: true, value: undefined });
    expect(onEnd).toHaveBeenCalledTimes(1);
  });

  it('tells the one who waited of what can not be read, and ends for the others', async () => {
    const { queue } = queueOf(5);
    const waiting = [queue.next(), queue.next()];
    queue.put('a', unreadable);
    await expect(waiting[0]).rejects.toThrow(UnreadableValueError);
    await expect(waiting[1]).resolves.toEqual({ done: true, value: undefined });
  });

  it('has room until it is half full, and for one at least', async () => {
    const { queue, put, taken, onTaken } = queueOf(3);
    expect(queue.room).toBe(2);
    put('a');
    put('b');
    expect(queue.room).toBe(0);
    await taken();
    expect(queue.room).toBe(1);
    expect(onTaken).toHaveBeenCalledTimes(1);
    expect(queueOf(1).queue.room).toBe(1);
  });

  describe('ready()', () => {
    it('resolves when it has begun, also after it has ended since', async () => {
      const { queue } = queueOf(3);
      queue.begin();
      queue.end();
      await expect(queue.ready()).resolves.toBeUndefined();
    });

    it('rejects when it has ended before', async () => {
      const { queue } = queueOf(3);
      queue.end();
      queue.begin();
      await expect(queue.ready()).rejects.toThrow(ClosedError);
    });
  });

  describe('keeps the process alive', () => {
    it('while next() is waited for, however long that takes', async () => {
      const { queue, put, holds, passTime } = queueOf(3);
      expect(holds.size).toBe(0);
      const first = queue.next();
      const second = queue.next();
      expect(holds.size).toBe(1);
      passTime();
      passTime();
      expect(holds.size).toBe(1);
      put('a');
      expect(holds.size).toBe(1);
      put('b');
      expect(holds.size).toBe(0);
      await Promise.all([first, second]);
    });

    it('no longer once it has ended', () => {
      const { queue, holds } = queueOf(3);
      void queue.next();
      queue.end();
      expect(holds.size).toBe(0);
    });

    it('not for what waits already', () => {
      const { queue, put, holds } = queueOf(3);
      put('a');
      void queue.next();
      expect(holds.size).toBe(0);
    });
  });
});
