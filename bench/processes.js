/** The processes of a run. Whatever way the run ends, each of them is ended by its id. */
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const START_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 5_000;
/** Characters kept of what a process says on its standard error. */
const KEPT_TEXT = 4000;

const running = new Set();

process.once('exit', killAll);
for (const [signal, number] of [
  ['SIGINT', 2],
  ['SIGTERM', 15],
  ['SIGHUP', 1],
]) {
  process.once(signal, () => process.exit(128 + number));
}

/** A Node process of this folder that answers commands. */
export class Worker {
  #child;
  #file;
  #text;
  #asked = new Map();
  #count = 0;

  constructor(file) {
    this.#file = file;
    this.#child = fork(fileURLToPath(new URL(file, import.meta.url)), [], {
      env: { ...process.env, NODE_ENV: 'production' },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    this.#text = keep(this.#child);
    this.#child.on('error', () => undefined); // what it was asked is answered when it exits
    this.#child.on('message', ({ id, result, error }) => this.#answer(id, result, error));
    this.#child.once('exit', () => {
      for (const id of [...this.#asked.keys()]) this.#answer(id, null, `it ended. ${this.#text()}`);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  /** What the process printed on its standard error, the end of it. */
  get text() {
    return this.#text();
  }

  /** @returns what the command answers; rejects if it fails, or if no answer comes in time */
  ask(command, args = {}, timeoutMs = START_TIMEOUT_MS) {
    return new Promise((resolve, reject) => {
      const id = ++this.#count;
      const timer = setTimeout(() => this.#answer(id, null, `no answer in ${timeoutMs / 1000} s`), timeoutMs);
      this.#asked.set(id, { command, resolve, reject, timer });
      if (!this.#child.connected) this.#answer(id, null, `it has ended. ${this.#text()}`);
      else this.#child.send({ id, command, args });
    });
  }

  /** Lets the process close what it has open; kills it if that takes too long. */
  async end() {
    if (this.#child.connected) this.#child.disconnect();
    await ended(this.#child);
  }

  #answer(id, result, error) {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    clearTimeout(asked.timer);
    if (error === undefined) asked.resolve(result);
    else asked.reject(new Error(`${this.#file}, command ${asked.command}: ${error}`));
  }
}

/** The other side: runs in the process, answers by the functions of `commands`, and closes when the run lets go. */
export function answerCommands(commands, close) {
  process.on('message', async ({ id, command, args }) => {
    try {
      process.send({ id, result: await commands[command](args) });
    } catch (error) {
      process.send({ id, error: String(error?.stack ?? error) });
    }
  });
  process.once('disconnect', async () => {
    await close().catch(() => undefined);
    process.exit();
  });
}

/** Starts another program. `end()` ends it. */
export async function startProgram(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const text = keep(child);
  await new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  return {
    text,
    get hasEnded() {
      return child.exitCode !== null || child.signalCode !== null;
    },
    async end() {
      child.kill('SIGTERM');
      await ended(child);
    },
  };
}

/** @returns a function that gives the last of what the process said */
function keep(child) {
  let text = '';
  running.add(child);
  child.once('exit', () => running.delete(child));
  child.stderr.setEncoding('utf8').on('data', (more) => {
    text = (text + more).slice(-KEPT_TEXT);
  });
  return () => text;
}

function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), END_TIMEOUT_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function killAll() {
  for (const child of running) child.kill('SIGKILL');
}
