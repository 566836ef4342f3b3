/** What a request asks for, read from its line and headers. */
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Condition } from '../items.js';
import { Gathered } from './gathered.js';
import { Refusal } from './refusal.js';

/** Seconds: a hundred years. */
const MAX_TTL = 100 * 366 * 86_400;
const MAX_ETAGS = 100;
const QUERY_NAMES = ['ttl', 'watch', 'prefix', 'limit', 'status', 'ready'];

export interface Target {
  /** Empty for the root. */
  readonly key: string;
  readonly query: URLSearchParams;
}

/**
 * Reads the line's path as it stands: `URL` would take `/a/../b` and `/b` for one key.
 * @throws Refusal
 */
export function targetOf(url: string): Target {
  if (!url.startsWith('/')) throw bad('The path of a request is /KEY.');
  const [path = '', ...rest] = url.split('?');
  const query = new URLSearchParams(rest.join('?'));
  const unknown = [...query.keys()].find((name) => !QUERY_NAMES.includes(name));
  if (unknown !== undefined) {
    throw bad(
      `There is no parameter '${unknown.slice(0, 40)}'; there are ${QUERY_NAMES.join(', ')}. A '?' in a key is written %3F.`,
    );
  }
  try {
    return { key: decodeURIComponent(path.slice(1)), query };
  } catch {
    throw bad("The key is not UTF-8 in percent-encoding; a '%' in it is written %25.");
  }
}

/** Ms to live, by the parameter or one of the headers; `undefined` for no end. @throws Refusal */
export function ttlMsOf(query: URLSearchParams, headers: IncomingHttpHeaders): number | undefined {
  const text = query.get('ttl') ?? headers.ttl ?? headers['x-ttl'];
  if (text === undefined) return undefined;
  const seconds = typeof text === 'string' && /^\d{1,10}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN;
  if (seconds > 0 && seconds <= MAX_TTL) return Math.round(seconds * 1000);
  throw bad(`A time to live is a number of seconds, above 0 and up to ${MAX_TTL}; got '${String(text).slice(0, 40)}'.`);
}

/** What `If-Match` and `If-None-Match` say about a write. @throws Refusal */
export function conditionOf(headers: IncomingHttpHeaders): Condition | undefined {
  const match = headers['if-match'];
  const noneMatch = headers['if-none-match'];
  if (match !== undefined && noneMatch !== undefined) throw bad('Give If-Match or If-None-Match, not both.');
  if (noneMatch !== undefined) {
    if (noneMatch.trim() === '*') return { kind: 'absent' };
    throw bad("If-None-Match of a write takes * only: it is written if the key isn't there.");
  }
  if (match === undefined) return undefined;
  if (match.trim() === '*') return { kind: 'present' };
  return { kind: 'version', versions: etagsOf(match) };
}

/** Whether what the asker has is still what there is: it needs no body then. @throws Refusal */
export function isNotModified(headers: IncomingHttpHeaders, version: string): boolean {
  const noneMatch = headers['if-none-match'];
  if (noneMatch === undefined) return false;
  return noneMatch.trim() === '*' || etagsOf(noneMatch).includes(version);
}

export function limitOf(query: URLSearchParams, otherwise: number, max: number): number {
  const text = query.get('limit');
  if (text === null) return otherwise;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= max) return limit;
  throw bad(`A limit is a whole number from 1 to ${max}; got '${text.slice(0, 40)}'.`);
}

/**
 * @param askFor called when it is certain that the body is wanted, for those who wait for that before they send it
 * @throws Refusal for a body that is too large, or comes in a form that would not come back
 */
export async function bodyOf(request: IncomingMessage, maxBytes: number, askFor: () => void): Promise<Buffer> {
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Refusal(415, 'ERR_ENCODING', 'A body comes as it is, without Content-Encoding.');
  }
  if (request.headers['content-range'] !== undefined)
    throw bad('A value is written as a whole, without Content-Range.');
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes);
  if (request.headers.expect !== undefined) askFor();
  return new Promise((resolve, reject) => {
    const body = new Gathered(maxBytes);
    const fail = (error: Error): void => {
      request.off('data', onData);
      reject(error);
    };
    const onData = (chunk: Buffer): void => {
      if (!body.add(chunk)) fail(tooLarge(maxBytes));
    };
    request.on('data', onData);
    request.once('end', () => resolve(body.bytes));
    request.once('error', fail);
    request.once('close', () => fail(bad('The body ended before its end.')));
  });
}

function tooLarge(maxBytes: number): Refusal {
  return new Refusal(413, 'ERR_VALUE_TOO_LARGE', `A value has at most ${maxBytes} bytes in this farm.`);
}

const ETAGS = /^\s*(?:W\/)?"[\x21\x23-\x7e]*"\s*(?:,\s*(?:W\/)?"[\x21\x23-\x7e]*"\s*)*$/;

/** `"a", W/"b"`. A weak one is as good as another here: versions stand for bytes. */
function etagsOf(header: string): string[] {
  if (!ETAGS.test(header)) throw badEtags();
  const etags = [...header.matchAll(/(?:W\/)?"([\x21\x23-\x7e]*)"/g)].map(([, version = '']) => version);
  if (etags.length > 0 && etags.length <= MAX_ETAGS) return etags;
  throw badEtags();
}

function badEtags(): Refusal {
  return bad(`If-Match and If-None-Match take * or 1 to ${MAX_ETAGS} ETags in quotes: "…".`);
}

export function bad(message: string): Refusal {
  return new Refusal(400, 'ERR_BAD_REQUEST', message);
}
