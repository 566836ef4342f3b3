import { isQuorum, majorityOf } from '../paxos/index.js';
import { SAYING_MS } from './claims.js';
import { type Introduction, isAt, type PeerTable } from './peers.js';
import { type Config, configOf, type View } from './view.js';

/**
 * How far a farm is on its way to another size. `gathering`: the slots that it is to have get holders, which do not count
 * yet. `copying`: the size before and the one after both decide, and the voters of the one after read what those of the one
 * before hold.
 */
export type Stage = 'stable' | 'gathering' | 'copying';

export function stageOf({ sizes, slots }: Config): Stage {
  if (sizes.length === 2) return 'copying';
  return slots > sizes[0] ? 'gathering' : 'stable';
}

/** The size that the farm has, or is to have. */
export function targetOf({ sizes, slots }: Config): number {
  return sizes[1] ?? slots;
}

/**
 * What somebody who wants that size has to propose; `null` if the farm has it or is on its way there, or is on its way to
 * another one and can't turn back.
 */
export function configTowards(config: Config, size: number): Config | null {
  const [before] = config.sizes;
  if (targetOf(config) === size || stageOf(config) === 'copying') return null;
  if (size > before) return followed(config, [before], size);
  // Whom the slots were gathered for that are not wanted any more.
  if (stageOf(config) === 'gathering') return followed(config, [before], before);
  return followed(config, [before, size], before);
}

/** The step that follows, whoever wanted the change; `null` if there is none. */
export function configAfter(config: Config): Config | null {
  const size = targetOf(config);
  switch (stageOf(config)) {
    case 'stable':
      return null;
    case 'gathering':
      return followed(config, [config.sizes[0], size], size);
    case 'copying':
      return followed(config, [size], size);
  }
}

function followed(before: Config, sizes: Config['sizes'], slots: number): Config {
  const version = before.version + 1;
  return { version, sizes, slots, since: Array.from({ length: slots }, (_, index) => before.since[index] ?? version) };
}

/** Of two voters that could take the next step, each leaves it so long to those with a lower slot. */
const STEP_MS = 1000;
/** So long all voters that are up are waited for, when a majority of them would do. */
const STRAGGLER_MS = 10_000;

export interface ResizingSetup {
  /** Slot that this process votes for; 0 for none. */
  slot(): number;
  /** Version of the config under which it has read what the size before held. */
  copied(): number;
}

/**
 * Takes a farm from one size to another, step by step (docs/protocol.md, "Change of size"). Any voter can take the next step
 * when the time for it has come, so the change goes on whoever ends. That no two configs follow one another differently
 * rests on the agreement in the config's register; all here is a question of liveness, but for what {@link #hasCopied}
 * asks before the size before stops counting.
 */
export class Resizing {
  readonly #setup: ResizingSetup;
  readonly #peers: PeerTable;
  #version = 0;
  #enteredMs = 0;
  #ripeSinceMs: number | null = null;
  #isUnderWay = false;
  #nextMs = 0;

  constructor(setup: ResizingSetup, peers: PeerTable) {
    this.#setup = setup;
    this.#peers = peers;
  }

  /** The config to be proposed now, if any. */
  next(view: View, nowMs: number): Config | null {
    const config = configOf(view);
    if (config.version !== this.#version) {
      this.#version = config.version;
      this.#enteredMs = nowMs;
      this.#ripeSinceMs = null;
    }
    const following = configAfter(config);
    if (following === null || this.#setup.slot() === 0 || !this.#isRipe(view, config, nowMs)) {
      this.#ripeSinceMs = null;
      return null;
    }
    this.#ripeSinceMs ??= nowMs;
    const voters = this.#voters(view, nowMs).sort((a, b) => a - b);
    const patienceMs = STEP_MS * voters.indexOf(this.#setup.slot());
    if (this.#isUnderWay || nowMs < this.#nextMs || nowMs - this.#ripeSinceMs < patienceMs) return null;
    this.#isUnderWay = true;
    this.#nextMs = nowMs + STEP_MS;
    return following;
  }

  /** The proposal under way has come to its end, or nobody knows to which. */
  ended(): void {
    this.#isUnderWay = false;
  }

  /**
   * Whether the farm can be asked for that size: so many of the slots that would decide vote that they can, and none of
   * them is being recovered, or one more that is restarted would be one too many.
   */
  mayBegin(view: View, size: number, nowMs: number): boolean {
    const [before] = configOf(view).sizes;
    if (size >= before) return true;
    const recovering = this.#slotsIn('recovering', view, nowMs);
    return isQuorum([size], this.#voters(view, nowMs)) && recovering.every((slot) => slot > size);
  }

  /** Slots that the step under way waits for. */
  missing(view: View, nowMs: number): number[] {
    const config = configOf(view);
    const stage = stageOf(config);
    if (stage === 'stable') return [];
    const voters = new Set(this.#voters(view, nowMs));
    const size = targetOf(config);
    const isMissing: Record<Exclude<Stage, 'stable'>, (slot: number) => boolean> = {
      gathering: (slot) => slot > config.sizes[0] && !voters.has(slot),
      copying: (slot) => !this.#hasCopied(view, slot, nowMs),
    };
    const slots = Array.from({ length: size }, (_, index) => index + 1);
    return slots.filter(isMissing[stage]);
  }

  #isRipe(view: View, config: Config, nowMs: number): boolean {
    const missing = this.missing(view, nowMs);
    if (stageOf(config) === 'gathering') return missing.length === 0;
    const size = targetOf(config);
    const voters = new Set(this.#voters(view, nowMs));
    const isWorthWaiting = missing.some((slot) => voters.has(slot)) && nowMs - this.#enteredMs < STRAGGLER_MS;
    return size - missing.length >= majorityOf(size) && !isWorthWaiting;
  }

  /**
   * Whether the slot's holder votes and holds all that the size before may have chosen by itself. A majority of those is in
   * every quorum of the size after.
   */
  #hasCopied(view: View, slot: number, nowMs: number): boolean {
    const { version } = configOf(view);
    if (slot === this.#setup.slot()) return this.#setup.copied() === version;
    return this.#voters(view, nowMs).includes(slot) && this.#introduction(view, slot)?.copied === version;
  }

  #voters(view: View, nowMs: number): number[] {
    return this.#slotsIn('voter', view, nowMs);
  }

  /** Slots whose holders are in that phase, by their own account, and were heard of late; with this process's, if it votes. */
  #slotsIn(phase: 'voter' | 'recovering', view: View, nowMs: number): number[] {
    return view.holders.flatMap((holder, index) => {
      const slot = index + 1;
      if (slot === this.#setup.slot()) return phase === 'voter' ? [slot] : [];
      const peer = holder === null ? undefined : this.#peers.get(holder.process);
      const isHeard = peer !== undefined && nowMs - peer.lastHeardMs <= SAYING_MS;
      const said = this.#introduction(view, slot);
      return isHeard && said?.phase === phase && isAt(said, slot, view) ? [slot] : [];
    });
  }

  #introduction(view: View, slot: number): Introduction | null {
    const holder = view.holders[slot - 1];
    return (holder && this.#peers.get(holder.process)?.introduction) ?? null;
  }
}
