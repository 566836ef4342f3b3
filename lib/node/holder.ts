import type { Holder } from '../membership/index.js';
import { LIMITS } from '../wire/index.js';

/** A slot's holder, if that is one: whatever a register or a disk holds must not get into a view, which all are sent. */
export function readHolder(value: unknown): Holder | null {
  if (typeof value !== 'object' || value === null) return null;
  const { process, generation, name } = value as Partial<Record<keyof Holder, unknown>>;
  return isWholeWithin(process, LIMITS.number48) &&
    isWholeWithin(generation, Number.MAX_SAFE_INTEGER) &&
    typeof name === 'string' &&
    name.length <= LIMITS.nameLength
    ? { process, generation, name }
    : null;
}

/** A whole number from 1 to that. */
export function isWholeWithin(value: unknown, most: number): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= most;
}
