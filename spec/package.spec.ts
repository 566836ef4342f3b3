import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from '@jest/globals';

const root = join(__dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

describe('the package', () => {
  it.each([
    ['import', "const { PaxosStore } = await import('connect-paxos'); console.log(typeof PaxosStore)"],
    ['require', "const { PaxosStore } = require('connect-paxos'); console.log(typeof PaxosStore)"],
  ])('is loaded by %s', async (kind, code) => {
    const type = kind === 'import' ? 'module' : 'commonjs';
    const { stdout } = await promisify(execFile)(process.execPath, [`--input-type=${type}`, '-e', code], { cwd: root });
    expect(stdout.trim()).toBe('function');
  });

  it('has only what users need in it', async () => {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const { stdout } = await promisify(execFile)(npm, ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
    });
    const [{ files }] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    const paths = files.map(({ path }) => path);
    expect(paths).toEqual(
      expect.arrayContaining(['dist/index.js', 'dist/index.d.ts', 'dist/cli/main.js', 'README.md', 'LICENSE']),
    );
    expect(paths).toEqual(expect.arrayContaining(['dist/core.js', 'dist/core.d.ts', 'docs/examples/register.mjs']));
    expect(paths.filter((path) => /^(spec|demo|bench|lib)\//.test(path))).toEqual([]);
  });
});

describe("the README's example", () => {
  const directory = mkdtempSync(join(root, 'spec', 'readme-'));
  const children: ChildProcess[] = [];
  afterAll(async () => {
    for (const child of children) {
      const exited = once(child, 'exit');
      if (child.kill('SIGKILL')) await exited;
    }
    rmSync(directory, { recursive: true });
  });

  it('shares its sessions between three processes, as it says', async () => {
    const [, code = ''] = /```js\n(\/\/ server\.mjs[\s\S]*?)```/.exec(readme) ?? [];
    // As printed, but on loopback, and on a group that no other test uses.
    const group = `239.255.${randomInt(1, 255)}.${randomInt(1, 255)}:${randomInt(20_000, 60_000)}`;
    const local = code.replace(
      "cluster: 'shop',",
      `cluster: 'shop', transport: { multicast: '${group}', interface: '127.0.0.1' },`,
    );
    expect(local).not.toBe(code);
    const file = join(directory, 'server.mjs');
    writeFileSync(file, local);
    const ports = await Promise.all([freePort(), freePort(), freePort()]);
    for (const port of ports) {
      const env = { ...process.env, PORT: String(port), CLUSTER_SECRET: 'the same sixteen characters or more' };
      children.push(spawn(process.execPath, [file], { env, stdio: 'inherit' }));
    }
    let cookie = '';
    const bodies: string[] = [];
    for (const port of ports) {
      const response = await patientFetch(`http://127.0.0.1:${port}/`, cookie);
      cookie = response.headers.get('set-cookie')?.split(';')[0] ?? cookie;
      bodies.push(await response.text());
    }
    expect(bodies).toEqual(children.map(({ pid }, index) => `view ${index + 1}, answered by process ${pid}\n`));
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** Asks until somebody listens; the test's own time-out ends it otherwise. */
async function patientFetch(url: string, cookie: string): Promise<Response> {
  for (;;) {
    try {
      return await fetch(url, { headers: { cookie } });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
