/**
 * Whether a history of one register is linearizable (Herlihy and Wing, 1990), by the search of Wing and Gong (1993)
 * with the memory of Lowe (2017): a set of operations that led to the same state once before is not tried again.
 */

/** One operation as its caller saw it. */
export interface Call<I> {
  readonly input: I;
  /** What it answered; `null` if nobody knows: then it may have taken effect at any time since, or never. */
  readonly output: string | null;
  readonly invoked: number;
  /** `Infinity` where `output` is `null`. */
  readonly returned: number;
}

export interface Transition {
  readonly state: string;
  readonly output: string;
}

/** The register as one machine that does one operation at a time. States and outputs are strings to compare easily. */
export interface Model<I> {
  readonly initial: string;
  /** All that the operation may do in that state: several where time, say, decides. */
  step(state: string, call: Call<I>): readonly Transition[];
}

/**
 * @param budget configurations to look at before giving up: outcomes that nobody knows make their number explode
 * @returns whether the operations can be put in an order, each between its call and its answer, that explains all
 *   answers; `null` if the budget was too small to tell
 */
export function isLinearizable<I>(history: readonly Call<I>[], model: Model<I>, budget = 1_000_000): boolean | null {
  const calls = [...history].sort((a, b) => a.invoked - b.invoked);
  const seen = new Set<string>();
  const done = calls.map(() => false);

  const search = (state: string): boolean => {
    let firstReturn = Number.POSITIVE_INFINITY;
    calls.forEach((call, index) => {
      if (!done[index] && call.output !== null) firstReturn = Math.min(firstReturn, call.returned);
    });
    if (firstReturn === Number.POSITIVE_INFINITY) return true;
    const configuration = `${done.map(Number).join('')} ${state}`;
    if (seen.has(configuration)) return false;
    if (seen.size >= budget) return false;
    seen.add(configuration);
    for (const [index, call] of calls.entries()) {
      // What was called after another had been answered can't come before it.
      if (call.invoked > firstReturn) break;
      if (done[index]) continue;
      done[index] = true;
      for (const next of model.step(state, call)) {
        if (call.output === null ? next.state !== state : next.output === call.output) {
          if (search(next.state)) return true;
        }
      }
      done[index] = false;
    }
    return false;
  };
  return search(model.initial) || (seen.size >= budget ? null : false);
}
