import { type Call, isLinearizable, type Model, type Transition } from '../paxos/linearizable.js';
import { Ends, type Given, NO_END, type Window } from './kv-ends.js';

export type KvVerb =
  | 'find'
  | 'set'
  | 'put'
  | 'increment'
  | 'append'
  | 'keep'
  | 'remove'
  | 'cas version'
  | 'cas value'
  | 'cas absent'
  | 'delete'
  | 'delete version';

export interface KvInput {
  readonly verb: KvVerb;
  /** What is written, or goes into it. */
  readonly text: string;
  /** Of a comparison: a value; or, by version, the number of the call that wrote it. */
  readonly expected: string;
  /** What the key is to live by; `null`: what it lived by before. */
  readonly given: Given | null;
  readonly isWriting: boolean;
  readonly isRemoving: boolean;
}

/** A call of a key under way, or done. */
export interface KvCall extends Call<KvInput> {
  readonly number: number;
  readonly input: KvInput;
  output: string | null;
  readonly invoked: number;
  returned: number;
  /** What it was shown of the key, if anything. */
  shown: { readonly created: bigint; readonly revision: bigint } | 'absent' | null;
  /** Whether it is known to have written. */
  hasWritten: boolean;
}

/** Configurations that the search for an order looks at before it gives up on a key. */
const BUDGET = 30_000;

/** What was asked of each key, and answered. */
export class KvHistories {
  readonly #byKey = new Map<string, KvCall[]>();
  #number = 0;

  get keys(): string[] {
    return [...this.#byKey.keys()];
  }

  of(key: string): readonly KvCall[] {
    return this.#byKey.get(key) ?? [];
  }

  begin(key: string, input: KvInput, invoked: number): KvCall {
    this.#number += 1;
    const call: KvCall = {
      number: this.#number,
      input,
      output: null,
      invoked,
      returned: Number.POSITIVE_INFINITY,
      shown: null,
      hasWritten: false,
    };
    const calls = this.#byKey.get(key);
    if (calls === undefined) this.#byKey.set(key, [call]);
    else calls.push(call);
    return call;
  }

  /** It was said that nothing had happened: whoever sees its effect sees a value from nowhere. */
  retract(key: string, call: KvCall): void {
    const calls = this.#byKey.get(key) ?? [];
    const index = calls.indexOf(call);
    if (index >= 0) calls.splice(index, 1);
  }

  /**
   * @param skewMs how far the clocks of those who judge expiry may be from true time
   * @returns keys whose history no order explains, and how many were given up on
   */
  judge(skewMs: number): { readonly broken: readonly string[]; readonly undecided: number } {
    const given = [...this.#byKey.values()].flatMap((calls) => calls.flatMap(({ input }) => input.given ?? []));
    const ends = new Ends((key) => this.of(key), given, skewMs);
    const broken: string[] = [];
    let undecided = 0;
    for (const [key, calls] of this.#byKey) {
      // A read that was never answered says nothing.
      const telling = calls.filter(({ output, input }) => output !== null || input.isWriting || input.isRemoving);
      const verdict = isLinearizable<KvInput>(telling, modelOf(telling, ends), BUDGET);
      if (verdict === null) undecided += 1;
      if (verdict === false) broken.push(`${key}:\n${telling.map((call) => show(call, ends)).join('\n')}`);
    }
    return { broken, undecided };
  }
}

function show(call: KvCall, ends: Ends): string {
  const { input, output, invoked, returned, number } = call;
  const { verb, text, expected, given } = input;
  const what = [verb, expected, text].filter((part) => part !== '').join(' ');
  const { mayFromMs, mustByMs } = ends.of(given ?? NO_END);
  const end =
    given === null || mayFromMs === Number.POSITIVE_INFINITY
      ? ''
      : ` over ${mayFromMs.toFixed(0)}..${mustByMs.toFixed(0)}`;
  return `  ${number}: ${invoked.toFixed(3)}..${returned.toFixed(3)} ${what}${end}: ${output ?? '?'}`;
}

/** The state of a key: who wrote it, what it was given, and its value. Empty: absent. */
function modelOf(calls: readonly KvCall[], ends: Ends): Model<KvInput> {
  const windows = new Map<string, Window>([['-', ends.of(NO_END)]]);
  for (const { number, input } of calls) {
    if (input.given !== null) windows.set(String(number), ends.of(input.given));
  }
  return {
    initial: '',
    step: (state, call) => {
      const window = windows.get(state.split(' ')[1] ?? '');
      if (window === undefined) return apply(state, call as KvCall);
      const mayBeOver = window.mayFromMs <= call.returned;
      const mustBeOver = window.mustByMs < call.invoked;
      return [...(mustBeOver ? [] : apply(state, call as KvCall)), ...(mayBeOver ? apply('', call as KvCall) : [])];
    },
  };
}

function apply(state: string, { number, input }: KvCall): Transition[] {
  const { verb, text, expected, given } = input;
  const [writer = '', kept = '-', value = ''] = state.split(' ');
  const before = state === '' ? null : value;
  const write = (written: string, output: string): Transition[] => {
    const lives = given === null ? (before === null ? '-' : kept) : String(number);
    return [{ state: `${number} ${lives} ${written}`, output }];
  };
  const stay: Transition[] = [{ state, output: before ?? '-' }];
  switch (verb) {
    case 'find':
    case 'keep':
      return stay;
    case 'set':
      return write(text, 'ok');
    case 'put':
      return before === null ? write(text, text) : stay;
    case 'increment': {
      const next = incremented(before, text);
      return write(next, next);
    }
    case 'append': {
      const next = appended(before, text);
      return write(next, next);
    }
    case 'remove':
      return [{ state: '', output: '-' }];
    case 'cas version':
      return before !== null && writer === expected ? write(text, 'ok') : stay;
    case 'cas value':
      return before !== null && before === expected ? write(text, 'ok') : stay;
    case 'cas absent':
      return before === null ? write(text, 'ok') : stay;
    case 'delete':
      return [{ state: '', output: before === null ? '0' : '1' }];
    case 'delete version':
      return before !== null && writer === expected ? [{ state: '', output: '1' }] : [{ state, output: '0' }];
  }
}

/** Values have no blanks. Each is told from all others by the call's own text. */
export function incremented(before: string | null, text: string): string {
  return `${Number((before ?? '0').split('#')[0]) + 1}#${text}`;
}

export function appended(before: string | null, text: string): string {
  return before === null ? text : `${before},${text}`;
}
