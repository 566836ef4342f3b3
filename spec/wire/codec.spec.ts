import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeBody, decodeEnvelope, decodeMessage } from '../../lib/wire/decode.js';
import { encodeEnvelope, encodeMessage } from '../../lib/wire/encode.js';
import { LIMITS, MAX_ENVELOPE_SIZE, TYPE } from '../../lib/wire/format.js';
import type { Envelope, Message } from '../../lib/wire/messages.js';
import { envelope as anyEnvelope, message as anyMessage, MESSAGES } from './arbitrary.js';

const ENVELOPE: Envelope = { from: 7, to: 0, clockMs: 1_700_000_000_000, incarnation: 9, slot: 2, vector: 77 };

const ballot = (round: number, proposer: number) => ({ round, proposer });

const ROUND = 1_700_000_000_000 * 1024;

const VIEW = {
  incarnation: 9,
  formedAtMs: 1_700_000_000_000,
  holders: [{ process: 7, generation: 1, name: 'a:1' }, null],
};

const PROPOSAL = {
  accepted: ballot(ROUND, 7),
  operation: '7.1',
  value: Uint8Array.of(1, 2, 0xc1),
  attributes: Uint8Array.of(9),
  until: Number.MAX_SAFE_INTEGER,
  birth: ballot(3, 1),
  dataBallot: ballot(4, 1),
  lineage: [{ operation: '7.0', ballot: ballot(5, 7) }],
  lineageFrom: ballot(0, 0),
};

const ROUND_HEX = 'cb4318bcfe56800000';

