import { FOREVER } from '../../lib/paxos/index.js';
import { type Call, isLinearizable, type Model, type Transition } from '../paxos/linearizable.js';

export type Verb = 'get' | 'set' | 'put' | 'cas' | 'increment' | 'append' | 'touch' | 'remove';

export interface Input {
  readonly verb: Verb;
  /** What is written. */
  readonly text: string;
  /** What a compare-and-set expects. */
  readonly expected: string;
  /** End of the life that it gives, in true ms as far as its process knows them. */
  readonly untilMs: number;
}

/** An operation under way, or done. */
export interface Entry {
  readonly input: Input;
  output: string | null;
  readonly invoked: number;
  returned: number;
}

/** Configurations that the search for an order looks at before it gives up on a key. */
const BUDGET = 30_000;

/** What was asked of each register, and answered. */
export class Histories {
  readonly #byKey = new Map<string, Entry[]>();

  get keys(): string[] {
    return [...this.#byKey.keys()];
  }

  get operations(): number {
    return [...this.#byKey.values()].reduce((sum, entries) => sum + entries.length, 0);
  }

  /** Keys of values without an end. */
  get endless(): string[] {
    return [...this.#byKey].flatMap(([key, entries]) => (entries.some(({ input }) => isEndless(input)) ? key : []));
  }

  length(key: string): number {
    return this.#byKey.get(key)?.length ?? 0;
  }

  begin(key: string, input: Input, invoked: number): Entry {
    const entry: Entry = { input, output: null, invoked, returned: Number.POSITIVE_INFINITY };
    const entries = this.#byKey.get(key);
    if (entries === undefined) this.#byKey.set(key, [entry]);
    else entries.push(entry);
    return entry;
  }

  /** It was said that nothing had happened: whoever sees its effect sees a value from nowhere. */
  retract(key: string, entry: Entry): void {
    const entries = this.#byKey.get(key) ?? [];
    entries.splice(entries.indexOf(entry), 1);
  }

  /**
   * @param skewMs how far the clocks of those who judge expiry may be from true time
   * @returns keys whose history no order explains, and how many were given up on
   */
  judge(skewMs: number): { readonly broken: readonly string[]; readonly undecided: number } {
    const model = modelOf(skewMs);
    const broken: string[] = [];
    let undecided = 0;
    for (const [key, entries] of this.#byKey) {
      // A read that was never answered says nothing.
      const calls: Call<Input>[] = entries.filter(({ output, input }) => output !== null || input.verb !== 'get');
      const verdict = isLinearizable(calls, model, BUDGET);
      if (verdict === null) undecided += 1;
      if (verdict === false) broken.push(`${key}:\n${calls.map(show).join('\n')}`);
    }
    return { broken, undecided };
  }
}

function isEndless({ verb, untilMs }: Input): boolean {
  return untilMs === FOREVER && verb !== 'get' && verb !== 'remove';
}

function show({ input, output, invoked, returned }: Call<Input>): string {
  const { verb, text, expected, untilMs } = input;
  const what = [verb, ...(verb === 'cas' ? [expected] : []), text].join(' ');
  const end = untilMs === FOREVER ? '' : ` until ${untilMs.toFixed(0)}`;
  return `  ${invoked.toFixed(3)}..${returned.toFixed(3)} ${what}${end}: ${output ?? '?'}`;
}

/** The register as one machine that does one operation at a time. States read `until text`; empty: absent. */
function modelOf(skewMs: number): Model<Input> {
  const written = (text: string, untilMs: number, output: string): Transition[] => [
    { state: `${untilMs} ${text}`, output },
    // Its own end may come before it takes effect; by a clock that nobody vouches for, that ends nothing.
    { state: '', output: 'late' },
    { state: `${untilMs} ${text}`, output: 'late' },
  ];
  const apply = (state: string, { verb, text, expected, untilMs }: Input): Transition[] => {
    const before = state === '' ? null : state.slice(state.indexOf(' ') + 1);
    switch (verb) {
      case 'get':
        return [{ state, output: before ?? '-' }];
      case 'set':
        return written(text, untilMs, 'ok');
      case 'put':
        return before === null ? written(text, untilMs, text) : [{ state, output: before }];
      case 'cas':
        return before === expected ? written(text, untilMs, 'ok') : [{ state, output: before ?? '-' }];
      case 'increment': {
        const next = String(Number(before ?? 0) + 1);
        return written(next, untilMs, next);
      }
      case 'append': {
        const next = before === null ? text : `${before},${text}`;
        return written(next, untilMs, next);
      }
      case 'touch':
        return before === null ? [{ state, output: '-' }] : written(before, untilMs, before);
      case 'remove':
        return [{ state: '', output: 'ok' }];
    }
  };
  return {
    initial: '',
    step: (state, call) => {
      const untilMs = state === '' ? FOREVER : Number(state.slice(0, state.indexOf(' ')));
      if (untilMs === FOREVER) return apply(state, call.input);
      const mayExpire = untilMs <= call.returned + skewMs;
      const mustExpire = untilMs <= call.invoked - skewMs;
      return [...(mustExpire ? [] : apply(state, call.input)), ...(mayExpire ? apply('', call.input) : [])];
    },
  };
}
