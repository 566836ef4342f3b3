import crypto from 'node:crypto';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { type Arrival, Link } from '../../lib/node/link.js';
import { systemRuntime } from '../../lib/node/runtime.js';
import { type NodeWarning, Warnings } from '../../lib/node/warnings.js';
import type { Receiver } from '../../lib/transport/index.js';
import { DERIVATIONS_A_TICK, TICK_MS } from '../../lib/wire/admission.js';
import { decodeBody, decodeEnvelope, decodeMessage } from '../../lib/wire/decode.js';
import { encodeEnvelope, encodeMessage } from '../../lib/wire/encode.js';
import { LIMITS } from '../../lib/wire/format.js';
import { CLUSTER_TAG_AT, COUNTER_AT, KEY_ID_AT, SALT_AT, SEAL_OVERHEAD, VERSION_AT } from '../../lib/wire/header.js';
import type { Envelope } from '../../lib/wire/messages.js';
import { Opener } from '../../lib/wire/open.js';
import { Sealer } from '../../lib/wire/seal.js';
import { envelope as anyEnvelope, message as anyMessage } from './arbitrary.js';
import { effort, FUZZING_TIMEOUT_MS, runs } from './fuzzing.js';
import { byteMutations, hex, mutated, mutatedOf } from './mutation.js';
import { isSaid, objection, readPlain } from './plain.js';
import { recordTraffic, type Traffic } from './traffic.js';

jest.setTimeout(FUZZING_TIMEOUT_MS);

let traffic: Traffic;
let clean: { readonly body: Buffer; readonly decoded: unknown };

beforeAll(async () => {
  traffic = await recordTraffic();
  const [body = Buffer.alloc(0)] = traffic.bodies;
  clean = { body, decoded: decodeBody(body) };
});
afterEach(() => {
  jest.restoreAllMocks();
});

const randomBytes = (size: number): Uint8Array => crypto.randomBytes(size);
const MESSAGE_TYPES = 21;
const NOW_MS = 1e6;

describe('the traffic recorded', () => {
  it('is of all that nodes say, and is read as it was written', () => {
    const types = new Set<string>();
    for (const body of traffic.bodies) {
      const decoded = decodeBody(body);
      if (!decoded.ok) throw new Error(decoded.reason);
      for (const { type } of decoded.messages) types.add(type);
      expect(Buffer.concat([encodeEnvelope(decoded.envelope), ...decoded.messages.map(encodeMessage)])).toEqual(body);
    }
    // All but an unform, which only a first start that fails sends.
    expect(types.size).toBeGreaterThanOrEqual(MESSAGE_TYPES - 1);
    expect(traffic.frames.length).toBeGreaterThan(5);
  });
});

/** What must hold of any body whatsoever; throws where it does not. */
function checkDecoding(body: Buffer): boolean {
  const plain = readPlain(body);
  const decoded = decodeBody(body);
  const envelope = decodeEnvelope(body);
  decodeMessage(body);
  // What was read before leaves no trace in what is read after it.
  expect(decodeBody(clean.body)).toEqual(clean.decoded);
  const { values, brokenAt } = plain;
  if (!decoded.ok) {
    if (decoded.reason === 'structure') {
      // The structure is refused by both or by neither.
      expect(brokenAt !== null || values.length === 0 || !values.every(Array.isArray)).toBe(true);
    } else if (brokenAt !== null) {
      // It was refused for what stands before that.
      expect(decodeBody(body.subarray(0, brokenAt)).ok).toBe(false);
    }
    return false;
  }
  expect(brokenAt).toBeNull();
  expect(values.length).toBe(1 + decoded.messages.length + decoded.skipped);
  expect(envelope).toEqual(decoded.envelope);
  expect(decoded.messages.length).toBeLessThanOrEqual(LIMITS.messages);
  for (const each of [decoded.envelope, ...decoded.messages]) {
    const { type: _type, ...fields } = { type: '', ...each };
    const found = objection({ type: 'x', ...fields }, body);
    if (found !== null) throw new Error(found);
  }
  expect(isSaid(decoded.messages, values)).toBe(true);
  // What was taken can be sent on, and is the same there.
  for (const message of decoded.messages) expect(decodeMessage(encodeMessage(message))).toEqual(message);
  expect(decodeEnvelope(encodeEnvelope(decoded.envelope))).toEqual(decoded.envelope);
  return true;
}

