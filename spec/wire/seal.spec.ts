import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { DERIVATIONS_A_TICK, TICK_MS } from '../../lib/wire/admission.js';
import { CLUSTER_TAG_AT, COUNTER_AT, HEADER_SIZE, KEY_ID_AT, SALT_AT, SEAL_OVERHEAD } from '../../lib/wire/header.js';
import { checkSecrets, type Keyring, makeKeyring } from '../../lib/wire/keyring.js';
import { Opener, type OpenerOptions } from '../../lib/wire/open.js';
import { ReplayWindow, WINDOW_SIZE } from '../../lib/wire/replay.js';
import { type RandomBytes, Sealer, sealedSize } from '../../lib/wire/seal.js';

const OLD_SECRET = 'the secret of last year';
const NEW_SECRET = 'the secret of this year';

/** Bytes by a seed, so that a failing run fails again. */
function randomBy(seed: number): RandomBytes {
  let state = seed * 2_654_435_761 + 1;
  return (size) =>
    Uint8Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    });
}

let seeds = 0;
let open: Keyring;
let old: Keyring;
let rotating: Keyring;
let renewed: Keyring;
let elsewhere: Keyring;

beforeAll(async () => {
  [open, old, rotating, renewed, elsewhere] = await Promise.all([
    makeKeyring(false, 'farm'),
    makeKeyring(OLD_SECRET, 'farm'),
    makeKeyring([NEW_SECRET, OLD_SECRET], 'farm'),
    makeKeyring([NEW_SECRET], 'farm'),
    makeKeyring(OLD_SECRET, 'another farm'),
  ]);
});

function sealerOf(keyring: Keyring, maxCounter?: number): Sealer {
  return new Sealer(keyring, randomBy(++seeds), maxCounter);
}

function openerOf(keyring: Keyring, options: Partial<OpenerOptions> = {}): Opener {
  return new Opener({ keyring, randomBytes: randomBy(++seeds), ...options });
}

/** The body as text, or why there is none. */
function outcome(opener: Opener, sealed: Uint8Array, nowMs = 0): string {
  const opened = opener.open(sealed, nowMs);
  return opened.ok ? `body ${opened.body.toString()}` : opened.reason;
}

const HELLO = Buffer.from('hello');

