import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assignSlots } from '../../lib/membership/formation.js';
import { mergeViews, type View } from '../../lib/membership/view.js';
import { Company, type Member } from './company.js';

const phases = (members: readonly Member[]): string[] => members.map(({ membership }) => membership.phase);
const slots = (members: readonly Member[]): number[] => members.map(({ membership }) => membership.slot);
const incarnations = (members: readonly Member[]): Set<number | undefined> =>
  new Set(members.map(({ membership }) => membership.view?.incarnation));

function formed(company: Company, count: number): Member[] {
  const members = Array.from({ length: count }, () => company.add());
  company.until(() => members.every(({ membership }) => membership.view !== null));
  return members;
}

describe('assignSlots', () => {
  const candidate = (process: number, wish: number) => ({ process, wish, name: `host-${process}` });
  it.each([
    ['the lowest numbers first', [candidate(3, 0), candidate(1, 0), candidate(2, 0)], [1, 2, 3]],
    ['fixed slots to those who want them', [candidate(1, 3), candidate(2, 0), candidate(3, 1)], [3, 2, 1]],
    [
      'a slot wanted twice to the lowest number, and nothing to the other',
      [candidate(2, 1), candidate(1, 1)],
      [1, null, null],
    ],
    ['nothing where nobody is', [candidate(1, 0)], [1, null, null]],
    ['no slot beyond N', [candidate(1, 7)], [null, null, null]],
  ])('gives %s', (_, candidates, expected) => {
    expect(assignSlots(candidates, 3).map((each) => each?.process ?? null)).toEqual(expected);
  });
});

describe('mergeViews', () => {
  const holder = (process: number, generation: number) => ({ process, generation, name: `host-${process}` });
  const view = (...holders: View['holders']): View => ({ incarnation: 1, formedAtMs: 1, holders });
  it('takes of each slot the newest generation, whoever learns what first', () => {
    const a = view(holder(1, 1), null, holder(3, 2));
    const b = view(holder(1, 1), holder(2, 1), holder(4, 1));
    const expected = view(holder(1, 1), holder(2, 1), holder(3, 2));
    expect(mergeViews(a, b)).toEqual(expected);
    expect(mergeViews(b, a)).toEqual(expected);
  });
  it('gives the same object where nothing is new', () => {
    const a = view(holder(1, 1), null, null);
    expect(mergeViews(a, view(null, null, null))).toBe(a);
  });
});

