/** The changes that the specs make to registers. Values are lists of tokens, as text: `a,b,c`. */
import { type Change, type Current, type Decision, FOREVER, NO_BYTES } from '../../lib/paxos/index.js';

export function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** A value as text; `-` when absent. */
export function decode(value: Uint8Array | null): string {
  return value === null ? '-' : new TextDecoder().decode(value);
}

const NO_WRITE = null;

function change(bound: number, apply: (text: string | null, current: Current) => Decision<string>): Change<string> {
  return {
    bound,
    mayRemove: false,
    seals: false,
    apply: (current) => apply(current.value === null ? null : decode(current.value), current),
  };
}

/** A write, and the answer that it took effect or came too late for its own life. */
function write(text: string, until: number, { nowMs }: Current, result: string): Decision<string> {
  return {
    write: { value: encode(text), attributes: NO_BYTES, until },
    result: until <= nowMs ? 'late' : result,
  };
}

export function set(text: string, until = FOREVER): Change<string> {
  return change(until, (_, current) => write(text, until, current, 'ok'));
}

/** Write-once: answers the value that was first. */
export function put(text: string, until = FOREVER): Change<string> {
  return change(until, (before, current) =>
    before === null ? write(text, until, current, text) : { write: NO_WRITE, result: before },
  );
}

/** Adds a token to the list, and answers the list. */
export function append(token: string, until = FOREVER): Change<string> {
  return change(until, (before, current) => {
    const text = before === null ? token : `${before},${token}`;
    return write(text, until, current, text);
  });
}

/** Adds one to a number, and answers it. */
export function increment(until = FOREVER): Change<string> {
  return change(until, (before, current) => {
    const text = String(Number(before ?? 0) + 1);
    return write(text, until, current, text);
  });
}

/** Compare and set: answers `ok`, or what it found instead. */
export function compareAndSet(expected: string, text: string, until = FOREVER): Change<string> {
  return change(until, (before, current) =>
    before === expected ? write(text, until, current, 'ok') : { write: NO_WRITE, result: before ?? '-' },
  );
}

/** Gives the value another end, and leaves it alone otherwise; answers it. */
export function touch(until: number): Change<string> {
  return change(until, (before, current) =>
    before === null ? { write: NO_WRITE, result: '-' } : write(before, until, current, before),
  );
}

/** Removes the value; leaves a tombstone in any case. */
export function destroy(): Change<string> {
  return {
    bound: 0,
    mayRemove: true,
    seals: true,
    apply: () => ({ write: { value: null, attributes: NO_BYTES, until: 0 }, result: 'ok' }),
  };
}

/** Changes nothing, by a classic round: settles what is half done and seals what has expired. */
export function observe(): Change<string> {
  return change(0, (before) => ({ write: NO_WRITE, result: before ?? '-' }));
}