describe('secrets', () => {
  it('are one, several or none', () => {
    expect(checkSecrets(undefined)).toEqual([]);
    expect(checkSecrets(false)).toEqual([]);
    expect(checkSecrets(OLD_SECRET)).toEqual([OLD_SECRET]);
    expect(checkSecrets([NEW_SECRET, OLD_SECRET])).toEqual([NEW_SECRET, OLD_SECRET]);
  });

  it.each([
    ['short', '15 characters..'],
    ['empty', ''],
    ['none in a list', []],
    ['a short one in a list', [NEW_SECRET, 'short']],
    ['no string', 1_234_567_890_123_456 as unknown as string],
    ['too many', Array<string>(9).fill(NEW_SECRET)],
  ])('are refused when %s, without being shown', (_, secrets) => {
    expect(() => checkSecrets(secrets)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
    expect(() => checkSecrets(secrets)).not.toThrow(/15 characters\.\.|this year/);
  });

  it('give a cluster keys of its own, but the same each time', async () => {
    const again = await makeKeyring(OLD_SECRET, 'farm');
    expect(again.stretched[0].equals(old.stretched[0])).toBe(true);
    expect(rotating.stretched[1]?.equals(old.stretched[0])).toBe(true);
    expect(elsewhere.stretched[0].equals(old.stretched[0])).toBe(false);
  });
});

describe('what was sealed', () => {
  it('opens, of every size', () => {
    const sealer = sealerOf(old);
    const opener = openerOf(old);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (body) => {
        const sealed = sealer.seal(body);
        expect(sealed.length).toBe(sealedSize(body.length));
        const opened = opener.open(new Uint8Array(sealed), 0);
        expect(opened.ok && Buffer.compare(opened.body, body)).toBe(0);
      }),
      { numRuns: 100 },
    );
    expect(opener.counters).toMatchObject({ opened: 100 });
  });

  it('opens without a secret too, and only in its cluster', () => {
    expect(outcome(openerOf(open), sealerOf(open).seal(HELLO))).toBe('body hello');
    expect(outcome(openerOf(open), sealerOf(old).seal(HELLO))).toBe('unknownKey');
    expect(outcome(openerOf(old), sealerOf(open).seal(HELLO))).toBe('unknownKey');
  });

  it('has its fixed bytes', async () => {
    const counting: RandomBytes = (size) => Uint8Array.from({ length: size }, (_, i) => i);
    const sealer = new Sealer(old, counting);
    expect(sealer.seal(HELLO).toString('hex')).toBe(
      'e3f0017123f058f4f52e771155970c6dfa04cc000102030405060708090a0b0c0d0e0f0000000000018c57c9f0a390841f422427934170f9ee7ff4f40c57',
    );
  });

  it('does not show its body, nor twice the same', () => {
    const body = Buffer.from('connect.sid of somebody, whom it lets in');
    const sealer = sealerOf(old);
    const [first, second] = [sealer.seal(body), sealer.seal(body)];
    expect(first.includes('connect.sid')).toBe(false);
    expect(first.subarray(HEADER_SIZE).equals(second.subarray(HEADER_SIZE))).toBe(false);
  });

  it('opens by any of several secrets, and is sealed by the first', () => {
    expect(outcome(openerOf(rotating), sealerOf(old).seal(HELLO))).toBe('body hello');
    expect(outcome(openerOf(rotating), sealerOf(renewed).seal(HELLO))).toBe('body hello');
    expect(outcome(openerOf(renewed), sealerOf(rotating).seal(HELLO))).toBe('body hello');
    expect(outcome(openerOf(old), sealerOf(rotating).seal(HELLO))).toBe('unknownKey');
  });

  it('is ignored by another cluster, the secret being the same', () => {
    expect(outcome(openerOf(elsewhere), sealerOf(old).seal(HELLO))).toBe('cluster');
    const sealed = sealerOf(old).seal(HELLO);
    elsewhere.clusterTag.copy(sealed, CLUSTER_TAG_AT);
    expect(outcome(openerOf(elsewhere), sealed)).toBe('unknownKey');
  });

  it('is refused with any bit flipped, by whoever knows the sealer and whoever does not', () => {
    const sealer = sealerOf(old);
    const known = openerOf(old);
    known.open(sealer.seal(HELLO), 0);
    const sealed = sealer.seal(HELLO);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const byte = bit >> 3;
      const reason =
        byte < CLUSTER_TAG_AT ? 'foreign' : byte < KEY_ID_AT ? 'cluster' : byte < COUNTER_AT ? 'unknownKey' : 'badTag';
      expect(outcome(known, flipped, bit * TICK_MS)).toBe(reason);
      expect(outcome(openerOf(old), flipped)).toBe(reason);
    }
    expect(outcome(known, sealed)).toBe('body hello');
  });

  it('is refused when cut short', () => {
    const sealed = sealerOf(old).seal(HELLO);
    const opener = openerOf(old);
    for (let length = 0; length < sealed.length; length++) {
      expect(outcome(opener, sealed.subarray(0, length), length * TICK_MS)).toBe(
        length < SEAL_OVERHEAD ? 'short' : 'badTag',
      );
    }
  });

  it('is known by the process that sealed it', () => {
    const [datagrams, frames] = [sealerOf(old), sealerOf(old)];
    const opener = openerOf(old, { own: [datagrams, frames] });
    expect(outcome(opener, datagrams.seal(HELLO))).toBe('own');
    expect(outcome(opener, frames.seal(HELLO))).toBe('own');
    expect(opener.counters.own).toBe(2);
  });

  it('gets a new salt before a counter repeats', () => {
    const sealer = sealerOf(old, 2);
    const opener = openerOf(old, { own: [sealer] });
    const sealed = [1, 2, 3, 4, 5].map(() => sealer.seal(HELLO));
    expect(new Set(sealed.map((each) => each.toString('latin1', SALT_AT, COUNTER_AT))).size).toBe(3);
    expect(new Set(sealed.map((each) => each.toString('latin1', SALT_AT, HEADER_SIZE))).size).toBe(5);
    expect(outcome(opener, sealed[4] as Buffer)).toBe('own'); // there are five
    for (const each of sealed) expect(outcome(openerOf(old), each)).toBe('body hello');
  });
});

