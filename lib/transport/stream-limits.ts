/** The bounds of the stream channel; tests narrow them. All times in ms, all sizes in bytes. */
export interface StreamLimits {
  /** Connections from others. */
  readonly maxIncoming: number;
  /** Connections from others that have not sent an authentic frame. */
  readonly maxUnproven: number;
  /** A connection from another node has to send its first authentic frame, whole, within this time. */
  readonly proveMs: number;
  /** A connection from another node on which nothing comes is closed; longer than `idleMs`, so the sender goes first. */
  readonly incomingIdleMs: number;
  /** Nodes to which there is a connection, or was one that failed a moment ago. */
  readonly maxDestinations: number;
  readonly connectMs: number;
  /** A connection with nothing to send is closed. */
  readonly idleMs: number;
  /**
   * What has been open for so long is replaced when the next frame is to be sent and none waits. Nothing comes back, so what
   * a firewall that has forgotten the connection drops would look sent until the kernel gives up, a quarter of an hour later.
   */
  readonly maxAgeMs: number;
  /** A connection whose other end reads nothing, while there is something to send, is closed. */
  readonly stallMs: number;
  /** Bytes that wait for one node. */
  readonly maxWaiting: number;
  /** Bytes that wait for all nodes. */
  readonly maxWaitingInAll: number;
  /** Pause after a failure; doubles with each one that follows. */
  readonly minBackoffMs: number;
  readonly maxBackoffMs: number;
  /** A node that restarts refuses connections for a while, which nobody needs to know. */
  readonly quietMs: number;
  /** What waits when this node closes may still leave within this time. */
  readonly lingerMs: number;
}

export const STREAM_LIMITS: StreamLimits = {
  maxIncoming: 256,
  maxUnproven: 16,
  proveMs: 5000,
  incomingIdleMs: 60_000,
  maxDestinations: 256,
  connectMs: 2000,
  idleMs: 30_000,
  maxAgeMs: 10_000,
  stallMs: 10_000,
  maxWaiting: 8 * 1024 * 1024,
  maxWaitingInAll: 64 * 1024 * 1024,
  minBackoffMs: 50,
  maxBackoffMs: 2000,
  quietMs: 10_000,
  lingerMs: 500,
};
