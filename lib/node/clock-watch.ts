import type { ClockOpinion, GuardedClock, Membership } from '../membership/index.js';
import { lastSlotOf } from '../paxos/index.js';
import type { Diagnosis } from './diagnosis.js';
import type { Operations } from './operations.js';
import type { Runtime } from './runtime.js';
import type { Warnings } from './warnings.js';

export interface ClockWatchSetup {
  readonly runtime: Runtime;
  readonly clock: GuardedClock;
  readonly maxClockSkewMs: number;
  readonly membership: Membership;
  readonly operations: Operations;
  readonly diagnosis: Diagnosis;
  readonly warnings: Warnings;
  /** Of the farm, as far as it is known. */
  sizes(): readonly number[];
  /** The clock was set. */
  leapt(): void;
}

/** Looks whether this process's clock is right, and who vouches for it (docs/protocol.md, "Guarded clock"). */
export class ClockWatch {
  readonly #setup: ClockWatchSetup;
  #leapsSeen = 0;
  #opinion: ClockOpinion = { isTrusted: false, aheadMs: 0, isOff: false };
  #wasTrusted = false;

  constructor(setup: ClockWatchSetup) {
    this.#setup = setup;
  }

  get opinion(): ClockOpinion {
    return this.#opinion;
  }

  /** Whether a majority has once agreed with this process's clock. */
  get wasTrusted(): boolean {
    return this.#wasTrusted;
  }

  /** Ms since 1970, whole ones: times travel as integers. */
  nowMs(): number {
    return Math.floor(this.#setup.clock.wallMs(this.#setup.runtime.monotonicMs()));
  }

  /** By how many ms that is ahead of the machine's clock; 0 for less than a second. */
  aheadOfMachineMs(): number {
    const aheadMs = Math.round(this.nowMs() - this.#setup.runtime.wallMs());
    return Math.abs(aheadMs) < 1000 ? 0 : aheadMs;
  }

  /** Follows the machine's clock while nothing rests on this one. */
  follow(): void {
    const { clock, runtime } = this.#setup;
    if (this.#followsMachine()) clock.follow(runtime.wallMs(), runtime.monotonicMs());
    this.#endCallsByWrongClock();
  }

  /** Asks what the voters' clocks say of this one. */
  check(): void {
    const { runtime, clock, membership, warnings, diagnosis, maxClockSkewMs } = this.#setup;
    const { view, otherVoters, slot } = membership;
    if (view === null) return;
    const monotonicMs = runtime.monotonicMs();
    const machineMs = runtime.wallMs();
    this.#opinion = clock.check(machineMs, monotonicMs, otherVoters, slot > 0, lastSlotOf(this.#setup.sizes()));
    this.#wasTrusted ||= this.#opinion.isTrusted;
    this.#endCallsByWrongClock();
    const aheadMs = this.aheadOfMachineMs();
    if (this.#opinion.isOff) warnings.warn('clock', diagnosis.clock(), true);
    else if (slot > 0 && Math.abs(aheadMs) > maxClockSkewMs / 2) {
      warnings.warn('clock', diagnosis.machineClock(aheadMs), true);
    }
  }

  /**
   * Whether nothing rests on this process's clock. A learner may have joined with a wrong one, by which it finds some
   * voters too old to be heard: those could never agree to its being set right. So may a voter that goes on with what an
   * earlier process had stored.
   */
  #followsMachine(): boolean {
    const { view, slot } = this.#setup.membership;
    if (view === null) return true;
    const isFree = slot === 0 ? this.#setup.operations.inFlight === 0 : !this.#wasTrusted;
    return isFree && !this.#opinion.isTrusted;
  }

  /**
   * What was called before this clock was set may have an end that was reckoned by it when it was wrong: it would be written
   * by the right one now, and outlive its time by as much as that was wrong, or end before it. And after a machine was
   * suspended, by which its monotonic clock stands still, an operation may be older than any may be.
   */
  #endCallsByWrongClock(): void {
    const { clock, operations, diagnosis, leapt } = this.#setup;
    if (clock.leaps === this.#leapsSeen) return;
    this.#leapsSeen = clock.leaps;
    operations.abort(diagnosis.clockSet());
    leapt();
  }
}
