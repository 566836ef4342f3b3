/**
 * Three-way merge of what two requests made of one session. Pure; knows nothing of sessions.
 *
 * Plain objects are merged field by field; everything else (arrays, dates, maps, class instances) is one value. An
 * absent field is `undefined`.
 */
import { isDeepStrictEqual } from 'node:util';

/** The fields of a plain object. */
export type Fields = { [name: string]: unknown };

/** A field that both sides changed. `undefined` stands for an absent field. */
export interface FieldConflict {
  /** Names from the top of the session down to the field. */
  readonly path: readonly string[];
  /** What both began with. */
  readonly base: unknown;
  /** What is stored now. */
  readonly theirs: unknown;
  /** What is being saved. */
  readonly mine: unknown;
}

/** Decides a {@link FieldConflict}; `undefined` removes the field. */
export type Resolve = (conflict: FieldConflict) => unknown;

export interface MergeOptions {
  /**
   * Whether to ask also where both sides made the same of a field: of two that count up, each by one, one would be lost. Not
   * where both removed it. Default: no.
   */
  readonly asksIfAlike?: boolean;
}

/** The later save wins. */
export const mineWins: Resolve = (conflict) => conflict.mine;

/**
 * Brings the changes from `base` to `theirs` and those from `base` to `mine` together.
 *
 * - A field that one side changed becomes what that side made of it.
 * - A field removed by one side stays removed, though the other changed something below it.
 * - A field that both changed is merged in turn if both made it a plain object; otherwise `resolve` decides, unless both
 *   made the same of it.
 *
 * None of the arguments is changed; the result may share values with them.
 */
export function merge(
  base: unknown,
  theirs: unknown,
  mine: unknown,
  resolve: Resolve,
  options: MergeOptions = {},
): unknown {
  return mergeValue({ path: [], base, theirs, mine }, resolve, options);
}

function mergeValue(conflict: FieldConflict, resolve: Resolve, options: MergeOptions): unknown {
  const { base, theirs, mine } = conflict;
  if (isDeepStrictEqual(mine, base)) return theirs;
  if (isDeepStrictEqual(theirs, base)) return mine;
  const isAsked = options.asksIfAlike === true && mine !== undefined;
  if (!isAsked && isDeepStrictEqual(theirs, mine)) return mine;
  if (isPlain(theirs) && isPlain(mine)) return mergeFields(conflict, theirs, mine, resolve, options);
  const other = mine === undefined ? theirs : theirs === undefined ? mine : undefined;
  // One side removed an object, the other one changed something in it: what it was changed in is gone.
  if (isPlain(base) && isPlain(other)) return undefined;
  return resolve(conflict);
}

function mergeFields(
  { path, base }: FieldConflict,
  theirs: Fields,
  mine: Fields,
  resolve: Resolve,
  options: MergeOptions,
): Fields {
  // Objects that both sides made where there was none before have nothing in common but their name.
  const common = isPlain(base) ? base : {};
  const merged: Fields = {};
  for (const name of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const conflict = {
      path: [...path, name],
      base: ownField(common, name),
      theirs: ownField(theirs, name),
      mine: ownField(mine, name),
    };
    const value = mergeValue(conflict, resolve, options);
    if (value !== undefined) setOwnField(merged, name, value);
  }
  return merged;
}

/** Not `fields[name]`: that finds `constructor` and the like on the prototype. */
function ownField(fields: Fields, name: string): unknown {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

/** Not `fields[name] = value`: with `__proto__` that sets the prototype. */
function setOwnField(fields: Fields, name: string, value: unknown): void {
  Object.defineProperty(fields, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Whether it is an object without a class: a literal, what JSON.parse makes, or one without a prototype. */
export function isPlain(value: unknown): value is Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // `Object.prototype` by its place, not by identity: there is one in each realm.
  return (
    prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype as object, 'valueOf'))
  );
}
