import { compareBallots } from './ballot.js';
import type { Report } from './messages.js';
import { isQuorum } from './quorum.js';
import { isSameProposal, type Proposal } from './record.js';

/** What a quorum's reports of one register come to. */
export interface Picked {
  /** The value to build on: the one of the highest ballot; `null` if nobody holds any. */
  readonly proposal: Proposal | null;
  /** Whether it is certain to be chosen: a quorum holds it, or one acceptor knows. */
  readonly isChosen: boolean;
}

/**
 * The one rule by which phase 1, reads and recovery decide which value a quorum holds (*Paxos Made Simple*,
 * section 2.2: "the value of the highest-numbered proposal among the responses").
 *
 * Ballots being unique, two values at one ballot can't be; fast ballots, where they can, will extend this function.
 *
 * @param reports by slot
 * @param sizes what a quorum takes: see {@link isQuorum}
 */
export function pick(reports: Iterable<readonly [number, Report | null]>, sizes: readonly number[]): Picked {
  let highest: Proposal | null = null;
  const votes: number[] = [];
  let isCommitted = false;
  for (const [slot, report] of reports) {
    if (report === null) continue;
    const { proposal } = report;
    if (highest !== null && isSameProposal(highest, proposal.accepted, proposal.operation)) {
      isCommitted ||= report.committed;
    } else if (highest === null || compareBallots(proposal.accepted, highest.accepted) > 0) {
      highest = proposal;
      votes.length = 0;
      isCommitted = report.committed;
    } else {
      continue;
    }
    // A copy counts for nothing: the slot's earlier holder may have promised against it before anybody accepted it there.
    if (report.isCopy !== true) votes.push(slot);
  }
  return { proposal: highest, isChosen: highest !== null && (isCommitted || isQuorum(sizes, votes)) };
}
