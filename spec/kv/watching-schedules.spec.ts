import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { OverloadedError } from '../../lib/errors.js';
import { revisionOf } from '../../lib/kv/entry.js';
import { type Follower, noQuorum, PROPOSER, WatchedBucket, type Word } from './watched-bucket.js';

/** In which all that was missed is found, once nothing fails. */
const CALM_MS = 12_000;
const IDS = ['a', 'ab', 'abc', 'b'];
/** By which keys live. */
const REGISTERS = ['~lease/a', '~lease/b', 'kv/sp'];
const SCOPES = [{ prefix: '' }, { prefix: 'ab' }, { id: 'a' }, { id: 'ab' }, { id: 'b' }];

type Step =
  | {
      readonly kind: 'set';
      readonly id: string;
      readonly lifeMs: number | null;
      readonly livesBy: readonly string[];
      readonly word: Word;
    }
  | { readonly kind: 'end'; readonly register: string }
  | { readonly kind: 'delete'; readonly id: string; readonly word: Word }
  | { readonly kind: 'again'; readonly id: string }
  | { readonly kind: 'say'; readonly id: string; readonly word: Word }
  | { readonly kind: 'fail'; readonly what: 'reads' | 'heads' | 'both' | 'nothing'; readonly isAtOnce: boolean }
  | { readonly kind: 'slow'; readonly readMs: number; readonly headsMs: number }
  | { readonly kind: 'connect' }
  | { readonly kind: 'watch'; readonly scope: number; readonly initial: boolean }
  | { readonly kind: 'leave'; readonly watch: number }
  | { readonly kind: 'pass'; readonly ms: number };

const id = fc.constantFrom(...IDS);
const register = fc.constantFrom(...REGISTERS);
const word: fc.Arbitrary<Word> = fc.oneof(
  fc.constant([]),
  fc.constant([0]),
  fc.array(fc.integer({ min: 0, max: 8000 }), { maxLength: 3 }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('set' as const),
      id,
      lifeMs: fc.option(fc.integer({ min: 1, max: 20_000 }), { freq: 3 }),
      livesBy: fc.oneof(fc.constant([]), fc.uniqueArray(register, { minLength: 1, maxLength: 2 })),
      word,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('end' as const), register }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), id, word }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('again' as const), id }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('say' as const), id, word }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      what: fc.constantFrom('reads' as const, 'heads' as const, 'both' as const, 'nothing' as const),
      isAtOnce: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('slow' as const),
      readMs: fc.integer({ min: 0, max: 400 }),
      headsMs: fc.integer({ min: 0, max: 400 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('connect' as const) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('watch' as const),
      scope: fc.nat({ max: SCOPES.length - 1 }),
      initial: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), watch: fc.nat({ max: 5 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('pass' as const),
      ms: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 300 }), fc.integer({ min: 300, max: 7000 })),
    }),
  },
);

interface Watched {
  readonly follower: Follower;
  readonly covers: (id: string) => boolean;
  readonly initial: boolean;
  /** What was there, as versions, at the times at which it may have begun. */
  readonly beginnings: Map<string, string | null>[];
}

function versions(bucket: WatchedBucket): Map<string, string | null> {
  return new Map(IDS.map((each) => [each, versionOf(bucket, each)]));
}

function revision(version: string): bigint {
  return revisionOf({ round: Number(version), proposer: PROPOSER });
}

function versionOf(bucket: WatchedBucket, each: string): string | null {
  const held = bucket.held(each);
  return held && `${held.dataBallot.round}`;
}

