import type { Change, RegisterRecord } from '../paxos/index.js';

/** Writes a value where there is none. */
function adopt(value: Uint8Array, attributes: Uint8Array, until: number): Change<null> {
  return {
    bound: until,
    mayRemove: false,
    seals: false,
    apply: (current) => ({ write: current.value === null ? { value, attributes, until } : null, result: null }),
  };
}

/**
 * Writes what was held in a farm given up into the one joined, as ordinary writes, where there is nothing: one after
 * the other, so that serving goes on.
 *
 * @returns how many could not be written
 */
export async function handOver(
  orphans: readonly (readonly [string, RegisterRecord])[],
  nowMs: () => number,
  write: (key: string, change: Change<null>) => Promise<unknown>,
): Promise<number> {
  let lost = 0;
  for (const [key, { proposal }] of orphans) {
    // Keys without a bucket are the farm's own: its slots.
    if (proposal === null || proposal.value === null || proposal.until <= nowMs() || key.startsWith('/')) continue;
    const { value, attributes, until } = proposal;
    lost += await write(key, adopt(value, attributes, until)).then(
      () => 0,
      () => 1,
    );
  }
  return lost;
}
