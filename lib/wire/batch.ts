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
  /** Bytes of messages waiting at most, lazy ones included; beyond it they are dropped. Default 4 MiB. */
  readonly maxWaiting?: number;
}

/** For `status()`. Counters only rise, `waiting` does not. */
export interface OutboxStatus {
  /** Bytes of messages waiting now, lazy ones included. */
  readonly waiting: number;
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
 * a datagram costs the same to seal, send and receive whatever its size. Lazy messages ride in the room left over.
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
  /** Where a body is put together; sealing copies it. */
  readonly #body: Buffer;
  #queues = new Map<number, Uint8Array[]>();
  #lazy: Uint8Array[] = [];
  #waiting = 0;
  #dropped = 0;
  #messages = 0;
  #datagrams = 0;

  /** @throws ConfigError if `maxDatagramSize` is below {@link MIN_DATAGRAM_SIZE} */
  constructor({ sealer, frameSealer, envelope, maxDatagramSize, maxWaiting = 4 * 2 ** 20 }: OutboxOptions) {
    if (maxDatagramSize < MIN_DATAGRAM_SIZE) {
      throw new ConfigError(`maxDatagramSize is ${maxDatagramSize}; at least ${MIN_DATAGRAM_SIZE} is needed.`);
    }
    this.#sealer = sealer;
    this.#frameSealer = frameSealer;
    this.#envelope = envelope;
    this.#room = maxDatagramSize - sealedSize(MAX_ENVELOPE_SIZE);
    this.#maxWaiting = maxWaiting;
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
    return this.#lazy.length > 0;
  }

  get status(): OutboxStatus {
    const [waiting, dropped, messages, datagrams] = [this.#waiting, this.#dropped, this.#messages, this.#datagrams];
    return { waiting, dropped, messages, datagrams };
  }

  /**
   * Adds a message for the next flush.
   * @param to a process's number, or {@link EVERYBODY}
   * @param message as `encodeMessage` gives it; not copied, and kept until it is flushed
   */
  add(to: number, message: Uint8Array): Added {
    const refused = this.#refuse(message);
    if (refused) return refused;
    this.#waiting += message.length;
    const queue = this.#queues.get(to);
    if (queue) queue.push(message);
    else this.#queues.set(to, [message]);
    return 'queued';
  }

  /** Adds a message for everybody that waits for a datagram to ride with, or for {@link flushLazy}. */
  addLazy(message: Uint8Array): Added {
    const refused = this.#refuse(message);
    if (refused) return refused;
    this.#waiting += message.length;
    this.#lazy.push(message);
    return 'queued';
  }

  /** Seals and hands out all that waits, but lazy messages only where there is room beside others to everybody. */
  flush(emit: Emit): void {
    if (this.#queues.size === 0) return;
    // What is added while emitting belongs to the next flush.
    const queues = this.#queues;
    this.#queues = new Map();
    for (const [to, queue] of queues) this.#flushTo(to, queue, emit);
  }

  /** As {@link flush}, and lazy messages leave in any case. */
  flushLazy(emit: Emit): void {
    this.flush(emit);
    const lazy = this.#lazy;
    if (lazy.length === 0) return;
    this.#lazy = [];
    this.#flushTo(EVERYBODY, lazy, emit);
  }

  /** Seals a message that is too large for a datagram; what waits in the outbox is left there. */
  sealFrame(to: number, message: Uint8Array): Buffer {
    return this.#frameSealer.seal(Buffer.concat([encodeEnvelope(this.#envelope(to)), message]));
  }

  #refuse(message: Uint8Array): 'large' | 'full' | null {
    if (message.length > this.#room) return 'large';
    if (this.#waiting + message.length <= this.#maxWaiting) return null;
    this.#dropped++;
    return 'full';
  }

  #flushTo(to: number, queue: readonly Uint8Array[], emit: Emit): void {
    const envelope = encodeEnvelope(this.#envelope(to));
    let next = 0;
    while (next < queue.length) {
      const start = next;
      this.#body.set(envelope);
      const end = envelope.length + this.#room;
      let size = envelope.length;
      for (; next < queue.length && next - start < LIMITS.messages; next++) {
        const message = queue[next] as Uint8Array; // next is below its length
        if (size + message.length > end) break; // never the first: it was found to fit when it was added
        this.#body.set(message, size);
        size += message.length;
      }
      let count = next - start;
      this.#waiting -= size - envelope.length;
      if (to === EVERYBODY && next === queue.length) {
        const filled = this.#fillWithLazy(size, end, LIMITS.messages - count);
        size = filled.size;
        count += filled.count;
      }
      this.#messages += count;
      this.#datagrams++;
      emit(to, this.#sealer.seal(this.#body.subarray(0, size)));
    }
  }

  /** Puts lazy messages, oldest first, into the body behind `size` as long as they fit. */
  #fillWithLazy(size: number, end: number, most: number): { readonly size: number; readonly count: number } {
    let count = 0;
    for (const message of this.#lazy) {
      if (count === most || size + message.length > end) break;
      this.#body.set(message, size);
      size += message.length;
      this.#waiting -= message.length;
      count++;
    }
    if (count > 0) this.#lazy = this.#lazy.slice(count);
    return { size, count };
  }
}
