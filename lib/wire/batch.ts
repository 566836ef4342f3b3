import { ConfigError } from '../errors.js';
import { encodeEnvelope } from './encode.js';
import { LIMITS, MAX_ENVELOPE_SIZE } from './format.js';
import type { Envelope } from './messages.js';
import { type Sealer, sealedSize } from './seal.js';

/** Destination of what is for every process. */
export const EVERYBODY = 0;

/** Bytes of the smallest `maxDatagramSize` taken: what IPv4 itself promises to carry (RFC 791, section 3.1). */
export const MIN_DATAGRAM_SIZE = 576 - 60 - 8;

/** What became of a message that was added. */
export type Added =
  /** It leaves with the next flush. */
  | 'queued'
  /** It does not fit in any datagram; seal it with {@link Outbox.sealFrame} and send it on a stream. */
  | 'large'
  /** Too much is waiting; it was dropped and counted. */
  | 'full';

export interface OutboxOptions {
  /** For datagrams. */
  readonly sealer: Sealer;
  /** For frames on streams; another one, since those overtake datagrams and are overtaken. */
  readonly frameSealer: Sealer;
  /** What to say before the messages: asked anew for each destination at each flush, for the clock in it. */
  readonly envelope: (to: number) => Envelope;
  /** Bytes. Larger ones are never made. */
  readonly maxDatagramSize: number;
  /** Bytes of messages waiting at most; beyond it they are dropped. Default 4 MiB. */
  readonly maxWaiting?: number;
  /** The same for lazy messages, which never take the others' room. Default 1 MiB. */
  readonly maxLazy?: number;
}

/** For `status()`. Counters only rise, `waiting` does not. */
export interface OutboxStatus {
  /** Bytes of messages waiting now, lazy ones not counted. */
  readonly waiting: number;
  /** Bytes of lazy messages waiting now. */
  readonly lazy: number;
  /** Messages dropped because too much was waiting. */
  readonly dropped: number;
  /** Messages sealed into datagrams. */
  readonly messages: number;
  readonly datagrams: number;
}

/** Takes a sealed datagram. It may keep it; it must not throw. */
export type Emit = (to: number, datagram: Buffer) => void;

/**
 * Collects the messages of one tick and seals them, all that go to one destination in as few datagrams as they fit in:
 * a datagram costs the same to seal, send and receive whatever its size. Lazy messages ride in the room left over, and
 * in datagrams of their own as soon as they fill some.
 *
 * It does nothing by itself: its owner flushes it at the end of the tick.
 */
export class Outbox {
  readonly #sealer: Sealer;
  readonly #frameSealer: Sealer;
  readonly #envelope: (to: number) => Envelope;
  /** Bytes of messages that fit in a datagram. */
  readonly #room: number;
  readonly #maxWaiting: number;
  readonly #maxLazy: number;
  /** Where a body is put together; sealing copies it. */
  readonly #body: Buffer;
  #queues = new Map<number, Uint8Array[]>();
  #lazy: Uint8Array[] = [];
  /** Lazy messages before this one have been sent. */
  #lazyHead = 0;
  #lazyBytes = 0;
  #waiting = 0;
  #dropped = 0;
  #messages = 0;
  #datagrams = 0;

  /** @throws ConfigError if `maxDatagramSize` is below {@link MIN_DATAGRAM_SIZE} */
  constructor({
    sealer,
    frameSealer,
    envelope,
    maxDatagramSize,
    maxWaiting = 4 * 2 ** 20,
    maxLazy = 2 ** 20,
  }: OutboxOptions) {
    if (maxDatagramSize < MIN_DATAGRAM_SIZE) {
      throw new ConfigError(`maxDatagramSize is ${maxDatagramSize}; at least ${MIN_DATAGRAM_SIZE} is needed.`);
    }
    this.#sealer = sealer;
    this.#frameSealer = frameSealer;
    this.#envelope = envelope;
    this.#room = maxDatagramSize - sealedSize(MAX_ENVELOPE_SIZE);
    this.#maxWaiting = maxWaiting;
    this.#maxLazy = maxLazy;
    this.#body = Buffer.allocUnsafeSlow(maxDatagramSize);
  }

  /** Bytes that a message may have to travel in a datagram. */
  get maxMessageSize(): number {
    return this.#room;
  }

  /** Whether {@link flush} would emit anything. */
  get isPending(): boolean {
    return this.#queues.size > 0;
  }

  /** Whether {@link flushLazy} would emit anything. */
  get isLazyPending(): boolean {
    return this.#lazyHead < this.#lazy.length;
  }

