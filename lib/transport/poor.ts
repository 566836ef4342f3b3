/**
 * A poor network, made on purpose: for developing and testing an application, and for the demo. It wraps a transport
 * and loses, doubles, delays and reorders what passes, or lets nothing pass.
 */
import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import { canonicalHost, familyOf } from './endpoints.js';
import type { Address, Receiver, Transport, TransportStatus } from './transport.js';

/**
 * What happens to each datagram and each frame that passes; what is left out is 0. Where both ends of a way are made
 * poor it happens twice: a loss of 0.1 at each of them is 0.19 in all.
 */
export interface NetworkConditions {
  /** Chance, 0..1, of being lost. */
  readonly loss?: number | undefined;
  /** Chance, 0..1, of arriving twice. */
  readonly duplication?: number | undefined;
  /** Chance, 0..1, of being held back until the next one has passed, 100 ms at most. */
  readonly reordering?: number | undefined;
  /** Ms that each one is late, 0..10 000. */
  readonly delayMs?: number | undefined;
  /** Up to so many ms more, 0..10 000, drawn for each one: who draws less overtakes. */
  readonly jitterMs?: number | undefined;
}

/** `'sent'`: what this process sends. `'received'`: what reaches it. */
export type NetworkDirection = 'both' | 'sent' | 'received';

/** What a cut leaves out of reach. */
export interface NetworkCut {
  /** Default `'both'`; one of the two makes a link that carries one way only. */
  readonly direction?: NetworkDirection | undefined;
  /**
   * Numeric addresses of the hosts to be cut off from; left out, everybody. A multicast or broadcast reaches these hosts
   * all the same: to part two of them from each other, cut each off from the other.
   */
  readonly hosts?: readonly string[] | undefined;
}

/** What has happened; all but `waiting` only rise. Datagrams and frames of both directions. */
export interface PoorNetworkCounters {
  readonly lost: number;
  readonly cutOff: number;
  readonly duplicated: number;
  readonly delayed: number;
  readonly reordered: number;
  /** Dropped because 4096 of them, or 64 MiB, were waiting already. */
  readonly overflowed: number;
  /** Those on their way now. */
  readonly waiting: number;
}

export interface PoorNetworkOptions {
  /** Draws a number in 0..1, 1 excluded, for each chance; a generator with a seed makes a run repeatable. Default `Math.random`. */
  readonly random?: (() => number) | undefined;
}

type Settings = Readonly<Record<keyof NetworkConditions, number>>;

/** One of the two directions. */
interface Way {
  settings: Settings;
  /** Whom nothing passes to or from: everybody, these hosts, or nobody. */
  cut: 'all' | ReadonlySet<string> | null;
  /** The one that waits for the next one to pass. */
  heldBack: Waiting | null;
}

interface Waiting {
  readonly bytes: Uint8Array;
  readonly pass: (bytes: Uint8Array) => unknown;
  readonly timer: NodeJS.Timeout;
}

const MAX_DELAY_MS = 10_000;
const HOLD_BACK_MS = 100;
const MAX_WAITING = 4096;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
const MAX_HOSTS = 256;
/** Each condition's largest value. */
const RANGES: Settings = { loss: 1, duplication: 1, reordering: 1, delayMs: MAX_DELAY_MS, jitterMs: MAX_DELAY_MS };
const PERFECT: Settings = { loss: 0, duplication: 0, reordering: 0, delayMs: 0, jitterMs: 0 };

/**
 * A transport whose network is as good or bad as it is told to be, at any time. `poorNetwork` makes one. What is under
 * way when it is closed is lost.
 */
export class PoorNetwork implements Transport {
  readonly maxDatagramSize: number;
  readonly maxFrameSize: number;
  readonly #transport: Transport;
  readonly #random: () => number;
  readonly #sent: Way = { settings: PERFECT, cut: null, heldBack: null };
  readonly #received: Way = { settings: PERFECT, cut: null, heldBack: null };
  readonly #waiting = new Set<Waiting>();
  #waitingBytes = 0;
  readonly #counters = { lost: 0, cutOff: 0, duplicated: 0, delayed: 0, reordered: 0, overflowed: 0 };
  #isClosed = false;

  /** @throws ConfigError for a condition that is out of range */
  constructor(transport: Transport, conditions: NetworkConditions = {}, { random }: PoorNetworkOptions = {}) {
    if (random !== undefined && typeof random !== 'function') throw refuse('random', random, 'a function');
    this.#transport = transport;
    this.#random = random ?? Math.random;
    this.maxDatagramSize = transport.maxDatagramSize;
    this.maxFrameSize = transport.maxFrameSize;
    this.set(conditions);
  }

