import { once } from 'node:events';
import { request as requestByHttp } from 'node:http';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { until } from '../cluster/waiting.js';
import { drawPlace, endPrograms, type HttpNode, type Place, Program, run, startNode, startThree } from './programs.js';

endPrograms();

describe('three nodes', () => {
  let place: Place;
  let nodes: HttpNode[];

  const at = (index: number): HttpNode => nodes[index] as HttpNode;
  const command = (...words: string[]) => run([...words, ...place.options], place.environment);
  const commandAt = (index: number, ...words: string[]) => run([...words, '--url', at(index).url]);

  beforeAll(async () => {
    place = drawPlace();
    nodes = await startThree(place);
  });

  it('have the same keys by HTTP, by a learner and by --url', async () => {
    await fetch(`${at(0).url}/foo`, { method: 'POST', body: 'hello paxos' });
    expect(await (await fetch(`${at(1).url}/foo`)).text()).toBe('hello paxos');
    expect(await command('get', 'foo')).toEqual({ code: 0, stdout: 'hello paxos', stderr: '' });
    expect(await commandAt(2, 'get', 'foo')).toEqual({ code: 0, stdout: 'hello paxos', stderr: '' });

    expect(await command('set', 'a/b', 'by a learner', '--ttl', '100')).toEqual({ code: 0, stdout: '', stderr: '' });
    const got = await fetch(`${at(1).url}/a/b`);
    expect(await got.text()).toBe('by a learner');
    expect(Number(got.headers.get('ttl'))).toBeGreaterThan(50);
    expect(await run(['set', 'in', '-', '--type', 'x/y', '--url', at(0).url], {}, 'from stdin')).toMatchObject({
      code: 0,
    });
    expect(JSON.parse((await command('get', 'in', '--json')).stdout)).toMatchObject({
      key: 'in',
      type: 'x/y',
      value: 'from stdin',
      version: expect.any(String),
      revision: expect.stringMatching(/^\d+$/),
    });
  });

  it('let a key be put once, set on a condition, and removed', async () => {
    expect(await command('put', 'once', 'first')).toEqual({ code: 0, stdout: 'first', stderr: '' });
    expect(await commandAt(0, 'put', 'once', 'second')).toEqual({ code: 0, stdout: 'first', stderr: '' });
    for (const ask of [command, commandAt.bind(null, 1)]) {
      const { version } = JSON.parse((await ask('get', 'once', '--json')).stdout) as { version: string };
      expect((await ask('set', 'once', 'x', '--if-absent')).code).toBe(1);
      expect((await ask('set', 'once', 'x', '--if-version', version)).code).toBe(0);
      expect(await ask('set', 'once', 'y', '--if-version', version)).toMatchObject({
        code: 1,
        stderr: "error: The key 'once' is not as the condition says. Nothing was written.\n",
      });
      expect((await ask('del', 'once', '--if-version', version)).code).toBe(1);
    }
    expect((await command('del', 'once')).code).toBe(0);
    expect(await commandAt(0, 'del', 'once')).toMatchObject({ code: 1, stderr: "error: There is no key 'once'.\n" });
    expect(await command('get', 'once', '--json')).toMatchObject({
      code: 1,
      stdout: '',
      stderr: '{"error":{"code":"ERR_NOT_FOUND","message":"There is no key \'once\'."}}\n',
    });
  });

  it('list keys', async () => {
    for (const key of ['list/b', 'list/a', 'other']) await fetch(`${at(0).url}/${key}`, { method: 'PUT', body: '1' });
    expect((await command('keys', '--prefix', 'list/')).stdout).toBe('list/a\nlist/b\n');
    expect(JSON.parse((await commandAt(1, 'keys', '--prefix', 'list/', '--limit', '1', '--json')).stdout)).toEqual({
      keys: ['list/a'],
      isComplete: false,
    });
  });

  it.each(['a learner', '--url'])('are watched by %s', async (how) => {
    const words = ['watch', '--prefix', 'seen/', '--count', '2', '--json'];
    const watching = how === '--url' ? commandAt(2, ...words) : command(...words);
    let isOver = false;
    let writes = 0;
    void watching.then(() => {
      isOver = true;
    });
    await until('it has seen two changes', async () => {
      writes += 1;
      await fetch(`${at(0).url}/seen/x`, { method: 'PUT', body: `v${writes}` });
      return isOver;
    });
    const { code, stdout } = await watching;
    expect(code).toBe(0);
    const [first, second, ...more] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>);
    expect(first).toMatchObject({ kind: 'set', key: 'seen/x', value: expect.stringMatching(/^v\d+$/) });
    expect(second?.version).not.toBe(first?.version);
    expect(more).toEqual([]);
  });

  it('are seen by status', async () => {
    const learner = await command('status', '--json');
    expect(learner).toMatchObject({ code: 0, stderr: '' });
    const { voters, state, clock } = JSON.parse(learner.stdout) as {
      voters: { isUp: boolean }[];
      state: string;
      clock: { isTrusted: boolean };
    };
    expect(state).toBe('learner');
    expect(voters.map(({ isUp }) => isUp)).toEqual([true, true, true]);
    expect(clock.isTrusted).toBe(true);
    const { stdout } = await commandAt(0, 'status');
    expect(stdout).toMatch(/^cluster default, 3 of 3 voters up, quorum \(2\), clock [+-]?\d+ ms\n/);
    expect(stdout).toMatch(/^\d {5}up +\S+:\d+ +\w+ +1 +this process/m);
    expect(stdout).not.toMatch('\u001b');
  });

  it('go on without one, answer 503 in time without two, and go on when one is back', async () => {
    await fetch(`${at(0).url}/kept`, { method: 'PUT', body: 'as it was' });
    await at(2).program.kill();
    await at(0).program.said(/is (silent)/);
    expect((await fetch(`${at(0).url}/without`, { method: 'PUT', body: 'one' })).status).toBe(204);
    // Its place is taken by another, which reads what the others hold.
    const third = await startNode(place);
    await third.program.said(/ready, (slot \d of 3)/);
    expect(await (await fetch(`${third.url}/without`)).text()).toBe('one');
    await third.program.kill();
    at(1).program.pause();
    const answer = await fetch(`${at(0).url}/kept`);
    expect(answer.status).toBe(503);
    expect(await answer.json()).toMatchObject({
      code: 'ERR_NO_QUORUM',
      message: expect.stringMatching(/Missing: slot/),
    });
    await at(0).program.said(/(quorum lost)/);
    expect((await fetch(`${at(0).url}/?ready`)).status).toBe(503);
    const refused = await command('get', 'kept', '--timeout', '1000');
    expect(refused).toMatchObject({
      code: 3,
      stdout: '',
      stderr: expect.stringMatching(/^error: No quorum in cluster/),
    });
    expect((await command('status', '--timeout', '2000')).code).toBe(3);
    expect((await commandAt(0, 'set', 'kept', 'x')).code).toBe(3);
    at(1).program.resume();
    await until('it answers again', async () => (await fetch(`${at(0).url}/kept`)).status === 200);
    expect(await (await fetch(`${at(1).url}/kept`)).text()).toBe('as it was');
    await at(0).program.said(/quorum lost[\s\S]*quorum (in contact)/);
  });

  it('end in order when they are told to', async () => {
    const watching = await fetch(`${at(0).url}/?watch`);
    const { code, stdout, stderr } = await at(0).program.kill('SIGTERM');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/ closing\n$/);
    await watching.text();
    // A terminal tells all processes of a group, and what has started this one may pass it on. Meanwhile one asks.
    const slow = requestByHttp(`${at(1).url}/slow`, { method: 'PUT', headers: { 'Content-Length': '5' } });
    slow.on('error', () => undefined);
    slow.write('half');
    await once(slow, 'socket').then(([socket]) => (socket.connecting ? once(socket, 'connect') : null));
    at(1).program.signal('SIGINT');
    expect((await at(1).program.kill('SIGTERM')).code).toBe(0);
  });
});

