/** Datagrams by UDP multicast. */
import { ConfigError } from '../errors.js';
import {
  type ChannelContext,
  type DatagramChannel,
  type Opened,
  openError,
  reportSendError,
  WILDCARD,
} from './channel.js';
import { familyOf, formatEndpoint } from './endpoints.js';
import { codeOf, messageOf } from './failures.js';
import { InterfaceChoice } from './interface-choice.js';
import { describeInterfaces, findInterface, type Interface, listInterfaces, MAX_INTERFACES } from './interfaces.js';
import type { MulticastSettings } from './options.js';
import { DatagramSocket } from './sockets.js';
import type { Address } from './transport.js';

/**
 * Interfaces are looked at again: a server may start before its network does, and one whose cable was out for a moment
 * should not be out of service for much longer. A look takes less than a millisecond and sends nothing.
 */
const REFRESH_MS = 2000;

interface Sender {
  readonly socket: DatagramSocket;
  /** The interface as it was when the socket was told to send through it; empty if it is to be told again. */
  readonly selector: string;
}

/**
 * One socket is bound to the group and receives; another one, on a port of its own, sends to single nodes and receives
 * their answers, since of a shared port only the socket bound last gets what is sent to one node. Multicasts go
 * through the second socket, or where there are several interfaces through one socket for each: a socket can't be
 * pointed elsewhere while it may still have something to send.
 */
export class MulticastChannel implements DatagramChannel {
  readonly description: string;
  readonly #settings: MulticastSettings;
  readonly #context: ChannelContext;
  readonly #listInterfaces: () => Interface[];
  readonly #choice: InterfaceChoice;
  readonly #sockets = new Set<DatagramSocket>();
  readonly #senders = new Map<string, Sender>();
  /** Name to selector. */
  readonly #joined = new Map<string, string>();
  /** Interfaces that can't be joined or sent through, and were complained of. */
  readonly #unusable = new Set<string>();
  #receiving: DatagramSocket | undefined;
  /** Whether that is in groups of interfaces that are no more. */
  #hasStale = false;
  #unicast: DatagramSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;

  /** @param list this machine's interfaces, loopback first */
  constructor(
    settings: MulticastSettings,
    context: ChannelContext,
    list: () => Interface[] = () => listInterfaces(settings.family),
  ) {
    this.#settings = settings;
    this.#context = context;
    this.#listInterfaces = list;
    this.#choice = new InterfaceChoice(settings.family);
    const by = settings.interface === undefined ? '' : ` on ${settings.interface}`;
    this.description = `multicast ${formatEndpoint(settings.group)}${by}`;
  }

