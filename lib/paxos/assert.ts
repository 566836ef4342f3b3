/** A rule of the protocol does not hold. Whoever sees it stops voting: an acceptor that went wrong must not go on. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** @param detail called only on failure: these checks stand on the hot path */
export function invariant(holds: boolean, detail: () => string): asserts holds {
  if (!holds) throw new InvariantError(detail());
}
