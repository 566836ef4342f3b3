import type { Membership, PeerTable } from '../membership/index.js';
import { lastSlotOf, majorityOf } from '../paxos/index.js';

/** Retransmission time-outs: before anything is measured, and the least and most. A busy host answers late at times. */
export const FIRST_RETRANSMIT_MS = 100;
const MIN_RETRANSMIT_MS = 30;
export const MAX_RETRANSMIT_MS = 1000;
/** An operation's time is enough for so many of the longest. */
const MIN_TRANSMISSIONS = 4;

/**
 * Ms until the voters are asked again: the time-out of the slowest among the fastest that make a quorum.
 *
 * @param sizes the farm's, as far as it is known
 * @param timeoutMs an operation's
 */
export function retransmitMs(
  membership: Membership,
  peers: PeerTable,
  sizes: readonly number[],
  timeoutMs: number,
): number {
  const timeouts = membership.otherVoters.flatMap((process) => peers.get(process)?.roundTrip.timeoutMs ?? []);
  timeouts.sort((a, b) => a - b);
  const needed = majorityOf(lastSlotOf(sizes)) - (membership.votingSlot > 0 ? 1 : 0);
  const slowest = needed === 0 ? 0 : (timeouts[needed - 1] ?? FIRST_RETRANSMIT_MS);
  // After a pause of this process answers seem to have taken as long. An operation that asked again, or gave up waiting
  // for one that is silent, only after most of its time would fail by the first datagram lost.
  return bounded(slowest, Math.min(MAX_RETRANSMIT_MS, timeoutMs / MIN_TRANSMISSIONS));
}

/** The same of one process. */
export function retransmitMsOf(process: number, peers: PeerTable): number {
  return bounded(peers.get(process)?.roundTrip.timeoutMs ?? FIRST_RETRANSMIT_MS, MAX_RETRANSMIT_MS);
}

function bounded(ms: number, mostMs: number): number {
  return Math.min(Math.max(ms, MIN_RETRANSMIT_MS), mostMs);
}
