import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from '@jest/globals';
import { drawPlace, endPrograms, type HttpNode, MAIN, type Place, startThree } from './programs.js';

const readme = readFileSync(join(__dirname, '../../README.md'), 'utf8');

/** The lines that one types, and what they print: as printed, between ```console and ```. */
function examples(): { readonly line: string; readonly answer: string }[] {
  const [, block = ''] = /```console\n([\s\S]*?)```/.exec(readme) ?? [];
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [line = '', ...answer] = part.trimEnd().split('\n');
      return { line, answer: answer.join('\n') };
    });
}

let place: Place;
let nodes: HttpNode[];

endPrograms();
beforeAll(async () => {
  place = drawPlace();
  nodes = await startThree(place);
});

/** As printed, but with ports that are free, and on a group that no other test uses. */
function localized(line: string): string {
  const options = place.options.map((option) => `'${option}'`).join(' ');
  const isByUrl = line.includes('--url');
  return line
    .replace(/^npx connect-paxos (.*)$/, `'${process.execPath}' '${MAIN}' $1 ${isByUrl ? '' : options}`)
    .replace(/^curl /, 'curl -sS ')
    .replace(/localhost:808([123])/g, (_, number) => new URL(nodes[number - 1]?.url ?? '').host);
}

async function answerTo(line: string): Promise<string> {
  const env = { ...process.env, ...place.environment };
  const child = spawn('sh', ['-c', localized(line)], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      text += String(chunk);
    });
  }
  await once(child, 'close');
  return text.trimEnd();
}

const withShell = process.platform === 'win32' ? it.skip : it;

withShell('the lines of the README are answered as it says', async () => {
  const all = examples();
  expect(all.length).toBeGreaterThan(10);
  for (const { line, answer } of all) expect(`$ ${line}\n${await answerTo(line)}`).toBe(`$ ${line}\n${answer}`);
});
