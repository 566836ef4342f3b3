import type { Ballot } from './ballot.js';
import { SHARDS } from './table.js';

const BYTES = 4;

/** Bytes of all shards' digests together. */
export const DIGESTS_SIZE = SHARDS * BYTES;

/**
 * A number of 32 bits for a value that is chosen; a shard's digest is all of its values' numbers by exclusive or.
 *
 * @param keyHash the key's hash: `hashOf` in `table.ts`
 */
export function digestOf(keyHash: number, { round, proposer }: Ballot): number {
  let hash = mix(keyHash, round % 2 ** 32);
  hash = mix(hash, Math.floor(round / 2 ** 32));
  hash = mix(hash, proposer % 2 ** 32);
  return mix(hash, Math.floor(proposer / 2 ** 32)) >>> 0;
}

/** The finalizer of MurmurHash3, over what came before and one word more. */
function mix(hash: number, word: number): number {
  let h = hash ^ word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

export function encodeDigests(digests: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(DIGESTS_SIZE);
  const view = new DataView(bytes.buffer);
  digests.forEach((digest, shard) => {
    view.setUint32(shard * BYTES, digest);
  });
  return bytes;
}

/** Shards in which `other` has another digest. */
export function differing(digests: Uint32Array, other: Uint8Array): number[] {
  const view = new DataView(other.buffer, other.byteOffset, DIGESTS_SIZE);
  const shards: number[] = [];
  digests.forEach((digest, shard) => {
    if (view.getUint32(shard * BYTES) !== digest) shards.push(shard);
  });
  return shards;
}
