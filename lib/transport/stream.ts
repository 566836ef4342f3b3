/** The TCP channel, for frames that are too large for a datagram. */
import { IncomingStreams } from './stream-incoming.js';
import { STREAM_LIMITS, type StreamLimits } from './stream-limits.js';
import { OutgoingStreams } from './stream-outgoing.js';
import type { Address, Transport } from './transport.js';
import type { Warnings } from './warnings.js';

/**
 * Frames go over a connection that the sender opens and on which nothing comes back; so an answer goes over one that
 * the other side opens. Nothing is promised: frames that wait when a connection fails are dropped, and sent again by
 * who needs them.
 */
export class StreamChannel {
  /** Frames handed to the kernel. */
  framesSent = 0;
  framesReceived = 0;
  readonly #maxFrameSize: number;
  readonly #incoming: IncomingStreams;
  readonly #outgoing: OutgoingStreams;

  /**
   * @param maxFrameSize bytes of the largest frame, sent or received
   * @param onFrame gets each frame, valid until it returns, with the address of the connection it came by (whose port
   *   is not the sender's stream port); returns whether it was authentic: if not, the connection is closed
   */
  constructor(
    maxFrameSize: number,
    warnings: Warnings,
    onFrame: (frame: Uint8Array, from: Address) => boolean,
    limits: StreamLimits = STREAM_LIMITS,
  ) {
    this.#maxFrameSize = maxFrameSize;
    this.#incoming = new IncomingStreams(maxFrameSize, limits, warnings, (frame, from) => {
      this.framesReceived += 1;
      return onFrame(frame, from);
    });
    this.#outgoing = new OutgoingStreams(limits, warnings, () => {
      this.framesSent += 1;
    });
  }

  /** Starts to take connections. @returns the port; rejects with the system's error */
  open(host: string, port: number): Promise<number> {
    return this.#incoming.open(host, port);
  }

  /** Never throws. @returns false if the frame was refused */
  send(to: Address, frame: Uint8Array): boolean {
    if (frame.byteLength === 0 || frame.byteLength > this.#maxFrameSize) return false;
    return this.#outgoing.send(to, frame);
  }

  /** See {@link Transport.reconnect}. */
  reconnect(to: Address): void {
    this.#outgoing.drop(to);
  }

  /** Closes all connections, once what waits has left or had its time; settles when nothing is left. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#incoming.close(), this.#outgoing.close()]);
  }
}
