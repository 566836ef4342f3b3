/** `connect-paxos node`: a process of the farm with no app of its own. */
import { PaxosKV } from '../kv/index.js';
import { PaxosNode } from '../node/node.js';
import type { NodeOptions } from '../node/options.js';
import type { Arguments } from './arguments.js';
import type { Command, Context } from './command.js';
import { answerDoctors } from './doctor/answer.js';
import { EXIT, type ExitCode, UsageError } from './exit-codes.js';
import { FarmItems } from './farm-items.js';
import { type HttpAddress, parseHttpAddress } from './http/address.js';
import { createGuard } from './http/guard.js';
import { HttpApi, type HttpSetup } from './http/server.js';
import { BUCKET } from './items.js';
import { announceReady, announceStart, say, tell } from './node-lines.js';
import { FARM_OPTIONS, nodeOptionsOf } from './node-options.js';

const DEFAULT_TIMEOUT_MS = 2000;
/** A register holds a MiB: the value, and what it is. */
const MAX_VALUE_SIZE = 2 ** 20 - 1024;

export const node: Command = {
  name: 'node',
  positionals: '[SLOT]',
  summary: 'run a process of the farm that has no app, with a key-value API by HTTP if wanted',
  details: `Runs a process of the farm: one of its voters, in SLOT or in any that is free, or a learner. It prints a line for each
thing that happens, and ends in order at SIGTERM or SIGINT. Start it as often as the farm has voters (3), on different
hosts.

With --http it answers
  curl localhost:8080/foo -d 'hello paxos'    PUT, POST: set a key; ?ttl=SECONDS gives it an end
  curl localhost:8080/foo                     GET, HEAD; ETag and Revision tell the version, TTL what is left
  curl -X DELETE localhost:8080/foo           If-Match: "etag", If-None-Match: * make a write depend on what is there
  curl 'localhost:8080/?prefix=f&limit=10'    the keys
  curl -N 'localhost:8080/?watch&prefix=f'    changes as they happen, a line of JSON each; /foo?watch: of one key
  curl 'localhost:8080/?status'               the node's status; ?ready: 200 or 503`,
  options: {
    learner: { help: 'never votes' },
    http: {
      value: '[HOST:]PORT',
      help: 'adds the HTTP API, on loopback unless HOST says otherwise; port 0: any that is free',
    },
    token: {
      value: 'TOKEN',
      help: "bearer token that the HTTP API asks for: needed beyond loopback. Whoever lists this machine's processes can read it here: set CONNECT_PAXOS_TOKEN in the environment instead",
    },
    storage: {
      value: 'PATH',
      help: "keeps this voter's memory in a directory of its own, which outlives the process (needs npm install classic-level)",
    },
    ...FARM_OPTIONS,
  },
  life: 'service',
  run: runNode,
};

async function runNode(args: Arguments, { output, environment, ending }: Context): Promise<ExitCode> {
  const options = optionsOf(args, environment);
  const address = args.text('http');
  const token = args.text('token') ?? environment.CONNECT_PAXOS_TOKEN;
  if (address === undefined && args.has('token')) throw new UsageError('Option --token goes with --http.');
  // What is wrong with it is said before the farm hears of this process.
  const door = address === undefined ? null : doorOf(parseHttpAddress(address), token);
  const node = new PaxosNode(options);
  let kv: PaxosKV | null = null;
  let api: HttpApi | null = null;
  try {
    tell(node, output);
    answerDoctors(node);
    announceStart(node, output);
    if (door !== null) {
      kv = new PaxosKV({ node, bucket: BUCKET });
      const items = new FarmItems(kv, options.timeout ?? DEFAULT_TIMEOUT_MS);
      api = new HttpApi({ ...door, items, maxValueSize: MAX_VALUE_SIZE, status: () => node.status() });
      const url = await api.listen();
      say(output, 'listening', `answers at ${url}`, { url });
    }
    await Promise.race([untilAborted(ending), announceReady(node, output, ending)]);
    await untilAborted(ending);
    say(output, 'closing', 'closing');
    return EXIT.ok;
  } finally {
    await api?.close();
    await kv?.close();
    await node.close();
  }
}

function doorOf(address: HttpAddress, token: string | undefined): Pick<HttpSetup, 'address' | 'guard'> {
  return { address, guard: createGuard(address, token) };
}

function optionsOf(args: Arguments, environment: Context['environment']): NodeOptions {
  const [slot] = args.positionals;
  if (slot !== undefined && args.has('learner')) throw new UsageError('Give SLOT or --learner, not both.');
  if (slot !== undefined && slot !== 'auto' && !/^[1-9]\d?$/.test(slot)) {
    throw new UsageError(`SLOT got '${slot.slice(0, 40)}'; it takes a number from 1, or auto.`);
  }
  const path = args.text('storage');
  return {
    ...nodeOptionsOf(args, environment),
    slot: args.has('learner') ? false : slot === undefined || slot === 'auto' ? 'auto' : Number(slot),
    ...(path === undefined ? {} : { storage: { path } }),
  };
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
