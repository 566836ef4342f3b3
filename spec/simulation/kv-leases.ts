import type { Lease } from '../../lib/kv/index.js';
import type { Mortal, Window } from './kv-ends.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';

/** How often a holder looks whether it still has its lease, in ms. */
const LOOK_MS = 100;
/** By so much its timers may be late. */
const LATE_MS = 20;
/** Life of a process by which keys hang on it, after its last word. */
const NODE_TTL_MS = 10_000;

/** A lease as its holder sees it. */
export class HeldBySim implements Mortal {
  readonly handle: Lease;
  readonly server: Server;
  readonly #ttlMs: number;
  readonly #lapses: number;
  /** When the call began that got it; and the last moment at which its holder, awake and right about the time, had it. */
  #hadMs: number;
  /** When it was ended by its holder, or its holder learnt of its end, or died: it was not renewed after that. */
  #overMs = Number.POSITIVE_INFINITY;
  #releasingMs = Number.POSITIVE_INFINITY;
  #releasedMs = Number.POSITIVE_INFINITY;

  constructor(server: Server, handle: Lease, ttlMs: number, sinceMs: number, wasTrusted: boolean) {
    this.server = server;
    this.handle = handle;
    this.#ttlMs = ttlMs;
    this.#hadMs = sinceMs;
    const { process } = server;
    // One that was not vouched for may have given it any end.
    this.#lapses = wasTrusted ? process.lapses : Number.NaN;
    const ended = (): void => {
      this.#overMs = Math.min(this.#overMs, process.nowMs);
    };
    handle.signal.addEventListener('abort', ended);
    if (handle.signal.aborted) ended();
    server.wills.add(ended);
    void this.#watch();
  }

  get isHeld(): boolean {
    return !this.handle.signal.aborted && !this.server.process.isDead;
  }

  window(skewMs: number): Window {
    const isTimed = this.#isTimed;
    return {
      // Its holder's clock and another's differ by twice that.
      mayFromMs: Math.min(this.#releasingMs, this.#hadMs - 2 * skewMs - LATE_MS),
      mustByMs: Math.min(
        this.#releasedMs,
        isTimed ? this.#overMs + this.#ttlMs + 2 * skewMs + LATE_MS : Number.POSITIVE_INFINITY,
      ),
    };
  }

  /** Ends it, unless it has ended. @returns whether that was done */
  async release(): Promise<boolean> {
    const { server, handle } = this;
    if (!this.isHeld) return true;
    this.#releasingMs = server.process.nowMs;
    const done = await server.call(`release ${handle.id}`, () => handle.release());
    if ('result' in done) this.#releasedMs = server.process.nowMs;
    return 'result' in done;
  }

  get #isTimed(): boolean {
    return this.server.process.lapses === this.#lapses;
  }

  /** On its holder's own time. */
  async #watch(): Promise<void> {
    const { process } = this.server;
    while (this.isHeld) {
      const dueMs = process.nowMs + LOOK_MS;
      await this.server.sleep(LOOK_MS);
      // One that was asleep may not have heard yet of what its clock says.
      if (process.nowMs < dueMs + LATE_MS && process.isClockTrusted && this.#isTimed && this.isHeld) {
        this.#hadMs = process.nowMs;
      }
    }
  }
}

/** A process by which keys live. */
export class NodeBySim implements Mortal {
  readonly server: Server;
  readonly #simulation: Simulation;
  readonly #sinceMs: number;
  #deadMs = Number.POSITIVE_INFINITY;

  constructor(simulation: Simulation, server: Server) {
    this.server = server;
    this.#simulation = simulation;
    this.#sinceMs = simulation.world.nowMs;
    server.wills.add(() => {
      this.#deadMs = simulation.world.nowMs;
    });
  }

  window(skewMs: number): Window {
    const { lapses } = this.server.process;
    return {
      // It may not have reached a quorum for too long, unless nothing goes wrong.
      mayFromMs: this.#simulation.isCalm ? this.#deadMs : this.#sinceMs,
      mustByMs: lapses === 0 ? this.#deadMs + NODE_TTL_MS + 2 * skewMs + LATE_MS : Number.POSITIVE_INFINITY,
    };
  }
}
