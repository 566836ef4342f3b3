#!/usr/bin/env node
/**
 * Measures how long a server takes that starts in place of a killed one, in a farm full of sessions, and what that does to
 * reads on another server meanwhile: `npm run bench:recovery -- --help`.
 */
import { parseArgs } from 'node:util';
import { Worker } from './processes.js';
import { median } from './statistics.js';
import { farmOptions } from './stores.js';

const HELP = `npm run bench:recovery -- [options]

  --sessions N     sessions in the farm; default 100000
  --size BYTES     of each; default 600
  --seconds S      length of the measurement of reads before; default 5
  --help
`;

/** Reads are measured in slices of that length, since nobody knows beforehand how long it takes. */
const SLICE_SECONDS = 0.5;
const PATIENCE_MS = 600_000;

async function main() {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '100000' },
      size: { type: 'string', default: '600' },
      seconds: { type: 'string', default: '5' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [sessions, size, seconds] = [values.sessions, values.size, values.seconds].map(Number);
  const options = farmOptions({ isSealed: true });
  const open = async () => {
    const worker = new Worker('./store-process.js');
    await worker.ask('open', options, PATIENCE_MS);
    return worker;
  };
  const [reader, other, victim] = await Promise.all([open(), open(), open()]);
  const filledMs = performance.now();
  await reader.ask('fill');
  const part = Math.ceil(sessions / 3);
  await Promise.all(
    [reader, other, victim].map((worker, index) =>
      worker.ask(
        'fillBulk',
        { first: index * part, count: Math.min(part, sessions - index * part), size },
        PATIENCE_MS,
      ),
    ),
  );
  tell(`${sessions} sessions of ${size} bytes written in ${((performance.now() - filledMs) / 1000).toFixed(1)} s`);
  const read = (length) => reader.ask('load', { operation: 'get', outstanding: 1, seconds: length, from: 0 });
  await read(1);
  const before = await read(seconds);
  tell(`get before: p50 ${before.p50.toFixed(0)} µs, p99 ${before.p99.toFixed(0)} µs`);

  process.kill(victim.pid, 'SIGKILL');
  const killedMs = performance.now();
  const fresh = new Worker('./store-process.js');
  let isReady = false;
  const opened = fresh.ask('open', options, PATIENCE_MS).finally(() => {
    isReady = true;
  });
  const slices = [];
  while (!isReady) slices.push(await read(SLICE_SECONDS));
  await opened;
  const tookSeconds = (performance.now() - killedMs) / 1000;
  const { state, records } = await fresh.ask('status');
  const p99s = slices.map(({ p99 }) => p99);
  const errors = slices.reduce((sum, slice) => sum + slice.errors, 0);
  const [middle, worst] = [median(p99s), Math.max(...p99s)];
  tell(`from kill -9 of one server to ready() of the next: ${tookSeconds.toFixed(1)} s (${state}, ${records} records)`);
  tell(
    `get meanwhile, slices of ${SLICE_SECONDS} s: p99 ${middle.toFixed(0)} µs in the middle (${(middle / before.p99).toFixed(1)} times), ${worst.toFixed(0)} µs at worst (${(worst / before.p99).toFixed(1)} times), ${errors} errors`,
  );
  await Promise.all([reader, other, fresh].map((worker) => worker.end()));
}

function tell(text) {
  process.stdout.write(`${text}\n`);
}

await main();
