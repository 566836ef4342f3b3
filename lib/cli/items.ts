/** What the HTTP API and the commands keep under a key, and where they keep it. */

/** The bucket of a farm in which they are: the same for `curl` and for the commands. */
export const BUCKET = 'http';

/** Bytes, and what they are. */
export interface Item {
  /** A content type: `text/plain; charset=utf-8`. */
  readonly type: string;
  readonly body: Buffer;
}

/** What a key holds. */
export interface Found {
  readonly key: string;
  readonly item: Item;
  /** Another one for each write of the key; an ETag without its quotes. */
  readonly version: string;
  /** Rises with every write of the key. */
  readonly revision: bigint;
  /** What is left of its life; `null` for one without an end. */
  readonly ttlMs: number | null;
}

/** What has to be so for a write to take effect. */
export type Condition =
  | { readonly kind: 'absent' }
  | { readonly kind: 'present' }
  | { readonly kind: 'version'; readonly versions: readonly string[] };

export interface WriteOptions {
  /** Life from now on; none for ever, whatever the key's life was before. */
  readonly ttlMs?: number | undefined;
  readonly condition?: Condition | undefined;
}

export interface Written {
  readonly version: string;
  readonly revision: bigint;
}

/** `other`: the condition did not hold. `absent`: there was nothing to remove; it held, if there was one. */
export type Removal = 'removed' | 'absent' | 'other';

export interface KeyList {
  /** In the order of their code units. */
  readonly keys: readonly string[];
  /** Whether there are no more than those. */
  readonly isComplete: boolean;
}

/** Media type of a stream of changes. */
export const CHANGES_TYPE = 'application/x-ndjson';

export interface ItemChange {
  readonly kind: 'set' | 'removed';
  readonly key: string;
  /** `null` where it was removed. */
  readonly found: Found | null;
}

export type WatchTarget = { readonly key: string } | { readonly prefix: string };

/**
 * Where they keep it: a farm that this process is in, or a node that answers by HTTP. Every method rejects with an error
 * whose `code` tells whether nothing was written (`ERR_NO_QUORUM`) or nobody knows (`ERR_OUTCOME_UNKNOWN`).
 */
export interface Items {
  find(key: string): Promise<Found | null>;
  /** @returns `null` where the condition did not hold, and nothing was written */
  write(key: string, item: Item, options?: WriteOptions): Promise<Written | null>;
  remove(key: string, condition?: Condition): Promise<Removal>;
  keys(prefix: string, limit: number): Promise<KeyList>;
  /**
   * Resolves when it has begun: the changes from then on, the latest of each key. Ends when the signal is aborted.
   */
  watch(target: WatchTarget, signal: AbortSignal): Promise<AsyncIterableIterator<ItemChange>>;
}

export function holds(condition: Condition, version: string | null): boolean {
  switch (condition.kind) {
    case 'absent':
      return version === null;
    case 'present':
      return version !== null;
    case 'version':
      return version !== null && condition.versions.includes(version);
  }
}

/** {@link Found} in JSON's values: the body as `value` where it is text, else as `base64`. No byte of it is lost. */
export function toJson({ key, item, version, revision, ttlMs }: Found): Record<string, unknown> {
  const text = textOf(item.body);
  return {
    key,
    type: item.type,
    ...(text === null ? { base64: item.body.toString('base64') } : { value: text }),
    version,
    // A number of JSON would lose its last digits.
    revision: String(revision),
    ...(ttlMs === null ? {} : { ttl: ttlSeconds(ttlMs) }),
  };
}

/** Seconds, whole, and none too few: what is there has not ended. */
export function ttlSeconds(ttlMs: number): number {
  return Math.max(1, Math.ceil(ttlMs / 1000));
}

function textOf(body: Buffer): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    return null;
  }
}
