/** Connections that this node opens to others, one each, to send frames. */
import { Socket } from 'node:net';
import { formatEndpoint } from './endpoints.js';
import { messageOf } from './failures.js';
import { frameHeader } from './frames.js';
import type { StreamLimits } from './stream-limits.js';
import type { Address } from './transport.js';
import type { Warnings } from './warnings.js';

interface Destination {
  readonly to: Address;
  socket: Socket | undefined;
  /** When it was made. */
  connectedMs: number;
  /** Bytes handed to the socket that have not left it. */
  waiting: number;
  /** Failures one after another. */
  failures: number;
  /** When the first of them was. */
  failingSinceMs: number;
  /** No connection is tried before. */
  retryMs: number;
}

/** Where frames are rare, two failures may lie far apart, with nothing tried between them. */
const FAILURES_BEFORE_WARNING = 3;

export class OutgoingStreams {
  readonly #limits: StreamLimits;
  readonly #warnings: Warnings;
  readonly #onSent: () => void;
  /** By `host:port`. */
  readonly #destinations = new Map<string, Destination>();
  /** All that are not closed, also those that were replaced already. */
  readonly #sockets = new Set<Socket>();
  #waiting = 0;
  #closing: Promise<void> | undefined;
  /** Called when nothing waits any more. */
  #onIdle = (): void => {};

  /** @param onSent called for each frame that was handed to the kernel */
  constructor(limits: StreamLimits, warnings: Warnings, onSent: () => void) {
    this.#limits = limits;
    this.#warnings = warnings;
    this.#onSent = onSent;
  }

  /**
   * Sends a frame, over a connection that is opened if there is none. Never throws. The bytes must not change.
   * @returns false if it was refused: too much is waiting, or the node could not be reached a moment ago
   */
  send(to: Address, frame: Uint8Array): boolean {
    if (this.#closing) return false;
    const header = frameHeader(frame.byteLength);
    const size = header.byteLength + frame.byteLength;
    if (this.#waiting + size > this.#limits.maxWaitingInAll) return false;
    const destination = this.#destinationOf(to);
    if (!destination || destination.waiting + size > this.#limits.maxWaiting) return false;
    const socket = this.#socketOf(destination);
    if (!socket) return false;

    this.#count(destination, socket, size);
    socket.cork();
    socket.write(header);
    socket.write(frame, (error) => {
      // After a failure the socket is given up, and with it its count.
      if (destination.socket !== socket || error) return;
      this.#onSent();
      destination.failures = 0;
      this.#count(destination, socket, -size);
    });
    socket.uncork();
    return true;
  }

  /** Gives up the connection to there, if it is made, and what waits for it. */
  drop(to: Address): void {
    const destination = this.#destinations.get(formatEndpoint(to));
    const socket = destination?.socket;
    if (destination === undefined || socket === undefined || socket.connecting) return;
    this.#detach(destination);
    destination.retryMs = 0;
    socket.destroy();
  }

  /**
   * Takes no more, gives up what does not leave within `lingerMs`, and all connections; settles when they are gone.
   * Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#waiting > 0) await this.#linger();
    this.#destinations.clear();
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve()).destroy()),
    );
    await Promise.all(closed);
  }

  async #linger(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
      timer = setTimeout(resolve, this.#limits.lingerMs);
    });
    clearTimeout(timer);
  }

  #destinationOf(to: Address): Destination | undefined {
    const key = formatEndpoint(to);
    const known = this.#destinations.get(key);
    if (known) return known;
    if (this.#destinations.size >= this.#limits.maxDestinations && !this.#forgetOne()) return undefined;
    const destination: Destination = {
      to,
      socket: undefined,
      connectedMs: 0,
      waiting: 0,
      failures: 0,
      failingSinceMs: 0,
      retryMs: 0,
    };
    this.#destinations.set(key, destination);
    return destination;
  }

  /** Makes room: where there is no connection, else where nothing waits for one. */
  #forgetOne(): boolean {
    const all = [...this.#destinations];
    const found = all.find(([, { socket }]) => !socket) ?? all.find(([, { waiting }]) => waiting === 0);
    if (!found) return false;
    const [key, { socket }] = found;
    this.#destinations.delete(key);
    socket?.destroy();
    return true;
  }

  #socketOf(destination: Destination): Socket | undefined {
    const { socket } = destination;
    if (socket?.writable && !this.#isOld(destination)) return socket;
    // The other side has hung up, which its `close` event will say later.
    if (socket?.writable) this.#retire(destination, socket);
    else if (socket) this.#release(destination, socket.destroy(), 'the other side closed it');
    return this.#connect(destination);
  }

  #isOld({ socket, connectedMs, waiting }: Destination): boolean {
    return waiting === 0 && !socket?.connecting && performance.now() - connectedMs > this.#limits.maxAgeMs;
  }

  /** What was handed to the kernel is sent to its end. */
  #retire(destination: Destination, socket: Socket): void {
    this.#detach(destination);
    socket.end();
  }

  #connect(destination: Destination): Socket | undefined {
    if (performance.now() < destination.retryMs) return undefined;
    const { host, port } = destination.to;
    const socket = new Socket();
    try {
      socket.connect({ host, port });
    } catch (error) {
      // A port out of range, in a hello that somebody sent. The socket has its handle already, which would live on.
      socket.destroy();
      this.#failed(destination, messageOf(error));
      return undefined;
    }
    destination.socket = socket;
    this.#sockets.add(socket);
    let reason = 'the other side closed it';
    socket.setTimeout(this.#limits.connectMs);
    socket.once('connect', () => {
      destination.connectedMs = performance.now();
      socket.setNoDelay(true).setKeepAlive(true);
      this.#setPatience(destination, socket);
    });
    socket.on('timeout', () => {
      reason = socket.connecting ? 'no answer' : 'the other side does not read';
      socket.destroy();
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    // Nothing is ever sent back; reading is what notices that the other side has closed.
    socket.on('data', () => {
      reason = 'the other side talks back, so it is not a node of this farm';
      socket.destroy();
    });
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#release(destination, socket, reason);
    });
    return socket;
  }

  /** Counts what waits. While something does, the process lives on; a connection with nothing to say holds nobody. */
  #count(destination: Destination, socket: Socket, bytes: number): void {
    const wasWaiting = destination.waiting > 0;
    destination.waiting += bytes;
    this.#countInAll(bytes);
    if (wasWaiting === destination.waiting > 0) return;
    if (destination.waiting > 0) socket.ref();
    else socket.unref();
    if (!socket.connecting) this.#setPatience(destination, socket);
  }

