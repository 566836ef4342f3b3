/** Damage to what is stored, as by a bad disk. */
import { randomInt } from 'node:crypto';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Flips some bytes of every file of the database in that directory. */
export async function flipBytes(directory: string): Promise<void> {
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    const file = await open(join(entry.parentPath, entry.name), 'r+');
    const { size } = await file.stat();
    for (let count = 0; count < 10 && size > 0; count += 1) {
      const at = randomInt(size);
      const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
      await file.write(Buffer.from([(buffer[0] ?? 0) ^ 0xff]), 0, 1, at);
    }
    await file.close();
  }
}
