/** Longest wait for anything; a busy machine may take its time. */
export const PATIENCE_MS = 60_000;

/** Calls `run` for 0..count−1, so many at a time. */
export async function each(count: number, atATime: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      await run(next - 1);
    }
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

/** Waits until `condition` holds. @throws its error, or one that says what was waited for */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + PATIENCE_MS;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`Waited in vain until ${what}.`);
    await pause(10);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