describe('a body, whatever was done to it, is refused or read as it stands: ', () => {
  it('one of the real ones', () => {
    let taken = 0;
    const { numRuns, ...seed } = effort();
    fc.assert(
      fc.property(mutatedOf(traffic.bodies), (body) => {
        taken += Number(checkDecoding(hex(body)));
      }),
      { numRuns: 8 * numRuns, ...seed },
    );
    // Both happen, or nothing is looked at.
    expect(taken).toBeGreaterThan(numRuns / 10);
    expect(taken).toBeLessThan(7 * numRuns);
  });

  it('one of arbitrary messages', () => {
    const bodies = fc
      .tuple(anyEnvelope, fc.array(anyMessage, { maxLength: 3 }))
      .map(([envelope, messages]) => Buffer.concat([encodeEnvelope(envelope), ...messages.map(encodeMessage)]))
      .filter((body) => body.length < 5000);
    const some = fc.tuple(bodies, bodies, fc.array(fc.nat(), { maxLength: 2 }));
    fc.assert(
      fc.property(some, byteMutations, ([body, other, cuts], changes) => {
        checkDecoding(body);
        checkDecoding(mutated(body, changes, other));
        checkDecoding(Buffer.concat([body, ...cuts.map((cut) => other.subarray(cut % other.length))]));
      }),
      effort(4),
    );
  });

  it('none at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        checkDecoding(Buffer.from(bytes));
      }),
      effort(),
    );
  });
});

describe('what a body makes of memory', () => {
  const ENVELOPE: Envelope = { from: 7, to: 0, clockMs: 1_700_000_000_000, incarnation: 9, slot: 2, vector: 77 };

  /** Bytes that the heap grew by while it ran; more may have come and gone. */
  function growthOf(run: () => void): number {
    const size = (): number => {
      const { heapUsed, arrayBuffers } = process.memoryUsage();
      return heapUsed + arrayBuffers;
    };
    const before = size();
    run();
    return size() - before;
  }

  it('is in proportion to its bytes, whatever it claims', () => {
    const claims = ['dd7fffffff', 'ddffffffff', 'dd00ffffff', 'dbffffffff', 'db7fffffff', 'c67fffffff', 'c6ffffffff'];
    const bodies = claims.flatMap((claim) => [
      Buffer.concat([encodeEnvelope(ENVELOPE), hex(claim)]),
      Buffer.concat([encodeEnvelope(ENVELOPE), hex('9215'), hex(claim), Buffer.alloc(1000)]),
      Buffer.concat([encodeEnvelope(ENVELOPE), hex('950a01000106'), hex(claim), Buffer.alloc(1000)]),
      hex(claim),
    ]);
    const grown = growthOf(() => {
      for (let i = 0; i < runs() / 10; i += 1) for (const body of bodies) expect(decodeBody(body).ok).toBe(false);
    });
    expect(grown).toBeLessThan(256 * 2 ** 20);
  });

  it.each([
    ['empty arrays', '90'],
    ['arrays of empty arrays', '9190'],
    ['empty strings', 'a0'],
  ])('is so where it is full of %s', (_, unit) => {
    // A list in a message of a later version; and one behind what this version knows of a message.
    for (const head of ['927a', '931501']) {
      const count = 2 ** 20;
      const list = Buffer.concat([hex('dd00100000'), Buffer.alloc(count * (unit.length / 2), hex(unit))]);
      const body = Buffer.concat([encodeEnvelope(ENVELOPE), hex(head), list]);
      const grown = growthOf(() => {
        decodeBody(body);
      });
      expect(grown).toBeLessThan(24 * body.length);
    }
  });
});

/** How often keys were derived and bodies decrypted since; what the garbage that comes in costs. */
function watchWork(): { readonly derivations: () => number; readonly decryptions: () => number } {
  const derive = jest.spyOn(crypto, 'hkdfSync');
  const decrypt = jest.spyOn(crypto, 'createDecipheriv');
  return { derivations: () => derive.mock.calls.length, decryptions: () => decrypt.mock.calls.length };
}

/** Counts, all together. */
const sumOf = (counters: Readonly<Record<string, number>>): number =>
  Object.values(counters).reduce((sum, count) => sum + count, 0);

/** A header's field replaced by another's, by zeros, by ones: what a forger would try first. */
const headerChange = fc.record({
  field: fc.constantFrom(
    ...([
      [0, VERSION_AT],
      [VERSION_AT, CLUSTER_TAG_AT],
      [CLUSTER_TAG_AT, KEY_ID_AT],
      [KEY_ID_AT, SALT_AT],
      [SALT_AT, COUNTER_AT],
      [COUNTER_AT, SEAL_OVERHEAD - 16],
      [KEY_ID_AT, COUNTER_AT],
    ] as const),
  ),
  by: fc.constantFrom('zeros', 'ones', 'another'),
});