/** One of each type and its bytes. A change here is a change of the protocol: nodes of two versions part company. */
const GOLDEN: readonly (readonly [Message, string])[] = [
  [
    { type: 'prepare', request: 300, key: 'sess/é', ballot: ballot(ROUND, 7), bound: 5, held: null },
    `9701cd012ca7736573732fc3a9${ROUND_HEX}0705c0`,
  ],
  [
    { type: 'accept', request: 1, key: 'k', proposal: PROPOSAL, horizon: 6 },
    `950201a16b069d${ROUND_HEX}07a3372e31c4030102c1c40109cb433fffffffffffff0301040193a3372e3005ff0000`,
  ],
  [{ type: 'commit', key: 'k', ballot: ballot(2, 3), operation: '7.1', effect: 'removed' }, '9603a16b0203a3372e3102'],
  [
    { type: 'read', request: 1, key: 'k', held: { accepted: ballot(2, 3), operation: '7.1' } },
    '940401a16b930203a3372e31',
  ],
  [{ type: 'enumerate', request: 1, prefix: 'sess/', shard: 255 }, '940501a5736573732fccff'],
  [{ type: 'compare', request: 1, digests: new Uint8Array(1024).fill(0xc1) }, `930b01c50400${'c1'.repeat(1024)}`],
  [{ type: 'differs', request: 1, shards: [0, 255] }, '930c019200ccff'],
  [{ type: 'pull', request: 1, keys: ['k', 'l'] }, '930d0192a16ba16c'],
  [
    {
      type: 'pulled',
      request: 1,
      first: 'k',
      looked: 2,
      copies: [{ key: 'k', proposal: PROPOSAL, horizon: 6 }],
    },
    `950e01a16b0293a16b069d${ROUND_HEX}07a3372e31c4030102c1c40109cb433fffffffffffff0301040193a3372e3005ff0000`,
  ],
  [{ type: 'transfer', request: 1, shard: 255, after: 'k' }, '940f01ccffa16b'],
  [{ type: 'transfer', request: 1, shard: 255, after: 'k', isByName: true }, '950f01ccffa16b01'],
  [{ type: 'transfer', request: 1, shard: 255, after: 'k', isOfLegacy: true }, '950f01ccffa16b02'],
  [
    {
      type: 'named',
      request: 1,
      shard: 0,
      after: '',
      nextShard: 255,
      nextAfter: 'm',
      floor: ballot(2, 3),
      names: [
        { key: 'k', promised: ballot(4, 8), accepted: ballot(4, 7), operation: '7.1', horizon: 6, committed: true },
        { key: 'l', promised: ballot(5, 6), accepted: ballot(0, 0), operation: '', horizon: 0, committed: false },
      ],
    },
    '99110100a0ccffa16d0203dc0010a16b0407a3372e310601ff08a16c0000a000000506',
  ],
  [
    {
      type: 'transferred',
      request: 1,
      shard: 0,
      after: '',
      nextShard: 255,
      nextAfter: 'm',
      floor: ballot(2, 3),
      records: [
        { key: 'k', promised: ballot(ROUND, 8), horizon: 6, committed: true, proposal: PROPOSAL },
        { key: 'l', promised: ballot(5, 6), horizon: 0, committed: false, proposal: null },
      ],
    },
    `99100100a0ccffa16d02039ca16b${ROUND_HEX}0806019d${ROUND_HEX}07a3372e31c4030102c1c40109cb433fffffffffffff0301040193a3372e3005ff0000a16c05060000c0`,
  ],
  [
    { type: 'promised', request: 1, ballot: ballot(2, 3), report: null, horizon: 4, floor: ballot(5, 6) },
    '9806010203c0040506',
  ],
  [{ type: 'accepted', request: 1, ballot: ballot(2, 3) }, '9407010203'],
  [
    { type: 'nack', request: 1, phase: 2, ballot: ballot(2, 3), reason: 'clock', promised: ballot(4, 5) },
    '980801020203010405',
  ],
  [
    {
      type: 'held',
      request: 1,
      report: {
        proposal: { ...PROPOSAL, value: null, attributes: new Uint8Array(0), lineage: [] },
        committed: true,
        isHeld: true,
      },
      horizon: 6,
      floor: ballot(8, 9),
    },
    `96090192039d${ROUND_HEX}07a3372e31c0c0cb433fffffffffffff03010401900000060809`,
  ],
  [
    {
      type: 'enumerated',
      request: 1,
      shard: 3,
      nextShard: 256,
      keys: [{ key: 'k', accepted: ballot(2, 3), operation: '7.1', committed: true, until: 4 }],
    },
    '950a0103cd010096a16b0203a3372e310104',
  ],
  [
    {
      type: 'hello',
      name: 'a:1',
      host: 'a',
      streamPort: 7707,
      clusterSize: 3,
      maxClockSkewMs: 10_000,
      wish: -1,
      phase: 'learner',
      bound: 0,
      view: VIEW,
      slot: 1,
      open: [2],
      ended: [7],
      lost: 8,
      voter: 6,
      isDurable: true,
      hasResigned: false,
      copied: 0,
    },
    'dc001114a3613a31cd1e1b03cd2710ff02009309cb4278bcfe5680000092930701a3613a31c0019102a161910708060100',
  ],
  [{ type: 'who', request: 1 }, '921501'],
  [{ type: 'vouch', request: 1, view: VIEW, isServing: true }, '9416019309cb4278bcfe5680000092930701a3613a31c001'],
  [{ type: 'form', view: VIEW }, '92179309cb4278bcfe5680000092930701a3613a31c0'],
  [{ type: 'unform', incarnation: 2 ** 48 - 1 }, '9218cb42efffffffffffe0'],
  [
    { type: 'ask', request: 300, floor: 299, topic: 'é', payload: Uint8Array.of(1, 2) },
    '951ecd012ccd012ba2c3a9c4020102',
  ],
  [{ type: 'ask', request: 1, floor: 1, topic: '~node', payload: null }, '951e0101a57e6e6f6465c0'],
  [{ type: 'told', request: 1, outcome: 'answered', value: Uint8Array.of(0xc0), text: '' }, '951f0100c401c0a0'],
  ...(['running', 'no handler', 'failed', 'overloaded', 'closing', 'unknown'] as const).map(
    (outcome, index): readonly [Message, string] => [
      { type: 'told', request: 1, outcome, value: new Uint8Array(0), text: outcome === 'failed' ? 'x' : '' },
      `951f010${index + 1}c400${outcome === 'failed' ? 'a178' : 'a0'}`,
    ],
  ),
];

