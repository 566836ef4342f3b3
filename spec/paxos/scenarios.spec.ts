import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse, rewrite, Scenario } from './scenario.js';

const folder = join(__dirname, 'scenarios');

describe.each(readdirSync(folder).filter((name) => name.endsWith('.txt')))('%s', (name) => {
  const path = join(folder, name);
  const text = readFileSync(path, 'utf8');

  test('reads as written', () => {
    const scenario = new Scenario();
    const outputs = parse(text).map((block) => scenario.run(block));
    // REWRITE=1 writes the answers anew: read the difference before you commit it.
    if (process.env.REWRITE) writeFileSync(path, rewrite(text, outputs));
    else expect(rewrite(text, outputs)).toBe(text);
  });
});
