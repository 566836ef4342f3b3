// @ts-check
/** `npm run demo`: three servers and a standby, a front before them, and an end to all of it at Ctrl-C. */
import { randomBytes, randomInt } from 'node:crypto';
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Farm, StartError } from './farm.js';
import { createFront } from './front.js';
import { HOST, listen } from './listen.js';

/** Servers that are started at once: as many as the farm has slots for voters. */
const FIRST = 3;
/** Those and the standby, which is started from the page. */
const SERVERS = FIRST + 1;
const DEFAULT_PORT_BASE = 3000;

const HELP = `Usage: npm run demo [-- --port-base <port>]

Starts three Express servers in three processes, on ports 3001, 3002 and 3003, and a front on port 3000 that sends each
request to the next of them. A fourth, on port 3004, can be started from the page. The servers share their sessions by
connect-paxos, over multicast on the loopback interface. Nothing listens on any other interface.

  --port-base <port>  the front's port; the servers take the four after it (default ${DEFAULT_PORT_BASE};
                      or set PORT_BASE in the environment)
  --help              this text

Ctrl-C ends all of it.`;

/** Unlike a server that fails, a wrong option is the caller's mistake. */
const EXIT_USAGE = 2;

/** @returns {number | null} `null` where only the help was asked for */
function readPortBase() {
  const options = /** @type {const} */ ({ 'port-base': { type: 'string' }, help: { type: 'boolean', short: 'h' } });
  const { values } = parseArgs({ options });
  if (values.help) return null;
  const text = values['port-base'] ?? process.env.PORT_BASE ?? String(DEFAULT_PORT_BASE);
  const base = Number(text);
  if (/^\d+$/.test(text) && base >= 1 && base + SERVERS <= 65_535) return base;
  throw new TypeError(`The port base got '${text}'; it takes a whole number, 1 to ${65_535 - SERVERS}.`);
}

/** A group, port and secret of this run's own: two demos on one machine, or a real farm, never meet. */
function drawCluster() {
  return {
    DEMO_MULTICAST: `239.255.${randomInt(1, 255)}.${randomInt(1, 255)}:${randomInt(20_000, 60_000)}`,
    DEMO_INTERFACE: HOST,
    DEMO_CLUSTER_SECRET: randomBytes(24).toString('base64url'),
    DEMO_COOKIE_SECRET: randomBytes(24).toString('base64url'),
  };
}

/** @param {string} text */
function say(text) {
  console.log(text);
}

/** @param {number} base @param {readonly number[]} ports */
function introduce(base, ports) {
  return `
The demo is running. Open

    http://${HOST}:${base}

Each click is answered by the next of three servers:
${ports.map((port, index) => `    server ${index + 1}   http://${HOST}:${port}${index < FIRST ? '' : '   (a standby, not started yet)'}`).join('\n')}

Try this:
  1. Log in, put things into the cart, and watch the dots: another server answers each click.
  2. Kill a server (the page sends it SIGKILL) and go on: you are still logged in, the cart is as it was.
  3. Start it again: it reads its memory from the others, and votes again after a few seconds.
  4. Start server 4, a standby, and kill another one: after some five seconds server 4 votes in its place.
  5. Open the page in a second tab: what you do in one shows in the other.
  6. Cut a server off: it runs on, but it and the others hear nothing of each other. Go on without it, then heal it.
  7. Kill two voters at once: one of three is no majority, so the last one answers 503 rather than guess.

Ctrl-C ends all of it.
`;
}

/** @param {number} base */
async function run(base) {
  const ports = Array.from({ length: SERVERS }, (_, index) => base + 1 + index);
  const farm = new Farm(ports, FIRST, drawCluster());
  const front = createFront(farm, base);
  /** @type {Promise<void> | null} */
  let ending = null;
  const end = () => {
    ending ??= farm.end().then(() => {
      front.closeAllConnections();
      front.close();
    });
    return ending;
  };

  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      if (ending === null) say('\nEnding the servers.');
      end().then(() => process.exit(0));
    });
  }
  // The terminal may be gone; that must not keep the servers from being ended.
  process.stdout.on('error', () => undefined);
  process.stderr.on('error', () => undefined);

  try {
    await listen(front, base);
    say(`Starting ${FIRST} servers …`);
    await farm.start();
  } catch (error) {
    const isEnding = ending !== null;
    await end();
    if (isEnding) return;
    throw error;
  }
  farm.on('gone', ({ number, pid, how }) => say(`Server ${number} (process ${pid}) ${how}.`));
  farm.on('started', ({ number, pid, starts }) =>
    say(`Server ${number} is started${starts > 1 ? ' again' : ''}: process ${pid}.`),
  );
  farm.on('up', ({ number, pid }) => say(`Server ${number} (process ${pid}) is ready.`));
  farm.on('cut', ({ number, isCutOff }) =>
    say(
      `Server ${number} ${isCutOff ? 'is cut off from the others' : 'is healed: it and the others hear each other'}.`,
    ),
  );
  say(introduce(base, ports));
}

/** @param {unknown} error @param {number} base */
function explain(error, base) {
  const { code, port } = /** @type {NodeJS.ErrnoException & { port?: number }} */ (error);
  if (code === 'EADDRINUSE') {
    const other = base === 4000 ? 5000 : 4000;
    return (
      `Port ${port} is taken by another program (perhaps another demo). End that program, or use other ports:\n` +
      `    npm run demo -- --port-base ${other}     takes ${other} to ${other + SERVERS}`
    );
  }
  if (code === 'EACCES') {
    return `Port ${port} may not be used by you. Use others: npm run demo -- --port-base 4000`;
  }
  if (error instanceof StartError) return error.message;
  return error instanceof Error ? error.stack : String(error);
}

/** @returns {number | null} */
function readPortBaseOrExit() {
  try {
    return readPortBase();
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${HELP}`);
    process.exit(EXIT_USAGE);
  }
}

const base = readPortBaseOrExit();
if (base === null) {
  say(HELP);
} else if (!existsSync(new URL('../dist/index.js', import.meta.url))) {
  console.error('The library is not built yet. `npm run build` builds it; `npm run demo` does both.');
  process.exitCode = 1;
} else {
  await run(base).catch((error) => {
    console.error(explain(error, base));
    process.exit(1);
  });
}
