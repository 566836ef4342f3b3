/**
 * An application's values to bytes and back, nothing lost on the way: what comes out is what went in, of the same type.
 *
 * msgpackr alone would give a `Map` back as an object, −0 as 0, half a surrogate pair as another character and the key
 * `__proto__` by another name, or do it by extensions that any program's use of the package could redefine. So only plain
 * MessagePack is used: what has a type of its own there stands for itself, all else is an array that begins with a tag.
 */
import { isDate, isMap, isSet, isUint8Array } from 'node:util/types';
import { Packr, Unpackr } from 'msgpackr';
import { PACK_OPTIONS } from './format.js';

/** What an array begins with: what the rest of it is. Never reused for another meaning. */
const TAG = {
  array: 0,
  /** Keys and values in turn; so is a map's. */
  object: 1,
  map: 2,
  set: 3,
  /** Ms since 1970; NaN for an invalid date. */
  date: 4,
  /** Hexadecimal digits, behind a minus or not. */
  bigint: 5,
  undefined: 6,
  minusZero: 7,
  /** UTF-16, of a string that has no UTF-8. */
  text: 8,
} as const;

/** Objects in objects, at most. */
export const MAX_VALUE_DEPTH = 200;

type Tree = null | boolean | number | string | Uint8Array | readonly Tree[];

const packr = new Packr(PACK_OPTIONS);
const unpackr = new Unpackr(PACK_OPTIONS);

/**
 * The bytes of a value: `null`, `undefined`, booleans, numbers, strings and bigints of any kind and size, `Date`, `Map`,
 * `Set`, `Uint8Array` and `Buffer`, arrays and plain objects of all these. What stands at two places comes out twice; a
 * hole in an array comes out as `undefined`, a `Uint8Array` as a `Buffer`.
 *
 * @throws TypeError that says where it is, for anything else (functions, symbols, instances of classes), for what contains
 *   itself, and for what is nested deeper than {@link MAX_VALUE_DEPTH}
 */
export function encodeValue(value: unknown): Uint8Array {
  // A copy: what is packed shares its memory with other things packed about the same time.
  return new Uint8Array(packr.pack(new Planter().plant(value)));
}

/**
 * The value of such bytes. Nothing of it refers to them.
 *
 * @throws Error for bytes that no version of this package made, or that a later one did
 */
export function decodeValue(bytes: Uint8Array): unknown {
  // msgpackr notes a view of the bytes on the object that it is given; that stays with an object of our own.
  return harvest(unpackr.unpack(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)));
}

/** Value to tree. */
class Planter {
  /** Of what is being looked at, outermost first; and the ways from each to the next. */
  readonly #within: object[] = [];
  readonly #path: (string | number)[] = [];

  plant(value: unknown): Tree {
    switch (typeof value) {
      case 'boolean':
        return value;
      case 'number':
        return Object.is(value, -0) ? [TAG.minusZero] : value;
      case 'string':
        return isWellFormed(value) ? value : [TAG.text, Buffer.from(value, 'utf16le')];
      case 'bigint':
        return [TAG.bigint, value.toString(16)];
      case 'undefined':
        return [TAG.undefined];
      case 'object':
        return value === null ? null : this.#plantObject(value);
      default:
        throw this.#refusal(`a ${typeof value}`);
    }
  }

