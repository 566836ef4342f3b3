/** `npm run simulate -- [--seed S] [--runs N] [--minutes M] [--trace FILE] [--mutant NAME] [--mutants]` */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { mutants } from './mutants.js';
import { type Report, Simulation } from './simulation.js';

const USAGE = `npm run simulate -- [--seed S] [--runs N] [--minutes M] [--trace FILE] [--mutant NAME]
  --seed S      the first run's seed; default 1
  --runs N      seeds S to S+N-1; default 1, or no end beside --minutes
  --minutes M   stops beginning runs after that time
  --trace FILE  writes what happened in the last run, line by line
  --mutant NAME breaks a rule of the protocol in every run
  --mutants     lists the rules that can be broken
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string' },
      minutes: { type: 'string' },
      trace: { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  if (values.mutants) {
    process.stdout.write(mutants.map(({ name }) => `${name}\n`).join(''));
    return 0;
  }
  if (values.mutant !== undefined) {
    const mutant = mutants.find(({ name }) => name === values.mutant);
    if (mutant === undefined) {
      process.stdout.write(`There is no mutant ${values.mutant}; see --mutants.\n`);
      return 2;
    }
    mutant.install?.();
  }
  const first = Number(values.seed);
  const minutes = Number(values.minutes ?? Number.POSITIVE_INFINITY);
  const runs = Number(values.runs ?? (values.minutes === undefined ? 1 : Number.POSITIVE_INFINITY));
  if ([first, minutes, runs].some(Number.isNaN)) {
    process.stdout.write(USAGE);
    return 2;
  }
  const counts = new Map<string, number>();
  const totals = { runs: 0, undecided: 0, virtualMs: 0 };
  const startedMs = performance.now();
  let toldMs = startedMs;
  const say = (): void => {
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0);
    const hours = (totals.virtualMs / 3_600_000).toFixed(1);
    process.stdout.write(`${totals.runs} runs without a violation, ${hours} h of virtual time, in ${seconds} s\n`);
  };

  for (let seed = first; seed < first + runs; seed += 1) {
    if (performance.now() - startedMs > minutes * 60_000) break;
    const report = await simulate(seed, values.trace);
    if (runs === 1) process.stdout.write(`trace ${report.hash}\n`);
    for (const [name, count] of report.counts) counts.set(name, (counts.get(name) ?? 0) + count);
    if (report.violations.length > 0) {
      for (const violation of report.violations) process.stdout.write(`${violation}\n`);
      process.stdout.write(`violation with --seed ${seed}\n`);
      return 1;
    }
    totals.runs += 1;
    totals.undecided += report.undecided;
    totals.virtualMs += report.virtualMs;
    if (performance.now() - toldMs > 10_000) {
      toldMs = performance.now();
      say();
    }
  }
  for (const [name, count] of [...counts].sort(([a], [b]) => (a < b ? -1 : 1))) {
    process.stdout.write(`${String(count).padStart(10)} ${name}\n`);
  }
  process.stdout.write(`${String(totals.undecided).padStart(10)} histories too tangled to be judged\n`);
  say();
  return 0;
}

async function simulate(seed: number, traceFile: string | undefined): Promise<Report> {
  try {
    const report = await new Simulation(seed, { isTraced: traceFile !== undefined }).run();
    if (traceFile !== undefined) writeFileSync(traceFile, report.trace);
    return report;
  } catch (error) {
    process.stdout.write(`the run threw with --seed ${seed}\n`);
    throw error;
  }
}

process.exitCode = await main();
