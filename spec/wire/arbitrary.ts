/** Arbitrary well-formed messages, for the specs of this room and of those that speak through it. */
import fc from 'fast-check';
import type { Config, View } from '../../lib/membership/index.js';
import { higherBallot, NO_BALLOT } from '../../lib/paxos/index.js';
import { OUTCOMES } from '../../lib/wire/format.js';
import type { Envelope, Message } from '../../lib/wire/messages.js';

const number48 = fc.oneof(fc.integer({ min: 1, max: 2 ** 48 - 1 }), fc.integer({ min: 1, max: 300 }));
const natural = fc.oneof(fc.maxSafeNat(), fc.nat(300), fc.constant(Number.MAX_SAFE_INTEGER));

export const ballot = fc.record({ round: natural, proposer: fc.oneof(number48, fc.constant(0)) });

export const key = fc
  .oneof(
    fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 100 }),
    fc.constantFrom('sess/😀', 'é'.repeat(512), 'a'.repeat(1024), '😀'.repeat(256), '\ufeffa', '\uffff', '__proto__'),
  )
  .filter((text) => Buffer.byteLength(text) <= 1024);

export const operation = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 });
const name = fc.string({ unit: 'grapheme', maxLength: 20 });

const topic = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.constantFrom('~node', 'x'.repeat(128), '\uffff'.repeat(128)),
);

const bytes = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.constant(Uint8Array.from({ length: 256 }, (_, i) => i)));

const lineage = fc.oneof(
  fc.array(fc.record({ operation, ballot }), { maxLength: 5 }),
  fc.array(fc.record({ operation, ballot }), { minLength: 64, maxLength: 64 }),
);

const proposalFields = {
  accepted: ballot,
  operation,
  until: natural,
  birth: ballot,
  dataBallot: ballot,
  lineage,
  lineageFrom: ballot,
};

const proposal = fc.record({ ...proposalFields, value: fc.option(bytes), attributes: bytes });

const report = fc.option(
  fc.oneof(
    fc.record({ proposal, committed: fc.boolean(), isHeld: fc.constant(false) }),
    fc.record({
      proposal: fc.record({
        ...proposalFields,
        value: fc.constant(null),
        attributes: fc.constant(new Uint8Array(0)),
      }),
      committed: fc.boolean(),
      isHeld: fc.constant(true),
    }),
  ),
);

const held = fc.option(fc.record({ accepted: ballot, operation }));

const holder = fc.record({ process: number48, generation: fc.integer({ min: 1, max: 2 ** 40 }), name });

const holders = fc.array(fc.option(holder), { minLength: 1, maxLength: 99 });
const size = fc.nat(98);

/** Of a farm whose size was changed, or not. */
export const view: fc.Arbitrary<View> = fc
  .record({
    incarnation: number48,
    formedAtMs: natural,
    holders,
    change: fc.option(
      fc.record({ version: fc.integer({ min: 1 }), before: size, after: fc.option(size), since: fc.nat() }),
    ),
  })
  .map(({ change, ...formed }) => {
    if (change === null) return formed;
    const slots = formed.holders.length;
    const before = 1 + (change.before % slots);
    const sizes: Config['sizes'] = change.after === null ? [before] : [before, 1 + (change.after % slots)];
    const since = formed.holders.map((_, index) => (index < before ? 0 : Math.min(change.since, change.version)));
    return { ...formed, config: { version: change.version, sizes, slots, since } };
  });

/** Nothing is accepted above what is promised. */
const kept = fc
  .record({ key, promised: ballot, proposal: fc.option(proposal), committed: fc.boolean(), horizon: natural })
  .map((record) => ({ ...record, promised: higherBallot(record.promised, record.proposal?.accepted ?? NO_BALLOT) }));

const keptName = fc
  .record({ key, promised: ballot, committed: fc.boolean(), horizon: natural, held })
  .map(({ held, ...bonds }) => {
    const { accepted, operation } = held ?? { accepted: NO_BALLOT, operation: '' };
    return { ...bonds, promised: higherBallot(bonds.promised, accepted), accepted, operation };
  });

const type = <T extends string>(value: T) => fc.constant(value);

