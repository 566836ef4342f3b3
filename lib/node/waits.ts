import type { Runtime } from './runtime.js';

/** How often it is looked whether something is so yet, in ms. */
const LOOK_MS = 10;

/** Waits that long, and keeps the process alive meanwhile. */
export function pause(runtime: Runtime, ms: number): Promise<void> {
  return new Promise((resolve) => {
    runtime.setTimer(ms, true, resolve);
  });
}

/** Waits while that holds, but no longer than so many ms. */
export async function waitWhile(runtime: Runtime, holds: () => boolean, ms: number): Promise<void> {
  const deadlineMs = runtime.monotonicMs() + ms;
  while (holds() && runtime.monotonicMs() < deadlineMs) await pause(runtime, LOOK_MS);
}

/** Waits for that, but no longer than so many ms. */
export async function within(runtime: Runtime, ms: number, done: Promise<void>): Promise<void> {
  let cancel: () => void = () => undefined;
  const timeIsUp = new Promise<void>((resolve) => {
    cancel = runtime.setTimer(ms, true, resolve);
  });
  await Promise.race([done, timeIsUp]);
  cancel();
}
