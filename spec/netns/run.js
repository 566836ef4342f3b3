// @ts-check
/**
 * `npm run test:netns`: the specs of this folder, in a network namespace of their own, where they may build networks of
 * their own. Where the machine does not allow that, it says what is missing, and nothing is tested.
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SELF = fileURLToPath(import.meta.url);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const INSIDE = '--inside';
/** As root without user namespaces (some containers), as anybody else with them. */
const WAYS = [['--user', '--map-root-user', '--net'], ['--net']];

/** @param {string[]} command @returns {boolean} whether it can be run, and says that it worked */
function works([command = '', ...parameters]) {
  return spawnSync(command, parameters, { stdio: 'ignore' }).status === 0;
}

/** @param {string} what */
function skip(what) {
  console.log(`Skipped, nothing was tested: ${what}.`);
  process.exit(0);
}

/**
 * Runs it to its end, which is then this process's own.
 * @param {string} command @param {string[]} parameters @param {Record<string, string>} environment
 * @param {() => void} [cleanUp]
 */
function follow(command, parameters, environment, cleanUp = () => {}) {
  const child = spawn(command, parameters, {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...environment },
  });
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('exit', (code, signal) => {
    cleanUp();
    process.exit(code ?? 128 + constants.signals[signal ?? 'SIGKILL']);
  });
}

function goInside() {
  if (process.platform !== 'linux') skip('network namespaces are a thing of Linux');
  for (const [tool, version] of [
    ['unshare', '--version'],
    ['nsenter', '--version'],
    ['ip', '-V'],
  ]) {
    if (!works([tool ?? '', version ?? ''])) {
      skip(`there is no \`${tool}\` (on Debian, ${tool === 'ip' ? 'apt-get install iproute2' : 'package util-linux'})`);
    }
  }
  const way = WAYS.find((each) => works(['unshare', ...each, 'true']));
  if (way === undefined) {
    skip('this user may make no network namespace: neither are user namespaces allowed, nor is it root that runs this');
  }
  // Made and removed out here, where it is done whatever becomes of those inside.
  const directory = mkdtempSync(join(tmpdir(), 'netns-'));
  const command = [...(way ?? []), process.execPath, SELF, INSIDE, ...process.argv.slice(2)];
  follow('unshare', command, { NETNS_DIRECTORY: directory }, () => rmSync(directory, { recursive: true, force: true }));
}

/** Everything from here on is in the namespace, and goes with it. */
function test() {
  const needed = {
    'a network namespace in this one': ['unshare', '--net', 'true'],
    'a bridge': ['ip', 'link', 'add', 'bridge0', 'type', 'bridge'],
    'a pair of virtual cables': ['ip', 'link', 'add', 'probe0', 'type', 'veth', 'peer', 'name', 'probe1'],
    'a cable in the bridge': ['ip', 'link', 'set', 'probe0', 'master', 'bridge0'],
  };
  for (const [what, command] of Object.entries(needed)) {
    if (!works(command)) skip(`${what} is not to be had: \`${command.join(' ')}\` failed`);
  }
  const tbf = works(['tc', 'qdisc', 'add', 'dev', 'probe0', 'root', ...'tbf rate 8bit burst 1b limit 1b'.split(' ')]);
  const netem = works(['tc', 'qdisc', 'replace', 'dev', 'probe1', 'root', 'netem', 'loss', '1%']);
  const nft =
    works(['nft', 'add table netdev probe']) &&
    works(['nft', 'add chain netdev probe in { type filter hook ingress device probe1 priority 0; }']) &&
    works(['nft', 'add rule netdev probe in numgen random mod 100 < 1 drop']);
  if (nft) works(['nft', 'delete table netdev probe']);
  works(['ip', 'link', 'delete', 'probe0']);
  works(['ip', 'link', 'delete', 'bridge0']);
  if (!tbf) console.log('Left out: links that carry one way only; they need `tc` with tbf (Debian: iproute2).');
  if (!netem && nft) console.log('Loss by `nft`, without delays: the kernel or `tc` has no netem.');
  if (!netem && !nft) console.log('Left out: loss; it needs `tc` with netem, or `nft` (Debian: nftables).');

  const jest = createRequire(SELF).resolve('jest/bin/jest');
  // A cache of its own: this user has another number in here than outside.
  const cache = join(process.env.NETNS_DIRECTORY ?? '', 'jest');
  const parameters = [
    '--runInBand',
    '--verbose',
    `--cacheDirectory=${cache}`,
    '--testMatch',
    '**/spec/netns/*.netns.ts',
  ];
  follow(process.execPath, [jest, ...parameters, ...process.argv.slice(3)], {
    NETNS_TOOLS: JSON.stringify({ tbf, netem, nft }),
  });
}

// Where Debian keeps `tc` and `nft`, out of an ordinary user's way.
process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin`;
if (process.argv[2] === INSIDE) test();
else goInside();
