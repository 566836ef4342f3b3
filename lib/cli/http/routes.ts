/** What each method does with a key, and with the root. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Items, WatchTarget } from '../items.js';
import { sendFound, sendJson, sendRemoved, sendStamp } from './answer.js';
import { bad, bodyOf, conditionOf, isNotModified, limitOf, type Target, targetOf, ttlMsOf } from './question.js';
import { Refusal } from './refusal.js';
import { sendChanges } from './stream.js';

const DEFAULT_KEYS = 1000;
const MAX_KEYS = 100_000;
const DEFAULT_TYPE = 'application/octet-stream';
const MAX_TYPE = 255;

export interface RoutesSetup {
  readonly items: Items;
  readonly maxValueSize: number;
  /** What the node says of itself and of the farm. */
  status(): { readonly isReady: boolean };
  /** @throws Refusal if there are too many streams; aborted when the server ends */
  openStream(): AbortController;
  closeStream(ending: AbortController): void;
}

/** @throws Refusal, and what the items reject with */
export async function answer(request: IncomingMessage, response: ServerResponse, setup: RoutesSetup): Promise<void> {
  const target = targetOf(request.url ?? '');
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (target.query.has('watch')) return await watch(request, response, target, setup);
      return target.key === '' ? await root(response, target, setup) : await find(request, response, target, setup);
    case 'PUT':
    case 'POST':
      return await write(request, response, target, setup);
    case 'DELETE':
      return await remove(request, response, target, setup);
    default:
      throw new Refusal(405, 'ERR_METHOD', 'There are GET, HEAD, PUT, POST and DELETE.', {
        Allow: 'GET, HEAD, PUT, POST, DELETE',
      });
  }
}

async function find(
  request: IncomingMessage,
  response: ServerResponse,
  { key }: Target,
  { items }: RoutesSetup,
): Promise<void> {
  const found = await items.find(key);
  if (found === null) throw notFound(key);
  if (isNotModified(request.headers, found.version)) return sendStamp(response, 304, found);
  sendFound(response, found);
}

async function root(response: ServerResponse, { query }: Target, { items, status }: RoutesSetup): Promise<void> {
  if (query.has('status')) return sendJson(response, 200, status());
  if (query.has('ready')) {
    const { isReady } = status();
    return sendJson(response, isReady ? 200 : 503, { isReady });
  }
  sendJson(response, 200, await items.keys(query.get('prefix') ?? '', limitOf(query, DEFAULT_KEYS, MAX_KEYS)));
}

async function write(
  request: IncomingMessage,
  response: ServerResponse,
  { key, query }: Target,
  { items, maxValueSize }: RoutesSetup,
): Promise<void> {
  checkKey(key);
  const type = request.headers['content-type'] ?? DEFAULT_TYPE;
  if (type.length > MAX_TYPE) throw bad(`A content type has at most ${MAX_TYPE} characters.`);
  const condition = conditionOf(request.headers);
  const ttlMs = ttlMsOf(query, request.headers);
  const body = await bodyOf(request, maxValueSize, () => response.writeContinue());
  const written = await items.write(key, { type, body }, { condition, ttlMs });
  if (written === null) throw conditionFailed();
  sendStamp(response, 204, written);
}

async function remove(
  request: IncomingMessage,
  response: ServerResponse,
  { key }: Target,
  { items }: RoutesSetup,
): Promise<void> {
  checkKey(key);
  const removal = await items.remove(key, conditionOf(request.headers));
  if (removal === 'other') throw conditionFailed();
  if (removal === 'absent') throw notFound(key);
  sendRemoved(response);
}

async function watch(
  request: IncomingMessage,
  response: ServerResponse,
  { key, query }: Target,
  { items, openStream, closeStream }: RoutesSetup,
): Promise<void> {
  if (request.method !== 'GET') throw bad('Only GET gives a stream of changes.');
  if (key !== '' && query.has('prefix'))
    throw bad('Watch a key (/KEY?watch) or a prefix (/?watch&prefix=P), not both.');
  const target: WatchTarget = key === '' ? { prefix: query.get('prefix') ?? '' } : { key };
  const ending = openStream();
  const end = (): void => ending.abort();
  response.once('close', end);
  // That is all that is heard of a stream that waits behind another answer.
  request.socket.once('close', end);
  if (response.closed || request.socket.destroyed) end();
  try {
    await sendChanges(response, await items.watch(target, ending.signal), ending.signal);
  } finally {
    end();
    request.socket.off('close', end);
    closeStream(ending);
  }
}

function checkKey(key: string): void {
  if (key === '') throw bad('The key is missing: the path is /KEY.');
}

function notFound(key: string): Refusal {
  return new Refusal(404, 'ERR_NOT_FOUND', `There is no key '${key.slice(0, 100)}'.`);
}

function conditionFailed(): Refusal {
  return new Refusal(
    412,
    'ERR_CONDITION',
    'The key is not as the request expects it: read it again. Nothing was written.',
  );
}
