/** Bytes as the session layer reads, writes and compares them. */

const encoder = new TextEncoder();

/** UTF-8, in an array of its own: `Buffer.from` would cut it from a shared pool and pin all of that. */
export function encode(text: string): Uint8Array {
  return encoder.encode(text);
}

export function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a === b || (a.length === b.length && Buffer.compare(a, b) === 0);
}
