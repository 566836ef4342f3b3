/** Who votes, and the counting of answers. */

/**
 * The process that an answer came from, as its datagram says. A process that holds a slot for the second time may be
 * taken for what it was the first time: what was sent under another vector does not come this far.
 */
export interface Answerer {
  /** Its number, another one at each start: a process that has lost its memory is not taken for the one before it. */
  readonly process: number;
  /** Slot it holds, from 1; 0 for a learner. */
  readonly slot: number;
}

/**
 * The voters of a register, as one process knows them at each moment. When its answers change, `restart` is called of each
 * exchange that was given it, before any more of their answers are counted.
 */
export interface Electorate {
  /** See {@link isQuorum}: whole numbers from 1. Not empty. */
  readonly sizes: readonly number[];
  /** Whether that very process holds that slot, and has all the memory that goes with it. At most one process does. */
  isVoter(answerer: Answerer): boolean;
}

/**
 * ⌊N/2⌋+1: any two sets of that size have a member in common (Lamport, *Paxos Made Simple*, section 2.2).
 *
 * @param size N, the number of slots, from 1
 */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

/**
 * Whether so many slots decide: for each size n a majority of the slots 1..n, held or not. There is one size, N; while a farm
 * changes from one size to another there are two (joint quorums: Ongaro, *Consensus: Bridging Theory and Practice*,
 * section 4.3).
 *
 * @param sizes not empty
 * @param slots each once
 */
export function isQuorum(sizes: readonly number[], slots: Iterable<number>): boolean {
  const all = [...slots];
  return sizes.every((size) => all.filter((slot) => slot <= size).length >= majorityOf(size));
}

/** The highest slot that counts in a quorum. */
export function lastSlotOf(sizes: readonly number[]): number {
  return Math.max(...sizes);
}

/** The answers to one question: from voters only, from each voter once. */
export class Tally<A> {
  readonly #electorate: Electorate;
  readonly #answers = new Map<number, A>();

  constructor(electorate: Electorate) {
    this.#electorate = electorate;
  }

  /**
   * Counts an answer, if it comes from a voter that has not answered yet.
   *
   * @returns whether it does
   */
  add(from: Answerer, answer: A): boolean {
    if (!this.#electorate.isVoter(from) || this.#answers.has(from.slot)) return false;
    this.#answers.set(from.slot, answer);
    return true;
  }

  /** Number of answers that count. */
  get count(): number {
    return this.#answers.size;
  }

  /** Whether those that have answered are a quorum. */
  get isQuorum(): boolean {
    return isQuorum(this.#electorate.sizes, this.#answers.keys());
  }

  /** Whether every slot that counts has answered. */
  get isComplete(): boolean {
    return this.#answers.size >= lastSlotOf(this.#electorate.sizes);
  }

  /** Whether those that have not answered are a quorum by themselves. */
  get leavesQuorum(): boolean {
    return isQuorum(this.#electorate.sizes, this.missing);
  }

  /** Slots and their answers, in the order of arrival. */
  get entries(): IterableIterator<[number, A]> {
    return this.#answers.entries();
  }

  /** Answers in the order of arrival. */
  get answers(): IterableIterator<A> {
    return this.#answers.values();
  }

  /** Slots that have not answered. */
  get missing(): number[] {
    const slots: number[] = [];
    const last = lastSlotOf(this.#electorate.sizes);
    for (let slot = 1; slot <= last; slot += 1) if (!this.#answers.has(slot)) slots.push(slot);
    return slots;
  }
}
