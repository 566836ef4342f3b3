import { beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ABSENT, NO_BALLOT } from '../../lib/paxos/index.js';
import { EVERYBODY, Outbox, type OutboxOptions } from '../../lib/wire/batch.js';
import { decodeBody } from '../../lib/wire/decode.js';
import { encodeMessage } from '../../lib/wire/encode.js';
import { LIMITS } from '../../lib/wire/format.js';
import { type Keyring, makeKeyring } from '../../lib/wire/keyring.js';
import type { Envelope, Message } from '../../lib/wire/messages.js';
import { Opener } from '../../lib/wire/open.js';
import { type RandomBytes, Sealer } from '../../lib/wire/seal.js';

const MAX_DATAGRAM_SIZE = 1400;

/** The largest numbers, so the largest envelope. */
const envelope = (to: number): Envelope => ({
  from: 2 ** 48 - 1,
  to,
  clockMs: Number.MAX_SAFE_INTEGER,
  incarnation: 2 ** 48 - 1,
  slot: 99,
  vector: 2 ** 48 - 1,
});

interface Sent {
  readonly to: number;
  readonly size: number;
  readonly envelope: Envelope;
  readonly messages: readonly Message[];
}

let keyring: Keyring;
let opener: Opener;
let sealers: number;
let sent: Sent[];

const randomBytes: RandomBytes = (size) => new Uint8Array(size).fill(sealers++);

beforeAll(async () => {
  keyring = await makeKeyring(false, 'farm');
});

beforeEach(() => {
  sealers = 1;
  sent = [];
  opener = new Opener({ keyring, randomBytes });
});

function outboxOf(options: Partial<OutboxOptions> = {}): Outbox {
  const sealer = new Sealer(keyring, randomBytes);
  const frameSealer = new Sealer(keyring, randomBytes);
  return new Outbox({ sealer, frameSealer, envelope, maxDatagramSize: MAX_DATAGRAM_SIZE, ...options });
}

/** Opens and decodes what was sent. */
function emit(to: number, datagram: Uint8Array): void {
  const opened = opener.open(datagram, 0);
  if (!opened.ok) throw new Error(opened.reason);
  const decoded = decodeBody(opened.body);
  if (!decoded.ok) throw new Error(decoded.reason);
  sent.push({ to, size: datagram.length, envelope: decoded.envelope, messages: decoded.messages });
}

const who = (request: number): Message => ({ type: 'who', request });

const ballot = { round: 1, proposer: 1 };

const commit = (key: string): Message => ({ type: 'commit', key, ballot, operation: '1.1', effect: 'changed' });

/** A message of exactly `size` bytes, from 60 on. */
function messageOf(size: number): Uint8Array {
  const proposal = { ...ABSENT, accepted: ballot, operation: '1.1', lineage: [], lineageFrom: NO_BALLOT };
  const of = (valueSize: number) =>
    encodeMessage({
      type: 'accept',
      request: 1,
      key: 'k',
      proposal: { ...proposal, value: new Uint8Array(valueSize) },
      horizon: 0,
    });
  const rest = of(0).length;
  // The length of the value takes a byte more from 256 on.
  return of(size - rest - (size - rest > 256 ? 1 : 0));
}

const requests = ({ messages }: Sent) => messages.map((message) => ('request' in message ? message.request : 0));

