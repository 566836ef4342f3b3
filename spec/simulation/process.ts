import type { Runtime } from '../../lib/node/runtime.js';
import type { Random } from './random.js';
import { EPOCH_MS, type World } from './world.js';

/** A machine: its clocks outlive the processes on it. */
export class Host {
  /** Ms by which its wall clock is ahead of true time. */
  offsetMs = 0;
  /** Whether its clock is further off than a farm's clocks may be. */
  isWild = false;
  #starts = 0;

  constructor(
    readonly id: number,
    /** How fast its clocks go. */
    readonly rate: number,
  ) {}

  /** Depends on this host alone, so that what happens to others changes nothing of what happens here. */
  get nextPort(): number {
    return this.id + 10 * this.#starts++;
  }
}

/** Datagrams that wait for a paused process at most: a socket's receive buffer. */
const MAX_BACKLOG = 400;

/** One process on a host, from its start to its death. */
export class Process {
  readonly #world: World;
  readonly #random: Random;
  readonly #bootedMs: number;
  /** True ms. */
  readonly startedMs: number;
  isDead = false;
  /** It is paused, or stalled within a step, until then. */
  busyUntilMs = 0;
  /** Ms that it has stalled within steps. */
  stalledMs = 0;
  /** Whether its clock is vouched for, and how often it was not any more. */
  isClockTrusted = false;
  lapses = 0;
  /** Datagrams that wait. */
  backlog = 0;

  constructor(
    world: World,
    readonly host: Host,
    readonly port: number,
  ) {
    this.#world = world;
    this.#random = world.random.fork(`process ${port}`);
    this.startedMs = world.nowMs;
    this.#bootedMs = world.nowMs - this.#random.between(0, 1e6);
  }

  get name(): string {
    return `h${this.host.id}p${this.port}`;
  }

  /** True time as far as this process has got; ahead of the world's after a stall within a step. */
  get nowMs(): number {
    return Math.max(this.#world.nowMs, this.busyUntilMs);
  }

  /** What the machine's clock shows. */
  get wallMs(): number {
    return Math.floor(EPOCH_MS + this.nowMs * this.host.rate + this.host.offsetMs);
  }

  /** Pauses don't add up: of several the longest counts. */
  pause(ms: number): void {
    this.busyUntilMs = Math.max(this.busyUntilMs, this.#world.nowMs + ms);
  }

  /** Whether one more datagram fits in the queue of a paused process. */
  queue(): boolean {
    if (this.backlog >= MAX_BACKLOG) {
      this.#world.count('queue full');
      return false;
    }
    this.backlog += 1;
    return true;
  }

  readonly runtime: Runtime = {
    monotonicMs: () => {
      if (this.#random.chance(this.#world.stallChance) && this.#world.running === this) {
        const ms = this.#random.around(800);
        this.#world.count('stall within a step');
        this.#world.note(`${this.name} stalls ${ms.toFixed(0)}`);
        this.busyUntilMs = this.nowMs + ms;
        this.stalledMs += ms;
      }
      return (this.nowMs - this.#bootedMs) * this.host.rate;
    },
    wallMs: () => this.wallMs,
    randomBytes: (size) => this.#random.bytes(size),
    // As late as an event loop's timers are.
    setTimer: (delayMs, _isHolding, callback) =>
      this.#world.at(this.nowMs + delayMs / this.host.rate + this.#random.between(0, 1), this, callback),
    defer: (callback) => {
      this.#world.at(this.nowMs, this, callback);
    },
  };
}
