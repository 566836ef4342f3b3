/** Datagrams to each of a list of nodes, for networks without multicast. */
import { ClosedError, ConfigError } from '../errors.js';
import {
  type ChannelContext,
  type DatagramChannel,
  type Opened,
  openError,
  reportSendError,
  WILDCARD,
} from './channel.js';
import { type Family, familyOf, formatEndpoint } from './endpoints.js';
import { codeOf, messageOf } from './failures.js';
import { isLoopback, type Listing, OwnAddresses } from './interfaces.js';
import type { PeersSettings } from './options.js';
import { type PeerAddress, PeerTable, type Resolve, systemResolve } from './peer-table.js';
import { DatagramSocket } from './sockets.js';
import type { Address } from './transport.js';

/** Sends that fail one after another before the names are looked up ahead of time: a node may have moved. */
const FAILURES_BEFORE_REFRESH = 3;
/** Names are looked up again: a node may get another address. */
const REFRESH_MS = 30_000;
const LEAST_REFRESH_MS = 1000;
/** Whoever was heard from an address that no name stands for, as far as is known here, is sent to there for so long. */
const HEARD_MS = 60_000;
const MAX_HEARD = 256;

/** One socket sends and receives all. */
export class PeersChannel implements DatagramChannel {
  readonly description: string;
  readonly #settings: PeersSettings;
  readonly #context: ChannelContext;
  readonly #resolve: Resolve;
  readonly #table: PeerTable;
  readonly #own: OwnAddresses;
  #socket: DatagramSocket | undefined;
  #family: Family = 4;
  /** All nodes but this one. */
  #others: readonly Address[] = [];
  /** Other addresses that nodes of the farm were heard from, with when that was, the latest last. By `host:port`. */
  readonly #heard = new Map<string, { readonly address: Address; readonly atMs: number }>();
  #failures = 0;
  #refreshedMs = 0;
  #refreshing = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param list this machine's interfaces */
  constructor(settings: PeersSettings, context: ChannelContext, resolve: Resolve = systemResolve, list?: Listing) {
    this.#settings = settings;
    this.#context = context;
    this.#resolve = resolve;
    this.#table = new PeerTable(settings.peers, resolve);
    this.#own = new OwnAddresses((error) => this.#warnUnlisted(error), list);
    const some = settings.peers.slice(0, 3).map(formatEndpoint).join(', ');
    this.description = `peers ${some}${settings.peers.length > 3 ? ` and ${settings.peers.length - 3} more` : ''}`;
  }

  async open(): Promise<Opened> {
    const unresolved = await this.#whileOpen(this.#table.refresh());
    this.#refreshedMs = performance.now();
    const bindHosts = await this.#resolveBind();
    this.#family = this.#settings.family ?? this.#familyOfBind(bindHosts) ?? this.#table.preferredFamily();
    this.#socket = await this.#bindFirst(bindHosts, unresolved);
    try {
      // Once at least, for the day on which the system does not say.
      if (this.#socket.address.host === WILDCARD[this.#family]) this.#own.look();
      this.#aim();
    } catch (error) {
      throw openError(this.description, error);
    }
    if (unresolved.length > 0) this.#warnUnresolved(unresolved);
    // Numeric addresses stay what they are, but this machine's own may change, and with them who is `self`.
    this.#timer = setInterval(() => this.#refresh(), REFRESH_MS).unref();
    const { address, receiveBufferSize } = this.#socket;
    return { family: this.#family, streamHost: address.host, receiveBufferSize };
  }

  broadcast(datagram: Uint8Array): void {
    for (const peer of this.#others) this.send(peer, datagram);
    if (this.#heard.size === 0) return;
    const sinceMs = performance.now() - HEARD_MS;
    for (const [name, { address, atMs }] of this.#heard) {
      if (atMs < sinceMs) this.#heard.delete(name);
      else this.send(address, datagram);
    }
  }

  send(to: Address, datagram: Uint8Array): void {
    this.#socket?.send(to, datagram, (error) => {
      if (!error) {
        this.#failures = 0;
        this.#context.counters.datagramsSent += 1;
        return;
      }
      reportSendError(this.#context, to, error);
      this.#failures += 1;
      const isDue = performance.now() - this.#refreshedMs >= LEAST_REFRESH_MS;
      if (this.#failures >= FAILURES_BEFORE_REFRESH && isDue) this.#refresh();
    });
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#socket?.close();
  }

  /** Name servers may take their time, and a look-up can't be called back; closing doesn't wait for it. */
  async #whileOpen<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this.#context;
    let onAbort = (): void => {};
    const aborted = new Promise<never>((_resolve, reject) => {
      onAbort = () => reject(new ClosedError('The transport was closed while it opened.'));
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort);
    });
    return Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', onAbort));
  }

  async #resolveBind(): Promise<readonly string[]> {
    const host = this.#settings.bind?.host;
    if (host === undefined) return [];
    if (familyOf(host) !== undefined) return [host];
    try {
      return await this.#whileOpen(this.#resolve(host));
    } catch (error) {
      if (error instanceof ClosedError) throw error;
      throw new ConfigError(
        `Option transport.bind got '${host}', which can not be resolved; it takes an address of this machine.`,
        { cause: error },
      );
    }
  }

  #familyOfBind(hosts: readonly string[]): Family | undefined {
    const families = hosts.map(familyOf);
    return families.find((family) => family === 4) ?? families[0];
  }

