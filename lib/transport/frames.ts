/** Frames in a stream of bytes: each is a length of 4 bytes, big-endian, and as many bytes. */

const HEADER_BYTES = 4;
/** A buffer begun for a frame of which little has come. */
const FIRST_CAPACITY = 4096;

/** What goes in front of a frame of that many bytes. */
export function frameHeader(length: number): Uint8Array {
  const header = new Uint8Array(HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, length);
  return header;
}

/**
 * Cuts a stream into frames. A length that somebody claims allocates nothing: memory grows with the bytes that have
 * come, to twice their number at most.
 */
export class FrameReader {
  readonly #maxFrameSize: number;
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  #headerBytes = 0;
  #length = 0;
  #partial = new Uint8Array(0);
  #partialBytes = 0;

  /** @param maxFrameSize bytes of the longest frame */
  constructor(maxFrameSize: number) {
    this.#maxFrameSize = maxFrameSize;
  }

  /** Whether a frame has begun whose end has not come. */
  get isInFrame(): boolean {
    return this.#headerBytes > 0;
  }

  /**
   * Takes bytes as they come.
   * @param onFrame gets each frame as it is complete; its bytes are valid until it returns. False ends the reading.
   * @returns false if the stream is no good: `onFrame` said so, or a length is 0 or too large
   */
  push(chunk: Uint8Array, onFrame: (frame: Uint8Array) => boolean): boolean {
    let at = 0;
    while (at < chunk.byteLength) {
      at += this.#readHeader(chunk, at);
      if (this.#headerBytes < HEADER_BYTES) return true;
      if (this.#length === 0 || this.#length > this.#maxFrameSize) return false;

      const bytes = chunk.subarray(at, at + this.#length - this.#partialBytes);
      at += bytes.byteLength;
      if (this.#partialBytes + bytes.byteLength < this.#length) {
        this.#keep(bytes);
        return true;
      }
      if (!onFrame(this.#complete(bytes))) return false;
    }
    return true;
  }

  /** @returns how many bytes of the chunk belonged to the header */
  #readHeader(chunk: Uint8Array, at: number): number {
    const bytes = chunk.subarray(at, at + HEADER_BYTES - this.#headerBytes);
    this.#header.set(bytes, this.#headerBytes);
    this.#headerBytes += bytes.byteLength;
    if (this.#headerBytes === HEADER_BYTES) this.#length = this.#headerView.getUint32(0);
    return bytes.byteLength;
  }

  #keep(bytes: Uint8Array): void {
    const needed = this.#partialBytes + bytes.byteLength;
    if (needed > this.#partial.byteLength) {
      const capacity = Math.min(Math.max(FIRST_CAPACITY, 2 * needed), this.#length);
      const grown = new Uint8Array(capacity);
      grown.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = grown;
    }
    this.#partial.set(bytes, this.#partialBytes);
    this.#partialBytes = needed;
  }

  /** The frame, given its last bytes; one that came in one piece is not copied. */
  #complete(bytes: Uint8Array): Uint8Array {
    let frame = bytes;
    if (this.#partialBytes > 0) {
      this.#keep(bytes);
      frame = this.#partial.subarray(0, this.#partialBytes);
      this.#partial = new Uint8Array(0);
      this.#partialBytes = 0;
    }
    this.#headerBytes = 0;
    return frame;
  }
}
