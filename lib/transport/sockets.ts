/** One UDP socket, within the parts of dgram-as-promised that are safe. */
import { DgramAsPromised, type SocketAsPromised } from 'dgram-as-promised';
import { ClosedError } from '../errors.js';
import { type ChannelContext, WILDCARD } from './channel.js';
import { type Family, formatEndpoint } from './endpoints.js';
import { codeOf } from './failures.js';
import type { Address } from './transport.js';

/** Below this a burst of a busy farm is dropped by the kernel; Linux grants about 208 KiB unless told otherwise. */
const ENOUGH_RECEIVE_BUFFER = 256 * 1024;
const LEAST_RECEIVE_BUFFER = 64 * 1024;
/** Bytes handed to the kernel whose callback has not come: beyond it, datagrams are dropped as a full network would. */
const MAX_WAITING = 16 * 1024 * 1024;

export interface DatagramSocketOptions {
  readonly family: Family;
  /** Numeric; undefined for the wildcard. */
  readonly host?: string | undefined;
  /** 0 for a port that the system chooses. */
  readonly port: number;
  /** Whether other processes may bind the same port. */
  readonly shared: boolean;
  readonly context: ChannelContext;
  readonly onMessage: (datagram: Uint8Array, from: Address) => void;
}

/** A bound socket. It does not keep the process alive. */
export class DatagramSocket {
  readonly address: Address;
  /** Bytes that the kernel granted. */
  readonly receiveBufferSize: number;
  readonly #socket: SocketAsPromised;
  #waiting = 0;
  #closing: Promise<void> | undefined;

  private constructor(socket: SocketAsPromised, address: Address, receiveBufferSize: number) {
    this.#socket = socket;
    this.address = address;
    this.receiveBufferSize = receiveBufferSize;
  }

  /** @throws the system's error, or ClosedError if the transport was closed meanwhile; nothing is left open then. */
  static async open(options: DatagramSocketOptions): Promise<DatagramSocket> {
    const { family, context, onMessage } = options;
    const socket = DgramAsPromised.createSocket(
      {
        type: `udp${family}`,
        reuseAddr: options.shared,
        // Otherwise an IPv6 socket would take the IPv4 port as well.
        ipv6Only: family === 6,
        // All addresses here are numeric; the default would ask the resolver for each datagram.
        lookup: (host, _options, callback) => callback(null, host, family),
      },
      (datagram, { address, port }) => {
        if (!context.signal.aborted) onMessage(datagram, { host: address, port });
      },
    );
    try {
      // `exclusive`, or the workers of a node:cluster would share one socket and each datagram would reach one of them.
      const bound = await socket.bind({
        port: options.port,
        address: options.host ?? WILDCARD[family],
        exclusive: true,
      });
      socket.socket.on('error', (error) => {
        if (context.signal.aborted) return;
        context.warnings.warn('receive-failed', `Receiving failed: ${error.message}: receiving goes on.`);
      });
      socket.unref();
      const granted = growReceiveBuffer(socket, context.receiveBufferSize);
      // The host as given, since the system leaves the zone of a link-local address out.
      const address = { host: options.host ?? bound.address, port: bound.port };
      const opened = new DatagramSocket(socket, address, granted);
      if (context.signal.aborted) throw new ClosedError('The transport was closed while it opened.');
      if (granted < Math.min(ENOUGH_RECEIVE_BUFFER, context.receiveBufferSize)) warnSmallBuffer(context, granted);
      return opened;
    } catch (error) {
      await socket.close();
      throw error;
    }
  }

  /** Sets options of the socket that belong to one way of sending. May throw a system error. */
  configure(set: (socket: SocketAsPromised) => void): void {
    set(this.#socket);
  }

  /**
   * Sends without waiting. Never throws. The bytes must not change until `done`, which gets the error if there was one,
   * and is called later, at once, or never if the socket is closed before.
   */
  send(to: Address, datagram: Uint8Array, done: (error: unknown) => void): void {
    const size = datagram.byteLength;
    if (this.#waiting + size > MAX_WAITING) {
      done(Object.assign(new Error(`send ENOBUFS ${formatEndpoint(to)}`), { code: 'ENOBUFS' }));
      return;
    }
    this.#waiting += size;
    const settle = (error: unknown): void => {
      this.#waiting -= size;
      if (!this.#closing) done(error);
    };
    try {
      // The bare socket's: the promise of dgram-as-promised throws an older, unrelated error, or never settles.
      this.#socket.socket.send(datagram, to.port, to.host, (error) => settle(error));
    } catch (error) {
      settle(error);
    }
  }

  /** Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#socket.close();
    return this.#closing;
  }
}

/** Some systems refuse what is above their limit, others (Linux) grant less in silence. */
function growReceiveBuffer(socket: SocketAsPromised, wanted: number): number {
  for (let size = wanted; size >= LEAST_RECEIVE_BUFFER; size = Math.floor(size / 2)) {
    try {
      socket.setRecvBufferSize(size);
      break;
    } catch (error) {
      if (codeOf(error) !== 'ERR_SOCKET_BUFFER_SIZE') throw error;
    }
  }
  const reported = socket.getRecvBufferSize();
  // Linux reports twice what it granted, to account for its own overhead.
  return process.platform === 'linux' ? Math.floor(reported / 2) : reported;
}

function warnSmallBuffer({ warnings, receiveBufferSize }: ChannelContext, granted: number): void {
  const remedy =
    process.platform === 'linux'
      ? `run: sysctl -w net.core.rmem_max=${receiveBufferSize} (and put it in /etc/sysctl.d)`
      : "raise the system's limit for socket buffers";
  warnings.warn(
    'receive-buffer',
    `The system granted a receive buffer of ${granted} bytes where ${receiveBufferSize} were asked for; ` +
      `datagrams will be lost in bursts: ${remedy}.`,
  );
}
