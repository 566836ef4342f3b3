/** Arbitrary records and identities, for the specs of this room. */
import fc from 'fast-check';
import { type Ballot, compareBallots, MAX_LINEAGE } from '../../lib/paxos/index.js';
import type { Identity } from '../../lib/storage/format.js';
import type { StoredRecord } from '../../lib/storage/index.js';

const natural = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constant(Number.MAX_SAFE_INTEGER));
const number48 = fc.oneof(fc.integer({ min: 1, max: 2 ** 48 - 1 }), fc.constant(2 ** 48 - 1));
export const ballot: fc.Arbitrary<Ballot> = fc.record({ round: natural, proposer: fc.oneof(number48, fc.constant(0)) });

export const key = fc
  .oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 50 }),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 50 }),
    fc.constantFrom(
      'sess/😀',
      'é'.repeat(512),
      'a'.repeat(1024),
      '\ufeffa',
      '\uffff',
      '\0',
      'a\0',
      '__proto__',
      'head',
    ),
  )
  .filter((text) => Buffer.byteLength(text) <= 1024);

const operation = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 });
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.constant(Uint8Array.from({ length: 10_000 }, (_, i) => i % 251)),
);

const proposal = fc
  .record({
    accepted: ballot,
    operation,
    value: fc.option(bytes),
    attributes: fc.uint8Array({ maxLength: 20 }),
    until: natural,
    birth: ballot,
    dataBallot: ballot,
    lineageFrom: ballot,
    lineage: fc.oneof(
      fc.array(fc.record({ operation, ballot }), { maxLength: 3 }),
      fc.array(fc.record({ operation, ballot }), { minLength: MAX_LINEAGE, maxLength: MAX_LINEAGE }),
    ),
    isSame: fc.boolean(),
  })
  .map(({ isSame, ...fields }) => (isSame ? { ...fields, birth: { ...fields.accepted } } : fields));

export const record: fc.Arbitrary<StoredRecord> = fc
  .record({ promised: ballot, proposal: fc.option(proposal), committed: fc.boolean(), horizon: natural })
  .map(({ promised, proposal, committed, horizon }) => {
    if (proposal === null) return { promised, proposal, committed: false, horizon };
    const isAbove = compareBallots(proposal.accepted, promised) > 0;
    return { promised: isAbove ? proposal.accepted : promised, proposal, committed, horizon };
  });

export const identity: fc.Arbitrary<Identity> = fc.record({
  cluster: fc.string({ unit: 'grapheme', maxLength: 20 }),
  incarnation: number48,
  slot: fc.integer({ min: 1, max: 99 }),
  generation: fc.integer({ min: 1 }),
  process: number48,
  formedAtMs: natural,
  view: fc.option(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue())),
});

export const IDENTITY: Identity = {
  cluster: 'shop',
  incarnation: 11,
  slot: 2,
  generation: 1,
  process: 22,
  formedAtMs: 1_700_000_000_000,
  view: { holders: [null, { process: 22, generation: 1, name: 'host:1' }] },
};
