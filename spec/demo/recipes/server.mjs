// @ts-check
/**
 * A server of the recipes' specs, in a process of its own: a node, and one recipe on it as an application would use it.
 * Told by its first argument what to be (`ServerConfig` in farm.ts) and then, by messages, what to do; its parent's end is
 * its own.
 */
import { PaxosNode } from 'connect-paxos';

const { scenario, options } = JSON.parse(process.argv[2] ?? '{}');
process.on('disconnect', () => process.exit(0));

/** @param {string} event @param {unknown} [payload] what JSON knows */
const emit = (event, payload = null) => {
  if (process.connected) process.send?.({ type: 'event', event, payload, atMs: Date.now() });
};

const node = new PaxosNode(options);
await node.ready();
const { start } = await import(`./${scenario}.mjs`);
/** @type {Record<string, (...parameters: any[]) => unknown>} */
const commands = await start(node, emit);

process.on('message', async (/** @type {any} */ { id, name, parameters }) => {
  try {
    const value = (await commands[name](...parameters)) ?? null;
    process.send?.({ type: 'answer', id, value });
  } catch (error) {
    process.send?.({ type: 'answer', id, error: { code: error.code ?? error.name, message: String(error.stack) } });
  }
});
emit('ready');