  async open(): Promise<Opened> {
    const { family } = this.#settings;
    let interfaces: readonly Interface[];
    try {
      interfaces = this.#wanted();
      if (interfaces.length === 0) throw this.#noInterface();
      this.#receiving = await this.#openReceiving();
      this.#unicast = await this.#openSocket(0, this.#unicastHost(interfaces), false);
      await this.#use(interfaces);
    } catch (error) {
      throw openError(this.description, error);
    }
    if (this.#joined.size === 0) {
      throw new ConfigError(
        `Could not join ${this.description} on any of ${describeInterfaces(interfaces)}: ` +
          "enable multicast there, or list the nodes in option 'transport.peers'.",
      );
    }
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS).unref();
    return {
      family,
      streamHost: this.#unicastHost(interfaces) ?? WILDCARD[family],
      receiveBufferSize: Math.min(...[...this.#sockets].map(({ receiveBufferSize }) => receiveBufferSize)),
    };
  }

  broadcast(datagram: Uint8Array): void {
    for (const name of this.#choice.choose()) {
      const sender = this.#senders.get(name);
      sender?.socket.send(this.#settings.group, datagram, (error) => this.#multicastDone(name, error));
    }
  }

  send(to: Address, datagram: Uint8Array): void {
    this.#unicast?.send(to, datagram, (error) => {
      if (error) reportSendError(this.#context, to, error);
      else this.#context.counters.datagramsSent += 1;
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#refreshing;
    this.#senders.clear();
    await Promise.all([...this.#sockets].map((socket) => socket.close()));
    this.#sockets.clear();
  }

  #multicastDone(name: string, error: unknown): void {
    if (!error) {
      this.#context.counters.datagramsSent += 1;
      this.#choice.sent(name);
      return;
    }
    // It may have been made anew under its name and address: the socket still means the one that is gone.
    const sender = this.#senders.get(name);
    if (sender !== undefined) this.#senders.set(name, { ...sender, selector: '' });
    if (this.#choice.failed(name)) reportSendError(this.#context, this.#settings.group, error);
  }

  /** The interfaces to join and send through, as they are now. */
  #wanted(): Interface[] {
    const interfaces = this.#listInterfaces();
    if (this.#settings.interface === undefined) {
      if (interfaces.length > MAX_INTERFACES) this.#warnTooMany(interfaces.slice(MAX_INTERFACES));
      return interfaces.slice(0, MAX_INTERFACES);
    }
    const found = findInterface(this.#settings.interface, interfaces);
    return found ? [found] : [];
  }

  #warnTooMany(left: readonly Interface[]): void {
    this.#context.warnings.warn(
      'interfaces-left-out',
      `Of this machine's network interfaces ${MAX_INTERFACES} are used, as many as a socket may join; left out are ${describeInterfaces(left.slice(0, 5))}${left.length > 5 ? ' and others' : ''}: name the one that the other nodes are behind in option 'transport.interface'.`,
    );
  }

  #noInterface(): ConfigError {
    const { family, interface: name } = this.#settings;
    const there = `those with an IPv${family} address are: ${describeInterfaces(this.#listInterfaces())}`;
    return name === undefined
      ? new ConfigError(`Could not open ${this.description}: no network interface is up; ${there}.`)
      : new ConfigError(
          `Option transport.interface got '${name}', which this machine does not have; ${there}. Choose one of them.`,
        );
  }

  /** Bound to the group a socket hears that group alone; Windows can't, and a group of link scope needs one link. */
  #receiveHost(): string | undefined {
    const { host } = this.#settings.group;
    const isLinkScope = /^ff.[12]/i.test(host);
    return process.platform === 'win32' || isLinkScope ? undefined : host;
  }

  /** An address that was given as `interface` stays; behind a name the address may change, so all are listened on. */
  #unicastHost([first]: readonly Interface[]): string | undefined {
    const host = this.#settings.interface;
    if (host === undefined || familyOf(host) === undefined || !first) return undefined;
    return /^fe80:/i.test(host) && !host.includes('%') ? `${host}%${first.name}` : host;
  }

  /** Interfaces come and go: a cable, a VPN, a container's network, DHCP. */
  #refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = this.#look()
      .catch((error: unknown) => {
        if (this.#context.signal.aborted) return;
        this.#context.warnings.warn('interfaces', `Looking for network interfaces failed: ${messageOf(error)}.`);
      })
      .finally(() => {
        this.#refreshing = undefined;
      });
  }

  async #look(): Promise<void> {
    const interfaces = this.#wanted();
    if (interfaces.length > 0) return this.#use(interfaces);
    // While the interface is gone, its membership can still be given up by its address: a socket may have twenty.
    for (const name of this.#joined.keys()) this.#leave(name);
    const name = this.#settings.interface ?? 'every interface';
    this.#context.warnings.warn('interfaces', `The network (${name}) is gone; it is used again when it is back.`);
  }

