/** Items by way of a node's HTTP API, for a process that is not in the farm. */
import type { IncomingMessage } from 'node:http';
import type { NodeStatus } from '../node/status.js';
import { CommandError } from './exit-codes.js';
import { ask, bodyOf, type HttpPlace, linesOf, type Question, SILENCE_MS } from './http-exchange.js';
import {
  CHANGES_TYPE,
  type Condition,
  type Found,
  type Item,
  type ItemChange,
  type Items,
  type KeyList,
  type Removal,
  type WatchTarget,
  type WriteOptions,
  type Written,
} from './items.js';

/** What a node says of a key that is not there, and of a condition that did not hold. */
const NOT_FOUND = 'ERR_NOT_FOUND';
const CONDITION = 'ERR_CONDITION';
/** Something else has answered: a proxy, or another program. */
const NOT_OF_A_NODE = 'ERR_HTTP';

export class HttpItems implements Items {
  readonly #place: HttpPlace;

  constructor(place: HttpPlace) {
    this.#place = place;
  }

  async find(key: string): Promise<Found | null> {
    const { response, body, code } = await this.#exchange({ method: 'GET', path: pathOf(key) }, 200, [NOT_FOUND]);
    if (code === NOT_FOUND) return null;
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
    const question: Question = { method: 'PUT', path: pathOf(key), headers, body };
    const { response, code } = await this.#exchange(question, 204, [CONDITION]);
    return code === CONDITION ? null : stampOf(response);
  }

  async remove(key: string, condition?: Condition): Promise<Removal> {
    const question: Question = { method: 'DELETE', path: pathOf(key), headers: conditionHeaders(condition) };
    const { response, code } = await this.#exchange(question, 204, [NOT_FOUND, CONDITION]);
    if (code !== null) return code === NOT_FOUND ? 'absent' : 'other';
    if (response.headers.removed !== 'true') throw notOfANode(response);
    return 'removed';
  }

  async keys(prefix: string, limit: number): Promise<KeyList> {
    const query = new URLSearchParams({ prefix, limit: String(limit) });
    const { response, body } = await this.#exchange({ method: 'GET', path: `/?${query}` }, 200);
    const list = jsonOf(body) as Partial<KeyList>;
    if (!Array.isArray(list.keys)) throw notOfANode(response);
    return list as KeyList;
  }

  async watch(target: WatchTarget, signal: AbortSignal): Promise<AsyncIterableIterator<ItemChange>> {
    const path =
      'key' in target ? `${pathOf(target.key)}?watch` : `/?watch&${new URLSearchParams({ prefix: target.prefix })}`;
    const response = await this.#begin(path, signal);
    if (response === null) return (async function* () {})();
    if (response.statusCode !== 200) throw refusalOf(response, await bodyOf(response, this.#place, 'GET'));
    if (response.headers['content-type'] !== CHANGES_TYPE) {
      response.destroy();
      throw notOfANode(response);
    }
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
      for await (const text of linesOf(response, this.#place)) {
        const line = JSON.parse(text) as Line | Ending;
        if ('code' in line) throw new CommandError(line.code, line.message);
        yield changeOf(line);
      }
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
  async status(signal?: AbortSignal): Promise<NodeStatus> {
    const { response, body } = await this.#exchange({ method: 'GET', path: '/?status' }, 200, [], signal);
    const status = jsonOf(body) as Partial<NodeStatus>;
    if (!Array.isArray(status.voters)) throw notOfANode(response);
    return status as NodeStatus;
  }

  /**
   * @param status of what was asked for
   * @param codes of the refusals that are an answer, too. Not their statuses: what is no node answers 404 to everything
   * @returns `code`: of the refusal; `null` for what was asked for
   * @throws CommandError for any other answer
   */
  async #exchange(
    question: Question,
    status: number,
    codes: readonly string[] = [],
    signal?: AbortSignal,
  ): Promise<{ response: IncomingMessage; body: Buffer; code: string | null }> {
    const response = await ask(this.#place, question, signal);
    const body = await bodyOf(response, this.#place, question.method);
    if (response.statusCode === status) return { response, body, code: null };
    const refusal = refusalOf(response, body);
    if (codes.includes(refusal.code)) return { response, body, code: refusal.code };
    if (refusal.code === NOT_OF_A_NODE && question.method !== 'GET' && Number(response.statusCode) >= 500) {
      throw new CommandError(
        'ERR_OUTCOME_UNKNOWN',
        `What is at ${this.#place.url.origin} answers HTTP ${response.statusCode} for the node: it may have been done, or may be yet. Read the key to see.`,
      );
    }
    throw refusal;
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

/** Why a stream ends. */
interface Ending {
  readonly code: string;
  readonly message: string;
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

/** @throws CommandError if what has answered is no node: each gives these headers with a value */
function stampOf(response: IncomingMessage): Written {
  const { etag, revision } = response.headers;
  if (etag === undefined || typeof revision !== 'string' || !/^\d{1,40}$/.test(revision)) throw notOfANode(response);
  return { version: etag.replaceAll('"', ''), revision: BigInt(revision) };
}

/** What the node says in its body or, where something else has answered, what can be said of that. */
function refusalOf(response: IncomingMessage, body: Buffer): CommandError {
  const { code, message } = jsonOf(body) as { readonly code?: unknown; readonly message?: unknown };
  if (typeof code === 'string' && typeof message === 'string') return new CommandError(code, message);
  return notOfANode(response);
}

function notOfANode({ statusCode }: IncomingMessage): CommandError {
  return new CommandError(
    NOT_OF_A_NODE,
    `The answer is HTTP ${statusCode}, as no node of a farm gives it for this. Check --url.`,
  );
}

/** An object without any property if it is no object in JSON. */
function jsonOf(body: Buffer): object {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
