import { describe, expect, it } from '@jest/globals';
import { type OptionSpecs, parseArguments } from '../../lib/cli/arguments.js';
import { CommandError, exitCodeOf, UsageError } from '../../lib/cli/exit-codes.js';
import { nearest } from '../../lib/cli/nearest.js';
import { FARM_OPTIONS, nodeOptionsOf } from '../../lib/cli/node-options.js';
import { Output } from '../../lib/cli/output.js';
import { table } from '../../lib/cli/table.js';
import { ConfigError, NoQuorumError, PaxosError } from '../../lib/errors.js';

const SPECS: OptionSpecs = {
  cluster: { value: 'NAME', help: '' },
  secret: { value: 'SECRET', isMany: true, help: '' },
  ttl: { value: 'SECONDS', help: '' },
  'if-absent': { help: '' },
  help: { help: '' },
};
const parse = (...words: string[]) =>
  parseArguments(words, SPECS, { command: 'connect-paxos set', positionals: 'KEY [VALUE]' });

describe('a command line', () => {
  it('is taken apart', () => {
    const args = parse('k', '--cluster', 'shop', '--if-absent', '--secret=-a', '--secret', 'b', '--', '--v');
    expect(args.positionals).toEqual(['k', '--v']);
    expect(args.text('cluster')).toBe('shop');
    expect(args.texts('secret')).toEqual(['-a', 'b']);
    expect(args.has('if-absent')).toBe(true);
    expect(args.has('ttl')).toBe(false);
    expect(args.text('ttl')).toBeUndefined();
    expect(parse('k', '-').positionals).toEqual(['k', '-']);
    expect(parse('-h').has('help')).toBe(true);
  });

  it.each([
    [['k', '--clustr', 'x'], /There is no option --clustr\. Did you mean --cluster\?/],
    [['k', '--absent'], /Did you mean --if-absent\?/],
    [['k', '--xyzzy'], /There is no option --xyzzy\. connect-paxos set --help lists them\./],
    [['k', '-5'], /A value that begins with '-' stands behind --/],
    [['k', '--constructor'], /There is no option --constructor/],
    [['k', '--cluster'], /Option --cluster needs a value: --cluster NAME/],
    [['k', '--cluster', '--if-absent'], /Option --cluster needs a value.*write --cluster=--if-absent/],
    [['k', '--cluster='], /needs a value/],
    [['k', '--if-absent=yes'], /Option --if-absent takes no value/],
    [['k', '--cluster', 'a', '--cluster', 'b'], /given twice/],
    [[], /KEY is missing: connect-paxos set KEY \[VALUE\]/],
    [['k', 'v', 'w'], /'w' is one too many.*quotes/],
  ])('%j is refused', (words, message) => {
    expect(() => parse(...words)).toThrow(message);
    expect(() => parse(...words)).toThrow(UsageError);
  });

  it('has numbers within bounds', () => {
    expect(parse('k', '--ttl', '1.5').number('ttl', 0, 2)).toBe(1.5);
    expect(parse('k', '--ttl', '2').integer('ttl', 0, 2)).toBe(2);
    for (const text of ['3', '1.5', 'x', '1e0', '0x1']) {
      expect(() => parse('k', '--ttl', text).integer('ttl', 0, 2)).toThrow(/it takes a whole number from 0 to 2/);
    }
  });
});

describe('the options of a node', () => {
  const options = (words: string[], environment = {}) =>
    nodeOptionsOf(parseArguments(words, FARM_OPTIONS, { command: 'connect-paxos node', positionals: '' }), environment);

  it('are those of the library', () => {
    expect(
      options([
        '--cluster',
        'a',
        '--cluster-size',
        '5',
        '--multicast',
        'g:1',
        '--multicast-ttl',
        '3',
        '--timeout',
        '99',
      ]),
    ).toEqual({
      cluster: 'a',
      clusterSize: 5,
      secret: undefined,
      transport: { multicast: 'g:1', interface: undefined, ttl: 3 },
      timeout: 99,
      name: undefined,
    });
    expect(options(['--peers', 'a:1, b:2', '--bind', 'c:3']).transport).toEqual({ peers: ['a:1', 'b:2'], bind: 'c:3' });
    expect(options(['--broadcast', 'a:1']).transport).toEqual({ broadcast: 'a:1' });
  });

  it('have the secret from the environment, unless it is given', () => {
    const environment = { CLUSTER_SECRET: 'of the environment' };
    expect(options([], environment).secret).toBe('of the environment');
    expect(options(['--secret', 'a', '--secret', 'b'], environment).secret).toEqual(['a', 'b']);
    expect(options(['--no-secret'], environment).secret).toBe(false);
    expect(options([], { CLUSTER_SECRET: '' }).secret).toBe('');
    expect(() => options(['--secret-file', '/nowhere/at/all'])).toThrow(/--secret-file: ENOENT/);
  });

  it.each([
    [['--peers', 'a:1', '--multicast', 'b:1'], /only one of --multicast and --peers/],
    [['--peers', 'a:1', '--interface', 'lo'], /--interface goes with --multicast, not with --peers/],
    [['--bind', 'a:1'], /--bind goes with --peers/],
    [['--no-secret', '--secret', 'a'], /only one of --secret and --no-secret/],
    [['--ttl', '3'], /Did you mean --multicast-ttl/],
    [['--size', '3'], /Did you mean --cluster-size/],
  ])('%j are refused', (words, message) => expect(() => options(words)).toThrow(message));
});

