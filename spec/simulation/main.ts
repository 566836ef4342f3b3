/** `npm run simulate`: see `options.ts`. */
import { fileURLToPath } from 'node:url';
import { command } from './command.js';
import { useQuickCipher } from './quick-cipher.js';

useQuickCipher();

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  // Nobody reads on, as after `| head`.
  process.exit(1);
});

process.exitCode = await command(process.argv.slice(2), {
  built: fileURLToPath(new URL('../..', import.meta.url)),
  isAltered: false,
  write: (text) => process.stdout.write(text),
});
