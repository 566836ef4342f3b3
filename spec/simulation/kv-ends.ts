/** When what keys live by may be over, and when it must be: from what clients saw, never from what the code under test says of it. */

import type { KvCall } from './kv-histories.js';

/** From when on something may be over, and from when on it must be, in true ms. */
export interface Window {
  readonly mayFromMs: number;
  readonly mustByMs: number;
}

/** Something with an end of its own: a lease, or a process. */
export interface Mortal {
  window(skewMs: number): Window;
}

/** What a key may hang on. */
export type Dependence =
  | { readonly kind: 'mortal'; readonly mortal: Mortal }
  /** @property created of the life; `null` where it is open which one it hangs on */
  | { readonly kind: 'life'; readonly key: string; readonly created: bigint | null };

/** What a write gave its key to live by. */
export interface Given {
  /** When the call was made. */
  readonly sinceMs: number;
  /** Its end, in true ms as far as its process knows them: not before, and not after. Infinite for none. */
  readonly untilFromMs: number;
  readonly untilByMs: number;
  readonly dependences: readonly Dependence[];
}

export const NO_END: Given = {
  sinceMs: 0,
  untilFromMs: Number.POSITIVE_INFINITY,
  untilByMs: Number.POSITIVE_INFINITY,
  dependences: [],
};

const OPEN: Window = { mayFromMs: Number.POSITIVE_INFINITY, mustByMs: Number.POSITIVE_INFINITY };

/** More rounds than the longest chain of lives has links. */
const MAX_ROUNDS = 100;

/** A life that others hang on, and the calls that may have had a part in it. */
interface Life {
  readonly created: bigint;
  readonly calls: readonly KvCall[];
  /** By when somebody had seen it. */
  readonly seenMs: number;
  /** Before which it had not begun. */
  readonly bornMs: number;
}

/**
 * The windows of all lives that keys hang on. Lives hang on lives, in circles too: so it begins with none being over ever,
 * and takes in what ends them until nothing changes any more.
 */
export class Ends {
  readonly #skewMs: number;
  readonly #lives = new Map<string, Life>();
  readonly #windows = new Map<string, Window>();

  constructor(callsOf: (key: string) => readonly KvCall[], given: readonly Given[], skewMs: number) {
    this.#skewMs = skewMs;
    for (const { dependences } of given) {
      for (const each of dependences) {
        if (each.kind !== 'life' || each.created === null) continue;
        this.#lives.set(nameOf(each.key, each.created), lifeOf(callsOf(each.key), each.created));
      }
    }
    for (let round = 0; round < MAX_ROUNDS && this.#look(); round += 1);
  }

  /** Of a value that was given that. */
  of(given: Given): Window {
    const { untilFromMs, untilByMs, dependences, sinceMs } = given;
    const windows = dependences.map((each): Window => {
      if (each.kind === 'mortal') return each.mortal.window(this.#skewMs);
      if (each.created === null) return { mayFromMs: sinceMs, mustByMs: Number.POSITIVE_INFINITY };
      return this.#windows.get(nameOf(each.key, each.created)) ?? OPEN;
    });
    return {
      mayFromMs: Math.min(untilFromMs - this.#skewMs, ...windows.map(({ mayFromMs }) => mayFromMs)),
      mustByMs: Math.min(untilByMs + this.#skewMs, ...windows.map(({ mustByMs }) => mustByMs)),
    };
  }

  /** @returns whether anything changed */
  #look(): boolean {
    let isChanged = false;
    for (const [name, life] of this.#lives) {
      const before = this.#windows.get(name) ?? OPEN;
      const after = this.#windowOf(life);
      this.#windows.set(name, after);
      isChanged ||= after.mayFromMs !== before.mayFromMs || after.mustByMs !== before.mustByMs;
    }
    return isChanged;
  }

  #windowOf(life: Life): Window {
    const writes = life.calls.filter((call) => mayGive(call, life)).sort((a, b) => a.invoked - b.invoked);
    const removals = life.calls.filter((call) => mayRemove(call, life)).map(({ invoked }) => invoked);
    const windows = writes.map(({ input, invoked }) => ({ invoked, ...this.of(input.given ?? NO_END) }));
    // It lives by what one of them gave it, and whatever is called after that must be over begins another life.
    let mustByMs = Number.NEGATIVE_INFINITY;
    for (const window of windows) {
      if (window.invoked <= Math.max(life.seenMs, mustByMs)) mustByMs = Math.max(mustByMs, window.mustByMs);
    }
    if (windows.length === 0) mustByMs = Number.POSITIVE_INFINITY;
    const gone = life.calls.filter((call) => showsOther(call, life)).map(({ returned }) => returned);
    return {
      mayFromMs: Math.min(...removals, ...windows.map(({ mayFromMs }) => mayFromMs)),
      mustByMs: Math.min(mustByMs, ...gone),
    };
  }
}

function nameOf(key: string, created: bigint): string {
  return `${created} ${key}`;
}

function lifeOf(calls: readonly KvCall[], created: bigint): Life {
  const seen = calls.filter(({ shown }) => shown !== null && shown !== 'absent' && shown.created === created);
  const births = seen.filter(
    ({ shown, hasWritten }) => hasWritten && shown !== 'absent' && shown?.revision === created,
  );
  return {
    created,
    calls,
    seenMs: Math.min(...seen.map(({ returned }) => returned)),
    bornMs: Math.max(Number.NEGATIVE_INFINITY, ...births.map(({ invoked }) => invoked)),
  };
}

/** Whether that call may have given that life what it lives by. */
function mayGive({ input, shown, hasWritten, output, returned }: KvCall, { created, bornMs }: Life): boolean {
  if (!input.isWriting || returned < bornMs || (output !== null && !hasWritten && input.verb !== 'put')) return false;
  if (shown === null || shown === 'absent') return true;
  if (shown.created !== created) return false;
  // One that keeps what is there gives something only where nothing was.
  return input.given !== null || shown.revision === created;
}

function mayRemove({ input, output, returned }: KvCall, { bornMs }: Life): boolean {
  return input.isRemoving && output !== '0' && returned >= bornMs;
}

/** Whether that call, made after somebody had seen the life, found it over. */
function showsOther({ shown, invoked }: KvCall, { created, seenMs }: Life): boolean {
  // At one and the same time it may have come first: with one voter a call takes none.
  return shown !== null && invoked > seenMs && (shown === 'absent' || shown.created !== created);
}
