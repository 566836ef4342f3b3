import {
  type Config,
  isAt,
  isDeaf,
  type Membership,
  type Peer,
  type PeerTable,
  type View,
} from '../membership/index.js';
import type { TransportStatus } from '../transport/index.js';
import type { OpenerCounters, OutboxStatus } from '../wire/index.js';
import type { LinkCounters } from './link.js';
import type { RecoveryProgress } from './recoverer.js';
import type { RepairCounters } from './repairer.js';
import type { ResizeProgress } from './resize.js';

export interface VoterStatus {
  /** From 1. */
  readonly slot: number;
  /** `host:pid`; `null` where nobody has held the slot yet. */
  readonly name: string | null;
  /** The process's number in base 36. */
  readonly process: string | null;
  readonly generation: number;
  readonly isSelf: boolean;
  /** Whether it was heard within the suspicion time, and has the slot and hears others, by its own account. */
  readonly isUp: boolean;
  /** Whether it holds the slot and does not vote yet. */
  readonly isRecovering: boolean;
  /** Where its datagrams come from; `null` for this process and for those never heard. */
  readonly address: string | null;
  /** Smoothed mean in ms; `null` where none was measured. */
  readonly roundTripMs: number | null;
}

export interface LearnerStatus {
  readonly name: string;
  readonly process: string;
  readonly address: string;
}

/** The cluster as one process sees it. */
export interface NodeStatus {
  /**
   * `starting`: opening the network; `seeking`: looking for the farm; `recovering`: it has taken a slot, and reads the memory
   * that goes with it from the other voters.
   */
  readonly state: 'starting' | 'seeking' | 'voter' | 'learner' | 'recovering' | 'failed' | 'closed';
  /** What a readiness probe needs: a majority of the voters is in contact and this process may be relied on. */
  readonly isReady: boolean;
  readonly cluster: string;
  readonly name: string;
  readonly process: string;
  /** Slot held, from 1; 0 for none. */
  readonly slot: number;
  /** Voters that the farm has; while it changes their number, those that it is to have once both numbers count. */
  readonly clusterSize: number;
  /** A majority of them. */
  readonly quorum: number;
  /** What decides in the farm; `null` while there is none. */
  readonly config: Config | null;
  /** How far a change of that number has come; `null` while there is none. */
  readonly resize: ResizeProgress | null;
  /** Of this formation of the farm, in base 36; `null` while there is none. */
  readonly incarnation: string | null;
  readonly formedAtMs: number | null;
  readonly voters: readonly VoterStatus[];
  readonly learners: readonly LearnerStatus[];
  /** Registers in this process's memory, tombstones included; 0 for a learner. */
  readonly records: number;
  readonly clock: { readonly isTrusted: boolean; readonly aheadMs: number };
  /** Ms until a question is asked again. */
  readonly retransmitMs: number;
  /** Counters only rise; `inFlight` and `waiting` are of now. */
  readonly operations: {
    readonly reads: number;
    readonly changes: number;
    /** Calls that shared another's round. */
    readonly combined: number;
    readonly rounds: number;
    readonly conflicts: number;
    readonly noQuorum: number;
    readonly unknown: number;
    readonly inFlight: number;
    readonly waiting: number;
  };
  /** What this voter has taken over from the others; counters only rise. */
  readonly repair: Readonly<RepairCounters>;
  /** How far the recovery has come; `null` while there is none. */
  readonly recovery: RecoveryProgress | null;
  readonly network: {
    readonly transport: TransportStatus;
    readonly sealing: OpenerCounters | null;
    /** Messages and bytes on their way out. */
    readonly outbox: OutboxStatus | null;
  } & Readonly<LinkCounters>;
}

export function voterStatus(membership: Membership, peers: PeerTable, monotonicMs: number): VoterStatus[] {
  const heard = new Set(membership.slotsHeard(monotonicMs));
  return (membership.view?.holders ?? []).map((holder, index) => {
    const peer = holder === null ? undefined : peers.get(holder.process);
    return {
      slot: index + 1,
      // Of one that goes on with an earlier one's memory, its own.
      name: holder === null ? null : (peer?.introduction?.name ?? holder.name),
      process: holder === null ? null : holder.process.toString(36),
      generation: holder?.generation ?? 0,
      isSelf: index + 1 === membership.slot,
      isUp: heard.has(index + 1) && (index + 1 === membership.slot || mayVote(peer, index + 1, membership)),
      isRecovering: index + 1 === membership.slot ? membership.phase === 'recovering' : isRecovering(peer),
      address: peer === undefined ? null : `${peer.address.host}:${peer.address.port}`,
      roundTripMs: peer?.roundTrip.meanMs ?? null,
    };
  });
}

/** Or will, by its own account; that it seeks says nothing, for such a hello may be an old one. */
function mayVote(peer: Peer | undefined, slot: number, { view, sizes }: Membership): boolean {
  const said = peer?.introduction;
  if (said == null || said.phase === 'seeking') return true;
  return isAt(said, slot, view) && !isDeaf(said, slot, sizes);
}

function isRecovering(peer: Peer | undefined): boolean {
  return peer?.introduction?.phase === 'recovering';
}

export function learnerStatus(view: View | null, peers: PeerTable): LearnerStatus[] {
  const voters = new Set(view?.holders.map((holder) => holder?.process));
  return [...peers].flatMap((peer) => {
    if (voters.has(peer.process) || peer.introduction?.phase !== 'learner') return [];
    const { host, port } = peer.address;
    return [{ name: peer.introduction.name, process: peer.process.toString(36), address: `${host}:${port}` }];
  });
}
