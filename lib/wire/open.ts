import { createDecipheriv } from 'node:crypto';
import { Admission } from './admission.js';
import {
  CIPHER,
  CLUSTER_TAG_AT,
  COUNTER_AT,
  COUNTER_SIZE,
  HEADER_SIZE,
  KEY_ID_AT,
  MAGIC,
  makeNonce,
  NONCE_COUNTER_AT,
  SALT_AT,
  SEAL_OVERHEAD,
  TAG_SIZE,
  VERSION,
  VERSION_AT,
} from './header.js';
import { deriveKey, deriveKeyId, type Keyring } from './keyring.js';
import { ReplayWindow } from './replay.js';
import type { RandomBytes, Sealer } from './seal.js';

/** Why a datagram or frame was not opened. */
export type Refusal =
  /** Shorter than anything sealed. */
  | 'short'
  /** Not of this protocol, or of another version of it. */
  | 'foreign'
  /** Of another cluster. */
  | 'cluster'
  /** This process's own, come back. */
  | 'own'
  /** Opened before, or too far behind the newest of its sealer to tell. */
  | 'replayed'
  /** Sealed with a secret that is not among ours. */
  | 'unknownKey'
  /** Damaged or forged. */
  | 'badTag'
  /** From a sealer not known yet, while too many such arrive or too many are known. It will repeat itself. */
  | 'overload';

/** How many of each; they only rise. For `status()`. */
export type OpenerCounters = Readonly<Record<Refusal | 'opened', number>>;

export type Opened = { readonly ok: true; readonly body: Buffer } | { readonly ok: false; readonly reason: Refusal };

export interface OpenerOptions {
  readonly keyring: Keyring;
  readonly randomBytes: RandomBytes;
  /** The sealers of this process, whose datagrams come back by multicast. */
  readonly own?: readonly Sealer[];
  /**
   * Whether a body that has just been opened is recent enough, by the clock in its envelope, for its sealer to be
   * remembered. What is not is handed out all the same. Without it a replay of old datagrams could fill the table.
   */
  readonly isRecent?: (body: Uint8Array) => boolean;
  /**
   * Ms after which no datagram can be accepted for its age any more, however wrong the clocks within their tolerance:
   * 2 × `maxClockSkew` plus the longest delay. The counters of a sealer seen since are not forgotten. Default 30 000.
   */
  readonly retentionMs?: number;
  /** Sealers remembered at most; default 1024, about 1 kB each. */
  readonly maxSealers?: number;
}

interface KnownSealer {
  readonly keyId: string;
  readonly key: Buffer;
  readonly window: ReplayWindow;
  lastMs: number;
}

/**
 * Opens what the {@link Sealer}s of the cluster sealed, each once. What does not open costs little and leaves nothing
 * behind but a count: at most one look into the table and one AES run for a known sealer, and what {@link Admission}
 * grants for strangers.
 *
 * A sealer's key and replay window are dropped together, and only when it was silent for `retentionMs`: by then all
 * that it ever sent is too old for the node. While the table is full of sealers younger than that, newcomers are
 * refused rather than a window reopened. Only recent bodies get a sealer into the table, so its size is that of the
 * living cluster, not of what somebody has recorded.
 */
