import { type Config, stageOf, targetOf } from '../membership/index.js';

/** How far the farm is on its way to another number of voters. */
export interface ResizeProgress {
  readonly from: number;
  readonly to: number;
  /**
   * `gathering`: the slots that are to come are being taken, and do not count yet. `copying`: majorities of both sizes are
   * needed, and the voters that stay read from the others what those hold. `done`: the farm has the new size.
   */
  readonly stage: 'gathering' | 'copying' | 'done';
  /** Slots that are waited for: to be taken, or to have read. */
  readonly missing: readonly number[];
}

/** @returns `null` while the farm is not changing its size */
export function progressOf(config: Config | null, missing: readonly number[]): ResizeProgress | null {
  const stage = config === null ? 'stable' : stageOf(config);
  if (config === null || stage === 'stable') return null;
  return { from: config.sizes[0], to: targetOf(config), stage, missing };
}

/** Which slots a quorum takes, in words: `2 of 3 voters`. */
export function quorumInWords(sizes: readonly number[], majorityOf: (size: number) => number): string {
  return sizes.map((size) => `${majorityOf(size)} of ${size} voters`).join(' and, while the farm changes its size, ');
}
