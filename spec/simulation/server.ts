import { PaxosNode } from '../../lib/node/node.js';
import type { NodeOptions } from '../../lib/node/options.js';
import { PaxosStore } from '../../lib/session/store.js';
import type { Process } from './process.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** A web server: a process with a node and a session store of the real code. */
export class Server {
  readonly process: Process;
  readonly node: PaxosNode;
  readonly store: PaxosStore;
  readonly #simulation: Simulation;
  /** Operations of its clients that have not been answered, by what they are. */
  readonly pending = new Set<string>();
  /** What has to be noted once it is dead. */
  readonly wills = new Set<() => void>();
  isStopping = false;

  constructor(
    simulation: Simulation,
    process: Process,
    /** Whether it is one of those that take a slot if there is one. */
    readonly mayVote: boolean,
    options: Pick<NodeOptions, 'bootstrap' | 'formationGraceMs'>,
  ) {
    this.#simulation = simulation;
    this.process = process;
    const { plan, network, world } = simulation;
    this.node = new PaxosNode(
      {
        secret: false,
        name: process.name,
        clusterSize: plan.clusterSize,
        timeout: plan.timeoutMs,
        maxClockSkewMs: plan.maxClockSkewMs,
        transport: network.transport(process),
        slot: mayVote ? 'auto' : false,
        ...options,
      },
      process.runtime,
    );
    this.node.on('warning', ({ code, message }) => {
      world.count(`warning ${code}`);
      world.note(`${process.name} warns: ${code}`);
      if (code === 'halted' || code === 'malformed' || code === 'farms-met') simulation.object(`${code}: ${message}`);
    });
    this.store = new PaxosStore({ node: this.node, ttl: plan.sessionLifeMs / 1000, touchAfter: 1 });
    // Nobody reads them here: they are counted above.
    this.store.on('warning', () => undefined);
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
    return this.node.status().slot > 0;
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