  #setPatience({ waiting }: Destination, socket: Socket): void {
    socket.setTimeout(waiting > 0 ? this.#limits.stallMs : this.#limits.idleMs);
  }

  /** The connection is no more; what waited for it is lost. */
  #release(destination: Destination, socket: Socket, reason: string): void {
    if (destination.socket !== socket) return;
    // One that closes when nothing is to be said has not failed.
    if (this.#detach(destination) > 0) this.#failed(destination, reason);
  }

  /** @returns bytes that waited, and are lost */
  #detach(destination: Destination): number {
    const lost = destination.waiting;
    destination.socket = undefined;
    destination.waiting = 0;
    this.#countInAll(-lost);
    return lost;
  }

  #countInAll(bytes: number): void {
    this.#waiting += bytes;
    if (this.#waiting === 0) this.#onIdle();
  }

  #failed(destination: Destination, reason: string): void {
    const nowMs = performance.now();
    const { minBackoffMs, maxBackoffMs, quietMs } = this.#limits;
    if (destination.failures === 0) destination.failingSinceMs = nowMs;
    destination.failures += 1;
    const pauseMs = Math.min(minBackoffMs * 2 ** (destination.failures - 1), maxBackoffMs);
    destination.retryMs = nowMs + pauseMs;
    const isQuiet = nowMs - destination.failingSinceMs < quietMs || destination.failures < FAILURES_BEFORE_WARNING;
    if (isQuiet || this.#closing) return;
    this.#warnings.warn(
      'stream-failed',
      `The TCP connection to ${formatEndpoint(destination.to)} failed ${destination.failures} times: ${reason}: ` +
        "if that process is up, allow TCP between the nodes; a firewall needs a fixed port, which option 'transport.streamPort' sets.",
    );
  }
}
