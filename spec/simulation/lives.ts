/**
 * What was seen of sessions, and what must not be: a session that ended comes back, a field that was saved is lost, a
 * session that is alive is not found.
 */

/** A field that one client alone sets and deletes, each time under a new number. */
export interface Tries {
  /** By number: whether that one deletes it. */
  readonly all: Map<number, boolean>;
  /** The latest that is known to have been done. */
  done: number;
}

/** One session, from a login to its end. */
export interface Life {
  readonly name: string;
  readonly sid: string;
  /** True ms by which it is known to have begun, if it has; infinite while that is open. */
  begunMs: number;
  /** True ms of the end of the latest attempt to begin it; infinite while one is under way. */
  triedMs: number;
  /** True ms of the latest save known to have begun it; infinite until there is one. */
  savedMs: number;
  /** True ms until which it surely lives unless somebody ends it. */
  livesUntilMs: number;
  /** True ms from which on it is surely over. */
  overMs: number;
  /** Requests that gave the cookie another life, begun and ended: while they differ, none knows which life it is. */
  changesBegun: number;
  changesEnded: number;
  /** By field that only grows: the least that it must hold from now on. */
  readonly least: Map<string, number>;
  /** By such a field: the greatest that it may hold. */
  readonly most: Map<string, number>;
  /** By field that comes and goes: what was done to it. */
  readonly tries: Map<string, Tries>;
  /** The lives in ms that its cookie was given. */
  readonly ages: Set<unknown>;
}

/** What is remembered when a session is asked for. */
export interface Look {
  readonly atMs: number;
  readonly least: ReadonlyMap<string, ReadonlyMap<string, number>>;
  readonly done: ReadonlyMap<string, ReadonlyMap<string, number>>;
  /** Lives that were known to be over. */
  readonly ended: ReadonlySet<string>;
  /** By life: how often its cookie's life had been changed; `null` while somebody was about to. */
  readonly changes: ReadonlyMap<string, number | null>;
}

/** What was found: the life that it is of, and what it holds. */
export interface Found {
  readonly life: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly originalMaxAge: unknown;
}

export class Lives {
  readonly #object: (what: string) => void;
  readonly #lives = new Map<string, Life>();
  readonly #bySid = new Map<string, Life[]>();
  /** By life: how it was seen to have ended. */
  readonly #ended = new Map<Life, string>();
  /** By sid: true ms from which on somebody may have ended it. */
  readonly #endingMs = new Map<string, number>();
  /** Calls under way that end all sessions, those too that begin meanwhile. */
  #clears = 0;

  constructor(object: (what: string) => void) {
    this.#object = object;
  }

