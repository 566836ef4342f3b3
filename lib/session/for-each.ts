/**
 * Does something with every item, `limit` of them at a time.
 * @throws the first failure, after which no further item is begun
 */
export async function forEachOf<T>(items: Iterable<T>, limit: number, each: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  let hasFailed = false;
  const work = async (): Promise<void> => {
    for (let next = queue.next(); !next.done && !hasFailed; next = queue.next()) {
      try {
        await each(next.value);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: limit }, work));
}