  async #bindFirst(bindHosts: readonly string[], unresolved: readonly string[]): Promise<DatagramSocket> {
    const { bind } = this.#settings;
    if (bind) {
      const host = bindHosts.find((each) => familyOf(each) === this.#family) ?? bind.host;
      try {
        return await this.#bind({ host, port: bind.port });
      } catch (error) {
        throw openError(`peers at transport.bind ${formatEndpoint(bind)}`, error);
      }
    }
    const own = this.#ownPeers();
    for (const address of own) {
      for (const host of this.#hostsToBind(address, own)) {
        try {
          return await this.#bind({ host, port: address.port });
        } catch (error) {
          if (error instanceof ClosedError) throw error;
          if (!['EADDRINUSE', 'EADDRNOTAVAIL'].includes(codeOf(error))) throw openError(this.description, error);
        }
      }
    }
    throw this.#nothingToBind(own, unresolved);
  }

  /**
   * Whether the system calls it ours is asked first: some let programs bind addresses that another machine has now. Those
   * that others can reach come first.
   */
  #ownPeers(): PeerAddress[] {
    try {
      const own = this.#table.addresses(this.#family).filter(({ host }) => this.#own.has(host));
      if (this.#isLocal) return own;
      const isHidden = ({ host }: PeerAddress): number => Number(isLoopback(host));
      return own.sort((a, b) => isHidden(a) - isHidden(b));
    } catch (error) {
      throw openError(this.description, error);
    }
  }

  /**
   * Bound to one address, a socket sends from there alone. A name may stand for another one tomorrow; or, by this machine's
   * own list of hosts, for one that nobody else can reach (Debian has `127.0.1.1` there). Several nodes on this machine that
   * differ by their addresses alone have to keep to them.
   */
  #hostsToBind({ host, port, isNamed }: PeerAddress, own: readonly PeerAddress[]): readonly string[] {
    const isAlone = own.filter((each) => each.port === port).length === 1;
    return isNamed && isAlone && !this.#isLocal ? [WILDCARD[this.#family], host] : [host];
  }

  /** Whether all nodes are on this machine. */
  get #isLocal(): boolean {
    return this.#table.addresses(this.#family).every(({ host }) => isLoopback(host));
  }

  #bind({ host, port }: Address): Promise<DatagramSocket> {
    return DatagramSocket.open({
      family: this.#family,
      host,
      port,
      // Not shared, so that of several processes with one list each finds the entry that is its own.
      shared: false,
      context: this.#context,
      onMessage: (datagram, from) => {
        if (this.#context.deliver(datagram, from)) this.#hear(from);
      },
    });
  }

  #nothingToBind(own: readonly Address[], unresolved: readonly string[]): ConfigError {
    const takes = "add this node to 'transport.peers', or say where it listens by 'transport.bind'";
    const unknown = unresolved.length > 0 ? ` Not resolved: ${unresolved.join(', ')}.` : '';
    return own.length === 0
      ? new ConfigError(`None of ${this.description} is an address of this machine: ${takes}.${unknown}`)
      : new ConfigError(
          `Other processes hold ${own.map(formatEndpoint).join(', ')}, all that is this machine's in option ` +
            `'transport.peers': ${takes}.${unknown}`,
        );
  }

  #aim(): void {
    this.#others = this.#table.addresses(this.#family).filter((peer) => !this.#isSelf(peer));
    for (const peer of this.#others) this.#heard.delete(formatEndpoint(peer));
  }

  /**
   * A server that has taken another one's place has another address, and sends from it before this one has looked its name
   * up again. So does one that nobody has listed, as a command that joins for a moment.
   */
  #hear(from: Address): void {
    if (this.#others.some(({ host, port }) => host === from.host && port === from.port)) return;
    const name = formatEndpoint(from);
    const isNew = !this.#heard.delete(name);
    // Which asks the system for all addresses of this machine: not for each datagram.
    if (isNew && this.#isSelf(from)) return;
    const [oldest] = this.#heard.keys();
    if (oldest !== undefined && this.#heard.size >= MAX_HEARD) this.#heard.delete(oldest);
    this.#heard.set(name, { address: { host: from.host, port: from.port }, atMs: performance.now() });
    if (isNew && performance.now() - this.#refreshedMs >= LEAST_REFRESH_MS) this.#refresh();
  }

  #isSelf({ host, port }: Address): boolean {
    const bound = this.#socket?.address;
    if (port !== bound?.port) return false;
    return host === bound.host || (bound.host === WILDCARD[this.#family] && this.#own.has(host));
  }

  #refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#refreshedMs = performance.now();
    void this.#table.refresh().then((unresolved) => {
      this.#refreshing = false;
      this.#failures = 0;
      if (this.#context.signal.aborted) return;
      this.#aim();
      if (unresolved.length > 0) this.#warnUnresolved(unresolved);
    });
  }

  #warnUnlisted(error: unknown): void {
    this.#context.warnings.warn(
      'interfaces',
      `The system does not say which addresses this machine has: ${messageOf(error)}: it is taken to have those it had.`,
    );
  }

  #warnUnresolved(names: readonly string[]): void {
    this.#context.warnings.warn(
      'peer-unresolved',
      `Names in option 'transport.peers' can not be resolved: ${names.join(', ')}: they are tried again.`,
    );
  }
}