/** A body of `ENVELOPE` and what these bytes say. */
function bodyOf(...parts: (Uint8Array | string | readonly number[])[]): Buffer {
  const rest = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'hex') : Buffer.from(part)));
  return Buffer.concat([encodeEnvelope(ENVELOPE), ...rest]);
}

function reasonFor(...parts: Parameters<typeof bodyOf>): string {
  const decoded = decodeBody(bodyOf(...parts));
  return decoded.ok ? 'none' : decoded.reason;
}

/** What a decoded body would have to be encoded to: whatever is in range comes back the same. */
function isInRange(messages: readonly Message[]): boolean {
  return messages.every((message) => {
    const back = decodeMessage(encodeMessage(message));
    return back !== null && Buffer.compare(encodeMessage(back), encodeMessage(message)) === 0;
  });
}

describe('messages', () => {
  for (const [type, arbitrary] of Object.entries<fc.Arbitrary<Message>>(MESSAGES)) {
    it(`of type ${type} come back as they were`, () => {
      fc.assert(
        fc.property(arbitrary, (message) => {
          expect(decodeMessage(encodeMessage(message))).toEqual(message);
        }),
        { numRuns: 60 },
      );
    });
  }

  it.each(GOLDEN)('%j has its bytes', (message, hex) => {
    expect(Buffer.from(encodeMessage(message)).toString('hex')).toBe(hex);
    expect(decodeMessage(Buffer.from(hex, 'hex'))).toEqual(message);
  });

  it('have golden bytes, of each type', () => {
    expect([...new Set(GOLDEN.map(([{ type }]) => type))].sort()).toEqual(Object.keys(TYPE).sort());
  });

  it('carry values of any size', () => {
    for (const size of [0, 1, 255, 256, 65_535, 65_536, 2 ** 20]) {
      const value = new Uint8Array(size).fill(0xc1);
      const message = decodeMessage(
        encodeMessage({ type: 'accept', request: 1, key: 'k', proposal: { ...PROPOSAL, value }, horizon: 6 }),
      );
      if (message?.type !== 'accept') throw new Error('not decoded');
      expect(Buffer.compare(message.proposal.value ?? Buffer.of(0), value)).toBe(0);
    }
  });

  it('leave out what the asker holds', () => {
    const report = { proposal: PROPOSAL, committed: false, isHeld: true };
    expect(decodeMessage(encodeMessage({ type: 'held', request: 1, report, horizon: 6, floor: ballot(8, 9) }))).toEqual(
      {
        type: 'held',
        request: 1,
        report: { ...report, proposal: { ...PROPOSAL, value: null, attributes: new Uint8Array(0) } },
        horizon: 6,
        floor: ballot(8, 9),
      },
    );
  });

  it('of an earlier version, which does not tell the floor, tell none', () => {
    const bytes = Buffer.from('940901c006', 'hex');
    expect(decodeMessage(bytes)).toEqual({ type: 'held', request: 1, report: null, horizon: 6, floor: ballot(0, 0) });
  });

  it('are copied out of the datagram', () => {
    const datagram = bodyOf(encodeMessage({ type: 'accept', request: 1, key: 'k', proposal: PROPOSAL, horizon: 6 }));
    const decoded = decodeBody(datagram);
    datagram.fill(0);
    const message = decoded.ok ? decoded.messages[0] : undefined;
    if (message?.type !== 'accept') throw new Error('not decoded');
    expect(message.proposal).toEqual(PROPOSAL);
    expect(message.proposal.value?.buffer.byteLength).toBe(3);
    expect(message.proposal.attributes.buffer.byteLength).toBe(1);
  });
});