describe('what was sealed, whatever was done to it,', () => {
  /** An opener that knows all sealers of the traffic, and every second of its datagrams. */
  function informedOpener(): { readonly opener: Opener; readonly fresh: Buffer[]; readonly used: Buffer[] } {
    const opener = new Opener({ keyring: traffic.keyring, randomBytes });
    const [fresh, used]: [Buffer[], Buffer[]] = [[], []];
    const salts = new Set<string>();
    let index = 0;
    for (const sealed of [...traffic.datagrams, ...traffic.frames]) {
      const salt = sealed.toString('latin1', SALT_AT, COUNTER_AT);
      index += 1;
      const isFresh = salts.has(salt) && index % 2 === 0;
      salts.add(salt);
      (isFresh ? fresh : used).push(sealed);
      if (!isFresh) expect(opener.open(sealed, 0).ok).toBe(true);
    }
    return { opener, fresh, used };
  }

  it('is not opened, changes nothing, and is counted', () => {
    const { opener, fresh, used } = informedOpener();
    const all = [...fresh, ...used];
    const known = opener.sealers;
    const genuine = new Set(all.map((sealed) => sealed.toString('hex')));
    const byHeader = fc
      .tuple(fc.nat(all.length - 1), fc.nat(all.length - 1), headerChange)
      .map(([one, two, { field, by }]) => {
        const [sealed = Buffer.alloc(0), other = sealed] = [all[one], all[two]];
        const bytes = Buffer.from(sealed);
        const [start, end] = field;
        if (by === 'another') other.copy(bytes, start, start, end);
        else bytes.fill(by === 'zeros' ? 0 : 0xff, start, end);
        return bytes.toString('hex');
      });
    let nowMs = 0;
    fc.assert(
      fc.property(fc.oneof(mutatedOf(all, byteMutations), byHeader), (sealed) => {
        const before = opener.counters;
        nowMs += TICK_MS;
        const opened = opener.open(hex(sealed), nowMs);
        expect(sumOf(opener.counters)).toBe(sumOf(before) + 1);
        // Two changes may have undone each other; then it is what it was.
        if (genuine.has(sealed)) return;
        expect(opened.ok).toBe(false);
        expect(opener.sealers).toBe(known);
        expect(opener.counters.opened).toBe(before.opened);
      }),
      effort(),
    );
  });

  it('does not keep the genuine from being opened once', () => {
    const { opener, fresh, used } = informedOpener();
    fc.assert(
      fc.property(mutatedOf([...fresh, ...used], byteMutations), (sealed) => {
        // What two changes have left as it was stays aside: it is looked at below.
        const bytes = hex(sealed);
        if (!fresh.some((each) => each.equals(bytes))) opener.open(bytes, 0);
      }),
      effort(),
    );
    for (const sealed of fresh) expect(opener.open(sealed, 0)).toMatchObject({ ok: true });
    for (const sealed of [...fresh, ...used]) expect(opener.open(sealed, 0)).toEqual({ ok: false, reason: 'replayed' });
  });

  type Step =
    | { readonly kind: 'seal' | 'replay'; readonly which: number }
    | { readonly kind: 'forge'; readonly which: number; readonly count: number }
    | { readonly kind: 'pass'; readonly ms: number };
  const step: fc.Arbitrary<Step> = fc.oneof(
    fc.record({ kind: fc.constantFrom('seal', 'replay'), which: fc.nat() }),
    fc.record({ kind: fc.constant('forge'), which: fc.nat(2), count: fc.integer({ min: 1, max: 400 }) }),
    fc.record({ kind: fc.constant('pass'), ms: fc.integer({ min: 1, max: 2 * TICK_MS }) }),
  );

  it('is opened once at most, amid forgeries, by work that is bounded for each tick', () => {
    const work = watchWork();
    const body = Buffer.from('a body');
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 8 }), (steps, secrets) => {
        const [first] = traffic.keyring.stretched;
        // Each of several secrets makes a stranger dearer.
        const others = Array.from({ length: secrets - 1 }, (_, index) => Buffer.alloc(32, index));
        const keyring = { ...traffic.keyring, stretched: [first, ...others] as const };
        const sealers = [1, 2, 3].map(() => new Sealer(traffic.keyring, randomBytes));
        const opener = new Opener({ keyring, randomBytes });
        const sealed: Buffer[] = [];
        const opened = new Set<number>();
        let nowMs = 0;
        let [derived, decrypted] = [0, 0];
        const open = (bytes: Buffer): boolean => {
          const [derivations, decryptions] = [work.derivations(), work.decryptions()];
          const isOpened = opener.open(bytes, nowMs).ok;
          derived += work.derivations() - derivations;
          decrypted += work.decryptions() - decryptions;
          expect(derived).toBeLessThanOrEqual(DERIVATIONS_A_TICK);
          return isOpened;
        };
        for (const each of steps) {
          switch (each.kind) {
            case 'seal':
              sealed.push(sealers[each.which % 3]?.seal(body) ?? body);
              break;
            case 'replay': {
              if (sealed.length === 0) break;
              const index = each.which % sealed.length;
              if (!open(sealed[index] ?? body)) break;
              expect(opened.has(index)).toBe(false);
              opened.add(index);
              break;
            }
            case 'forge': {
              const known = opener.sealers;
              const template = new Sealer(traffic.keyring, randomBytes).seal(body);
              for (let count = 0; count < each.count; count += 1) {
                const forged = Buffer.from(template);
                // A salt each; or the right key id and salt of a sealer not heard of, and another body; or only a salt.
                if (each.which === 0) forged.set(randomBytes(COUNTER_AT - KEY_ID_AT), KEY_ID_AT);
                if (each.which === 1) forged.set(randomBytes(4), forged.length - 4);
                if (each.which === 2) forged.set(randomBytes(COUNTER_AT - SALT_AT), SALT_AT);
                expect(open(forged)).toBe(false);
              }
              expect(opener.sealers).toBe(known);
              break;
            }
            case 'pass':
              nowMs = (Math.floor(nowMs / TICK_MS) + 1) * TICK_MS + (each.ms % TICK_MS);
              [derived, decrypted] = [0, 0];
          }
          // An AES run for a stranger that is looked at, and for what a known sealer seems to have sent.
          expect(decrypted).toBeLessThanOrEqual(DERIVATIONS_A_TICK + steps.length);
        }
        expect(opener.sealers).toBeLessThanOrEqual(sealers.length);
      }),
      effort(20),
    );
  });
});

