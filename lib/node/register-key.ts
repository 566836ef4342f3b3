/** What a register's key may be, whoever builds it: `<bucket>/<id>`. */

/** Longest key, in bytes of UTF-8. */
export const MAX_KEY_SIZE = 1024;

/** Whether it takes more than {@link MAX_KEY_SIZE}. */
export function isTooLong(key: string): boolean {
  // A character takes at most three bytes, so a short key needs no counting.
  return key.length * 3 > MAX_KEY_SIZE && Buffer.byteLength(key) > MAX_KEY_SIZE;
}

/** Whether a string can be told apart from all others once it is UTF-8: no half of a surrogate pair alone. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
