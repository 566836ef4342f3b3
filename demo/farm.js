// @ts-check
/** The three server processes: started, killed and ended by their process ids, never by name. */
import { fork } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';

const SERVER = fileURLToPath(new URL('server.js', import.meta.url));
/** A server that was asked to end gets this long to do it itself. */
const END_MS = 2000;
const START_MS = 30_000;

/**
 * A server process, as the front and the page know it.
 * - `starting`: it has not said yet that its store is ready
 * - `killed`: by {@link Farm.kill}; `ended`: by itself, or by somebody else
 * @typedef {'starting' | 'up' | 'killed' | 'ended'} ServerState
 * `hasQuorum` is what its store says, `isCutOff` whether it was cut off from the others; it is `up` all the same.
 * @typedef {{ number: number, port: number, pid: number, state: ServerState, hasQuorum: boolean, isCutOff: boolean }}
 *   ServerInfo
 */

/** A server could not start; the message is for people. */
export class StartError extends Error {}

/**
 * Emits `gone` with `{ number, pid, how }` when a server process has ended that was not asked to, and `cut` with the
 * server's information when one was cut off or healed.
 */
export class Farm extends EventEmitter {
  /** @type {readonly number[]} */ #ports;
  /** @type {Record<string, string>} */ #environment;
  /** @type {Map<number, { info: ServerInfo, child: import('node:child_process').ChildProcess }>} by number */
  #servers = new Map();
  #isEnding = false;

  /**
   * @param {readonly number[]} ports of server 1, 2, …
   * @param {Record<string, string>} environment what all of them are told
   */
  constructor(ports, environment) {
    super();
    this.#ports = ports;
    this.#environment = environment;
  }

  /** @returns {ServerInfo[]} */
  get servers() {
    return [...this.#servers.values()].map(({ info }) => info);
  }

  /** Starts all servers; resolves when each has a quorum and answers. */
  async start() {
    const deadline = AbortSignal.timeout(START_MS);
    await Promise.all(this.#ports.map((port, index) => this.#startOne(index + 1, port, deadline)));
  }

  /**
   * Ends a server as a power cut would: SIGKILL, no goodbye.
   * @param {number} number
   * @returns {ServerInfo | null} `null` where there is no such server, or it is not up
   */
  kill(number) {
    const server = this.#servers.get(number);
    if (server?.info.state !== 'up') return null;
    // At once, so that the front gives it no more requests.
    server.info.state = 'killed';
    server.child.kill('SIGKILL');
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
    if (server?.info.state !== 'up') return null;
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
   * Tells all servers how much background traffic to make.
   * @param {number} perSecond operations of one server
   */
  setTraffic(perSecond) {
    for (const { child } of this.#servers.values()) {
      if (child.connected) child.send({ type: 'traffic', perSecond });
    }
  }

  /** Ends all servers; resolves when no process is left. */
  async end() {
    this.#isEnding = true;
    await Promise.all(
      [...this.#servers.values()].map(async ({ child }) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const exit = once(child, 'exit');
        // A server whose parent is gone ends itself; see server.js.
        if (child.connected) child.disconnect();
        const force = setTimeout(() => child.kill('SIGKILL'), END_MS);
        await exit;
        clearTimeout(force);
      }),
    );
  }

  /** @param {number} number @param {number} port @param {AbortSignal} deadline @returns {Promise<void>} */
  #startOne(number, port, deadline) {
    const child = fork(SERVER, {
      env: { ...process.env, ...this.#environment, DEMO_SERVER: String(number), DEMO_PORT: String(port) },
    });
    /** @type {ServerInfo} */
    const info = { number, port, pid: child.pid ?? 0, state: 'starting', hasQuorum: false, isCutOff: false };
    this.#servers.set(number, { info, child });
    return new Promise((resolve, reject) => {
      child.on('message', (/** @type {any} */ message) => {
        if (message.type === 'ready') {
          info.state = 'up';
          resolve();
        } else if (message.type === 'quorum') {
          info.hasQuorum = message.hasQuorum;
        } else if (message.type === 'network') {
          info.isCutOff = message.isCutOff;
        } else if (message.type === 'failed') {
          reject(Object.assign(new StartError(`Server ${number}: ${message.message}`), message));
        }
      });
      child.on('error', reject);
      child.on('exit', (code, signal) => {
        const wasKilled = info.state === 'killed';
        const wasUp = info.state === 'up';
        if (!wasKilled) info.state = 'ended';
        const how = wasKilled ? 'was killed' : `ended: ${signal ?? `exit code ${code}`}`;
        if (!this.#isEnding && (wasKilled || wasUp)) this.emit('gone', { number, pid: info.pid, how });
        reject(new StartError(`Server ${number} ended before it was ready: ${signal ?? `exit code ${code}`}.`));
      });
      deadline.addEventListener('abort', () =>
        reject(new StartError(`Server ${number} was not ready within ${START_MS / 1000} s.`)),
      );
    });
  }
}
