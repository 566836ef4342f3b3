// @ts-check
import { once } from 'node:events';

/** The demo is for one person at one machine: nothing of it can be reached from elsewhere. */
export const HOST = '127.0.0.1';

/**
 * @param {import('node:http').Server} server
 * @param {number} port
 * @throws where the port can't be had, an error with its `code` and `port`
 */
export async function listen(server, port) {
  server.listen(port, HOST);
  await once(server, 'listening');
}
