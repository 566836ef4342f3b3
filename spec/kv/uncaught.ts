import { jest } from '@jest/globals';
import { settled } from './watched-bucket.js';

/** What would end the process, thrown in microtasks that are begun meanwhile. */
export async function uncaughtWhile(run: () => Promise<void>): Promise<unknown[]> {
  const caught: unknown[] = [];
  const queue = jest.spyOn(globalThis, 'queueMicrotask').mockImplementation((callback) => {
    void Promise.resolve()
      .then(callback)
      .catch((error: unknown) => caught.push(error));
  });
  try {
    await run();
    await settled();
  } finally {
    queue.mockRestore();
  }
  return caught;
}