async function perform(steps: readonly Step[]): Promise<void> {
  const bucket = new WatchedBucket();
  const watches: Watched[] = [];
  let count = 0;
  /** Lives that each register has had: when one has ended, it begins another. */
  const lives = new Map<string, number>();
  const livesOf = (register: string): number => lives.get(register) ?? 0;
  const lifeOf = (register: string): string => `${register}.${livesOf(register)}`;
  const watch = (scope: (typeof SCOPES)[number], initial: boolean): void => {
    const covers = (each: string): boolean => ('id' in scope ? each === scope.id : each.startsWith(scope.prefix));
    const beginnings = [versions(bucket)];
    const follower = bucket.follow(scope, { initial });
    follower.queue.ready().then(
      () => beginnings.push(versions(bucket)),
      () => undefined,
    );
    watches.push({ follower, covers, initial, beginnings });
  };
  watch({ prefix: '' }, true);
  for (const each of steps) {
    const beginning = watches.filter(({ follower }) => !follower.isReady);
    switch (each.kind) {
      case 'set': {
        count += 1;
        const until = each.lifeMs === null ? {} : { until: bucket.nowMs + each.lifeMs };
        const livesBy = each.livesBy.map(lifeOf);
        bucket.set(each.id, `${count}`, { ...until, livesBy, word: each.word });
        break;
      }
      case 'end':
        bucket.end(lifeOf(each.register));
        lives.set(each.register, livesOf(each.register) + 1);
        break;
      case 'delete':
        bucket.delete(each.id, each.word);
        break;
      case 'again':
        bucket.again(each.id);
        break;
      case 'say':
        bucket.say(each.id, each.word);
        break;
      case 'fail': {
        const fate = { error: each.isAtOnce ? new OverloadedError('busy') : noQuorum() };
        const delayMs = each.isAtOnce ? 0 : 900;
        const fails = (what: string): boolean => each.what === 'both' || each.what === what;
        bucket.readFate = () => (fails('reads') ? { ...fate, delayMs } : {});
        bucket.lifeFate = bucket.readFate;
        bucket.headsFate = () => (fails('heads') ? { ...fate, delayMs } : {});
        break;
      }
      case 'slow':
        bucket.readFate = () => ({ delayMs: each.readMs });
        bucket.lifeFate = bucket.readFate;
        bucket.headsFate = () => ({ delayMs: each.headsMs });
        break;
      case 'connect':
        bucket.connect();
        break;
      case 'watch':
        if (watches.length < 6) watch(SCOPES[each.scope] ?? { prefix: '' }, each.initial);
        break;
      case 'leave':
        await watches[each.watch]?.follower.queue.return();
        break;
      case 'pass':
        await bucket.pass(each.ms);
        break;
    }
    // Also of those that have begun in this step: a life may have ended before they did.
    for (const { beginnings } of beginning) beginnings.push(versions(bucket));
  }
  bucket.readFate = () => ({});
  bucket.lifeFate = () => ({});
  bucket.headsFate = () => ({});
  const beginning = watches.filter(({ follower }) => !follower.isReady);
  await bucket.pass(20_000 + CALM_MS);
  for (const { beginnings } of beginning) beginnings.push(versions(bucket));
  expect(bucket.isLooping).toBe(false);
  const everTold = new Set(watches.flatMap(({ follower }) => follower.told.map(({ revision }) => revision)));
  for (const each of watches) check(bucket, each, everTold);
  // Nothing is told any more where nothing changes.
  for (const { follower } of watches) follower.told.length = 0;
  await bucket.pass(30_000);
  for (const { follower } of watches) expect(follower.told).toEqual([]);
  bucket.watching.close();
  expect(bucket.isFree).toBe(true);
}

function check(
  bucket: WatchedBucket,
  { follower, covers, initial, beginnings }: Watched,
  everTold: ReadonlySet<bigint | null>,
): void {
  const lastOf = new Map<string, bigint | null>();
  let highest = new Map<string, bigint>();
  for (const { id: each, revision } of follower.told) {
    expect(covers(each)).toBe(true);
    expect(revision === null ? true : revision > (highest.get(each) ?? -1n)).toBe(true);
    // Removed once, and after it was there.
    if (revision === null) expect(lastOf.get(each)).not.toBeNull();
    if (revision !== null) highest = highest.set(each, revision);
    lastOf.set(each, revision);
  }
  if (!follower.isReady || follower.hasEnded) return;
  for (const each of IDS.filter(covers)) {
    const truth = bucket.textOf(each);
    const last = follower.told.filter(({ id: told }) => told === each).at(-1);
    if (last !== undefined) expect([each, last.text]).toEqual([each, truth]);
    // Nothing was told: it is as it was when the watch began, and of what was there a watch with initial is told.
    else if (initial) expect([each, truth]).toEqual([each, null]);
    else {
      const began = beginnings.map((beginning) => beginning.get(each) ?? null);
      const now = versionOf(bucket, each);
      // What came and went without being read by anybody may be left out, also where it went after this watch had begun.
      const isLeftOut = now === null && began.every((version) => version === null || !everTold.has(revision(version)));
      if (!isLeftOut) expect(began).toContain(now);
    }
  }
}

describe('Watching', () => {
  it('tells each watch the truth in the end, and nothing that is older than what it has told', async () => {
    const runs = Number(process.env.NUM_RUNS ?? 400);
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), perform), { numRuns: runs });
  });
});
