/** Datagrams by IPv4 broadcast. */
import { ConfigError } from '../errors.js';
import {
  type ChannelContext,
  type DatagramChannel,
  type Opened,
  openError,
  reportSendError,
  WILDCARD,
} from './channel.js';
import { formatEndpoint } from './endpoints.js';
import { codeOf } from './failures.js';
import type { BroadcastSettings } from './options.js';
import { DatagramSocket } from './sockets.js';
import type { Address } from './transport.js';

/** Receives broadcasts with one socket on the common port; sends, and receives answers, with one on its own port. */
export class BroadcastChannel implements DatagramChannel {
  readonly description: string;
  readonly #to: Address;
  readonly #context: ChannelContext;
  readonly #sockets: DatagramSocket[] = [];
  #unicast: DatagramSocket | undefined;

  constructor(settings: BroadcastSettings, context: ChannelContext) {
    this.#to = settings.to;
    this.#context = context;
    this.description = `broadcast ${formatEndpoint(settings.to)}`;
  }

  async open(): Promise<Opened> {
    try {
      // Linux lets a socket hear one broadcast address alone; elsewhere it has to hear all that comes to the port.
      const host = process.platform === 'linux' ? this.#to.host : undefined;
      await this.#openSocket(this.#to.port, host, true);
      this.#unicast = await this.#openSocket(0, undefined, false);
    } catch (error) {
      if (codeOf(error) !== 'EADDRNOTAVAIL') throw openError(this.description, error);
      throw new ConfigError(
        `Option transport.broadcast got '${formatEndpoint(this.#to)}', which is not the broadcast address of a subnet ` +
          'that this machine is in; it takes the one that `ip address` shows after `brd`.',
        { cause: error },
      );
    }
    const receiveBufferSize = Math.min(...this.#sockets.map((socket) => socket.receiveBufferSize));
    return { family: 4, streamHost: WILDCARD[4], receiveBufferSize };
  }

  broadcast(datagram: Uint8Array): void {
    this.send(this.#to, datagram);
  }

  send(to: Address, datagram: Uint8Array): void {
    this.#unicast?.send(to, datagram, (error) => {
      if (error) reportSendError(this.#context, to, error);
      else this.#context.counters.datagramsSent += 1;
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }

  async #openSocket(port: number, host: string | undefined, shared: boolean): Promise<DatagramSocket> {
    const socket = await DatagramSocket.open({
      family: 4,
      host,
      port,
      shared,
      context: this.#context,
      onMessage: (datagram, from) => this.#context.deliver(datagram, from),
    });
    this.#sockets.push(socket);
    socket.configure((bare) => bare.setBroadcast(true));
    return socket;
  }
}
