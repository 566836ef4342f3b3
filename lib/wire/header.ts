/**
 * Before the sealed body of a datagram or frame stands, in the clear but authenticated:
 *
 * | offset | bytes | |
 * |---|---|---|
 * | 0 | 2 | magic |
 * | 2 | 1 | version |
 * | 3 | 8 | tag of the cluster |
 * | 11 | 8 | key id |
 * | 19 | 16 | the sealer's salt |
 * | 35 | 6 | counter, big-endian: the nonce |
 *
 * After it stand the ciphertext and the 16 bytes of the AES-256-GCM tag.
 */
import { CLUSTER_TAG_SIZE, KEY_ID_SIZE, SALT_SIZE } from './keyring.js';

/** `cp`, with the high bits set: no text starts so. */
export const MAGIC = 0xe3f0;
export const VERSION = 1;

export const VERSION_AT = 2;
export const CLUSTER_TAG_AT = 3;
export const KEY_ID_AT = CLUSTER_TAG_AT + CLUSTER_TAG_SIZE;
export const SALT_AT = KEY_ID_AT + KEY_ID_SIZE;
export const COUNTER_AT = SALT_AT + SALT_SIZE;
export const COUNTER_SIZE = 6;
export const HEADER_SIZE = COUNTER_AT + COUNTER_SIZE;

export const TAG_SIZE = 16;

/** Bytes that sealing adds to a body. */
export const SEAL_OVERHEAD = HEADER_SIZE + TAG_SIZE;

export const CIPHER = 'aes-256-gcm';

export const MAX_COUNTER = 2 ** 48 - 1;

/** GCM's nonce: the counter in the last 6 of 12 bytes. A key belongs to one salt, so no nonce meets a key twice. */
export function makeNonce(): Buffer {
  return Buffer.alloc(12);
}

export const NONCE_COUNTER_AT = 12 - COUNTER_SIZE;
