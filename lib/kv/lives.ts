import { TooManyLivesError } from '../errors.js';
import type { Consistency, OperationOptions, Registers } from '../node/registers.js';
import { type Change, NO_BYTES, type State, sameBallot } from '../paxos/index.js';
import { isInLife, type Life } from './attributes.js';
import { attributesOf } from './entry.js';

/** Registers looked at for one key, at most: what it lives by, what that lives by, and so on. */
const MAX_LOOKED_AT = 64;

/** Names one version of a register's value. */
export interface Version extends Life {
  readonly version: string;
}

/** What is known while one question is answered. */
interface Walk {
  readonly seen: Set<string>;
  /** Those found over: that they stay. */
  readonly over: Set<string>;
  readonly left: OperationOptions;
  readonly consistency: Consistency;
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
   * Whether all of them are alive. To be asked after that was read which lives by them. By this process's own memory only
   * that they are is certain enough to answer with; that they are not may be old news, and ends nothing.
   *
   * @throws TooManyLivesError if that takes more than 64 registers; and as {@link Registers.read} does
   */
  areAlive(lives: readonly Life[], left: OperationOptions, consistency: Consistency = 'quorum'): Promise<boolean> {
    return this.#areAlive(lives, { seen: new Set(), over: new Set(), left, consistency });
  }

  async #areAlive(lives: readonly Life[], walk: Walk): Promise<boolean> {
    const verdicts = await Promise.all(lives.map((life) => this.#isAlive(life, walk)));
    return verdicts.every((isAlive) => isAlive);
  }

  async #isAlive(life: Life, walk: Walk): Promise<boolean> {
    const name = `${life.birth.round}.${life.birth.proposer} ${life.key}`;
    // Found so before what lives by it was written once more.
    if (walk.over.has(name)) return false;
    // On a way around: it is alive unless something else on that way is over.
    if (walk.seen.has(name)) return true;
    if (walk.seen.size >= MAX_LOOKED_AT) {
      throw new TooManyLivesError(
        `A key hangs on more than ${MAX_LOOKED_AT} others, one by another: let it live by fewer.`,
      );
    }
    walk.seen.add(name);
    const isAlive = await this.#look(life, walk);
    if (!isAlive) walk.over.add(name);
    return isAlive;
  }

  async #look(life: Life, walk: Walk): Promise<boolean> {
    for (;;) {
      const state = await this.#registers.read(life.key, { ...walk.left, consistency: walk.consistency });
      if (!isInLife(state, life)) return false;
      const { version, lives } = ofRegister(life.key, state);
      if (lives.length === 0 || (await this.#areAlive(lives, walk))) return true;
      // What this process's own memory says is a rumour.
      if (walk.consistency === 'local') return false;
      if (await this.bury({ ...life, version }, walk.left)) return false;
      // It was written meanwhile, and may live by something else.
    }
  }

  /**
   * Makes a tombstone of what is over, if it is still what was found so.
   *
   * @returns whether that is over now, by this or by another
   */
  async bury(version: Version, left: OperationOptions): Promise<boolean> {
    const { result } = await this.#registers.change(version.key, buryChange(version), { ...left });
    return result;
  }
}

/** Leases have nothing beside their value. */
function ofRegister(key: string, state: State): { readonly version: string; readonly lives: readonly Life[] } {
  if (state.attributes.length === 0) return { version: '', lives: [] };
  return attributesOf(key.slice(key.indexOf('/') + 1), state);
}

function buryChange({ key, birth, version }: Version): Change<boolean> {
  return {
    bound: 0,
    mayRemove: true,
    seals: false,
    apply: (current) => {
      if (current.value === null || !sameBallot(current.birth, birth)) return { write: null, result: true };
      if (ofRegister(key, current).version !== version) return { write: null, result: false };
      return { write: { value: null, attributes: NO_BYTES, until: 0 }, result: true };
    },
  };
}
