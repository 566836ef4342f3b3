import type { Config } from '../membership/index.js';
import { type Change, FOREVER, NO_BYTES } from '../paxos/index.js';
import { LIMITS } from '../wire/index.js';
import { isWholeWithin } from './holder.js';

/** Register in which the farm's config is agreed on, by those whom the config before lets decide. */
export const CONFIG_KEY = '/config';

/**
 * Writes that config unless there is one of its version, or a later one, already: the first to be chosen of each version
 * stands. Gives the one that stands; throws if what is there can't be read.
 */
export function configChange(config: Config): Change<Config> {
  const encoded = new TextEncoder().encode(JSON.stringify(config));
  const [before, after = before] = config.sizes;
  return {
    // Not without those who could not do without each other afterwards.
    also: after < before ? [after] : [],
    bound: FOREVER,
    mayRemove: false,
    seals: false,
    apply: (current) => {
      const standing = current.value === null ? null : configIn(current.value);
      if (standing !== null && standing.version >= config.version) return { write: null, result: standing };
      return { write: { value: encoded, attributes: NO_BYTES, until: FOREVER }, result: config };
    },
  };
}

function configIn(value: Uint8Array): Config {
  const config = readConfig(JSON.parse(new TextDecoder().decode(value)));
  if (config === null) throw new TypeError("the farm's config is something that is none");
  return config;
}

/** A config, if that is one: whatever a register or a disk holds must not get into a view, which all are sent. */
export function readConfig(value: unknown): Config | null {
  if (typeof value !== 'object' || value === null) return null;
  const { version, sizes, slots, since } = value as Partial<Record<keyof Config, unknown>>;
  if (!isWholeWithin(version, Number.MAX_SAFE_INTEGER) || !isWholeWithin(slots, LIMITS.slots)) return null;
  if (!Array.isArray(sizes) || !sizes.every((size): size is number => isWholeWithin(size, slots))) return null;
  const [before, after] = sizes;
  if (before === undefined || sizes.length > 2) return null;
  if (!Array.isArray(since) || !isSince(since, version, slots)) return null;
  return { version, slots, since, sizes: after === undefined ? [before] : [before, after] };
}

function isSince(since: readonly unknown[], version: number, slots: number): since is number[] {
  return since.length === slots && since.every((each) => each === 0 || isWholeWithin(each, version));
}