describe('between network and protocol,', () => {
  const SKEW_MS = 10_000;
  const PROCESS = 4711;
  /** Beyond the skew, what a datagram may have been under way. */
  const DELAY_MS = 2000;

  interface Listening {
    readonly link: Link;
    readonly receiver: Receiver;
    readonly arrivals: Arrival[];
    readonly warnings: NodeWarning[];
    ages: number;
    /** For what the spec says by itself. */
    readonly sealer: Sealer;
  }

  let listening: Listening;
  beforeAll(async () => {
    listening = await listen();
  });

  /** A link as a node has it, on no network, at a time that stands still. */
  async function listen(): Promise<Listening> {
    const warnings: NodeWarning[] = [];
    const limited = new Warnings(
      () => NOW_MS,
      (warning) => warnings.push(warning),
    );
    const arrivals: Arrival[] = [];
    let receiver: Receiver | undefined;
    const link = new Link({
      process: PROCESS,
      transport: {
        maxDatagramSize: 1400,
        maxFrameSize: 2 ** 20,
        open: async (given) => {
          receiver = given;
          return { streamPort: 1 };
        },
        broadcast: () => undefined,
        send: () => undefined,
        sendStream: () => false,
        status: () => {
          throw new Error('not asked for');
        },
        close: async () => undefined,
      },
      keyring: traffic.keyring,
      runtime: { ...systemRuntime, monotonicMs: () => NOW_MS },
      maxClockSkewMs: SKEW_MS,
      wallMs: () => NOW_MS,
      identity: () => ({ incarnation: 0, slot: 0, vector: 0 }),
      locate: () => null,
      audience: () => [],
      company: () => [],
      receive: (arrival) => arrivals.push(arrival),
      refusedAge: () => {
        heard.ages += 1;
      },
      warn: (code, message) => limited.warn(code, message),
    });
    await link.open();
    if (receiver === undefined) throw new Error('not opened');
    const sealer = new Sealer(traffic.keyring, randomBytes);
    const heard = { link, receiver, arrivals, warnings, ages: 0, sealer };
    return heard;
  }

  /** Has the link take bytes, by one way or the other; says what became of them. */
  function take(
    to: Listening,
    bytes: Buffer,
    isFrame: boolean,
  ): { readonly isGood: boolean; readonly arrival?: Arrival } {
    const from = { host: '127.0.0.1', port: 9 };
    to.arrivals.length = 0;
    const isGood = isFrame ? to.receiver.onFrame(bytes, from) : to.receiver.onDatagram(bytes, from);
    expect(to.arrivals.length).toBeLessThanOrEqual(1);
    const [arrival] = to.arrivals;
    return arrival === undefined ? { isGood } : { isGood, arrival };
  }

  /** Real bodies as if they had just been sent, since those recorded are from another time. */
  const bodiesNow = (): Buffer[] =>
    traffic.bodies.map((body) => {
      const decoded = decodeBody(body);
      if (!decoded.ok) throw new Error(decoded.reason);
      const envelope = encodeEnvelope({ ...decoded.envelope, to: 0, clockMs: NOW_MS });
      return Buffer.concat([envelope, body.subarray(encodeEnvelope(decoded.envelope).length)]);
    });

  it('what a peer sends that is buggy or of another version is handed on or counted, and warned of once', () => {
    const before = { ...listening.link.counters };
    let malformed = 0;
    fc.assert(
      fc.property(mutatedOf(bodiesNow()), fc.boolean(), (body, isFrame) => {
        const { counters, sealing } = listening.link;
        const [faults, { opened }, { ages }] = [{ ...counters }, sealing, listening];
        const { isGood, arrival } = take(listening, listening.sealer.seal(hex(body)), isFrame);
        const fault = counters.malformed - faults.malformed;
        malformed += fault;
        const off = counters.tooOld - faults.tooOld + counters.notForUs - faults.notForUs;
        expect(listening.link.sealing.opened).toBe(opened + 1);
        expect(fault + off + Number(arrival !== undefined)).toBe(1);
        expect(listening.ages - ages).toBe(counters.tooOld - faults.tooOld);
        // A recording proves no connection, nor where anybody is.
        expect(isGood).toBe(arrival !== undefined);
        if (arrival === undefined) return;
        expect(decodeBody(hex(body))).toMatchObject({ envelope: arrival.envelope, messages: arrival.messages });
        expect(NOW_MS - arrival.envelope.clockMs).toBeLessThanOrEqual(SKEW_MS + DELAY_MS);
        expect([0, PROCESS]).toContain(arrival.envelope.to);
        for (const each of [arrival.envelope, ...arrival.messages])
          expect(objection(each, Buffer.alloc(0), '.x')).toBeNull();
      }),
      effort(),
    );
    expect(listening.link.counters.malformed - before.malformed).toBe(malformed);
    expect(malformed).toBeGreaterThan(runs() / 10);
    // Time stands still, so all of them are within a minute.
    expect(listening.warnings.map(({ code }) => code)).toEqual(['malformed']);
  });

  it('what is not authentic is counted by the seal, and by nothing else', async () => {
    const strange = await listen();
    const all = [...traffic.datagrams, ...traffic.frames];
    const genuine = new Set(all.map((sealed) => sealed.toString('hex')));
    fc.assert(
      fc.property(mutatedOf(all, byteMutations), fc.boolean(), (sealed, isFrame) => {
        if (genuine.has(sealed)) return;
        expect(take(strange, hex(sealed), isFrame)).toEqual({ isGood: false });
      }),
      effort(),
    );
    expect(sumOf({ ...strange.link.counters })).toBe(0);
    expect(strange.link.sealing.opened).toBe(0);
    expect(strange.warnings).toEqual([]);
  });

  it('what is too old, or for somebody else, is not handed on, and proves no connection', () => {
    const ages = fc.oneof(fc.integer({ min: -20_000, max: 20_000 }), fc.constantFrom(12_000, 12_001));
    const others = fc.constantFrom(0, PROCESS, PROCESS + 1, 2 ** 48 - 1);
    fc.assert(
      fc.property(anyEnvelope, ages, others, fc.boolean(), (envelope, ageMs, to, isFrame) => {
        const body = encodeEnvelope({ ...envelope, to, clockMs: NOW_MS - ageMs });
        const { isGood, arrival } = take(listening, listening.sealer.seal(body), isFrame);
        const isWanted = ageMs <= SKEW_MS + DELAY_MS && (to === 0 || to === PROCESS);
        expect(arrival !== undefined).toBe(isWanted);
        // Old frames, or others' frames, that somebody recorded would take all the places that connections have; datagrams
        // would have others sent to where the recorder is.
        expect(isGood).toBe(isWanted);
      }),
      effort(),
    );
  });
});
