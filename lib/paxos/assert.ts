/**
 * A rule of the protocol does not hold: an acceptor was about to lower a promise, or to take two values at one ballot. Its
 * record is as it was before the step. Whoever sees it stops voting: what this acceptor holds, or what it was asked, is
 * wrong, and it must not answer any more. It is no error of a caller's, and is never sent.
 */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** @param detail called only on failure: these checks stand on the hot path */
export function invariant(holds: boolean, detail: () => string): asserts holds {
  if (!holds) throw new InvariantError(detail());
}
