import { rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { alter } from './altered.js';
import { Campaign } from './campaign.js';
import { CAUGHT_BY } from './caught.js';
import { type Conditions, formatConditions } from './conditions.js';
import { Controls, isEveryCaught, tableOf } from './controls.js';
import { draw } from './diagram.js';
import { formatKept } from './kept.js';
import { type Mutant, mutants } from './mutants.js';
import { type Options, parseOptions, USAGE } from './options.js';
import { LocalRunner, type Runner, ThreadRunner } from './runners.js';
import { type Candidate, choiceOf, shrink } from './shrink.js';
import { type Choice, type Report, Simulation } from './simulation.js';
import type { Totals } from './totals.js';

/** Where a command runs. */
export interface Place {
  /** Folder of the compiled simulation. */
  readonly built: string;
  /** Whether a mutant's rule is left out of the code in that folder already. */
  readonly isAltered: boolean;
  readonly write: (text: string) => void;
}

const OK = 0;
const VIOLATED = 1;
const WRONG_USAGE = 2;
const INTERRUPTED = 130;

/** Violations of one run that are printed. */
const MAX_VIOLATIONS = 10;

/** @returns the exit code */
export async function command(args: readonly string[], place: Place): Promise<number> {
  let options: Options;
  try {
    options = parseOptions(args);
  } catch (error) {
    place.write(`${error instanceof Error ? error.message : String(error)}\n\n${USAGE}`);
    return WRONG_USAGE;
  }
  const { mutant, task } = options;
  if (task === 'help') place.write(USAGE);
  if (task === 'mutants') place.write(mutants.map(({ name, breaks }) => `${name.padEnd(36)} ${breaks}\n`).join(''));
  if (task === 'help' || task === 'mutants') return OK;
  if (task === 'controls') return runControls(options, place);
  if (mutant?.edits !== undefined && !place.isAltered) {
    return inCopy(place.built, mutant, async (copy) => {
      const script = pathToFileURL(join(copy, 'spec', 'simulation', 'command.js')).href;
      const altered = (await import(script)) as { command: typeof command };
      return altered.command(args, { ...place, built: copy, isAltered: true });
    });
  }
  const remove = mutant?.install?.() ?? (() => undefined);
  try {
    return await new Command(options, place).run();
  } finally {
    remove();
  }
}

/** Lets something run on a copy of the compiled code from which the mutant's rule is taken out. */
async function inCopy<T>(built: string, mutant: Mutant, run: (copy: string) => Promise<T>): Promise<T> {
  const copy = copyOf(built, mutant);
  try {
    alter(built, copy, mutant);
    return await run(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}

/** Beside the original, or its imports would not be found. */
function copyOf(built: string, { name }: Mutant): string {
  return join(built, '..', `mutant-${name}-${process.pid}`);
}

/** @returns ends it */
function onInterrupt(interrupt: () => void): () => void {
  process.once('SIGINT', interrupt);
  return () => process.off('SIGINT', interrupt);
}

async function runControls(options: Options, { built, write }: Place): Promise<number> {
  const altered = mutants.filter(({ edits }) => edits !== undefined);
  for (const mutant of altered) alter(built, copyOf(built, mutant), mutant);
  const controls = new Controls({
    mutants,
    seed: options.seed,
    ...(options.isQuick && { firstSeeds: CAUGHT_BY }),
    repeat: options.repeat,
    runs: options.runs,
    jobs: options.jobs ?? availableParallelism(),
    runnerOf: (mutant) =>
      threadOf(mutant.edits === undefined ? built : copyOf(built, mutant), mutant, {
        conditions: { ...mutant.conditions, ...options.conditions },
        endsAtFirst: true,
      }),
    onDone: (words) => write(`${words}\n`),
  });
  let isInterrupted = false;
  const off = onInterrupt(() => {
    isInterrupted = true;
    controls.interrupt();
  });
  try {
    const done = await controls.run();
    write(`\n${tableOf(done)}`);
    if (options.report !== null) {
      const rows = done.map(({ mutant: { name, breaks }, took }) => ({ name, breaks, took }));
      writeFileSync(options.report, `${JSON.stringify(rows, null, 2)}\n`);
    }
    if (isInterrupted) return INTERRUPTED;
    return isEveryCaught(done, options.repeat) ? OK : VIOLATED;
  } finally {
    off();
    for (const mutant of altered) rmSync(copyOf(built, mutant), { recursive: true, force: true });
  }
}

function threadOf(built: string, mutant: Mutant | null, choice: Choice): Runner {
  return new ThreadRunner(join(built, 'spec', 'simulation', 'worker.js'), mutant?.name ?? null, choice);
}

/** One run, or many, and what comes of them. */
class Command {
  readonly #options: Options;
  readonly #place: Place;
  readonly #startedMs = performance.now();

  constructor(options: Options, place: Place) {
    this.#options = options;
    this.#place = place;
  }

  run(): Promise<number> {
    const { mutant, conditions } = this.#options;
    if (mutant !== null && !isEmpty(conditions)) this.#write(`in runs with ${formatConditions(conditions)}\n`);
    return this.#options.runs === 1 ? this.#single() : this.#campaign();
  }

  async #single(): Promise<number> {
    const { seed, kept, conditions, salt, isDrawn } = this.#options;
    const isChronicled = isDrawn || kept !== null;
    const choice: Choice = { conditions, salt, ...(kept === null ? {} : { kept }) };
    const report = await this.#simulate(seed, { ...choice, isChronicled });
    this.#write(`trace ${report.hash}\n`);
    const counts = [...report.counts].sort(([a], [b]) => (a < b ? -1 : 1));
    if (report.violations.length === 0) {
      this.#write(counts.map(([name, count]) => `${String(count).padStart(10)} ${name}\n`).join(''));
      if (isDrawn) this.#draw(report);
      this.#write(`1 run without a violation, ${this.#seconds}\n`);
      return OK;
    }
    return this.#failed(report);
  }

  async #campaign(): Promise<number> {
    const { seed, runs, minutes, report: file, trace, mutant, conditions, isPersistent } = this.#options;
    const jobs = this.#options.jobs ?? availableParallelism();
    const { built } = this.#place;
    const failures: number[] = [];
    const campaign = new Campaign({
      seed,
      runs,
      maxMs: minutes * 60_000,
      runners:
        jobs === 1
          ? [new LocalRunner({ conditions })]
          : Array.from({ length: jobs }, () => threadOf(built, mutant, { conditions })),
      isPersistent,
      onFailure: ({ seed: failing, violations }) => {
        failures.push(failing);
        this.#write(`seed ${failing}: ${violations[0]?.split('\n')[0]}\n`);
      },
      onProgress: ({ runs: done, virtualMs }) =>
        this.#write(`${done} runs, ${(virtualMs / 3_600_000).toFixed(1)} h of virtual time, ${this.#seconds}\n`),
    });
    const off = onInterrupt(() => campaign.interrupt());
    const { totals, failed, isInterrupted } = await campaign.run();
    off();
    this.#write(totals.text);
    if (failures.length > 0) this.#write(`${failures.length} runs failed: ${failures.slice(0, 50).join(', ')}\n`);
    if (file !== null) this.#report(file, totals, failed?.seed ?? null);
    if (failed?.hash === '') {
      this.#write(`${failed.violations.join('\n')}\nviolation with --seed ${failed.seed}\n`);
      return VIOLATED;
    }
    if (failed !== null) return this.#failed(await this.#simulate(failed.seed, { conditions }));
    // The same seed gives the same run: it need not have been traced when it ran first.
    if (trace !== null && totals.runs > 0) await this.#simulate(seed + totals.runs - 1, { conditions });
    this.#write(`${isInterrupted ? 'interrupted' : 'done'}, ${this.#seconds}\n`);
    return isInterrupted ? INTERRUPTED : OK;
  }

  #report(file: string, totals: Totals, failedSeed: number | null): void {
    const { seed } = this.#options;
    const seconds = Math.round((performance.now() - this.#startedMs) / 1000);
    writeFileSync(file, `${JSON.stringify({ seed, ...totals.json, failedSeed, seconds }, null, 2)}\n`);
  }

  async #simulate(seed: number, choice: Choice): Promise<Report> {
    const { trace } = this.#options;
    try {
      const report = await new Simulation(seed, { ...choice, isTraced: trace !== null }).run();
      if (trace !== null) writeFileSync(trace, report.trace);
      return report;
    } catch (error) {
      this.#write(`the run threw with --seed ${seed}\n`);
      throw error;
    }
  }

  async #failed(report: Report): Promise<number> {
    const { seed, violations } = report;
    for (const violation of violations.slice(0, MAX_VIOLATIONS)) this.#write(`${violation}\n`);
    if (violations.length > MAX_VIOLATIONS) this.#write(`and ${violations.length - MAX_VIOLATIONS} more\n`);
    if (this.#options.isShrunk) await this.#shrink(report);
    else if (report.chronicle !== null) this.#draw(report);
    this.#write(`violation with --seed ${seed}\n`);
    return VIOLATED;
  }

  async #shrink({ seed, happened }: Report): Promise<void> {
    const { conditions, salt, kept, shrinkMs } = this.#options;
    let isInterrupted = false;
    const off = onInterrupt(() => {
      isInterrupted = true;
    });
    const shrunk = await shrink(
      { seed, kept: kept ?? happened, conditions, salt },
      {
        maxMs: shrinkMs,
        maxTries: 5000,
        isInterrupted: () => isInterrupted,
        onProgress: (words) => this.#write(`shrinking: ${words}\n`),
      },
    );
    off();
    if (shrunk === null) {
      this.#write('not shrunk: it does not fail when each step has its own time\n');
      return;
    }
    const { candidate, kind, tries, isMinimal } = shrunk;
    const how = isMinimal ? 'none of them can be left out' : 'more could be left out in a longer time';
    this.#write(`shrunk in ${tries} tries to ${candidate.kept.length} steps and faults (${how}): ${kind}\n\n`);
    this.#draw(await new Simulation(seed, { ...choiceOf(candidate), isChronicled: true }).run());
    this.#write(`${lineOf(candidate, this.#options.mutant)}\n\n`);
  }

  #draw({ chronicle, violations, seed }: Report): void {
    if (chronicle === null) return;
    const [violation = `nothing is violated with seed ${seed}`] = violations;
    this.#write(`${draw(chronicle, { violation, isOfAllKeys: this.#options.isOfAllKeys })}\n`);
  }

  get #seconds(): string {
    return `in ${((performance.now() - this.#startedMs) / 1000).toFixed(0)} s`;
  }

  #write(text: string): void {
    this.#place.write(text);
  }
}

/** The command line that runs that candidate again. */
export function lineOf({ seed, kept, conditions, salt }: Candidate, mutant: Mutant | null): string {
  return [
    `npm run simulate -- --seed ${seed}`,
    ...(mutant === null ? [] : [`--mutant ${mutant.name}`]),
    `--kept "${formatKept(kept)}"`,
    ...(isEmpty(conditions) ? [] : [`--plan "${formatConditions(conditions)}"`]),
    ...(salt === 0 ? [] : [`--salt ${salt}`]),
  ].join(' ');
}

function isEmpty(conditions: Conditions): boolean {
  return Object.keys(conditions).length === 0;
}