  async #use(interfaces: readonly Interface[]): Promise<void> {
    const names = new Set(interfaces.map(({ name }) => name));
    for (const name of this.#joined.keys()) if (!names.has(name)) this.#leave(name);
    for (const name of this.#unusable) if (!names.has(name)) this.#unusable.delete(name);
    for (const each of interfaces) {
      if (this.#join(each)) this.#hasStale = true;
      await this.#makeSender(each, interfaces);
    }
    if (this.#hasStale) await this.#renewReceiving(interfaces);
    for (const [name, sender] of this.#senders) {
      if (names.has(name)) continue;
      this.#senders.delete(name);
      await this.#discard(sender.socket);
    }
    this.#choice.update(interfaces.filter(({ name }) => this.#senders.has(name)));
  }

  /** @returns whether it was joined, and had forgotten it: it was made anew under its name and address */
  #join({ name, selector }: Interface): boolean {
    const known = this.#joined.get(name);
    if (known !== undefined && known !== selector) this.#leave(name);
    try {
      // Also where it is joined already, to find that out.
      this.#receiving?.configure((socket) => socket.addMembership(this.#settings.group.host, selector));
      this.#joined.set(name, selector);
      return known === selector;
    } catch (error) {
      if (codeOf(error) === 'EADDRINUSE') this.#joined.set(name, selector);
      else this.#complain(name, error);
      return false;
    }
  }

  /**
   * A membership of an interface that was made anew under its address stays with the socket, and can't be given up by that
   * address any more. A socket may have twenty: so this one is replaced.
   */
  async #renewReceiving(interfaces: readonly Interface[]): Promise<void> {
    const former = this.#receiving;
    this.#receiving = await this.#openReceiving();
    this.#hasStale = false;
    this.#joined.clear();
    for (const each of interfaces) this.#join(each);
    if (former) await this.#discard(former);
  }

  #openReceiving(): Promise<DatagramSocket> {
    return this.#openSocket(this.#settings.group.port, this.#receiveHost(), true);
  }

  #leave(name: string): void {
    const selector = this.#joined.get(name);
    this.#joined.delete(name);
    try {
      this.#receiving?.configure((socket) => socket.dropMembership(this.#settings.group.host, selector));
    } catch {
      // The kernel has dropped it together with the interface or its address.
    }
  }

  async #makeSender(each: Interface, interfaces: readonly Interface[]): Promise<void> {
    const { name, selector } = each;
    const known = this.#senders.get(name);
    if (known?.selector === selector) return;
    const usesUnicast = this.#settings.interface !== undefined || each === interfaces.find(({ internal }) => internal);
    const socket = usesUnicast && this.#unicast ? this.#unicast : await this.#openSocket(0, undefined, false);
    try {
      socket.configure((bare) => bare.setMulticastInterface(selector));
    } catch (error) {
      this.#complain(name, error);
      return this.#discard(socket);
    }
    this.#senders.set(name, { socket, selector });
    if (known) await this.#discard(known.socket);
  }

  async #openSocket(port: number, host: string | undefined, shared: boolean): Promise<DatagramSocket> {
    const { family, ttl } = this.#settings;
    const socket = await DatagramSocket.open({
      family,
      host,
      port,
      shared,
      context: this.#context,
      onMessage: (datagram, from) => {
        if (this.#context.deliver(datagram, from)) this.#choice.heardFrom(from.host);
      },
    });
    this.#sockets.add(socket);
    // Where Windows looks for the loopback switch, at the receiver, others look at the sender: so it is set on all.
    socket.configure((bare) => bare.setMulticastTTL(ttl).setMulticastLoopback(true));
    return socket;
  }

  /** The unicast socket stays, whatever it was used for beside. */
  async #discard(socket: DatagramSocket): Promise<void> {
    if (socket === this.#unicast) return;
    this.#sockets.delete(socket);
    await socket.close();
  }

  #complain(name: string, error: unknown): void {
    if (this.#unusable.has(name)) return;
    this.#unusable.add(name);
    this.#context.warnings.warn(
      'multicast-interface',
      `Multicast does not work on network interface ${name}: ${messageOf(error)}: nodes that are behind it are not reached; ` +
        "name the right one in option 'transport.interface' if they are behind another.",
    );
  }
}
