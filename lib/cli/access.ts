/** How a command gets at the farm: as a learner for the moment, or by a node's HTTP API. */
import { PaxosKV } from '../kv/index.js';
import { PaxosNode } from '../node/node.js';
import type { NodeStatus } from '../node/status.js';
import type { Arguments, OptionSpecs } from './arguments.js';
import type { Context } from './command.js';
import { UsageError } from './exit-codes.js';
import { FarmItems } from './farm-items.js';
import { validateToken } from './http/guard.js';
import { parseUrl } from './http-exchange.js';
import { HttpItems } from './http-items.js';
import { BUCKET, type Items } from './items.js';
import { FARM_OPTIONS, nodeOptionsOf } from './node-options.js';

/** Ms for one operation: a learner has to find the farm first. */
const TIMEOUT_MS = 5000;
/** Ms for an answer of a node, which has its own time-out for what it does. */
const URL_TIMEOUT_MS = 15_000;
/** How often it is looked whether there is something to say, in ms. */
const LOOK_MS = 20;
/** Ms for which voters are listened to: each says something twice a second. */
const LISTENING_MS = 1000;

export const ACCESS_OPTIONS: OptionSpecs = {
  url: {
    value: 'URL',
    help: 'asks the node whose HTTP API is there (http://localhost:8080), with CONNECT_PAXOS_TOKEN, instead of joining the farm for the moment; of the options below only --timeout goes with it',
  },
  ...FARM_OPTIONS,
};

export interface Access {
  readonly items: Items;
  /** Resolves when there is something to say: the voters were heard, or the time is up. */
  status(signal: AbortSignal): Promise<NodeStatus>;
  close(): Promise<void>;
}

/** @throws UsageError, ConfigError */
export function openAccess(args: Arguments, context: Pick<Context, 'output' | 'environment'>): Access {
  const url = args.text('url');
  return url === undefined ? join(args, context) : connect(url, args, context);
}

function join(args: Arguments, { output, environment }: Pick<Context, 'output' | 'environment'>): Access {
  const options = nodeOptionsOf(args, environment);
  const timeoutMs = options.timeout ?? TIMEOUT_MS;
  const node = new PaxosNode({ ...options, slot: false, timeout: timeoutMs });
  node.on('warning', ({ code, message }) => output.warn(code, message));
  const kv = new PaxosKV({ node, bucket: BUCKET });
  return {
    items: new FarmItems(kv, timeoutMs),
    status: () => statusOf(node, timeoutMs),
    close: async () => {
      await kv.close();
      await node.close();
    },
  };
}

function connect(url: string, args: Arguments, { environment }: Pick<Context, 'environment'>): Access {
  const misplaced = Object.keys(FARM_OPTIONS).find((name) => name !== 'timeout' && args.has(name));
  if (misplaced !== undefined) throw new UsageError(`Option --${misplaced} has no effect beside --url.`);
  const token = environment.CONNECT_PAXOS_TOKEN;
  if (token !== undefined) validateToken(token);
  const items = new HttpItems({
    url: parseUrl(url),
    token,
    timeoutMs: args.integer('timeout', 10, 60_000) ?? URL_TIMEOUT_MS,
  });
  return { items, status: (signal) => items.status(signal), close: async () => undefined };
}

async function statusOf(node: PaxosNode, timeoutMs: number): Promise<NodeStatus> {
  const endMs = performance.now() + timeoutMs;
  let heardEndMs = endMs;
  let failure: unknown = null;
  // Where the network can't be opened.
  node.ready().catch((error: unknown) => {
    failure = error;
  });
  for (;;) {
    if (failure !== null) throw failure;
    const status = node.status();
    const isFound = status.incarnation !== null;
    // Those that are up are heard within that time after the farm was found.
    if (isFound) heardEndMs = Math.min(heardEndMs, performance.now() + LISTENING_MS);
    if (isFound && status.clock.isTrusted && status.voters.every(({ isUp }) => isUp)) return status;
    if (performance.now() >= heardEndMs) return status;
    await pause(LOOK_MS);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
