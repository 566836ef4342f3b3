/** The program itself, in processes of its own. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import { drawMulticast, drawSecret } from '../cluster/farm.js';
import { until } from '../cluster/waiting.js';

export const MAIN = join(__dirname, '../../dist/cli/main.js');

/** A network and a secret of one farm, as the program is told them. */
export interface Place {
  readonly options: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

export function drawPlace(): Place {
  const { multicast = '' } = drawMulticast();
  return {
    options: ['--multicast', multicast, '--interface', '127.0.0.1'],
    environment: { CLUSTER_SECRET: drawSecret() },
  };
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const running: Program[] = [];

/** Ends every process that a spec of the file has started, whatever became of the spec. */
export function endPrograms(): void {
  afterAll(() => Promise.all(running.splice(0).map((program) => program.kill())));
}

export class Program {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  stdout = '';
  stderr = '';

  constructor(words: readonly string[], environment: Readonly<Record<string, string>> = {}, input = '') {
    this.#child = spawn(process.execPath, [MAIN, ...words], {
      env: {
        ...process.env,
        NODE_ENV: 'development',
        CLUSTER_SECRET: undefined,
        CONNECT_PAXOS_TOKEN: undefined,
        ...environment,
      },
    });
    this.#exited = once(this.#child, 'close');
    this.#child.stdout?.on('data', (chunk) => {
      this.stdout += String(chunk);
    });
    this.#child.stderr?.on('data', (chunk) => {
      this.stderr += String(chunk);
    });
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.end(input);
    running.push(this);
  }

  async ended(): Promise<Ended> {
    await this.#exited;
    return { code: this.#child.exitCode, stdout: this.stdout, stderr: this.stderr };
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<Ended> {
    this.#child.kill(signal);
    return this.ended();
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  pause(): void {
    this.#child.kill('SIGSTOP');
  }

  resume(): void {
    this.#child.kill('SIGCONT');
  }

  /** The first group of the pattern, in what it has written. */
  async said(pattern: RegExp): Promise<string> {
    let found: RegExpExecArray | null = null;
    await until(`the program says ${pattern}`, () => {
      found = pattern.exec(this.stdout);
      if (found === null && this.#child.exitCode !== null) throw new Error(`It ended: ${this.stdout}${this.stderr}`);
      return found !== null;
    });
    return found?.[1] ?? '';
  }
}

/** Runs a command to its end. */
export function run(words: readonly string[], environment?: Place['environment'], input?: string): Promise<Ended> {
  return new Program(words, environment, input).ended();
}

export interface HttpNode {
  readonly program: Program;
  /** `http://127.0.0.1:34567` */
  readonly url: string;
}

/** A node with the HTTP API, on a port of the system's choice, when it answers; it may not be ready. */
export async function startNode({ options, environment }: Place, ...words: string[]): Promise<HttpNode> {
  const program = new Program(['node', ...words, '--http', '0', ...options], environment);
  return { program, url: await program.said(/answers at (\S+)/) };
}

/** Three of them, when all are ready. */
export async function startThree(place: Place): Promise<HttpNode[]> {
  const nodes = await Promise.all([1, 2, 3].map(() => startNode(place)));
  await Promise.all(nodes.map(({ program }) => program.said(/ready, (slot \d of 3)/)));
  return nodes;
}
