import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { codeOf } from './failure.js';

const REMAINS = 'corrupt-';
/** Remains that are kept, the latest ones. */
const MAX_REMAINS = 3;

/**
 * Makes the names in a directory durable: a file that was synced is lost all the same if its name was not. Windows has
 * no such thing, and needs none.
 */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory that only this user may look into, and those above it. What is there is left as it is. */
export async function makeDirectory(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  const top = dirname(resolve(first));
  // The root is above itself: a system that spells `first` in another way than `path` ends there.
  for (let made = resolve(path); made !== top && made !== dirname(made); ) {
    made = dirname(made);
    await syncDirectory(made);
  }
}

/**
 * Moves files of a directory into a new one within it. Within, not beside: a directory that is a mounted volume can't be
 * renamed, and the one above it may belong to somebody else.
 *
 * @returns its path
 */
export async function moveAside(directory: string, names: readonly string[], now: Date): Promise<string> {
  const stem = join(directory, `${REMAINS}${now.toISOString().replace(/[:.]/g, '-')}`);
  let target = stem;
  for (let more = 2; !(await isMade(target)); more += 1) target = `${stem}-${more}`;
  for (const name of names) await renameIfThere(join(directory, name), join(target, name));
  await syncDirectory(target);
  await syncDirectory(directory);
  const remains = (await readdir(directory)).filter((name) => name.startsWith(REMAINS)).sort();
  for (const name of remains.slice(0, -MAX_REMAINS)) await rm(join(directory, name), { recursive: true, force: true });
  return target;
}

async function isMade(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (codeOf(error) !== 'ENOENT') throw error;
  }
}
