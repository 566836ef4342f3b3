/**
 * What was seen of sessions, and what must not be: a session that ended comes back, a field that was saved is lost, a
 * session that is alive is not found.
 */

/** One session, from a login to its end. */
export interface Life {
  readonly name: string;
  readonly sid: string;
  /** True ms of the latest end of a save that may begin it; infinite while one is under way. */
  begunMs: number;
  /** True ms of the latest save known to have begun it; infinite until there is one. */
  savedMs: number;
  /** True ms until which it surely lives unless somebody ends it. */
  livesUntilMs: number;
  /** By field: the least that it must hold from now on. */
  readonly least: Map<string, number>;
  /** By field: the greatest that it may hold. */
  readonly most: Map<string, number>;
}

/** What is remembered when a session is asked for. */
export interface Look {
  readonly atMs: number;
  readonly least: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

export class Lives {
  readonly #object: (what: string) => void;
  readonly #lives = new Map<string, Life>();
  readonly #bySid = new Map<string, Life[]>();
  /** By life: how it was seen to have ended. */
  readonly #ended = new Map<Life, string>();
  /** By sid: true ms from which on somebody may have ended it. */
  readonly #endingMs = new Map<string, number>();

  constructor(object: (what: string) => void) {
    this.#object = object;
  }

  begin(sid: string, name: string): Life {
    const life: Life = {
      name,
      sid,
      begunMs: Number.POSITIVE_INFINITY,
      savedMs: Number.POSITIVE_INFINITY,
      livesUntilMs: Number.NEGATIVE_INFINITY,
      least: new Map(),
      most: new Map(),
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

  /** Somebody is about to end what is there under that id. */
  ending(sid: string, nowMs: number): void {
    this.#endingMs.set(sid, Math.min(this.#endingMs.get(sid) ?? Number.POSITIVE_INFINITY, nowMs));
  }

  look(sid: string, nowMs: number): Look {
    const lives = this.#bySid.get(sid) ?? [];
    return { atMs: nowMs, least: new Map(lives.map((life) => [life.name, new Map(life.least)])) };
  }

  /** There was nothing, or there is nothing left, at some time since `sinceMs`: what had begun before is over. */
  gone(sid: string, sinceMs: number, how: string): void {
    for (const life of this.#bySid.get(sid) ?? []) {
      if (life.begunMs < sinceMs && !this.#ended.has(life)) this.#ended.set(life, how);
    }
  }

  /** A session was asked for, and found. */
  found(look: Look, endedBefore: ReadonlySet<string>, name: string, fields: Readonly<Record<string, unknown>>): void {
    const life = this.#lives.get(name);
    if (life === undefined) {
      this.#object(`session ${name} from nowhere`);
      return;
    }
    if (endedBefore.has(name)) this.#object(`session ${name} came back after ${this.#ended.get(life)}`);
    const least = look.least.get(name) ?? new Map<string, number>();
    for (const field of new Set([...least.keys(), ...Object.keys(fields).filter((each) => each.startsWith('c'))])) {
      const value = Number(fields[field] ?? 0);
      if (value < (least.get(field) ?? 0)) {
        this.#object(`session ${name}: ${field} is ${value} after it was ${least.get(field)}`);
      }
      if (value > (life.most.get(field) ?? 0)) this.#object(`session ${name}: ${field} is ${value}, from nowhere`);
      life.least.set(field, Math.max(life.least.get(field) ?? 0, value));
    }
  }

  /** A session was asked for, and not found. */
  missing(sid: string, look: Look, nowMs: number): void {
    for (const life of this.#bySid.get(sid) ?? []) {
      if (life.savedMs > look.atMs || life.livesUntilMs < nowMs) continue;
      if ((this.#endingMs.get(sid) ?? Number.POSITIVE_INFINITY) <= nowMs) continue;
      this.#object(
        `session ${life.name} is lost, which nobody ended, and which was to live until ${life.livesUntilMs}`,
      );
    }
    this.gone(sid, look.atMs, `it was not found at ${look.atMs.toFixed(3)}..${nowMs.toFixed(3)}`);
  }

  /** All live sessions were asked for. */
  listed(sids: readonly string[], askedMs: number, nowMs: number, endedBefore: ReadonlySet<string>): void {
    const present = new Set(sids);
    for (const [sid, lives] of this.#bySid) {
      const isOver = lives.every((life) => endedBefore.has(life.name));
      if (isOver && present.has(sid)) this.#object(`session ${sid} is listed, and had ended`);
      for (const life of lives) {
        const isEnding = (this.#endingMs.get(sid) ?? Number.POSITIVE_INFINITY) <= nowMs;
        if (life.savedMs > askedMs || life.livesUntilMs < nowMs || isEnding || present.has(sid)) continue;
        this.#object(`session ${life.name} is not listed, and lives until ${life.livesUntilMs}`);
      }
    }
  }

  /** All lives that are known to be over by now. */
  get ended(): Set<string> {
    return new Set([...this.#ended.keys()].map((life) => life.name));
  }

  /** Lives under that id that are known to be over by now. */
  endedOf(sid: string): Set<string> {
    return new Set((this.#bySid.get(sid) ?? []).filter((life) => this.#ended.has(life)).map((life) => life.name));
  }
}
