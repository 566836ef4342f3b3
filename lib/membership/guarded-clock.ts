import { majorityOf } from '../paxos/index.js';

/** What the clocks of others, heard of late, say of this one's. */
export interface ClockOpinion {
  /** Whether a majority of the voters, this process included if it votes, agree within S/2. */
  readonly isTrusted: boolean;
  /** By how many ms this clock is ahead of the voters' median; 0 if none was heard. */
  readonly aheadMs: number;
  /** Whether a majority of the voters' clocks are more than S/2 away: this process must not propose. */
  readonly isOff: boolean;
}

/** How long the best sample of a clock counts, in ms; after twice that, its owner was not heard. */
const WINDOW_MS = 5000;

/**
 * Wall time that does not leap: anchored at the start, advanced by the monotonic clock, and anchored anew to the
 * machine's clock only when a majority of the voters' clocks agree with that, or nobody vouches for it anyway. One host
 * whose clock is set a day ahead must not forget live sessions.
 */
export class GuardedClock {
  readonly #toleranceMs: number;
  #anchorWallMs: number;
  #anchorMonotonicMs: number;
  readonly #samples = new Map<number, Sample>();
  #leaps = 0;

  /** @param maxSkewMs S: two clocks may be that far apart */
  constructor(wallMs: number, monotonicMs: number, maxSkewMs: number) {
    this.#anchorWallMs = wallMs;
    this.#anchorMonotonicMs = monotonicMs;
    this.#toleranceMs = maxSkewMs / 2;
  }

  /** How often it was found so wrong that times made by it are of no use, and was set. */
  get leaps(): number {
    return this.#leaps;
  }

  /** Ms since 1970. */
  wallMs(monotonicMs: number): number {
    return this.#anchorWallMs + (monotonicMs - this.#anchorMonotonicMs);
  }

  /**
   * Another process's clock was heard. A message takes its time, so a clock seems to be behind by that; of several
   * samples the one that seems furthest ahead is the nearest to the truth, and a pause here doesn't look like skew.
   */
  hear(process: number, clockMs: number, monotonicMs: number): void {
    const aheadMs = clockMs - this.wallMs(monotonicMs);
    const sample = this.#samples.get(process);
    if (sample === undefined) {
      this.#samples.set(process, { bestMs: aheadMs, previousMs: aheadMs, sinceMs: monotonicMs, lastMs: monotonicMs });
    } else {
      if (monotonicMs - sample.sinceMs > WINDOW_MS) {
        sample.previousMs = sample.bestMs;
        sample.bestMs = aheadMs;
        sample.sinceMs = monotonicMs;
      } else {
        sample.bestMs = Math.max(sample.bestMs, aheadMs);
      }
      sample.lastMs = monotonicMs;
    }
  }

  /** By how many ms another process's clock seems to be ahead of this one's; `null` if it was not heard of late. */
  aheadMs(process: number, monotonicMs: number): number | null {
    const sample = this.#samples.get(process);
    if (sample === undefined || monotonicMs - sample.lastMs > 2 * WINDOW_MS) return null;
    return Math.max(sample.bestMs, sample.previousMs);
  }

  /** A process is gone. */
  drop(process: number): void {
    this.#samples.delete(process);
  }

  /**
   * Shows what the machine's clock shows, whoever agrees: as at the start, while nothing rests on this clock yet. A
   * machine that came up with a wrong clock would have this process keep it, hear only what seems old, and never join.
   */
  follow(machineMs: number, monotonicMs: number): void {
    const leapMs = machineMs - this.wallMs(monotonicMs);
    if (Math.abs(leapMs) > this.#toleranceMs) this.#leaps += 1;
    this.#anchorWallMs = machineMs;
    this.#anchorMonotonicMs = monotonicMs;
    for (const sample of this.#samples.values()) {
      sample.bestMs -= leapMs;
      sample.previousMs -= leapMs;
    }
  }

  /**
   * Looks at the machine's clock, follows it if a majority agrees with it, or if none does with ours and no fewer with the
   * machine's, and tells what the voters' clocks say of ours.
   *
   * @param machineMs what the machine's clock shows
   * @param voters processes that hold slots, without this one
   * @param isVoter whether this process holds a slot
   * @param size N
   */
  check(
    machineMs: number,
    monotonicMs: number,
    voters: readonly number[],
    isVoter: boolean,
    size: number,
  ): ClockOpinion {
    const offsets = this.#offsets(voters, monotonicMs);
    const leapMs = machineMs - this.wallMs(monotonicMs);
    const own = isVoter ? 1 : 0;
    const majority = majorityOf(size);
    const agreeing = (shiftMs: number): number =>
      own + offsets.filter((offset) => Math.abs(offset - shiftMs) <= this.#toleranceMs).length;
    // With some voters gone there may be no majority for either. While nobody vouches for this clock nothing rests on it,
    // so it goes where no fewer agree: or two that were wrong together, and whose machines have been set right, would
    // each wait for the other.
    const isBetter = agreeing(0) < majority && agreeing(leapMs) > own && agreeing(leapMs) >= agreeing(0);
    if (leapMs !== 0 && (agreeing(leapMs) >= majority || isBetter)) {
      this.follow(machineMs, monotonicMs);
      return this.#opinion(
        offsets.map((offset) => offset - leapMs),
        own,
        majority,
      );
    }
    return this.#opinion(offsets, own, majority);
  }

  #opinion(offsets: readonly number[], own: number, majority: number): ClockOpinion {
    const near = offsets.filter((offset) => Math.abs(offset) <= this.#toleranceMs).length;
    const sorted = [...offsets].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return {
      isTrusted: own + near >= majority,
      aheadMs: -median,
      isOff: offsets.length - near >= majority,
    };
  }

  #offsets(voters: readonly number[], monotonicMs: number): number[] {
    return voters.flatMap((process) => this.aheadMs(process, monotonicMs) ?? []);
  }
}

/** How far a clock seems ahead of ours, in ms: the best sample of this window and of the one before. */
interface Sample {
  bestMs: number;
  previousMs: number;
  sinceMs: number;
  lastMs: number;
}
