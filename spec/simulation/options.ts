import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Conditions, parseConditions } from './conditions.js';
import { type Happening, parseKept } from './kept.js';
import { type Mutant, mutants } from './mutants.js';

export const USAGE = `npm run simulate -- [options]
  --seed S            the first run's seed; default 1
  --runs N            seeds S to S+N-1; default 1, or no end beside --minutes
  --minutes M         begins no runs after that time
  --jobs J            runs at a time; default 1 for a single run, else one for each core. Changes no result
  --keep-going        counts the runs that fail, and goes on; the last line names the first of them
  --report FILE       writes totals as JSON
  --trace FILE        writes what happened in the last run, or in the one that failed, line by line
  --mutant NAME       breaks a rule of the protocol in every run, under the conditions in which that shows
  --mutants           lists the rules that can be broken
  --controls          runs every mutant until it is caught, from --repeat K seeds on; fails if one is not caught
                      within --runs seeds, default 200
  --repeat K          default 1
  --quick             begins each mutant at the seed that caught it when that was last written down, which most often does

A run that fails is made smaller and drawn:
  --no-shrink         leaves it at the seed
  --shrink            shrinks though --kept is given
  --shrink-seconds T  for so long at most; default 60
  --all-keys          draws all registers, not only what the violation is about
  --draw              draws the run though nothing is violated; for a single run

A part of a run, as a shrunk run is printed; --plan goes with many runs too:
  --kept LIST|@FILE   the only steps and faults that happen: "client 1.1 step 4@120,fault 2@95.5", in ms
  --plan LIST         conditions in place of those that the seed draws: "badWeather=false,clusterSize=3"
  --salt N            another luck of the network

Exit code 0: nothing is violated. 1: something is; the last line names the seed. 2: wrong usage. 130: interrupted.
`;

export interface Options {
  readonly seed: number;
  readonly runs: number;
  readonly minutes: number;
  readonly jobs: number | null;
  readonly isPersistent: boolean;
  readonly report: string | null;
  readonly trace: string | null;
  readonly mutant: Mutant | null;
  readonly task: 'simulate' | 'controls' | 'mutants' | 'help';
  readonly repeat: number;
  readonly isQuick: boolean;
  readonly isShrunk: boolean;
  readonly shrinkMs: number;
  readonly isOfAllKeys: boolean;
  readonly isDrawn: boolean;
  readonly kept: readonly Happening[] | null;
  /** Those given, and beside them the mutant's. */
  readonly conditions: Conditions;
  readonly salt: number;
}

const RUNS_OF_CONTROLS = 200;

/** @throws Error that says in words what is wrong */
export function parseOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      runs: { type: 'string' },
      minutes: { type: 'string' },
      jobs: { type: 'string' },
      'keep-going': { type: 'boolean', default: false },
      report: { type: 'string' },
      trace: { type: 'string' },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
      controls: { type: 'boolean', default: false },
      repeat: { type: 'string', default: '1' },
      quick: { type: 'boolean', default: false },
      shrink: { type: 'boolean', default: false },
      'no-shrink': { type: 'boolean', default: false },
      'shrink-seconds': { type: 'string', default: '60' },
      'all-keys': { type: 'boolean', default: false },
      draw: { type: 'boolean', default: false },
      kept: { type: 'string' },
      plan: { type: 'string' },
      salt: { type: 'string', default: '0' },
      help: { type: 'boolean', default: false },
    },
  });
  const { kept, plan } = values;
  const isOfControls = values.controls;
  const isEndless = values.minutes !== undefined && !isOfControls;
  const runs = values.runs ?? (isOfControls ? String(RUNS_OF_CONTROLS) : isEndless ? null : '1');
  if (values.shrink && values['no-shrink']) throw new Error('--shrink and --no-shrink contradict each other');
  if (values.quick && !isOfControls) throw new Error('--quick goes with --controls');
  if (isOfControls && values.mutant !== undefined) throw new Error('--controls runs every mutant; leave out --mutant');
  const mutant = values.mutant === undefined ? null : mutantOf(values.mutant);
  const options: Options = {
    seed: whole('seed', values.seed, 0),
    runs: runs === null ? Number.POSITIVE_INFINITY : whole('runs', runs, 1),
    minutes: values.minutes === undefined ? Number.POSITIVE_INFINITY : positive('minutes', values.minutes),
    jobs: values.jobs === undefined ? null : whole('jobs', values.jobs, 1),
    isPersistent: values['keep-going'],
    report: values.report ?? null,
    trace: values.trace ?? null,
    mutant,
    task: values.help ? 'help' : values.mutants ? 'mutants' : isOfControls ? 'controls' : 'simulate',
    repeat: whole('repeat', values.repeat, 1),
    isQuick: values.quick,
    isShrunk: !values['no-shrink'] && (values.shrink || kept === undefined),
    shrinkMs: 1000 * positive('shrink-seconds', values['shrink-seconds']),
    isOfAllKeys: values['all-keys'],
    isDrawn: values.draw,
    kept: kept === undefined ? null : parseKept(kept.startsWith('@') ? readFileSync(kept.slice(1), 'utf8') : kept),
    conditions: { ...mutant?.conditions, ...(plan === undefined ? {} : parseConditions(plan)) },
    salt: whole('salt', values.salt, 0),
  };
  const isPart = options.kept !== null || options.salt !== 0 || options.isDrawn;
  if (isPart && options.runs !== 1) throw new Error('--kept, --salt and --draw are for a single run');
  return options;
}

function mutantOf(name: string): Mutant {
  const mutant = mutants.find((each) => each.name === name);
  if (mutant === undefined) throw new Error(`there is no mutant ${name}; see --mutants`);
  return mutant;
}

function whole(name: string, text: string, least: number): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
    throw new Error(`--${name} is a whole number from ${least} on, not "${text}"`);
  }
  return value;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} is a number above 0, not "${text}"`);
  return value;
}
