import { NoQuorumError } from '../../lib/errors.js';
import { encodeAttributes, type Life } from '../../lib/kv/attributes.js';
import { revisionOf } from '../../lib/kv/entry.js';
import type { Held } from '../../lib/kv/keyed.js';
import type { Queue } from '../../lib/kv/queue.js';
import { type Scope, Watching, type WatchOptions } from '../../lib/kv/watching.js';
import type { CommitEvent, Head } from '../../lib/node/registers.js';
import { type Ballot, FOREVER, formatBallot } from '../../lib/paxos/index.js';

/** What becomes of word of a commit: ms after which it is heard, once for each time; none: it is lost. */
export type Word = readonly number[];

export interface Fate {
  /** Ms until the answer. What it tells is as of the beginning. */
  readonly delayMs?: number;
  readonly error?: unknown;
  readonly answered?: () => void;
}

/** A change as a watcher was told of it. `text` `null`: removed. */
export interface Told {
  readonly id: string;
  readonly text: string | null;
  readonly revision: bigint | null;
}

interface Timer {
  readonly atMs: number;
  readonly isHolding: boolean;
  readonly callback: () => void;
}

interface Register {
  readonly state: Held;
  readonly head: Ballot;
  readonly livesBy: readonly string[];
}

interface Writing {
  readonly until?: number;
  readonly word?: Word;
  /** Registers by which it is to live. */
  readonly livesBy?: readonly string[];
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** Who writes. */
export const PROPOSER = 7;
const FIRST: Ballot = { round: 1, proposer: PROPOSER };
const START_MS = 1_800_000_000_000;
/** Reads without time that passes between: more is a loop that would never end. */
const MAX_AT_ONCE = 20_000;

/** One bucket of a farm, as the node of its watchers sees it, in a time that passes only when the test says so. */
export class WatchedBucket {
  readonly timers = new Set<Timer>();
  readonly listeners = new Set<(event: CommitEvent) => void>();
  readonly connectListeners = new Set<() => void>();
  /** Reads and looks at all heads that were begun. */
  readonly reads: string[] = [];
  looks = 0;
  readsUnderWay = 0;
  mostReadsUnderWay = 0;
  /** To be set by the test. */
  word: () => Word = () => [0];
  readFate: (id: string) => Fate = () => ({});
  headsFate: () => Fate = () => ({});
  /** Unsettled writes, of which heads have no mark. */
  readonly halfDone = new Set<string>();
  /** Registers by which keys live, as they were asked for. */
  readonly livesAsked: string[] = [];
  lifeFate: (register: string) => Fate = () => ({});
  readonly #over = new Set<string>();
  readonly #held = new Map<string, Register>();
  #nowMs = START_MS;
  #offsetMs = 0;
  #round = 1;
  #atOnce = 0;

