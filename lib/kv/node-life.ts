import { ClosedError, LifetimeOverError, NoQuorumError } from '../errors.js';
import type { OperationOptions } from '../node/registers.js';
import type { Life } from './attributes.js';
import { registerKey } from './key.js';
import { HeldLease, NODES } from './lease.js';
import type { KvNode } from './node.js';
import { refuse } from './options.js';

/** What processes are asked by for the life that keys can hang on. */
const TOPIC = '~node';
/** Ms after which a process that is gone without a word counts as down. */
const TTL_MS = 10_000;

/** One for each node, however many buckets it has. */
const ofNodes = new WeakMap<KvNode, NodeLives>();

/**
 * Lives that last as long as a process is up: each is a lease that the process itself keeps, from when somebody first needs
 * it. So it ends for all at one time, and a process that is only cut off for a moment is not down for some.
 */
export class NodeLives {
  readonly #node: KvNode;
  #own: Promise<HeldLease> | null = null;
  #isLeaving = false;

  static of(node: KvNode): NodeLives {
    const known = ofNodes.get(node) ?? new NodeLives(node);
    ofNodes.set(node, known);
    return known;
  }

  private constructor(node: KvNode) {
    this.#node = node;
    node.answer(TOPIC, async () => {
      const { birth } = (await this.#lease()).life;
      return { round: birth.round, proposer: birth.proposer };
    });
    node.beforeClose(async () => {
      this.#isLeaving = true;
      // One that is only being begun, too.
      await (await this.#own)?.release();
    });
  }

  /**
   * @param process `true` for this one
   * @param left what the call may take yet
   * @throws LifetimeOverError if it does not answer; as `Registers.change` does
   */
  async lifeOf(process: true | string, left: OperationOptions): Promise<Life> {
    const isGroup = process === 'all' || process === 'voters';
    if (process !== true && (typeof process !== 'string' || process === '' || isGroup))
      throw refuse('node', process, 'true for this process, or what Member.process says of another');
    if (process === true || this.#isOwn(process)) return (await this.#within(left, this.#lease())).life;
    const { timeoutMs } = left;
    const [answer] = await this.#node.ask<{ round: number; proposer: number }>(TOPIC, undefined, {
      to: process,
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
    });
    if (answer === undefined || answer.error !== undefined) {
      const why = answer === undefined ? 'it is not known' : answer.error.message;
      throw new LifetimeOverError(
        `The key was not written: process ${process}, by which it was to live, is not there or has no key-value store (${why}).`,
      );
    }
    // By its own number, which is not the one asked for if it votes under that of a process before it.
    return { key: registerKey(NODES, answer.member.process), birth: answer.value };
  }

  /** Under its own number, or the one that it votes under. */
  #isOwn(process: string): boolean {
    const { process: own, voters } = this.#node.status();
    return process === own || voters.some((voter) => voter.isSelf && voter.process === process);
  }

  /** The lease is begun for all who need it, and so goes on being begun when the time of one of them is up. */
  #within(left: OperationOptions, lease: Promise<HeldLease>): Promise<HeldLease> {
    const { timeoutMs } = left;
    if (timeoutMs === undefined) return lease;
    return new Promise((resolve, reject) => {
      const cancel = this.#node.after(timeoutMs, () =>
        reject(
          new NoQuorumError(
            'The key was not written: the life of this process, by which it was to live, could not be begun in time. Look for a lost quorum, or give the call more time.',
          ),
        ),
      );
      lease.then(resolve, reject).finally(cancel);
    });
  }

  /** This process's own; begun anew if it was lost. */
  async #lease(): Promise<HeldLease> {
    for (;;) {
      if (this.#isLeaving)
        throw new ClosedError('The node is being closed: nothing can live by this process any more.');
      this.#own ??= this.#begin();
      const own = this.#own;
      const lease = await own;
      if (!lease.signal.aborted) return lease;
      // Of several who find that, the first begins another.
      if (this.#own === own) this.#own = null;
    }
  }

  #begin(): Promise<HeldLease> {
    const { process, name } = this.#node.status();
    const begun = HeldLease.acquire(this.#node, NODES, process, name, { ttlMs: TTL_MS });
    begun.catch(() => {
      // Whoever waits for it is told; the next one who needs it tries again.
      if (this.#own === begun) this.#own = null;
    });
    return begun;
  }
}
