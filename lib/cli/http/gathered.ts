/** Bytes made room for at first, if there may be so many. */
const FIRST_BYTES = 4096;

/**
 * Bytes that come in pieces, gathered in one buffer that doubles as it fills. Kept as they come, pieces of one byte each would
 * take a hundred times their bytes.
 */
export class Gathered {
  readonly #maxBytes: number;
  #buffer = Buffer.alloc(0);
  #size = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** What has come. What comes later is not in it. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#size);
  }

  /** @returns whether it fits; else nothing of it is taken */
  add(piece: Uint8Array): boolean {
    const size = this.#size + piece.length;
    if (size > this.#maxBytes) return false;
    if (size > this.#buffer.length) this.#grow(size);
    this.#buffer.set(piece, this.#size);
    this.#size = size;
    return true;
  }

  #grow(size: number): void {
    const wanted = Math.max(size, 2 * this.#buffer.length, FIRST_BYTES);
    const buffer = Buffer.allocUnsafe(Math.min(wanted, this.#maxBytes));
    buffer.set(this.bytes);
    this.#buffer = buffer;
  }
}
