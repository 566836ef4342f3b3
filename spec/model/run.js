#!/usr/bin/env node
/** Checks the protocol's models with Spin, and that each deliberate defect is found: `npm run model -- --help`. */
import { execFile, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';

const HELP = `npm run model -- [options]

Checks the Promela models of the protocol (spec/model/*.pml) exhaustively with Spin, then looks in each defect for the
shortest schedule that breaks it, and prints that. Takes six to eight minutes and 3 GB. Exit code 1: a model has an error,
was not searched through, or a defect was not found; 2: Spin or a C compiler is missing.

  --only NAME      one model or defect
  --list           their names
  --help
`;

const HERE = fileURLToPath(new URL('.', import.meta.url));
const WORK = fileURLToPath(new URL('../../tmp/model/', import.meta.url));
const MEMORY_MB = 8000;
/** Steps deep; the deepest search needs a hundred. */
const DEPTH = 10_000;

/** Bits of KINDS in forgetting.pml. */
const [SET, TOUCH, DESTROY, OBSERVE] = [1, 2, 4, 8];

/** What is to hold. Those that are `extra` run only when named: they are part of another one. */
const MODELS = [
  { name: 'agreement', file: 'agreement', says: 'four attempts of two proposers', defines: ['BALLOTS=4'] },
  {
    name: 'agreement-reads',
    file: 'agreement',
    says: 'three attempts of two proposers, and any number of quorum reads',
    defines: ['BALLOTS=3', 'READS'],
  },
  {
    name: 'forgetting',
    file: 'forgetting',
    says: 'three operations of two proposers, expiry, forgetting',
    defines: ['BALLOTS=3'],
  },
  {
    name: 'forgetting-reads',
    file: 'forgetting',
    says: 'two operations of two proposers, expiry, forgetting, and any number of quorum reads',
    defines: ['BALLOTS=2', 'READS'],
  },
  {
    name: 'agreement-small',
    file: 'agreement',
    says: 'three attempts of two proposers',
    defines: ['BALLOTS=3'],
    isExtra: true,
  },
  {
    name: 'claims',
    file: 'claims',
    says: 'three claims of one slot of five',
    defines: ['CLAIMS=3'],
  },
  {
    name: 'recovery',
    file: 'recovery',
    says: 'two claims of three slots, recovery, and two attempts',
    defines: ['BALLOTS=2', 'CLAIMS=2'],
  },
  {
    name: 'recovery-attempts',
    file: 'recovery',
    says: 'one claim of three slots, recovery, and three attempts',
    defines: ['BALLOTS=3', 'CLAIMS=1'],
  },
  {
    name: 'recovery-small',
    file: 'recovery',
    says: 'one claim of three slots, recovery, and two attempts',
    defines: ['BALLOTS=2', 'CLAIMS=1'],
    isExtra: true,
  },
];

/** What is to be found. Each is looked for where there is least to look through. */
const DEFECTS = [
  { name: 'majority-too-small', file: 'agreement', says: 'one acceptor is a quorum', defines: ['BALLOTS=3'] },
  {
    name: 'accept-below-promise',
    file: 'agreement',
    says: 'an acceptor takes what it has promised not to take',
    defines: ['BALLOTS=3'],
  },
  {
    name: 'nothing-adopted',
    file: 'agreement',
    says: 'phase 1 adopts only what is certain to be chosen',
    defines: ['BALLOTS=3'],
  },
  {
    name: 'lineage-ignored',
    file: 'agreement',
    says: 'a retry does not look for its own operation',
    defines: ['BALLOTS=3'],
  },
  {
    name: 'found-is-chosen',
    file: 'agreement',
    says: 'a retry that finds its own operation takes it as chosen',
    defines: ['BALLOTS=4'],
  },
  {
    name: 'uncertain-answered',
    file: 'agreement',
    says: 'an answer without a change rests on what need not be chosen',
    defines: ['BALLOTS=3'],
  },
  {
    name: 'read-unsettled',
    file: 'agreement',
    says: 'a read takes the highest value for chosen',
    defines: ['BALLOTS=2', 'READS'],
  },
  { name: 'no-floor', file: 'forgetting', says: 'what is forgotten leaves no floor', defines: ['BALLOTS=2'] },
  {
    name: 'tombstone-without-horizon',
    file: 'forgetting',
    says: 'a tombstone does not keep the horizon',
    defines: ['BALLOTS=3', 'UNDER_WAY=1', `KINDS=${SET | DESTROY | OBSERVE}`],
  },
  {
    name: 'bound-ignored',
    file: 'forgetting',
    says: 'a promise does not raise the horizon',
    defines: ['BALLOTS=3', 'UNDER_WAY=1', `KINDS=${SET | DESTROY | OBSERVE}`],
  },
  {
    name: 'bare-promise-forgotten',
    file: 'forgetting',
    says: 'a bare promise is forgotten before its horizon',
    defines: ['BALLOTS=3', 'UNDER_WAY=1', `KINDS=${SET | DESTROY | OBSERVE}`],
  },
  {
    name: 'expired-without-tombstone',
    file: 'forgetting',
    says: '"expired" is answered without a tombstone once S has passed',
    defines: ['BALLOTS=2', 'UNDER_WAY=1', 'READS', `KINDS=${SET | TOUCH}`],
  },
  {
    name: 'bound-not-asked',
    file: 'forgetting',
    says: '"there is none" is answered while a bound is alive',
    defines: ['BALLOTS=2', 'UNDER_WAY=1', 'READS', `KINDS=${SET | TOUCH}`],
  },
  {
    name: 'forgotten-early',
    file: 'forgetting',
    says: 'a record is forgotten at horizon + S',
    defines: ['BALLOTS=2', 'UNDER_WAY=1', 'READS', `KINDS=${SET | TOUCH}`],
  },
  {
    name: 'half-of-the-others',
    file: 'claims',
    says: 'a claim is decided by half of the other slots',
    defines: ['CLAIMS=2'],
  },
  {
    name: 'newer-claim-overwritten',
    file: 'claims',
    says: 'a claimant writes over a newer claim than it knows of',
    defines: ['CLAIMS=2'],
  },
  {
    name: 'undecided-claim-fences',
    file: 'claims',
    says: 'whoever accepts a claim takes its claimant for the holder',
    defines: ['CLAIMS=2'],
  },
  {
    name: 'generations-by-counter-only',
    file: 'claims',
    says: 'the same, and of one generation holders are not told apart',
    defines: ['CLAIMS=2', 'FOLLOWS_ONLY'],
  },
  {
    name: 'stale-generation-counted',
    file: 'recovery',
    says: 'an answer counts whatever the vector',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'counted-across-vectors',
    file: 'recovery',
    says: 'an attempt goes on under a newer vector with what it has',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'stamped-late',
    file: 'recovery',
    says: 'an accept goes out under a newer vector than its promises',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'barrier-after-read-out',
    file: 'recovery',
    says: 'a source answers before it knows the claimant as holder',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'recovery-from-a-minority',
    file: 'recovery',
    says: 'one source is enough',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'vote-before-recovery',
    file: 'recovery',
    says: 'a holder votes before it has recovered',
    defines: ['BALLOTS=2', 'CLAIMS=1', 'AGREEMENT_ONLY'],
  },
  {
    name: 'promises-not-transferred',
    file: 'recovery',
    says: 'bare promises are left out of the transfer',
    defines: ['BALLOTS=2', 'CLAIMS=1'],
  },
  {
    name: 'transfer-not-restarted',
    file: 'recovery',
    says: 'sources are read under different vectors',
    defines: ['BALLOTS=1', 'CLAIMS=2'],
  },
];

async function main() {
  const options = readArguments();
  if (options === null) return 0;
  const compiler = process.env.CC ?? 'cc';
  const missing = await missingTools(compiler);
  if (missing !== null) {
    tell(missing);
    return 2;
  }
  const { only } = options;
  const isMeant = ({ name, isExtra = false }) => (only === undefined ? !isExtra : name === only);
  const startMs = performance.now();
  let failed = 0;
  await mkdir(WORK, { recursive: true });
  const work = await mkdtemp(join(WORK, 'run-'));
  try {
    for (const model of MODELS.filter(isMeant)) if (!(await holds(model, work, compiler))) failed += 1;
    for (const defect of DEFECTS.filter(isMeant)) if (!(await isFound(defect, work, compiler))) failed += 1;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  const seconds = Math.round((performance.now() - startMs) / 1000);
  say(failed === 0 ? `All as it should be, in ${seconds} s.` : `${failed} not as it should be, in ${seconds} s.`);
  return failed === 0 ? 0 : 1;
}

/** @returns `null` if nothing is to be done */
function readArguments() {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, list: { type: 'boolean' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return null;
  }
  if (values.list) {
    for (const { name, says, isExtra } of MODELS) say(`${name}: ${says}${isExtra ? ' (only when named)' : ''}`);
    for (const { name, says } of DEFECTS) say(`${name}, a defect: ${says}`);
    return null;
  }
  const { only } = values;
  if (only !== undefined && ![...MODELS, ...DEFECTS].some(({ name }) => name === only)) {
    throw new TypeError(`no model or defect is named ${only}: see --list`);
  }
  return values;
}

/** What to install, or `null`. */
async function missingTools(compiler) {
  const has = (command, argument) =>
    promisify(execFile)(command, [argument]).then(
      () => true,
      () => false,
    );
  if (!(await has('spin', '-V'))) {
    return 'The models are checked by Spin, which is not on PATH: install it (Debian: apt-get install spin; or spinroot.com).';
  }
  // Spin calls gcc as its preprocessor, whatever compiles its output.
  for (const each of new Set(['gcc', compiler])) {
    if (!(await has(each, '--version'))) return `Spin needs a C compiler; ${each} is missing: install gcc, or set CC.`;
  }
  return null;
}

/** Searches all states of a model. @returns whether none breaks a property */
async function holds({ name, file, says, defines }, work, compiler) {
  say(`${name}: ${says} (${defines.join(', ')})`);
  // SAFETY: no liveness is claimed. NOREDUCE: steps end in C code, of which partial-order reduction knows nothing; and
  // each step touches what all others look at.
  const folder = await compile(name, file, defines, ['-DNOREDUCE', '-DSAFETY'], work, compiler);
  const output = await search(join(folder, 'pan'), [`-m${DEPTH}`, '-w24'], folder);
  const figures = figuresOf(output);
  say(`  ${describe(figures)}`);
  if (figures.errors > 0) await replay(folder);
  if (figures.errors > 0) say('  WRONG: a property does not hold');
  const isExhaustive = !/max search depth too small|Search not completed|out of memory|hash.?compact|bit ?state/i.test(
    output,
  );
  if (!isExhaustive) say('  WRONG: not all states were searched');
  return figures.errors === 0 && isExhaustive;
}

/** Looks for the shortest schedule by which a defect breaks a property. @returns whether there is one */
async function isFound({ name, file, says, defines }, work, compiler) {
  const all = [...defines, name.toUpperCase().replaceAll('-', '_')];
  say(`${name}, a defect: ${says} (${all.join(', ')})`);
  const flags = ['-DNOREDUCE', '-DSAFETY', '-DBFS'];
  const folder = await compile(name, file, [...all, 'SHORTEST'], flags, work, compiler);
  const output = await search(join(folder, 'pan'), [`-m${DEPTH}`], folder);
  const figures = figuresOf(output);
  say(`  ${describe(figures)}`);
  const isBroken = figures.errors > 0 && (await replay(folder));
  if (!isBroken) say('  WRONG: no property is broken');
  return isBroken;
}

/** @returns the folder in which the verifier, `pan`, is */
async function compile(name, file, defines, flags, work, compiler) {
  const folder = join(work, name);
  await mkdir(folder);
  for (const source of await readdir(HERE)) {
    if (source.endsWith('.pml')) await cp(join(HERE, source), join(folder, source));
  }
  await run('spin', ['-a', ...defines.map((define) => `-D${define}`), `${file}.pml`], folder);
  await run(compiler, ['-O2', '-w', `-DMEMLIM=${MEMORY_MB}`, ...flags, '-o', 'pan', 'pan.c'], folder);
  return folder;
}

async function run(command, args, cwd) {
  try {
    return (await promisify(execFile)(command, args, { cwd, maxBuffer: 2 ** 26 })).stdout;
  } catch (error) {
    const { stdout = '', stderr = '', message } = error;
    throw new Error(`${command} failed: ${stdout || stderr || message}`.slice(0, 2000));
  }
}

/** Runs a search, and tells how far it is. @returns what it printed */
function search(command, args, cwd) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    let rest = '';
    let toldMs = performance.now();
    child.stdout.setEncoding('utf8');
    child.stdout.on('data', (text) => {
      output += text;
      const lines = (rest + text).split('\n');
      rest = lines.pop();
      for (const line of lines) {
        const [, states, seconds] = /States=\s*(\S+).*t=\s*(\S+)/.exec(line) ?? [];
        if (states === undefined || performance.now() - toldMs < 5000) continue;
        toldMs = performance.now();
        tell(`  ${Number(states) / 1e6} million states, ${Math.round(Number(seconds))} s`);
      }
    });
    child.on('error', reject);
    child.on('close', () => resolve(output));
  });
}

