#!/usr/bin/env node
/** Where the time goes: the driving process of a farm under V8's sampling profiler. */
import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { PAXOS, startContestants } from './contestants.js';

const HELP = `npm run build && node bench/profile.js [options]

Lists the functions of the process that drives a farm of three by the time spent in themselves (self) and in what
they call (total), in percent of the time that it was not idle.

  --operation NAME   get, set, 'touch each', touch or 'get and set'; default get
  --outstanding N    default 64
  --seconds S        default 4
  --process N        1, the one that drives, or 2 or 3, which serve; default 1
  --top N            functions to list; default 30
  --by WHAT          self, total, line (self time of single lines) or bytes (allocated on the heap); default self
  --unsealed         the farm without a secret
  --help
`;

const ROOT = fileURLToPath(new URL('..', import.meta.url));

async function main() {
  const { values } = parseArgs({
    options: {
      operation: { type: 'string', default: 'get' },
      outstanding: { type: 'string', default: '64' },
      seconds: { type: 'string', default: '4' },
      process: { type: 'string', default: '1' },
      top: { type: 'string', default: '30' },
      by: { type: 'string', default: 'self' },
      unsealed: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return process.stdout.write(HELP);
  const setup = { redis: null, isSealed: !values.unsealed, names: [PAXOS] };
  const [farm] = await startContestants('store-process.js', setup);
  const [driver] = farm.workers;
  await driver.ask('fill');
  const { operation } = values;
  await driver.ask('hold', { first: 0, step: 1, isEager: operation === 'touch each' });
  const how = { operation, outstanding: Number(values.outstanding), from: 0 };
  await driver.ask('load', { ...how, seconds: 1 });
  const isOfBytes = values.by === 'bytes';
  const profiled = farm.workers[Number(values.process) - 1];
  await profiled.ask('startProfile', { isOfBytes });
  const { done, errors, elapsed, cpuMicros, p50 } = await driver.ask('load', {
    ...how,
    seconds: Number(values.seconds),
  });
  const profile = await profiled.ask('endProfile', { isOfBytes });
  await farm.end();
  process.stdout.write(
    `${operation}, ${values.outstanding} outstanding, process ${values.process}: ${Math.round(done / elapsed)}/s, ` +
      `${errors} failed, p50 ${p50.toFixed(0)} µs, driver's CPU ${(cpuMicros / done).toFixed(1)} µs each\n`,
  );
  if (isOfBytes) printBytes(profile, Number(values.top), done);
  else print(profile, values.by, Number(values.top));
}

function print(profile, by, top) {
  const times = by === 'line' ? lineTimes(profile) : functionTimes(profile);
  const key = by === 'total' ? 'total' : 'self';
  const percent = (share) => (share * 100).toFixed(1).padStart(6);
  const sorted = times.sort((a, b) => b[key] - a[key]).slice(0, top);
  process.stdout.write(by === 'line' ? '  self\n' : '  self  total\n');
  for (const { name, self, total } of sorted) {
    process.stdout.write(`${percent(self)}${by === 'line' ? '' : ` ${percent(total)}`}  ${name}\n`);
  }
}

function printBytes({ head }, top, done) {
  const bytes = new Map();
  let all = 0;
  const visit = ({ callFrame, selfSize, children }) => {
    const name = nameOf(callFrame);
    bytes.set(name, (bytes.get(name) ?? 0) + selfSize);
    all += selfSize;
    children.forEach(visit);
  };
  visit(head);
  process.stdout.write(`${Math.round(all / done)} bytes on the heap for each operation, of which in\n`);
  const sorted = [...bytes].sort(([, a], [, b]) => b - a).slice(0, top);
  for (const [name, size] of sorted) process.stdout.write(`${`${Math.round(size / done)}`.padStart(7)}  ${name}\n`);
}

/** Share of the time that is not idle, in each function and in what it calls. */
function functionTimes({ nodes, samples, timeDeltas }) {
  const parents = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id])));
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const times = new Map([...new Set(names.values())].map((name) => [name, { name, self: 0, total: 0 }]));
  let all = 0;
  samples.forEach((id, index) => {
    const delta = timeDeltas[index];
    if (names.get(id) === '(idle)') return;
    all += delta;
    times.get(names.get(id)).self += delta;
    const seen = new Set();
    for (let at = id; at !== undefined; at = parents.get(at)) seen.add(names.get(at));
    for (const name of seen) times.get(name).total += delta;
  });
  return [...times.values()].map(({ name, self, total }) => ({ name, self: self / all, total: total / all }));
}

/** Share of the samples that are not idle, on each line. */
function lineTimes({ nodes }) {
  const times = new Map();
  let all = 0;
  for (const { callFrame, positionTicks = [] } of nodes) {
    if (callFrame.functionName === '(idle)') continue;
    for (const { line, ticks } of positionTicks) {
      const name = `${callFrame.functionName || '(anonymous)'} ${placeOf(callFrame.url, line - 1, 0)}`;
      times.set(name, (times.get(name) ?? 0) + ticks);
      all += ticks;
    }
  }
  return [...times].map(([name, ticks]) => ({ name, self: ticks / all }));
}

function nameOf({ functionName, url, lineNumber, columnNumber }) {
  if (url === '' && functionName.startsWith('(')) return functionName;
  return `${functionName || '(anonymous)'} ${placeOf(url, lineNumber, columnNumber)}`;
}

const maps = new Map();

/** File and line, those of the source where the code was compiled from one. */
function placeOf(url, line, column) {
  if (!url.startsWith('file:')) return url === '' ? 'native' : `${url}:${line + 1}`;
  const path = fileURLToPath(url);
  if (!maps.has(path)) maps.set(path, sourceMapOf(path));
  const entry = maps.get(path)?.findEntry(line, column);
  const file = entry?.originalSource?.replace(/^(\.\.\/)+/, '') ?? relative(ROOT, path);
  return `${file}:${(entry?.originalLine ?? line) + 1}`;
}

function sourceMapOf(path) {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${path}.map`, 'utf8')));
  } catch {
    return null;
  }
}

main().then(
  () => process.exit(),
  (error) => {
    process.stderr.write(`${error?.stack ?? error}\n`);
    process.exit(1);
  },
);
