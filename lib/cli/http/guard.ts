/** Who may ask: those who know the token or, where there is none, the programs of this machine and not the pages in its browsers. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { ConfigError } from '../../errors.js';
import { type HttpAddress, isLoopback } from './address.js';
import { Refusal } from './refusal.js';

const MIN_TOKEN = 16;
/** What a header can carry without quotes: RFC 6750's b64token, and a little more. */
const TOKEN = /^[\x21-\x7e]{16,512}$/;

export type Guard = (headers: IncomingHttpHeaders) => void;

/**
 * @param token `undefined`: none is asked for, which is for the loopback interface only
 * @returns a function that throws a {@link Refusal} for a request that may not be done
 * @throws ConfigError
 */
export function createGuard({ host }: HttpAddress, token: string | undefined): Guard {
  if (token !== undefined) validateToken(token);
  if (token === undefined && !isLoopback(host)) {
    throw new ConfigError(
      `Without a token the HTTP API listens on loopback only, and ${host} is more: whoever reaches it could read and write all. Set CONNECT_PAXOS_TOKEN to ${MIN_TOKEN} characters or more, or use --http 127.0.0.1:PORT.`,
    );
  }
  const expected = token === undefined ? null : digest(token);
  return (headers) => {
    if (expected === null) checkHost(headers.host);
    else checkToken(headers.authorization, expected);
    checkOrigin(headers);
  };
}

/** @throws ConfigError if no header could carry it, or it could be guessed */
export function validateToken(token: string): void {
  if (TOKEN.test(token)) return;
  throw new ConfigError(
    `The token of the HTTP API has ${token.length} characters; it takes ${MIN_TOKEN} to 512, none of them a space, the end of a line, or beyond ASCII. openssl rand -hex 16 makes one.`,
  );
}

/** A page whose name was bound to 127.0.0.1 after it was loaded asks under that name: DNS rebinding. */
function checkHost(header: string | undefined): void {
  const [, bracketed, plain] = /^(?:\[([^\]]+)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(header ?? '') ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && isLoopback(host.replace(/\.$/, ''))) return;
  throw new Refusal(
    421,
    'ERR_HOST',
    'Without a token this node answers under the names localhost, 127.0.0.1 and [::1] only. To use another, set CONNECT_PAXOS_TOKEN where the node is started.',
  );
}

/** A page can send a form to any address, and needs no answer to do harm. */
function checkOrigin(headers: IncomingHttpHeaders): void {
  const site = headers['sec-fetch-site'];
  if (headers.origin === undefined && (site === undefined || site === 'none')) return;
  throw new Refusal(403, 'ERR_ORIGIN', 'Pages in a browser may not use this API: ask it from a server of yours.');
}

function checkToken(header: string | undefined, expected: Buffer): void {
  const [, given] = /^Bearer +(\S+)$/i.exec(header ?? '') ?? [];
  // Of digests, which are of one length, the comparison takes the same time for all.
  if (given !== undefined && timingSafeEqual(digest(given), expected)) return;
  const problem = given === undefined ? '' : ', error="invalid_token"';
  throw new Refusal(
    401,
    'ERR_UNAUTHORIZED',
    given === undefined
      ? 'This node asks for a token: send Authorization: Bearer and the CONNECT_PAXOS_TOKEN that it was started with.'
      : 'The token is not the one that this node was started with.',
    { 'WWW-Authenticate': `Bearer realm="connect-paxos"${problem}` },
  );
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
