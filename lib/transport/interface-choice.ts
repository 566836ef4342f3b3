/**
 * Through which interfaces to multicast.
 *
 * A node joins its group on every interface, so it hears whatever interface the others use. To send through every
 * interface as well would always reach everybody, and would also bring each datagram to each process of this machine
 * once per interface: a laptop with a few container bridges would pay four times for all it sends and receives. To
 * send by the system's default route alone fails on a machine that is offline, and on a server whose farm is on its
 * second network card. So:
 *
 * - An interface behind which another machine (or container) was authentically heard in the last minute is sent
 *   through. Processes of this machine hear that too: the kernel loops it back to whoever joined there.
 * - If there is none, the loopback interface is. It always works, and keeps a farm of one machine off the network.
 * - One datagram a second goes through all, so that nodes find each other. Whoever hears one knows the interface from
 *   then on, and whoever gets the answer does as well.
 * - An interface that refuses what is sent several times in a row is left out till it takes one of those. A few refusals
 *   (a full queue, a rate limit) are losses like any other.
 *
 * If the user named one interface it is the only one here, and the same rules lead to it every time.
 */
import type { Family } from './endpoints.js';
import { type Interface, Subnets } from './interfaces.js';

const HEARD_MS = 60_000;
const PROBE_MS = 1000;
/** Refusals in a row after which an interface is left out. */
const MAX_REFUSALS = 3;
/** Senders whose interface is remembered; when full all are forgotten, which costs one look-up each. */
const MAX_REMEMBERED_HOSTS = 1024;

export class InterfaceChoice {
  readonly #family: Family;
  readonly #nowMs: () => number;
  #interfaces: readonly Interface[] = [];
  #subnets: Subnets;
  /** This machine's own addresses say nothing about what is behind an interface. */
  #own = new Set<string>();
  readonly #behind = new Map<string, string | undefined>();
  readonly #heardMs = new Map<string, number>();
  #heardBeyondMs = Number.NEGATIVE_INFINITY;
  readonly #worked = new Set<string>();
  /** Refusals in a row. */
  readonly #refusals = new Map<string, number>();
  #probedMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs a clock in ms that doesn't go back */
  constructor(family: Family, nowMs: () => number = () => performance.now()) {
    this.#family = family;
    this.#nowMs = nowMs;
    this.#subnets = new Subnets(family, []);
  }

  /** The interfaces are these now. */
  update(interfaces: readonly Interface[]): void {
    this.#interfaces = interfaces;
    this.#subnets = new Subnets(this.#family, interfaces);
    this.#own = new Set(interfaces.flatMap(({ addresses }) => addresses));
    this.#behind.clear();
    const names = new Set(interfaces.map(({ name }) => name));
    for (const known of [this.#heardMs, this.#worked, this.#refusals]) {
      for (const name of known.keys()) if (!names.has(name)) known.delete(name);
    }
  }

  /** An authentic datagram came from that address. */
  heardFrom(host: string): void {
    const [address = ''] = host.split('%', 1);
    if (this.#own.has(address)) return;
    const nowMs = this.#nowMs();
    const name = this.#interfaceOf(host);
    if (name === undefined) this.#heardBeyondMs = nowMs;
    else this.#heardMs.set(name, nowMs);
  }

  /** A datagram left through that interface. */
  sent(name: string): void {
    this.#worked.add(name);
    this.#refusals.delete(name);
  }

  /**
   * A datagram did not leave through that interface.
   * @returns whether anybody can have missed it: an interface that never worked beside others that do is no loss
   */
  failed(name: string): boolean {
    this.#refusals.set(name, (this.#refusals.get(name) ?? 0) + 1);
    if (this.#isFailing(name)) this.#heardMs.delete(name);
    return this.#worked.has(name) || this.#interfaces.every((other) => this.#refusals.has(other.name));
  }

  #isFailing(name: string): boolean {
    // One that never took anything has nothing to recover from.
    return (this.#refusals.get(name) ?? 0) >= (this.#worked.has(name) ? MAX_REFUSALS : 1);
  }

  /** The names of the interfaces through which the next datagram goes. */
  choose(): readonly string[] {
    const nowMs = this.#nowMs();
    if (nowMs - this.#probedMs >= PROBE_MS) {
      this.#probedMs = nowMs;
      return this.#interfaces.map(({ name }) => name);
    }
    const usable = this.#interfaces.filter(({ name }) => !this.#isFailing(name));
    const heard = usable.filter(({ name, internal }) => !internal && this.#isHeard(name, nowMs));
    const loopback = usable.filter(({ internal }) => internal);
    const chosen = [heard, loopback, usable].find(({ length }) => length > 0) ?? this.#interfaces;
    return chosen.map(({ name }) => name);
  }

  #isHeard(name: string, nowMs: number): boolean {
    // What came through a router may have come by any interface, so it speaks for all of them.
    const lastMs = Math.max(this.#heardMs.get(name) ?? Number.NEGATIVE_INFINITY, this.#heardBeyondMs);
    return nowMs - lastMs < HEARD_MS;
  }

  #interfaceOf(host: string): string | undefined {
    if (this.#behind.has(host)) return this.#behind.get(host);
    if (this.#behind.size >= MAX_REMEMBERED_HOSTS) this.#behind.clear();
    const name = this.#subnets.interfaceOf(host);
    this.#behind.set(host, name);
    return name;
  }
}
