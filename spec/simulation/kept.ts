/** A step of a client, or a fault, that happened, and when. */
export interface Happening {
  /** `client h1p1.1 step 4`, `fault 2`, `minority 7`, and such: draws from a stream of this name. */
  readonly name: string;
  /** Ms after the clients began; negative for what went wrong before. */
  readonly atMs: number;
}

/** What happens in a run may come earlier by so much than in the run that it was taken from. */
const SLACK_MS = 3;

/**
 * The only steps and faults that happen in a run, all others being left out. Each comes at its own time rather than when
 * the one before it is done: otherwise whatever is left out would move all that comes after it.
 */
export class Kept {
  readonly happenings: readonly Happening[];
  readonly #names: ReadonlySet<string>;
  /** Of faults that strike at what comes along: those that are still to strike. */
  readonly #due: Happening[];

  constructor(happenings: readonly Happening[]) {
    this.happenings = [...happenings].sort((a, b) => a.atMs - b.atMs);
    this.#names = new Set(happenings.map(({ name }) => name));
    this.#due = [...this.happenings];
  }

  has(name: string): boolean {
    return this.#names.has(name);
  }

  /** A client's steps, or one kind of faults, in their order. */
  of(prefix: string): Happening[] {
    return this.happenings.filter(({ name }) => name.startsWith(`${prefix} `));
  }

  /** Takes the fault of that kind that is due next, if its time has come. */
  due(prefix: string, atMs: number): string | null {
    const index = this.#due.findIndex(({ name }) => name.startsWith(`${prefix} `));
    const next = this.#due[index];
    if (next === undefined || next.atMs > atMs + SLACK_MS) return null;
    this.#due.splice(index, 1);
    return next.name;
  }
}

/** @throws Error that says which part can't be read */
export function parseKept(text: string): Happening[] {
  return text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const match = /^(.+ \S+)@(-?\d+(?:\.\d+)?)$/.exec(part.trim());
      if (match === null) throw new Error(`${part.trim()} is no step or fault with its time, as in "fault 2@120.5"`);
      return { name: match[1] ?? '', atMs: Number(match[2]) };
    });
}

export function formatKept(happenings: readonly Happening[]): string {
  return happenings.map(({ name, atMs }) => `${name}@${atMs}`).join();
}
