/** What stands on the command line, against what a command takes. */
import { parseArgs } from 'node:util';
import { UsageError } from './exit-codes.js';
import { nearest } from './nearest.js';

/** One option, as it is parsed and as `--help` shows it. */
export interface OptionSpec {
  /** What stands behind it, in capitals; left out for one that takes nothing. */
  readonly value?: string;
  /** May be given several times. */
  readonly isMany?: boolean;
  readonly help: string;
}

export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

export interface Arguments {
  readonly positionals: readonly string[];
  has(option: string): boolean;
  /** `undefined` where it was not given. */
  text(option: string): string | undefined;
  texts(option: string): readonly string[] | undefined;
  /** @throws UsageError unless it is within the bounds */
  integer(option: string, min: number, max: number): number | undefined;
  /** @throws UsageError unless it is within the bounds */
  number(option: string, min: number, max: number): number | undefined;
}

/**
 * @param usage of the command, for the error messages
 * @throws UsageError that says what there is
 */
export function parseArguments(words: readonly string[], specs: OptionSpecs, usage: Usage): Arguments {
  const options = Object.fromEntries(
    Object.entries(specs).map(([name, { value }]) => [
      name,
      { type: value === undefined ? 'boolean' : 'string' } as const,
    ]),
  );
  // Not strict: its errors do not say what there is.
  const { tokens } = parseArgs({ args: [...words], options: { ...options, ...SHORT }, strict: false, tokens: true });
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value);
    if (token.kind !== 'option') continue;
    const { name, rawName, value } = token;
    const spec = specs[name];
    if (spec === undefined || !Object.hasOwn(specs, name)) throw unknownOption(rawName, specs, usage);
    if (spec.value === undefined && value !== undefined) throw new UsageError(`Option ${rawName} takes no value.`);
    if (spec.value !== undefined) checkValue(rawName, spec.value, token);
    const values = given.get(name) ?? [];
    if (values.length > 0 && spec.isMany !== true && spec.value !== undefined) {
      throw new UsageError(`Option ${rawName} is given twice.`);
    }
    given.set(name, [...values, value ?? '']);
  }
  if (!given.has('help')) checkCount(positionals, usage);
  return argumentsOf(positionals, given);
}

export interface Usage {
  /** `connect-paxos get` */
  readonly command: string;
  /** What stands behind it: `KEY [VALUE]`. */
  readonly positionals: string;
}

const SHORT = { help: { type: 'boolean', short: 'h' }, version: { type: 'boolean', short: 'v' } } as const;

function checkValue(
  rawName: string,
  placeholder: string,
  { value, inlineValue }: { readonly value: string | undefined; readonly inlineValue: boolean | undefined },
): void {
  if (value === undefined || value === '') {
    throw new UsageError(`Option ${rawName} needs a value: ${rawName} ${placeholder}.`);
  }
  if (!inlineValue && value.startsWith('-') && value !== '-') {
    throw new UsageError(
      `Option ${rawName} needs a value: ${rawName} ${placeholder}. For one that begins with '-', write ${rawName}=${value}.`,
    );
  }
}

function unknownOption(rawName: string, specs: OptionSpecs, { command }: Usage): UsageError {
  const near = nearest(rawName.replace(/^-+/, ''), Object.keys(specs));
  const hint = near === null ? `${command} --help lists them.` : `Did you mean --${near}?`;
  const dashes = rawName.startsWith('--') ? '' : " A value that begins with '-' stands behind --.";
  return new UsageError(`There is no option ${rawName}. ${hint}${near === null ? dashes : ''}`);
}

/** `KEY VALUE` takes two, `[SLOT]` none or one. */
function checkCount(positionals: readonly string[], { command, positionals: takes }: Usage): void {
  const names = takes === '' ? [] : takes.split(' ');
  const missing = names.slice(positionals.length).find((name) => !name.startsWith('['));
  const surplus = positionals[names.length];
  if (missing !== undefined) throw new UsageError(`${missing} is missing: ${command} ${takes}.`);
  if (surplus !== undefined) {
    throw new UsageError(
      `'${surplus}' is one too many: ${`${command} ${takes}`.trim()}. A value with spaces needs quotes around it.`,
    );
  }
}

function argumentsOf(positionals: readonly string[], given: ReadonlyMap<string, readonly string[]>): Arguments {
  const text = (option: string): string | undefined => given.get(option)?.[0];
  const number = (option: string, pattern: RegExp, kind: string, min: number, max: number): number | undefined => {
    const got = text(option);
    if (got === undefined) return undefined;
    const value = Number(got);
    if (pattern.test(got) && value >= min && value <= max) return value;
    throw new UsageError(`Option --${option} got '${got.slice(0, 40)}'; it takes ${kind} from ${min} to ${max}.`);
  };
  return {
    positionals,
    has: (option) => given.has(option),
    text,
    texts: (option) => given.get(option),
    integer: (option, min, max) => number(option, /^\d+$/, 'a whole number', min, max),
    number: (option, min, max) => number(option, /^\d+(\.\d+)?$/, 'a number', min, max),
  };
}
