import { createCipheriv } from 'node:crypto';
import {
  CIPHER,
  CLUSTER_TAG_AT,
  COUNTER_AT,
  COUNTER_SIZE,
  HEADER_SIZE,
  KEY_ID_AT,
  MAGIC,
  MAX_COUNTER,
  makeNonce,
  NONCE_COUNTER_AT,
  SALT_AT,
  SEAL_OVERHEAD,
  TAG_SIZE,
  VERSION,
  VERSION_AT,
} from './header.js';
import { deriveKey, deriveKeyId, type Keyring, SALT_SIZE } from './keyring.js';

/** Gives `size` random bytes. */
export type RandomBytes = (size: number) => Uint8Array;

/** Bytes of a datagram or frame whose body has `bodySize` bytes. */
export function sealedSize(bodySize: number): number {
  return bodySize + SEAL_OVERHEAD;
}

/**
 * Seals bodies under a key of its own. What overtakes each other for long needs a sealer each: frames on a stream
 * must not share datagrams' counters, or a slow stream falls out of the opener's window.
 */
export class Sealer {
  readonly #keyring: Keyring;
  readonly #randomBytes: RandomBytes;
  readonly #maxCounter: number;
  readonly #header = Buffer.alloc(HEADER_SIZE);
  readonly #nonce = makeNonce();
  #key: Buffer = Buffer.alloc(0);
  #saltName = '';
  #counter = 0;

  /** @param maxCounter bodies sealed under one salt, at most and unless a test says otherwise 2⁴⁸−1 */
  constructor(keyring: Keyring, randomBytes: RandomBytes, maxCounter: number = MAX_COUNTER) {
    this.#keyring = keyring;
    this.#randomBytes = randomBytes;
    this.#maxCounter = maxCounter;
    this.#header.writeUInt16BE(MAGIC);
    this.#header[VERSION_AT] = VERSION;
    keyring.clusterTag.copy(this.#header, CLUSTER_TAG_AT);
    this.#drawSalt();
  }

  /** The salt in use, as a string of one character a byte: by it the process knows its own datagrams. */
  get saltName(): string {
    return this.#saltName;
  }

  /** A new buffer with the sealed body. `body` is not kept. */
  seal(body: Uint8Array): Buffer {
    // A nonce used twice under one key gives both bodies and the key of the tag away. A new salt is a new key.
    if (this.#counter === this.#maxCounter) this.#drawSalt();
    this.#counter++;
    this.#header.writeUIntBE(this.#counter, COUNTER_AT, COUNTER_SIZE);
    this.#nonce.writeUIntBE(this.#counter, NONCE_COUNTER_AT, COUNTER_SIZE);
    const cipher = createCipheriv(CIPHER, this.#key, this.#nonce, { authTagLength: TAG_SIZE });
    cipher.setAAD(this.#header);
    const ciphertext = cipher.update(body);
    cipher.final(); // gives no bytes in GCM, but makes the tag
    return Buffer.concat([this.#header, ciphertext, cipher.getAuthTag()]);
  }

  #drawSalt(): void {
    const [sealing] = this.#keyring.stretched;
    const salt = this.#randomBytes(SALT_SIZE);
    this.#header.set(salt, SALT_AT);
    this.#header.set(deriveKeyId(sealing, salt), KEY_ID_AT);
    this.#saltName = this.#header.toString('latin1', SALT_AT, SALT_AT + SALT_SIZE);
    this.#key = deriveKey(sealing, salt);
    this.#counter = 0;
  }
}