/** One arbitrary for each type of message. */
export const MESSAGES: { readonly [T in Message['type']]: fc.Arbitrary<Extract<Message, { type: T }>> } = {
  prepare: fc.record({ type: type('prepare'), request: number48, key, ballot, bound: natural, held }),
  accept: fc.record({ type: type('accept'), request: number48, key, proposal, horizon: natural }),
  commit: fc.record({
    type: type('commit'),
    key,
    ballot,
    operation,
    effect: fc.constantFrom('changed', 'touched', 'removed', 'none'),
  }),
  read: fc.record({ type: type('read'), request: number48, key, held }),
  enumerate: fc.record({
    type: type('enumerate'),
    request: number48,
    prefix: fc.oneof(key, fc.constant('')),
    shard: fc.nat(255),
  }),
  promised: fc.record({
    type: type('promised'),
    request: number48,
    ballot,
    report,
    horizon: natural,
    floor: ballot,
  }),
  accepted: fc.record({ type: type('accepted'), request: number48, ballot }),
  nack: fc.record({
    type: type('nack'),
    request: number48,
    phase: fc.constantFrom(1, 2),
    ballot,
    reason: fc.constantFrom('stale', 'clock'),
    promised: ballot,
  }),
  held: fc.record({ type: type('held'), request: number48, report, horizon: natural, floor: ballot }),
  enumerated: fc.record({
    type: type('enumerated'),
    request: number48,
    shard: fc.nat(255),
    nextShard: fc.nat(256),
    keys: fc.array(fc.record({ key, accepted: ballot, operation, committed: fc.boolean(), until: natural })),
  }),
  compare: fc.record({
    type: type('compare'),
    request: number48,
    digests: fc.uint8Array({ minLength: 1024, maxLength: 1024 }),
  }),
  differs: fc.record({ type: type('differs'), request: number48, shards: fc.array(fc.nat(255), { maxLength: 256 }) }),
  pull: fc.record({ type: type('pull'), request: number48, keys: fc.array(key, { maxLength: 64 }) }),
  pulled: fc.record({
    type: type('pulled'),
    request: number48,
    first: fc.oneof(key, fc.constant('')),
    looked: fc.nat(64),
    copies: fc.array(fc.record({ key, proposal, horizon: natural }), { maxLength: 5 }),
  }),
  transfer: fc
    .record({
      type: type('transfer'),
      request: number48,
      shard: fc.nat(255),
      after: fc.oneof(key, fc.constant('')),
    })
    .chain((whole) =>
      fc.constantFrom(whole, { ...whole, isByName: true as const }, { ...whole, isOfLegacy: true as const }),
    ),
  named: fc.record({
    type: type('named'),
    request: number48,
    shard: fc.nat(255),
    after: fc.oneof(key, fc.constant('')),
    nextShard: fc.nat(256),
    nextAfter: fc.oneof(key, fc.constant('')),
    floor: ballot,
    names: fc.array(keptName, { maxLength: 5 }),
  }),
  transferred: fc.record({
    type: type('transferred'),
    request: number48,
    shard: fc.nat(255),
    after: fc.oneof(key, fc.constant('')),
    nextShard: fc.nat(256),
    nextAfter: fc.oneof(key, fc.constant('')),
    floor: ballot,
    records: fc.array(kept, { maxLength: 5 }),
  }),
  hello: fc.record({
    type: type('hello'),
    name,
    host: name,
    streamPort: fc.nat(65_535),
    clusterSize: fc.integer({ min: 1, max: 99 }),
    maxClockSkewMs: natural,
    wish: fc.integer({ min: -1, max: 99 }),
    phase: fc.constantFrom('seeking', 'voter', 'learner', 'leaving', 'recovering'),
    bound: fc.oneof(number48, fc.constant(0)),
    view: fc.option(view),
    slot: fc.nat(99),
    open: fc.array(fc.integer({ min: 1, max: 99 }), { maxLength: 99 }),
    ended: fc.array(number48, { maxLength: 99 }),
    lost: fc.oneof(number48, fc.constant(0)),
    voter: fc.oneof(number48, fc.constant(0)),
    isDurable: fc.boolean(),
    hasResigned: fc.boolean(),
    copied: natural,
  }),
  who: fc.record({ type: type('who'), request: number48 }),
  vouch: fc.record({ type: type('vouch'), request: number48, view, isServing: fc.boolean() }),
  form: fc.record({ type: type('form'), view }),
  unform: fc.record({ type: type('unform'), incarnation: number48 }),
  ask: fc
    .record({ type: type('ask'), request: number48, floor: number48, topic, payload: fc.option(bytes) })
    .map((ask) => ({ ...ask, floor: Math.min(ask.floor, ask.request) })),
  told: fc
    .record({
      type: type('told'),
      request: number48,
      outcome: fc.constantFrom(...OUTCOMES),
      value: bytes,
      text: fc.oneof(fc.string({ unit: 'grapheme', maxLength: 50 }), fc.constant('x'.repeat(1000))),
    })
    .map((told) => ({
      ...told,
      value: told.outcome === 'answered' ? told.value : new Uint8Array(0),
      text: told.outcome === 'failed' ? told.text : '',
    })),
};

export const message: fc.Arbitrary<Message> = fc.oneof(...Object.values<fc.Arbitrary<Message>>(MESSAGES));

export const envelope: fc.Arbitrary<Envelope> = fc.record({
  from: number48,
  to: fc.oneof(number48, fc.constant(0)),
  clockMs: natural,
  incarnation: fc.oneof(number48, fc.constant(0)),
  slot: fc.nat(99),
  vector: fc.oneof(number48, fc.constant(0)),
});
