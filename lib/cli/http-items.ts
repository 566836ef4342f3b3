/** Items by way of a node's HTTP API, for a process that is not in the farm. */
import type { IncomingMessage } from 'node:http';
import type { NodeStatus } from '../node/status.js';
import { CommandError } from './exit-codes.js';
import { ask, bodyOf, type HttpPlace, linesOf, type Question, SILENCE_MS } from './http-exchange.js';
import type {
  Condition,
  Found,
  Item,
  ItemChange,
  Items,
  KeyList,
  Removal,
  WatchTarget,
  WriteOptions,
  Written,
} from './items.js';

export class HttpItems implements Items {
  readonly #place: HttpPlace;

  constructor(place: HttpPlace) {
    this.#place = place;
  }

  async find(key: string): Promise<Found | null> {
    const { response, body } = await this.#exchange({ method: 'GET', path: pathOf(key) }, [200, 404]);
    if (response.statusCode === 404) return null;
    const { 'content-type': type = 'application/octet-stream', ttl } = response.headers;
    return {
      key,
      item: { type, body },
      ...stampOf(response),
      ttlMs: ttlMsOf(ttl),
    };
  }

  async write(key: string, { type, body }: Item, { ttlMs, condition }: WriteOptions = {}): Promise<Written | null> {
    const headers = {
      'Content-Type': type,
      ...conditionHeaders(condition),
      ...(ttlMs === undefined ? {} : { TTL: String(ttlMs / 1000) }),
    };
    const { response } = await this.#exchange({ method: 'PUT', path: pathOf(key), headers, body }, [204, 412]);
    return response.statusCode === 412 ? null : stampOf(response);
  }

  async remove(key: string, condition?: Condition): Promise<Removal> {
    const question: Question = { method: 'DELETE', path: pathOf(key), headers: conditionHeaders(condition) };
    const { response } = await this.#exchange(question, [204, 404, 412]);
    if (response.statusCode === 204) return 'removed';
    return response.statusCode === 404 ? 'absent' : 'other';
  }

  async keys(prefix: string, limit: number): Promise<KeyList> {
    const query = new URLSearchParams({ prefix, limit: String(limit) });
    const { body } = await this.#exchange({ method: 'GET', path: `/?${query}` }, [200]);
    return JSON.parse(body.toString()) as KeyList;
  }

  async watch(target: WatchTarget, signal: AbortSignal): Promise<AsyncIterableIterator<ItemChange>> {
    const path =
      'key' in target ? `${pathOf(target.key)}?watch` : `/?watch&${new URLSearchParams({ prefix: target.prefix })}`;
    const response = await this.#begin(path, signal);
    if (response === null) return (async function* () {})();
    if (response.statusCode !== 200) throw refusalOf(response, await bodyOf(response, this.#place, 'GET'));
    return this.#changesOf(response, signal);
  }

  /** @returns `null` if it was ended before; a node answers when its watch has begun, and says itself what keeps it from that */
  async #begin(path: string, signal: AbortSignal): Promise<IncomingMessage | null> {
    try {
      return await ask({ ...this.#place, timeoutMs: SILENCE_MS }, { method: 'GET', path }, signal);
    } catch (error) {
      if (signal.aborted) return null;
      throw error;
    }
  }

  async *#changesOf(response: IncomingMessage, signal: AbortSignal): AsyncGenerator<ItemChange> {
    try {
      for await (const line of linesOf(response, this.#place)) yield changeOf(JSON.parse(line) as Line);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    if (!signal.aborted)
      throw new CommandError(
        'ERR_CLOSED',
        `${this.#place.url.origin} has ended the stream: it is gone, or was closed.`,
      );
  }

  /** What that node says of itself and of the farm. */
  async status(): Promise<NodeStatus> {
    const { body } = await this.#exchange({ method: 'GET', path: '/?status' }, [200]);
    return JSON.parse(body.toString()) as NodeStatus;
  }

  /** @throws CommandError for an answer that is none of the expected */
  async #exchange(
    question: Question,
    expected: readonly number[],
  ): Promise<{ response: IncomingMessage; body: Buffer }> {
    const response = await ask(this.#place, question);
    const body = await bodyOf(response, this.#place, question.method);
    if (!expected.includes(response.statusCode ?? 0)) throw refusalOf(response, body);
    return { response, body };
  }
}

interface Line {
  readonly kind: 'set' | 'removed';
  readonly key: string;
  readonly type: string;
  readonly value?: string;
  readonly base64?: string;
  readonly version: string;
  readonly revision: string;
  /** Seconds; left out if the key has no end. */
  readonly ttl?: number;
}

function changeOf({ kind, key, type, value, base64, version, revision, ttl }: Line): ItemChange {
  if (kind === 'removed') return { kind, key, found: null };
  const body = base64 === undefined ? Buffer.from(value ?? '') : Buffer.from(base64, 'base64');
  return { kind, key, found: { key, item: { type, body }, version, revision: BigInt(revision), ttlMs: ttlMsOf(ttl) } };
}

/** @param ttl in seconds; left out if the key has no end */
function ttlMsOf(ttl: unknown): number | null {
  return ttl === undefined ? null : Number(ttl) * 1000;
}

function pathOf(key: string): string {
  return `/${encodeURIComponent(key)}`;
}

function conditionHeaders(condition: Condition | undefined): Record<string, string> {
  switch (condition?.kind) {
    case undefined:
      return {};
    case 'absent':
      return { 'If-None-Match': '*' };
    case 'present':
      return { 'If-Match': '*' };
    case 'version':
      return { 'If-Match': condition.versions.map((version) => `"${version}"`).join(', ') };
  }
}

function stampOf({ headers }: IncomingMessage): Written {
  const { etag = '', revision } = headers;
  return { version: etag.replaceAll('"', ''), revision: BigInt(typeof revision === 'string' ? revision : 0) };
}

/** What the node says in its body or, where something else has answered, what can be said of that. */
function refusalOf({ statusCode }: IncomingMessage, body: Buffer): CommandError {
  try {
    const { code, message } = JSON.parse(body.toString()) as { readonly code: unknown; readonly message: unknown };
    if (typeof code === 'string' && typeof message === 'string') return new CommandError(code, message);
  } catch {
    // It is no JSON.
  }
  return new CommandError(
    'ERR_HTTP',
    `The answer is HTTP ${statusCode}, which no node of a farm gives for this. Check --url.`,
  );
}
