/** Connections that other nodes open to this one, to send frames. Anybody may try, so all is bounded. */
import { createServer, type Server, type Socket } from 'node:net';
import { FrameReader } from './frames.js';
import type { StreamLimits } from './stream-limits.js';
import type { Address } from './transport.js';
import type { Warnings } from './warnings.js';

interface Incoming {
  readonly socket: Socket;
  readonly reader: FrameReader;
  readonly from: Address;
  /** Whether an authentic frame came. */
  proven: boolean;
  /** Closes the connection if none does. */
  readonly deadline: NodeJS.Timeout;
}

export class IncomingStreams {
  readonly #maxFrameSize: number;
  readonly #limits: StreamLimits;
  readonly #warnings: Warnings;
  readonly #onFrame: (frame: Uint8Array, from: Address) => boolean;
  readonly #server: Server;
  /** Oldest first. */
  readonly #connections = new Set<Incoming>();
  #closing: Promise<void> | undefined;

  /** @param onFrame gets each frame, valid until it returns, and tells whether it was authentic */
  constructor(
    maxFrameSize: number,
    limits: StreamLimits,
    warnings: Warnings,
    onFrame: (frame: Uint8Array, from: Address) => boolean,
  ) {
    this.#maxFrameSize = maxFrameSize;
    this.#limits = limits;
    this.#warnings = warnings;
    this.#onFrame = onFrame;
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket));
  }

  /** @returns the port; rejects with the system's error */
  open(host: string, port: number): Promise<number> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // `exclusive`, or the workers of a node:cluster would share the port and get each other's frames.
      server.listen({ host, port, exclusive: true, ipv6Only: host.includes(':') }, () => {
        server.unref();
        server.off('error', reject);
        server.on('error', (error) => {
          this.#warnings.warn(
            'stream-accept',
            `Taking a connection failed: ${error.message}: the next one is awaited.`,
          );
        });
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : port);
      });
    });
  }

  /** Idempotent; also if never opened. */
  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      // The error that it may give says that it was not listening.
      this.#server.close(() => resolve());
      for (const connection of this.#connections) this.#drop(connection);
    });
    return this.#closing;
  }

  #accept(socket: Socket): void {
    socket.unref();
    // Always followed by `close`; whoever sent will send again.
    socket.on('error', () => {});
    const { remoteAddress, remotePort } = socket;
    // Without an address it is closed already.
    if (this.#closing || remoteAddress === undefined || remotePort === undefined || !this.#makeRoom()) {
      socket.destroy();
      return;
    }
    const connection: Incoming = {
      socket,
      reader: new FrameReader(this.#maxFrameSize),
      from: { host: remoteAddress, port: remotePort },
      proven: false,
      deadline: setTimeout(() => this.#drop(connection), this.#limits.proveMs).unref(),
    };
    this.#connections.add(connection);
    socket.setTimeout(this.#limits.incomingIdleMs, () => this.#drop(connection));
    socket.on('data', (chunk) => this.#take(connection, chunk));
    socket.on('close', () => this.#drop(connection));
  }

  /** The unproven give way, the oldest first; the proven never do, or strangers could push nodes of the farm out. */
  #makeRoom(): boolean {
    const unproven = [...this.#connections].filter(({ proven }) => !proven);
    const isFull = this.#connections.size >= this.#limits.maxIncoming;
    const [oldest] = unproven;
    if (!isFull && unproven.length < this.#limits.maxUnproven) return true;
    if (oldest) {
      this.#drop(oldest);
      return true;
    }
    this.#warnings.warn(
      'stream-full',
      `A connection was refused: ${this.#connections.size} nodes are connected to this one, which is the most it takes.`,
    );
    return false;
  }

  #take(connection: Incoming, chunk: Uint8Array): void {
    const isGood = connection.reader.push(chunk, (frame) => {
      // A frame's receiver may close the transport, and with it this connection; what came along is left.
      if (!this.#connections.has(connection)) return false;
      if (!this.#onFrame(frame, connection.from)) return false;
      connection.proven = true;
      clearTimeout(connection.deadline);
      return true;
    });
    if (!isGood) this.#drop(connection);
  }

  #drop(connection: Incoming): void {
    clearTimeout(connection.deadline);
    this.#connections.delete(connection);
    connection.socket.destroy();
  }
}
