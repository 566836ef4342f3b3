#!/usr/bin/env node
/**
 * Measures how long a server takes that starts in place of a killed one, in a farm full of sessions, and what that does to
 * reads on another server meanwhile: `npm run bench:recovery -- --help`.
 */
import { execFileSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { Worker } from './processes.js';
import { median } from './statistics.js';
import { farmOptions } from './stores.js';

/** Reads are measured in slices of that length, since nobody knows beforehand how long it takes. */
const SLICE_SECONDS = 0.5;
const SETTLE_SECONDS = 10;
const PATIENCE_MS = 600_000;
const [CALLERS, PAUSE_MS] = [16, 20];
const NOW_AND_THEN = { name: 'now and then', outstanding: CALLERS, pauseMs: PAUSE_MS };
const AT_FULL_SPEED = { name: 'as fast as it is answered', outstanding: 1 };

const HELP = `npm run bench:recovery -- [options]

While another server is asked for sessions now and then, by ${CALLERS} callers who wait ${PAUSE_MS} ms in the mean after each
answer; then while it is asked as fast as it answers, which takes half of two cores by itself. Each as often as --rounds
says, and at last the medians.

  --sessions N     sessions in the farm; default 100000
  --size BYTES     of each; default 600
  --seconds S      length of the measurement of reads before; default 10
  --rounds N       servers that are replaced, one after the other, for each of the two; default 3
  --apart          the server that is killed, and the one that starts, on one core, the others on another: on machines of
                   their own they don't share one either (Linux: taskset)
  --help
`;

async function main() {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '100000' },
      size: { type: 'string', default: '600' },
      seconds: { type: 'string', default: '10' },
      rounds: { type: 'string', default: '3' },
      apart: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [sessions, size, seconds, rounds] = [values.sessions, values.size, values.seconds, values.rounds].map(Number);
  const options = farmOptions({ isSealed: true });
  const open = async () => {
    const worker = new Worker('./store-process.js');
    await worker.ask('open', options, PATIENCE_MS);
    return worker;
  };
  const [reader, other, first] = await Promise.all([open(), open(), open()]);
  const pin = (worker, core) => {
    if (values.apart) execFileSync('taskset', ['-apc', `${core}`, `${worker.pid}`]);
  };
  for (const worker of [reader, other]) pin(worker, 0);
  pin(first, 1);
  const filledMs = performance.now();
  await reader.ask('fill');
  const part = Math.ceil(sessions / 3);
  await Promise.all(
    [reader, other, first].map((worker, index) =>
      worker.ask(
        'fillBulk',
        { first: index * part, count: Math.min(part, sessions - index * part), size },
        PATIENCE_MS,
      ),
    ),
  );
  tell(`${sessions} sessions of ${size} bytes written in ${((performance.now() - filledMs) / 1000).toFixed(1)} s`);
  let last = first;
  for (const load of [NOW_AND_THEN, AT_FULL_SPEED]) {
    const measured = [];
    for (let round = 0; round < rounds; round += 1) {
      const { fresh, ...figures } = await replace(last, reader, options, seconds, load, pin);
      measured.push(figures);
      last = fresh;
    }
    const [took, times] = ['tookSeconds', 'times'].map((figure) => median(measured.map((each) => each[figure])));
    tell(
      `medians of ${rounds}, asked ${load.name}: ready after ${took.toFixed(1)} s, p99 of get ${times.toFixed(1)} times its usual value`,
    );
  }
  await Promise.all([reader, other, last].map((worker) => worker.end()));
}

/**
 * Kills a server and starts another, and tells what that does to the reads on a third.
 *
 * @returns the new one, how long it took, and how many times its usual value the p99 was
 */
async function replace(victim, reader, options, seconds, { name, ...how }, pin) {
  const read = (length) => reader.ask('load', { operation: 'get', seconds: length, from: 0, ...how });
  /** Reads slice by slice for as long as that holds, once at least. @returns the slices, and the p99 in the middle of theirs */
  const readWhile = async (holds) => {
    const slices = [];
    do slices.push(await read(SLICE_SECONDS));
    while (holds());
    return { slices, p99: median(slices.map((slice) => slice.p99)) };
  };
  // What was written last is repaired, forgotten and collected for a while yet.
  await read(SETTLE_SECONDS);
  const endMs = performance.now() + seconds * 1000;
  const before = await readWhile(() => performance.now() < endMs);
  const [done, elapsed] = ['done', 'elapsed'].map((field) =>
    before.slices.reduce((sum, slice) => sum + slice[field], 0),
  );
  const p50 = median(before.slices.map((slice) => slice.p50));
  tell(
    `get ${name}, ${(done / elapsed).toFixed(0)} a second: p50 ${p50.toFixed(0)} µs, p99 ${before.p99.toFixed(0)} µs`,
  );

  process.kill(victim.pid, 'SIGKILL');
  const killedMs = performance.now();
  const fresh = new Worker('./store-process.js');
  pin(fresh, 1);
  let isReady = false;
  const opened = fresh.ask('open', options, PATIENCE_MS).finally(() => {
    isReady = true;
  });
  const meanwhile = await readWhile(() => !isReady);
  await opened;
  const tookSeconds = (performance.now() - killedMs) / 1000;
  const { state, records } = await fresh.ask('status');
  const errors = meanwhile.slices.reduce((sum, slice) => sum + slice.errors, 0);
  const [middle, worst] = [meanwhile.p99, Math.max(...meanwhile.slices.map(({ p99 }) => p99))];
  tell(
    `  from kill -9 of one server to ready() of the next: ${tookSeconds.toFixed(1)} s (${state}, ${records} records)`,
  );
  tell(
    `  get meanwhile, slices of ${SLICE_SECONDS} s: p99 ${middle.toFixed(0)} µs in the middle (${(middle / before.p99).toFixed(1)} times), ${worst.toFixed(0)} µs at worst (${(worst / before.p99).toFixed(1)} times), ${errors} errors`,
  );
  return { fresh, tookSeconds, times: middle / before.p99 };
}

function tell(text) {
  process.stdout.write(`${text}\n`);
}

await main();
