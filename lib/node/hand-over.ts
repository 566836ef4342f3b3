import {
  type Change,
  compareBallots,
  NO_BALLOT,
  type Proposal,
  type RegisterRecord,
  sameBallot,
} from '../paxos/index.js';

/**
 * Writes what a register held in the farm given up, if nothing was ever written here; or if what is here was handed over
 * too, by a process that had missed what this one knows. What clients have written here since is later than both.
 */
function adopt({ value, attributes, until, birth, accepted }: Proposal, horizon: number): Change<null> {
  return {
    // A tombstone lasts as long as what it stands against could have been shown.
    bound: horizon,
    mayRemove: value === null,
    seals: false,
    apply: (current) => {
      const isFirst = sameBallot(current.dataBallot, NO_BALLOT);
      const isLater = sameBallot(current.birth, birth) && compareBallots(current.dataBallot, accepted) < 0;
      const copied = { birth, dataBallot: accepted };
      return { write: isFirst || isLater ? { value, attributes, until, copied } : null, result: null };
    },
  };
}

/**
 * Writes what was held in a farm given up into the one joined, as ordinary operations one after the other, so that serving
 * goes on. Tombstones too: each of the processes hands over what it held itself, and one of them may have missed that a
 * session was destroyed, or saved again.
 *
 * @returns how many could not be written
 */
export async function handOver(
  orphans: readonly (readonly [string, RegisterRecord])[],
  nowMs: () => number,
  write: (key: string, change: Change<null>) => Promise<unknown>,
): Promise<number> {
  let lost = 0;
  for (const [key, { proposal, horizon }] of orphans) {
    const isOver = proposal?.value === null ? horizon <= nowMs() : (proposal?.until ?? 0) <= nowMs();
    // Keys without a bucket are the farm's own: its slots.
    if (proposal === null || isOver || key.startsWith('/')) continue;
    lost += await write(key, adopt(proposal, horizon)).then(
      () => 0,
      () => 1,
    );
  }
  return lost;
}
