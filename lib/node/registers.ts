import type { Change, Changed, OperationId, State } from '../paxos/index.js';

/** How fresh a read must be. */
export type Consistency =
  /** Linearizable: sees every write that ended before the read began. One round trip. */
  | 'quorum'
  /** From this process's own memory where it can; may be stale. No round trip. */
  | 'local';

export interface OperationOptions {
  /**
   * Ms until the operation gives up, retries included; the node's `timeout` unless set. At most a minute, and below
   * `maxClockSkewMs`: else it rejects with `ConfigError`.
   */
  readonly timeoutMs?: number | undefined;
}

export interface EnumerationOptions extends OperationOptions {
  /** Whether to give also ids whose value is over by this node's clock, and may not be by another's. Default `false`. */
  readonly includesJustEnded?: boolean;
}

/** Options for operations, which read from it what is left when they begin. A copy would stand still. */
export interface TimeLeft {
  /** 0 when none is left. */
  readonly timeoutMs: number;
}

/**
 * The registers of the farm, as what is built on them sees them: sessions, key-value. Keys are `<bucket>/<id>`; the
 * bucket has no slash. Operations of one process on one key take effect in the order in which they were called.
 *
 * Every method rejects with `NoQuorumError` (nothing happened), `OutcomeUnknownError` (it may or may not have taken
 * effect), `OverloadedError` or `ClosedError`.
 */
export interface Registers {
  /** The register's state; an expired or destroyed value reads as `value: null`. */
  read(key: string, options?: OperationOptions & { readonly consistency?: Consistency }): Promise<State>;
  /** Runs `change` exactly once, or fails as said above. */
  change<R>(key: string, change: Change<R>, options?: OperationOptions): Promise<Changed<R>>;
  /** Ids of a bucket whose value is visible by this node's clock, over the whole farm, in no order. */
  ids(bucket: string, options?: EnumerationOptions): Promise<string[]>;
  /** Calls `listener` for each commit seen in a bucket, until the function returned is called. */
  watch(bucket: string, listener: (event: CommitEvent) => void): () => void;
  /**
   * For operations that have one time-out together, which begins now.
   * @param timeoutMs the node's `timeout` unless given
   */
  deadline(timeoutMs?: number): TimeLeft;
  /** Wall-clock ms since 1970 by which this node judges expiry; advanced by the monotonic clock. */
  nowMs(): number;
  /**
   * By how many ms that is ahead of the clock of this machine, by which others in this process reckon; 0 for less than a second.
   * The farm does not follow a machine whose clock is set anew unless a majority agrees.
   */
  aheadOfMachineMs(): number;
}

/** {@link Registers} with what watches and lifetimes need. */
export interface WatchableRegisters extends Registers {
  /**
   * Visible ids of a bucket over the whole farm, in no order, each with what tells whether it was written since: also by a
   * write that left it as it was.
   */
  heads(bucket: string, options?: OperationOptions): Promise<Head[]>;
  /**
   * Calls back once, after so many ms.
   * @param isHolding whether it keeps the process alive meanwhile; default `false`
   * @returns cancels it
   */
  after(delayMs: number, callback: () => void, isHolding?: boolean): () => void;
  /**
   * What this process's own memory has of a bucket in one of its 256 shards, as far as it is known to be chosen; nothing
   * where it does not vote. A hint: it may be stale.
   */
  own(bucket: string, shard: number): readonly OwnState[];
  /** Registers in this process's own memory, those of all buckets together: how many {@link own} goes through in 256 shards. */
  readonly ownRecords: number;
}

export interface Head {
  readonly id: string;
  /** Another one after each write; `null` where a write is half done. */
  readonly mark: string | null;
}

/** What a process's own memory has of a register. */
export interface OwnState extends State {
  readonly id: string;
}

/** A chosen change, as seen by this node. */
export interface CommitEvent {
  readonly id: string;
  readonly effect: 'changed' | 'removed';
  readonly operation: OperationId;
  /** Whether this node's own caller made the change. */
  readonly isOwn: boolean;
}
