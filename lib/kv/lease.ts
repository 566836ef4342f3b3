import { ClosedError, LeaseEndedError, LifetimeOverError } from '../errors.js';
import type { OperationOptions, Registers } from '../node/registers.js';
import { type Change, NO_BYTES, type State, sameBallot } from '../paxos/index.js';
import { isInLife, type Life } from './attributes.js';
import { registerKey } from './key.js';
import type { KvNode } from './node.js';
import { refuse } from './options.js';
import { encodeValue } from './value.js';

/** Buckets of this package's own: no user's may begin so. */
export const LEASES = '~lease';
export const NODES = '~node';

const MIN_TTL_MS = 500;
const MAX_TTL_MS = 600_000;
const DEFAULT_TTL_MS = 5000;
/**
 * How often its holder looks whether it has ended, at least: no timer counts the time for which the machine was suspended, nor
 * by how much its clock was set forward.
 */
const END_LOOK_MS = 250;

export interface LeaseOptions extends OperationOptions {
  /** Ms after which it ends if its holder does not renew it, 500..600 000; it is renewed at a third. Default 5000. */
  readonly ttlMs?: number | undefined;
}

/**
 * Something that lives as long as its holder keeps it alive, by a register that it renews; keys can live by it.
 *
 * It ends when it is released, which closing the node does too; and it is lost when it could not be renewed in time, or was
 * ended by another. Its holder finds out by its own clock, others by
 * theirs: while clocks differ, others may take it for over a little earlier. Whoever acts on what a lease guards sends
 * {@link Entry.revision} along, as a fencing token.
 */
export interface Lease extends AsyncDisposable, Disposable {
  readonly id: string;
  readonly ttlMs: number;
  /** Aborted when it has ended; the reason is a {@link LeaseEndedError}. */
  readonly signal: AbortSignal;
  /** Ends it at once, everywhere. A second call gives the first one's promise. */
  release(): Promise<void>;
}

/** What a lease needs of the node. */
export type LeaseNode = Pick<KvNode, 'change' | 'nowMs' | 'after' | 'deadline' | 'beforeClose'>;

/** A lease that this process holds. */
export class HeldLease implements Lease {
  readonly id: string;
  readonly ttlMs: number;
  /** By which keys hang on it. */
  readonly life: Life;
  readonly #node: LeaseNode;
  readonly #ended = new AbortController();
  #untilMs: number;
  #cancelRenewal: () => void = () => undefined;
  #cancelEnd: () => void = () => undefined;
  readonly #forget: () => void;
  #released: Promise<void> | null = null;

  private constructor(node: LeaseNode, id: string, ttlMs: number, { birth, until }: State, key: string) {
    this.#node = node;
    this.id = id;
    this.ttlMs = ttlMs;
    this.life = { key, birth };
    this.#untilMs = until;
    this.#forget = node.beforeClose(() => this.release());
    this.#scheduleRenewal();
    this.#watchEnd();
  }

  /**
   * @param bucket {@link LEASES} or {@link NODES}
   * @param holder for whoever looks at the register
   * @throws ConfigError for a `ttlMs` that is not usable; as {@link Registers.change} does
   */
  static async acquire(
    node: LeaseNode,
    bucket: string,
    id: string,
    holder: string,
    options: LeaseOptions = {},
  ): Promise<HeldLease> {
    const acquired = HeldLease.#acquire(node, bucket, id, holder, options);
    // If the node is closed meanwhile it is released, too: else it would be held, with nobody to renew or release it.
    const forget = node.beforeClose(() => releaseOnceAcquired(node, acquired));
    try {
      return await acquired;
    } finally {
      forget();
    }
  }

