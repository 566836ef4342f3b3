import { EventEmitter } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { describe, expect, it, jest } from '@jest/globals';
import { bodyOf } from '../../lib/cli/http/question.js';
import { refusalOfBytes } from '../../lib/cli/http/refusal.js';
import {
  ConfigError,
  NoQuorumError,
  OutcomeUnknownError,
  OverloadedError,
  ValueTooLargeError,
} from '../../lib/errors.js';
import { pause, until } from '../cluster/waiting.js';
import { ask, closeAll, start } from './http-server.js';

closeAll();

describe('a key', () => {
  it('is set, read and removed, with its bytes and type', async () => {
    const { url } = await start();
    const bytes = Buffer.from([0, 255, 10, 13, 0x80]);
    const headers = { 'content-type': 'image/png' };
    const set = await ask(url, '/a%2Fb', { method: 'PUT', headers, body: bytes });
    expect(set).toMatchObject({ status: 204, headers: { etag: '"v1"', revision: '1' } });
    const got = await ask(url, '/a/b');
    expect(got).toMatchObject({
      status: 200,
      body: bytes,
      headers: { 'content-type': 'image/png', etag: '"v1"', revision: '1', 'content-length': '5' },
    });
    expect(got.headers.ttl).toBeUndefined();
    expect(await ask(url, '/a/b', { method: 'HEAD' })).toMatchObject({
      status: 200,
      headers: { etag: '"v1"', 'content-length': '5' },
      body: Buffer.alloc(0),
    });
    expect(await ask(url, '/a/b', { headers: { 'if-none-match': '"x", "v1"' } })).toMatchObject({ status: 304 });
    expect(await ask(url, '/a/b', { method: 'DELETE' })).toMatchObject({ status: 204, headers: { removed: 'true' } });
    expect((await ask(url, '/a/b', { method: 'DELETE' })).status).toBe(404);
    expect(await ask(url, '/a/b')).toMatchObject({ status: 404 });
    expect((await ask(url, '/a/b')).json()).toEqual({ code: 'ERR_NOT_FOUND', message: "There is no key 'a/b'." });
  });

  it('is named by the path as it stands', async () => {
    const { url } = await start();
    const keys = ['..', '.', 'a/../b', '//', 'ä ö/%', 'x'];
    for (const key of keys) await ask(url, `/${encodeURIComponent(key)}`, { method: 'POST', body: key });
    expect((await ask(url, '/../x')).status).toBe(404);
    for (const key of keys) {
      expect((await ask(url, `/${encodeURIComponent(key)}`)).body.toString()).toBe(key);
    }
    expect((await ask(url, '/a/../b')).body.toString()).toBe('a/../b');
    expect((await ask(url, '///')).body.toString()).toBe('//');
    expect((await ask(url, '/%ff')).status).toBe(400);
    expect((await ask(url, '/x?unknown=1')).json()).toMatchObject({ code: 'ERR_BAD_REQUEST' });
  });

  it('has an end if it is given one', async () => {
    const { url } = await start();
    await ask(url, '/a?ttl=0.2', { method: 'PUT', body: '1' });
    await ask(url, '/b', { method: 'PUT', body: '1', headers: { TTL: '100' } });
    await ask(url, '/c', { method: 'PUT', body: '1', headers: { 'X-TTL': '100' } });
    expect((await ask(url, '/b')).headers.ttl).toBe('100');
    expect((await ask(url, '/c')).headers.ttl).toBe('100');
    await until('it is over', async () => (await ask(url, '/a')).status === 404);
    for (const ttl of ['0', '-1', 'x', '1e3', '', '99999999999']) {
      expect((await ask(url, `/a?ttl=${ttl}`, { method: 'PUT', body: '1' })).status).toBe(400);
    }
    await ask(url, '/b', { method: 'PUT', body: '2' });
    expect((await ask(url, '/b')).headers.ttl).toBeUndefined();
  });

  it('is written on conditions', async () => {
    const { url, values } = await start();
    const put = async (headers: Record<string, string>): Promise<number> =>
      (await ask(url, '/a', { method: 'PUT', headers, body: 'x' })).status;
    expect(await put({ 'If-Match': '*' })).toBe(412);
    expect(await put({ 'If-Match': '"v1"' })).toBe(412);
    expect(await put({ 'If-None-Match': '*' })).toBe(204);
    expect(await put({ 'If-None-Match': '*' })).toBe(412);
    expect(await put({ 'If-Match': '"other", "v1"' })).toBe(204);
    expect(await put({ 'If-Match': '"v1"' })).toBe(412);
    values.interference = () => values.set('a', 'meanwhile');
    expect(await put({ 'If-Match': '*' })).toBe(204);
    values.interference = () => values.set('a', 'meanwhile');
    expect(await put({ 'If-Match': '"v4"' })).toBe(412);
    expect(await put({ 'If-Match': '*', 'If-None-Match': '*' })).toBe(400);
    expect(await put({ 'If-Match': 'v5' })).toBe(400);
    expect(await put({ 'If-Match': 'junk, "v5" junk' })).toBe(400);
    const del = async (headers: Record<string, string>): Promise<number> =>
      (await ask(url, '/a', { method: 'DELETE', headers })).status;
    expect(await del({ 'If-Match': '"v1"' })).toBe(412);
    expect(await del({ 'If-Match': '"v5"' })).toBe(204);
    expect(await del({ 'If-Match': '*' })).toBe(412);
    expect(await del({ 'If-Match': '"v5"' })).toBe(412);
    expect(await del({ 'If-None-Match': '*' })).toBe(404);
    await values.set('a', 'back');
    expect(await del({ 'If-None-Match': '*' })).toBe(412);
  });

  it('holds what an app has put there in the form that fits', async () => {
    const { url, values } = await start();
    await values.set('json', { a: 1n });
    await values.set('text', 'ä');
    await values.set('type', { type: 'text/html\r\nX: y', body: Buffer.from('b') });
    expect(await ask(url, '/json')).toMatchObject({
      body: Buffer.from('{"a":"1"}'),
      headers: { 'content-type': 'application/json' },
    });
    expect(await ask(url, '/text')).toMatchObject({ body: Buffer.from('ä') });
    expect(await ask(url, '/type')).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/octet-stream' },
    });
  });
});

