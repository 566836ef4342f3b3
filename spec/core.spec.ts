import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import * as core from '../lib/core.js';

const root = join(__dirname, '..');
const run = (args: readonly string[]) => promisify(execFile)(process.execPath, args, { cwd: root, timeout: 20_000 });
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

describe('connect-paxos/core', () => {
  it.each([
    ['import', "import('connect-paxos/core')"],
    ['require', "Promise.resolve(require('connect-paxos/core'))"],
  ])('is loaded by %s, without the rest of the package', async (kind, load) => {
    const type = kind === 'import' ? 'module' : 'commonjs';
    const code = `${load}.then((core) => console.log(Object.keys(core).sort().join(' ')))`;
    const { stdout } = await run([`--input-type=${type}`, '-e', code]);
    const names = stdout.trim().split(' ');
    expect(names).toEqual(expect.arrayContaining(['Acceptor', 'BallotSource', 'ClassicRound', 'QuorumRead']));
    expect(names.filter((name) => /^Paxos(Node|Store)|^invariant$|^Agenda$|^evaluate$/.test(name))).toEqual([]);
  });

  it('needs no Node API and no other package', () => {
    const loaded = new Set<string>();
    const load = (path: string): void => {
      if (loaded.has(path)) return;
      loaded.add(path);
      for (const [, from = ''] of read(path).matchAll(/^(?:import|export) .*?from '(.+?)';/gms)) {
        expect(from).toMatch(/^\.\.?\//);
        load(join(dirname(path), from));
      }
    };
    load('dist/core.js');
    expect(loaded.size).toBeGreaterThan(10);
  });

  it('has what the release of a tombstone without an end is timed by, and says how', () => {
    expect(core.MAX_COPY_AGE_MS).toBe(10_000);
    const [, sweeping = ''] = /^- \*\*Sweeping\.\*\*(.*?)^- \*\*/ms.exec(read('docs/core.md')) ?? [];
    expect(sweeping).toMatch(/more than `MAX_COPY_AGE_MS` \(ten seconds\)/);
    expect(sweeping).toMatch(/less than `MAX_COPY_AGE_MS`/);
  });
});

describe('the example', () => {
  const example = 'docs/examples/register.mjs';

  it.each([1, 2, 3, 4, 5])('counts each increment once, with seed %i', async (seed) => {
    const { stdout } = await run([example, String(seed)]);
    const [, chosen = '', unknown = '', counter = ''] =
      /^(\d+) of 200 increments chosen, (\d+) unknown; the counter is (\d+)\n$/.exec(stdout) ?? [];
    expect(chosen).not.toBe('');
    expect(Number(chosen)).toBeGreaterThan(190);
    expect(Number(counter)).toBeGreaterThanOrEqual(Number(chosen));
    expect(Number(counter)).toBeLessThanOrEqual(Number(chosen) + Number(unknown));
  });

  it('gives the same run for the same seed', async () => {
    const [first, second] = await Promise.all([run([example, '7']), run([example, '7'])]);
    expect(first.stdout).toBe(second.stdout);
  });

  it('is in docs/core.md as it is', () => {
    expect(read('docs/core.md')).toContain(`\`\`\`js\n${read(example)}\`\`\`\n`);
  });
});

/** A symbol that the entry exports, as its declaration file has it. */
interface Declaration {
  readonly name: string;
  readonly comment: string;
  /** From its first line to the end. */
  readonly text: string;
}

/** Said once for all of them: they tell a union's members apart, or are explained at the head of `messages.ts`. */
const TAGS = new Set(['type', 'kind', 'request', 'key', 'constructor']);

describe('its documentation', () => {
  const exported = [...read('dist/core.d.ts').matchAll(/export (?:type )?\{([^}]*)\} from '(.+?)\.js';/g)].flatMap(
    ([, list = '', file = '']) => {
      const names = list.split(',').map((name) => name.replace(/^\s*type\s/, '').trim());
      return names.filter((name) => name !== '').map((name) => declarationOf(name, join('dist', `${file}.d.ts`)));
    },
  );
  const byName = new Map(exported.map((declaration) => [declaration.name, declaration]));

  it('covers every symbol exported', () => {
    expect(exported.length).toBeGreaterThan(70);
    expect(exported.filter(({ comment }) => comment === '').map(({ name }) => name)).toEqual([]);
  });

  it('covers their members', () => {
    const missing = exported.flatMap((declaration) =>
      [...membersOf(declaration)].flatMap(([member, comment]) => {
        const isCovered = comment !== '' || TAGS.has(member) || isInherited(declaration, member);
        return isCovered ? [] : [`${declaration.name}.${member}`];
      }),
    );
    expect(missing).toEqual([]);
  });

  it('names nothing that is not exported, in what is', () => {
    const declared = new Set<string>();
    for (const { file } of filesOf(read('dist/core.d.ts'))) {
      for (const [, name = ''] of read(file).matchAll(/^export (?:declare )?(?:abstract )?\w+ (\w+)/gm)) {
        declared.add(name);
      }
    }
    const unknown = exported.flatMap(({ name, text }) => {
      const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^ {4}(private|#).*$/gm, '');
      const used = new Set([...code.matchAll(/\b[A-Z]\w+\b/g)].map(([word]) => word));
      return [...used].filter((word) => declared.has(word) && !byName.has(word)).map((word) => `${name}: ${word}`);
    });
    expect(unknown).toEqual([]);
  });

  function isInherited(declaration: Declaration, member: string): boolean {
    const head = declaration.text.split('\n', 1)[0] ?? '';
    const bases = [...head.matchAll(/\b(?:extends|implements) (?:Omit<)?(\w+)/g)].map(([, base = '']) => base);
    return bases.some((name) => {
      const base = byName.get(name);
      if (base === undefined) return false;
      return (membersOf(base).get(member) ?? '') !== '' || isInherited(base, member);
    });
  }
});

function filesOf(entry: string): { readonly file: string }[] {
  return [...entry.matchAll(/from '(.+?)\.js';/g)].map(([, file = '']) => ({ file: join('dist', `${file}.d.ts`) }));
}

function declarationOf(name: string, file: string): Declaration {
  const lines = read(file).split('\n');
  const isHead = (line: string): boolean =>
    new RegExp(`^export (declare )?(abstract )?(class|interface|type|const|function) ${name}\\b`).test(line);
  const first = lines.findIndex(isHead);
  if (first < 0) throw new Error(`${file} does not declare ${name}`);
  const length = lines.slice(first + 1).findIndex((line) => /^(export |\/\*\*|\/\/#)/.test(line));
  const text = lines.slice(first, length < 0 ? undefined : first + 1 + length).join('\n');
  return { name, comment: commentAbove(lines, first), text };
}

/** Public and protected members by name, with the comments above them. */
function membersOf({ text }: Declaration): Map<string, string> {
  const members = new Map<string, string>();
  if (!/^export (declare )?(abstract )?(class|interface) /.test(text)) return members;
  const lines = text.split('\n');
  lines.forEach((line, index) => {
    const modifiers = '(?:(?:readonly|static|abstract|protected|override|get|set) )*';
    const [, name] = new RegExp(`^ {4}${modifiers}(\\w+)\\??[:(<]`).exec(line) ?? [];
    if (name !== undefined) members.set(name, commentAbove(lines, index));
  });
  return members;
}

/** The text of the TSDoc comment that ends on the line above; empty if there is none. */
function commentAbove(lines: readonly string[], index: number): string {
  if (!/\*\/$/.test(lines[index - 1] ?? '')) return '';
  let first = index - 1;
  while (first >= 0 && !/^\s*\/\*/.test(lines[first] ?? '')) first -= 1;
  const comment = lines.slice(first, index).join('\n');
  return comment.trimStart().startsWith('/**') ? comment.replace(/[/*\s]+/g, ' ').trim() : '';
}
