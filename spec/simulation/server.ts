import { PaxosError, type PaxosErrorCode } from '../../lib/errors.js';
import { PaxosKV } from '../../lib/kv/index.js';
import { PaxosNode } from '../../lib/node/node.js';
import type { NodeOptions } from '../../lib/node/options.js';
import { PaxosStore } from '../../lib/session/store.js';
import type { Process } from './process.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** Warnings that must not come, whatever happens to a farm here. */
const NEVER = new Set(['halted', 'malformed', 'farms-met', 'memory-lost', 'memory-doubled']);

/** By how much later than the time-out an answer may come: a few looks at the clock, 10 ms apart. */
const LATENESS_MS = 50;

/** How a call may fail when something is wrong. */
export const EXPECTED: ReadonlySet<string> = new Set([
  'ERR_NO_QUORUM',
  'ERR_OUTCOME_UNKNOWN',
  'ERR_CLOSED',
  'ERR_OVERLOADED',
] satisfies PaxosErrorCode[]);

/** What came of a call. */
export type Answer<T> = { readonly result: T } | { readonly code: string };

/** A web server: a process with a node and a session store of the real code. */
export class Server {
  readonly process: Process;
  readonly node: PaxosNode;
  readonly store: PaxosStore;
  /** The same sessions, as this process's own memory has them. */
  readonly localStore: PaxosStore;
  /** `null` where the run is about something else. */
  readonly kv: PaxosKV | null;
  /** Those of the node's events, but for the key-value store's. */
  readonly listeners: number;
  readonly #simulation: Simulation;
  /** Operations of its clients that have not been answered, by what they are. */
  readonly pending = new Set<string>();
  /** What has to be noted once it is dead. */
  readonly wills = new Set<() => void>();
  isStopping = false;
  #calls = 0;

  constructor(
    simulation: Simulation,
    process: Process,
    /** Whether it is one of those that take a slot if there is one. */
    readonly mayVote: boolean,
    options: Pick<NodeOptions, 'bootstrap' | 'formationGraceMs' | 'clusterSize'>,
  ) {
    this.#simulation = simulation;
    this.process = process;
    const { plan, network, world } = simulation;
    this.node = new PaxosNode(
      {
        secret: false,
        name: process.name,
        timeout: plan.timeoutMs,
        maxClockSkewMs: plan.maxClockSkewMs,
        transport: network.transport(process),
        slot: mayVote ? this.#wishOf(process, options) : false,
        storage: plan.hasDisks && mayVote ? simulation.disks.storageFor(process) : 'memory',
        ...options,
      },
      process.runtime,
    );
    this.node.on('warning', ({ code, message }) => {
      world.count(`warning ${code}`);
      world.note(`${process.name} warns: ${code}`);
      // As the warning says.
      if (code === 'storage-failed') world.after(5000, () => simulation.end(this, false, 1000));
      if (NEVER.has(code)) simulation.object(`${code}: ${message}`);
    });
    const rules = {
      node: this.node,
      ttl: plan.sessionLifeMs / 1000,
      touchAfter: world.random.fork('touchAfter').pick([0, 1, 1, 60]),
    };
    this.store = new PaxosStore(rules);
    this.localStore = new PaxosStore({ ...rules, reads: 'local' });
    // Nobody reads them here: they are counted above.
    this.store.on('warning', () => undefined);
    this.localStore.on('warning', () => undefined);
    this.listeners = listenersOf(this.node);
    this.kv = plan.kvShare > 0 ? new PaxosKV({ node: this.node }) : null;
  }

