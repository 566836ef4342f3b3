/** The transport that comes with the package: datagrams by UDP, large frames by TCP. */
import { ClosedError, ConfigError } from '../errors.js';
import { BroadcastChannel } from './broadcast.js';
import { type ChannelContext, type Counters, type DatagramChannel, openError } from './channel.js';
import { MulticastChannel } from './multicast.js';
import type { UdpSettings } from './options.js';
import { PeersChannel } from './peers.js';
import { StreamChannel } from './stream.js';
import type { Address, Receiver, Transport, TransportStatus } from './transport.js';
import { Warnings } from './warnings.js';

/** A value of 1 MiB with what is written around it. */
export const DEFAULT_MAX_FRAME_SIZE = 1024 * 1024 + 64 * 1024;
/** What `maxFrameSize` may be at most. */
export const MAX_MAX_FRAME_SIZE = 7 * 1024 * 1024;

export interface UdpTransportLimits {
  /** Bytes of the largest frame, 1..7 MiB: one has to fit in what may wait for a node. Default 1 MiB + 64 KiB. */
  readonly maxFrameSize?: number | undefined;
}

/**
 * Datagrams by multicast, broadcast or to each of a list of nodes; frames by TCP. It does not keep the process alive,
 * except while frames are waiting to leave. What is given to `broadcast`, `send` and `sendStream` is not copied, and
 * must not be changed afterwards. A `from` of a frame is the connection's: its port is not the sender's stream port.
 *
 * @example
 * const transport = new UdpTransport(settings);
 * const { streamPort } = await transport.open(receiver);
 */
export class UdpTransport implements Transport {
  readonly maxDatagramSize: number;
  readonly maxFrameSize: number;
  readonly #settings: UdpSettings;
  readonly #counters: Counters = { datagramsSent: 0, datagramsReceived: 0, sendErrors: 0 };
  readonly #stopping = new AbortController();
  readonly #warnings: Warnings;
  readonly #channel: DatagramChannel;
  readonly #stream: StreamChannel;
  #receiver: Receiver | undefined;
  #receiveBufferSize = 0;
  #opening: Promise<{ readonly streamPort: number }> | undefined;
  #closing: Promise<void> | undefined;

  /** @throws ConfigError if `maxFrameSize` is out of range */
  constructor(settings: UdpSettings, { maxFrameSize = DEFAULT_MAX_FRAME_SIZE }: UdpTransportLimits = {}) {
    if (!Number.isInteger(maxFrameSize) || maxFrameSize < 1 || maxFrameSize > MAX_MAX_FRAME_SIZE) {
      throw new ConfigError(
        `maxFrameSize got ${maxFrameSize}; it takes a whole number of bytes, 1 to ${MAX_MAX_FRAME_SIZE}.`,
      );
    }
    this.#settings = settings;
    this.maxDatagramSize = settings.maxDatagramSize;
    this.maxFrameSize = maxFrameSize;
    this.#warnings = new Warnings((code, message) => {
      if (!this.#closing) this.#receiver?.onWarning(code, message);
    });
    this.#channel = createChannel(settings, {
      receiveBufferSize: settings.receiveBufferSize,
      counters: this.#counters,
      warnings: this.#warnings,
      signal: this.#stopping.signal,
      deliver: (datagram, from) => this.#deliver(datagram, from),
    });
    this.#stream = new StreamChannel(maxFrameSize, this.#warnings, (frame, from) => this.#deliverFrame(frame, from));
  }

  /**
   * @throws ConfigError if a port or address can't be had, or if it is called twice; the message says what to do
   * @throws ClosedError if the transport was, or is meanwhile, closed
   */
  async open(receiver: Receiver): Promise<{ readonly streamPort: number }> {
    if (this.#closing) throw new ClosedError('The transport is closed; make a new one.');
    if (this.#opening) throw new ConfigError('A transport is opened once; give each node one of its own.');
    this.#receiver = receiver;
    this.#opening = this.#start();
    try {
      return await this.#opening;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  broadcast(datagram: Uint8Array): void {
    if (this.#maySend(datagram)) this.#channel.broadcast(datagram);
  }

  send(to: Address, datagram: Uint8Array): void {
    if (this.#maySend(datagram)) this.#channel.send(to, datagram);
  }

  sendStream(to: Address, frame: Uint8Array): boolean {
    if (frame.byteLength > this.maxFrameSize) {
      this.#warnings.warn(
        'too-large',
        `A frame of ${frame.byteLength} bytes was not sent: ${this.maxFrameSize} is the most. Please report this.`,
      );
    }
    return this.#stream.send(to, frame);
  }

  reconnect(to: Address): void {
    this.#stream.reconnect(to);
  }

  status(): TransportStatus {
    return {
      description: this.#channel.description,
      ...this.#counters,
      streamFramesSent: this.#stream.framesSent,
      streamFramesReceived: this.#stream.framesReceived,
      receiveBufferSize: this.#receiveBufferSize,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#stop();
    return this.#closing;
  }

  async #start(): Promise<{ readonly streamPort: number }> {
    const { family, streamHost, receiveBufferSize } = await this.#channel.open();
    this.#receiveBufferSize = receiveBufferSize;
    if (this.#closing) throw new ClosedError('The transport was closed while it opened.');
    const { streamPort } = this.#settings;
    try {
      return { streamPort: await this.#stream.open(streamHost, streamPort) };
    } catch (error) {
      throw openError(`the IPv${family} TCP port ${streamPort} (option transport.streamPort)`, error);
    }
  }

  async #stop(): Promise<void> {
    this.#stopping.abort();
    // What an unfinished `open` makes has to be there before it can be closed; it sees the signal and hurries.
    await this.#opening?.catch(() => {});
    await Promise.all([this.#channel.close(), this.#stream.close()]);
  }

  #maySend(datagram: Uint8Array): boolean {
    if (this.#closing) return false;
    if (datagram.byteLength <= this.maxDatagramSize) return true;
    this.#counters.sendErrors += 1;
    this.#warnings.warn(
      'too-large',
      `A datagram of ${datagram.byteLength} bytes was not sent: ${this.maxDatagramSize} is the most. Please report this.`,
    );
    return false;
  }

  #deliver(datagram: Uint8Array, from: Address): boolean {
    this.#counters.datagramsReceived += 1;
    return this.#receiver?.onDatagram(datagram, from) ?? false;
  }

  #deliverFrame(frame: Uint8Array, from: Address): boolean {
    if (this.#closing) return false;
    return this.#receiver?.onFrame(frame, from) ?? false;
  }
}

function createChannel(settings: UdpSettings, context: ChannelContext): DatagramChannel {
  switch (settings.kind) {
    case 'multicast':
      return new MulticastChannel(settings, context);
    case 'broadcast':
      return new BroadcastChannel(settings, context);
    case 'peers':
      return new PeersChannel(settings, context);
  }
}