describe('a body', () => {
  it('comes back as it was, wherever in its buffer it lies', () => {
    fc.assert(
      fc.property(anyEnvelope, fc.array(anyMessage, { maxLength: 6 }), fc.nat(9), (envelope, messages, offset) => {
        const bytes = Buffer.concat([encodeEnvelope(envelope), ...messages.map(encodeMessage)]);
        const within = new Uint8Array(bytes.length + offset + 3).fill(0xc1);
        within.set(bytes, offset);
        const decoded = decodeBody(within.subarray(offset, offset + bytes.length));
        expect(decoded).toEqual({ ok: true, envelope, messages, skipped: 0 });
        expect(decodeEnvelope(bytes)).toEqual(envelope);
        expect(encodeEnvelope(envelope).length).toBeLessThanOrEqual(MAX_ENVELOPE_SIZE);
      }),
      { numRuns: 300 },
    );
  });

  it('drops fractions from the clock', () => {
    expect(decodeEnvelope(encodeEnvelope({ ...ENVELOPE, clockMs: 1.9 }))?.clockMs).toBe(1);
  });

  it('skips and counts messages of unknown types', () => {
    const who = encodeMessage({ type: 'who', request: 1 });
    const decoded = decodeBody(bodyOf('927a93a161c0cb7ff8000000000000', who, '91cd1000', who));
    expect(decoded).toMatchObject({ ok: true, skipped: 2, messages: [{ type: 'who' }, { type: 'who' }] });
  });

  it('ignores fields that a later version appended', () => {
    expect(decodeBody(bodyOf('931501a3616263'))).toMatchObject({ ok: true, messages: [{ type: 'who', request: 1 }] });
  });

  it('of too many messages is refused', () => {
    const who = encodeMessage({ type: 'who', request: 1 });
    expect(decodeBody(bodyOf(...Array(LIMITS.messages).fill(who)))).toMatchObject({ ok: true });
    expect(reasonFor(...Array(LIMITS.messages + 1).fill(who))).toBe('messages');
  });
});

