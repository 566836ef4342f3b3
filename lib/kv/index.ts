export type { Entry } from './entry.js';
export type { Key } from './key.js';
export {
  type Change,
  KEEP,
  type KvEvents,
  type LifetimeOf,
  type ListOptions,
  PaxosKV,
  type PaxosKVOptions,
  REMOVE,
} from './kv.js';
export type { Lease, LeaseOptions } from './lease.js';
export type { KvNode } from './node.js';
export type { Expected, LifetimeOptions, ReadOptions, WriteOptions } from './options.js';
export type { Watch } from './queue.js';
export type { WatchOptions } from './watching.js';
