import type { Process } from './process.js';
import { Random } from './random.js';
import { Trace } from './trace.js';

/** Wall-clock ms at which every run begins. */
export const EPOCH_MS = 1_700_000_000_000;

interface Event {
  atMs: number;
  sequence: number;
  /** Whose event it is: it waits while that one is paused, and never happens once that one is dead. */
  readonly process: Process | null;
  /** `null` once cancelled. */
  run: (() => void) | null;
  /** Asked each time the event has to wait for its process; `false` drops it. */
  readonly mayWait: () => boolean;
}

const always = (): boolean => true;

/**
 * Time, and what happens in it, one event after the other. Between two events all promises run that can: nothing else
 * is asynchronous in here, so the seed alone decides the run.
 */
export class World {
  readonly random: Random;
  readonly trace: Trace;
  /** How often each fault, and whatever else is worth counting, really happened. */
  readonly counts = new Map<string, number>();
  nowMs = 0;
  /** Chance that a process stalls at a look at the clock: a garbage collection amid a step. */
  stallChance = 0;
  /** Whose event is being handled. */
  running: Process | null = null;
  readonly #heap: Event[] = [];
  #sequence = 0;
  #isHalted = false;

  constructor(seed: number, isTraced: boolean) {
    this.random = new Random(`connect-paxos ${seed}`);
    this.trace = new Trace(isTraced);
  }

  /** Whether nothing happens any more; time goes on. */
  get isHalted(): boolean {
    return this.#isHalted;
  }

  halt(): void {
    this.#isHalted = true;
  }

  count(name: string): void {
    this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
  }

  note(line: string): void {
    this.trace.add(this.nowMs, line);
  }

  /** @returns cancels it */
  at(atMs: number, process: Process | null, run: () => void, mayWait: () => boolean = always): () => void {
    const event: Event = { atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence++, process, run, mayWait };
    this.#push(event);
    return () => {
      event.run = null;
    };
  }

  /** Of no process: the clients' and the faults' own time. */
  after(delayMs: number, run: () => void): () => void {
    return this.at(this.nowMs + delayMs, null, run);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  /** Handles all events up to that time. */
  async runUntil(untilMs: number): Promise<void> {
    for (;;) {
      const next = this.#heap[0];
      if (this.#isHalted || next === undefined || next.atMs > untilMs) break;
      this.#pop();
      this.nowMs = next.atMs;
      if (next.run === null || next.process?.isDead) continue;
      if (next.process !== null && next.process.busyUntilMs > this.nowMs) {
        if (!next.mayWait()) continue;
        // The same event, so that it can still be cancelled.
        next.atMs = next.process.busyUntilMs;
        next.sequence = this.#sequence++;
        this.#push(next);
        continue;
      }
      this.running = next.process;
      next.run();
      // Ticks come when no microtask is left.
      await new Promise<void>(nextTick);
      this.running = null;
    }
    this.nowMs = untilMs;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || isBefore(parent, event)) break;
      heap[at] = parent;
      at = above;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      const left = heap[below];
      if (left === undefined) break;
      const right = heap[below + 1];
      let child = left;
      if (right !== undefined && isBefore(right, left)) {
        child = right;
        below += 1;
      }
      if (isBefore(last, child)) break;
      heap[at] = child;
      at = below;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}

function nextTick(resolve: () => void): void {
  process.nextTick(resolve);
}