it('the nearest word is the one that was meant, or none', () => {
  const known = ['get', 'set', 'put', 'watch', 'status'];
  expect(nearest('sett', known)).toBe('set');
  expect(nearest('stauts', known)).toBe('status');
  expect(nearest('wtch', known)).toBe('watch');
  expect(nearest('frobnicate', known)).toBeNull();
  expect(nearest('x'.repeat(100_000), known)).toBeNull();
});

it('an exit code tells what has failed', () => {
  expect(exitCodeOf(new UsageError(''))).toBe(2);
  expect(exitCodeOf(new ConfigError(''))).toBe(2);
  expect(exitCodeOf(new NoQuorumError(''))).toBe(3);
  expect(exitCodeOf(new PaxosError('ERR_OUTCOME_UNKNOWN', ''))).toBe(4);
  expect(exitCodeOf(new CommandError('ERR_NO_QUORUM', ''))).toBe(3);
  expect(exitCodeOf(new CommandError('ERR_NOT_FOUND', ''))).toBe(1);
  expect(exitCodeOf(new TypeError(''))).toBe(5);
  expect(exitCodeOf(null)).toBe(5);
});

describe('output', () => {
  const written = (isTTY: boolean, environment: Record<string, string> = {}, isJson = false): [Output, string[]] => {
    const lines: string[] = [];
    const sink = { isTTY, write: (chunk: string | Uint8Array) => lines.push(String(chunk)) };
    return [new Output({ stdout: sink, stderr: sink, isJson, environment }), lines];
  };

  it('has colours on a terminal that wants them', () => {
    expect(written(true)[0].paint('red', 'x')).toBe('\u001b[31mx\u001b[0m');
    expect(written(false)[0].paint('red', 'x')).toBe('x');
    expect(written(true, { NO_COLOR: '1' })[0].paint('red', 'x')).toBe('x');
    expect(written(true, { TERM: 'dumb' })[0].paint('red', 'x')).toBe('x');
    expect(written(true, {}, true)[0].paint('red', 'x')).toBe('x');
  });

  it('waits for a slow reader, unless it is to end', async () => {
    const slow = { write: () => false, writableNeedDrain: true };
    const output = new Output({ stdout: slow, stderr: slow, isJson: false, environment: {} });
    const ending = new AbortController();
    let isDrained = false;
    const drained = output.drained(ending.signal).then(() => {
      isDrained = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isDrained).toBe(false);
    slow.writableNeedDrain = false;
    await drained;
    slow.writableNeedDrain = true;
    ending.abort();
    await output.drained(ending.signal);
  });

  it('has an error on one line, without its stack', () => {
    const [output, lines] = written(false);
    output.error(new NoQuorumError('a\n  b'));
    output.error(new TypeError('x'));
    output.error('thrown');
    expect(lines).toEqual([
      'error: a b\n',
      'error: x (DEBUG=connect-paxos:* shows where.)\n',
      "error: 'thrown' (DEBUG=connect-paxos:* shows where.)\n",
    ]);
    const [json, objects] = written(false, {}, true);
    json.error(new NoQuorumError('a'));
    json.json({ a: 1n });
    expect(objects).toEqual(['{"error":{"code":"ERR_NO_QUORUM","message":"a"}}\n', '{"a":"1"}\n']);
  });

  it('has tables', () => {
    expect(
      table(
        ['a', 'b'],
        [
          ['long', ''],
          ['x', 'y'],
        ],
      ),
    ).toEqual(['a     b', 'long', 'x     y']);
  });
});
