import { type Life, lifeName } from './attributes.js';

/** Lives asked for at a time. */
const MAX_ASKING = 16;

/** Keys that live by the same. */
interface Group {
  readonly life: Life;
  readonly ids: string[];
}

/**
 * Keys that live by others, as they were read. When what they live by ends, nothing is written to them: that has to be asked
 * for; once, however many live by it.
 */
export class Dependents {
  readonly #livesOf = new Map<string, readonly Life[]>();

  set(id: string, lives: readonly Life[]): void {
    if (lives.length === 0) this.#livesOf.delete(id);
    else this.#livesOf.set(id, lives);
  }

  delete(id: string): void {
    this.#livesOf.delete(id);
  }

  clear(): void {
    this.#livesOf.clear();
  }

  /**
   * Asks for each life, until one can't be told of.
   *
   * @param isAlive rejects where that can't be told now
   * @param over called with each key that lives by one that is not alive
   * @returns whether all were asked for
   */
  async look(isAlive: (life: Life) => Promise<boolean>, over: (id: string) => void): Promise<boolean> {
    const groups = this.#groups();
    let hasFailed = false;
    const askForRest = async (): Promise<void> => {
      // They share the list: each takes the next when it is done with one.
      for (const { life, ids } of groups) {
        // Some may be of no interest any more.
        if (hasFailed || !ids.some((id) => this.#livesOf.has(id))) continue;
        try {
          if (!(await isAlive(life))) for (const id of ids) over(id);
        } catch {
          hasFailed = true;
        }
      }
    };
    await Promise.all(Array.from({ length: MAX_ASKING }, askForRest));
    return !hasFailed;
  }

  #groups(): Iterable<Group> {
    const groups = new Map<string, Group>();
    for (const [id, lives] of this.#livesOf) {
      for (const life of lives) {
        const name = lifeName(life);
        const group = groups.get(name) ?? { life, ids: [] };
        group.ids.push(id);
        groups.set(name, group);
      }
    }
    return groups.values();
  }
}