describe('what no node sends is refused:', () => {
  it.each([
    ['nothing', ''],
    ['array32 of 2³²−1', 'ddffffffff'],
    ['array16 beyond the bytes', 'dcffff01'],
    ['nested arrays beyond the bytes', '92dd00ffffff'],
    ['map32', 'dfffffffff'],
    ['map16', 'deffff'],
    ['fixmap', '9215 81a16101'],
    ['str32 of 2³²−1', '92 15 dbffffffff'],
    ['str16 beyond the bytes', '92 15 daffff61'],
    ['str8 beyond the bytes', '92 15 d9ff61'],
    ['bin32 of 2³²−1', '92 15 c6ffffffff'],
    ['bin16 beyond the bytes', '92 15 c5ffff61'],
    ['bin8 beyond the bytes', '92 15 c4ff61'],
    ['ext32 of 2³²−1', '92 15 c9ffffffff00'],
    ['0xC1', 'c1'],
    ['0xC1 as a field', '9215c1'],
    ['uint64', '9215cf0000000000000001'],
    ['int64', '9215d30000000000000001'],
    ['float32', '9215ca3f800000'],
    ['a timestamp (ext −1)', '9215d6ff00000000'],
    ['a record definition (ext 0x72)', 'd4724092a161a16215c0'],
    ['a record with a second byte', 'd5724000 91a161 15'],
    ['undefined (ext 0)', '9215d40000'],
    ['a bundle of strings (ext 0x62)', 'd662000000051501'],
    ['a regular expression (ext 0x78)', '9215c70378 92a0a0'],
    ['an error (ext 0x65)', '9215c70365 92a0a0'],
    ['a reference (ext 0x70)', '9215d67000000001'],
    ['a set (ext 0x73)', '9215d4739101'],
    ['a typed array (ext 0x74)', '9215c7027400ff'],
    ['a BigInt (ext 0x42)', '9215c7024201ff'],
    ['malformed UTF-8', '940401a2c3 28c0'],
    ['an overlong NUL in UTF-8', '940401a2c080c0'],
    ['a surrogate in UTF-8', '940401a3eda080c0'],
    ['arrays nested deep', `9215${'91'.repeat(2000)}00`],
  ])('%s', (_, hex) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(decodeMessage(bytes)).toBeNull();
    if (hex) expect(reasonFor(bytes)).toBe('structure');
    expect(decodeEnvelope(bytes)).toBeNull();
    expect(decodeBody(bytes).ok).toBe(false);
  });

  const text = (length: number) => `d9${length.toString(16).padStart(2, '0')}${'61'.repeat(length)}`;
  const held = (fields: string) => `940401a16b93${fields}`;

  it.each([
    ['a message that is no array', '01', 'structure'],
    ['a message without a type', '90', 'type'],
    ['a negative type', '91ff', 'type'],
    ['a type in words', '91a161', 'type'],
    ['a request of 0', '921500', 'request'],
    ['a request of 2⁴⁸', '9215cb42f0000000000000', 'request'],
    ['a request of 1.5', '9215cb3ff8000000000000', 'request'],
    ['a request of NaN', '9215cb7ff8000000000000', 'request'],
    ['a request of Infinity', '9215cb7ff0000000000000', 'request'],
    ['a missing request', '9115', 'request'],
    ['an empty key', '940401a0c0', 'key'],
    ['a key as binary', '940401c4016bc0', 'key'],
    ['a negative round', held('ff0100'), 'round'],
    ['a round of 2⁵³', held('cb434000000000000001a0'), 'round'],
    ['a proposer of 2⁴⁸', held('01cb42f0000000000000a0'), 'proposer'],
    ['an operation of 41', held(`0101${text(41)}`), 'operation'],
    ['a held name that is no array', '940401a16bc2', 'held'],
    ['a missing held name', '930401a16b', 'held'],
    ['a shard of 256', '940501a0cd0100', 'shard'],
    ['a next shard of 257', '950a0100cd010190', 'nextShard'],
    ['half an enumerated key', '950a01000192a16b01', 'keys'],
    ['an unknown effect', '9603a16b0203a004', 'effect'],
    ['an unknown reason', '980801010203020405', 'reason'],
    ['phase 3', '980801030203000405', 'phase'],
    ['a report with unknown flags', '9309019208c0', 'flags'],
    ['a held report with a value', '930901 9202 9d 0101a0c40101c0 00 0101 0101 90 0000', 'isHeld'],
    ['a report with a value that is a string', '930901 9200 9d 0101a0a101c400 00 0101 0101 90 0000', 'value'],
    ['a report without attributes', '930901 9200 9d 0101a0c40101c0 00 0101 0101 90 0000', 'attributes'],
    ['a lineage of 65', `930901 9200 9d 0101a0c0c400 00 0101 0101 dc00c3${'a00101'.repeat(65)} 0000`, 'lineage'],
    ['a view without slots', '921793090190', 'holders'],
    ['a view of 100 slots', `92179309 01 dc0064${'c0'.repeat(100)}`, 'holders'],
    ['a holder of generation 0', '921793090191930700a0', 'generation'],
    ['a holder that is process 0', '921793090191930001a0', 'process'],
    ['a name of 129', `9217930901919307 01${text(129)}`, 'name'],
    ['a cluster of 100', '9914a0006400000000c0', 'clusterSize'],
    ['a wish of −2', '9914a00003 00 fe 0000c0', 'wish'],
    ['a port of 65536', '9914a0ce0001000003 00 00 00 00c0', 'streamPort'],
    ['an incarnation of 0', '921800', 'incarnation'],
    ['a question without a topic', '951e0101a0c400', 'topic'],
    ['a topic of 129', `951e0101${text(129)}c400`, 'topic'],
    ['a topic as binary', '951e0101c40161c400', 'topic'],
    ['a floor of 0', '951e0100a161c400', 'floor'],
    ['a floor above the question', '951e0102a161c400', 'floor'],
    ['a question 0', '951e0001a161c400', 'request'],
    ['a question in words', '951e0101a161a161', 'payload'],
    ['a question without a payload', '941e0101a161', 'payload'],
    ['an outcome of 7', '951f0107c400a0', 'outcome'],
    ['an answer in words', '951f0100a161a0', 'payload'],
    ['an answer beside a failure', '951f0103c40101a178', 'payload'],
    ['a failure beside an answer', '951f0100c40101a178', 'text'],
    ['a failure of 1001', `951f0103c400da03e9${'61'.repeat(1001)}`, 'text'],
  ])('%s', (_, hex, reason) => {
    expect(reasonFor(hex.replaceAll(' ', ''))).toBe(reason);
  });

  it('a key of 1025 bytes', () => {
    const read = (key: string) => encodeMessage({ type: 'read', request: 1, key, held: null });
    expect(reasonFor(read('a'.repeat(1024)))).toBe('none');
    expect(reasonFor(read('a'.repeat(1025)))).toBe('structure');
    expect(reasonFor(read('é'.repeat(513)))).toBe('structure');
  });

  it('a question or answer beyond the bound', () => {
    const ask = (size: number) =>
      encodeMessage({ type: 'ask', request: 1, floor: 1, topic: 't', payload: new Uint8Array(size) });
    expect(reasonFor(ask(LIMITS.payloadBytes))).toBe('none');
    expect(reasonFor(ask(LIMITS.payloadBytes + 1))).toBe('payload');
  });

  it('keys of an enumeration beyond the bound', () => {
    const entry = { key: 'k', accepted: ballot(1, 1), operation: '', committed: false, until: 0 };
    const answer = (length: number) =>
      encodeMessage({ type: 'enumerated', request: 1, shard: 0, nextShard: 256, keys: Array(length).fill(entry) });
    expect(reasonFor(answer(LIMITS.enumeratedKeys))).toBe('none');
    expect(reasonFor(answer(LIMITS.enumeratedKeys + 1))).toBe('keys');
  });

  it('an envelope from nobody', () => {
    expect(decodeEnvelope(encodeEnvelope({ ...ENVELOPE, from: 0 }))).toBeNull();
    expect(decodeEnvelope(encodeEnvelope({ ...ENVELOPE, slot: 100 }))).toBeNull();
    expect(decodeEnvelope(encodeEnvelope({ ...ENVELOPE, clockMs: Number.NaN }))).toBeNull();
  });
});

