import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { endPrograms, MAIN, run } from './programs.js';

endPrograms();

const COMMANDS = ['node', 'get', 'set', 'put', 'del', 'keys', 'watch', 'status', 'resize', 'doctor'];

it('the help lists the commands, the environment and the exit codes', async () => {
  const { code, stdout, stderr } = await run(['--help']);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  for (const name of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${name}\\b.*\\S{3}`, 'm'));
  expect(stdout).toMatch(/CLUSTER_SECRET/);
  expect(stdout).toMatch(/3 {2}no quorum/);
  expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
});

describe.each(COMMANDS)('%s', (name) => {
  it('has a help of its own', async () => {
    const { code, stdout, stderr } = await run([name, '--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(`Usage: connect-paxos ${name}`);
    expect(stdout).toMatch(/--json/);
    expect(stdout.replace(/\s+/g, ' ')).toMatch(/set CLUSTER_SECRET in the environment instead/);
    expect(Math.max(...stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(120);
  });
});

it('what could not be written is said, and is no success', () => {
  if (!existsSync('/dev/full')) return;
  const full = openSync('/dev/full', 'w');
  const { status, stderr } = spawnSync(process.execPath, [MAIN, '--help'], { stdio: ['ignore', full, 'pipe'] });
  closeSync(full);
  expect(stderr.toString()).toMatch(/^error: The output could not be written: .*ENOSPC/);
  expect(status).toBe(5);
});

it('the version is the package’s', async () => {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await run(['--version', '--json'])).toEqual({ code: 0, stdout: `{"version":"${version}"}\n`, stderr: '' });
});

it.each([
  [[], /^error: A command is missing: connect-paxos --help lists them\.\n$/],
  [['gett', 'x'], /^error: There is no command 'gett'\. Did you mean get\?\n$/],
  [['frobnicate'], /^error: There is no command 'frobnicate'\. connect-paxos --help lists them\.\n$/],
  [['--json'], /"code":"ERR_USAGE","message":"The command comes first/],
  [['get', 'x', '--clutser', 'y'], /^error: There is no option --clutser\. Did you mean --cluster\?\n$/],
  [['get'], /^error: KEY is missing: connect-paxos get KEY\.\n$/],
  [['set', 'x', 'y', '--ttl', 'soon'], /Option --ttl got 'soon'; it takes a number/],
  [['set', 'x', 'y', '--if-version', '"v1"'], /Option --if-version got '"v1"'; it takes a version as get --json/],
  [['get', 'x', '--url', 'ftp://x'], /Option --url got 'ftp:\/\/x'; it takes a node's address/],
  [['get', 'x', '--url', 'http://x', '--cluster', 'y'], /Option --cluster has no effect beside --url/],
  [['get', 'x', '--multicast', '10.0.0.1:1'], /Option transport\.multicast got '10\.0\.0\.1:1'/],
  [['get', 'x', '--secret', 'short'], /secret/],
  [['node', '0'], /SLOT got '0'/],
  [['node', '--token', 'x'], /--token goes with --http/],
  [['node', '--http', 'x'], /Option --http got 'x'/],
])('%j is refused', async (words, message) => {
  const { code, stdout, stderr } = await run(words);
  expect(stderr).toMatch(message);
  expect(stderr.trim().split('\n')).toHaveLength(1);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
});

it('a node that does not answer is told from a farm without a quorum', async () => {
  const { code, stderr } = await run(['get', 'x', '--url', 'http://127.0.0.1:1']);
  expect(stderr).toMatch(
    /^error: http:\/\/127\.0\.0\.1:1 does not answer \(connect ECONNREFUSED.*Is connect-paxos node/,
  );
  expect(code).toBe(5);
});
