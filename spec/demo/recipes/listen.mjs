// @ts-check
import { once } from 'node:events';

/** @param {import('express').Express} app @returns {Promise<number>} the port on which it listens, on loopback */
export async function listen(app) {
  const server = app.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port;
}
