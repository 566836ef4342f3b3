/** The options by which a command joins a farm. */
import { readFileSync } from 'node:fs';
import { ConfigError } from '../errors.js';
import type { NodeOptions } from '../node/options.js';
import type { Arguments, OptionSpecs } from './arguments.js';
import { UsageError } from './exit-codes.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const FARM_OPTIONS: OptionSpecs = {
  cluster: { value: 'NAME', help: "name of the farm (default 'default')" },
  secret: {
    value: 'SECRET',
    isMany: true,
    help: "seals the farm's traffic. Whoever lists this machine's processes can read it here: set CLUSTER_SECRET in the environment instead. Several: the first seals, all open",
  },
  'secret-file': { value: 'PATH', help: 'a file with the secret, or with several, each on a line' },
  'no-secret': { help: 'no seal, on purpose: whoever reaches the network can read and write all' },
  'cluster-size': { value: 'N', help: 'voters of the farm at its first start (default 3)' },
  multicast: { value: 'GROUP:PORT', help: 'multicast group and port (default 239.255.77.77:7707)' },
  interface: { value: 'NAME', help: 'name or address of the one interface to use for multicast' },
  'multicast-ttl': { value: 'N', help: 'routers that a datagram may pass, plus one (default 1)' },
  broadcast: { value: 'ADDRESS:PORT', help: "an IPv4 subnet's broadcast address, instead of multicast" },
  peers: {
    value: 'HOST:PORT,…',
    help: 'all processes of the farm, instead of multicast; one of them is this one, and must be free here',
  },
  bind: {
    value: 'HOST:PORT',
    help: 'where this process listens, beside --peers; 0.0.0.0:0 (any port) for a command beside an app',
  },
  'max-datagram-size': { value: 'BYTES', help: 'of a datagram, 512 to 7800 (default 1400); larger values go by TCP' },
  'stream-port': { value: 'PORT', help: 'TCP port of this process for larger values (default: any that is free)' },
  timeout: { value: 'MS', help: 'for one operation, retries included' },
  name: { value: 'NAME', help: 'what this process is called in messages (default HOST:PID)' },
};

/** @throws UsageError, ConfigError; what the library checks by itself is left to it */
export function nodeOptionsOf(args: Arguments, environment: Environment): NodeOptions {
  return {
    cluster: args.text('cluster'),
    secret: secretOf(args, environment),
    clusterSize: args.integer('cluster-size', 1, 99),
    transport: transportOf(args),
    timeout: args.integer('timeout', 10, 9999),
    name: args.text('name'),
  };
}

function secretOf(args: Arguments, { CLUSTER_SECRET }: Environment): NodeOptions['secret'] {
  const given = ['secret', 'secret-file', 'no-secret'].filter((name) => args.has(name));
  if (given.length > 1) throw new UsageError(`Give only one of --${given.join(' and --')}.`);
  if (args.has('no-secret')) return false;
  const path = args.text('secret-file');
  if (path !== undefined) return secretsIn(path);
  // An empty variable is one that somebody forgot to fill in, which must not open the farm: it is refused as too short.
  return args.texts('secret') ?? CLUSTER_SECRET;
}

function secretsIn(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(`Option --secret-file: ${(error as Error).message}.`, { cause: error });
  }
  return text.split(/\r?\n/).filter((line) => line !== '');
}

function transportOf(args: Arguments): NodeOptions['transport'] {
  const forms = ['multicast', 'broadcast', 'peers'].filter((name) => args.has(name));
  if (forms.length > 1) throw new UsageError(`Give only one of --${forms.join(' and --')}.`);
  const [form = 'multicast'] = forms;
  const misplaced = Object.entries(BELONGS_TO).find(([name, to]) => args.has(name) && to !== form);
  if (misplaced !== undefined) {
    throw new UsageError(`Option --${misplaced[0]} goes with --${misplaced[1]}, not with --${form}.`);
  }
  const broadcast = args.text('broadcast');
  const peers = args.text('peers');
  const common = {
    maxDatagramSize: args.integer('max-datagram-size', 512, 7800),
    streamPort: args.integer('stream-port', 0, 65_535),
  };
  if (broadcast !== undefined) return { broadcast, ...common };
  if (peers !== undefined) {
    return { peers: peers.split(',').map((peer) => peer.trim()), bind: args.text('bind'), ...common };
  }
  return {
    ...common,
    multicast: args.text('multicast'),
    interface: args.text('interface'),
    ttl: args.integer('multicast-ttl', 0, 255),
  };
}

const BELONGS_TO: Readonly<Record<string, string>> = {
  interface: 'multicast',
  'multicast-ttl': 'multicast',
  bind: 'peers',
};