it('lists keys', async () => {
  const { url } = await start();
  for (const key of ['b2', 'a', 'b1', 'b3']) await ask(url, `/${key}`, { method: 'PUT', body: '1' });
  expect((await ask(url, '/')).json()).toEqual({ keys: ['a', 'b1', 'b2', 'b3'], isComplete: true });
  expect((await ask(url, '/?prefix=b&limit=3')).json()).toEqual({ keys: ['b1', 'b2', 'b3'], isComplete: true });
  expect((await ask(url, '/?prefix=b&limit=2')).json()).toMatchObject({ isComplete: false });
  expect((await ask(url, '/?limit=0')).status).toBe(400);
  expect((await ask(url, '/', { method: 'PUT' })).status).toBe(400);
  expect((await ask(url, '/?status')).json()).toEqual({ isReady: true });
  expect((await ask(url, '/?ready')).status).toBe(200);
  expect(await ask(url, '/a', { method: 'PATCH' })).toMatchObject({
    status: 405,
    headers: { allow: 'GET, HEAD, PUT, POST, DELETE' },
  });
});

describe('a body', () => {
  /** Comes in pieces of a byte each, all in the same memory, which the next one overwrites. */
  function inBytes(size: number, maxBytes: number): Promise<Buffer> {
    const request = Object.assign(new EventEmitter(), { headers: {} });
    const body = bodyOf(request as unknown as IncomingMessage, maxBytes, () => undefined);
    const piece = Buffer.alloc(1);
    for (let at = 0; at < size; at += 1) {
      piece[0] = at % 251;
      request.emit('data', piece);
    }
    request.emit('end');
    return body;
  }

  it('is kept in one piece as it comes, and in no more than twice its bytes', async () => {
    const size = 300_000;
    const body = await inBytes(size, 1_000_000);
    expect(body.equals(Buffer.from(Array.from({ length: size }, (_, at) => at % 251)))).toBe(true);
    expect(body.buffer.byteLength).toBeLessThanOrEqual(2 * size);
    expect((await inBytes(0, 10)).length).toBe(0);
  });

  it('has the bytes that it may have, and not one more', async () => {
    expect((await inBytes(5000, 5000)).length).toBe(5000);
    await expect(inBytes(5001, 5000)).rejects.toMatchObject({ status: 413, code: 'ERR_VALUE_TOO_LARGE' });
  });
});

describe('what is no request', () => {
  const told = (url: string, text: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const socket = connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(text));
      socket.on('data', (chunk) => {
        answer += String(chunk);
      });
      socket.on('close', () => resolve(answer));
    });

  it('is told so, with a code and a message', async () => {
    const { url } = await start();
    const [head = '', body = ''] = (await told(url, 'this is no HTTP\r\n\r\n')).split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(head.split('\r\n')).toEqual(
      expect.arrayContaining([
        'Connection: close',
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'X-Content-Type-Options: nosniff',
      ]),
    );
    expect(JSON.parse(body)).toEqual({ code: 'ERR_BAD_REQUEST', message: 'That is no request of HTTP/1.1.' });
    const tooLarge = await ask(url, '/a', { headers: { a: 'x'.repeat(20_000) } });
    expect(tooLarge.status).toBe(431);
    expect(tooLarge.json()).toMatchObject({ code: 'ERR_HEAD_TOO_LARGE', message: expect.stringContaining('16 KiB') });
  });

  it.each([
    ['HPE_HEADER_OVERFLOW', 431],
    ['ERR_HTTP_REQUEST_TIMEOUT', 408],
    ['HPE_INVALID_METHOD', 400],
    [undefined, 400],
  ])('as %s has the status %i', (code, status) => {
    expect(refusalOfBytes(code).status).toBe(status);
  });
});