describe('a replay', () => {
  it('is refused', () => {
    const opener = openerOf(old);
    const sealed = sealerOf(old).seal(HELLO);
    expect(outcome(opener, sealed)).toBe('body hello');
    expect(outcome(opener, sealed)).toBe('replayed');
    expect(outcome(opener, sealed, 1e9)).toBe('replayed');
  });

  it('is told from what was only overtaken', () => {
    const opener = openerOf(old);
    const sealer = sealerOf(old);
    const sealed = Array.from({ length: WINDOW_SIZE + 10 }, () => sealer.seal(HELLO));
    const at = (index: number) => outcome(opener, sealed[index] as Buffer); // below its length
    expect(at(9)).toBe('body hello');
    expect(at(3)).toBe('body hello');
    expect(at(3)).toBe('replayed');
    expect(at(WINDOW_SIZE + 9)).toBe('body hello');
    expect(at(9)).toBe('replayed');
    expect(at(8)).toBe('replayed'); // too far behind to tell
    expect(at(10)).toBe('body hello');
    expect(at(10)).toBe('replayed');
  });

  it('cannot be provoked by a forger, nor can the window be moved by one', () => {
    const opener = openerOf(old);
    const sealer = sealerOf(old);
    expect(outcome(opener, sealer.seal(HELLO))).toBe('body hello');
    const forged = sealer.seal(HELLO);
    const next = sealer.seal(HELLO);
    forged.fill(0xff, COUNTER_AT, HEADER_SIZE);
    expect(outcome(opener, forged)).toBe('badTag');
    expect(outcome(opener, next)).toBe('body hello');
  });

  it('window takes each counter once and forgets none that it might take', () => {
    const step = fc.oneof(fc.integer({ min: -WINDOW_SIZE - 5, max: WINDOW_SIZE + 5 }), fc.integer({ min: -3, max: 3 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const window = new ReplayWindow();
        const seen = new Set<number>();
        let highest = 0;
        for (const step of steps) {
          const counter = Math.max(1, highest + step);
          const isFresh = !seen.has(counter) && counter > highest - WINDOW_SIZE;
          expect(window.isFresh(counter)).toBe(isFresh);
          if (isFresh) window.mark(counter);
          seen.add(counter);
          highest = Math.max(highest, counter);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('sealers remembered', () => {
  it('are not forgotten while a replay of theirs could pass for recent', () => {
    const opener = openerOf(old, { maxSealers: 2, retentionMs: 10_000 });
    const [a, b, c] = [sealerOf(old), sealerOf(old), sealerOf(old)];
    const first = a.seal(HELLO);
    expect(outcome(opener, first, 0)).toBe('body hello');
    expect(outcome(opener, b.seal(HELLO), 1000)).toBe('body hello');
    expect(outcome(opener, c.seal(HELLO), 2000)).toBe('overload');
    expect(outcome(opener, a.seal(HELLO), 5000)).toBe('body hello');
    expect(outcome(opener, c.seal(HELLO), 11_000)).toBe('overload');
    expect(outcome(opener, c.seal(HELLO), 12_000)).toBe('body hello'); // in the place of b, silent for 11 s
    expect(outcome(opener, first, 12_000)).toBe('replayed');
    expect(opener.sealers).toBe(2);
  });

  it('are only those that are alive, whatever was recorded', () => {
    const opener = openerOf(old, { maxSealers: 2, isRecent: (body) => body.toString() !== 'old' });
    for (let i = 0; i < 20; i++)
      expect(outcome(opener, sealerOf(old).seal(Buffer.from('old')), i * 10)).toBe('body old');
    expect(opener.sealers).toBe(0);
    expect(outcome(opener, sealerOf(old).seal(HELLO), 200)).toBe('body hello');
    expect(opener.sealers).toBe(1);
  });
});

describe('a flood of strangers', () => {
  /** What looks like a datagram of a sealer that nobody knows. */
  function forge(sealed: Buffer, random: RandomBytes): Buffer {
    const forged = Buffer.from(sealed);
    forged.set(random(COUNTER_AT - KEY_ID_AT), KEY_ID_AT);
    return forged;
  }

  it.each([
    ['', 2000],
    [', just enough to use the budget up', DERIVATIONS_A_TICK - 1],
  ])('costs a bounded number of derivations and keeps no newcomer out for long%s', (_, aTick) => {
    const random = randomBy(1);
    const template = sealerOf(old).seal(HELLO);
    const opener = openerOf(old);
    const known = sealerOf(old);
    opener.open(known.seal(HELLO), 0);
    const newcomers = Array.from({ length: 20 }, () => ({ sealer: sealerOf(old), enteredAfter: 0 }));
    let tick = 1;
    for (; tick <= 500 && newcomers.some(({ enteredAfter }) => enteredAfter === 0); tick++) {
      const looked = () => opener.counters.unknownKey + opener.counters.opened;
      const [before, openedBefore] = [looked(), opener.counters.opened];
      // The worst for a newcomer: it comes last in the tick.
      for (let i = 0; i < aTick; i++) opener.open(forge(template, random), tick * TICK_MS);
      for (const newcomer of newcomers) {
        if (newcomer.enteredAfter > 0) continue;
        if (opener.open(newcomer.sealer.seal(HELLO), tick * TICK_MS).ok) newcomer.enteredAfter = tick;
      }
      expect(looked() - before + opener.counters.opened - openedBefore).toBeLessThanOrEqual(DERIVATIONS_A_TICK);
      expect(outcome(opener, known.seal(HELLO), tick * TICK_MS)).toBe('body hello');
    }
    expect(newcomers.every(({ enteredAfter }) => enteredAfter > 0)).toBe(true);
    expect(opener.sealers).toBe(21);
    expect(opener.counters.overload).toBeGreaterThan(0);
  });

  it('leaves ordinary newcomers alone', () => {
    const opener = openerOf(old);
    for (let i = 0; i < 30; i++) expect(outcome(opener, sealerOf(old).seal(HELLO), 0)).toBe('body hello');
  });
});
