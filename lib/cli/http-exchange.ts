/** One question to a node's HTTP API, and its answer. */
import { type ClientRequest, type IncomingMessage, request as requestByHttp } from 'node:http';
import { request as requestByHttps } from 'node:https';
import { ConfigError } from '../errors.js';
import { CommandError } from './exit-codes.js';

/** Far more than any node answers with but lists of keys. */
const MAX_ANSWER = 64 * 2 ** 20;

/** A node shows that it is there each 15 s. */
export const SILENCE_MS = 45_000;

export interface Question {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** From `/`, in percent-encoding. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

export interface HttpPlace {
  readonly url: URL;
  readonly token: string | undefined;
  /** Ms to wait for the head of an answer, and for the whole of it. */
  readonly timeoutMs: number;
}

/** @throws ConfigError */
export function parseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url !== null && ['http:', 'https:'].includes(url.protocol) && url.search === '' && url.username === '')
    return url;
  throw new ConfigError(`Option --url got '${text.slice(0, 100)}'; it takes a node's address: http://localhost:8080.`);
}

/**
 * Sends the question as it stands: neither `fetch` nor `URL` keep a path such as `/..`.
 * @throws CommandError
 */
export function ask(place: HttpPlace, question: Question, signal?: AbortSignal): Promise<IncomingMessage> {
  const { url, token, timeoutMs } = place;
  const { method, path, headers = {}, body } = question;
  return new Promise((resolve, reject) => {
    const isSecure = url.protocol === 'https:';
    const send = isSecure ? requestByHttps : requestByHttp;
    const request: ClientRequest = send(url, {
      method,
      path: url.pathname.replace(/\/$/, '') + path,
      headers: {
        ...headers,
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'Content-Length': String(body.length) }),
      },
      // A process that is about to end needs no connection for later.
      agent: false,
      ...(signal && { signal }),
    });
    // Before that nothing has left this process.
    let mayBeSent = false;
    request.once('socket', (socket) => {
      socket.once(isSecure ? 'secureConnect' : 'connect', () => {
        mayBeSent = true;
      });
    });
    const late = setTimeout(() => request.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })), timeoutMs);
    request.once('response', (response) => {
      clearTimeout(late);
      resolve(response);
    });
    request.once('error', (error) => {
      clearTimeout(late);
      reject(unanswered(error, place, mayBeSent ? method : 'GET'));
    });
    request.end(body);
  });
}

/** @throws CommandError */
export async function bodyOf(response: IncomingMessage, place: HttpPlace, method: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const late = setTimeout(() => response.destroy(Object.assign(new Error(), { code: 'ETIMEDOUT' })), place.timeoutMs);
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > MAX_ANSWER) throw new CommandError('ERR_TOO_LARGE', `The answer of ${place.url.origin} is too large.`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw error instanceof CommandError ? error : unanswered(error, place, method);
  } finally {
    clearTimeout(late);
  }
  return Buffer.concat(chunks);
}

/** The lines of a stream that are not empty, as they come. @throws CommandError */
export async function* linesOf(response: IncomingMessage, place: HttpPlace): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  response.setTimeout(SILENCE_MS, () => response.destroy(new Error(`silent for ${SILENCE_MS / 1000} s`)));
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MAX_ANSWER) throw new CommandError('ERR_TOO_LARGE', 'A line of the stream is too long.');
      for (const line of lines) if (line !== '') yield line;
    }
  } catch (error) {
    throw error instanceof CommandError ? error : unanswered(error, place, 'GET');
  }
}

/** @param method of what was sent; one that changes nothing, where nothing was */
function unanswered(error: unknown, { url, timeoutMs }: HttpPlace, method: string): CommandError {
  const { code = '', message } = error as NodeJS.ErrnoException;
  const why = code === 'ETIMEDOUT' ? `no answer within ${timeoutMs} ms` : message || code;
  if (method === 'GET') {
    const remedy = 'Is connect-paxos node --http running there?';
    return new CommandError(code || 'ERR_UNREACHABLE', `${url.origin} does not answer (${why}). ${remedy}`, {
      cause: error,
    });
  }
  return new CommandError(
    'ERR_OUTCOME_UNKNOWN',
    `${url.origin} was told, and has not answered (${why}): it may have been done, or may be yet. Read the key to see.`,
    { cause: error },
  );
}
