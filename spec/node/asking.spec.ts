import { expect, it } from '@jest/globals';
import { NoQuorumError } from '../../lib/errors.js';
import { Asking, type AskingContext } from '../../lib/node/asking.js';
import { type Member, type Members, strangerOf } from '../../lib/node/members.js';

/** A process that asks the others of a farm. */
function asker(members: readonly Member[], context: Partial<AskingContext> = {}) {
  const sent: number[] = [];
  let nowMs = 0;
  const known: Pick<Members, 'get' | 'list'> = {
    get: (process) => members.find((member) => Number.parseInt(member.process, 36) === process) ?? null,
    list: () => [...members],
  };
  const asking = new Asking({
    process: 1,
    maxValueSize: 1000,
    members: known as Members,
    monotonicMs: () => nowMs,
    isFound: () => true,
    noFarm: () => new NoQuorumError('There is no farm.', [], []),
    retransmitMs: () => 100,
    locate: (process) => process,
    leftMs: () => null,
    send: (to) => void sent.push(to),
    askOwn: () => undefined,
    ...context,
  });
  const pass = (ms: number): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 10) asking.tick();
  };
  return { asking, sent, pass };
}

it('of voters where there are none is answered by nobody, at once', async () => {
  const { asking } = asker([{ ...strangerOf(1), isSelf: true }]);
  expect(await asking.ask('t', null, 'voters', 1000)).toEqual([]);
  expect(asking.isBusy).toBe(false);
});

it('goes to one process only, though another goes on with its memory before it has answered', async () => {
  let acting = 2;
  const { asking, sent, pass } = asker([{ ...strangerOf(2), slot: 2 }], { locate: () => acting });
  const answers = asking.ask('t', null, 'voters', 1000);
  pass(300);
  expect(sent.length).toBeGreaterThan(1);
  acting = 3;
  pass(200);
  expect(new Set(sent)).toEqual(new Set([2]));
  expect(await answers).toMatchObject([{ member: { process: '2' }, error: { code: 'ERR_NO_ANSWER' } }]);
});
