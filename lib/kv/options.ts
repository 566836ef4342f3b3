import { inspect } from 'node:util';
import { ConfigError } from '../errors.js';
import { isWellFormed } from '../node/register-key.js';
import type { Consistency, OperationOptions } from '../node/registers.js';
import { FOREVER } from '../paxos/index.js';
import type { Key } from './key.js';
import type { Lease } from './lease.js';

/**
 * What a key is to live by: up to eight keys, processes and leases, and an end. Of several the first to end removes it. With
 * none it has no end. All has to be there when the call looks at it, else it rejects with `LifetimeOverError` and nothing is
 * written; what ends between that and the write takes the key with it.
 *
 * From when one of them has ended no quorum read finds the key. What the voters keep of it goes within seconds if one has a
 * store of this bucket, or if a watch on any node has read the key; else when somebody asks for the key, or lists the bucket.
 * Where no voter has the bucket open, as where all are `connect-paxos node`, give `until` or `ttlMs` besides: by that it goes
 * in any case.
 */
export interface LifetimeOptions {
  /** Ms since 1970 at which it ends, by the farm's clock ({@link PaxosKV.now}). */
  readonly until?: number | undefined;
  /** Ms from now at which it ends; in place of `until`. Above 0. */
  readonly ttlMs?: number | undefined;
  /** As long as that key of the same bucket: until it is deleted or ends itself. Writing it again does not matter. */
  readonly key?: Key | undefined;
  /** As long as each of those keys. */
  readonly keys?: readonly Key[] | undefined;
  /**
   * As long as that process is up: `true` for this one, else a `Member.process`, which has to have a key-value store. It ends
   * when that closes its node, or ten seconds after it fell silent.
   */
  readonly node?: true | string | undefined;
  /** As long as that lease is held: a handle, or its id. */
  readonly lease?: Lease | string | undefined;
}

export interface ReadOptions extends OperationOptions {
  /** `'quorum'`: linearizable. `'local'`: from this process's memory where it can; may be stale. Default: the option `reads`. */
  readonly consistency?: Consistency | undefined;
}

export type WriteOptions = LifetimeOptions & OperationOptions;

/** What a key is expected to hold. */
export type Expected =
  /** The version that {@link Entry.version} named. */
  | { readonly version: string }
  /** A value, compared with what is held by all that is in it: types too, and the order of an object's properties. */
  | { readonly value: unknown }
  /** Nothing. */
  | { readonly absent: true };

/** @throws ConfigError */
export function checkBucket(bucket: unknown): asserts bucket is string {
  const isGood =
    typeof bucket === 'string' &&
    /^[^~/][^/]*$/s.test(bucket) &&
    isWellFormed(bucket) &&
    Buffer.byteLength(bucket) <= 255;
  if (!isGood) throw refuse('bucket', bucket, 'a string without "/" that does not begin with "~", of 1 to 255 bytes');
}

/** @returns ms since 1970; `null` if no end is given */
export function untilOf({ until, ttlMs }: LifetimeOptions, nowMs: number): number | null {
  if (until !== undefined && ttlMs !== undefined)
    throw new ConfigError('Options until and ttlMs say the same thing: give one of them.');
  if (until !== undefined) {
    if (typeof until !== 'number' || !(until > 0)) throw refuse('until', until, 'ms since 1970');
    return endOrNone(Math.floor(until));
  }
  if (ttlMs === undefined) return null;
  if (typeof ttlMs !== 'number' || !(ttlMs > 0)) throw refuse('ttlMs', ttlMs, 'ms above 0');
  return endOrNone(Math.ceil(nowMs + ttlMs));
}

/** What is beyond all that can be written down, 285 000 years from now, is no end. */
function endOrNone(untilMs: number): number | null {
  return untilMs >= FOREVER ? null : untilMs;
}

/** Whether any lifetime is given: without one, a change keeps the one that is there. */
export function hasLifetime({ until, ttlMs, key, keys, node, lease }: LifetimeOptions): boolean {
  return [until, ttlMs, key, keys, node, lease].some((given) => given !== undefined);
}

export function refuse(name: string, got: unknown, takes: string): ConfigError {
  return new ConfigError(`Option ${name} got ${inspect(got, { depth: 0 }).slice(0, 100)}; it takes ${takes}.`);
}
