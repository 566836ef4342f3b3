/** How long the fuzzing specs look. */

/** NUM_RUNS=100000 hunts, by a new seed each time; by default the specs take a sample, always the same one. */
const NUM_RUNS = Number(process.env.NUM_RUNS ?? 300);
const SEED = process.env.NUM_RUNS === undefined ? { seed: 1 } : {};

/** For a hunt; what one run costs is bounded, so no run hangs. */
export const FUZZING_TIMEOUT_MS = 3_600_000;

/**
 * Settings for one property.
 * @param cost of one run, as a multiple of a cheap one
 */
export function effort(cost = 1): { readonly numRuns: number; readonly seed?: number } {
  return { numRuns: runs(cost), ...SEED };
}

export function runs(cost = 1): number {
  return Math.max(1, Math.ceil(NUM_RUNS / cost));
}