  /**
   * From now on these are the conditions, in place of all that were set before for that direction.
   * @throws ConfigError for a condition that is out of range; nothing is changed then
   */
  set(conditions: NetworkConditions, direction: NetworkDirection = 'both'): void {
    const settings = check(conditions);
    for (const way of this.#ways(direction)) way.settings = settings;
  }

  /**
   * From now on nothing passes, what is under way included. A second cut takes the place of the first.
   * @example
   * network.cutOff();                         // from everybody
   * network.cutOff({ direction: 'sent' });    // hears the others, is not heard
   * network.cutOff({ hosts: ['10.0.0.2'] });  // from one host
   * @throws ConfigError for a direction or host that is none; nothing is changed then
   */
  cutOff({ direction = 'both', hosts }: NetworkCut = {}): void {
    const cut = hosts === undefined ? 'all' : checkHosts(hosts);
    const ways = this.#ways(direction);
    this.heal();
    for (const way of ways) way.cut = cut;
  }

  /** Ends what {@link cutOff} began. The conditions stay what they were. */
  heal(): void {
    for (const way of this.#ways('both')) way.cut = null;
  }

  /** Whether a cut is in force, in any direction and from anybody. */
  get isCutOff(): boolean {
    return this.#sent.cut !== null || this.#received.cut !== null;
  }

  get counters(): PoorNetworkCounters {
    return { ...this.#counters, waiting: this.#waiting.size };
  }

  open(receiver: Receiver): Promise<{ readonly streamPort: number }> {
    return this.#transport.open({
      // Lost: not heard at all. Later: whether it is authentic is not known yet; it is taken for that, or nobody would
      // ever be heard through a network that delays everything.
      onDatagram: (bytes, from) =>
        this.#pass(this.#received, from, bytes, { lost: false, later: true }, (passed) =>
          receiver.onDatagram(passed, from),
        ),
      // The connection that brought it stays: no network closes one for a loss.
      onFrame: (bytes, from) =>
        this.#pass(this.#received, from, bytes, { lost: true, later: true }, (passed) =>
          receiver.onFrame(passed, from),
        ),
      onWarning: (code, message) => receiver.onWarning(code, message),
    });
  }

  broadcast(datagram: Uint8Array): void {
    this.#pass(this.#sent, null, datagram, LEFT, (bytes) => {
      this.#transport.broadcast(bytes);
      return true;
    });
  }

  send(to: Address, datagram: Uint8Array): void {
    this.#pass(this.#sent, to, datagram, LEFT, (bytes) => {
      this.#transport.send(to, bytes);
      return true;
    });
  }

  reconnect(to: Address): void {
    this.#transport.reconnect?.(to);
  }

  /** @returns false where the transport below refuses it at once; what is lost or delayed here counts as sent */
  sendStream(to: Address, frame: Uint8Array): boolean {
    return this.#pass(this.#sent, to, frame, LEFT, (bytes) => this.#transport.sendStream(to, bytes));
  }

  /** The transport's own, with what happened here beside it. */
  status(): TransportStatus & { readonly poor: PoorNetworkCounters } {
    const status = this.#transport.status();
    const isPoor = this.#ways('both').some(({ settings }) => Object.values(settings).some((value) => value > 0));
    const why = this.isCutOff ? ', cut off on purpose' : isPoor ? ', made poor on purpose' : '';
    return { ...status, description: `${status.description}${why}`, poor: this.counters };
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const { timer } of this.#waiting) clearTimeout(timer);
    this.#waiting.clear();
    this.#waitingBytes = 0;
    return this.#transport.close();
  }

  /**
   * @param peer the other end; null for everybody
   * @param instead what to return where it is lost, or passes later
   * @param pass takes it on its way; the bytes are only lent to it
   */
  #pass(
    way: Way,
    peer: Address | null,
    bytes: Uint8Array,
    instead: { readonly lost: boolean; readonly later: boolean },
    pass: (bytes: Uint8Array) => boolean,
  ): boolean {
    if (this.#isClosed) return false;
    if (this.#isCut(way, peer)) return instead.lost;
    const { loss, duplication, delayMs, jitterMs } = way.settings;
    if (this.#draws(loss)) {
      this.#counters.lost += 1;
      return instead.lost;
    }
    const copies = this.#draws(duplication) ? 2 : 1;
    this.#counters.duplicated += copies - 1;
    let result = instead.later;
    for (let copy = 1; copy <= copies; copy += 1) {
      const lateMs = jitterMs > 0 ? delayMs + this.#random() * jitterMs : delayMs;
      if (lateMs === 0) {
        const passed = this.#arrive(way, peer, bytes, pass);
        if (copy === 1) result = passed ?? instead.later;
      } else if (this.#wait(bytes, lateMs, (kept) => this.#arrive(way, peer, kept, pass)) !== null) {
        this.#counters.delayed += 1;
      }
    }
    return result;
  }

  /** After its delay. @returns what `pass` says; undefined if it is held back, or a cut was faster */
  #arrive(
    way: Way,
    peer: Address | null,
    bytes: Uint8Array,
    pass: (bytes: Uint8Array) => boolean,
  ): boolean | undefined {
    // The receiver may have closed it while it took the first of two copies.
    if (this.#isClosed || this.#isCut(way, peer)) return undefined;
    if (way.heldBack === null && this.#draws(way.settings.reordering)) {
      way.heldBack = this.#wait(bytes, HOLD_BACK_MS, (kept) => {
        way.heldBack = null;
        if (!this.#isCut(way, peer)) pass(kept);
      });
      if (way.heldBack !== null) this.#counters.reordered += 1;
      return undefined;
    }
    const result = pass(bytes);
    if (way.heldBack !== null) this.#release(way.heldBack);
    return result;
  }

  /** Keeps a copy, for the lender may use the bytes again. @returns null where too much waits: it is dropped */
  #wait(bytes: Uint8Array, ms: number, pass: (bytes: Uint8Array) => unknown): Waiting | null {
    if (this.#waiting.size >= MAX_WAITING || this.#waitingBytes + bytes.byteLength > MAX_WAITING_BYTES) {
      this.#counters.overflowed += 1;
      return null;
    }
    const waiting: Waiting = {
      bytes: new Uint8Array(bytes),
      pass,
      timer: setTimeout(() => this.#release(waiting), ms).unref(),
    };
    this.#waiting.add(waiting);
    this.#waitingBytes += bytes.byteLength;
    return waiting;
  }

  #release(waiting: Waiting): void {
    if (!this.#waiting.delete(waiting)) return;
    clearTimeout(waiting.timer);
    this.#waitingBytes -= waiting.bytes.byteLength;
    waiting.pass(waiting.bytes);
  }

  #isCut({ cut }: Way, peer: Address | null): boolean {
    if (cut === null) return false;
    if (cut !== 'all' && (peer === null || !cut.has(canonicalHost(peer.host)))) return false;
    this.#counters.cutOff += 1;
    return true;
  }

  #draws(chance: number): boolean {
    return chance > 0 && this.#random() < chance;
  }

  #ways(direction: NetworkDirection): readonly Way[] {
    switch (direction) {
      case 'both':
        return [this.#sent, this.#received];
      case 'sent':
        return [this.#sent];
      case 'received':
        return [this.#received];
      default:
        throw refuse('direction', direction, "'both', 'sent' or 'received'");
    }
  }
}

/** What is sent has left, as far as its sender can tell. */
const LEFT = { lost: true, later: true };

function check(conditions: NetworkConditions): Settings {
  if (typeof conditions !== 'object' || conditions === null) {
    throw refuse('conditions', conditions, `an object with any of ${Object.keys(RANGES).join(', ')}`);
  }
  const settings = { ...PERFECT };
  for (const [name, value] of Object.entries(conditions)) {
    if (!Object.hasOwn(RANGES, name)) {
      throw new ConfigError(`There is no network condition ${name}; it takes ${Object.keys(RANGES).join(', ')}.`);
    }
    if (value === undefined) continue;
    const most = RANGES[name as keyof Settings];
    if (typeof value !== 'number' || !(value >= 0 && value <= most)) {
      throw refuse(name, value, `a number from 0 to ${most}`);
    }
    settings[name as keyof Settings] = value;
  }
  return settings;
}

function checkHosts(hosts: readonly string[]): ReadonlySet<string> {
  const takes = `an array of 1 to ${MAX_HOSTS} numeric addresses, as '10.0.0.2'`;
  if (!Array.isArray(hosts) || hosts.length < 1 || hosts.length > MAX_HOSTS) throw refuse('hosts', hosts, takes);
  for (const host of hosts) {
    if (typeof host !== 'string' || familyOf(host) === undefined) throw refuse('hosts', hosts, takes);
  }
  return new Set(hosts.map(canonicalHost));
}

function refuse(name: string, got: unknown, takes: string): ConfigError {
  return new ConfigError(`Option ${name} got ${inspect(got, { depth: 1 }).slice(0, 100)}; it takes ${takes}.`);
}
