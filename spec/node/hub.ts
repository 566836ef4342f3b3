import type { Address, Receiver, Transport, TransportStatus } from '../../lib/transport/index.js';

/** What may happen to a datagram or frame on its way; by default it arrives with the next turn of the event loop. */
export interface Fate {
  /** Ms until it arrives, once for each copy; none: it is lost. */
  readonly delaysMs: readonly number[];
}

export interface Traffic {
  readonly from: number;
  readonly to: number;
  readonly isFrame: boolean;
  readonly bytes: Uint8Array;
}

/** A network in this process's memory: each port is a host, and everybody hears a broadcast. */
export class Hub {
  readonly #receivers = new Map<number, Receiver>();
  #nextPort = 1;
  /** Of transports made from now on. */
  maxDatagramSize = 1400;
  /** Decides what becomes of each datagram; to be set by a test. */
  fate: (traffic: Traffic) => Fate = () => ({ delaysMs: [0] });
  /** Connections that were to be made anew. */
  readonly reconnected: { readonly from: number; readonly to: number }[] = [];
  /** Everything that was sent, for counting; cleared by a test. */
  readonly sent: { readonly from: number; readonly to: number | 'all'; readonly isFrame: boolean }[] = [];

  transport(): Transport & { readonly port: number } {
    const port = this.#nextPort++;
    const counts = { datagramsSent: 0, datagramsReceived: 0, streamFramesSent: 0, streamFramesReceived: 0 };
    const address: Address = { host: '127.0.0.1', port };
    const deliver = (to: number, bytes: Uint8Array, isFrame: boolean): void => {
      const copy = new Uint8Array(bytes);
      for (const delayMs of this.fate({ from: port, to, isFrame, bytes: copy }).delaysMs) {
        const arrive = (): void => {
          const receiver = this.#receivers.get(to);
          if (isFrame) receiver?.onFrame(copy, address);
          else receiver?.onDatagram(copy, address);
        };
        if (delayMs === 0) setImmediate(arrive);
        else setTimeout(arrive, delayMs);
      }
    };
    return {
      port,
      maxDatagramSize: this.maxDatagramSize,
      maxFrameSize: 2 ** 20 + 65_536,
      open: async (receiver) => {
        this.#receivers.set(port, receiver);
        return { streamPort: port };
      },
      broadcast: (bytes) => {
        counts.datagramsSent += 1;
        this.sent.push({ from: port, to: 'all', isFrame: false });
        for (const to of this.#receivers.keys()) deliver(to, bytes, false);
      },
      send: (to, bytes) => {
        counts.datagramsSent += 1;
        this.sent.push({ from: port, to: to.port, isFrame: false });
        deliver(to.port, bytes, false);
      },
      sendStream: (to, bytes) => {
        counts.streamFramesSent += 1;
        this.sent.push({ from: port, to: to.port, isFrame: true });
        deliver(to.port, bytes, true);
        return true;
      },
      reconnect: (to) => {
        this.reconnected.push({ from: port, to: to.port });
      },
      status: (): TransportStatus => ({ description: 'hub', ...counts, sendErrors: 0, receiveBufferSize: 0 }),
      close: async () => {
        this.#receivers.delete(port);
      },
    };
  }
}
