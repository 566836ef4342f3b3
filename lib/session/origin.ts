import { type Ballot, type Current, compareBallots, type OperationId } from '../paxos/index.js';
import type { StoredCookie } from './cookie.js';

/** The version of a session that an object stands for: what it was loaded from, or last saved as. */
export interface Base {
  /** Tells the lives of one id apart; see `State.birth`. */
  readonly birth: Ballot;
  /**
   * The data as this object had it, which after a merge is not what was stored: what others had added would otherwise
   * look deleted by this object's next save.
   *
   * Compared with the stored bytes it tells whether others changed them. `dataBallot` can't: operations that one
   * process had waiting are proposed together, at one ballot.
   */
  readonly data: Uint8Array;
  /** The cookie as this object had it. */
  readonly cookie: StoredCookie;
  /** When the record was to end as this object had it, which others may have put off since. */
  readonly untilMs: number;
  /** The record's own times, when it was last seen. */
  readonly stored: StoredTimes;
}

export interface StoredTimes {
  /** When the stored cookie says that the session ends; `null` where it does not say. */
  readonly expiresMs: number | null;
  /** When the record ends. */
  readonly untilMs: number;
}

/** A write that may or may not have taken effect. */
export interface UnknownWrite {
  readonly operation: OperationId;
  /** Ballot of its first attempt. */
  readonly since: Ballot;
  /**
   * The version that it made, if it took effect, of the one before it.
   * @param birth of the life that the record is in, for a write that began it
   */
  made(before: Base | null, birth: Ballot): Base | null;
}

/** More failures in a row than this on one object, and the oldest is forgotten: no request tries so often. */
const MAX_UNKNOWN_WRITES = 8;

/** What the store remembers of one session object. Kept beside the object, never on it. */
export class Origin {
  /** `null`: the object came from elsewhere, and stands for no version. */
  #base: Base | null;
  #unknown: UnknownWrite[] = [];
  /** Settles when the last operation called with this object has, since that one may change the version. */
  busy: Promise<void> | null = null;

  constructor(
    readonly sid: string,
    base: Base | null,
  ) {
    this.#base = base;
  }

  /** The version as far as it is known without asking the register; `null` also while that is in doubt. */
  get certainBase(): Base | null {
    return this.#unknown.length === 0 ? this.#base : null;
  }

  /** The cookie as the object had it when its version was last known. */
  get knownCookie(): StoredCookie {
    return this.#base?.cookie ?? null;
  }

  /** The object now stands for this version. */
  settle(base: Base | null): void {
    this.#base = base;
    this.#unknown = [];
  }

  /** The object stands for the version it did, or for the one that this write made. */
  doubt(write: UnknownWrite): void {
    this.#unknown.push(write);
    if (this.#unknown.length > MAX_UNKNOWN_WRITES) this.#unknown.shift();
  }

  /** A second object that stands for the same version, and from now on goes its own way. */
  fork(): Origin {
    const fork = new Origin(this.sid, this.#base);
    fork.#unknown = [...this.#unknown];
    return fork;
  }

  /**
   * The version, as the register's lineage shows it. A tombstone keeps the lineage, so a logout since is seen too.
   *
   * The lineage may not reach back to a write that took long, if this process was paused. A login of which nobody knows
   * has taken effect, then, if the life that is or was there was begun by this process since. Else its retry would undo a
   * logout, or what others have saved since.
   */
  baseAt(current: Current): Base | null {
    // Operations are named after their proposer.
    const own = `${current.birth.proposer.toString(36)}.`;
    return this.#unknown.reduce((base, write) => {
      const isOwnLife = write.operation.startsWith(own) && compareBallots(current.birth, write.since) >= 0;
      const isDone = current.hasSeen(write.operation) || (base === null && isOwnLife);
      return isDone ? write.made(base, current.birth) : base;
    }, this.#base);
  }
}
