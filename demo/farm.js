// @ts-check
/** The server processes: started, killed, started again and ended by their process ids, never by name. */
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('server.js', import.meta.url));
/** A server that was asked to end gets this long to do it itself. */
const END_MS = 2000;
const START_MS = 60_000;
/** Background operations a second of each server, until the page asks for others. */
const FIRST_TRAFFIC = 20;

/**
 * A server process, as the front and the page know it.
 * - `absent`: a standby that nobody has started yet
 * - `starting`: it has not said yet that its store is ready; `isListening`: it can be asked how far it is
 * - `killed`: by {@link Farm.kill}; `ended`: by itself, or by somebody else
 * @typedef {'absent' | 'starting' | 'up' | 'killed' | 'ended'} ServerState
 * `hasQuorum` is what its store says, `isCutOff` whether it was cut off from the others; it is `up` all the same.
 * `starts` is how often it was started, `failure` why it could not start, for people.
 * @typedef {{ number: number, port: number, pid: number, state: ServerState, starts: number, isListening: boolean,
 *   hasQuorum: boolean, isCutOff: boolean, failure: string | null }} ServerInfo
 * @typedef {{ info: ServerInfo, child: import('node:child_process').ChildProcess | null }} Server
 */

/** A server could not start; the message is for people. */
export class StartError extends Error {}

/**
 * Emits `gone` with `{ number, pid, how }` when a server process has ended that was not asked to, `started` with the
 * server's information when one was started by the page and `up` when that one is ready, and `cut` when one was cut off
 * or healed.
 */
export class Farm extends EventEmitter {
  #first;
  /** @type {Record<string, string>} */ #environment;
  /** @type {Map<number, Server>} by number */ #servers = new Map();
  /** @type {Set<number>} servers whose last process is still to end before the next one starts */ #awaited = new Set();
  #perSecond = FIRST_TRAFFIC;
  /** Whether the servers of the first start are all ready. */
  #isFormed = false;
  #isEnding = false;

  /**
   * @param {readonly number[]} ports of server 1, 2, …
   * @param {number} first how many of them are started at once; the others are standbys
   * @param {Record<string, string>} environment what all of them are told
   */
  constructor(ports, first, environment) {
    super();
    this.#first = first;
    this.#environment = environment;
    for (const [index, port] of ports.entries()) {
      const info = describe(index + 1, port, 'absent');
      this.#servers.set(info.number, { info, child: null });
    }
  }

