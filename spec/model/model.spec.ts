/** A quick part of `npm run model`: one small model and two defects. Skipped where Spin or a C compiler is missing. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';

const missing = [
  ['spin', '-V'],
  ['gcc', '--version'],
  [process.env.CC ?? 'cc', '--version'],
].flatMap(([command = '', argument = '']) => (spawnSync(command, [argument]).status === 0 ? [] : [command]));

const check = missing.length === 0 ? describe : describe.skip;

check(
  `the model of the protocol${missing.length === 0 ? '' : ` (skipped: ${missing.join(', ')} not installed)`}`,
  () => {
    test('agreement, small: holds', () => {
      const { status, stdout } = run('agreement-small');
      expect(stdout).toMatch(/ 0 errors, 153,649 states/);
      expect(status).toBe(0);
    }, 120_000);

    test.each(['nothing-adopted', 'no-floor'])(
      '%s: is found, and told',
      (name) => {
        const { status, stdout } = run(name);
        expect(stdout).toMatch(/ 1 error, /);
        expect(stdout).toMatch(/^ {4}acceptor [123]: promised [12]/m);
        expect(stdout).toMatch(/^ {4}broken: /m);
        expect(status).toBe(0);
      },
      120_000,
    );
  },
);

function run(name: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(process.execPath, [join(__dirname, 'run.js'), '--only', name], { encoding: 'utf8' });
}
