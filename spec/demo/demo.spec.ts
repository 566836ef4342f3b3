import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { resolve } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';
import { drawMulticast, drawSecret } from '../cluster/farm.js';
import { until } from '../cluster/waiting.js';

// Five processes start, form a farm and end, several times; on a busy machine that takes its time.

const START = resolve('demo/start.js');
const HOST = '127.0.0.1';

interface State {
  readonly server: { readonly number: number };
  readonly session: { readonly user: string; readonly cart: Record<string, number> } | null;
}

interface Cluster {
  readonly isReady: boolean;
  readonly state: string;
  readonly slot: number;
  readonly incarnation: string | null;
  readonly voters: readonly {
    readonly slot: number;
    readonly name: string;
    readonly generation: number;
    readonly isSelf: boolean;
  }[];
  readonly operations: { readonly reads: number };
}

interface ServerInfo {
  readonly number: number;
  readonly port: number;
  readonly pid: number;
  readonly state: string;
  readonly starts: number;
  readonly failure: string | null;
  readonly isCutOff: boolean;
  readonly hasQuorum: boolean;
  readonly status: {
    readonly samples: unknown[];
    readonly history: readonly { readonly state: string }[];
    readonly cluster: Cluster;
  } | null;
}

interface Demo {
  readonly process: ChildProcess;
  readonly base: number;
}

const running: ChildProcess[] = [];

afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    const exit = once(child, 'exit');
    child.kill('SIGKILL');
    await exit;
  }
});

/** A browser, as far as cookies go. Cookies know no ports, so they also reach a server asked directly. */
class Visitor {
  cookie = '';

  constructor(readonly base: number) {}

  async ask(path: string, body?: unknown, port = this.base): Promise<Response> {
    const headers = { cookie: this.cookie, ...(body !== undefined && { 'content-type': 'application/json' }) };
    const init = body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) };
    const response = await fetch(`http://${HOST}:${port}${path}`, init);
    for (const line of response.headers.getSetCookie()) this.cookie = line.split(';', 1)[0] ?? '';
    return response;
  }

  async state(path: string, body?: unknown, port = this.base): Promise<State> {
    const response = await this.ask(path, body, port);
    expect(response.status).toBe(200);
    return (await response.json()) as State;
  }

  /** What a control of the front answers, by its status. */
  async order(what: string, number: number | string): Promise<number> {
    return (await this.ask(`/demo/${what}/${number}`, {})).status;
  }

  async server(number: number): Promise<ServerInfo> {
    const server = (await this.servers())[number - 1];
    if (server === undefined) throw new Error(`There is no server ${number}.`);
    return server;
  }

  async servers(): Promise<ServerInfo[]> {
    let servers: ServerInfo[] = [];
    // One that does not answer in time shows nothing for a moment.
    await until('each server that is up shows its status', async () => {
      ({ servers } = (await (await this.ask('/demo/servers')).json()) as { servers: ServerInfo[] });
      return servers.every(({ state, status }) => state !== 'up' || status !== null);
    });
    return servers;
  }
}

async function take(port: number): Promise<Server> {
  const server = createServer().listen(port, HOST);
  await once(server, 'listening');
  return server;
}

async function release(server: Server): Promise<void> {
  server.close();
  await once(server, 'close');
}

/** The first of five ports that are all free now. */
async function drawPortBase(): Promise<number> {
  for (;;) {
    const base = 20_000 + Math.floor(Math.random() * 10_000);
    const taken = await Promise.allSettled([0, 1, 2, 3, 4].map((offset) => take(base + offset)));
    for (const result of taken) if (result.status === 'fulfilled') await release(result.value);
    if (taken.every(({ status }) => status === 'fulfilled')) return base;
  }
}

