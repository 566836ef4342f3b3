/**
 * The algorithm without the node: acceptor, proposer, reads, and what they say to each other. Pure: a message or the time
 * goes in, what to send and when to be woken comes out. What whoever builds on it has to bring, and the rules that
 * safety rests on: docs/core.md.
 *
 * Not here is what only this package's node has a use for, and what may change with it: the wheel that forgetting goes
 * by, the digests' mixing, how a lineage is kept, how a batch of changes is run.
 *
 * @packageDocumentation
 */

export {
  Acceptor,
  type AcceptorLimits,
  type Lack,
  MAX_COPY_AGE_MS,
  type Tombstone,
  type Uncollected,
} from './paxos/acceptor.js';
export { InvariantError } from './paxos/assert.js';
export {
  type Ballot,
  BallotSource,
  compareBallots,
  formatBallot,
  higherBallot,
  NO_BALLOT,
  ROUNDS_PER_MS,
  roundTimeMs,
  sameBallot,
} from './paxos/ballot.js';
export type { Change, Current, Decision, Write } from './paxos/change.js';
export { ClassicRound, type ClassicRoundSetup, type RoundContext, type RoundOutcome } from './paxos/classic-round.js';
export { Comparison, type ComparisonOutcome, type ComparisonSetup } from './paxos/comparison.js';
export { Enumeration, type EnumerationOutcome, type EnumerationSetup, MAX_ENUMERATED } from './paxos/enumeration.js';
export { isExpired, type MemberResult, visible } from './paxos/evaluate.js';
export {
  BoundedExchange,
  type Exchange,
  type ExchangeSetup,
  type Outgoing,
  Retransmission,
} from './paxos/exchange.js';
export type { Instant } from './paxos/instant.js';
export { lineageAgeMs } from './paxos/lineage.js';
export {
  type Accept,
  type Accepted,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Commit,
  type Compare,
  type Copy,
  type Differs,
  type Effect,
  type Enumerate,
  type Enumerated,
  type EnumeratedKey,
  type Held,
  type HeldName,
  type Kept,
  type KeptName,
  MAX_NAMED,
  MAX_PULLED,
  MAX_TRANSFERRED,
  type Nack,
  type Named,
  type PaxosMessage,
  type Prepare,
  type Promised,
  type Pull,
  type Pulled,
  type Read,
  type Report,
  type Transfer,
  type Transferred,
} from './paxos/messages.js';
export { type Picked, pick } from './paxos/pick.js';
export { type Answerer, type Electorate, isQuorum, majorityOf, Tally } from './paxos/quorum.js';
export { QuorumRead, type QuorumReadSetup, type ReadOutcome } from './paxos/quorum-read.js';
export {
  ABSENT,
  FOREVER,
  isSameProposal,
  type LineageEntry,
  MAX_LINEAGE,
  NO_BYTES,
  type OperationId,
  type Proposal,
  type RegisterRecord,
  type State,
} from './paxos/record.js';
export { type RecordTable, SHARDS, shardOf } from './paxos/table.js';
export { RecordTransfer, type RecordTransferSetup, type TransferOutcome } from './paxos/transfer.js';
export { Unanimity, type UnanimityOutcome, type UnanimitySetup } from './paxos/unanimity.js';
export { MemoryTable } from './storage/memory.js';
