/** A quick part of `npm run model`: small models and some defects. Skipped where Spin or a C compiler is missing. */
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
    test.each([
      ['agreement-small', '153,649'],
      ['recovery-small', '8,056'],
    ])('%s: holds', (name, states) => {
      const { status, stdout } = run(name);
      expect(stdout).toContain(` 0 errors, ${states} states`);
      expect(status).toBe(0);
    });

    test.each([
      ['nothing-adopted', /^ {4}acceptor [123]: promised [12]/m],
      ['no-floor', /^ {4}acceptor [123]: promised [12]/m],
      ['half-of-the-others', /^ {4}acceptor [1234]: accepted claim [12]: standby [12]/m],
      ['recovery-from-a-minority', /^ {4}standby 1: votes/m],
    ])('%s: is found, and told', (name, step) => {
      const { status, stdout } = run(name);
      expect(stdout).toMatch(/ 1 error, /);
      expect(stdout).toMatch(step);
      expect(stdout).toMatch(/^ {4}broken: /m);
      expect(status).toBe(0);
    });
  },
);

function run(name: string): { readonly status: number | null; readonly stdout: string } {
  return spawnSync(process.execPath, [join(__dirname, 'run.js'), '--only', name], { encoding: 'utf8' });
}
