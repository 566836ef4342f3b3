/** Whether a history of operations on keys that live by others is linearizable (Wing and Gong, 1993). */

export type Operation =
  | { readonly kind: 'get' | 'delete' | 'add'; readonly key: string }
  | { readonly kind: 'set' | 'put'; readonly key: string; readonly value: number }
  /** Sets a key that lives by another, or by itself. */
  | { readonly kind: 'hang'; readonly key: string; readonly value: number; readonly by: string };

export type Result = number | boolean | null | 'over';

export interface Event {
  readonly operation: Operation;
  readonly result: Result;
  readonly beganAt: number;
  readonly endedAt: number;
}

/** A key's life, and the life that it hangs on. */
interface Life {
  readonly value: number;
  readonly life: number;
  readonly by: { readonly key: string; readonly life: number } | null;
}

interface State {
  readonly keys: ReadonlyMap<string, Life>;
  readonly nextLife: number;
}

/** What is left of an operation once a part of it has happened: of what hangs a key, the writing. */
interface Pending {
  readonly event: Event;
  readonly index: number;
  readonly by: Life['by'] | undefined;
}

interface Step {
  readonly state: State;
  /** `undefined`: the operation is over. */
  readonly by: Life['by'] | undefined;
}

export function isLinearizable(events: readonly Event[]): boolean {
  const failed = new Set<string>();
  const search = (pending: readonly Pending[], state: State): boolean => {
    if (pending.length === 0) return true;
    const name = nameOf(pending, state);
    if (failed.has(name)) return false;
    const firstEnd = Math.min(...pending.map(({ event }) => event.endedAt));
    for (const each of pending) {
      if (each.event.beganAt > firstEnd) continue;
      const step = happen(each, state);
      if (step === null) continue;
      const others = pending.filter((one) => one !== each);
      const left = step.by === undefined ? others : [...others, { ...each, by: step.by }];
      if (search(left, step.state)) return true;
    }
    failed.add(name);
    return false;
  };
  const pending = events.map((event, index) => ({ event, index, by: undefined }));
  return search(pending, { keys: new Map(), nextLife: 1 });
}

/** What may happen next of an operation; `null`: nothing that fits its result. */
function happen({ event: { operation, result }, by }: Pending, state: State): Step | null {
  const { key } = operation;
  const there = visible(state, key);
  const done = (fits: boolean, after: State = state): Step | null => (fits ? { state: after, by: undefined } : null);
  switch (operation.kind) {
    case 'get':
      return done(result === (there?.value ?? null));
    case 'delete':
      return done(result === (there !== null), removed(state, key));
    case 'set':
      return done(result === operation.value, written(state, key, operation.value, null));
    case 'put':
      if (there !== null) return done(result === there.value);
      return done(result === operation.value, written(state, key, operation.value, null));
    case 'add':
      return done(
        result === (there?.value ?? 0) + 1,
        written(state, key, (there?.value ?? 0) + 1, there === null ? null : there.by),
      );
    case 'hang': {
      // What it is to live by is looked at first, and then it is written.
      if (by !== undefined) return done(result === operation.value, written(state, key, operation.value, by));
      const parent = visible(state, operation.by);
      if (parent === null) return done(result === 'over');
      return result === 'over' ? null : { state, by: { key: operation.by, life: parent.life } };
    }
  }
}

function written(state: State, key: string, value: number, by: Life['by']): State {
  const there = visible(state, key);
  const life = there?.life ?? state.nextLife;
  return { keys: new Map(state.keys).set(key, { value, life, by }), nextLife: state.nextLife + 1 };
}

function removed(state: State, key: string): State {
  const keys = new Map(state.keys);
  keys.delete(key);
  return { ...state, keys };
}

function visible(state: State, key: string): Life | null {
  const found = state.keys.get(key);
  if (found === undefined) return null;
  const seen = new Set<string>();
  for (let at: Life = found; at.by !== null && !seen.has(at.by.key); ) {
    seen.add(at.by.key);
    const next = state.keys.get(at.by.key);
    if (next === undefined || next.life !== at.by.life) return null;
    at = next;
  }
  return found;
}

function nameOf(pending: readonly Pending[], { keys }: State): string {
  const left = pending.map(({ index, by }) => `${index}${by === undefined ? '' : `+${by?.key}${by?.life}`}`).sort();
  const held = [...keys].map(([key, { value, life, by }]) => `${key}${value}.${life}${by?.key}${by?.life}`).sort();
  return `${left.join()} ${held.join()}`;
}
