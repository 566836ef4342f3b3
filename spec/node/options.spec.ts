import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../lib/errors.js';
import { checkNodeOptions, type NodeOptions } from '../../lib/node/options.js';

const check = (options: NodeOptions, isProduction = false) => checkNodeOptions(options, 'web-1:42', isProduction);

describe('the options of a node', () => {
  it('have defaults', () => {
    expect(check({})).toEqual({
      cluster: 'default',
      secret: undefined,
      storage: null,
      clusterSize: 3,
      wish: 0,
      timeoutMs: 2000,
      maxClockSkewMs: 10_000,
      maxValueSize: 1_048_576,
      formationGraceMs: 30_000,
      isBootstrap: false,
      name: 'web-1:42',
    });
  });

  it.each<[NodeOptions, number]>([
    [{ slot: 'auto' }, 0],
    [{ slot: false }, -1],
    [{ slot: 2 }, 2],
    [{ slot: 5, clusterSize: 5 }, 5],
  ])('%j wishes for slot %d', (options, wish) => {
    expect(check(options).wish).toBe(wish);
  });

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['an unknown name', { sekret: 'x' }, /no option sekret; a node takes cluster, secret/],
    ['an empty cluster name', { cluster: '' }, /cluster got ''; it takes a string of 1 to 128/],
    ['a short secret', { secret: 'short' }, /5 characters; at least 16/],
    ['a secret that is no string', { secret: 42 }, /not a string/],
    ['half a voter', { clusterSize: 2.5 }, /clusterSize got 2.5; it takes a whole number from 1 to 99/],
    ['a slot beyond N', { slot: 4 }, /slot got 4; it takes a number from 1 to clusterSize \(3\), 'auto' or false/],
    ['true for a slot', { slot: true }, /slot got true/],
    [
      'a time-out not below the clock skew',
      { timeout: 10_000 },
      /timeout got 10000; it takes a whole number from 10 to 9999/,
    ],
    ['a time-out of more than a minute', { timeout: 60_001, maxClockSkewMs: 600_000 }, /from 10 to 60000/],
    ['a word for a number', { maxValueSize: '1mb' }, /maxValueSize got '1mb'/],
    ['a word for a switch', { bootstrap: 'yes' }, /bootstrap got 'yes'; it takes true or false/],
    ['an endless name', { name: 'x'.repeat(200) }, /name got/],
    ['a name of two lines', { name: 'web\n1' }, /name got/],
    ['a name with half a character', { name: '\ud83d' }, /name got/],
  ])('refuse %s, and say what they take', (_, options, message) => {
    const bad = () => check(options as NodeOptions);
    expect(bad).toThrow(ConfigError);
    expect(bad).toThrow(message);
  });

  it('refuse a missing secret in production, unless that is what is wanted', () => {
    expect(() => check({}, true)).toThrow(/Option secret is missing.*or to false/);
    expect(check({ secret: false }, true).secret).toBe(false);
  });
});
