/** Where a command writes, and in what manner: for people, or as JSON for programs. */
import { setTimeout as pause } from 'node:timers/promises';
import { inspect } from 'node:util';
import debugging from 'debug';
import { isForPeople } from './exit-codes.js';

const debug = debugging('connect-paxos:cli');

/** What of a process's streams is used. */
export interface Sink {
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean;
  /** Lines that a terminal shows. */
  readonly rows?: number;
  /** Whether more waits in it than should; of a stream. */
  readonly writableNeedDrain?: boolean;
}

export interface OutputSetup {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly isJson: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** How often a slow reader is looked at, in ms. */
const DRAIN_MS = 10;

const STYLES = { bold: '1', dim: '2', red: '31', green: '32', yellow: '33' } as const;
export type Style = keyof typeof STYLES;

export class Output {
  readonly isJson: boolean;
  /** Whether a person sees it as it comes, and it can be written over. */
  readonly isTerminal: boolean;
  readonly #stdout: Sink;
  readonly #stderr: Sink;
  readonly #environment: OutputSetup['environment'];

  constructor({ stdout, stderr, isJson, environment }: OutputSetup) {
    this.isJson = isJson;
    this.isTerminal = stdout.isTTY === true;
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#environment = environment;
  }

  /** Lines that a terminal shows at a time. */
  get rows(): number {
    // A terminal that has not been told its size says 0.
    return this.#stdout.rows || Number.POSITIVE_INFINITY;
  }

  /** The text in a colour, on a terminal. */
  paint(style: Style, text: string): string {
    return this.#mayPaint(this.#stdout) ? painted(style, text) : text;
  }

  line(text: string): void {
    this.#stdout.write(`${text}\n`);
  }

  /** Settles when more may be written to standard output: at once, unless its reader is slow; or when `signal` says so. */
  async drained(signal: AbortSignal): Promise<void> {
    while (this.#stdout.writableNeedDrain === true && !signal.aborted) await pause(DRAIN_MS);
  }

  bytes(bytes: Uint8Array): void {
    this.#stdout.write(bytes);
  }

  /** One document on one line; several make NDJSON. */
  json(value: unknown): void {
    this.#stdout.write(`${JSON.stringify(value, bigintAsText)}\n`);
  }

  /** For people in any case: does not get among what was asked for. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  warn(code: string, message: string): void {
    const label = this.#mayPaint(this.#stderr) ? painted('yellow', 'warning') : 'warning';
    this.note(this.isJson ? JSON.stringify({ warning: { code, message } }) : `${label}: ${message}`);
  }

  /** One line that says what to do; the stack trace is for those who ask for it. */
  error(error: unknown): void {
    debug('failed: %s', error instanceof Error ? error.stack : inspect(error));
    const code = (error as { readonly code?: string } | null)?.code ?? 'ERR_INTERNAL';
    const message = messageOf(error);
    const label = this.#mayPaint(this.#stderr) ? painted('red', 'error') : 'error';
    this.note(this.isJson ? JSON.stringify({ error: { code, message } }) : `${label}: ${message}`);
  }

  #mayPaint(sink: Sink): boolean {
    const { NO_COLOR = '', TERM } = this.#environment;
    return sink.isTTY === true && NO_COLOR === '' && TERM !== 'dumb' && !this.isJson;
  }
}

function messageOf(error: unknown): string {
  const message = (error instanceof Error ? error.message : inspect(error)).replace(/\s*\n\s*/g, ' ');
  if (isForPeople(error)) return message;
  return `${message} (DEBUG=connect-paxos:* shows where.)`;
}

function painted(style: Style, text: string): string {
  return `\u001b[${STYLES[style]}m${text}\u001b[0m`;
}

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
