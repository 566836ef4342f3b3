/** How a request is answered. */
import { type ServerResponse, STATUS_CODES } from 'node:http';
import { type Found, ttlSeconds, type Written } from '../items.js';
import type { Refusal } from './refusal.js';

/** A value that is a page must not become one of ours, with our origin, in a browser. */
const SAFE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': "default-src 'none'; sandbox",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
};

/** What a content type may be made of; what was written past this API may have any. */
const SENDABLE = /^[\x20-\x7e]{1,255}$/;

export function begin(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...SAFE_HEADERS, ...headers });
}

/** Node leaves the body out of an answer to HEAD. */
export function sendFound(response: ServerResponse, found: Found): void {
  const { type, body } = found.item;
  begin(response, 200, {
    'Content-Type': SENDABLE.test(type) ? type : 'application/octet-stream',
    'Content-Length': String(body.length),
    ...stamp(found),
    ...(found.ttlMs === null ? {} : { TTL: String(ttlSeconds(found.ttlMs)) }),
  });
  response.end(body);
}

export function sendStamp(response: ServerResponse, status: 204 | 304, written: Written): void {
  begin(response, status, stamp(written));
  response.end();
}

/** The header tells this answer from another program's to a path that it deletes. */
export function sendRemoved(response: ServerResponse): void {
  begin(response, 204, { Removed: 'true' });
  response.end();
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`);
  begin(response, status, { 'Content-Type': 'application/json', 'Content-Length': String(body.length) });
  response.end(body);
}

export function sendRefusal(response: ServerResponse, refusal: Refusal): void {
  const body = bodyOf(refusal);
  begin(response, refusal.status, headersOf(refusal, body));
  response.end(body);
}

/** The whole answer, for a connection from which no request could be read: it ends with that. */
export function bytesOf(refusal: Refusal): Buffer {
  const { status } = refusal;
  const body = bodyOf(refusal);
  const headers = { ...SAFE_HEADERS, ...headersOf(refusal, body), Connection: 'close' };
  const fields = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields.join('')}\r\n${body}`);
}

function bodyOf({ code, message }: Refusal): Buffer {
  return Buffer.from(`${JSON.stringify({ code, message })}\n`);
}

function headersOf({ headers }: Refusal, body: Buffer): Readonly<Record<string, string>> {
  return { 'Content-Type': 'application/json', 'Content-Length': String(body.length), ...headers };
}

function stamp({ version, revision }: Written): Record<string, string> {
  return { ETag: `"${version}"`, Revision: String(revision) };
}
