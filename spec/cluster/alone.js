// @ts-check
/**
 * A process with a store and nothing else: no server, no timer, no channel to its parent. It ends when nothing keeps
 * it, and says on its output how far it came.
 */
import { PaxosStore } from 'connect-paxos';

const { options, mode } = JSON.parse(process.argv[2] ?? '{}');
const store = new PaxosStore(options);
store.on('warning', () => undefined);
if (mode !== 'idle') {
  await store.ready();
  console.log('ready');
}
if (mode === 'close') {
  await store.close();
  console.log('closed');
}
process.on('exit', (code) => console.log('exit', code, store.status().state));
