/** Farms of real processes: servers started, asked and ended by a spec. */
import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';
import type {
  MulticastOptions,
  NetworkConditions,
  NetworkCut,
  NodeStatus,
  PaxosStoreOptions,
  PoorNetworkCounters,
  ResizeProgress,
} from '../../lib/index.js';
import { requestBySocket } from './socket.js';
import { PATIENCE_MS, until } from './waiting.js';

/** What of a server's output is kept. */
const MAX_OUTPUT = 100_000;

/** What a server is told to be; see server.js. */
export interface Config {
  readonly options: PaxosStoreOptions;
  /** Version; 5 unless set. */
  readonly express?: 4 | 5;
  /** Of the cookie. */
  readonly maxAgeMs?: number;
  /** Whether session ids are what the requests' `id` says. */
  readonly hasOwnIds?: boolean;
  /** Where it runs, if not here: a network namespace, and the path of the socket on which it is asked past all networks. */
  readonly host?: { readonly namespace: string; readonly socket: string };
  /** Puts a poor network below its transport; see `Server.network`. */
  readonly conditions?: NetworkConditions;
  /** Whether the server shows what datagrams it sends. */
  readonly isTapped?: boolean;
  /** Whether it tells of what its store says of single sessions. */
  readonly isWatching?: boolean;
}

export interface StoreEvent {
  readonly event: 'connect' | 'disconnect' | 'conflict' | 'warning';
  readonly payload?: { readonly code?: string; readonly message?: string; readonly kind?: string };
}

/** What a store has said of a session. */
export interface SessionEvent {
  readonly event: 'change' | 'destroy';
  readonly sid: string;
}

/** What a store's method failed with, in the server. */
export class StoreError extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly status: number | undefined,
  ) {
    super(message);
  }
}

type Said =
  | { readonly type: 'listening'; readonly port?: number }
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'closed' }
  | { readonly type: 'network' }
  | { readonly type: 'arrived'; readonly gate: string }
  | { readonly type: 'sent'; readonly base64: string; readonly to: string }
  | ({ readonly type: 'event' } & StoreEvent)
  | { readonly type: 'resize'; readonly progress: ResizeProgress }
  | ({ readonly type: 'session' } & SessionEvent);

/** A web server in a process of its own. */
export class Server {
  readonly config: Config;
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;
  #isListening = false;
  #port = 0;
  #output = '';
  #failure = '';
  isReady = false;
  isClosed = false;
  #networkChanges = 0;
  readonly events: StoreEvent[] = [];
  readonly resizes: ResizeProgress[] = [];
  /** If it is watching. */
  readonly sessionEvents: SessionEvent[] = [];
  /** Gates at which a request waits, or has waited. */
  readonly arrived = new Set<string>();
  /** Datagrams it sent, if it is tapped. */
  readonly sent: { readonly bytes: Buffer; readonly to: string }[] = [];

  constructor(config: Config) {
    this.config = config;
    const { host } = config;
    // NODE_ENV: under jest it is `test`, in which Express logs no errors.
    this.#child = fork(join(__dirname, 'server.js'), [JSON.stringify(config)], {
      env: { ...process.env, NODE_ENV: 'development' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      ...(host && { execPath: 'nsenter', execArgv: [`--net=${host.namespace}`, process.execPath] }),
    });
    this.#exited = once(this.#child, 'exit');
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.on('data', (chunk) => {
        if (this.#output.length < MAX_OUTPUT) this.#output += String(chunk);
      });
    }
    this.#child.on('message', (said) => this.#hear(said as Said));
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /** `null` while it runs. */
  get exit(): number | NodeJS.Signals | null {
    return this.#child.exitCode ?? this.#child.signalCode;
  }

  /** What it has written to stdout and stderr. */
  get output(): string {
    return this.#output;
  }

  warnings(code: string): string[] {
    return this.events.flatMap(({ event, payload }) =>
      event === 'warning' && payload?.code === code ? [payload.message ?? ''] : [],
    );
  }

  listening(): Promise<void> {
    return this.#until('listens', () => this.#isListening);
  }

  async ready(): Promise<void> {
    await this.#until('is ready', () => this.#isListening && this.isReady);
  }

  /** @throws what `fetch` throws, also if there is no answer in time */
  request(path: string, init: RequestInit = {}): Promise<Response> {
    const patient = { signal: AbortSignal.timeout(PATIENCE_MS), ...init };
    const { host } = this.config;
    if (host !== undefined) return requestBySocket(host.socket, path, patient);
    return fetch(`http://127.0.0.1:${this.#port}${path}`, patient);
  }

  /** Calls a method of its store. @throws StoreError */
  async store<T = null>(method: string, ...parameters: unknown[]): Promise<T> {
    const body = JSON.stringify(parameters);
    const headers = { 'content-type': 'application/json' };
    const response = await this.request(`/store/${method}`, { method: 'POST', headers, body });
    const { value, error } = (await response.json()) as {
      readonly value: T;
      readonly error?: { readonly code: string; readonly message: string; readonly status?: number };
    };
    if (error !== undefined) throw new StoreError(error.code, error.message, error.status);
    return value;
  }

