/** The `code` of an error of the system or a library. By its shape: an error may be of another realm. */
export function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}

export function messageOf(error: unknown): string {
  const isTold = typeof error === 'object' && error !== null && 'message' in error;
  return isTold && typeof error.message === 'string' ? error.message : String(error);
}

/** What an error was made from, if it says so; else the error. */
export function causeOf(error: unknown): unknown {
  return (typeof error === 'object' && error !== null && 'cause' in error ? error.cause : null) ?? error;
}