describe('decoding never throws and never yields what is out of range,', () => {
  it('whatever was cut off', () => {
    fc.assert(
      fc.property(anyMessage, fc.nat(), (message, cut) => {
        const bytes = bodyOf(encodeMessage(message));
        const left = encodeEnvelope(ENVELOPE).length + (cut % encodeMessage(message).length);
        const decoded = decodeBody(bytes.subarray(0, left));
        // The envelope alone is a body; anything between it and the whole is none.
        expect(decoded.ok).toBe(left === encodeEnvelope(ENVELOPE).length);
      }),
      { numRuns: 1000 },
    );
  });

  it('whatever bytes were changed', () => {
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const small = anyMessage.filter((message) => encodeMessage(message).length < 2000);
    fc.assert(
      fc.property(fc.array(small, { minLength: 1, maxLength: 3 }), edits, (messages, edits) => {
        const bytes = bodyOf(...messages.map(encodeMessage));
        for (const [at, byte] of edits) bytes[at % bytes.length] = byte;
        const decoded = decodeBody(bytes);
        expect(!decoded.ok || isInRange(decoded.messages)).toBe(true);
      }),
      { numRuns: 1500 },
    );
  });

  it('whatever bytes there are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const decoded = decodeBody(bodyOf([0x90 + (bytes.length % 16), ...bytes]));
        expect(!decoded.ok || isInRange(decoded.messages)).toBe(true);
        decodeBody(bytes);
        decodeMessage(bytes);
      }),
      { numRuns: 1500 },
    );
  });
});