  begin(sid: string, name: string, nowMs: number): Life {
    if (this.#clears > 0) this.ending(sid, nowMs);
    const life: Life = {
      name,
      sid,
      begunMs: Number.POSITIVE_INFINITY,
      triedMs: Number.POSITIVE_INFINITY,
      savedMs: Number.POSITIVE_INFINITY,
      livesUntilMs: Number.NEGATIVE_INFINITY,
      overMs: Number.NEGATIVE_INFINITY,
      changesBegun: 0,
      changesEnded: 0,
      least: new Map(),
      most: new Map(),
      tries: new Map(),
      ages: new Set([null]),
    };
    this.#lives.set(name, life);
    const lives = this.#bySid.get(sid);
    if (lives === undefined) this.#bySid.set(sid, [life]);
    else lives.push(life);
    return life;
  }

  get(name: string): Life | undefined {
    return this.#lives.get(name);
  }

  get sids(): string[] {
    return [...this.#bySid.keys()];
  }

  /** Somebody is about to end what is there under that id. */
  ending(sid: string, nowMs: number): void {
    this.#endingMs.set(sid, Math.min(this.#endingMs.get(sid) ?? Number.POSITIVE_INFINITY, nowMs));
  }

  /** Somebody is about to end all sessions. @returns to be called when that is over */
  endingAll(nowMs: number): () => void {
    for (const sid of this.#bySid.keys()) this.ending(sid, nowMs);
    this.#clears += 1;
    return () => {
      this.#clears -= 1;
    };
  }

  look(sid: string, nowMs: number): Look {
    return this.#look(this.#bySid.get(sid) ?? [], nowMs);
  }

  lookAtAll(nowMs: number): Look {
    return this.#look([...this.#lives.values()], nowMs);
  }

  #look(lives: readonly Life[], atMs: number): Look {
    const doneOf = ({ tries }: Life): Map<string, number> =>
      new Map([...tries].map(([field, { done }]) => [field, done]));
    const changesOf = ({ changesBegun, changesEnded }: Life): number | null =>
      changesBegun === changesEnded ? changesBegun : null;
    return {
      atMs,
      changes: new Map(lives.map((life) => [life.name, changesOf(life)])),
      least: new Map(lives.map((life) => [life.name, new Map(life.least)])),
      done: new Map(lives.map((life) => [life.name, doneOf(life)])),
      ended: new Set(lives.filter((life) => this.#ended.has(life)).map((life) => life.name)),
    };
  }

  /**
   * There was nothing, or there is nothing left, at some time since `sinceMs`: what had begun before is over.
   * @param isSealed whether that holds too for what may have been on its way then
   */
  gone(sid: string, sinceMs: number, how: string, isSealed = false): void {
    for (const life of this.#bySid.get(sid) ?? []) {
      const isOver = life.begunMs < sinceMs || (isSealed && life.triedMs < sinceMs);
      if (isOver && !this.#ended.has(life)) this.#ended.set(life, how);
    }
  }

  /** A session was asked for, and found. @param isTimed whether the asker's clock was right all the time */
  found(look: Look, found: Found, nowMs: number, isTimed: boolean): void {
    const life = this.#known(found);
    if (life === undefined) return;
    if (look.ended.has(life.name)) this.#object(`session ${life.name} came back after ${this.#ended.get(life)}`);
    if (isTimed && look.atMs > life.overMs) {
      this.#object(`session ${life.name} outlives its time, ${life.overMs.toFixed(3)}`);
    }
    // It was on its way for longer than its login was answered for, perhaps; now it has surely begun.
    life.begunMs = Math.min(life.begunMs, nowMs);
    life.savedMs = Math.min(life.savedMs, nowMs);
    const least = look.least.get(life.name) ?? new Map<string, number>();
    for (const field of new Set([...least.keys(), ...fieldsOf(found, 'c')])) {
      const value = Number(found.fields[field] ?? 0);
      if (value < (least.get(field) ?? 0)) {
        this.#object(`session ${life.name}: ${field} is ${value} after it was ${least.get(field)}`);
      }
      life.least.set(field, Math.max(life.least.get(field) ?? 0, value));
    }
    for (const [field, tries] of life.tries) {
      const done = look.done.get(life.name)?.get(field) ?? 0;
      const value = found.fields[field];
      const isExplained =
        value === undefined
          ? done === 0 || [...tries.all].some(([number, isDeletion]) => isDeletion && number >= done)
          : Number(value) >= done;
      if (!isExplained) this.#object(`session ${life.name}: ${field} is ${value} after what was done as ${done}`);
    }
  }

  /** Some memory's own idea of a session: it may be old, but nobody's invention. */
  foundOld(found: Found): void {
    this.#known(found);
  }

  /** A session was asked for, and not found. */
  missing(sid: string, look: Look, nowMs: number): void {
    for (const life of this.#bySid.get(sid) ?? []) {
      if (this.#mustBeThere(life, look.atMs, nowMs)) {
        this.#object(
          `session ${life.name} is lost, which nobody ended, and which was to live until ${life.livesUntilMs}`,
        );
      }
    }
    this.gone(sid, look.atMs, `it was not found at ${look.atMs.toFixed(3)}..${nowMs.toFixed(3)}`);
  }

  /** All live sessions were asked for. */
  listed(sids: readonly string[], look: Look, nowMs: number, isTimed: boolean): void {
    const present = new Set(sids);
    for (const [sid, lives] of this.#bySid) {
      const isOver = lives.every((life) => look.ended.has(life.name) || (isTimed && look.atMs > life.overMs));
      if (isOver && present.has(sid)) this.#object(`session ${sid} is listed, and had ended`);
      for (const life of lives) {
        if (present.has(sid) || !this.#mustBeThere(life, look.atMs, nowMs)) continue;
        this.#object(`session ${life.name} is not listed, and lives until ${life.livesUntilMs}`);
      }
    }
    for (const sid of present) if (!this.#bySid.has(sid)) this.#object(`session ${sid} is listed, from nowhere`);
  }

  /** The live sessions were counted. */
  counted(count: number, look: Look, nowMs: number): void {
    const all = [...this.#bySid.values()];
    const least = all.filter((lives) => lives.some((life) => this.#mustBeThere(life, look.atMs, nowMs))).length;
    const most = all.filter((lives) => !lives.every((life) => look.ended.has(life.name))).length;
    if (count < least || count > most) this.#object(`the sessions are ${count}, and not ${least} to ${most}`);
  }

  #mustBeThere(life: Life, askedMs: number, nowMs: number): boolean {
    const isEnding = (this.#endingMs.get(life.sid) ?? Number.POSITIVE_INFINITY) <= nowMs;
    return life.savedMs <= askedMs && life.livesUntilMs >= nowMs && !isEnding;
  }

  #known(found: Found): Life | undefined {
    const life = this.#lives.get(found.life);
    if (life === undefined) {
      this.#object(`session ${found.life} from nowhere`);
      return undefined;
    }
    for (const field of fieldsOf(found, 'c')) {
      const value = Number(found.fields[field]);
      if (value > (life.most.get(field) ?? 0)) this.#object(`session ${life.name}: ${field} is ${value}, from nowhere`);
    }
    for (const field of fieldsOf(found, 'd')) {
      const isDeletion = life.tries.get(field)?.all.get(Number(found.fields[field]));
      if (isDeletion !== false) {
        this.#object(`session ${life.name}: ${field} is ${String(found.fields[field])}, from nowhere`);
      }
    }
    if (!life.ages.has(found.originalMaxAge ?? null)) {
      this.#object(`session ${life.name}: its cookie's life is ${String(found.originalMaxAge)}, from nowhere`);
    }
    return life;
  }
}

function fieldsOf({ fields }: Found, first: 'c' | 'd'): string[] {
  return Object.keys(fields).filter((field) => field.startsWith(first) && /\d/.test(field));
}