describe('the first start', () => {
  it('makes one farm of N processes', () => {
    const company = new Company();
    const members = formed(company, 3);
    expect(incarnations(members).size).toBe(1);
    expect(slots(members)).toEqual([1, 2, 3]);
  });

  it('waits for all N, then takes a majority after the grace', () => {
    const company = new Company();
    const members = [company.add({ formationGraceMs: 5000 }), company.add({ formationGraceMs: 5000 })];
    company.pass(4500);
    expect(phases(members)).toEqual(['seeking', 'seeking']);
    company.until(() => members.every(({ membership }) => membership.slot > 0), 2000);
  });

  it('never makes a farm of less than a majority', () => {
    const company = new Company();
    const alone = company.add({ formationGraceMs: 1000, isBootstrap: true });
    company.pass(60_000);
    expect(alone.membership.phase).toBe('seeking');
  });

  it('does not count a learner among the voters', () => {
    const company = new Company();
    const members = [company.add(), company.add(), company.add({ wish: -1 })];
    company.pass(20_000);
    expect(phases(members)).toEqual(['seeking', 'seeking', 'seeking']);
    const third = company.add();
    company.until(() => third.membership.view !== null);
    company.until(() => members[2]?.membership.phase === 'learner');
  });

  it('is tried by another if the coordinator dies once all are bound', () => {
    const company = new Company();
    const members = [company.add(), company.add(), company.add()];
    const [first, ...others] = members;
    // Nobody hears the coordinator any more, from its proposal on.
    let hasProposed = false;
    company.delayMs = ({ from, message }) => {
      if (message.type === 'form') hasProposed = true;
      return from === 1 && hasProposed && message.type !== 'form' ? null : 1;
    };
    company.until(() => hasProposed);
    company.pass(20);
    if (first !== undefined) first.isAlive = false;
    const spare = company.add({ process: 9 });
    company.until(() => [...others, spare].every(({ membership }) => membership.slot > 0), 60_000);
    expect(incarnations([...others, spare]).size).toBe(1);
  });

  it('is given up by a coordinator that was paused: those bound to it may vote in another farm by now', () => {
    const company = new Company();
    const members = [1, 2, 3].map(() => company.add({ isBootstrap: true }));
    const [first, ...others] = members;
    const consents: Parameters<Company['deliver']>[0][] = [];
    company.delayMs = (letter) => {
      if (letter.to !== 1 || letter.message.type !== 'hello' || letter.message.bound === 0) return 1;
      consents.push(letter);
      return null;
    };
    company.until(() => consents.length >= 2);
    for (const consent of consents) company.deliver(consent);
    if (first === undefined) throw new Error('no first');
    first.isAlive = false;
    company.until(() => others.every(({ membership }) => membership.slot > 0));
    company.delayMs = ({ to }) => (to === 1 ? null : 1);
    company.pass(10);
    first.isAlive = true;
    company.pass(10);
    expect(first.membership.view).toBeNull();
    company.delayMs = () => 1;
    company.until(() => first.membership.view !== null);
    expect(incarnations(members).size).toBe(1);
    expect(others.every(({ membership }) => membership.slot > 0)).toBe(true);
  });

  it('names nobody whose clock is too far from the others, and does without', () => {
    const company = new Company();
    let isWrong = true;
    const add = (process: number): Member =>
      company.add({
        process,
        formationGraceMs: 5000,
        isClockFar: (other) => isWrong && (process === 1) !== (other === 1),
      });
    const [wrong, ...others] = [add(1), add(2), add(3)] as const;
    company.until(() => others.every(({ membership }) => membership.slot > 0));
    expect(wrong.membership.slot).toBe(0);
    isWrong = false;
    company.until(() => wrong.claims.length > 0);
  });

  it('warns two that want one slot, and that differ in their settings', () => {
    const company = new Company();
    const a = company.add({ wish: 2 });
    company.add({ wish: 2 });
    company.add({ clusterSize: 5 });
    company.add({ maxClockSkewMs: 500 });
    company.pass(500);
    expect(a.warnings.sort()).toEqual(['clock-skew-setting', 'cluster-size', 'slot-doubled']);
  });
});

