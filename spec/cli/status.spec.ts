import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { parseArguments } from '../../lib/cli/arguments.js';
import { Output } from '../../lib/cli/output.js';
import { status } from '../../lib/cli/status-command.js';
import { type NodeStatus, PaxosNode } from '../../lib/index.js';
import { drawMulticast, drawSecret } from '../cluster/farm.js';
import { until } from '../cluster/waiting.js';

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(
    servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve).closeAllConnections())),
  );
});

/** What a node says, of a farm with many learners. */
let said: NodeStatus;

beforeAll(async () => {
  const node = new PaxosNode({ cluster: 'status', secret: drawSecret(), clusterSize: 1, transport: drawMulticast() });
  await node.ready();
  const learner = {
    process: 'abc',
    name: 'a-host-with-a-name-that-is-long:12345',
    host: 'h',
    address: '10.0.0.2:5000',
  };
  said = { ...node.status(), learners: Array.from({ length: 10 }, () => learner) } as unknown as NodeStatus;
  await node.close();
});

interface Watching {
  readonly ending: AbortController;
  readonly ended: Promise<unknown>;
  readonly written: string[];
  readonly noted: string[];
}

/** `status --watch --url`, at a node that answers so. */
async function watch(answer: (response: ServerResponse) => void, terminal: object = {}): Promise<Watching> {
  const server = createServer((_request, response) => answer(response));
  servers.push(server);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  const words = ['--watch', '--url', `http://127.0.0.1:${port}`];
  const [written, noted]: string[][] = [[], []];
  const ending = new AbortController();
  const output = new Output({
    stdout: { write: (text) => written?.push(String(text)), ...terminal },
    stderr: { write: (text) => noted?.push(String(text)) },
    isJson: false,
    environment: { NO_COLOR: '1' },
  });
  const args = parseArguments(words, status.options, { command: 'status', positionals: '' });
  const ended = status.run(args, { output, environment: {}, stdin: Readable.from([]), ending: ending.signal });
  return { ending, ended, written: written ?? [], noted: noted ?? [] };
}

const tell = (response: ServerResponse): void => void response.end(JSON.stringify(said));

describe('status --watch', () => {
  it('writes over what it has written, on a terminal that is too narrow and too low for it', async () => {
    const { ending, ended, written } = await watch(tell, { isTTY: true, rows: 7, columns: 40 });
    await until('it has looked twice', () => written.length >= 2);
    ending.abort();
    expect(await ended).toBe(0);
    const [first = '', second = ''] = written;
    // One line stays free, or the first would be pushed out. Long ones are cut off, not wrapped: each is one.
    const lines = 6;
    expect(first.startsWith('\u001b[?7l')).toBe(true);
    expect(first.endsWith('\u001b[?7h')).toBe(true);
    expect(first.split('\n').length - 1).toBe(lines);
    expect(second.startsWith(`\u001b[${lines}F\u001b[J\u001b[?7l`)).toBe(true);
  });

  it('goes on when the node that it asks is started anew, and says once that it does not answer', async () => {
    let asked = 0;
    const { ending, ended, written, noted } = await watch((response) => {
      asked += 1;
      if (asked === 2 || asked === 3) response.destroy();
      else tell(response);
    });
    await until('it is there again', () => asked >= 4);
    await until('and shown again', () => written.join('').split('slot').length === 3);
    ending.abort();
    expect(await ended).toBe(0);
    expect(noted).toEqual([expect.stringMatching(/^error: http:\/\/127\.0\.0\.1:\d+ does not answer/)]);
  });

  it('ends where it has never been answered', async () => {
    const { ended } = await watch((response) => response.writeHead(404).end('<h1>Not here</h1>'));
    await expect(ended).rejects.toThrow(/as no node of a farm gives it for this\. Check --url/);
  });

  it('shows all on a terminal that does not say how large it is', async () => {
    const { ending, ended, written } = await watch(tell, { isTTY: true, rows: 0, columns: 0 });
    await until('it has looked', () => written.length >= 1);
    ending.abort();
    await ended;
    expect(written[0]?.split('a-host-with-a-name')).toHaveLength(11);
  });

  it('ends at once when it is told to, though the node does not answer', async () => {
    let isAsked = false;
    const { ending, ended } = await watch(() => {
      isAsked = true;
    });
    await until('it asks', () => isAsked);
    ending.abort();
    expect(await ended).toBe(0);
    // Nothing keeps the process: the question is given up, too.
    const [server] = servers as [Server];
    await until('the connection is closed', async () => {
      const count = await new Promise<number>((resolve) => server.getConnections((_error, open) => resolve(open)));
      return count === 0;
    });
  });
});
