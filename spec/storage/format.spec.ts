import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bodyOf, decodeHead, decodeIdentity, decodeRecord } from '../../lib/storage/decode.js';
import { encodeHead, encodeIdentity, encodeRecord } from '../../lib/storage/encode.js';
import { FORMAT, MAX_IDENTITY_SIZE, UPGRADES } from '../../lib/storage/format.js';
import { SEAL_SIZE, seal, tagOf, unseal } from '../../lib/storage/seal.js';
import { CorruptionError } from '../../lib/storage/storage.js';
import * as arbitrary from './arbitrary.js';
import { IDENTITY } from './arbitrary.js';

describe('a record', () => {
  test('comes back as it was, without what only its process knew', () => {
    fc.assert(
      fc.property(arbitrary.key, arbitrary.record, (key, record) => {
        const entry = encodeRecord(key, { ...record, touchedMs: 5 });
        expect(entry.key).toBe(`r${key}`);
        expect(decodeRecord(bodyOf(entry.key, entry.value))).toEqual(record);
      }),
    );
  });

  test('shares no memory with what it was read from', () => {
    const value = Uint8Array.from([1, 2, 3]);
    const ballot = { round: 5, proposer: 6 };
    const proposal = {
      accepted: ballot,
      operation: 'a.1',
      value,
      attributes: value,
      until: 1,
      birth: ballot,
      dataBallot: ballot,
      lineage: [],
      lineageFrom: ballot,
    };
    const entry = encodeRecord('k', { promised: ballot, proposal, committed: true, horizon: 1, touchedMs: 0 });
    const read = decodeRecord(bodyOf(entry.key, entry.value));
    entry.value.fill(0);
    expect(read.proposal?.value).toEqual(value);
    expect(read.proposal?.attributes).toEqual(value);
  });

  test('damaged anywhere is not read', () => {
    fc.assert(
      fc.property(
        arbitrary.key,
        arbitrary.record,
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (key, record, at, bits) => {
          const { key: name, value } = encodeRecord(key, { ...record, touchedMs: 0 });
          const damaged = new Uint8Array(value);
          damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ bits; // in range
          expect(() => bodyOf(name, damaged)).toThrow(CorruptionError);
          expect(() => bodyOf(name, value.subarray(0, at % value.length))).toThrow(CorruptionError);
          expect(() => bodyOf(`${name}x`, value)).toThrow(CorruptionError);
        },
      ),
    );
  });

  test('with any bytes under a checksum that fits is read as a record, or not at all', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          const record = decodeRecord(Buffer.from(bytes));
          const { key, value } = encodeRecord('k', { ...record, touchedMs: 0 });
          expect(decodeRecord(bodyOf(key, value))).toEqual(record);
        } catch (error) {
          expect(error).toBeInstanceOf(CorruptionError);
        }
      }),
    );
  });

  test('cut off or lengthened is not read', () => {
    fc.assert(
      fc.property(arbitrary.record, fc.nat(), (record, at) => {
        const { key, value } = encodeRecord('k', { ...record, touchedMs: 0 });
        const body = bodyOf(key, value);
        expect(() => decodeRecord(body.subarray(0, at % body.length))).toThrow(CorruptionError);
        expect(() => decodeRecord(Buffer.concat([body, Buffer.from([0])]))).toThrow(CorruptionError);
      }),
    );
  });

  // Also what is on the disks of those who run this version: a change needs a new version and an upgrade.
  test('has these bytes', () => {
    const accepted = { round: 0x0102030405, proposer: 0xa1a2a3a4a5a6 };
    const proposal = {
      accepted,
      operation: 'x.1',
      value: Uint8Array.from([7, 8]),
      attributes: Uint8Array.from([9]),
      until: 3,
      birth: accepted,
      dataBallot: accepted,
      lineage: [{ operation: 'y.2', ballot: accepted }],
      lineageFrom: accepted,
    };
    const { value } = encodeRecord('k', { promised: accepted, proposal, committed: true, horizon: 4, touchedMs: 1 });
    expect(Buffer.from(value).toString('hex').replaceAll('41f0203040500000a1a2a3a4a5a6', '<accepted>')).toBe(
      'dcf50e3201' +
        '07<accepted>4010000000000000' +
        '<accepted>03782e314008000000000000<accepted><accepted><accepted>' +
        '0103792e32<accepted>000000010900000002' +
        '0708',
    );
  });
});