function spawnDemo(base: number): { process: ChildProcess; output: () => string } {
  const env = { ...process.env, PORT_BASE: String(base) };
  const child = spawn(process.execPath, [START], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return { process: child, output: () => output };
}

async function startDemo(): Promise<Demo> {
  const base = await drawPortBase();
  const { process: child, output } = spawnDemo(base);
  await until('the demo is running', () => {
    if (child.exitCode !== null) throw new Error(`The demo ended: ${output()}`);
    return output().includes('The demo is running');
  });
  return { process: child, base };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function generationOf({ status }: ServerInfo): { slot: number; generation: number } {
  const self = status?.cluster.voters.find(({ isSelf }) => isSelf);
  if (self === undefined) throw new Error('The server holds no slot.');
  return { slot: self.slot, generation: self.generation };
}

describe('the demo', () => {
  it('keeps a session on three servers, through a kill, until the logout', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);

    const page = await ada.ask('/');
    expect(await page.text()).toContain('<title>connect-paxos demo</title>');
    expect((await ada.state('/api/state')).session).toBeNull();

    const login = await ada.state('/login', { name: 'Ada' });
    expect(login.session).toMatchObject({ user: 'Ada', cart: {} });
    const answers = [login];
    for (const item of ['apples', 'apples', 'bread']) answers.push(await ada.state('/cart', { item, change: 1 }));
    // Each click is answered by the next server, and each finds what the ones before it left.
    const [first, ...others] = answers.map(({ server }) => server.number);
    expect(new Set([first, ...others.slice(0, 2)])).toEqual(new Set([1, 2, 3]));
    expect(others[2]).toBe(first);
    expect(answers.at(-1)?.session?.cart).toEqual({ apples: 2, bread: 1 });

    // Requests at the same time, on all three servers, don't undo each other.
    await Promise.all(['bread', 'cheese', 'coffee'].map((item) => ada.state('/cart', { item, change: 1 })));
    const cart = { apples: 2, bread: 2, cheese: 1, coffee: 1 };
    expect((await ada.state('/api/state')).session?.cart).toEqual(cart);

    const servers = await ada.servers();
    expect(servers.map(({ state, status }) => [state, status?.cluster.isReady])).toEqual([
      ...Array(3).fill(['up', true]),
      ['absent', undefined],
    ]);
    await until('background traffic is measured', async () =>
      (await ada.servers()).slice(0, 3).every(({ status }) => (status?.samples.length ?? 0) > 0),
    );

    const victim = servers[1];
    if (victim === undefined) throw new Error('There is no second server.');
    expect((await ada.ask('/demo/kill/2', {})).status).toBe(200);
    // Nothing waits for the others to notice: the very next click must be good.
    const after = await ada.state('/cart', { item: 'coffee', change: -1 });
    expect(after.session).toMatchObject({ user: 'Ada', cart: { apples: 2, bread: 2, cheese: 1 } });
    const seen = new Set<number>();
    for (let click = 0; click < 4; click += 1) {
      const { server, session } = await ada.state('/api/state');
      expect(session?.user).toBe('Ada');
      seen.add(server.number);
    }
    expect(seen).toEqual(new Set([1, 3]));
    await until('the process is gone', () => !isAlive(victim.pid));
    expect((await ada.servers())[1]).toMatchObject({ state: 'killed', status: null });
    expect((await ada.ask('/demo/kill/2', {})).status).toBe(409);

    const stolen = ada.cookie;
    expect((await ada.state('/logout', {})).session).toBeNull();
    for (const number of [1, 3]) {
      const port = demo.base + number;
      const thief = new Visitor(port);
      thief.cookie = stolen;
      expect(await thief.state('/api/state')).toMatchObject({ server: { number }, session: null });
    }

    const exit = once(demo.process, 'exit');
    demo.process.kill('SIGINT');
    expect(await exit).toEqual([0, null]);
    expect(servers.filter(({ pid }) => pid > 0 && isAlive(pid))).toEqual([]);
  });

  it('a server that was killed is started again, and votes; a standby takes the place of another', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const { session } = await ada.state('/cart', { item: 'bread', change: 1 });
    const pids = new Set((await ada.servers()).map(({ pid }) => pid));
    const hasSession = async (numbers: readonly number[]) => {
      for (const number of numbers) {
        const answer = await ada.state('/api/state', undefined, demo.base + number);
        expect(answer).toMatchObject({ server: { number }, session });
      }
    };

    expect(await ada.order('start', 2)).toBe(409);
    const before = generationOf(await ada.server(2));
    expect(await ada.order('kill', 2)).toBe(200);
    expect(await ada.order('kill', 2)).toBe(409);
    expect(await ada.order('start', 2)).toBe(200);
    const { pid } = await ada.server(2);
    expect(pids).not.toContain(pid);
    pids.add(pid);
    // It runs, and is asked for nothing before it has what it needs to answer.
    expect(await ada.server(2)).toMatchObject({ state: 'starting', starts: 2 });
    expect(await ada.order('start', 2)).toBe(409);
    expect(await ada.order('cut-off', 2)).toBe(409);
    expect((await ada.ask('/demo/ask/2')).status).toBe(409);
    await until('server 2 votes again', async () => (await ada.server(2)).state === 'up');
    expect(generationOf(await ada.server(2))).toEqual({ slot: before.slot, generation: before.generation + 1 });
    const { status } = await ada.server(2);
    const parts = status?.history.map(({ state }) => state) ?? [];
    expect([parts[0], parts.at(-1)]).toEqual(['starting', 'voter']);
    await hasSession([1, 2, 3]);

    expect(await ada.order('start', 4)).toBe(200);
    await until('server 4 stands by', async () => (await ada.server(4)).state === 'up');
    pids.add((await ada.server(4)).pid);
    expect((await ada.server(4)).status?.cluster).toMatchObject({ state: 'learner', slot: 0, isReady: true });
    const seen = new Set<number>();
    await until('each answers requests', async () => {
      seen.add((await ada.state('/api/state')).server.number);
      return seen.size === 4;
    });

    const last = generationOf(await ada.server(1));
    expect(await ada.order('kill', 1)).toBe(200);
    await until('server 4 votes', async () => (await ada.server(4)).status?.cluster.state === 'voter');
    expect(generationOf(await ada.server(4))).toEqual({ slot: last.slot, generation: last.generation + 1 });
    await hasSession([2, 3, 4]);

    // Its slot is taken: now this one is the standby.
    expect(await ada.order('start', 1)).toBe(200);
    pids.add((await ada.server(1)).pid);
    await until('server 1 stands by', async () => (await ada.server(1)).state === 'up');
    expect((await ada.server(1)).status?.cluster).toMatchObject({ state: 'learner', slot: 0 });
    await hasSession([1, 2, 3, 4]);

    const exit = once(demo.process, 'exit');
    demo.process.kill('SIGINT');
    expect(await exit).toEqual([0, null]);
    expect([...pids].filter((each) => each > 0 && isAlive(each))).toEqual([]);
  });

  it('a server killed while it comes up is started once more; where all were dead a new farm forms', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const incarnation = (await ada.server(1)).status?.cluster.incarnation;
    await ada.order('kill', 3);
    expect(await ada.order('start', 3)).toBe(200);
    expect(await ada.order('kill', 3)).toBe(200);
    expect(await ada.server(3)).toMatchObject({ state: 'killed', status: null });
    expect(await ada.order('start', 3)).toBe(200);
    await until('server 3 votes', async () => (await ada.server(3)).status?.cluster.state === 'voter');
    expect((await ada.state('/api/state', undefined, demo.base + 3)).session?.user).toBe('Ada');

    for (const number of [1, 2, 3]) expect(await ada.order('kill', number)).toBe(200);
    // The page has to come all the same: how else could anybody start a server?
    expect(await (await ada.ask('/')).text()).toContain('<title>connect-paxos demo</title>');
    const refused = await ada.ask('/api/state');
    expect([refused.status, await refused.json()]).toMatchObject([502, { error: { code: 'NO_SERVER' } }]);

    // A port that another program has taken meanwhile is no reason to end the demo.
    await until('the process is gone', async () => !isAlive((await ada.server(1)).pid));
    const other = await take(demo.base + 1);
    await ada.order('start', 1);
    await until('it has failed', async () => (await ada.server(1)).state === 'ended');
    expect((await ada.server(1)).failure).toBe(`Port ${demo.base + 1} is taken by another program.`);
    await release(other);

    for (const number of [4, 1]) expect(await ada.order('start', number)).toBe(200);
    await until('both look for others', async () => {
      const states = (await ada.servers()).map(({ status }) => status?.cluster.state);
      return states[0] === 'seeking' && states[3] === 'seeking';
    });
    expect((await ada.ask('/api/state')).status).toBe(503);
    expect(await ada.order('start', 2)).toBe(200);
    await until('a new farm serves', async () => (await ada.ask('/api/state')).status === 200);
    expect((await ada.server(4)).status?.cluster.incarnation).not.toBe(incarnation);
    // It knows nothing of the one before.
    expect((await ada.state('/api/state')).session).toBeNull();

    const pids = (await ada.servers()).map(({ pid }) => pid);
    // An end in the midst of a start leaves nothing behind either.
    expect(await ada.order('start', 3)).toBe(200);
    pids.push((await ada.server(3)).pid);
    const exit = once(demo.process, 'exit');
    demo.process.kill('SIGINT');
    expect(await exit).toEqual([0, null]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('a logout stays, though a slow request saves the session after it', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const { cookie } = ada;
    const old = new Visitor(demo.base);
    old.cookie = cookie;
    const reads = async () =>
      (await ada.servers()).reduce((sum, { status }) => sum + (status?.cluster.operations.reads ?? 0), 0);
    await ada.ask('/demo/traffic/0', {});
    let before = -1;
    await until('the store is idle', async () => {
      const last = before;
      before = await reads();
      return before === last;
    });
    const slow = old.ask('/cart', { item: 'apples', change: 1, delayMs: 1000 });
    await until('the slow request loads the session', async () => (await reads()) > before);
    await ada.state('/logout', {});
    // It had found somebody logged in, else it would have been refused.
    expect((await slow).status).toBe(200);
    old.cookie = cookie;
    expect((await old.state('/api/state')).session).toBeNull();
  });

  it('tells a page at once what another one did', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const events = await ada.ask('/events');
    expect(events.headers.get('content-type')).toContain('text/event-stream');
    const reader = events.body?.pipeThrough(new TextDecoderStream()).getReader();
    if (reader === undefined) throw new Error('The stream has no body.');

    await ada.state('/cart', { item: 'apples', change: 1 });
    let heard = '';
    while (!heard.includes('event: change')) heard += (await reader.read()).value ?? '';
    await ada.state('/logout', {});
    while (!heard.includes('event: destroy')) heard += (await reader.read()).value ?? '';
    await reader.cancel();
  });

  it('keeps a session while a server is cut off, and has it there when it is healed', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    await ada.state('/cart', { item: 'apples', change: 1 });
    const { pid } = (await ada.servers())[1] ?? { pid: 0 };
    expect((await (await ada.ask('/demo/ask/2')).json()) as State).toMatchObject({ server: { number: 2 } });

    expect((await ada.ask('/demo/cut-off/2', {})).status).toBe(200);
    // No click goes to it any more, from the very next one on.
    const seen = new Set<number>();
    for (const item of ['bread', 'bread', 'coffee', 'coffee']) {
      const { server, session } = await ada.state('/cart', { item, change: 1 });
      expect(session?.user).toBe('Ada');
      seen.add(server.number);
    }
    expect(seen).toEqual(new Set([1, 3]));
    const cart = { apples: 1, bread: 2, coffee: 2 };

    // It runs, and asked itself it does not guess.
    expect((await ada.servers())[1]).toMatchObject({ pid, state: 'up', isCutOff: true });
    expect((await ada.ask('/demo/ask/2')).status).toBe(503);
    await until('it knows', async () => (await ada.servers())[1]?.hasQuorum === false);
    const refused = await ada.ask('/api/state', undefined, demo.base + 2);
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ server: { number: 2 }, error: { code: 'ERR_NO_QUORUM' } });
    expect((await ada.servers()).slice(0, 3).map(({ isCutOff, hasQuorum }) => [isCutOff, hasQuorum])).toEqual([
      [false, true],
      [true, false],
      [false, true],
    ]);

    expect((await ada.ask('/demo/heal/2', {})).status).toBe(200);
    // Until it has heard the others the front gives it nothing.
    await until('it serves again', async () => {
      expect((await ada.state('/api/state')).session).toMatchObject({ user: 'Ada', cart });
      return (await ada.ask('/demo/ask/2')).status === 200;
    });
    await until('the front gives it requests', async () => {
      const { server, session } = await ada.state('/api/state');
      expect(session).toMatchObject({ user: 'Ada', cart });
      return server.number === 2;
    });
    expect((await ada.servers())[1]).toMatchObject({ pid, state: 'up', isCutOff: false });

    await ada.ask('/demo/kill/2', {});
    for (const path of ['/demo/cut-off/2', '/demo/heal/2', '/demo/cut-off/4', '/demo/cut-off/5', '/demo/heal/x']) {
      expect((await ada.ask(path, {})).status).toBe(409);
    }
    expect((await ada.ask('/demo/ask/2')).status).toBe(409);
  });

  it('answers 503 where two servers are cut off, and goes on when one of them is healed', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const events = await ada.ask('/events', undefined, demo.base);
    await Promise.all([1, 2].map((number) => ada.ask(`/demo/cut-off/${number}`, {})));
    const refused = await ada.ask('/api/state');
    expect(refused.status).toBe(503);
    // The one that was not cut off itself answers for the farm.
    expect(await refused.json()).toMatchObject({ server: { number: 3 } });
    await ada.ask('/demo/cut-off/3', {});
    // A page that listened to a server that is cut off is sent to look for another.
    await expect(events.text()).rejects.toThrow();
    expect((await ada.ask('/api/state')).status).toBe(503);
    await Promise.all([2, 3].map((number) => ada.ask(`/demo/heal/${number}`, {})));
    await until('the session is there', async () => {
      const response = await ada.ask('/api/state');
      return response.status === 200 && ((await response.json()) as State).session?.user === 'Ada';
    });
    expect((await ada.ask('/demo/ask/1')).status).toBe(503);
  });

  it('goes on when a server dies by itself, and leaves no process behind when it is itself killed', async () => {
    const demo = await startDemo();
    const ada = new Visitor(demo.base);
    await ada.state('/login', { name: 'Ada' });
    const servers = await ada.servers();

    // The front is not told; what it had sent to that server, it sends to the next.
    const [victim] = servers;
    if (victim === undefined) throw new Error('There is no first server.');
    process.kill(victim.pid, 'SIGKILL');
    for (let click = 0; click < 6; click += 1) expect((await ada.state('/api/state')).session?.user).toBe('Ada');
    expect((await ada.servers())[0]).toMatchObject({ state: 'ended', status: null });

    demo.process.kill('SIGKILL');
    await until('the servers are gone', () => servers.every(({ pid }) => pid === 0 || !isAlive(pid)));
  });

  it('ends a server in order that has something to tell when its parent is gone', async () => {
    const { multicast, interface: address } = drawMulticast();
    const server = fork(resolve('demo/server.js'), {
      env: {
        ...process.env,
        DEMO_SERVER: '1',
        DEMO_PORT: String((await drawPortBase()) + 1),
        DEMO_MULTICAST: multicast,
        DEMO_INTERFACE: address,
        DEMO_CLUSTER_SECRET: drawSecret(),
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    running.push(server);
    let errors = '';
    server.stderr?.on('data', (chunk) => {
      errors += String(chunk);
    });
    await once(server, 'message');
    // When it goes on it hears the question first, which it answers, and then that nobody listens.
    server.kill('SIGSTOP');
    server.send({ type: 'network', isCutOff: false });
    server.disconnect();
    server.kill('SIGCONT');
    expect(await once(server, 'exit')).toEqual([0, null]);
    expect(errors).not.toContain('EPIPE');
  });

  it('keeps its controls from other sites', async () => {
    const demo = await startDemo();
    for (const what of ['kill/1', 'cut-off/1', 'start/4']) {
      const url = `http://${HOST}:${demo.base}/demo/${what}`;
      const foreign = await fetch(url, { method: 'POST', headers: { origin: 'http://example.com' } });
      expect(foreign.status).toBe(403);
    }
    const servers = await new Visitor(demo.base).servers();
    const left = servers.map(({ state, isCutOff }) => [state, isCutOff]);
    expect(left).toEqual([...Array(3).fill(['up', false]), ['absent', false]]);
  });

  it.each([0, 2])('says which port is taken, and ends (port base + %d)', async (offset) => {
    const base = await drawPortBase();
    const other = await take(base + offset);
    const demo = spawnDemo(base);
    expect(await once(demo.process, 'exit')).toEqual([1, null]);
    await release(other);
    expect(demo.output()).toContain(`Port ${base + offset} is taken by another program`);
    expect(demo.output()).toContain('--port-base');
  });
});