  #plantObject(value: object): Tree {
    if (isUint8Array(value)) return Buffer.from(value.buffer, value.byteOffset, value.length);
    if (isDate(value) && ancestorsOf(value) === 2) return [TAG.date, value.getTime()];
    if (this.#within.includes(value)) throw this.#refusal('the same object again that contains it');
    if (this.#within.length === MAX_VALUE_DEPTH) throw this.#refusal(`nested deeper than ${MAX_VALUE_DEPTH} objects`);
    this.#within.push(value);
    const tree = this.#plantAll(value);
    this.#within.pop();
    return tree;
  }

  #plantAll(value: object): Tree {
    if (Array.isArray(value)) {
      return [TAG.array, ...Array.from(value, (each, index) => this.#plantAt(index, each))];
    }
    if (isMap(value) && ancestorsOf(value) === 2) {
      const entries = [...value].flatMap(([key, each], index) => [
        this.#plantAt(` (key ${index} of the Map)`, key),
        this.#plantAt(` (value ${index} of the Map)`, each),
      ]);
      return [TAG.map, ...entries];
    }
    if (isSet(value) && ancestorsOf(value) === 2) {
      return [TAG.set, ...[...value].map((each, index) => this.#plantAt(` (element ${index} of the Set)`, each))];
    }
    if (ancestorsOf(value) > 1) throw this.#refusal(`an instance of ${classOf(value)}`);
    if (Object.getOwnPropertySymbols(value).length > 0) throw this.#refusal('an object with a symbol for a key');
    return [
      TAG.object,
      ...Object.entries(value).flatMap(([key, each]) => [this.plant(key), this.#plantAt(`.${key}`, each)]),
    ];
  }

  #plantAt(step: string | number, value: unknown): Tree {
    this.#path.push(step);
    const tree = this.plant(value);
    this.#path.pop();
    return tree;
  }

  #refusal(what: string): TypeError {
    const steps = this.#path.map((step) => (typeof step === 'number' ? `[${step}]` : step));
    const where = `value${steps.join('')}`.slice(0, 300);
    return new TypeError(
      `${where} is ${what}, which can't be sent or stored: take plain objects, arrays, Map, Set, Date, Uint8Array and what is no object.`,
    );
  }
}

/** How many prototypes it has, one behind the other: 1 for a plain object, 2 for a `Map`, more for what is derived from it. */
function ancestorsOf(value: object): number {
  let count = 0;
  for (let each = Object.getPrototypeOf(value); each !== null; each = Object.getPrototypeOf(each)) count += 1;
  return count;
}

function classOf(value: object): string {
  const name: unknown = value.constructor?.name;
  return typeof name === 'string' && name !== '' ? name : 'a class';
}

/** Whether it has no half of a surrogate pair alone, which no UTF-8 stands for. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** Tree to value. */
function harvest(tree: unknown): unknown {
  if (tree instanceof Uint8Array) return Buffer.from(new Uint8Array(tree).buffer);
  if (!Array.isArray(tree)) {
    if (tree === null || ['boolean', 'number', 'string'].includes(typeof tree)) return tree;
    throw unreadable(typeof tree);
  }
  const [tag, ...rest] = tree as readonly unknown[];
  const [first] = rest;
  switch (tag) {
    case TAG.array:
      return rest.map(harvest);
    case TAG.object:
      return objectOf(rest);
    case TAG.map:
      return new Map(pairsOf(rest));
    case TAG.set:
      return new Set(rest.map(harvest));
    case TAG.date:
      if (typeof first === 'number') return new Date(first);
      break;
    case TAG.bigint:
      if (typeof first === 'string' && /^-?[0-9a-f]+$/.test(first)) return bigintOf(first);
      break;
    case TAG.undefined:
      return undefined;
    case TAG.minusZero:
      return -0;
    case TAG.text:
      if (first instanceof Uint8Array) return Buffer.from(first).toString('utf16le');
      break;
  }
  throw unreadable(`tag ${String(tag).slice(0, 20)}`);
}

function pairsOf(list: readonly unknown[]): (readonly [unknown, unknown])[] {
  if (list.length % 2 !== 0) throw unreadable('a key without a value');
  return Array.from({ length: list.length / 2 }, (_, index) => [
    harvest(list[2 * index]),
    harvest(list[2 * index + 1]),
  ]);
}

function objectOf(list: readonly unknown[]): object {
  const object: Record<string, unknown> = {};
  for (const [key, value] of pairsOf(list)) {
    if (typeof key !== 'string') throw unreadable('a key that is no string');
    // Assigned, that one would become the object's prototype.
    if (key === '__proto__') {
      Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true });
    } else object[key] = value;
  }
  return object;
}

function bigintOf(text: string): bigint {
  return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`);
}

function unreadable(what: string): Error {
  return new Error(`The bytes are no value that this version of connect-paxos knows (${what}).`);
}
