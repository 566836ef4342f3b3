/** As Node has them. */
export type Callback<T> = (error: unknown, value?: T) => void;

/**
 * Hands a promise's outcome to a callback; without one, to the caller as a promise.
 *
 * The callback is called once, from no promise's reaction: what it throws is an uncaught exception, as with any other
 * store, and neither a rejection here nor a reason to call it again. It keeps its caller's asynchronous context.
 */
export function deliver<T>(promise: Promise<T>, callback: Callback<T> | undefined): Promise<T> | undefined {
  if (callback === undefined || callback === null) {
    // `req.session.destroy()` without a callback is legal; that it fails must not end the process.
    promise.catch(() => {});
    return promise;
  }
  promise.then(
    (value) => process.nextTick(callback, null, value),
    (error: unknown) => process.nextTick(callback, error),
  );
  return undefined;
}
