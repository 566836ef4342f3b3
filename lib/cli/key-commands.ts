/** The commands for one key: `get`, `set`, `put`, `del`. */
import type { Readable } from 'node:stream';
import { ACCESS_OPTIONS, type Access, openAccess } from './access.js';
import type { Arguments, OptionSpecs } from './arguments.js';
import type { Command, Context } from './command.js';
import { CommandError, EXIT, type ExitCode, UsageError } from './exit-codes.js';
import { type Condition, type Found, type Item, toJson, type WriteOptions } from './items.js';
import type { Output } from './output.js';

/** Seconds. */
const MAX_TTL = 1e9;
const MAX_STDIN = 8 * 2 ** 20;
/** A key that is there, and then is not, and then is: somebody does that all the time. */
const MAX_TRIES = 32;

const WRITE_OPTIONS: OptionSpecs = {
  ttl: { value: 'SECONDS', help: 'life of the key; it has no end without' },
  type: { value: 'TYPE', help: 'content type (default text/plain; charset=utf-8)' },
};

const HOW = `The command joins the farm for the moment, as a learner: give it the options that the farm's own processes have. Or it
asks a node's HTTP API: --url.`;

export const get: Command = {
  name: 'get',
  positionals: 'KEY',
  summary: 'print what a key holds',
  details: `Prints the value of KEY, as it is; on a terminal with a line's end. Exit code 1: there is none.\n\n${HOW}`,
  options: ACCESS_OPTIONS,
  life: 'until-done',
  run: async (args, context) => {
    const key = keyOf(args);
    return withAccess(args, context, async ({ items }) => {
      const found = await items.find(key);
      if (found === null) throw notFound(key);
      print(found, context.output);
    });
  },
};

export const set: Command = {
  name: 'set',
  positionals: 'KEY VALUE',
  summary: 'set a key, whatever it held',
  details: `Sets KEY to VALUE; for a VALUE of - to what comes on the standard input. A value that begins with - stands behind --.
With a condition that does not hold nothing is set, and the exit code is 1.

${HOW}`,
  options: {
    ...WRITE_OPTIONS,
    'if-absent': { help: 'only if the key holds nothing' },
    'if-version': { value: 'VERSION', help: 'only if the key is still at that version (get --json prints it)' },
    ...ACCESS_OPTIONS,
  },
  life: 'until-done',
  run: async (args, context) => {
    const key = keyOf(args);
    const options: WriteOptions = { ttlMs: ttlMsOf(args), condition: conditionOf(args) };
    const item = await itemOf(args, context.stdin);
    return withAccess(args, context, async ({ items }) => {
      const written = await items.write(key, item, options);
      if (written === null) throw conditionFailed(key);
      if (context.output.isJson) context.output.json({ key, version: written.version, revision: written.revision });
    });
  },
};

export const put: Command = {
  name: 'put',
  positionals: 'KEY VALUE',
  summary: 'write a key once, and print what it holds: the first value of all stays',
  details: `Sets KEY to VALUE unless it holds a value already, and prints what it holds then: of several processes that put one key,
all print the same. For a VALUE of - it takes what comes on the standard input.

${HOW}`,
  options: { ...WRITE_OPTIONS, ...ACCESS_OPTIONS },
  life: 'until-done',
  run: async (args, context) => {
    const key = keyOf(args);
    const ttlMs = ttlMsOf(args);
    const item = await itemOf(args, context.stdin);
    return withAccess(args, context, async ({ items }) => {
      for (let tries = 0; tries < MAX_TRIES; tries += 1) {
        const written = await items.write(key, item, { ttlMs, condition: { kind: 'absent' } });
        const found = written === null ? await items.find(key) : { key, item, ...written, ttlMs: ttlMs ?? null };
        if (found !== null) return print(found, context.output);
      }
      throw new CommandError('ERR_OVERLOADED', `The key '${key}' comes and goes all the time; try again.`);
    });
  },
};

export const del: Command = {
  name: 'del',
  positionals: 'KEY',
  summary: 'remove a key',
  details: `Removes KEY. Exit code 1: it was not there, or the condition did not hold.\n\n${HOW}`,
  options: {
    'if-version': { value: 'VERSION', help: 'only if the key is still at that version (get --json prints it)' },
    ...ACCESS_OPTIONS,
  },
  life: 'until-done',
  run: async (args, context) => {
    const key = keyOf(args);
    const condition = conditionOf(args);
    return withAccess(args, context, async ({ items }) => {
      const removal = await items.remove(key, condition);
      if (removal === 'absent') throw notFound(key);
      if (removal === 'other') throw conditionFailed(key);
      if (context.output.isJson) context.output.json({ key, removed: true });
    });
  },
};

export async function withAccess(
  args: Arguments,
  context: Context,
  run: (access: Access) => Promise<void>,
): Promise<ExitCode> {
  const access = openAccess(args, context);
  try {
    await run(access);
  } finally {
    await access.close();
  }
  return EXIT.ok;
}

function print(found: Found, output: Output): void {
  if (output.isJson) {
    output.json(toJson(found));
    return;
  }
  const { body } = found.item;
  output.bytes(body);
  if (output.isTerminal && body.at(-1) !== 0x0a) output.line('');
}

function keyOf({ positionals: [key = ''] }: Arguments): string {
  if (key === '') throw new UsageError('KEY is empty.');
  return key;
}

async function itemOf(args: Arguments, stdin: Readable): Promise<Item> {
  const { positionals } = args;
  const [, value = ''] = positionals;
  const type = args.text('type') ?? 'text/plain; charset=utf-8';
  if (!/^[\x20-\x7e]{1,255}$/.test(type)) throw new UsageError('Option --type takes a content type: application/json.');
  return { type, body: value === '-' ? await allOf(stdin) : Buffer.from(value) };
}

function ttlMsOf(args: Arguments): number | undefined {
  const seconds = args.number('ttl', 0.001, MAX_TTL);
  return seconds === undefined ? undefined : Math.round(seconds * 1000);
}

/** What an ETag carries. */
const VERSION = /^[\x21\x23-\x7e]{1,200}$/;

function conditionOf(args: Arguments): Condition | undefined {
  const version = args.text('if-version');
  if (args.has('if-absent')) {
    if (version !== undefined) throw new UsageError('Give --if-absent or --if-version, not both.');
    return { kind: 'absent' };
  }
  if (version === undefined) return undefined;
  if (VERSION.test(version)) return { kind: 'version', versions: [version] };
  throw new UsageError(
    `Option --if-version got '${version.slice(0, 60)}'; it takes a version as get --json prints it, without quotes.`,
  );
}

async function allOf(stdin: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stdin as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_STDIN)
      throw new CommandError('ERR_VALUE_TOO_LARGE', `The standard input has more than ${MAX_STDIN} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function notFound(key: string): CommandError {
  return new CommandError('ERR_NOT_FOUND', `There is no key '${key}'.`);
}

function conditionFailed(key: string): CommandError {
  return new CommandError('ERR_CONDITION', `The key '${key}' is not as the condition says. Nothing was written.`);
}