  get status(): OutboxStatus {
    return {
      waiting: this.#waiting,
      lazy: this.#lazyBytes,
      dropped: this.#dropped,
      messages: this.#messages,
      datagrams: this.#datagrams,
    };
  }

  /**
   * Adds a message for the next flush.
   * @param to a process's number, or {@link EVERYBODY}
   * @param message as `encodeMessage` gives it; not copied, and kept until it is flushed
   */
  add(to: number, message: Uint8Array): Added {
    const refused = this.#refuse(message, this.#waiting, this.#maxWaiting);
    if (refused) return refused;
    this.#waiting += message.length;
    const queue = this.#queues.get(to);
    if (queue) queue.push(message);
    else this.#queues.set(to, [message]);
    return 'queued';
  }

  /** Adds a message for everybody that waits for a datagram to ride with, or for {@link flushLazy}. */
  addLazy(message: Uint8Array): Added {
    const refused = this.#refuse(message, this.#lazyBytes, this.#maxLazy);
    if (refused) return refused;
    this.#lazyBytes += message.length;
    this.#lazy.push(message);
    return 'queued';
  }

  /**
   * Seals and hands out all that waits; of lazy messages what finds room beside others to everybody, and what fills
   * datagrams of its own: under load there are more of them than room.
   */
  flush(emit: Emit): void {
    if (this.#queues.size > 0) {
      // What is added while emitting belongs to the next flush.
      const queues = this.#queues;
      this.#queues = new Map();
      for (const [to, queue] of queues) this.#flushTo(to, queue, emit);
    }
    while (this.#lazyBytes >= this.#room) this.#flushOneLazy(emit);
  }

  /** As {@link flush}, and all lazy messages leave. */
  flushLazy(emit: Emit): void {
    this.flush(emit);
    while (this.isLazyPending) this.#flushOneLazy(emit);
  }

  /** Seals a message that is too large for a datagram; what waits in the outbox is left there. */
  sealFrame(to: number, message: Uint8Array): Buffer {
    return this.#frameSealer.seal(Buffer.concat([encodeEnvelope(this.#envelope(to)), message]));
  }

  #refuse(message: Uint8Array, waiting: number, most: number): 'large' | 'full' | null {
    if (message.length > this.#room) return 'large';
    if (waiting + message.length <= most) return null;
    this.#dropped++;
    return 'full';
  }

  #flushTo(to: number, queue: readonly Uint8Array[], emit: Emit): void {
    let next = 0;
    while (next < queue.length) {
      const body = this.#startBody(to);
      for (; next < queue.length && body.count < LIMITS.messages; next++) {
        const message = queue[next] as Uint8Array; // next is below its length
        if (!this.#append(body, message)) break; // never the first: it was found to fit when it was added
        this.#waiting -= message.length;
      }
      if (to === EVERYBODY) this.#appendLazy(body);
      this.#seal(to, body, emit);
    }
  }

  #flushOneLazy(emit: Emit): void {
    const body = this.#startBody(EVERYBODY);
    this.#appendLazy(body);
    this.#seal(EVERYBODY, body, emit);
  }

  #startBody(to: number): Body {
    const envelope = encodeEnvelope(this.#envelope(to));
    this.#body.set(envelope);
    return { size: envelope.length, end: envelope.length + this.#room, count: 0 };
  }

  /** @returns whether there was room */
  #append(body: Body, message: Uint8Array): boolean {
    if (body.size + message.length > body.end) return false;
    this.#body.set(message, body.size);
    body.size += message.length;
    body.count++;
    return true;
  }

  /** Puts lazy messages, oldest first, into the body as long as they fit. */
  #appendLazy(body: Body): void {
    for (; this.#lazyHead < this.#lazy.length && body.count < LIMITS.messages; this.#lazyHead++) {
      const message = this.#lazy[this.#lazyHead] as Uint8Array; // the head is below the length
      if (!this.#append(body, message)) return;
      this.#lazyBytes -= message.length;
    }
    if (this.#lazyHead === this.#lazy.length) {
      this.#lazy = [];
      this.#lazyHead = 0;
    }
  }

  #seal(to: number, { size, count }: Body, emit: Emit): void {
    this.#messages += count;
    this.#datagrams++;
    emit(to, this.#sealer.seal(this.#body.subarray(0, size)));
  }
}

/** A body being put together in the outbox's buffer. */
interface Body {
  size: number;
  /** Where it has to end. */
  readonly end: number;
  count: number;
}
