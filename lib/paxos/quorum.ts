/** Who votes, and the counting of answers. */

/**
 * The process that an answer came from, as its datagram says. A process that holds a slot for the second time may be
 * taken for what it was the first time: what was sent under another vector does not come this far.
 */
export interface Answerer {
  readonly process: number;
  /** Slot it holds, from 1; 0 for a learner. */
  readonly slot: number;
}

/** The voters of a register, as one process knows them at the moment of asking. */
export interface Electorate {
  /** N: number of slots, held or not. The quorum is a majority of all of them. */
  readonly size: number;
  /** Whether that very process holds that slot. */
  isVoter(answerer: Answerer): boolean;
}

/** ⌊N/2⌋+1: any two sets of that size have a member in common. */
export function majorityOf(size: number): number {
  return Math.floor(size / 2) + 1;
}

/** The answers to one question: from voters only, from each voter once. */
export class Tally<A> {
  readonly #electorate: Electorate;
  readonly #answers = new Map<number, A>();

  constructor(electorate: Electorate) {
    this.#electorate = electorate;
  }

  /** @returns whether the answer counts: it comes from a voter that has not answered yet. */
  add(from: Answerer, answer: A): boolean {
    if (!this.#electorate.isVoter(from) || this.#answers.has(from.slot)) return false;
    this.#answers.set(from.slot, answer);
    return true;
  }

  get count(): number {
    return this.#answers.size;
  }

  get isMajority(): boolean {
    return this.#answers.size >= majorityOf(this.#electorate.size);
  }

  get isComplete(): boolean {
    return this.#answers.size >= this.#electorate.size;
  }

  /** Answers in the order of arrival. */
  get answers(): IterableIterator<A> {
    return this.#answers.values();
  }

  /** Slots that have not answered. */
  get missing(): number[] {
    const slots: number[] = [];
    for (let slot = 1; slot <= this.#electorate.size; slot += 1) if (!this.#answers.has(slot)) slots.push(slot);
    return slots;
  }
}
