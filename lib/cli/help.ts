import type { OptionSpecs } from './arguments.js';
import { COMMON_OPTIONS, type Command } from './command.js';
import { EXIT_HELP } from './exit-codes.js';

/** Letters of a line. */
const LINE = 118;

export const PROGRAM = 'connect-paxos';

export function programHelp(commands: readonly Command[]): string {
  const rows = commands.map(({ name, positionals, summary }): [string, string] => [`${name} ${positionals}`, summary]);
  return `Usage: ${PROGRAM} COMMAND

Registers that the web servers of a farm keep together: no server beside them, no leader, and none lost while a minority
of them is down. Keys are the same for all commands and for the HTTP API of a node.

Commands:
${columns(rows)}

${PROGRAM} COMMAND --help says what a command takes. All take --json. --version prints the version.

Environment:
  CLUSTER_SECRET       the farm's secret, 16 characters or more, the same for all its processes
  CONNECT_PAXOS_TOKEN  bearer token of the HTTP API, for a node and for --url
  NO_COLOR             no colours on a terminal
  DEBUG                connect-paxos:* shows what happens inside, and stack traces

${EXIT_HELP}`;
}

export function commandHelp({ name, positionals, details, options }: Command): string {
  return `Usage: ${`${PROGRAM} ${name} ${positionals}`.trim()} [OPTIONS]

${details}

Options:
${columns(optionRows({ ...options, ...COMMON_OPTIONS }))}

${EXIT_HELP}`;
}

function optionRows(options: OptionSpecs): [string, string][] {
  return Object.entries(options).map(([name, { value, help }]) => [
    value === undefined ? `--${name}` : `--${name} ${value}`,
    help,
  ]);
}

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.trim().length));
  const indent = `\n${' '.repeat(width + 4)}`;
  const right = (text: string): string => wrapped(text, LINE - width - 4).join(indent);
  return rows.map(([left, text]) => `  ${left.trim().padEnd(width)}  ${right(text)}`).join('\n');
}

function wrapped(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines.at(-1) ?? '';
    if (last === '') lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