export class Opener {
  readonly #keyring: Keyring;
  readonly #own: readonly Sealer[];
  readonly #isRecent: (body: Uint8Array) => boolean;
  readonly #retentionMs: number;
  readonly #maxSealers: number;
  readonly #admission: Admission;
  /** By salt; the one longest silent first. */
  readonly #known = new Map<string, KnownSealer>();
  readonly #nonce = makeNonce();
  readonly #counters: Record<Refusal | 'opened', number> = {
    opened: 0,
    short: 0,
    foreign: 0,
    cluster: 0,
    own: 0,
    replayed: 0,
    unknownKey: 0,
    badTag: 0,
    overload: 0,
  };

  constructor({ keyring, randomBytes, own = [], isRecent, retentionMs = 30_000, maxSealers = 1024 }: OpenerOptions) {
    this.#keyring = keyring;
    this.#own = own;
    this.#isRecent = isRecent ?? (() => true);
    this.#retentionMs = retentionMs;
    this.#maxSealers = maxSealers;
    this.#admission = new Admission(randomBytes);
  }

  get counters(): OpenerCounters {
    return { ...this.#counters };
  }

  /** Sealers remembered now. */
  get sealers(): number {
    return this.#known.size;
  }

  /**
   * Opens a datagram or frame. Never throws. The body is a new buffer; `sealed` is not kept.
   * @param nowMs monotonic ms
   */
  open(sealed: Uint8Array, nowMs: number): Opened {
    const bytes = Buffer.isBuffer(sealed) ? sealed : Buffer.from(sealed.buffer, sealed.byteOffset, sealed.length);
    const opened = this.#open(bytes, nowMs);
    this.#counters[opened.ok ? 'opened' : opened.reason]++;
    return opened;
  }

  #open(bytes: Buffer, nowMs: number): Opened {
    if (bytes.length < SEAL_OVERHEAD) return refuse('short');
    if (bytes.readUInt16BE() !== MAGIC || bytes[VERSION_AT] !== VERSION) return refuse('foreign');
    if (this.#keyring.clusterTag.compare(bytes, CLUSTER_TAG_AT, KEY_ID_AT) !== 0) return refuse('cluster');
    const salt = bytes.toString('latin1', SALT_AT, COUNTER_AT);
    if (this.#own.some((sealer) => sealer.saltName === salt)) return refuse('own');
    const known = this.#known.get(salt);
    return known ? this.#openKnown(bytes, salt, known, nowMs) : this.#openStranger(bytes, salt, nowMs);
  }

  #openKnown(bytes: Buffer, salt: string, known: KnownSealer, nowMs: number): Opened {
    if (bytes.toString('latin1', KEY_ID_AT, SALT_AT) !== known.keyId) return refuse('unknownKey');
    const counter = bytes.readUIntBE(COUNTER_AT, COUNTER_SIZE);
    if (!known.window.isFresh(counter)) return refuse('replayed');
    const body = this.#decrypt(bytes, known.key);
    if (body === null) return refuse('badTag');
    known.window.mark(counter);
    this.#renew(salt, known, nowMs);
    return { ok: true, body };
  }

  #openStranger(bytes: Buffer, salt: string, nowMs: number): Opened {
    const { stretched } = this.#keyring;
    if (!this.#admission.admit(nowMs, stretched.length)) return refuse('overload');
    const saltBytes = bytes.subarray(SALT_AT, COUNTER_AT);
    const sealing = stretched.find((each) => deriveKeyId(each, saltBytes).compare(bytes, KEY_ID_AT, SALT_AT) === 0);
    if (sealing === undefined) return refuse('unknownKey');
    this.#admission.spend();
    const key = deriveKey(sealing, saltBytes);
    const body = this.#decrypt(bytes, key);
    if (body === null) return refuse('badTag');
    if (this.#isRecent(body)) {
      if (!this.#makeRoom(nowMs)) return refuse('overload');
      const keyId = bytes.toString('latin1', KEY_ID_AT, SALT_AT);
      const known: KnownSealer = { keyId, key, window: new ReplayWindow(), lastMs: nowMs };
      known.window.mark(bytes.readUIntBE(COUNTER_AT, COUNTER_SIZE));
      this.#known.set(salt, known);
    }
    return { ok: true, body };
  }

  #decrypt(bytes: Buffer, key: Buffer): Buffer | null {
    const tagAt = bytes.length - TAG_SIZE;
    bytes.copy(this.#nonce, NONCE_COUNTER_AT, COUNTER_AT, HEADER_SIZE);
    const decipher = createDecipheriv(CIPHER, key, this.#nonce, { authTagLength: TAG_SIZE });
    decipher.setAAD(bytes.subarray(0, HEADER_SIZE));
    decipher.setAuthTag(bytes.subarray(tagAt));
    const body = decipher.update(bytes.subarray(HEADER_SIZE, tagAt));
    try {
      decipher.final(); // gives no bytes in GCM, but checks the tag
      return body;
    } catch {
      return null;
    }
  }

  /** Keeps the table in the order of silence; once a second a sealer is enough for that. */
  #renew(salt: string, known: KnownSealer, nowMs: number): void {
    if (nowMs - known.lastMs < 1000) return;
    known.lastMs = nowMs;
    this.#known.delete(salt);
    this.#known.set(salt, known);
  }

  /** Drops sealers that have been silent for long enough, if the table is full. */
  #makeRoom(nowMs: number): boolean {
    if (this.#known.size < this.#maxSealers) return true;
    for (const [salt, { lastMs }] of this.#known) {
      // The order, and `lastMs`, are only kept to the second.
      if (nowMs - lastMs < this.#retentionMs + 1000) return false;
      this.#known.delete(salt);
      return true;
    }
    return false;
  }
}

function refuse(reason: Refusal): Opened {
  return { ok: false, reason };
}
