#!/usr/bin/env node
/** Measures connect-paxos beside connect-redis and MemoryStore: `npm run bench -- --help`. */
import { readFile, writeFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os';
import { parseArgs } from 'node:util';
import { measureApps } from './express-level.js';
import { openRedis } from './redis.js';
import { report } from './report.js';
import { measureStores } from './store-level.js';

const HELP = `npm run bench -- [options]

Measures get, set and touch, and an Express app, with connect-paxos (three processes on loopback multicast),
express-session's MemoryStore and, if there is a Redis, connect-redis. Takes about ten minutes.

  --redis          start a redis-server found on PATH for the run, without persistence
                   (without it, the Redis that the environment variable REDIS_URL names, or none)
  --only PART      store or express
  --rounds N       rounds, of which medians are taken; default 5
  --seconds S      length of one measurement; default 2
  --quick          1 round of 0.5 s: to see that it works, not for figures
  --unsealed       the farm without a secret
  --markdown       print Markdown
  --json FILE      write every measurement to FILE
  --docs           put the tables into docs/performance.md
  --help
`;

const DOCS = new URL('../docs/performance.md', import.meta.url);
const [DOCS_BEGIN, DOCS_END] = ['<!-- figures -->', '<!-- end of figures -->'];

async function main() {
  const options = readArguments();
  if (options === null) return;
  const redis = await openRedis({ url: options.redis ? undefined : process.env.REDIS_URL, isOwn: options.redis });
  if (redis === null) tell('no Redis to compare with: set REDIS_URL, or give --redis');
  const calibration = new Calibration();
  const loadBefore = loadavg()[0];
  const tellAndCalibrate = (text) => {
    tell(text);
    calibration.take();
  };
  try {
    const { rounds, seconds, only } = options;
    const setup = { rounds, seconds, redis, isSealed: !options.unsealed, tell: tellAndCalibrate };
    const stores = only === 'express' ? null : await measureStores(setup);
    const apps = only === 'store' ? null : await measureApps({ ...setup, seconds: 2 * seconds });
    const machine = {
      ...(await describeMachine(redis)),
      sealing: options.unsealed ? 'not sealed' : 'sealed (AES-256-GCM)',
      how: `Medians of ${rounds} rounds of ${seconds} s (Express: ${2 * seconds} s), the stores in turn`,
      calibration: calibration.range,
      load: [loadBefore, loadavg()[0]].map((load) => load.toFixed(1)),
    };
    for (const part of [stores, apps]) if (part?.text) tell(`The farm's processes said: ${part.text.trim()}`);
    await publish({ machine, stores, apps }, options);
  } finally {
    await redis?.close();
  }
}

async function publish(results, { markdown, json, docs }) {
  process.stdout.write(`${report(results, markdown)}`);
  if (json !== undefined) {
    const { machine, stores, apps } = results;
    const plain = {
      machine,
      stores: stores && { measurements: stores.measurements.all, datagrams: stores.datagrams },
      apps: apps && { measurements: apps.measurements.all },
    };
    await writeFile(json, `${JSON.stringify(plain, null, 2)}\n`);
  }
  if (docs) {
    const text = await readFile(DOCS, 'utf8');
    const [begin, end] = [text.indexOf(DOCS_BEGIN), text.indexOf(DOCS_END)];
    if (begin < 0 || end < begin) throw new Error(`docs/performance.md has no ${DOCS_BEGIN} … ${DOCS_END}`);
    const before = text.slice(0, begin + DOCS_BEGIN.length);
    await writeFile(DOCS, `${before}\n${report(results, true)}${text.slice(end)}`);
  }
}

/** @returns `null` if nothing is to be done */
function readArguments() {
  const { values } = parseArgs({
    options: {
      redis: { type: 'boolean', default: false },
      only: { type: 'string' },
      rounds: { type: 'string' },
      seconds: { type: 'string' },
      quick: { type: 'boolean', default: false },
      unsealed: { type: 'boolean', default: false },
      markdown: { type: 'boolean', default: false },
      json: { type: 'string' },
      docs: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return null;
  }
  if (values.only !== undefined && !['store', 'express'].includes(values.only)) {
    throw new TypeError(`--only takes store or express, not ${values.only}`);
  }
  const rounds = Number(values.rounds ?? (values.quick ? 1 : 5));
  const seconds = Number(values.seconds ?? (values.quick ? 0.5 : 2));
  if (!Number.isInteger(rounds) || rounds < 1) throw new TypeError('--rounds takes a whole number from 1');
  if (!(seconds >= 0.1 && seconds <= 30)) throw new TypeError('--seconds takes a number from 0.1 to 30');
  return { ...values, rounds, seconds };
}

/** How long the same work takes, to see whether others use the machine. */
class Calibration {
  #least = Number.POSITIVE_INFINITY;
  #most = 0;

  take() {
    const startMs = performance.now();
    let sum = 0;
    for (let n = 0; n < 2e7; n += 1) sum = (sum + n * n) | 0;
    const tookMs = performance.now() - startMs;
    // The first is slower for being compiled.
    if (sum !== 0 && this.#least < Number.POSITIVE_INFINITY) this.#most = Math.max(this.#most, tookMs);
    this.#least = Math.min(this.#least, tookMs);
  }

  get range() {
    return [this.#least, this.#most];
  }
}

async function describeMachine(redis) {
  const names = ['express-session', 'express', ...(redis === null ? [] : ['connect-redis', 'redis'])];
  const versions = { 'connect-paxos': await versionIn('..') };
  for (const name of names) versions[name] = await versionIn(`../node_modules/${name}`);
  if (redis !== null) versions['Redis server'] = redis.version;
  return {
    date: new Date().toISOString().slice(0, 10),
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? 'unknown',
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().split('-')[0]}`,
    node: process.versions.node,
    versions,
  };
}

/** Not by `require`: not every package lets its package.json be seen. */
async function versionIn(folder) {
  return JSON.parse(await readFile(new URL(`${folder}/package.json`, import.meta.url), 'utf8')).version;
}

function tell(text) {
  process.stderr.write(`${text}\n`);
}

main().then(
  () => process.exit(),
  (error) => {
    tell(error instanceof TypeError ? error.message : String(error?.stack ?? error));
    process.exit(1);
  },
);
