/** Servers that run a recipe each, in processes of their own. */
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach } from '@jest/globals';
import { drawMulticast, drawSecret, TIMEOUT_MS } from '../../cluster/farm.js';
import { until } from '../../cluster/waiting.js';

export interface ServerEvent {
  readonly event: string;
  readonly payload: unknown;
  /** By the clock of this machine. */
  readonly atMs: number;
}

type Said =
  | ({ readonly type: 'event' } & ServerEvent)
  | {
      readonly type: 'answer';
      readonly id: number;
      readonly value?: unknown;
      readonly error?: { readonly code: string; readonly message: string };
    };

/** What a command failed with, in the server. */
export class CommandError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export class Server {
  readonly name: string;
  readonly events: ServerEvent[] = [];
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #waiting = new Map<number, (said: Said & { type: 'answer' }) => void>();
  #output = '';
  #nextId = 1;

  constructor(name: string, scenario: string, options: object) {
    this.name = name;
    this.#child = fork(join(__dirname, 'server.mjs'), [JSON.stringify({ scenario, options: { name, ...options } })], {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#exited = once(this.#child, 'exit');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk) => {
        this.#output += String(chunk);
      });
    }
    this.#child.on('message', (said: Said) => {
      if (said.type === 'event') this.events.push(said);
      else this.#waiting.get(said.id)?.(said);
    });
  }

  get isReady(): boolean {
    if (this.#child.exitCode !== null) throw new Error(`${this.name} has ended: ${this.#output}`);
    return this.all('ready').length > 0;
  }

  all(event: string): ServerEvent[] {
    return this.events.filter((each) => each.event === event);
  }

  /** Has it do something. @throws CommandError */
  async do<T = unknown>(name: string, ...parameters: unknown[]): Promise<T> {
    const id = this.#nextId++;
    const answered = new Promise<Said & { type: 'answer' }>((resolve, reject) => {
      this.#waiting.set(id, resolve);
      this.#exited.then(() => reject(new CommandError('EXITED', `${this.name} has ended: ${this.#output}`)));
    });
    this.#child.send({ id, name, parameters });
    const { value, error } = await answered;
    this.#waiting.delete(id);
    if (error !== undefined) throw new CommandError(error.code, error.message);
    return value as T;
  }

  /** Stops it, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }
}

const servers: Server[] = [];

/** Ends the servers of a test, whatever has become of it. */
export function endAllAfterEach(): void {
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.kill())));
}

/** Three servers of one farm. @param scenario the module beside this one that says what they do */
export async function startServers(scenario: string): Promise<[Server, Server, Server]> {
  const options = { secret: drawSecret(), transport: drawMulticast(), timeout: TIMEOUT_MS };
  const started = [1, 2, 3].map((number) => new Server(`web-${number}`, scenario, options));
  servers.push(...started);
  await until('all servers are ready', () => started.every(({ isReady }) => isReady));
  return started as [Server, Server, Server];
}

/** Runs a recipe's own demonstration. @returns what it prints */
export async function demonstrate(recipe: string): Promise<string> {
  const path = join('demo', 'recipes', `${recipe}.mjs`);
  const { stdout } = await promisify(execFile)(process.execPath, [path], { timeout: 150_000 });
  return stdout;
}
