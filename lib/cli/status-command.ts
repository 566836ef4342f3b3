import type { NodeStatus, VoterStatus } from '../node/status.js';
import { ACCESS_OPTIONS, openAccess } from './access.js';
import type { Command, Context } from './command.js';
import { EXIT, type ExitCode, isForPeople } from './exit-codes.js';
import type { Output } from './output.js';
import { table } from './table.js';

const INTERVAL_MS = 1000;
/** What tells a terminal to cut long lines off, and to wrap them again. */
const NO_WRAP = '\u001b[?7l';
const WRAP = '\u001b[?7h';

export const status: Command = {
  name: 'status',
  positionals: '',
  summary: 'show the farm: voters, learners, quorum, clock',
  details: `Shows the farm as this host sees it or, with --url, as that node does: who holds the voters' slots, in which generation,
who is up and who recovers, the learners, and how far this clock is off. Exit code 3: no quorum.
--json prints what status() of the library gives.`,
  options: {
    watch: { help: 'again each second: over the last on a terminal, else when something has changed' },
    ...ACCESS_OPTIONS,
  },
  life: 'until-told',
  run: async (args, context) => {
    const access = openAccess(args, context);
    try {
      return args.has('watch') ? await follow(access.status, context) : await show(access.status, context);
    } finally {
      await access.close();
    }
  },
};

type Ask = (signal: AbortSignal) => Promise<NodeStatus>;

async function show(ask: Ask, { output, ending }: Context): Promise<ExitCode> {
  const status = await Promise.race([ask(ending), endOf(ending)]);
  if (status === null) return EXIT.failure;
  tell(status, output);
  return hasQuorum(status) ? EXIT.ok : EXIT.noQuorum;
}

function tell(status: NodeStatus, output: Output): void {
  if (output.isJson) output.json(status);
  else for (const line of report(status, output)) output.line(line);
}

function endOf(ending: AbortSignal): Promise<null> {
  return new Promise((resolve) => ending.addEventListener('abort', () => resolve(null), { once: true }));
}

async function follow(ask: Ask, { output, ending }: Context): Promise<ExitCode> {
  const ended = endOf(ending);
  const display = output.isTerminal && !output.isJson ? new Overwriting(output) : new Appending(output);
  let hasAnswered = false;
  let failure = '';
  while (!ending.aborted) {
    let status: NodeStatus | null = null;
    try {
      status = await Promise.race([ask(ending), ended]);
      hasAnswered = true;
      failure = '';
    } catch (error) {
      if (ending.aborted) break;
      // One that has answered once may be started anew.
      if (!hasAnswered || !isForPeople(error)) throw error;
      if (error.message !== failure) output.error(error);
      failure = error.message;
      display.beginAnew();
    }
    if (ending.aborted) break;
    await output.drained(ending);
    if (status !== null) display.show(status);
    await pause(INTERVAL_MS, ending);
  }
  return EXIT.ok;
}

/** What shows one status after another; anew, after something else was written. */
interface Display {
  show(status: NodeStatus): void;
  beginAnew(): void;
}

/** Each over the last one, on a terminal. */
class Overwriting implements Display {
  readonly #output: Output;
  #linesBack = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  show(status: NodeStatus): void {
    const lines = report(status, this.#output).slice(0, Math.max(1, this.#output.rows - 1));
    // Up to where the last one began, and all below it away. A line that were wrapped would be two.
    const back = this.#linesBack === 0 ? '' : `\u001b[${this.#linesBack}F\u001b[J`;
    this.#output.bytes(Buffer.from(`${back}${NO_WRAP}${lines.join('\n')}\n${WRAP}`));
    this.#linesBack = lines.length;
  }

  beginAnew(): void {
    this.#linesBack = 0;
  }
}

/** Each below the last one, if it says something new. */
class Appending implements Display {
  readonly #output: Output;
  #told = '';

  constructor(output: Output) {
    this.#output = output;
  }

  show(status: NodeStatus): void {
    const told = essence(status);
    if (told === this.#told) return;
    this.#told = told;
    tell(status, this.#output);
  }

  beginAnew(): void {
    this.#told = '';
  }
}

export function hasQuorum({ voters, quorum, config }: NodeStatus): boolean {
  const voting = voters.filter(({ isUp, isRecovering }) => isUp && !isRecovering);
  const isUp = (size: number): number => voting.filter(({ slot }) => slot <= size).length;
  // While the farm changes its size, a majority of both.
  const sizes = config?.sizes;
  if (sizes === undefined) return voters.length > 0 && isUp(voters.length) >= quorum;
  return sizes.every((size) => isUp(size) >= Math.floor(size / 2) + 1);
}

/** What is worth another line: not the times and counters, which change always. */
function essence({ voters, learners, config, isReady }: NodeStatus): string {
  const parts = voters.map(({ slot, process, generation, isUp, isRecovering }) => [
    slot,
    process,
    generation,
    isUp,
    isRecovering,
  ]);
  return JSON.stringify([isReady, config, parts, learners.map(({ process }) => process).sort()]);
}

/** The status for people. */
export function report(status: NodeStatus, output: Pick<Output, 'paint'>): string[] {
  const rows = [
    ...status.voters.map((voter) => [
      String(voter.slot),
      stateOf(voter),
      voter.name ?? 'vacant',
      voter.process ?? '',
      String(voter.generation),
      voter.isSelf ? 'this process' : (voter.address ?? ''),
      voter.roundTripMs === null ? '' : `${voter.roundTripMs.toFixed(1)} ms`,
    ]),
    ...status.learners.map(({ name, process, address }) => ['-', 'learner', name, process, '', address, '']),
  ];
  const [head = '', ...lines] = table(
    ['slot', 'state', 'name', 'process', 'generation', 'address', 'round trip'],
    rows,
  );
  const colours = { up: 'green', down: 'red', recovering: 'yellow' } as const;
  return [
    summaryOf(status, output),
    '',
    output.paint('bold', head),
    ...lines.map((line, index) => {
      const voter = status.voters[index];
      return output.paint(voter === undefined ? 'dim' : colours[stateOf(voter)], line);
    }),
  ];
}

function summaryOf(status: NodeStatus, output: Pick<Output, 'paint'>): string {
  const { cluster, voters, clusterSize, quorum, resize, clock, incarnation } = status;
  const up = voters.filter(({ isUp }) => isUp).length;
  const isWell = hasQuorum(status);
  const parts = [
    `cluster ${output.paint('bold', cluster)}`,
    incarnation === null ? output.paint('red', 'not found') : `${up} of ${clusterSize} voters up`,
    output.paint(isWell ? 'green' : 'red', isWell ? `quorum (${quorum})` : `no quorum (${quorum} needed)`),
    clock.isTrusted
      ? `clock ${clock.aheadMs > 0 ? '+' : ''}${clock.aheadMs} ms`
      : 'clock not compared with a majority yet',
  ];
  if (resize !== null) parts.push(`changing from ${resize.from} to ${resize.to} voters (${resize.stage})`);
  return parts.join(', ');
}

function stateOf({ isUp, isRecovering }: VoterStatus): 'up' | 'down' | 'recovering' {
  if (!isUp) return 'down';
  return isRecovering ? 'recovering' : 'up';
}

function pause(ms: number, ending: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      ending.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    ending.addEventListener('abort', done, { once: true });
  });
}
