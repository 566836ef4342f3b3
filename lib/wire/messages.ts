/** What nodes say to each other beside the registers' messages, and the envelope that all of it travels in. */
import type { View } from '../membership/view.js';
import type { PaxosMessage } from '../paxos/index.js';

/** Sent to all at intervals: I am here. */
export interface Hello {
  readonly type: 'hello';
  /** `host:pid`, for people. */
  readonly name: string;
  /** Host that the process runs on: voters are spread over hosts. */
  readonly host: string;
  /** TCP port of the stream channel; 0 for none. */
  readonly streamPort: number;
  readonly clusterSize: number;
  readonly maxClockSkewMs: number;
  /** Slot wanted: 1..clusterSize, 0 for any, −1 for none (a learner). */
  readonly wish: number;
  /** `recovering`: holds a slot, and does not vote before it has the memory that goes with it. */
  readonly phase: 'seeking' | 'voter' | 'learner' | 'leaving' | 'recovering';
  /** Incarnation of the formation that this process has bound itself to; 0 for none. */
  readonly bound: number;
  /** The view this process lives in, or `null`. */
  readonly view: View | null;
  /** Slot that this process holds in it; 0 for none. Of several that name it as their holder, it is this one. */
  readonly slot: number;
  /** Number under which it holds the slot, if that is not its own: an earlier process's, whose memory it has from disk. */
  readonly voter: number;
  /** Whether its memory outlives it. */
  readonly isDurable: boolean;
  /** Whether it can hold no slot any more, as its storage has failed. */
  readonly hasResigned: boolean;
  /** Slots whose holders have said good-bye, or have not been heard for too long. */
  readonly open: readonly number[];
  /** Holders that are known to have ended, by their process numbers. */
  readonly ended: readonly number[];
  /** Incarnation of the farm that this process has given up for lost; 0 for none. */
  readonly lost: number;
  /** Version of the config under which this voter has read what a majority of the size before held; 0 for none. */
  readonly copied: number;
}

/** To all: asks those who vote for the view they vote in. */
export interface Who {
  readonly type: 'who';
  readonly request: number;
}

/** Answer to {@link Who}, from a voter only: so it proves that the view is alive. */
export interface Vouch {
  readonly type: 'vouch';
  readonly request: number;
  readonly view: View;
  /** Whether a majority of its voters is in contact. */
  readonly isServing: boolean;
}

/** From the coordinator of a first start, to all: bind yourselves to this formation. */
export interface Form {
  readonly type: 'form';
  readonly view: View;
}

/** From the coordinator of a first start, to all: that formation was given up. */
export interface Unform {
  readonly type: 'unform';
  readonly incarnation: number;
}

export type MembershipMessage = Hello | Who | Vouch | Form | Unform;

/** An application's question to one process; repeated until it is answered or its time is up. */
export interface Ask {
  readonly type: 'ask';
  /** Rises with every question of one process, whoever is asked. */
  readonly request: number;
  /** The earliest question of that process that is not over: of those before it nobody waits for the answers. 1..request. */
  readonly floor: number;
  readonly topic: string;
  /** `null`: the answerer has said that it has the question. */
  readonly payload: Uint8Array | null;
}

/** Answer to {@link Ask}. */
export interface Told {
  readonly type: 'told';
  readonly request: number;
  /**
   * `running`: it has the question, and no answer yet; `unknown`: it has answered, and has the answer no more. Nothing was
   * done where it says `no handler`, `overloaded` or `closing`.
   */
  readonly outcome: 'answered' | 'running' | 'no handler' | 'failed' | 'overloaded' | 'closing' | 'unknown';
  /** Empty unless `answered`. */
  readonly value: Uint8Array;
  /** What has gone wrong, for people; empty unless `failed`. */
  readonly text: string;
}

export type Message = PaxosMessage | MembershipMessage | Ask | Told;

/** What every datagram and frame says once, before its messages. */
export interface Envelope {
  /** The sending process. */
  readonly from: number;
  /** The process it is for; 0 for all. */
  readonly to: number;
  /** The sender's wall clock when it was sealed, ms since 1970. */
  readonly clockMs: number;
  /** The view the sender lives in; 0 while it has none. */
  readonly incarnation: number;
  /** Slot the sender holds in it; 0 for none. */
  readonly slot: number;
  /** What the sender knows of the slots' holders: see `vectorOf`; 0 while it has no view. */
  readonly vector: number;
}