  /** @returns {ServerInfo[]} */
  get servers() {
    return [...this.#servers.values()].map(({ info }) => info);
  }

  /** Starts the first servers; resolves when each has a quorum and answers. */
  async start() {
    const deadline = AbortSignal.timeout(START_MS);
    const first = this.servers.slice(0, this.#first);
    await Promise.all(
      first.map((info) => {
        const late = new StartError(`Server ${info.number} was not ready within ${START_MS / 1000} s.`);
        const isLate = new Promise((_, reject) => deadline.addEventListener('abort', () => reject(late)));
        return Promise.race([this.#launch(info), isLate]);
      }),
    );
    this.#isFormed = true;
  }

  /**
   * Starts a fresh process for a server that has none, on the port it had. It is not ready yet.
   * @param {number} number
   * @returns {Promise<ServerInfo | null>} `null` where there is no such server, or it runs
   */
  async startAgain(number) {
    const server = this.#servers.get(number);
    if (server === undefined || !this.#isFormed || isRunning(server.info) || this.#awaited.has(number)) return null;
    this.#awaited.add(number);
    // It was sent SIGKILL, but may still hold the port.
    await exitOf(server.child);
    this.#awaited.delete(number);
    if (this.#isEnding) return null;
    this.#launch(server.info).then(
      () => this.emit('up', this.#servers.get(number)?.info),
      // Its end is told by `gone`.
      () => undefined,
    );
    const info = /** @type {Server} */ (this.#servers.get(number)).info;
    this.emit('started', info);
    return info;
  }

  /**
   * Ends a server as a power cut would: SIGKILL, no goodbye. One that is still coming up, too.
   * @param {number} number
   * @returns {ServerInfo | null} `null` where there is no such server, or it does not run
   */
  kill(number) {
    const server = this.#servers.get(number);
    if (server === undefined || !this.#isFormed || !isRunning(server.info)) return null;
    // At once, so that the front gives it no more requests.
    server.info.state = 'killed';
    server.child?.kill('SIGKILL');
    return server.info;
  }

  /**
   * Cuts a server off from the others, or heals that. It goes on running, and its HTTP port goes on answering.
   * @param {number} number
   * @param {boolean} isCutOff
   * @returns {Promise<ServerInfo | null>} when it is so; `null` where there is no such server, or it is not up
   */
  async setCutOff(number, isCutOff) {
    const server = this.#servers.get(number);
    if (server?.info.state !== 'up' || server.child === null) return null;
    const { info, child } = server;
    // At once, so that the front gives it no more requests.
    if (isCutOff) info.isCutOff = true;
    await new Promise((resolve) => {
      const hear = (/** @type {any} */ { type }) => {
        if (type !== 'network') return;
        child.off('message', hear);
        resolve(null);
      };
      child.on('message', hear);
      child.once('exit', resolve);
      child.send({ type: 'network', isCutOff });
    });
    this.emit('cut', info);
    return info;
  }

  /**
   * Tells all servers how much background traffic to make, those that start later too.
   * @param {number} perSecond operations of one server
   */
  setTraffic(perSecond) {
    this.#perSecond = perSecond;
    for (const { info, child } of this.#servers.values()) if (info.state === 'up') this.#tellTraffic(child);
  }

  /** Ends all servers; resolves when no process is left. */
  async end() {
    this.#isEnding = true;
    await Promise.all(
      [...this.#servers.values()].map(async ({ child }) => {
        if (child === null || hasExited(child)) return;
        // A server whose parent is gone ends itself; see server.js.
        if (child.connected) child.disconnect();
        const force = setTimeout(() => child.kill('SIGKILL'), END_MS);
        await exitOf(child);
        clearTimeout(force);
      }),
    );
  }

  /** @param {import('node:child_process').ChildProcess | null} child */
  #tellTraffic(child) {
    if (child?.connected) child.send({ type: 'traffic', perSecond: this.#perSecond });
  }

  /** @param {ServerInfo} before @returns {Promise<void>} resolves when it is ready, rejects when it has ended before */
  #launch({ number, port, starts }) {
    const child = fork(SERVER, {
      env: { ...process.env, ...this.#environment, DEMO_SERVER: String(number), DEMO_PORT: String(port) },
    });
    // Of its own for each process: what is heard late of the last one is not to change what is known of this one.
    const info = { ...describe(number, port, 'starting'), pid: child.pid ?? 0, starts: starts + 1 };
    this.#servers.set(number, { info, child });
    return new Promise((resolve, reject) => {
      /** @param {string} why @param {object} [details] */
      const fail = (why, details = {}) => {
        info.failure = why;
        // It has nothing to end in order.
        child.kill('SIGKILL');
        reject(Object.assign(new StartError(`Server ${number}: ${why}`), details));
      };
      child.on('message', (/** @type {any} */ message) => {
        if (message.type === 'listening') {
          info.isListening = true;
        } else if (message.type === 'ready') {
          if (info.state === 'starting') info.state = 'up';
          this.#tellTraffic(child);
          resolve();
        } else if (message.type === 'quorum') {
          info.hasQuorum = message.hasQuorum;
        } else if (message.type === 'network') {
          info.isCutOff = message.isCutOff;
        } else if (message.type === 'failed') {
          const { code } = message;
          fail(code === 'EADDRINUSE' ? `Port ${port} is taken by another program.` : message.message, { code, port });
        }
      });
      child.on('error', (error) => {
        // Without a process there will be no exit.
        if (child.pid === undefined) info.state = 'ended';
        fail(error.message);
      });
      child.on('exit', (code, signal) => {
        const wasKilled = info.state === 'killed';
        if (!wasKilled) info.state = 'ended';
        const how = wasKilled ? 'was killed' : `ended: ${info.failure ?? signal ?? `exit code ${code}`}`;
        if (!this.#isEnding) this.emit('gone', { number, pid: info.pid, how });
        reject(new StartError(`Server ${number} ended before it was ready: ${signal ?? `exit code ${code}`}.`));
      });
    });
  }
}

/** @param {number} number @param {number} port @param {ServerState} state @returns {ServerInfo} */
function describe(number, port, state) {
  return {
    number,
    port,
    pid: 0,
    state,
    starts: 0,
    isListening: false,
    hasQuorum: false,
    isCutOff: false,
    failure: null,
  };
}

/** @param {ServerInfo} info */
function isRunning({ state }) {
  return state === 'starting' || state === 'up';
}

/** @param {import('node:child_process').ChildProcess} child */
function hasExited({ pid, exitCode, signalCode }) {
  return pid === undefined || exitCode !== null || signalCode !== null;
}

/** @param {import('node:child_process').ChildProcess | null} child */
async function exitOf(child) {
  if (child !== null && !hasExited(child)) await once(child, 'exit');
}