  readonly watching = new Watching<Held>({
    bucket: 'kv',
    node: {
      watch: (_bucket, listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      heads: () => {
        this.looks += 1;
        return this.#answer(this.headsFate(), this.#heads());
      },
      after: (delayMs, callback, isHolding = false) => {
        const timer = { atMs: this.#nowMs + delayMs, isHolding, callback };
        this.timers.add(timer);
        return () => this.timers.delete(timer);
      },
      nowMs: () => this.nowMs,
      on: (_event, listener) => this.connectListeners.add(listener),
      off: (_event, listener) => this.connectListeners.delete(listener),
    },
    read: async (id) => {
      this.reads.push(id);
      this.#atOnce += 1;
      if (this.#atOnce > MAX_AT_ONCE) return new Promise(() => undefined);
      this.readsUnderWay += 1;
      this.mostReadsUnderWay = Math.max(this.mostReadsUnderWay, this.readsUnderWay);
      const found = this.held(id);
      // Nobody hears of it: a listing shows it.
      if (found === null) this.#held.delete(id);
      try {
        return await this.#answer(this.readFate(id), found);
      } finally {
        this.readsUnderWay -= 1;
      }
    },
    seemAlive: (lives) => {
      const registers = lives.map(({ key }) => key);
      this.livesAsked.push(...registers);
      const [register = ''] = registers;
      return this.#answer(this.lifeFate(register), !registers.some((each) => this.#isOver(each)));
    },
  });

  /** Whether it is a busy loop, which a test must not wait for. */
  get isLooping(): boolean {
    return this.#atOnce > MAX_AT_ONCE;
  }

  /** By the clock by which keys end. */
  get nowMs(): number {
    return this.#nowMs + this.#offsetMs;
  }

  /** Whether nothing is left of watches: no timer, no listener. */
  get isFree(): boolean {
    return this.timers.size === 0 && this.listeners.size === 0 && this.connectListeners.size === 0;
  }

  get isHoldingProcess(): boolean {
    return [...this.timers].some(({ isHolding }) => isHolding);
  }

  /** What a quorum holds now. */
  held(id: string): Held | null {
    const held = this.#held.get(id);
    return held !== undefined && this.#isThere(held) && !held.livesBy.some((each) => this.#isOver(each))
      ? held.state
      : null;
  }

  /** Whether its own register holds something: what lives by others is there until somebody has read it. */
  #isThere({ state }: Register): boolean {
    return state.until > this.nowMs;
  }

  textOf(id: string): string | null {
    const held = this.held(id);
    return held && decoder.decode(held.value);
  }

  set(id: string, text: string, { until = FOREVER, word = this.word(), livesBy = [] }: Writing = {}): void {
    const ballot = this.#ballot();
    const birth = this.held(id)?.birth ?? ballot;
    const value = encoder.encode(text);
    const lives: Life[] = livesBy.map((key) => ({ key, birth: FIRST }));
    const attributes = encodeAttributes({ version: `v${ballot.round}`, given: `v${ballot.round}`, lives });
    this.#held.set(id, { state: { value, attributes, until, birth, dataBallot: ballot }, head: ballot, livesBy });
    this.say(id, word);
  }

  /** What lives by that register is over, and nobody is told. */
  end(register: string): void {
    this.#over.add(register);
  }

  #isOver(register: string): boolean {
    return this.#over.has(register);
  }

  delete(id: string, word: Word = this.word()): void {
    this.#held.delete(id);
    this.say(id, word);
  }

  /** A round that leaves the key as it was, as a read makes of what was half done. */
  again(id: string): void {
    const held = this.#held.get(id);
    if (held !== undefined) this.#held.set(id, { ...held, head: this.#ballot() });
  }

  /** Word of a commit comes, whatever was committed. */
  say(id: string, word: Word = [0]): void {
    const event: CommitEvent = { id, effect: 'changed', operation: '1.1', isOwn: false };
    for (const delayMs of word) {
      const hear = (): void => {
        for (const listener of [...this.listeners]) listener(event);
      };
      if (delayMs === 0) hear();
      else this.#later(delayMs, hear);
    }
  }

  /** The clock is set: no timer minds. */
  setClock(byMs: number): void {
    this.#offsetMs += byMs;
  }

  connect(): void {
    for (const listener of [...this.connectListeners]) listener();
  }

  watch(scope: Scope, options: WatchOptions = {}): Queue<Told> {
    return this.watching.watch(scope, options, told);
  }

  /** A watch whose consumer takes all at once. */
  follow(scope: Scope, options: WatchOptions = {}): Follower {
    return new Follower(this.watch(scope, options));
  }

  /** Ms pass: timers go off in their order, and all that follows from each happens before the next. */
  async pass(ms: number): Promise<void> {
    await settled();
    const endMs = this.#nowMs + ms;
    for (;;) {
      const [first] = [...this.timers, ...this.#traffic].sort((one, other) => one.atMs - other.atMs);
      if (first === undefined || first.atMs > endMs) break;
      this.timers.delete(first);
      this.#traffic.delete(first);
      if (first.atMs > this.#nowMs) this.#atOnce = 0;
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.callback();
      await settled();
    }
    this.#nowMs = endMs;
    this.#atOnce = 0;
  }

  /** What is on its way, which is no timer of those who are tested. */
  readonly #traffic = new Set<Timer>();

  #later(delayMs: number, callback: () => void): void {
    this.#traffic.add({ atMs: this.#nowMs + delayMs, isHolding: false, callback });
  }

  async #answer<T>({ delayMs = 0, error, answered }: Fate, answer: T): Promise<T> {
    if (delayMs > 0) await new Promise<void>((resolve) => this.#later(delayMs, resolve));
    answered?.();
    if (error !== undefined) throw error;
    return answer;
  }

  #heads(): Head[] {
    const there = [...this.#held].filter(([, register]) => this.#isThere(register));
    return there.map(([id, { head }]) => ({ id, mark: this.halfDone.has(id) ? null : formatBallot(head) }));
  }

  #ballot(): Ballot {
    this.#round += 1;
    return { round: this.#round, proposer: PROPOSER };
  }
}

export class Follower {
  readonly told: Told[] = [];
  readonly queue: Queue<Told>;
  readonly ended: Promise<void>;
  isReady = false;
  hasEnded = false;

  constructor(queue: Queue<Told>) {
    this.queue = queue;
    this.ended = this.#follow();
    this.ended.catch(() => undefined);
    queue.ready().then(
      () => {
        this.isReady = true;
      },
      () => undefined,
    );
  }

  /** As `id=text`, `id-` for what was removed; from the one that was last taken on. */
  take(): string[] {
    return this.told.splice(0).map(({ id, text }) => (text === null ? `${id}-` : `${id}=${text}`));
  }

  async #follow(): Promise<void> {
    try {
      for await (const each of this.queue) this.told.push(each);
    } finally {
      this.hasEnded = true;
    }
  }
}

export function told(id: string, held: Held | null): Told {
  if (held === null) return { id, text: null, revision: null };
  return { id, text: decoder.decode(held.value), revision: revisionOf(held.dataBallot) };
}

export const noQuorum = (): NoQuorumError => new NoQuorumError('no quorum');

/** All that does not wait for time has happened. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
