import { PaxosNode } from '../node/node.js';
import type { Command } from './command.js';
import { EXIT, UsageError } from './exit-codes.js';
import { FARM_OPTIONS, nodeOptionsOf } from './node-options.js';

const TIMEOUT_MS = 5000;
/** Seconds. */
const DEFAULT_WAIT = 60;
const MAX_WAIT = 86_400;

export const resize: Command = {
  name: 'resize',
  positionals: 'N',
  summary: 'change the number of voters, while the farm serves',
  details: `Has the farm change its number of voters to N, and waits until it has. For more voters, start the processes first:
they are learners until then. Once it has begun the change goes on by itself, also if this command ends. Give
--cluster-size N to all processes at their next start.`,
  options: {
    wait: { value: 'SECONDS', help: `how long to wait until it is done (default ${DEFAULT_WAIT})` },
    ...FARM_OPTIONS,
  },
  life: 'until-done',
  run: async (args, { output, environment }) => {
    const [text = ''] = args.positionals;
    if (!/^[1-9]\d?$/.test(text)) throw new UsageError(`N got '${text.slice(0, 40)}'; it takes a number from 1 to 99.`);
    const timeoutMs = (args.integer('wait', 1, MAX_WAIT) ?? DEFAULT_WAIT) * 1000;
    const options = nodeOptionsOf(args, environment);
    const node = new PaxosNode({ ...options, slot: false, timeout: options.timeout ?? TIMEOUT_MS });
    node.on('warning', ({ code, message }) => output.warn(code, message));
    node.on('resize', (progress) => {
      const { from, to, stage, missing } = progress;
      const waits = missing.length === 0 ? '' : `, waits for slot ${missing.join(', ')}`;
      if (output.isJson) output.json(progress);
      else output.line(stage === 'done' ? `done: ${to} voters` : `from ${from} to ${to} voters: ${stage}${waits}`);
    });
    try {
      await node.resize(Number(text), { timeoutMs });
    } finally {
      await node.close();
    }
    return EXIT.ok;
  },
};