  static async #acquire(
    node: LeaseNode,
    bucket: string,
    id: string,
    holder: string,
    { ttlMs = DEFAULT_TTL_MS, timeoutMs }: LeaseOptions,
  ): Promise<HeldLease> {
    if (typeof ttlMs !== 'number' || !(ttlMs >= MIN_TTL_MS && ttlMs <= MAX_TTL_MS))
      throw refuse('ttlMs', ttlMs, `ms from ${MIN_TTL_MS} to ${MAX_TTL_MS}`);
    const key = registerKey(bucket, id);
    const untilMs = Math.ceil(node.nowMs() + ttlMs);
    const value = encodeValue({ holder, ttlMs });
    const write = { value, attributes: NO_BYTES, until: untilMs };
    const begin: Change<'begun' | 'over'> = {
      bound: untilMs,
      mayRemove: false,
      seals: false,
      apply: (current) => (untilMs <= current.nowMs ? { write: null, result: 'over' } : { write, result: 'begun' }),
    };
    const { result, state } = await node.change(key, begin, timeoutMs === undefined ? {} : { timeoutMs });
    if (result === 'over')
      throw new LifetimeOverError(`The lease took longer to get than its ${ttlMs} ms to live: give it more.`);
    return new HeldLease(node, id, ttlMs, state, key);
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  release(): Promise<void> {
    this.#released ??= this.#release();
    return this.#released;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  /** Begins to release it; what becomes of that is not waited for: unless it arrives, the lease ends by itself. */
  [Symbol.dispose](): void {
    this.release().catch(() => undefined);
  }

  async #release(): Promise<void> {
    const hadEnded = this.signal.aborted;
    this.#end(new LeaseEndedError(`Lease ${this.id} was released.`, false));
    // What is lost is somebody else's business, or nobody's.
    if (!hadEnded) await this.#node.change(this.life.key, endChange(this.life), {});
  }

  #end(reason: LeaseEndedError): void {
    this.#cancelRenewal();
    this.#cancelEnd();
    this.#forget();
    if (!this.signal.aborted) this.#ended.abort(reason);
  }

  /** When a third of its time has passed since the last renewal was begun: that may have taken long. */
  #scheduleRenewal(): void {
    const dueMs = this.#untilMs - (2 * this.ttlMs) / 3 - this.#node.nowMs();
    this.#schedule(Math.min(Math.max(dueMs, 0), this.ttlMs / 3));
  }

  #schedule(ms: number): void {
    this.#cancelRenewal = this.#node.after(ms, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const untilMs = Math.ceil(this.#node.nowMs() + this.ttlMs);
    try {
      const { result } = await this.#node.change(this.life.key, renewChange(this.life, untilMs), {});
      if (this.signal.aborted) return;
      if (result === null) {
        this.#end(new LeaseEndedError(`Lease ${this.id} was lost: it was ended, or its time was up.`, true));
        return;
      }
      this.#untilMs = result;
      this.#scheduleRenewal();
    } catch (error) {
      // It may have been renewed, or not: nothing is counted on, and it is tried again while there is time.
      if (error instanceof ClosedError || this.signal.aborted) return;
      this.#schedule(this.ttlMs / 10);
    }
  }

  /** By this process's clock, and whatever comes of what is under way. */
  #watchEnd(): void {
    const leftMs = this.#untilMs - this.#node.nowMs();
    if (leftMs <= 0) {
      this.#end(
        new LeaseEndedError(
          `Lease ${this.id} was lost: it could not be renewed for ${this.ttlMs} ms. Look for a lost quorum, or for pauses of this process.`,
          true,
        ),
      );
      return;
    }
    this.#cancelEnd = this.#node.after(Math.min(leftMs, END_LOOK_MS), () => this.#watchEnd());
  }
}

/** Waits for it no longer than an operation takes that is not told otherwise: a node that is closed must come to an end. */
async function releaseOnceAcquired(node: LeaseNode, acquired: Promise<HeldLease>): Promise<void> {
  let cancel: () => void = () => undefined;
  const timeIsUp = new Promise<null>((resolve) => {
    cancel = node.after(node.deadline().timeoutMs, () => resolve(null));
  });
  try {
    const lease = await Promise.race([acquired, timeIsUp]);
    await lease?.release();
  } finally {
    cancel();
  }
}

/** @returns the life of a lease that somebody holds; `null` if it has ended */
export async function lifeOfLease(
  registers: Pick<Registers, 'read'>,
  id: string,
  left: OperationOptions,
): Promise<Life | null> {
  const key = registerKey(LEASES, id);
  const state = await registers.read(key, left);
  return state.value === null ? null : { key, birth: state.birth };
}

/** Moves the end of that very life; never begins another. Gives the end that it has then, `null` if it is over. */
function renewChange(life: Life, untilMs: number): Change<number | null> {
  return {
    bound: untilMs,
    mayRemove: false,
    seals: false,
    apply: (current) => {
      if (!isInLife(current, life) || untilMs <= current.nowMs) return { write: null, result: null };
      if (untilMs <= current.until) return { write: null, result: current.until };
      const { value, attributes } = current;
      return { write: { value, attributes, until: untilMs }, result: untilMs };
    },
  };
}

function endChange({ birth }: Life): Change<void> {
  return {
    bound: 0,
    mayRemove: true,
    seals: true,
    apply: (current) => {
      const isAnother = current.value !== null && !sameBallot(current.birth, birth);
      return { write: isAnother ? null : { value: null, attributes: NO_BYTES, until: 0 }, result: undefined };
    },
  };
}