describe('what is too much', () => {
  it('is refused, however long it says it is, and the answer is read', async () => {
    const { url } = await start();
    const body = Buffer.alloc(3_000_000);
    expect((await ask(url, '/a', { method: 'PUT', body })).json()).toMatchObject({ code: 'ERR_VALUE_TOO_LARGE' });
    const chunked = { 'Transfer-Encoding': 'chunked' };
    expect((await ask(url, '/a', { method: 'PUT', body, headers: chunked })).status).toBe(413);
    expect((await ask(url, '/a', { method: 'PUT', body: Buffer.alloc(1000) })).status).toBe(204);
    expect((await ask(url, '/a', { method: 'PUT', body, headers: { 'Content-Encoding': 'gzip' } })).status).toBe(415);
    expect((await ask(url, '/a', { headers: { a: 'x'.repeat(20_000) } })).status).toBe(431);
  });

  it('is not asked for', async () => {
    const { url } = await start();
    const answers = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
      });
      socket.on('end', () => resolve(text));
      socket.write('PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000\r\nExpect: 100-continue\r\n\r\n');
    });
    expect(answers).toMatch(/^HTTP\/1.1 413 /);
  });

  it('is asked for when it is not', async () => {
    const { url } = await start();
    const answers = await new Promise<string>((resolve) => {
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      let text = '';
      socket.on('data', (chunk) => {
        text += String(chunk);
        if (/100 Continue\r\n\r\n$/.test(text)) socket.write('hello');
      });
      socket.on('end', () => resolve(text));
      socket.write(
        'PUT /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n',
      );
    });
    expect(answers).toMatch(/^HTTP\/1.1 100 Continue\r\n\r\nHTTP\/1.1 204 /);
  });
});

it.each([
  ['ERR_NO_QUORUM', 503, new NoQuorumError('too few')],
  ['ERR_OUTCOME_UNKNOWN', 503, new OutcomeUnknownError('who knows', 'op', { round: 1, proposer: 1 })],
  ['ERR_OVERLOADED', 503, new OverloadedError('too many')],
  ['ERR_VALUE_TOO_LARGE', 413, new ValueTooLargeError('too large')],
  ['ERR_CONFIG', 400, new ConfigError('no such key')],
])('says what has failed: %s is %i', async (code, status, error) => {
  const { url, values } = await start();
  values.failure = error;
  const answer = await ask(url, '/a', { method: 'PUT', body: '1' });
  expect(answer.status).toBe(status);
  expect(answer.json()).toEqual({ code, message: error.message });
});

it('does not say how it has failed where that is nobody’s business', async () => {
  const { url, values } = await start();
  values.failure = new TypeError('secret detail');
  const answer = await ask(url, '/a');
  expect(answer.status).toBe(500);
  expect(answer.json()).toMatchObject({ code: 'ERR_INTERNAL' });
  expect(answer.body.toString()).not.toMatch('secret detail');
});

it('a condition is heeded wherever in a head it stands, and a head with too many fields refused', async () => {
  const { url, values } = await start();
  await ask(url, '/a', { method: 'PUT', body: 'x' });
  const filler = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, '1']));
  const late = (count: number) =>
    ask(url, '/a', { method: 'PUT', body: 'y', headers: { ...filler(count), 'If-None-Match': '*' } });
  expect((await late(80)).status).toBe(412);
  const refused = await late(101);
  expect(refused.status).toBe(431);
  expect(refused.json()).toMatchObject({ code: 'ERR_TOO_MANY_HEADERS' });
  expect((await values.find('a'))?.version).toBe('v1');
});

describe('answers that their caller does not read', () => {
  it('count as requests under way until they have left, or the caller is gone', async () => {
    const { url, values } = await start({ maxValueSize: 1_000_000 });
    expect((await ask(url, '/large', { method: 'PUT', body: 'x'.repeat(900_000) })).status).toBe(204);
    const reads = jest.spyOn(values, 'find');
    const callers = Array.from({ length: 5 }, () => connect(Number(new URL(url).port), '127.0.0.1').pause());
    for (const caller of callers) {
      const before = reads.mock.calls.length;
      caller.on('error', () => undefined);
      caller.write(`GET /large HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`.repeat(100));
      // Some of it the system takes, and as many more are let in.
      await until('some are let in', () => reads.mock.calls.length > before);
      await pause(100);
    }
    expect(reads.mock.calls.length).toBeGreaterThan(100);
    expect(reads.mock.calls.length).toBeLessThan(250);
    for (const caller of callers) caller.destroy();
    reads.mockClear();
    for (let count = 0; count < 200; count += 1) expect((await ask(url, '/none')).status).toBe(404);
  });
});