  /** The slot that it is given: a standby has another's. */
  #wishOf({ host }: Process, { clusterSize = 1 }: Pick<NodeOptions, 'clusterSize'>): NodeOptions['slot'] {
    return this.#simulation.plan.hasFixedSlots ? ((host.id - 1) % clusterSize) + 1 : 'auto';
  }

  /**
   * Has one of its clients call it: that has to be answered within the time-out, on this process's own time, and must not
   * fail while nothing is wrong.
   *
   * @param timeouts that it may take: more than one only where it is made of several operations one after the other
   */
  async call<T>(what: string, operation: () => Promise<T>, timeouts = 1): Promise<Answer<T>> {
    const { world, isCalm } = this.#simulation;
    this.#calls += 1;
    const label = `${this.process.name} ${what} #${this.#calls}`;
    world.note(`${label} ...`);
    world.count('operations');
    this.pending.add(label);
    // Its time begins when the call has been made: this process may stall in it.
    const outcome = operation();
    const answered = this.#expect(label, timeouts);
    try {
      const result = await outcome;
      answered();
      if (this.#isAhead) await this.sleep(0);
      world.note(`${label}: ${JSON.stringify(result, shown)?.slice(0, 200)}`);
      world.count('operations done');
      return { result };
    } catch (error) {
      answered();
      if (this.#isAhead) await this.sleep(0);
      const code = error instanceof PaxosError ? error.code : String(error);
      world.note(`${label}: ${code}`);
      world.count(code);
      if (!EXPECTED.has(code)) this.#simulation.object(`${label} failed: ${code}`);
      if (isCalm) this.#simulation.object(`no fault, no failure: ${label} failed: ${code}`);
      return { code };
    } finally {
      this.pending.delete(label);
    }
  }

  /** Behind a stall within a step: what comes then has not happened yet, and never does if the process dies meanwhile. */
  get #isAhead(): boolean {
    return this.process.nowMs > this.#simulation.world.nowMs;
  }

  /** Objects if it is not called in time. */
  #expect(label: string, timeouts: number): () => void {
    const { world, plan } = this.#simulation;
    const { process } = this;
    let isAnswered = false;
    let { stalledMs } = process;
    // What is made of several operations may have been paused between two of them, and the next has its own time.
    const afterPauseMs = timeouts > 1 ? plan.timeoutMs + LATENESS_MS : LATENESS_MS;
    const expectWithin = (ms: number): void => {
      world.at(process.nowMs + ms / process.host.rate, process, () => {
        if (isAnswered) return;
        // It may have stalled before it looked at the clock for the first time.
        const lostMs = process.stalledMs - stalledMs;
        stalledMs = process.stalledMs;
        if (lostMs > 0) expectWithin(lostMs);
        // After a pause its timers come first.
        else if (process.nowMs - process.busyUntilMs < LATENESS_MS) expectWithin(afterPauseMs);
        else this.#simulation.object(`${label} was not answered in time`);
      });
    };
    expectWithin(timeouts * (plan.timeoutMs + LATENESS_MS));
    return () => {
      isAnswered = true;
    };
  }

  get isLive(): boolean {
    return !this.process.isDead && !this.isStopping;
  }

  /** What is asked for by a wrong clock that nobody has vouched for yet lives until that clock says: too long to wait. */
  get isClockFit(): boolean {
    return this.isClockRight || this.process.isClockTrusted;
  }

  /** Whether the time by which it judges is as near to true time as clocks have to be. */
  get isClockRight(): boolean {
    return Math.abs(this.node.nowMs() - EPOCH_MS - this.process.nowMs) <= this.#simulation.skewMs;
  }

  get isVoter(): boolean {
    return this.node.status().state === 'voter';
  }

  /** Waits on this process: for ever, if it dies. */
  sleep(ms: number): Promise<void> {
    return this.sleepUntil(this.process.nowMs + ms);
  }

  sleepUntil(atMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#simulation.world.at(Math.max(atMs, this.process.nowMs), this.process, resolve);
    });
  }
}

/** How many listen to a node. */
export function listenersOf(node: PaxosNode): number {
  return node.eventNames().reduce((sum, event) => sum + node.listenerCount(event as 'connect'), 0);
}

/** JSON knows no bigints. */
function shown(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