it('a node needs a token beyond loopback, and asks for it', async () => {
  const place = drawPlace();
  const refused = await run(['node', '--http', '0.0.0.0:0', ...place.options], place.environment);
  expect(refused).toMatchObject({ code: 2, stderr: expect.stringMatching(/Set CONNECT_PAXOS_TOKEN to 16 characters/) });
  const token = 'sixteen-characters-or-more';
  const guarded = { ...place, environment: { ...place.environment, CONNECT_PAXOS_TOKEN: token } };
  const { url, program } = await startNode(guarded, '--cluster-size', '1');
  await program.said(/(ready)/);
  expect((await fetch(`${url}/foo`)).status).toBe(401);
  expect((await fetch(`${url}/foo`, { headers: { Authorization: `Bearer ${token}` } })).status).toBe(404);
  expect((await run(['get', 'foo', '--url', url])).code).toBe(2);
  expect((await run(['get', 'foo', '--url', url], { CONNECT_PAXOS_TOKEN: token })).code).toBe(1);
});

it('a node says what happens as JSON', async () => {
  const place = drawPlace();
  const program = new Program(
    ['node', '--cluster-size', '1', '--http', '0', '--json', ...place.options],
    place.environment,
  );
  await program.said(/"event":"(ready)"/);
  const { stdout, code } = await program.kill('SIGTERM');
  expect(code).toBe(0);
  const events = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string });
  expect(events.map(({ event }) => event)).toEqual(['starting', 'listening', 'quorum', 'ready', 'closing']);
  expect(events[1]).toMatchObject({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
});

it('a farm of one voter gets three, while it serves', async () => {
  const place = drawPlace();
  const sized = { ...place, options: [...place.options, '--cluster-size', '1'] };
  const first = await startNode(sized);
  await first.program.said(/(ready), slot 1 of 1/);
  await fetch(`${first.url}/foo`, { method: 'PUT', body: 'kept' });
  const others = await Promise.all([startNode(sized), startNode(sized)]);
  await Promise.all(others.map(({ program }) => program.said(/(ready), as a learner/)));
  const { code, stdout, stderr } = await run(['resize', '3', ...sized.options], sized.environment);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^from 1 to 3 voters: gathering/);
  expect(stdout).toMatch(/done: 3 voters\n$/);
  await first.program.kill();
  for (const { url } of others) expect(await (await fetch(`${url}/foo`)).text()).toBe('kept');
});