describe('requests that wait for the answer to the one before, on one connection', () => {
  it('are over when their caller is gone', async () => {
    const { url, values } = await start();
    await ask(url, '/a', { method: 'PUT', body: 'x' });
    const of = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n\r\n`;
    const reads = jest.spyOn(values, 'find');
    for (let caller = 1; caller <= 2; caller += 1) {
      const before = reads.mock.calls.length;
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(of('/?watch') + of('/a').repeat(70) + of('/?watch'));
      await until('all are under way', () => reads.mock.calls.length === before + 70 && values.watchers === 2);
      socket.destroy();
      await until('nobody watches', () => values.watchers === 0);
    }
    expect((await ask(url, '/a')).status).toBe(200);
  });

  it('are not refused, where they are none, as if what came before them was not done', async () => {
    const { url, values } = await start();
    const answer = await new Promise<string>((resolve) => {
      let all = '';
      const socket = connect(Number(new URL(url).port), '127.0.0.1');
      socket.on('data', (chunk) => {
        all += String(chunk);
      });
      socket.on('close', () => resolve(all));
      // The length is too short: what is left of the body is read as the next request.
      socket.write(`PUT /a HTTP/1.1\r\nHost: ${new URL(url).host}\r\nContent-Length: 2\r\n\r\nxyz\r\n\r\n`);
    });
    await until('it is written', async () => (await values.find('a')) !== null);
    expect(answer).not.toMatch(/^HTTP\/1\.1 400/);
  });
});

it('a part of a value is refused, and not taken for all of it', async () => {
  const { url } = await start();
  await ask(url, '/a', { method: 'PUT', body: 'whole' });
  const headers = { 'Content-Range': 'bytes 3-4/5' };
  expect((await ask(url, '/a', { method: 'PUT', body: 'le', headers })).status).toBe(400);
  expect((await ask(url, '/a')).body.toString()).toBe('whole');
});

describe('changes', () => {
  it('are streamed, with an empty line first, and the watch ends with the asker', async () => {
    const { url, values } = await start();
    const ending = new AbortController();
    const response = await fetch(`${url}/?watch&prefix=a`, { signal: ending.signal });
    expect(response.headers.get('content-type')).toBe('application/x-ndjson');
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const read = async (): Promise<string> => String((await reader?.read())?.value);
    expect(await read()).toBe('\n');
    await ask(url, '/b', { method: 'PUT', body: 'x' });
    await ask(url, '/a?ttl=10', { method: 'PUT', body: 'x' });
    expect(JSON.parse(await read())).toEqual({
      kind: 'set',
      key: 'a',
      type: 'application/octet-stream',
      value: 'x',
      version: 'v2',
      revision: '2',
      ttl: 10,
    });
    await ask(url, '/a', { method: 'DELETE' });
    expect(JSON.parse(await read())).toEqual({ kind: 'removed', key: 'a' });
    await ask(url, '/ab', { method: 'PUT', body: Buffer.from([255]) });
    expect(JSON.parse(await read())).toMatchObject({ base64: '/w==' });
    ending.abort();
    await until('nobody watches', () => values.watchers === 0);
  });

  it('are answered when the watch has begun, and not before; one that can not begin is refused', async () => {
    const { url, values } = await start();
    let begin = (): void => undefined;
    values.watchable = new Promise((resolve) => {
      begin = resolve;
    });
    let isAnswered = false;
    const answered = fetch(`${url}/a?watch`).then((response) => {
      isAnswered = true;
      return response;
    });
    await until('it is asked', () => values.watches === 1);
    await ask(url, '/b', { method: 'PUT', body: 'x' });
    expect(isAnswered).toBe(false);
    begin();
    expect((await answered).status).toBe(200);
    values.failure = new ValueTooLargeError('The key is too long.');
    expect((await fetch(`${url}/a?watch`)).status).toBe(413);
  });

  it('have as many askers as the node can bear, and none when it ends', async () => {
    const { url, api, values } = await start();
    const streams = await Promise.all(Array.from({ length: 100 }, () => fetch(`${url}/a?watch`)));
    expect(streams.every(({ status }) => status === 200)).toBe(true);
    expect((await fetch(`${url}/a?watch`)).status).toBe(503);
    expect((await fetch(`${url}/a`)).status).toBe(404);
    await api.close();
    await Promise.all(streams.map((stream) => stream.text()));
    expect(values.watchers).toBe(0);
  });
});