  async status(): Promise<NodeStatus> {
    return (await (await this.request('/status')).json()) as NodeStatus;
  }

  /** What its app's error handlers were given. */
  async errors(): Promise<string[]> {
    return (await (await this.request('/errors')).json()) as string[];
  }

  open(gate: string): void {
    this.#child.send({ type: 'open', gate });
  }

  /** Changes its poor network; `cut: null` heals it. Resolves when that is in force. */
  async network(change: { readonly cut?: NetworkCut | null; readonly conditions?: NetworkConditions }): Promise<void> {
    const done = this.#networkChanges + 1;
    this.#child.send({ type: 'network', ...change });
    await this.#until('has changed its network', () => this.#networkChanges >= done);
  }

  /** What its poor network has done. */
  async poorCounters(): Promise<PoorNetworkCounters> {
    const { network } = await this.status();
    return (network.transport as unknown as { readonly poor: PoorNetworkCounters }).poor;
  }

  /** Stops it, or lets it go on. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  /** Has it close its server and its store, and end by itself. */
  async close(): Promise<void> {
    this.#child.send({ type: 'close' });
    await this.#exited;
  }

  /** Ends it as a power cut would. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    await until(`a server ${what}`, () => {
      if (this.#failure !== '' || this.exit !== null) {
        throw new Error(`A server ended before it ${what}: ${this.#failure} ${this.#output}`);
      }
      return condition();
    });
  }

  #hear(said: Said): void {
    switch (said.type) {
      case 'listening':
        this.#isListening = true;
        this.#port = said.port ?? 0;
        break;
      case 'ready':
        this.isReady = true;
        break;
      case 'failed':
        this.#failure = said.message;
        break;
      case 'closed':
        this.isClosed = true;
        break;
      case 'network':
        this.#networkChanges += 1;
        break;
      case 'arrived':
        this.arrived.add(said.gate);
        break;
      case 'sent':
        this.sent.push({ bytes: Buffer.from(said.base64, 'base64'), to: said.to });
        break;
      case 'event':
        this.events.push(said);
        break;
      case 'resize':
        this.resizes.push(said.progress);
        break;
      case 'session':
        this.sessionEvents.push({ event: said.event, sid: said.sid });
        break;
    }
  }
}

const servers: Server[] = [];

/** Ends every server that a spec of the file has started, whatever became of the spec. */
export function endAll(): void {
  afterAll(() => Promise.all(servers.splice(0).map((server) => server.kill())));
}

/** Ms that a store's operations have where a test says nothing of it: a busy machine takes its time. */
export const TIMEOUT_MS = 5000;

/** Servers that share a cluster. */
export class Farm {
  readonly servers: Server[] = [];
  readonly #config: Config;

  /** @param options beside a secret and a network of its own */
  constructor({ options, ...config }: Partial<Config> = {}) {
    const own = { secret: drawSecret(), transport: drawMulticast(), timeout: TIMEOUT_MS };
    this.#config = { options: { ...own, ...options }, ...config };
  }

  /** A server that is not waited for. */
  add({ options, ...config }: Partial<Config> = {}): Server {
    const name = `server-${this.servers.length + 1}`;
    const server = new Server({ ...this.#config, ...config, options: { name, ...this.#config.options, ...options } });
    this.servers.push(server);
    servers.push(server);
    return server;
  }

  /** One server for each config, all of them voters. */
  async start(...configs: Partial<Config>[]): Promise<Server[]> {
    const started = configs.map((config) => this.add(config));
    await Promise.all(started.map((server) => server.ready()));
    await until('every server sees every voter', async () => {
      const seen = await Promise.all(started.map((server) => server.status()));
      return seen.every(({ voters }) => voters.length > 0 && voters.every(({ isUp }) => isUp));
    });
    return started;
  }

  get options(): PaxosStoreOptions {
    return this.#config.options;
  }

  at(index: number): Server {
    const server = this.servers[index];
    if (server === undefined) throw new Error(`There is no server ${index}.`);
    return server;
  }

  /** All but the one at `index`. */
  others(index: number): Server[] {
    return this.servers.filter((_, other) => other !== index);
  }

  end(): Promise<unknown> {
    return Promise.all(this.servers.map((server) => server.kill()));
  }
}

/** A UDP port that is likely free: below the range from which the system takes its own. */
export function drawPort(): number {
  return randomInt(10_000, 32_000);
}

/** A group and port that no other run on this machine uses. */
export function drawMulticast(): MulticastOptions {
  const group = `239.255.${randomInt(1, 255)}.${randomInt(1, 255)}`;
  return { multicast: `${group}:${drawPort()}`, interface: '127.0.0.1' };
}

export function drawSecret(): string {
  return randomBytes(16).toString('hex');
}