function figuresOf(output) {
  const number = (pattern) => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  return {
    errors: number(/errors: (\d+)/),
    states: number(/([\d.e+]+) states, stored/),
    transitions: number(/([\d.e+]+) transitions/),
    depth: number(/depth reached (\d+)/),
    seconds: number(/elapsed time ([\d.]+)/),
    megabytes: number(/([\d.]+)\s+total actual memory usage/),
  };
}

function describe({ errors, states, transitions, depth, seconds, megabytes }) {
  const count = (value) => value.toLocaleString('en-US');
  return [
    `${errors} ${errors === 1 ? 'error' : 'errors'}`,
    `${count(states)} states`,
    `${count(transitions)} transitions`,
    `depth ${depth}`,
    `${seconds.toFixed(1)} s`,
    `${Math.round(megabytes)} MB`,
  ].join(', ');
}

/**
 * Prints the schedule that breaks the property, with acceptors by their own names.
 *
 * @returns whether it ends by breaking one, and not by a mistake in the model
 */
async function replay(folder) {
  const output = await run(join(folder, 'pan'), ['-r'], folder).catch((error) => error.message);
  // The model keeps the acceptors in an order of its own, and says what it exchanges.
  const names = ['?', '1', '2', '3', '4'];
  let isBroken = false;
  for (const line of output.split('\n')) {
    const [, one, two] = /^exchange #(\d) #(\d)/.exec(line) ?? [];
    if (one !== undefined) [names[one], names[two]] = [names[two], names[one]];
    else if (/^(operation|acceptor|claim|standby|read|time|broken)/.test(line)) {
      say(`    ${line.replace(/#(\d)/g, (_, column) => names[column])}`);
      isBroken ||= line.startsWith('broken');
    }
  }
  return isBroken;
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function tell(line) {
  process.stderr.write(`${line}\n`);
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    tell(error instanceof TypeError ? error.message : String(error?.stack ?? error));
    process.exitCode = 1;
  },
);