describe('later', () => {
  it('a newcomer joins as a learner', () => {
    const company = new Company();
    formed(company, 3);
    const late = company.add();
    company.until(() => late.membership.phase === 'learner');
  });

  it('a newcomer whose slot is taken learns by whom', () => {
    const company = new Company();
    formed(company, 3);
    const late = company.add({ wish: 2 });
    company.until(() => late.membership.phase === 'learner');
    expect(late.warnings).toContain('slot-taken');
  });

  it('does not follow a hello: it may be of a farm that is gone', () => {
    const company = new Company();
    const members = formed(company, 3);
    const ghost: View = {
      incarnation: 7,
      formedAtMs: 1,
      holders: [{ process: 77, generation: 1, name: 'ghost' }, null, null],
    };
    const hello = {
      type: 'hello',
      name: 'ghost',
      streamPort: 0,
      clusterSize: 3,
      maxClockSkewMs: 10_000,
      wish: 0,
      phase: 'voter',
      bound: 0,
      view: ghost,
    } as const;
    const seeker = company.add({ process: 50, wish: -1, clusterSize: 3 });
    for (const to of [1, 50]) company.deliver({ from: 77, to, message: hello });
    company.deliver({ from: 77, to: 50, message: { type: 'vouch', request: 12_345, view: ghost } });
    company.pass(5000);
    expect(incarnations(members).has(7)).toBe(false);
    expect(seeker.membership.view?.incarnation).toBe(members[0]?.membership.view?.incarnation);
  });

  it('a slot that nobody has held is claimed by a learner, once there is a quorum', () => {
    const company = new Company();
    const members = [company.add({ isBootstrap: true }), company.add({ isBootstrap: true })];
    company.until(() => members.every(({ membership }) => membership.view !== null));
    const third = company.add();
    company.until(() => third.claims.length > 0);
    expect(third.claims[0]).toBe(3);
    third.membership.filled(3, { process: third.process, generation: 1, name: 'host-3' });
    expect(third.membership.slot).toBe(3);
  });

  it('two farms that meet become the older one, and nobody of the younger votes in it', () => {
    const company = new Company();
    let isCut = true;
    const side = (process: number): boolean => process <= 3;
    company.delayMs = ({ from, to }) => (isCut && side(from) !== side(to) ? null : 1);
    const older = formed(company, 3);
    company.pass(1000);
    const younger = formed(company, 3);
    expect(incarnations(company.members).size).toBe(2);
    isCut = false;
    company.until(() => incarnations(company.members).size === 1);
    expect(phases(older)).toEqual(['voter', 'voter', 'voter']);
    expect(phases(younger)).toEqual(['learner', 'learner', 'learner']);
  });

  it('a learner whose voters are gone takes up with the farm that comes after them', () => {
    const company = new Company();
    const voters = formed(company, 3);
    const learner = company.add({ process: 20 });
    company.until(() => learner.membership.phase === 'learner');
    for (const voter of voters) voter.isAlive = false;
    const next = [company.add({ process: 11 }), company.add({ process: 12 }), company.add({ process: 13 })];
    company.until(() => next.every(({ membership }) => membership.slot > 0));
    company.until(() => incarnations([...next, learner]).size === 1, 30_000);
  });

  it('a process that leaves counts as gone at once', () => {
    const company = new Company();
    const [first, second, third] = formed(company, 3);
    company.pass(1000);
    expect(first?.membership.slotsHeard(company.nowMs)).toEqual([1, 2, 3]);
    for (const directive of third?.membership.leave() ?? []) {
      if (directive.kind === 'send') company.deliver({ from: 3, to: 1, message: directive.message });
    }
    expect(first?.membership.slotsHeard(company.nowMs)).toEqual([1, 2]);
    // An earlier hello of it that comes late does not bring it back.
    const late = third?.membership;
    company.deliver({
      from: 3,
      to: 1,
      message: {
        type: 'hello',
        name: 'host-3',
        streamPort: 0,
        clusterSize: 3,
        maxClockSkewMs: 10_000,
        wish: 0,
        phase: 'voter',
        bound: 0,
        view: late?.view ?? null,
      },
    });
    expect(first?.peers.get(3)?.introduction?.phase).toBe('leaving');
    expect(second?.membership.hasQuorum(company.nowMs)).toBe(true);
  });
});

describe('whatever the network does', () => {
  it('a farm of all N forms in the end, and no slot of a view has two holders', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 0, max: 3 }),
        fc.double({ min: 0, max: 0.6, noNaN: true }),
        (seed, size, spares, loss) => {
          let state = seed >>> 0;
          const random = (): number => {
            state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
            return state / 2 ** 32;
          };
          const company = new Company(random);
          company.delayMs = () => (random() < loss ? null : random() * 400);
          for (let i = 0; i < size + spares; i += 1) {
            company.add({ clusterSize: size });
            company.pass(Math.floor(random() * 500));
          }
          company.pass(3000);
          company.delayMs = () => 1;
          company.until(
            () =>
              incarnations(company.members).size === 1 && company.members.every(({ membership }) => membership.view),
            120_000,
          );
          const [view] = company.members.map(({ membership }) => membership.view);
          for (const { membership, process } of company.members) {
            expect(membership.view?.holders).toEqual(view?.holders);
            if (membership.slot > 0) expect(view?.holders[membership.slot - 1]?.process).toBe(process);
          }
        },
      ),
      { numRuns: Number(process.env.NUM_RUNS ?? 150) },
    );
  });
});