describe('an outbox', () => {
  it('sends nothing of nothing', () => {
    const outbox = outboxOf();
    expect([outbox.isPending, outbox.isLazyPending]).toEqual([false, false]);
    outbox.flush(emit);
    outbox.flushLazy(emit);
    expect(sent).toEqual([]);
  });

  it('puts all of one tick for one destination into one datagram', () => {
    const outbox = outboxOf();
    for (const [to, request] of [
      [EVERYBODY, 1],
      [5, 2],
      [EVERYBODY, 3],
      [6, 4],
      [5, 5],
    ] as const) {
      expect(outbox.add(to, encodeMessage(who(request)))).toBe('queued');
    }
    expect(outbox.isPending).toBe(true);
    outbox.flush(emit);
    expect(outbox.isPending).toBe(false);
    expect(sent.map((each) => [each.to, each.envelope.to, requests(each)])).toEqual([
      [EVERYBODY, EVERYBODY, [1, 3]],
      [5, 5, [2, 5]],
      [6, 6, [4]],
    ]);
    expect(outbox.status).toEqual({ waiting: 0, lazy: 0, dropped: 0, messages: 5, datagrams: 3 });
    outbox.flush(emit);
    expect(sent.length).toBe(3);
  });

  it('asks for the envelope at each flush', () => {
    let clockMs = 0;
    const outbox = outboxOf({ envelope: (to) => ({ ...envelope(to), clockMs: ++clockMs }) });
    for (const _ of [1, 2]) {
      outbox.add(5, encodeMessage(who(1)));
      outbox.flush(emit);
    }
    expect(sent.map((each) => each.envelope.clockMs)).toEqual([1, 2]);
  });

  it('fills datagrams to the brim and not beyond', () => {
    const far = 2 ** 47; // a number of full length in the envelope
    const outbox = outboxOf();
    expect(outbox.add(far + 5, messageOf(outbox.maxMessageSize))).toBe('queued');
    outbox.add(far + 6, messageOf(outbox.maxMessageSize - 200));
    outbox.add(far + 6, messageOf(200));
    outbox.add(far + 7, messageOf(outbox.maxMessageSize - 200));
    outbox.add(far + 7, messageOf(201));
    outbox.flush(emit);
    expect(sent.map(({ to, size }) => [to, size])).toEqual([
      [far + 5, MAX_DATAGRAM_SIZE],
      [far + 6, MAX_DATAGRAM_SIZE],
      [far + 7, MAX_DATAGRAM_SIZE - 200],
      [far + 7, MAX_DATAGRAM_SIZE - outbox.maxMessageSize + 201],
    ]);
  });

  it('loses, doubles and reorders nothing, whatever the sizes', () => {
    const message = fc.record({ to: fc.nat(2), padding: fc.integer({ min: 0, max: 1000 }), isLazy: fc.boolean() });
    fc.assert(
      fc.property(fc.array(message, { maxLength: 60 }), (messages) => {
        sent = [];
        opener = new Opener({ keyring, randomBytes });
        const outbox = outboxOf();
        messages.forEach(({ to, padding, isLazy }, index) => {
          const bytes = encodeMessage({ type: 'read', request: index + 1, key: 'k'.repeat(padding + 1), held: null });
          expect(isLazy ? outbox.addLazy(bytes) : outbox.add(to, bytes)).toBe('queued');
        });
        outbox.flush(emit);
        outbox.flushLazy(emit);
        expect(sent.every(({ size }) => size <= MAX_DATAGRAM_SIZE)).toBe(true);
        for (const lazy of [false, true]) {
          for (const destination of [0, 1, 2]) {
            const expected = messages.flatMap(({ to, isLazy }, index) =>
              isLazy === lazy && (lazy ? EVERYBODY : to) === destination ? [index + 1] : [],
            );
            const got = sent.filter(({ to }) => to === destination).flatMap(requests);
            expect(got.filter((request) => messages[request - 1]?.isLazy === lazy)).toEqual(expected);
          }
        }
        expect(outbox.status).toMatchObject({ waiting: 0, messages: messages.length });
      }),
      { numRuns: 200 },
    );
  });

  it('keeps to the number of messages that a body may have', () => {
    const outbox = outboxOf({ maxDatagramSize: 65_000 });
    for (let i = 0; i < LIMITS.messages + 5; i++) outbox.add(EVERYBODY, encodeMessage(who(1)));
    outbox.addLazy(encodeMessage(who(2)));
    outbox.flush(emit);
    expect(sent.map(({ messages }) => messages.length)).toEqual([LIMITS.messages, 6]);
  });

  it('lets lazy messages ride, but only to everybody and where there is room', () => {
    const outbox = outboxOf();
    for (const key of ['a', 'b']) expect(outbox.addLazy(encodeMessage(commit(key)))).toBe('queued');
    expect([outbox.isPending, outbox.isLazyPending]).toEqual([false, true]);
    outbox.flush(emit);
    outbox.add(5, encodeMessage(who(1)));
    outbox.flush(emit);
    expect(sent.map(({ messages }) => messages)).toEqual([[who(1)]]);
    outbox.add(EVERYBODY, messageOf(outbox.maxMessageSize - encodeMessage(commit('a')).length));
    outbox.flush(emit);
    expect(sent[1]?.messages[1]).toEqual(commit('a'));
    expect(sent.length).toBe(2);
    outbox.add(EVERYBODY, encodeMessage(who(2)));
    outbox.flush(emit);
    expect(sent[2]?.messages).toEqual([who(2), commit('b')]);
    expect(outbox.isLazyPending).toBe(false);
  });

  it('sends lazy messages alone when told to', () => {
    const outbox = outboxOf();
    outbox.addLazy(encodeMessage(commit('a')));
    outbox.add(5, encodeMessage(who(1)));
    outbox.flushLazy(emit);
    expect(sent.map(({ to, messages }) => [to, messages])).toEqual([
      [5, [who(1)]],
      [EVERYBODY, [commit('a')]],
    ]);
  });

  it('names what is too large for a datagram, and seals it for a stream', () => {
    const outbox = outboxOf();
    const message: Message = {
      type: 'enumerated',
      request: 1,
      shard: 0,
      nextShard: 256,
      keys: Array.from({ length: 500 }, (_, i) => ({
        key: `sess/${i}`,
        accepted: ballot,
        operation: '1.1',
        committed: true,
        until: 1,
      })),
    };
    expect(outbox.add(5, encodeMessage(message))).toBe('large');
    expect(outbox.addLazy(messageOf(outbox.maxMessageSize + 1))).toBe('large');
    expect(outbox.isPending).toBe(false);
    emit(5, outbox.sealFrame(5, encodeMessage(message)));
    expect(sent[0]).toMatchObject({ envelope: envelope(5), messages: [message] });
  });

  it('drops and counts what is beyond the bounds; lazy messages never take the room of others', () => {
    const outbox = outboxOf({ maxWaiting: 1000, maxLazy: 500 });
    expect(outbox.add(5, messageOf(600))).toBe('queued');
    expect(outbox.addLazy(messageOf(500))).toBe('queued');
    expect(outbox.addLazy(encodeMessage(who(1)))).toBe('full');
    expect(outbox.add(6, messageOf(400))).toBe('queued');
    expect(outbox.add(6, encodeMessage(who(1)))).toBe('full');
    expect(outbox.status).toMatchObject({ waiting: 1000, lazy: 500, dropped: 2 });
    outbox.flush(emit);
    expect(outbox.status).toMatchObject({ waiting: 0, lazy: 500 });
    expect(outbox.add(6, messageOf(600))).toBe('queued');
  });

  it('keeps up with lazy messages under load: no more of them wait than fit in a datagram', () => {
    const outbox = outboxOf();
    const commits = Array.from({ length: 500 }, (_, i) => commit(`key-${i}`));
    for (const [index, each] of commits.entries()) {
      outbox.addLazy(encodeMessage(each));
      // As many full datagrams to everybody as there are commits, and one that leaves little room.
      if (index % 50 === 49) {
        outbox.add(EVERYBODY, messageOf(outbox.maxMessageSize - 10));
        outbox.flush(emit);
        expect(outbox.status.lazy).toBeLessThan(outbox.maxMessageSize);
      }
    }
    outbox.flushLazy(emit);
    expect(outbox.isLazyPending).toBe(false);
    const received = sent.flatMap(({ messages }) => messages.filter(({ type }) => type === 'commit'));
    expect(received).toEqual(commits);
  });

  it('fills each of several datagrams to everybody with lazy messages', () => {
    const outbox = outboxOf();
    for (let i = 0; i < 4; i += 1) outbox.addLazy(encodeMessage(commit(`key-${i}`)));
    const roomForTwo = 2 * encodeMessage(commit('key-0')).length;
    for (let i = 0; i < 2; i += 1) outbox.add(EVERYBODY, messageOf(outbox.maxMessageSize - roomForTwo));
    outbox.flush(emit);
    expect(sent.map(({ messages }) => messages.map(({ type }) => type))).toEqual([
      ['accept', 'commit', 'commit'],
      ['accept', 'commit', 'commit'],
    ]);
  });

  it('takes what is added while it flushes into the next flush', () => {
    const outbox = outboxOf();
    outbox.add(5, encodeMessage(who(1)));
    outbox.flush((to, datagram) => {
      emit(to, datagram);
      outbox.add(5, encodeMessage(who(2)));
    });
    expect(sent.length).toBe(1);
    expect(outbox.isPending).toBe(true);
    outbox.flush(emit);
    expect(sent[1]?.messages).toEqual([who(2)]);
  });

  it('refuses datagrams too small to be of use', () => {
    expect(() => outboxOf({ maxDatagramSize: 100 })).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
  });
});
