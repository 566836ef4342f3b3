import { type Ballot, type Change, compareBallots, NO_BALLOT, type Proposal, sameBallot } from '../paxos/index.js';
import type { Records } from './voter.js';

/**
 * Writes what a register held in the farm given up, if nothing was ever written here; or if what is here was handed over
 * too, by a process that had missed what this one knows. What clients have written here since is later than both. The age
 * of what is written is that of its data, and not of when it was accepted: it may have been handed over before.
 */
function adopt({ value, attributes, until, birth, dataBallot }: Proposal, horizon: number): Change<null> {
  return {
    // A tombstone lasts as long as what it stands against could have been shown.
    bound: horizon,
    mayRemove: value === null,
    seals: false,
    apply: (current) => {
      const isFirst = sameBallot(current.dataBallot, NO_BALLOT);
      const order = compareBallots(current.dataBallot, dataBallot);
      // A touch leaves the data as it is: of two that differ in their ends only the later end stays.
      const isTouched = order === 0 && value !== null && current.value !== null && current.until < until;
      const isLater = sameBallot(current.birth, birth) && (order < 0 || isTouched);
      const copied = { birth, dataBallot };
      return { write: isFirst || isLater ? { value, attributes, until, copied } : null, result: null };
    },
  };
}

/** Whether somebody may still ask for it. */
export function isOfUse([key, { proposal, horizon }]: Records[number], nowMs: number): boolean {
  // Keys without a bucket are the farm's own: its slots.
  if (proposal === null || key.startsWith('/')) return false;
  return (proposal.value === null ? horizon : proposal.until) > nowMs;
}

/**
 * What keys live by was there before they were given it, which mostly is at their birth. Until it is there again whoever reads
 * them would find them over, and bury them.
 */
function eldestFirst(records: Records): Records {
  const birthOf = ([, { proposal }]: Records[number]): Ballot => proposal?.birth ?? NO_BALLOT;
  return [...records].sort((a, b) => compareBallots(birthOf(a), birthOf(b)));
}

/** What a hand-over is done with. */
export interface HandOverSetup {
  nowMs(): number;
  write(key: string, change: Change<null>): Promise<unknown>;
  /** Waits until what was refused may be tried again. @returns whether it may: not once this process leaves */
  again(): Promise<boolean>;
}

/**
 * Writes what was held in a farm given up into the one joined, as ordinary operations one after the other, so that serving
 * goes on. Tombstones too: each of the processes hands over what it held itself, and one of them may have missed that a
 * session was destroyed, or saved again. Nobody else may have it: what is refused is tried again for as long as it is of
 * use to anybody.
 *
 * @returns how many could not be written
 */
export async function handOver(orphans: Records, { nowMs, write, again }: HandOverSetup): Promise<number> {
  let lost = 0;
  for (const orphan of eldestFirst(orphans)) {
    const [key, { proposal, horizon }] = orphan;
    while (proposal !== null && isOfUse(orphan, nowMs())) {
      const isWritten = await write(key, adopt(proposal, horizon)).then(
        () => true,
        () => false,
      );
      if (isWritten) break;
      if (await again()) continue;
      lost += 1;
      break;
    }
  }
  return lost;
}
