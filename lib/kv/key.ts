import { ConfigError, ValueTooLargeError } from '../errors.js';
import { isTooLong, isWellFormed, MAX_KEY_SIZE } from '../node/register-key.js';

/** Names an entry of a bucket: a string, or a list of strings and numbers, of which prefixes can be asked for. */
export type Key = string | readonly (string | number)[];

/**
 * An id begins with what its key is. In a list each part ends with two NULs, and a NUL within a part is followed by U+0001:
 * no id is that of another key, and the id of the first parts is what the id of the whole begins with.
 */
const TEXT = 's';
const LIST = 'a';
const NUMBER = 'n';
const END = '\u0000\u0000';

/** @throws ConfigError for what is no key */
export function idOf(key: Key): string {
  return typeof key === 'string'
    ? TEXT + checkedText(key)
    : LIST + Array.from(parts(key), (part) => idOfPart(part)).join('');
}

/**
 * What the ids of all keys begin with that begin with `prefix`: with that text, or with those parts.
 *
 * @throws ConfigError for what is no key
 */
export function idPrefixOf(prefix: Key): string {
  return idOf(prefix);
}

/** The key of an id that {@link idOf} made; `null` for any other text. */
export function keyOf(id: string): Key | null {
  const body = id.slice(1);
  if (id.startsWith(TEXT)) return body;
  if (!id.startsWith(LIST)) return null;
  const key: (string | number)[] = [];
  for (let rest = body; rest !== ''; ) {
    const end = endOfPart(rest);
    if (end < 0) return null;
    const part = rest.slice(1, end).replaceAll('\u0000\u0001', '\u0000');
    if (rest.startsWith(NUMBER)) key.push(Number(part));
    else if (rest.startsWith(TEXT)) key.push(part);
    else return null;
    rest = rest.slice(end + END.length);
  }
  return key;
}

/** Where the first part's end mark begins; −1 if there is none. */
function endOfPart(text: string): number {
  for (let at = text.indexOf('\u0000'); at >= 0; at = text.indexOf('\u0000', at + 2)) {
    if (text[at + 1] === '\u0000') return at;
  }
  return -1;
}

/** @throws ValueTooLargeError if the whole is longer than a register's key may be */
export function registerKey(bucket: string, id: string): string {
  const key = `${bucket}/${id}`;
  if (isTooLong(key)) {
    throw new ValueTooLargeError(
      `The key is too long: with its bucket it may take ${MAX_KEY_SIZE} bytes, and it takes ${Buffer.byteLength(key)}.`,
    );
  }
  return key;
}

function parts(key: unknown): readonly unknown[] {
  if (Array.isArray(key) && key.length > 0) return key;
  throw new ConfigError(
    `A key is a string, or an array of strings and numbers with at least one; it got ${shown(key)}.`,
  );
}

function idOfPart(part: unknown): string {
  if (typeof part === 'string') return TEXT + checkedText(part).replaceAll('\u0000', '\u0000\u0001') + END;
  // −0 is 0: they are equal, and so are their keys.
  if (typeof part === 'number' && Number.isFinite(part)) return NUMBER + String(part + 0) + END;
  throw new ConfigError(`A key's part is a string or a finite number; it got ${shown(part)}.`);
}

function checkedText(text: string): string {
  if (isWellFormed(text)) return text;
  throw new ConfigError('The key is not well-formed Unicode: it contains half of a surrogate pair.');
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value).slice(0, 100);
}
