import { decode, encode } from './bytes.js';
import type { Fields } from './merge.js';

/**
 * Turns a session's data (all of it but the cookie) into text and back. The global `JSON` is one.
 *
 * `stringify` should give the same text for the same data: a session that was loaded and not changed is recognised by
 * it, and then not written. `parse` makes a new object at each call.
 */
export interface TextSerializer {
  readonly format?: 'text' | undefined;
  stringify(data: Fields): string;
  parse(text: string): unknown;
}

/**
 * The same, with bytes.
 *
 * @example
 * import { pack, unpack } from 'msgpackr';
 * const serializer = { format: 'bytes', stringify: pack, parse: unpack } as const;
 */
export interface BytesSerializer {
  readonly format: 'bytes';
  /** The bytes are copied before this is called again. */
  stringify(data: Fields): Uint8Array;
  parse(bytes: Uint8Array): unknown;
}

/** How a session's data is stored: see {@link TextSerializer} and {@link BytesSerializer}. */
export type SessionSerializer = TextSerializer | BytesSerializer;

/** @throws TypeError when `stringify` does not return what its format says; and whatever it throws */
export function serialize(serializer: SessionSerializer, data: Fields): Uint8Array {
  if (serializer.format !== 'bytes') {
    const text: unknown = serializer.stringify(data);
    if (typeof text !== 'string') {
      const remedy = text instanceof Uint8Array ? "; one that returns bytes says so with format: 'bytes'" : '';
      throw new TypeError(
        `The session serializer's stringify returned ${nameOf(text)}; it must return a string${remedy}.`,
      );
    }
    return encode(text);
  }
  const bytes: unknown = serializer.stringify(data);
  if (!(bytes instanceof Uint8Array)) {
    throw new TypeError(
      `The session serializer's stringify returned ${nameOf(bytes)}; with format: 'bytes' it must return a Uint8Array.`,
    );
  }
  // Packers give out views of one buffer that they use again.
  return new Uint8Array(bytes);
}

/** For people; of no value, which may be secret. */
function nameOf(value: unknown): string {
  if (value instanceof Promise) return 'a promise';
  if (value instanceof Uint8Array) return 'a Uint8Array';
  return value === null ? 'null' : typeof value;
}

/** @throws TypeError when `parse` does not return an object; and whatever `parse` throws */
export function deserialize(serializer: SessionSerializer, bytes: Uint8Array): Fields {
  // A copy: unpackers give out views of what they are given, and this is what a voter holds.
  const data =
    serializer.format === 'bytes' ? serializer.parse(new Uint8Array(bytes)) : serializer.parse(decode(bytes));
  if (typeof data !== 'object' || data === null) {
    throw new TypeError(`The session serializer's parse returned ${String(data)}; it must return an object.`);
  }
  return data as Fields;
}

/** The data of a session object: its own fields but the cookie, or what its `toJSON` says instead. */
export function dataOf(session: object): Fields {
  const said: unknown = 'toJSON' in session && typeof session.toJSON === 'function' ? session.toJSON() : session;
  // A copy by spreading keeps a field named `__proto__` a field.
  const { cookie: _, ...data } = typeof said === 'object' && said !== null ? (said as Fields) : {};
  return data;
}
