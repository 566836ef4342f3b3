/** What the operations of a key-value store do to a key: pure functions of what they were called with and what is there. */
import type { Attributes } from './attributes.js';
import type { Bounds, Held, KeyChange, Step } from './keyed.js';

/** What is expected of a key, its value as bytes. */
export type ExpectedBytes =
  | { readonly kind: 'version'; readonly version: string }
  | { readonly kind: 'value'; readonly value: Uint8Array }
  | { readonly kind: 'absent' };

/** What a key holds, as a change finds it. */
export interface Found {
  readonly held: Held;
  readonly attributes: Attributes;
}

const REMOVE: Step = { kind: 'remove' };
const KEEP: Step = { kind: 'keep' };

/** Writes, whatever is there. */
export function setChange(value: Uint8Array, bounds: Bounds): KeyChange<null> {
  return {
    bound: bounds.untilMs,
    seals: false,
    apply: () => ({ step: { kind: 'write', value, bounds }, result: null }),
  };
}

/** Writes once: keeps what is there. Gives that, or `null`. */
export function putChange(value: Uint8Array, bounds: Bounds): KeyChange<Held | null> {
  return {
    bound: bounds.untilMs,
    seals: false,
    apply: (held) =>
      held === null ? { step: { kind: 'write', value, bounds }, result: null } : { step: KEEP, result: held },
  };
}

/** Writes what a function makes of what is there. @param bounds `null`: those that it has, or none */
export function updateChange(
  make: (found: Found | null) => Uint8Array | 'remove' | 'keep',
  bounds: Bounds | null,
): KeyChange<'written' | 'removed' | 'kept'> {
  return {
    bound: bounds?.untilMs ?? 0,
    seals: false,
    apply: (held, attributes) => {
      const made = make(held && attributes && { held, attributes });
      if (made === 'keep') return { step: KEEP, result: 'kept' };
      if (made === 'remove') return { step: held === null ? KEEP : REMOVE, result: 'removed' };
      return { step: { kind: 'write', value: made, bounds }, result: 'written' };
    },
  };
}

/** Writes if what is there is as expected. Gives whether it was. */
export function compareChange(expected: ExpectedBytes, value: Uint8Array, bounds: Bounds | null): KeyChange<boolean> {
  return {
    bound: bounds?.untilMs ?? 0,
    seals: false,
    apply: (held, attributes) =>
      isAsExpected(expected, held, attributes)
        ? { step: { kind: 'write', value, bounds }, result: true }
        : { step: KEEP, result: false },
  };
}

/** Removes what is there, and what may yet arrive of writes whose fate nobody was told; only if it is as expected, if that is given. */
export function deleteChange(expected: ExpectedBytes | null): KeyChange<boolean> {
  return {
    bound: 0,
    seals: expected === null,
    apply: (held, attributes) => {
      if (expected !== null && (held === null || !isAsExpected(expected, held, attributes)))
        return { step: KEEP, result: false };
      return { step: REMOVE, result: held !== null };
    },
  };
}

function isAsExpected(expected: ExpectedBytes, held: Held | null, attributes: Attributes | null): boolean {
  switch (expected.kind) {
    case 'absent':
      return held === null;
    case 'version':
      return attributes?.version === expected.version;
    case 'value':
      return held !== null && Buffer.compare(held.value, expected.value) === 0;
  }
}
