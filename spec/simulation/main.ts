/** `npm run simulate`: see `options.ts`. */
import { fileURLToPath } from 'node:url';
import { command } from './command.js';
import { useQuickCipher } from './quick-cipher.js';

useQuickCipher();

process.exitCode = await command(process.argv.slice(2), {
  built: fileURLToPath(new URL('../..', import.meta.url)),
  isAltered: false,
  write: (text) => process.stdout.write(text),
});
