export * from './errors.js';
export * from './kv/index.js';
export type { Config } from './membership/index.js';
export type { AnswerHandler } from './node/answering.js';
export type { Answer, AskOptions } from './node/asking.js';
export type { Member, MemberEvent } from './node/members.js';
export type { NodeEvents, ResizeOptions } from './node/node.js';
export { PaxosNode } from './node/node.js';
export type { NodeOptions, StorageOption } from './node/options.js';
export type { RecoveryProgress } from './node/recoverer.js';
export type { ResizeProgress } from './node/resize.js';
export type { LearnerStatus, NodeStatus, VoterStatus } from './node/status.js';
export * from './session/index.js';
export type {
  LevelOptions,
  Storage,
  StorageBatch,
  StorageContents,
  StoredEntry,
} from './storage/index.js';
export { CorruptionError } from './storage/index.js';
export type {
  Address,
  BroadcastOptions,
  MulticastOptions,
  NetworkConditions,
  NetworkCut,
  NetworkDirection,
  PeersOptions,
  PoorNetwork,
  PoorNetworkCounters,
  PoorNetworkOptions,
  Receiver,
  Transport,
  TransportOption,
  TransportStatus,
} from './transport/index.js';
export { poorNetwork } from './transport/index.js';
