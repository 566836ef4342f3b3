/** Watches a farm, and objects as soon as a rule of the protocol is broken. */
import { type Ballot, compareBallots, majorityOf, NO_BALLOT, type Proposal } from '../../lib/paxos/index.js';
import { decode } from './changes.js';
import { boundBallot, type Farm, type Operation, type Site } from './harness.js';

/** A rule of the protocol is broken. */
export class Violation extends Error {
  override readonly name = 'Violation';
}

/** A value that was proposed, and who accepted it. */
interface Candidate {
  readonly key: string;
  readonly proposal: Proposal;
  readonly slots: Set<number>;
}

export class Witness {
  readonly #farm: Farm;
  readonly #keys: readonly string[];
  readonly #candidates = new Map<string, Candidate>();
  /** What each key is bound to at each acceptor. */
  readonly #bound = new Map<string, Ballot>();
  /** The highest ballot at which an operation itself has sent an accept. */
  readonly #lastAttempt = new Map<string, Ballot>();

  constructor(farm: Farm, keys: readonly string[]) {
    this.#farm = farm;
    this.#keys = keys;
    farm.observers.push({
      stepped: (site, request, answer) => {
        if (request?.type === 'accept' && answer?.type === 'accepted')
          this.#accepted(site, request.key, request.proposal);
        this.#promisesRise(site);
      },
      sent: (operation, { message }) => {
        if (message.type === 'accept') this.#lastAttempt.set(operation.id, message.proposal.accepted);
      },
    });
  }

  /** Values chosen so far of a key, in the order of their ballots. */
  chosen(key: string): Proposal[] {
    return [...this.#candidates.values()]
      .filter((candidate) => candidate.key === key && candidate.slots.size >= majorityOf(this.#farm.size))
      .map((candidate) => candidate.proposal)
      .sort((a, b) => compareBallots(a.accepted, b.accepted));
  }

  /** For one key and ballot there is one value; and no acceptor takes one below what it is bound to. */
  #accepted(site: Site, key: string, proposal: Proposal): void {
    const name = `${key} ${proposal.accepted.round} ${proposal.accepted.proposer}`;
    const known = this.#candidates.get(name);
    if (known === undefined) {
      this.#candidates.set(name, { key, proposal, slots: new Set([site.slot]) });
    } else {
      if (describe(known.proposal) !== describe(proposal)) throw new Violation(`two values at ballot ${name}`);
      if (known.slots.has(site.slot)) return;
      known.slots.add(site.slot);
    }
    const bound = this.#bound.get(`${site.slot} ${key}`) ?? NO_BALLOT;
    if (compareBallots(proposal.accepted, bound) < 0)
      throw new Violation(`slot ${site.slot} accepted below its promise`);
  }

  #promisesRise({ slot, acceptor }: Site): void {
    for (const key of this.#keys) {
      const before = this.#bound.get(`${slot} ${key}`) ?? NO_BALLOT;
      const after = boundBallot(acceptor, key);
      if (compareBallots(after, before) < 0) throw new Violation(`slot ${slot} lowered its promise for ${key}`);
      this.#bound.set(`${slot} ${key}`, after);
    }
  }

  /**
   * A session that was destroyed never comes back: what was written by attempts below a chosen tombstone is in no
   * value chosen above it. Tokens name the operations that wrote them.
   */
  noResurrection(key: string, writers: ReadonlyMap<string, Operation>): void {
    const chosen = this.chosen(key);
    for (const tombstone of chosen.filter((proposal) => proposal.value === null)) {
      for (const { value, accepted } of chosen) {
        if (value === null || compareBallots(accepted, tombstone.accepted) < 0) continue;
        for (const token of decode(value).split(',')) {
          const last = this.#lastAttempt.get(writers.get(token)?.id ?? '');
          if (last !== undefined && compareBallots(last, tombstone.accepted) < 0) {
            throw new Violation(`${token} was destroyed and came back`);
          }
        }
      }
    }
  }

  /** No token is in a value twice: each operation was applied once. */
  noDoubles(key: string): void {
    for (const { value } of this.chosen(key)) {
      if (value === null) continue;
      const tokens = decode(value).split(',');
      if (new Set(tokens).size < tokens.length) throw new Violation(`${key}: ${tokens} holds one twice`);
    }
  }

  /** Where values only grow, a chosen one is contained in all that are chosen above it. */
  nothingLost(key: string): void {
    let before = '';
    for (const { value } of this.chosen(key)) {
      const text = value === null ? '' : decode(value);
      if (!text.startsWith(before)) throw new Violation(`${key}: "${before}" is lost in "${text}"`);
      before = text;
    }
  }

  /** What was said not to have happened has not even been proposed. */
  nothingFromNobody(): void {
    for (const { id, outcome } of this.#farm.operations) {
      if (outcome?.kind !== 'no-quorum') continue;
      if (this.#lastAttempt.has(id)) throw new Violation(`${id} was said not to have happened, and was proposed`);
    }
  }
}

function describe({ operation, value, until }: Proposal): string {
  return `${operation} ${decode(value)} ${until}`;
}
