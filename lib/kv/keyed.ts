import { LifetimeOverError } from '../errors.js';
import type { Consistency, OperationOptions, Registers } from '../node/registers.js';
import { type Change, type Current, FOREVER, NO_BYTES, type State } from '../paxos/index.js';
import { type Attributes, encodeAttributes, type Life } from './attributes.js';
import { attributesOf } from './entry.js';
import { registerKey } from './key.js';
import { Lives } from './lives.js';

/** A register's state that holds something. */
export type Held = State & { readonly value: Uint8Array };

/** What a key is to live by, as registers have it. */
export interface Bounds {
  /** Ms since 1970; `FOREVER` for no end. */
  readonly untilMs: number;
  readonly lives: readonly Life[];
}

/** What a key lives by that was given nothing. */
const ENDLESS: Bounds = { untilMs: FOREVER, lives: [] };

/** What a change makes of a key. */
export type Step =
  /** @property bounds `null`: those that it has */
  | { readonly kind: 'write'; readonly value: Uint8Array; readonly bounds: Bounds | null }
  | { readonly kind: 'remove' }
  | { readonly kind: 'keep' };

export interface StepOf<R> {
  readonly step: Step;
  readonly result: R;
}

/** A change of a key, run on what it holds: see {@link Change}. */
export interface KeyChange<R> {
  /** The latest end that it may give, but for those that it finds and keeps. */
  readonly bound: number;
  /** Whether nothing of writes whose fate nobody knows may appear after it. */
  readonly seals: boolean;
  /** Must be a function of what it is given, and do nothing else: it may run several times. */
  apply(held: Held | null, attributes: Attributes | null, nowMs: number): StepOf<R>;
}

type Result<R> =
  | { readonly kind: 'done'; readonly result: R }
  /** What is held hangs on lives that have not been looked at since it was given those. */
  | { readonly kind: 'unsure'; readonly held: State; readonly attributes: Attributes }
  /** It would give a key that was absent no end, and has not announced that. */
  | { readonly kind: 'endless' }
  /** It would remove what is there, and has not announced that. */
  | { readonly kind: 'removing' }
  | { readonly kind: 'over' };

/**
 * One bucket's keys in their registers, with what they live by taken into account (docs/protocol.md, "Keys that live by
 * others").
 */
export class Keyed {
  readonly #registers: Registers;
  readonly #bucket: string;
  readonly #nextVersion: () => string;
  readonly lives: Lives;

  constructor(registers: Registers, bucket: string, nextVersion: () => string) {
    this.#registers = registers;
    this.#bucket = bucket;
    this.#nextVersion = nextVersion;
    this.lives = new Lives(registers);
  }

  registerKey(id: string): string {
    return registerKey(this.#bucket, id);
  }

  /**
   * What the key holds; `null` if it is absent, or over. What it lives by is read after it: that it is alive then shows that
   * it was before.
   *
   * @param consistency `'local'`: by this process's own memory, if it holds the key by that
   */
  async read(id: string, left: OperationOptions, consistency: Consistency): Promise<Held | null> {
    const key = this.registerKey(id);
    if (consistency === 'local') {
      const state = await this.#registers.read(key, { timeoutMs: left.timeoutMs, consistency });
      if (!isHeld(state)) return null;
      const { lives } = attributesOf(id, state);
      if (lives.length === 0 || (await this.lives.seemAlive(lives, left))) return state;
      // That may be old. What ends a key has to be certain.
    }
    for (;;) {
      const state = await this.#registers.read(key, left);
      if (!isHeld(state)) return null;
      const { given, lives } = attributesOf(id, state);
      if (lives.length === 0 || (await this.lives.areAlive(key, lives, left))) return state;
      // Its own end is agreed on before anybody is told of it.
      if (await this.lives.bury({ key, birth: state.birth, given }, left)) return null;
    }
  }

  /**
   * Changes the key, exactly once.
   *
   * What it holds may be over by what it lives by. Nobody can see that and write in one step, so it is looked at between:
   * the change does nothing where it finds something that lives by what was not looked at since it was given that. Else that
   * was alive during this call, and whoever has seen its end since has buried the key, so that this change does not find
   * that life any more.
   *
   * @throws LifetimeOverError if the end that it gives is past; as {@link Registers.change} does
   */
  async change<R>(id: string, change: KeyChange<R>, left: OperationOptions): Promise<{ result: R; state: State }> {
    const key = this.registerKey(id);
    const version = this.#nextVersion();
    let looked = '';
    let { bound } = change;
    // Only few do, and those that do not go together in one round with others of this process.
    let mayRemove = change.seals;
    for (;;) {
      const registerChange = this.#registerChange(id, { ...change, bound }, version, looked, mayRemove);
      const { result, state } = await this.#registers.change(key, registerChange, left);
      if (result.kind === 'done') return { result: result.result, state };
      if (result.kind === 'over') {
        throw new LifetimeOverError('The key was not written: the end that it was given has passed.');
      }
      if (result.kind === 'endless') {
        bound = FOREVER;
        continue;
      }
      if (result.kind === 'removing') {
        mayRemove = true;
        continue;
      }
      const { attributes, held } = result;
      const { given, lives } = attributes;
      if (await this.lives.areAlive(key, lives, left)) looked = given;
      else await this.lives.bury({ key, birth: held.birth, given }, left);
    }
  }

  #registerChange<R>(
    id: string,
    change: KeyChange<R>,
    version: string,
    looked: string,
    mayRemove: boolean,
  ): Change<Result<R>> {
    return {
      bound: change.bound,
      mayRemove,
      seals: change.seals,
      apply: (current) => {
        const held = isHeld(current) ? current : null;
        const attributes = held && attributesOf(id, held);
        if (attributes !== null && attributes.lives.length > 0 && attributes.given !== looked) {
          return { write: null, result: { kind: 'unsure', held: current, attributes } };
        }
        const { step, result } = change.apply(held, attributes, current.nowMs);
        const isEndless = step.kind === 'write' && step.bounds === null && held === null;
        if (isEndless && change.bound < FOREVER) return { write: null, result: { kind: 'endless' } };
        if (step.kind === 'remove' && held !== null && !mayRemove) return { write: null, result: { kind: 'removing' } };
        return decisionOf(step, result, version, current, attributes);
      },
    };
  }
}

function decisionOf<R>(
  step: Step,
  result: R,
  version: string,
  current: Current,
  attributes: Attributes | null,
): ReturnType<Change<Result<R>>['apply']> {
  switch (step.kind) {
    case 'keep':
      return { write: null, result: { kind: 'done', result } };
    case 'remove':
      return { write: { value: null, attributes: NO_BYTES, until: 0 }, result: { kind: 'done', result } };
    case 'write': {
      const { untilMs, lives, given } =
        step.bounds === null && attributes !== null
          ? { ...attributes, untilMs: current.until }
          : { ...(step.bounds ?? ENDLESS), given: version };
      if (untilMs <= current.nowMs) return { write: null, result: { kind: 'over' } };
      const beside = encodeAttributes({ version, lives, given });
      // A revision of its own, whatever was there.
      const written = { value: step.value, attributes: beside, until: untilMs, isData: true };
      return { write: written, result: { kind: 'done', result } };
    }
  }
}

export function isHeld(state: State): state is Held {
  return state.value !== null;
}
