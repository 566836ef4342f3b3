import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from './mutants.js';

/**
 * Makes a copy of the compiled simulation in which a rule is left out.
 *
 * @param built folder of the compiled simulation
 * @param copy folder of the copy; what was there is gone
 * @throws Error if the code that the mutant takes out is not there once: the mutant is of another version
 */
export function alter(built: string, copy: string, { name, edits = [] }: Mutant): void {
  rmSync(copy, { recursive: true, force: true });
  // Nobody reads the maps of a copy, and they are half of the files.
  cpSync(built, copy, { recursive: true, filter: (path) => !path.endsWith('.map') });
  for (const { file, from, to } of edits) {
    const path = join(copy, 'lib', `${file}.js`);
    const parts = readFileSync(path, 'utf8').split(from);
    if (parts.length !== 2) {
      throw new Error(`mutant ${name}: ${JSON.stringify(from)} occurs ${parts.length - 1} times in lib/${file}`);
    }
    writeFileSync(path, parts.join(to));
  }
}
