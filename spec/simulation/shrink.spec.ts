/** A failing run is made small, stays failing, can be read, and can be run again from the line that is printed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { command } from './command.js';
import { type Conditions, parseConditions } from './conditions.js';
import { draw } from './diagram.js';
import { formatKept, parseKept } from './kept.js';
import { kindOf } from './kinds.js';
import { mutants } from './mutants.js';
import { choiceOf, type Shrunk, shrink } from './shrink.js';
import { type Report, Simulation } from './simulation.js';

const MUTANT = 'late-save-not-checked';
const mutant = mutants.find(({ name }) => name === MUTANT);
/** Short runs, in which it shows at once: each is run many times. */
const CONDITIONS: Conditions = {
  topic: 'contended',
  clusterSize: 3,
  calmStart: true,
  badWeather: false,
  restarts: false,
  learners: 0,
  hasDisks: false,
  endless: 0,
  workMs: 4000,
  longestLifeMs: 8000,
  sessionLifeMs: 3000,
};
let remove = (): void => undefined;
let whole: Report;
let shrunk: Shrunk;

beforeAll(async () => {
  remove = mutant?.install?.() ?? remove;
  for (let seed = 1; ; seed += 1) {
    if (seed > 20) throw new Error('no seed that will do');
    whole = await new Simulation(seed, { conditions: CONDITIONS, endsAtFirst: true }).run();
    // One that has something to be left out.
    if (whole.violations.length > 0 && whole.isBrokenAtWork && whole.happened.length > 20) break;
  }
  const candidate = { seed: whole.seed, kept: whole.happened, conditions: CONDITIONS, salt: 0 };
  const found = await shrink(candidate, { maxMs: Number.POSITIVE_INFINITY, maxTries: 100 });
  if (found === null) throw new Error('does not fail alone');
  shrunk = found;
});

afterAll(() => remove());

function run(isChronicled: boolean): Promise<Report> {
  return new Simulation(whole.seed, { ...choiceOf(shrunk.candidate), isChronicled }).run();
}

test('a failing run shrinks to a small part of it that fails in the same way', async () => {
  expect(shrunk.candidate.kept.length).toBeLessThan(10);
  const { violations, happened } = await run(false);
  expect(violations[0]).toBe(shrunk.violation);
  expect(kindOf(violations[0] ?? '')).toBe(shrunk.kind);
  expect(happened.length).toBe(shrunk.candidate.kept.length);
});

test('a part of a run is the same each time, whether it is written down or not', async () => {
  const [once, again, written] = [await run(false), await run(false), await run(true)];
  expect(again.hash).toBe(once.hash);
  expect(written.hash).toBe(once.hash);
});

test('the diagram shows calls, messages and the violation', async () => {
  const { chronicle, violations } = await run(true);
  if (chronicle === null) throw new Error('no chronicle');
  const text = draw(chronicle, { violation: violations[0] ?? '' });
  expect(text).toMatch(/(●.*[▶▷]|[◀◁].*●).* prepare b\d+/);
  expect(text).toMatch(/ promise b\d+: /);
  expect(text).toMatch(/ accept b\d+ /);
  expect(text).toMatch(/ b1 = .* of h\d/);
  expect(text).toMatch(/▼.* h\d+p\d+: /);
  expect(text).toContain(shrunk.violation);
  expect(text.split('\n').length).toBeLessThan(400);
});

test('the printed command does it again', async () => {
  const { kept, conditions, salt } = shrunk.candidate;
  const plan = Object.entries(conditions).map(([name, value]) => `${name}=${value}`);
  remove();
  let output = '';
  const args = ['--seed', `${whole.seed}`, '--mutant', MUTANT, '--kept', formatKept(kept)];
  const code = await command([...args, ...(plan.length > 0 ? ['--plan', plan.join()] : []), '--salt', `${salt}`], {
    built: '',
    isAltered: false,
    write: (text) => {
      output += text;
    },
  });
  remove = mutant?.install?.() ?? remove;
  expect(code).toBe(1);
  expect(output).toContain(`\n${shrunk.violation}\n`);
  expect(output.trimEnd().split('\n').at(-1)).toBe(`violation with --seed ${whole.seed}`);
});

test('what is kept, and conditions, can be written and read', () => {
  const kept = [
    { name: 'client 11.1 step 4', atMs: 12.5 },
    { name: 'formation fault 2', atMs: -3 },
  ];
  expect(parseKept(formatKept(kept))).toEqual(kept);
  expect(parseConditions('badWeather=false,clusterSize=3')).toEqual({ badWeather: false, clusterSize: 3 });
  expect(() => parseConditions('weather=off')).toThrow('there is no condition weather');
  expect(() => parseConditions('restarts=1')).toThrow('restarts is a boolean, not 1');
  expect(() => parseKept('fault 2')).toThrow('fault 2 is no step or fault with its time');
});
