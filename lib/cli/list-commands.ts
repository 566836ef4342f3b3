/** The commands for many keys: `keys` and `watch`. */
import { ACCESS_OPTIONS } from './access.js';
import type { Command } from './command.js';
import { UsageError } from './exit-codes.js';
import { lineOf } from './http/stream.js';
import type { ItemChange, WatchTarget } from './items.js';
import { withAccess } from './key-commands.js';

const MAX_KEYS = 100_000;
/** What of a value stands in a line for people. */
const MAX_SHOWN = 200;

export const keys: Command = {
  name: 'keys',
  positionals: '',
  summary: 'list keys',
  details: `Prints the keys that begin with a prefix, or all, each on a line; one with control characters as a string of JSON.
--json prints { "keys": […], "isComplete": true }.`,
  options: {
    prefix: { value: 'TEXT', help: 'keys that begin with it' },
    limit: { value: 'N', help: `no more than so many (default ${MAX_KEYS}, which is the most)` },
    ...ACCESS_OPTIONS,
  },
  life: 'until-done',
  run: async (args, context) => {
    const { output } = context;
    const limit = args.integer('limit', 1, MAX_KEYS) ?? MAX_KEYS;
    return withAccess(args, context, async ({ items }) => {
      const list = await items.keys(args.text('prefix') ?? '', limit);
      if (output.isJson) return output.json(list);
      for (const key of list.keys) output.line(visible(key));
      if (!list.isComplete) output.note(`There are more than these ${list.keys.length}; --prefix chooses among them.`);
    });
  },
};

export const watch: Command = {
  name: 'watch',
  positionals: '[KEY]',
  summary: 'print changes of a key, or of all that begin with a prefix, as they happen',
  details: `Prints a line for each change of KEY, of the keys that begin with a prefix, or of all: 'set KEY VALUE' or 'removed KEY'.
Of a key that changes faster than the lines are taken, the latest. Ends at SIGINT or SIGTERM, with exit code 0.`,
  options: {
    prefix: { value: 'TEXT', help: 'keys that begin with it, instead of KEY' },
    count: { value: 'N', help: 'ends after so many changes' },
    ...ACCESS_OPTIONS,
  },
  life: 'until-told',
  run: async (args, context) => {
    const { output, ending } = context;
    const target = targetOf(args.positionals[0], args.text('prefix'));
    let left = args.integer('count', 1, Number.MAX_SAFE_INTEGER) ?? Number.POSITIVE_INFINITY;
    return withAccess(args, context, async ({ items }) => {
      for await (const change of await items.watch(target, ending)) {
        if (output.isJson) output.json(lineOf(change));
        else output.line(inWords(change));
        await output.drained(ending);
        left -= 1;
        if (left <= 0) break;
      }
    });
  },
};

function targetOf(key: string | undefined, prefix: string | undefined): WatchTarget {
  if (key === '') throw new UsageError('KEY is empty.');
  if (key === undefined) return { prefix: prefix ?? '' };
  if (prefix !== undefined) throw new UsageError('Give KEY or --prefix, not both.');
  return { key };
}

function inWords({ kind, key, found }: ItemChange): string {
  if (found === null) return `${kind} ${visible(key)}`;
  const { type, body } = found.item;
  const text = body.toString();
  const isShown = body.length <= MAX_SHOWN && !text.includes('\ufffd');
  return `${kind} ${visible(key)} ${isShown ? visible(text) : `(${body.length} bytes of ${visible(type)})`}`;
}

/** On one line, and nothing in it that a terminal would obey. */
function visible(text: string): string {
  return /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text) ? JSON.stringify(text).replace(/\p{Cc}/gu, escaped) : text;
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
