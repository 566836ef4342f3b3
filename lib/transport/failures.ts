/** What is known of a thing that was thrown. `instanceof Error` is false for an error of another realm (`vm`, jest). */

/** The `code` of a system error, `UNKNOWN` if it has none. */
export function codeOf(error: unknown): string {
  return isObject(error) && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}

/** The message for people. */
export function messageOf(error: unknown): string {
  return isObject(error) && 'message' in error ? String(error.message) : String(error);
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