describe('head and identity', () => {
  test('come back as they were', () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), fc.nat(), fc.integer(), arbitrary.ballot, (number, count, digest, floor) => {
        const { key, value } = encodeHead({ number, count, digest, floor });
        expect(decodeHead(bodyOf(key, value))).toEqual({ number, count, digest, floor });
      }),
    );
    fc.assert(
      fc.property(arbitrary.identity, (identity) => {
        const { key, value } = encodeIdentity(identity);
        // As JSON has it, which knows no −0.
        expect(decodeIdentity(bodyOf(key, value))).toEqual(JSON.parse(JSON.stringify(identity)));
      }),
    );
  });

  test.each([
    ['nothing', 'null'],
    ['a number', '1'],
    ['no JSON', '{'],
    ['no view', JSON.stringify({ ...IDENTITY, view: undefined })],
    ['a view that is none', JSON.stringify({ ...IDENTITY, view: 1 })],
    ['no cluster', JSON.stringify({ ...IDENTITY, cluster: 5 })],
    ['half a slot', JSON.stringify({ ...IDENTITY, slot: 1.5 })],
    ['a negative generation', JSON.stringify({ ...IDENTITY, generation: -1 })],
  ])('an identity that is %s', (_, json) => {
    const body = Buffer.concat([Buffer.alloc(4), Buffer.from(json)]);
    body.writeUInt32BE(body.length - 4);
    expect(() => decodeIdentity(body)).toThrow(CorruptionError);
  });

  test('an identity without bounds', () => {
    expect(() => encodeIdentity({ ...IDENTITY, view: ['x'.repeat(MAX_IDENTITY_SIZE)] })).toThrow(RangeError);
  });
});

describe('versions', () => {
  function entry(version: number, body: string): Buffer {
    const bytes = Buffer.concat([Buffer.alloc(SEAL_SIZE), Buffer.from(body)]);
    seal('k', version, bytes);
    return bytes;
  }

  test('there is an upgrade to each but the first', () => {
    expect(UPGRADES.length).toBe(FORMAT - 1);
  });

  test('an entry goes through all upgrades from its version on', () => {
    const upgrades = [
      (key: string, body: Buffer) => Buffer.from(`${body} ${key}1`),
      (_: string, body: Buffer) => Buffer.from(`${body} 2`),
    ];
    expect(`${bodyOf('k', entry(1, 'a'), 3, upgrades)}`).toBe('a k1 2');
    expect(`${bodyOf('k', entry(2, 'a'), 3, upgrades)}`).toBe('a 2');
    expect(`${bodyOf('k', entry(3, 'a'), 3, upgrades)}`).toBe('a');
    expect(() => bodyOf('k', entry(4, 'a'), 3, upgrades)).toThrow(CorruptionError);
    expect(() => bodyOf('k', entry(0, 'a'), 3, upgrades)).toThrow(CorruptionError);
  });

  test('a version is under the checksum', () => {
    const bytes = entry(1, 'a');
    bytes[4] = 2;
    expect(() => unseal('k', bytes)).toThrow(CorruptionError);
  });
});

test('the same change of two entries does not cancel out in their tags', () => {
  const sealed = (key: string, body: number): number => {
    const bytes = Buffer.alloc(SEAL_SIZE + 4);
    bytes.writeUInt32BE(body, SEAL_SIZE);
    seal(key, 1, bytes);
    return tagOf(bytes);
  };
  const before = (sealed('a', 1) + sealed('b', 1)) | 0;
  const after = (sealed('a', 3) + sealed('b', 3)) | 0;
  expect(after).not.toBe(before);
});
