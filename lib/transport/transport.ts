/** Where a datagram came from or goes to. `host` is a numeric address. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What a transport calls; given to {@link Transport.open}. None of these may throw. */
export interface Receiver {
  /**
   * A datagram arrived. The bytes are the receiver's until it returns; it copies what it keeps.
   * @returns whether the bytes were authentic, for this node, and recent: whether they show where their sender is.
   */
  onDatagram(bytes: Uint8Array, from: Address): boolean;
  /**
   * A frame arrived on a stream (see {@link Transport.sendStream}). Same rules; a stream whose frame is not authentic
   * is closed, and so is one that brings a recording: a frame that is old, or for another node.
   */
  onFrame(bytes: Uint8Array, from: Address): boolean;
  /** Something a person should know: `message` says what happened and what to do. The transport goes on. */
  onWarning(code: string, message: string): void;
}

/** What a transport reports of itself, for `status()`. Counters only rise. */
export interface TransportStatus {
  /** For people: `multicast 239.255.77.77:7707`. */
  readonly description: string;
  readonly datagramsSent: number;
  readonly datagramsReceived: number;
  readonly sendErrors: number;
  readonly streamFramesSent: number;
  readonly streamFramesReceived: number;
  /** Bytes of the receive buffer that the kernel granted; 0 if there is none. */
  readonly receiveBufferSize: number;
}

/**
 * Carries datagrams and large frames between the nodes of a farm. Nothing is promised: both may be lost, doubled,
 * delayed or reordered. Implement it to run over another network, or over none (simulation).
 */
export interface Transport {
  /** Largest datagram in bytes that {@link send} and {@link broadcast} take. */
  readonly maxDatagramSize: number;
  /** Largest frame in bytes that {@link sendStream} takes. */
  readonly maxFrameSize: number;
  /**
   * Starts receiving. Rejects with a `ConfigError`-like error whose message names the remedy if it can't.
   * @returns the port on which this node takes streams; the others learn it from this node's hello.
   */
  open(receiver: Receiver): Promise<{ readonly streamPort: number }>;
  /** Sends one datagram to every node that can be reached, this one possibly included. Never throws. */
  broadcast(datagram: Uint8Array): void;
  /** Sends one datagram to one node. Never throws. */
  send(to: Address, datagram: Uint8Array): void;
  /**
   * Sends a frame too large for a datagram, over a connection to `to` (its host and stream port). Never throws.
   * @returns false if the frame was refused, because too much is waiting for that node or it can't be reached.
   */
  sendStream(to: Address, frame: Uint8Array): boolean;
  /**
   * Nothing of that node was heard for a while, and now it is: a connection to its host and stream port, if there is one,
   * is to be given up with what waits, and made anew for the next frame. TCP sends again at intervals that grow with the
   * silence: what was under way would hold up all that follows for about as long again. May be left out by a transport
   * that has nothing of the kind. Never throws.
   */
  reconnect?(to: Address): void;
  status(): TransportStatus;
  /** Stops; settles when nothing of it is left. Idempotent. Calls nothing of the receiver afterwards. */
  close(): Promise<void>;
}
