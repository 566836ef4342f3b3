import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { assignAgreeing, assignSlots } from '../../lib/membership/formation.js';
import { PeerTable } from '../../lib/membership/index.js';
import { Membership } from '../../lib/membership/membership.js';
import { mergeViews, type View, vectorOf } from '../../lib/membership/view.js';
import type { Hello, MembershipMessage, Vouch } from '../../lib/wire/index.js';
import { Company, type Member } from './company.js';
import { helloOf } from './hello.js';

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
  const candidate = (process: number, wish: number) => ({
    process,
    wish,
    name: `host-${process}`,
    host: `host-${process}`,
  });
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

describe('assignAgreeing', () => {
  const SKEW_MS = 1000;
  const applicant = (aheadMs: number, index: number) => ({
    process: index + 1,
    wish: 0,
    name: `host-${index + 1}`,
    host: `host-${index + 1}`,
    aheadMs,
  });
  const assigned = (clocks: readonly number[], size: number, own = 1, reachMs = SKEW_MS) =>
    assignAgreeing(clocks.map(applicant), own, size, SKEW_MS, reachMs).map((each) => each?.process ?? null);

  it.each([
    ['all whose clocks are within S', [0, 500, 1000], 3, [1, 2, 3]],
    ['the largest group', [0, 900, -300, -200], 4, [1, 3, 4, null]],
    ['of equally large groups the one that is closest together', [0, 450, -300, -900], 3, [1, 2, 3]],
    ['of pairs the closer', [0, 450, -600], 3, [1, 2, null]],
    ['nobody, if no majority agrees within S/2', [0, 600], 3, [null, null, null]],
    ['nobody, if it does without this process', [0, 1100, 1200], 3, [null, null, null]],
    ['a far clock, if a majority agrees', [0, 900, 1000], 3, [1, 2, 3]],
    ['those who agree, if of many the lowest do not', [0, 900, 1], 2, [1, 3]],
  ])('gives slots to %s', (_, clocks, size, expected) => {
    expect(assigned(clocks, size)).toEqual(expected);
  });

  it('reaches no further than it is told', () => {
    expect(assigned([0, 100, 800], 3, 1, 750)).toEqual([1, 2, null]);
  });

  it('names no two that are too far apart, and a majority that agrees', () => {
    const clocks = fc.array(fc.integer({ min: -1500, max: 1500 }), { maxLength: 7 });
    fc.assert(
      fc.property(clocks, fc.integer({ min: 1, max: 5 }), (others, size) => {
        const all = [0, ...others];
        const named = assigned(all, size).flatMap((process) => (process === null ? [] : (all[process - 1] ?? 0)));
        if (named.length === 0) return;
        expect(Math.max(...named) - Math.min(...named)).toBeLessThanOrEqual(SKEW_MS);
        const agreeing = named.map((a) => named.filter((b) => b >= a && b - a <= SKEW_MS / 2).length);
        expect(Math.max(...agreeing)).toBeGreaterThan(size / 2);
      }),
    );
  });

  it('is the same as without clocks where all agree', () => {
    const clocks = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 7 });
    fc.assert(
      fc.property(clocks, fc.integer({ min: 1, max: 5 }), (others, size) => {
        const all = [0, ...others];
        const expected = assignSlots(all.map(applicant), size).map((each) => each?.process ?? null);
        const isMajority = expected.filter((each) => each !== null).length > size / 2;
        expect(assigned(all, size)).toEqual(isMajority ? expected : expected.map(() => null));
      }),
    );
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

describe('vectorOf', () => {
  const number48 = fc.integer({ min: 1, max: 2 ** 48 - 1 });
  const holder = fc.option(
    fc.record({ process: number48, generation: fc.integer({ min: 1, max: 9 }), name: fc.string() }),
  );
  const view = fc.record({
    incarnation: number48,
    formedAtMs: fc.nat(),
    holders: fc.array(holder, { minLength: 1, maxLength: 7 }),
  });
  it('is a number of 48 bits, the same for the same holders and another for others', () => {
    const named = new Map<number, string>();
    fc.assert(
      fc.property(view, (some) => {
        const vector = vectorOf(some);
        expect(Number.isInteger(vector) && vector > 0 && vector < 2 ** 48).toBe(true);
        expect(vectorOf({ ...some, formedAtMs: some.formedAtMs + 1 })).toBe(vector);
        const what = JSON.stringify([
          some.incarnation,
          some.holders.map((each) => each && [each.process, each.generation]),
        ]);
        expect(named.get(vector) ?? what).toBe(what);
        named.set(vector, what);
      }),
      { numRuns: 1000 },
    );
  });
  it('tells apart who differs in one generation, or one process by one', () => {
    fc.assert(
      fc.property(view, fc.nat(6), (some, at) => {
        const index = at % some.holders.length;
        const other = (change: { process?: number; generation?: number }): View => ({
          ...some,
          holders: some.holders.map((each, slot) => (slot === index && each !== null ? { ...each, ...change } : each)),
        });
        const changed = some.holders[index];
        fc.pre(changed != null);
        expect(vectorOf(other({ process: changed.process + 1 }))).not.toBe(vectorOf(some));
        expect(vectorOf(other({ generation: changed.generation + 1 }))).not.toBe(vectorOf(some));
      }),
      { numRuns: 500 },
    );
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

  it.each([
    ['where others are enough', 3, 30_000, 10_000],
    ['where they are few, after the grace', 2, 5000, 15_000],
  ])('does not wait for a process that is heard and hears nobody: %s', (_, others, formationGraceMs, ms) => {
    const company = new Company();
    const deaf = company.add({ formationGraceMs });
    company.delayMs = ({ to }) => (to === deaf.process ? null : 1);
    const members = Array.from({ length: others }, () => company.add({ formationGraceMs }));
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0), ms);
    expect(incarnations(members).size).toBe(1);
  });

  it('is tried again, though each of two has once found the other bound to nothing', () => {
    const company = new Company();
    const options = { isBootstrap: true };
    const members = [company.add(options), company.add(options)];
    let secondTriedMs = Number.POSITIVE_INFINITY;
    // That it is bound is heard of neither, until two seconds after the second has made its first attempt.
    company.delayMs = ({ from, message }) => {
      if (message.type === 'form' && from === 2) secondTriedMs = Math.min(secondTriedMs, company.nowMs);
      const isDeafening = company.nowMs < secondTriedMs + 2000;
      return isDeafening && message.type === 'hello' && message.bound !== 0 ? null : 1;
    };
    company.until(() => company.nowMs > secondTriedMs + 2000);
    expect(phases(members)).toEqual(['seeking', 'seeking']);
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
  });

  it('never makes a farm of less than a majority', () => {
    const company = new Company();
    const alone = company.add({ formationGraceMs: 1000, isBootstrap: true });
    company.pass(60_000);
    expect(alone.membership.phase).toBe('seeking');
  });

  it('does not count a process that is about to leave', () => {
    const company = new Company();
    const members = [company.add(), company.add(), company.add()];
    members[2]?.membership.retire();
    company.pass(10_000);
    expect(phases(members)).toEqual(['seeking', 'seeking', 'seeking']);
    const fourth = company.add();
    company.until(() => fourth.membership.votingSlot > 0);
    expect(members.map(({ membership }) => membership.votingSlot > 0)).toEqual([true, true, false]);
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

  describe('where clocks differ', () => {
    /** Processes 1, 2, ..., each with its clock ahead by that; S is 10 s. */
    function underClocks(company: Company, clocks: readonly number[], isWrong = () => true): Member[] {
      return clocks.map((own, index) =>
        company.add({
          process: index + 1,
          formationGraceMs: 5000,
          clockAheadMs: (other) => (isWrong() ? (clocks[other - 1] ?? 0) - own : 0),
        }),
      );
    }

    it.each([
      ['far from all', [60_000, 0, 0]],
      ['too far from one only, which is the first', [-3000, 0, 8000]],
      ['too far from one only, which is not the first', [0, -3000, 8000]],
      ['too far from one only, and no use to the other', [8000, 0, -3000]],
      ['too far from one only, and the first but for that one', [8000, -3000, 0]],
    ])('a farm is formed without the clock that is %s', (_, clocks) => {
      const company = new Company();
      let isWrong = true;
      const members = underClocks(company, clocks, () => isWrong);
      const wrong = members.filter((_member, index) => Math.abs(clocks[index] ?? 0) > 5000);
      const others = members.filter((member) => !wrong.includes(member));
      company.until(() => others.every(({ membership }) => membership.slot > 0));
      expect(slots(wrong)).toEqual([0]);
      isWrong = false;
      company.until(() => wrong.every(({ claims }) => claims.length > 0));
    });

    it('all are named if they can hear one another and most agree', () => {
      const company = new Company();
      const members = underClocks(company, [8000, 0, -1000]);
      company.until(() => members.every(({ membership }) => membership.slot > 0), 2000);
    });

    it('no farm is formed that could do nothing, since no majority trusts one another', () => {
      const company = new Company();
      let isWrong = true;
      const members = underClocks(company, [6000, 0], () => isWrong);
      company.pass(60_000);
      expect(phases(members)).toEqual(['seeking', 'seeking']);
      isWrong = false;
      company.until(() => members.every(({ membership }) => membership.slot > 0));
    });

    it('who is too far from another by a hair, as only those two see it, keeps nobody from forming a farm', () => {
      const company = new Company();
      const clocks = [0, -2000, 8000];
      const members = clocks.map((own, index) =>
        company.add({
          process: index + 1,
          formationGraceMs: 5000,
          // What is ahead seems a little less so, since it takes time to hear of it; what is behind seems more so.
          clockAheadMs: (other) => (clocks[other - 1] ?? 0) - own - (index === 0 ? 0 : 1),
        }),
      );
      company.until(() => members.slice(0, 2).every(({ membership }) => membership.slot > 0), 30_000);
    });
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
    const hello = helloOf('ghost', ghost);
    const seeker = company.add({ process: 50, wish: -1, clusterSize: 3 });
    for (const to of [1, 50]) company.deliver({ from: 77, to, message: hello });
    company.deliver({ from: 77, to: 50, message: { type: 'vouch', request: 12_345, view: ghost, isServing: true } });
    company.pass(5000);
    expect(incarnations(members).has(7)).toBe(false);
    expect(seeker.membership.view?.incarnation).toBe(members[0]?.membership.view?.incarnation);
  });

  it('a slot that nobody has held is claimed by a learner, once there is a quorum', () => {
    const company = new Company();
    const members = [company.add({ isBootstrap: true }), company.add({ isBootstrap: true })];
    company.until(() => members.every(({ membership }) => membership.view !== null));
    const third = company.add();
    company.until(() => third.membership.votingSlot === 3);
    expect(third.claims).toEqual([3]);
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
    company.deliver({ from: 3, to: 1, message: helloOf('host-3', late?.view ?? null) });
    expect(first?.peers.get(3)?.introduction?.phase).toBe('leaving');
    expect(second?.membership.hasQuorum(company.nowMs)).toBe(true);
  });
});

describe('a slot that changes hands', () => {
  const three = (company: Company): [Member, Member, Member] => formed(company, 3) as [Member, Member, Member];

  it('goes to a process that comes, once the holder has been silent for long enough', () => {
    const company = new Company();
    const [, , third] = three(company);
    company.pass(1000);
    third.isAlive = false;
    const fourth = company.add();
    company.pass(2500);
    expect(fourth.membership.phase).toBe('learner');
    expect(fourth.membership.isSettled(company.nowMs)).toBe(false);
    company.until(() => fourth.membership.votingSlot === 3, 1500);
    expect(fourth.membership.isSettled(company.nowMs)).toBe(true);
    const live = company.members.filter(({ isAlive }) => isAlive);
    company.until(() => live.every(({ membership }) => membership.vector === fourth.membership.vector));
  });

  it('goes at once after a good-bye', () => {
    const company = new Company();
    const [, , third] = three(company);
    company.pass(1000);
    company.leave(third);
    const fourth = company.add();
    company.until(() => fourth.membership.votingSlot === 3, 1500);
  });

  it('goes to a learner that was there only if none comes', () => {
    const company = new Company();
    const [, , third] = three(company);
    const standby = company.add({ process: 20 });
    company.until(() => standby.membership.isSettled(company.nowMs));
    company.pass(10_000);
    company.leave(third);
    company.pass(1000);
    const comes = company.add({ process: 30 });
    company.until(() => comes.membership.votingSlot === 3, 1500);
    company.leave(comes);
    company.until(() => standby.membership.votingSlot === 3, 5000);
  });

  it('does not go while the others hear the holder, though the claimant does not', () => {
    const company = new Company();
    const [first, , third] = three(company);
    company.delayMs = ({ from, to }) => (from === third.process && to === 20 ? null : 1);
    const standby = company.add({ process: 20 });
    company.pass(30_000);
    expect(standby.claims.length).toBeGreaterThan(0);
    expect(standby.membership.phase).toBe('learner');
    expect(first.membership.view?.holders[2]?.process).toBe(third.process);
  });

  it('leaves its holder, which was only not heard, as a learner that says so', () => {
    const company = new Company();
    const [, , third] = three(company);
    const standby = company.add({ process: 20 });
    company.until(() => standby.membership.isSettled(company.nowMs));
    let isCut = true;
    company.delayMs = ({ from, to }) => (isCut && (from === third.process || to === third.process) ? null : 1);
    company.until(() => standby.membership.votingSlot === 3, 10_000);
    expect(third.membership.phase).toBe('voter');
    isCut = false;
    company.until(() => third.membership.phase === 'learner', 2000);
    expect(third).toMatchObject({ fenced: 1, warnings: ['fenced'] });
  });

  it('is kept by a process that was silent before and came back, for longer than the first time', () => {
    const company = new Company();
    const [, , third] = three(company);
    const standby = company.add({ process: 20 });
    company.until(() => standby.membership.isSettled(company.nowMs));
    company.pass(10_000);
    let isCut = false;
    company.delayMs = ({ from, to }) => (isCut && (from === third.process || to === third.process) ? null : 1);
    const silence = (ms: number): void => {
      isCut = true;
      company.pass(ms);
      isCut = false;
      company.pass(1000);
    };
    silence(4000);
    // Would have cost it the slot the first time.
    silence(6500);
    expect(third.membership.votingSlot).toBe(3);
    silence(30_000);
    expect(third.membership.phase).toBe('learner');
  });

  it.each([
    ['two voters', 3, [0, 1]],
    ['three voters of five', 5, [0, 2, 4]],
    ['all voters but a learner', 3, [0, 1, 2]],
  ])('of a farm whose memory is gone with %s: who is left begins anew with those that come', (_, clusterSize, gone) => {
    const company = new Company();
    const members = Array.from({ length: clusterSize }, () => company.add({ clusterSize }));
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    const learner = company.add({ clusterSize, process: 20 });
    company.until(() => learner.membership.isSettled(company.nowMs));
    company.pass(1000);
    for (const index of gone) company.leave(members[index] as Member);
    for (let count = gone.length; count > 0; count -= 1) company.add({ clusterSize, process: 30 + count });
    const live = company.members.filter(({ isAlive }) => isAlive);
    company.until(
      () =>
        incarnations(live).size === 1 &&
        live.filter(({ membership }) => membership.votingSlot > 0).length === clusterSize,
    );
    expect(incarnations(live)).not.toContain(members[0]?.membership.view?.incarnation);
    for (const member of members) expect(member.abandoned).toBe(member.isAlive ? 1 : 0);
  });

  it('of a farm that is only not heard: nobody begins anew', () => {
    const company = new Company();
    const [first, second, third] = three(company);
    const learner = company.add({ process: 20 });
    company.until(() => learner.membership.isSettled(company.nowMs));
    for (const member of [first, second]) member.isAlive = false;
    company.add({ process: 31 });
    company.add({ process: 32 });
    company.pass(60_000);
    expect([third, learner].map(({ abandoned }) => abandoned)).toEqual([0, 0]);
  });

  it.each([
    ['is not heard', false],
    ['comes late', true],
  ])('of which one has its memory by now, though what it says of itself %s: nobody begins anew', (_, isLate) => {
    const company = new Company();
    const members = Array.from({ length: 5 }, () => company.add({ clusterSize: 5 }));
    const [first, second, third, fourth, fifth] = members as [Member, Member, Member, Member, Member];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    company.pass(1000);
    company.recoveryMs = 3000;
    company.leave(fifth);
    const next = company.add({ clusterSize: 5 });
    company.until(() => first.membership.view?.holders[4]?.process === next.process, 10_000);
    let early: MembershipMessage | null = null;
    company.delayMs = ({ from, to, message }) => {
      if (from !== next.process || to !== first.process || message.type !== 'hello') return 1;
      if (message.phase === 'recovering') early ??= message;
      return early === null ? 1 : null;
    };
    company.until(() => next.membership.votingSlot === 5);
    company.pass(2000);
    for (const member of [third, fourth]) company.leave(member);
    for (let count = 0; count < 30; count += 1) {
      company.pass(200);
      if (isLate && early !== null) company.deliver({ from: next.process, to: first.process, message: early });
      else first.peers.hear(next.process, { host: '10.0.0.1', port: next.process }, company.nowMs);
    }
    expect([first, second, next].map(({ abandoned, membership }) => [abandoned, membership.votingSlot])).toEqual([
      [0, 1],
      [0, 2],
      [0, 5],
    ]);
  });

  it('of a farm that seemed lost before a pause: nobody begins anew before he has listened', () => {
    const company = new Company();
    const [, second, third] = three(company);
    const learner = company.add({ process: 20 });
    company.until(() => learner.membership.isSettled(company.nowMs));
    company.pass(1000);
    for (const member of [second, third]) company.leave(member);
    company.pass(1000);
    learner.isAlive = false;
    company.pass(40_000);
    learner.isAlive = true;
    company.pass(1000);
    expect(learner.abandoned).toBe(0);
    company.pass(5000);
    expect(learner.abandoned).toBe(1);
  });

  it('of a farm that may have changed without a word to one who does not hear its last voter: that one waits for it', () => {
    const company = new Company();
    const [first, second, third] = three(company);
    const learner = company.add({ process: 20 });
    company.until(() => learner.membership.isSettled(company.nowMs));
    company.pass(1000);
    let isCut = true;
    company.delayMs = ({ from, to }) => (isCut && from === first.process && to === learner.process ? null : 1);
    company.pass(5000);
    for (const member of [second, third]) company.leave(member);
    company.pass(20_000);
    expect([first, learner].map(({ abandoned }) => abandoned)).toEqual([1, 0]);
    isCut = false;
    company.pass(5000);
    expect(learner.abandoned).toBe(1);
  });

  it('goes to another if its holder had got a second one without knowing, and keeps the first', () => {
    const company = new Company();
    const members = Array.from({ length: 4 }, () => company.add({ clusterSize: 5, formationGraceMs: 1000 }));
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    const [first] = members as [Member];
    // Slot 5 goes to a process that has a slot, by a claim that it had given up.
    const second = { process: first.process, generation: 1, name: 'host-1' };
    company.decide(5, second);
    company.pass(1000);
    expect(first.membership.votingSlot).toBe(1);
    expect(members.map(({ membership }) => membership.view?.holders[4])).toEqual(members.map(() => second));
    const fifth = company.add({ clusterSize: 5 });
    company.until(() => fifth.membership.votingSlot === 5);
    expect([first.fenced, first.membership.votingSlot]).toEqual([0, 1]);
  });

  it('goes to another when its holder is heard, and hears nobody', () => {
    const company = new Company();
    const [first, second, third] = three(company);
    const standby = company.add({ process: 20 });
    company.until(() => standby.membership.isSettled(company.nowMs));
    company.delayMs = ({ to }) => (to === third.process ? null : 1);
    company.until(() => standby.membership.votingSlot === 3);
    expect(first.membership.hasQuorum(company.nowMs)).toBe(true);
    company.delayMs = () => 1;
    company.until(() => third.membership.phase === 'learner', 2000);
    expect(slots([first, second])).toEqual([1, 2]);
  });

  it('is not counted while its holder hears nobody', () => {
    const company = new Company();
    const [first, second, third] = three(company);
    company.delayMs = ({ to }) => (to === third.process ? null : 1);
    second.isAlive = false;
    company.until(() => !first.membership.hasQuorum(company.nowMs));
    company.pass(20_000);
    expect(first.membership.hasQuorum(company.nowMs)).toBe(false);
    company.delayMs = () => 1;
    company.until(() => first.membership.hasQuorum(company.nowMs), 2000);
  });

  it('counts while its holder hears one other at least, and others are let in', () => {
    const company = new Company();
    const members = Array.from({ length: 4 }, () => company.add({ clusterSize: 4 }));
    const [first, second, third, fourth] = members as [Member, Member, Member, Member];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    company.pass(1000);
    company.leave(fourth);
    const ends = [second.process, third.process];
    company.delayMs = ({ from, to }) => (ends.includes(from) && ends.includes(to) ? null : 1);
    company.pass(10_000);
    expect(first.membership.hasQuorum(company.nowMs)).toBe(true);
    const standby = company.add({ clusterSize: 4, process: 20 });
    company.until(() => standby.membership.votingSlot === 4);
  });

  it('counts again once all that are needed hear each other, though some had heard too few for long', () => {
    const company = new Company();
    const members = Array.from({ length: 4 }, () => company.add({ clusterSize: 4 }));
    const [first, ...rest] = members as [Member, Member, Member, Member];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    company.pass(1000);
    company.leave(first);
    const cut = rest[2]?.process;
    company.delayMs = ({ from, to }) => (from === cut || to === cut ? null : 1);
    company.pass(15_000);
    company.delayMs = () => 1;
    company.until(() => rest.every(({ membership }) => membership.hasQuorum(company.nowMs)), 3000);
    const standby = company.add({ clusterSize: 4, process: 20 });
    company.until(() => standby.membership.votingSlot === 1);
  });

  it('goes first to a host that has no voter', () => {
    const company = new Company();
    const members = ['a', 'b', 'c'].map((host) => company.add({ host }));
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    const crowded = company.add({ process: 20, host: 'a' });
    const away = company.add({ process: 30, host: 'd' });
    company.until(() => [crowded, away].every(({ membership }) => membership.isSettled(company.nowMs)));
    company.pass(10_000);
    company.leave(members[2] as Member);
    company.until(() => [crowded, away].some(({ membership }) => membership.votingSlot > 0), 10_000);
    expect(away.membership.votingSlot).toBe(3);
  });
});

describe('a process whose memory outlives it', () => {
  const durable = (company: Company): [Member, Member, Member] => {
    const members = [
      company.add({ isDurable: true }),
      company.add({ isDurable: true }),
      company.add({ isDurable: true }),
    ];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    company.pass(1000);
    return members as [Member, Member, Member];
  };
  const votes = (member: Member): boolean => member.membership.votingSlot > 0;

  it('goes on voting under the same number, all of a farm together or one after the other', () => {
    const company = new Company();
    const members = durable(company);
    const { incarnation, holders } = members[0].membership.view as View;
    for (const member of members) member.isAlive = false;
    const again = members.map((member) => company.revive(member));
    company.until(() => again.every(({ membership }) => membership.hasQuorum(company.nowMs)), 1000);
    expect(slots(again)).toEqual([1, 2, 3]);
    expect(again.map(({ membership }) => membership.view)).toEqual(
      again.map(() => expect.objectContaining({ incarnation, holders })),
    );
    const [first] = again as [Member];
    first.isAlive = false;
    const third = company.revive(first);
    company.until(() => third.membership.hasQuorum(company.nowMs), 1000);
    expect(third.membership.votingSlot).toBe(1);
    const counted = again.slice(1).map(({ membership }) => membership.isVoter({ process: third.process, slot: 1 }));
    expect(counted).toEqual([true, true]);
    expect(again[1]?.membership.isVoter({ process: first.process, slot: 1 })).toBe(true);
    expect(again[1]?.membership.isVoter({ process: third.process, slot: 2 })).toBe(false);
  });

  it('finds its slot in other hands if it was away for too long', () => {
    const company = new Company();
    const [, , third] = durable(company);
    third.isAlive = false;
    const other = company.add({ process: 50 });
    company.until(() => votes(other), 10_000);
    const again = company.revive(third);
    company.until(() => again.membership.phase === 'learner', 1000);
    expect(again).toMatchObject({ fenced: 1, warnings: ['fenced'] });
    expect(again.membership.number).toBe(again.process);
  });

  it('has not the memory of a later generation, though the process before it had that slot once more', () => {
    const company = new Company();
    const [, , third] = durable(company);
    third.isAlive = false;
    company.decide(3, { process: third.process, generation: 3, name: 'the same' });
    const again = company.revive(third);
    company.until(() => again.membership.phase === 'learner', 1000);
    expect(again).toMatchObject({ fenced: 1, warnings: ['fenced'] });
  });

  it('keeps its slot for a while by a good-bye, and its farm for ever', () => {
    const company = new Company();
    const members = durable(company);
    const standby = company.add({ process: 50 });
    company.until(() => standby.membership.isSettled(company.nowMs));
    company.leave(members[1]);
    company.leave(members[2]);
    company.pass(20_000);
    expect(members[0].abandoned).toBe(0);
    const again = company.revive(members[1]);
    company.until(() => again.membership.hasQuorum(company.nowMs), 1000);
    expect(votes(again)).toBe(true);
    company.until(() => standby.membership.votingSlot === 3, 30_000);
  });
});

describe('a voter that is left of a farm', () => {
  const alone = (company: Company): Member => {
    const members = [company.add(), company.add(), company.add()] as [Member, Member, Member];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    company.pass(1000);
    for (const member of members.slice(1)) member.isAlive = false;
    company.until(() => !members[0].membership.hasQuorum(company.nowMs));
    return members[0];
  };
  /** A farm that was formed while the voter was not heard. */
  const another = (company: Company, left: Member): Member[] => {
    let isCut = true;
    company.delayMs = ({ from, to }) => (isCut && (from === left.process || to === left.process) ? null : 1);
    const members = [company.add(), company.add(), company.add()];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    isCut = false;
    return members;
  };

  it('draws nobody away from a farm that serves, though its own is older', () => {
    const company = new Company();
    const left = alone(company);
    const members = another(company, left);
    company.pass(20_000);
    expect(phases(members)).toEqual(['voter', 'voter', 'voter']);
    expect(incarnations(members)).not.toContain(left.membership.view?.incarnation);
  });

  it('takes up with that farm in the end, and hands over what it holds', () => {
    const company = new Company();
    const left = alone(company);
    const members = another(company, left);
    company.until(() => incarnations([left, ...members]).size === 1, 40_000);
    expect(left.entered.length).toBe(2);
    expect(left.membership.phase).toBe('learner');
  });

  it('keeps no learner in its old farm once it has left that itself', () => {
    const company = new Company();
    const left = alone(company);
    const learner = company.add();
    company.until(() => learner.membership.phase === 'learner');
    let isCut = true;
    const here = [left.process, learner.process];
    company.delayMs = ({ from, to }) => (isCut && here.includes(from) !== here.includes(to) ? null : 1);
    const members = [company.add(), company.add(), company.add()];
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    isCut = false;
    company.until(() => incarnations([left, learner, ...members]).size === 1, 60_000);
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
      { numRuns: Number(process.env.NUM_RUNS ?? 75) },
    );
  });
});

describe('a farm that is to have fewer voters', () => {
  it('waits for a slot of theirs that is being recovered', () => {
    const company = new Company();
    const members = Array.from({ length: 5 }, () => company.add({ clusterSize: 5 }));
    company.until(() => members.every(({ membership }) => membership.votingSlot > 0));
    const [first, second] = members as [Member, Member];
    expect(second.membership.mayResize(3, company.nowMs)).toBe(true);
    company.leave(first);
    company.recoveryMs = 5000;
    const successor = company.add({ process: 50, clusterSize: 5 });
    company.until(() => successor.membership.slot === 1);
    company.pass(1000);
    expect(second.membership.mayResize(3, company.nowMs)).toBe(false);
    expect(second.membership.mayResize(5, company.nowMs)).toBe(true);
    company.until(() => successor.membership.votingSlot === 1, 10_000);
    company.pass(1000);
    expect(second.membership.mayResize(3, company.nowMs)).toBe(true);
  });
});

describe('a process that has given its farm up', () => {
  const holderOf = (process: number, generation = 1) => ({ process, generation, name: `${process}` });
  const formedView: View = {
    incarnation: 7,
    formedAtMs: 1_700_000_000_000,
    holders: [1, 2, 3].map((n) => holderOf(n)),
  };

  /** Process 1, its farm's other two, and a third that has taken slot 3 of one of them. */
  class Alone {
    ms = 0;
    readonly peers = new PeerTable();
    readonly told: string[] = [];
    /** Its questions, each to one process or to all (0). */
    readonly asked: { readonly process: number; readonly request: number }[] = [];
    #drawn = 100;
    readonly membership = new Membership(
      {
        process: 1,
        name: '1',
        host: '1',
        clusterSize: 3,
        wish: 0,
        maxClockSkewMs: 10_000,
        formationGraceMs: 30_000,
        isBootstrap: false,
        isDurable: false,
        ownAddress: () => null,
        clockAheadMs: () => 0,
        random: () => 0.5,
        drawNumber: () => {
          this.#drawn += 1;
          return this.#drawn;
        },
      },
      this.peers,
    );

    get now() {
      return { monotonicMs: this.ms, wallMs: 1_700_000_000_000 + this.ms };
    }

    /** @param slot that the process holds */
    hear(process: number, message?: MembershipMessage, slot = 0): void {
      this.peers.hear(process, { host: 'h', port: process }, this.ms);
      if (message === undefined) return;
      for (const directive of this.membership.receive({ process, slot }, message, this.now)) {
        this.told.push(directive.kind);
        if (directive.kind === 'send' && directive.message.type === 'who') {
          this.asked.push({ process: directive.to, request: directive.message.request });
        }
      }
    }

    /** It is named in the farm, and hears that there is one. */
    form(): void {
      this.membership.start(1, this.now);
      this.hear(2, helloOf('2', null, { phase: 'seeking' }));
      this.hear(2, { type: 'form', view: formedView });
      this.hear(2, helloOf('2', formedView, { slot: 2 }));
      expect(this.membership.votingSlot).toBe(1);
    }

    /** @returns the last question that it asked of all who vote */
    tick(): number | null {
      let asked: number | null = null;
      for (const directive of this.membership.tick(this.now)) {
        this.told.push(directive.kind);
        if (directive.kind === 'send' && directive.message.type === 'who') asked = directive.message.request;
      }
      return asked;
    }
  }

  it('comes back to that very farm without its place, which is open to whoever claims it', () => {
    const one = new Alone();
    const { membership } = one;
    const later: View = { ...formedView, holders: [...formedView.holders.slice(0, 2), holderOf(13, 2)] };
    membership.start(1, one.now);
    one.hear(2, helloOf('2', null, { phase: 'seeking' }));
    one.hear(3, helloOf('3', null, { phase: 'seeking' }));
    one.hear(2, { type: 'form', view: formedView });
    one.hear(2, helloOf('2', formedView, { slot: 2 }));
    expect(membership.votingSlot).toBe(1);
    one.ms = 10_000;
    one.hear(13, helloOf('13', later, { phase: 'recovering', slot: 3 }));
    one.ms = 11_000;
    one.hear(2, helloOf('2', later, { phase: 'leaving', slot: 2 }));
    for (const endMs = one.ms + 10_000; membership.phase !== 'seeking' && one.ms < endMs; one.ms += 50) {
      if (one.ms % 500 === 0) one.hear(13, helloOf('13', later, { phase: 'recovering', slot: 3, ended: [2] }));
      one.tick();
    }
    expect(one.told).toContain('abandoned');

    let asked: number | null = null;
    for (; asked === null; one.ms += 50) asked = one.tick();
    one.hear(13, { type: 'vouch', request: asked, view: later, isServing: true });
    expect(membership.view?.incarnation).toBe(7);
    expect([membership.slot, membership.votingSlot]).toEqual([0, 0]);
    // Hearing once more who holds what does not bring it back either; a claim of its own does.
    one.hear(13, helloOf('13', later, { slot: 3 }));
    expect(membership.slot).toBe(0);
    membership.claimed({ slot: 1, since: 0, holder: holderOf(1, 2) }, one.now);
    expect([membership.slot, membership.votingSlot, membership.phase]).toEqual([1, 0, 'recovering']);
  });

  it('comes back without its place to a farm that it has left for an older one, too', () => {
    const one = new Alone();
    const { membership } = one;
    one.form();
    const vouched = (process: number, view: View): void => {
      let asked: number | null = null;
      for (const endMs = one.ms + 20_000; asked === null && one.ms < endMs; one.ms += 50) {
        one.hear(process, helloOf(`${process}`, view, { slot: 2 }));
        asked = one.tick();
      }
      one.hear(process, { type: 'vouch', request: asked ?? 0, view, isServing: true });
    };
    const older: View = { incarnation: 6, formedAtMs: 1, holders: [21, 22, 23].map((n) => holderOf(n)) };
    let request: number | null = null;
    one.hear(21);
    for (const directive of membership.receive({ process: 21, slot: 1 }, helloOf('21', older, { slot: 1 }), one.now))
      if (directive.kind === 'send' && directive.message.type === 'who') request = directive.message.request;
    one.hear(21, { type: 'vouch', request: request ?? 0, view: older, isServing: true });
    expect([membership.view?.incarnation, membership.slot]).toEqual([6, 0]);

    for (const process of [21, 22, 23]) {
      one.hear(process, helloOf(`${process}`, older, { slot: process - 20 }));
      one.hear(process, helloOf(`${process}`, older, { phase: 'leaving', slot: process - 20 }));
    }
    for (const endMs = one.ms + 10_000; membership.view !== null && one.ms < endMs; one.ms += 50) one.tick();
    expect(membership.view).toBeNull();
    vouched(2, { ...formedView, holders: [...formedView.holders] });
    expect([membership.view?.incarnation, membership.slot, membership.votingSlot]).toEqual([7, 0, 0]);
  });

  it('counts others that it hears as voters, unless they live elsewhere by their own account', () => {
    const one = new Alone();
    const { membership } = one;
    one.form();
    expect(membership.hasQuorum(one.ms)).toBe(true);
    // From before it was in the farm: it comes late, or somebody has recorded it.
    one.hear(2, helloOf('2', null, { phase: 'seeking' }));
    expect(membership.hasQuorum(one.ms)).toBe(true);
    const other: View = { ...formedView, incarnation: 8, formedAtMs: formedView.formedAtMs + 1 };
    one.hear(2, helloOf('2', other, { slot: 2 }));
    expect(membership.hasQuorum(one.ms)).toBe(false);
    one.hear(2, helloOf('2', formedView, { phase: 'recovering', slot: 2 }));
    expect(membership.hasQuorum(one.ms)).toBe(false);
    one.hear(2, helloOf('2', formedView, { slot: 2 }));
    expect(membership.hasQuorum(one.ms)).toBe(true);
  });

  /** Whether it gives its farm up within some seconds in which it hears these as they say. */
  const givesUp = (one: Alone, heard: readonly (readonly [number, Partial<Hello>, View])[]): boolean => {
    for (const endMs = one.ms + 6000; one.ms < endMs && one.membership.view !== null; one.ms += 50) {
      if (one.ms % 500 === 0)
        for (const [process, said, view] of heard) one.hear(process, helloOf(`${process}`, view, said));
      one.tick();
    }
    return one.membership.view === null;
  };
  /** Process 2 has got slot 3 as well, by a claim that it did not know of. */
  const doubled: View = { ...formedView, holders: [...formedView.holders.slice(0, 2), holderOf(2, 2)] };

  it('does so where those that are left are fewer than the slots that they are named in', () => {
    const one = new Alone();
    one.form();
    one.ms = 10_000;
    one.hear(2, helloOf('2', doubled, { slot: 2 }));
    // It has the memory of slot 2, and that is a majority with this one's.
    expect(givesUp(one, [[2, { slot: 2 }, doubled]])).toBe(false);
    // This process has got slot 2 as well: with slot 3 it is a majority, alone it is none.
    const own: View = { ...formedView, holders: [holderOf(1), holderOf(1, 2), holderOf(3)] };
    const two = new Alone();
    two.form();
    two.ms = 10_000;
    two.hear(3, helloOf('3', own, { slot: 3 }));
    expect(two.membership.slot).toBe(1);
    expect(givesUp(two, [[3, { slot: 3 }, own]])).toBe(false);
    two.hear(3, helloOf('3', own, { phase: 'leaving', slot: 3 }));
    expect(givesUp(two, [])).toBe(true);
  });

  it('does so where one has stopped voting for good, and kept nothing', () => {
    for (const isDurable of [true, false]) {
      const one = new Alone();
      one.form();
      one.hear(3, helloOf('3', formedView, { slot: 3 }));
      one.hear(3, helloOf('3', formedView, { phase: 'leaving', slot: 3 }));
      one.ms = 10_000;
      const resigned = { phase: 'learner', hasResigned: true, isDurable } as const;
      expect(givesUp(one, [[2, resigned, formedView]])).toBe(!isDurable);
    }
  });

  it('says that nobody has the memory any more that it went on with', () => {
    const named: View = { ...formedView, holders: [holderOf(51), holderOf(2), holderOf(3)] };
    const one = new Alone();
    one.membership.start(1, one.now, { view: named, slot: 1, voter: 51 });
    for (const process of [2, 3]) {
      one.hear(process, helloOf(`${process}`, named, { slot: process }));
      one.hear(process, helloOf(`${process}`, named, { phase: 'leaving', slot: process }));
    }
    expect(givesUp(one, [])).toBe(true);
    const ended: number[][] = [];
    one.ms += 1000;
    for (const directive of one.membership.tick(one.now))
      if (directive.kind === 'send' && directive.message.type === 'hello') ended.push([...directive.message.ended]);
    expect(ended).toEqual([[51]]);
  });

  it('finds the process that held its slot before by its own number, though it had voted under another', () => {
    const one = new Alone();
    const { membership } = one;
    const named: View = { ...formedView, holders: [holderOf(51), holderOf(2), holderOf(3)] };
    membership.start(1, one.now);
    one.hear(2, helloOf('2', named, { slot: 2 }));
    let asked: number | null = null;
    for (; asked === null; one.ms += 50) asked = one.tick();
    one.hear(2, { type: 'vouch', request: asked, view: named, isServing: true });
    expect(membership.phase).toBe('learner');
    one.hear(9, helloOf('9', named, { slot: 1, voter: 51 }));
    membership.claimed({ slot: 1, since: 0, holder: holderOf(1, 2) }, one.now);
    expect(membership.phase).toBe('recovering');
    // It knows by now that it has lost its slot.
    one.hear(9, helloOf('9', membership.view, { phase: 'learner' }));
    expect(membership.predecessorHeard(one.ms)).toBe(9);
  });

  it('votes no more once another process votes with its memory', () => {
    const one = new Alone();
    const { membership } = one;
    one.form();
    one.hear(9, helloOf('9', formedView, { slot: 2, voter: 2 }));
    expect(membership.votingSlot).toBe(1);
    one.hear(8, helloOf('8', formedView, { slot: 1, voter: 1 }));
    // It may have ended since.
    expect(membership.votingSlot).toBe(1);
    const [question] = one.asked;
    expect(question?.process).toBe(8);
    one.told.length = 0;
    one.hear(8, { type: 'vouch', request: question?.request ?? 0, view: formedView, isServing: true }, 1);
    expect([membership.slot, membership.votingSlot]).toEqual([0, 0]);
    expect(one.told.slice(0, 3)).toEqual(['fenced', 'warning', 'grown']);
  });

  it('minds nothing that the process said whose memory it has, however late that comes', () => {
    const one = new Alone();
    const { membership } = one;
    membership.start(1, one.now, { view: formedView, slot: 2, voter: 2 });
    expect(membership.votingSlot).toBe(2);
    for (const ms of [10, 24_000, 3_600_000]) {
      one.ms = ms;
      one.hear(2, helloOf('2', formedView, { slot: 2 }));
      one.hear(12, helloOf('12', formedView, { slot: 2, voter: 2 }));
      expect(membership.votingSlot).toBe(2);
    }
    const vouch = (request: number): Vouch => ({ type: 'vouch', request, view: formedView, isServing: true });
    // Nor an answer to what it did not ask; nor that of one that has another slot by now.
    one.hear(2, vouch(99), 2);
    one.hear(2, vouch(one.asked.at(-1)?.request ?? 0), 3);
    expect(membership.votingSlot).toBe(2);
    // But one that answers now votes now.
    one.hear(2, vouch(one.asked.at(-1)?.request ?? 0), 2);
    expect(membership.votingSlot).toBe(0);
  });

  it('is in no new one with a storage that has failed', () => {
    const one = new Alone();
    one.membership.start(1, one.now);
    one.membership.resign(one.now);
    one.hear(2, helloOf('2', null, { phase: 'seeking' }));
    one.hear(2, { type: 'form', view: formedView });
    one.hear(2, helloOf('2', formedView, { slot: 2 }));
    expect(one.membership.votingSlot).toBe(0);
    expect(one.membership.view).toBeNull();
  });
});
