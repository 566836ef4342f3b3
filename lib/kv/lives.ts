import { TooManyLivesError } from '../errors.js';
import type { Consistency, OperationOptions, Registers } from '../node/registers.js';
import { type Change, NO_BYTES, type State, sameBallot } from '../paxos/index.js';
import { type Attributes, isInLife, type Life, lifeName } from './attributes.js';
import { attributesOf } from './entry.js';
import { keyOf } from './key.js';

/** Registers looked at for one key, at most: what it lives by, what that lives by, and so on. */
const MAX_LOOKED_AT = 64;

/** A key with what it was given to live by: that, in that life, and no longer once it is given something else. */
export interface Hanging extends Life {
  /** See {@link Attributes.given}. */
  readonly given: string;
}

/** What is known while one question is answered. */
interface Walk {
  /** Register of the key that the question is about; `null`: nobody has to be told. */
  readonly asked: string | null;
  /** Lives met, whatever came of them, and the keys of their registers. */
  readonly seen: Map<string, string>;
  readonly left: OperationOptions;
  readonly consistency: Consistency;
  /** Whether something was over, and what hung on it had been given something else by then. */
  isOutdated: boolean;
}

/**
 * Whether what keys live by is still there (docs/protocol.md, "Keys that live by others").
 *
 * A life ends once, and what it ended by is agreed on in its own register: absent, or born anew. What is found over by what
 * *it* lives by is buried first, so that its end is agreed on too, and nobody who has seen it alive a moment before can
 * write on.
 */
export class Lives {
  readonly #registers: Pick<Registers, 'read' | 'change'>;

  constructor(registers: Pick<Registers, 'read' | 'change'>) {
    this.#registers = registers;
  }

  /**
   * Whether all of them are alive. To be asked after that was read which lives by them.
   *
   * @param asked register of what lives by them
   * @throws TooManyLivesError if that takes more than 64 registers; and as {@link Registers.read} does
   */
  async areAlive(asked: string, lives: readonly Life[], left: OperationOptions): Promise<boolean> {
    for (;;) {
      const walk: Walk = { asked, seen: new Map(), left, consistency: 'quorum', isOutdated: false };
      if (!(await this.#areAlive(lives, walk))) return false;
      if (!walk.isOutdated) return true;
    }
  }

  /**
   * Whether all of them seem to be alive, by this process's own memory. That may be old: nothing is buried for it. Nor do
   * they seem so where they are too many.
   */
  seemAlive(lives: readonly Life[], left: OperationOptions): Promise<boolean> {
    return this.#areAlive(lives, { asked: null, seen: new Map(), left, consistency: 'local', isOutdated: false });
  }

  async #areAlive(lives: readonly Life[], walk: Walk): Promise<boolean> {
    const verdicts = await Promise.all(lives.map((life) => this.#isAlive(life, walk)));
    return verdicts.every((isAlive) => isAlive);
  }

  async #isAlive(life: Life, walk: Walk): Promise<boolean> {
    const name = lifeName(life);
    // Met before, perhaps on a way around. If it is over, whatever met it first is, or all is looked at again.
    if (walk.seen.has(name)) return true;
    if (walk.seen.size >= MAX_LOOKED_AT) {
      if (walk.asked === null) return false;
      throw tooMany(walk.asked, [...walk.seen.values()]);
    }
    walk.seen.set(name, life.key);
    const { left, consistency } = walk;
    const state = await this.#registers.read(life.key, { timeoutMs: left.timeoutMs, consistency });
    if (!isInLife(state, life)) return false;
    const { given, lives } = ofRegister(life.key, state);
    if (lives.length === 0 || (await this.#areAlive(lives, walk))) return true;
    if (walk.consistency === 'local' || (await this.bury({ ...life, given }, walk.left))) return false;
    walk.isOutdated = true;
    return true;
  }

  /**
   * Makes a tombstone of what is over, if it still lives by what was found so.
   *
   * @returns whether that is over now, by this or by another
   */
  async bury(hanging: Hanging, left: OperationOptions): Promise<boolean> {
    const { result } = await this.#registers.change(hanging.key, buryChange(hanging), left);
    return result;
  }
}

/**
 * The key itself can't be written or deleted: that takes the same question. One half way can, as far as can be told, and
 * what is looked at gets shorter by that.
 */
function tooMany(asked: string, seen: readonly string[]): TooManyLivesError {
  const bucket = asked.slice(0, asked.indexOf('/') + 1);
  const keys = seen.filter((key) => key.startsWith(bucket));
  const halfWay = keys[Math.floor(keys.length / 2)];
  const remedy =
    halfWay === undefined ? '' : `, such as key ${shown(halfWay)} (what hangs on it goes with it if it is deleted)`;
  return new TooManyLivesError(
    `Key ${shown(asked)} hangs on more than ${MAX_LOOKED_AT} others, one by another: delete one of those, or set it anew to live by fewer${remedy}.`,
  );
}

function shown(registerKey: string): string {
  const id = registerKey.slice(registerKey.indexOf('/') + 1);
  return JSON.stringify(keyOf(id) ?? id);
}

/** Leases have nothing beside their value. */
function ofRegister(key: string, state: State): Pick<Attributes, 'given' | 'lives'> {
  if (state.attributes.length === 0) return { given: '', lives: [] };
  return attributesOf(key.slice(key.indexOf('/') + 1), state);
}

function buryChange({ key, birth, given }: Hanging): Change<boolean> {
  return {
    bound: 0,
    mayRemove: true,
    seals: false,
    apply: (current) => {
      if (current.value === null || !sameBallot(current.birth, birth)) return { write: null, result: true };
      if (ofRegister(key, current).given !== given) return { write: null, result: false };
      return { write: { value: null, attributes: NO_BYTES, until: 0 }, result: true };
    },
  };
}
