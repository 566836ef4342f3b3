import { describe, expect, it, jest } from '@jest/globals';
import { type Scope, type Subscriber, Subscribers } from '../../lib/kv/subscribers.js';

function subscriberOf(scope: Scope): Subscriber<null> & { readonly begun: jest.Mock } {
  return { scope, wantsInitial: false, room: () => 1, begun: jest.fn(), tell: () => undefined };
}

describe('Subscribers', () => {
  it('knows who watches a key, by itself and among others', () => {
    const subscribers = new Subscribers<null>();
    const key = subscriberOf({ id: 'ab' });
    const sameKey = subscriberOf({ id: 'ab' });
    const prefix = subscriberOf({ prefix: 'a' });
    for (const each of [key, sameKey, prefix]) subscribers.add(each);
    expect(new Set(subscribers.of('ab'))).toEqual(new Set([key, sameKey, prefix]));
    expect(subscribers.of('a')).toEqual([prefix]);
    expect(subscribers.of('b')).toEqual([]);
    expect(['ab', 'a', 'b'].map((id) => subscribers.has(id))).toEqual([true, true, false]);
    expect(subscribers.ids).toEqual(['ab']);
    expect(subscribers.ofPrefixes).toEqual([prefix]);
    subscribers.delete(prefix);
    subscribers.delete(key);
    expect(subscribers.of('ab')).toEqual([sameKey]);
    expect(subscribers.isEmpty).toBe(false);
    subscribers.delete(sameKey);
    subscribers.delete(sameKey);
    expect(subscribers.has('ab')).toBe(false);
    expect(subscribers.isEmpty).toBe(true);
  });

  it.each([{ id: 'a' }, { prefix: 'a' }])('begins one of %j once, and not after it has ended', (scope) => {
    const subscribers = new Subscribers<null>();
    const subscriber = subscriberOf(scope);
    subscribers.begin(subscriber);
    expect(subscribers.hasBegun(subscriber)).toBe(false);
    subscribers.add(subscriber);
    subscribers.begin(subscriber);
    subscribers.begin(subscriber);
    expect(subscriber.begun).toHaveBeenCalledTimes(1);
    expect(subscribers.hasBegun(subscriber)).toBe(true);
    subscribers.delete(subscriber);
    expect(subscribers.hasBegun(subscriber)).toBe(false);
  });
});
