/** From the words of a command line to an exit code. */
import { readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { parseArguments } from './arguments.js';
import { COMMON_OPTIONS, type Command } from './command.js';
import { doctor } from './doctor/command.js';
import { CommandError, EXIT, type ExitCode, exitCodeOf, UsageError } from './exit-codes.js';
import { commandHelp, PROGRAM, programHelp } from './help.js';
import { del, get, put, set } from './key-commands.js';
import { keys, watch } from './list-commands.js';
import { nearest } from './nearest.js';
import { node } from './node-command.js';
import type { Environment } from './node-options.js';
import { Output, type Sink } from './output.js';
import { resize } from './resize-command.js';
import { status } from './status-command.js';

const COMMANDS: readonly Command[] = [node, get, set, put, del, keys, watch, status, resize, doctor];

/** What is used of `process`. */
export interface Surroundings {
  readonly stdin: Readable;
  readonly stdout: Sink & { on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown };
  readonly stderr: Sink & { on(event: 'error', listener: () => void): unknown };
  readonly env: Environment;
  exitCode?: string | number | null | undefined;
  on(event: 'SIGINT' | 'SIGTERM', listener: () => void): unknown;
  exit(code: number): void;
}

/** A signal that comes again, or an end that takes longer, ends the process at once. */
const END_MS = 10_000;
/** Within that time it is the same one: a terminal gives it to a whole group of processes, and `npx` passes it on beside. */
const SAME_SIGNAL_MS = 500;
const INTERRUPTED = 130;
/** A node with nothing to do keeps no process alive by itself. */
const KEEP_ALIVE_MS = 2 ** 30;

/** Runs the command that the words name, and sets the exit code of the process. */
export async function run(words: readonly string[], surroundings: Surroundings): Promise<void> {
  const { stdout, stderr, env } = surroundings;
  const ownWords = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
  const output = new Output({ stdout, stderr, isJson: ownWords.includes('--json'), environment: env });
  const ending = new AbortController();
  // Whoever read the output is gone, which is no news to a service.
  let onBroken = (): void => ending.abort();
  const alive = setInterval(() => undefined, KEEP_ALIVE_MS);
  let isLost = false;
  stdout.on('error', (error) => {
    if (error.code !== 'EPIPE' && !isLost) {
      isLost = true;
      output.error(new CommandError('ERR_OUTPUT', `The output could not be written: ${error.message}.`));
    }
    // It may come when the command is done.
    if (isLost) surroundings.exitCode = EXIT.failure;
    onBroken();
  });
  stderr.on('error', () => undefined);
  try {
    const command = commandOf(words, output);
    if (command === null) return;
    if (command.life === 'service') onBroken = () => undefined;
    if (command.life !== 'until-done') endAtSignal(ending, surroundings);
    const usage = { command: `${PROGRAM} ${command.name}`, positionals: command.positionals };
    const args = parseArguments(words.slice(1), { ...command.options, ...COMMON_OPTIONS }, usage);
    if (args.has('help')) {
      output.line(commandHelp(command));
      return;
    }
    const code = await command.run(args, {
      output,
      environment: env,
      stdin: surroundings.stdin,
      ending: ending.signal,
    });
    surroundings.exitCode = isLost ? EXIT.failure : code;
  } catch (error) {
    output.error(error);
    surroundings.exitCode = exitCodeOf(error) satisfies ExitCode;
  } finally {
    clearInterval(alive);
  }
}

/** @returns `null` where the words asked for the program's help or version, which is said by then */
function commandOf([word, second]: readonly string[], output: Output): Command | null {
  if (word === undefined) throw new UsageError(`A command is missing: ${PROGRAM} --help lists them.`);
  if (word === '--version' || word === '-v') {
    const version = versionOfPackage();
    if (output.isJson) output.json({ version });
    else output.line(version);
    return null;
  }
  const found = COMMANDS.find(({ name }) => name === word);
  if (found !== undefined) return found;
  if (word === '--help' || word === '-h' || word === 'help') {
    const about = COMMANDS.find(({ name }) => name === second);
    output.line(about === undefined ? programHelp(COMMANDS) : commandHelp(about));
    return null;
  }
  if (word.startsWith('-'))
    throw new UsageError(`The command comes first, then its options: ${PROGRAM} --help lists them.`);
  const near = nearest(
    word,
    COMMANDS.map(({ name }) => name),
  );
  throw new UsageError(
    `There is no command '${word.slice(0, 40)}'. ${near === null ? `${PROGRAM} --help lists them.` : `Did you mean ${near}?`}`,
  );
}

function endAtSignal(ending: AbortController, surroundings: Surroundings): void {
  let toldMs = Number.POSITIVE_INFINITY;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    surroundings.on(signal, () => {
      if (performance.now() - toldMs > SAME_SIGNAL_MS) surroundings.exit(INTERRUPTED);
      if (toldMs !== Number.POSITIVE_INFINITY) return;
      toldMs = performance.now();
      ending.abort();
      setTimeout(() => surroundings.exit(EXIT.failure), END_MS).unref();
    });
  }
}

function versionOfPackage(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}
