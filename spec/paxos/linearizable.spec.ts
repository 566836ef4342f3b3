import { describe, expect, test } from '@jest/globals';
import { type Call, isLinearizable, type Model } from './linearizable.js';

type Input = { readonly write: string } | 'read' | 'increment';

const register: Model<Input> = {
  initial: '0',
  step: (state, { input }) => {
    if (input === 'read') return [{ state, output: state }];
    if (input === 'increment') return [{ state: String(Number(state) + 1), output: String(Number(state) + 1) }];
    return [{ state: input.write, output: 'ok' }];
  },
};

/** One line an operation: `invoked-returned input -> output`; a returned of `?` for an outcome that nobody knows. */
function history(...lines: string[]): Call<Input>[] {
  return lines.map((line) => {
    const [, invoked, returned, word, argument, output] =
      /^(\d+)-(\d+|\?) (read|write|increment) ?(\w+)? ?(?:-> (\w+))?$/.exec(line) ?? [];
    if (word === undefined) throw new SyntaxError(line);
    const input: Input = word === 'write' ? { write: argument ?? '' } : (word as 'read' | 'increment');
    return {
      input,
      output: returned === '?' ? null : (output ?? 'ok'),
      invoked: Number(invoked),
      returned: returned === '?' ? Number.POSITIVE_INFINITY : Number(returned),
    };
  });
}

describe('accepts', () => {
  test.each([
    ['nothing', []],
    ['one after the other', ['0-1 write 7', '2-3 read -> 7']],
    ['a read beside a write that sees the old value', ['0-9 write 7', '1-2 read -> 0']],
    ['a read beside a write that sees the new value', ['0-9 write 7', '1-2 read -> 7']],
    ['writes side by side, in either order', ['0-9 write 1', '0-9 write 2', '10-11 read -> 1']],
    ['an unknown write that took effect late', ['0-? write 7', '1-2 read -> 0', '3-4 read -> 7']],
    ['an unknown write that never took effect', ['0-? write 7', '1-2 read -> 0', '3-4 read -> 0']],
    ['increments side by side', ['0-9 increment -> 2', '0-9 increment -> 1', '10-11 read -> 2']],
    ['an unknown increment between two', ['0-1 increment -> 1', '0-? increment', '2-3 increment -> 3']],
    ['Herlihy and Wing, figure 2', ['0-9 write 1', '2-3 read -> 0', '4-5 read -> 1', '6-7 write 2', '8-9 read -> 2']],
  ])('%s', (_, lines) => {
    expect(isLinearizable(history(...lines), register)).toBe(true);
  });
});

describe('rejects', () => {
  test.each([
    ['a lost write', ['0-1 write 7', '2-3 read -> 0']],
    ['a value from nowhere', ['0-1 read -> 5']],
    ['new, then old', ['0-9 write 7', '1-2 read -> 7', '3-4 read -> 0']],
    ['two readers that disagree on the order', ['0-1 write 1', '2-9 write 2', '3-4 read -> 2', '5-6 read -> 1']],
    ['an unknown write that comes and goes', ['0-? write 7', '1-2 read -> 7', '3-4 read -> 0']],
    ['an unknown write before its call', ['0-1 read -> 7', '2-? write 7']],
    ['an increment done twice', ['0-1 increment -> 1', '2-3 read -> 2']],
    ['an unknown increment done twice', ['0-? increment', '1-2 read -> 2']],
    ['the same number for two', ['0-9 increment -> 1', '0-9 increment -> 1']],
    ['a write overtaken by an older one', ['0-1 write 1', '2-3 write 2', '4-5 read -> 1']],
  ])('%s', (_, lines) => {
    expect(isLinearizable(history(...lines), register)).toBe(false);
  });

  test('twelve writes side by side and a value that none of them wrote', () => {
    const writes = Array.from({ length: 12 }, (_, index) => `0-9 write ${(index % 4) + 1}`);
    expect(isLinearizable(history(...writes, '10-11 read -> 9'), register)).toBe(false);
  });
});

test('tells when it gave up', () => {
  const writes = Array.from({ length: 12 }, (_, index) => `0-9 write ${(index % 4) + 1}`);
  expect(isLinearizable(history(...writes, '10-11 read -> 9'), register, 100)).toBe(null);
  expect(isLinearizable(history(...writes, '10-11 read -> 1'), register, 100)).toBe(true);
});
