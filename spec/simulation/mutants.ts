/** Code that breaks one rule of the protocol each, put in while a run lasts. The simulator has to catch every one. */
import { GuardedClock, Membership } from '../../lib/membership/index.js';
import { Operations } from '../../lib/node/operations.js';
import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  BallotSource,
  type Change,
  ClassicRound,
  majorityOf,
  NO_BALLOT,
  Tally,
} from '../../lib/paxos/index.js';
import { Origin } from '../../lib/session/origin.js';

export interface Mutant {
  readonly name: string;
  /** @returns takes it out again */
  install(): () => void;
}

export const mutants: readonly Mutant[] = [
  {
    name: 'majority-too-small',
    install: () =>
      patchGetter(
        Tally.prototype,
        'isMajority',
        (isMajority) =>
          function (this: Tally<unknown>) {
            return isMajority.call(this) || this.count >= Math.max(1, majorityOf(3) - 1);
          },
      ),
  },
  {
    name: 'non-voters-counted',
    install: () => {
      let fresh = 1000;
      const undoVoter = patch(Membership.prototype, 'isVoter', () => () => true);
      const undoReceive = patch(
        Operations.prototype,
        'receive',
        (receive) =>
          function (this: Operations, from, answer) {
            fresh += 1;
            return receive.call(this, { ...from, slot: fresh }, answer);
          },
      );
      return () => {
        undoReceive();
        undoVoter();
      };
    },
  },
  {
    name: 'accepts-below-promise',
    install: () =>
      answering((request, answer) =>
        request.type === 'accept' && answer?.type === 'nack' && answer.reason === 'stale'
          ? { type: 'accepted', request: request.request, ballot: request.proposal.accepted }
          : answer,
      ),
  },
  {
    name: 'nothing-adopted',
    install: () =>
      answering((_, answer) =>
        answer?.type === 'promised' && answer.report?.committed === false ? { ...answer, report: null } : answer,
      ),
  },
  {
    name: 'lineage-ignored',
    install: () =>
      answering((_, answer) => {
        if (answer?.type !== 'promised' || answer.report === null) return answer;
        const proposal = { ...answer.report.proposal, lineage: [], lineageFrom: NO_BALLOT };
        return { ...answer, report: { ...answer.report, proposal } };
      }),
  },
  {
    name: 'read-unsettled',
    install: () =>
      answering((_, answer) =>
        answer?.type === 'held' && answer.report !== null
          ? { ...answer, report: { ...answer.report, committed: true } }
          : answer,
      ),
  },
  {
    name: 'commit-names-only-the-key',
    install: () =>
      patch(
        Acceptor.prototype,
        'commit',
        (commit) =>
          function (this: Acceptor, message) {
            const proposal = this.record(message.key)?.proposal;
            if (proposal == null) return commit.call(this, message);
            return commit.call(this, { ...message, ballot: proposal.accepted, operation: proposal.operation });
          },
      ),
  },
  {
    name: 'unknown-told-as-nothing',
    install: () => patchGetter(ClassicRound.prototype, 'isExposed', () => () => false),
  },
  {
    name: 'destroy-leaves-nothing',
    install: () =>
      patch(
        Operations.prototype,
        'change',
        (change) =>
          function <R>(this: Operations, key: string, asked: Change<R>, timeoutMs: number) {
            return change.call(this, key, { ...asked, seals: false }, timeoutMs) as ReturnType<typeof change<R>>;
          },
      ),
  },
  {
    name: 'ballot-used-again',
    install: () =>
      patch(
        BallotSource.prototype,
        'next',
        (next) =>
          function (this: BallotSource, wallMs) {
            const ballot = next.call(this, wallMs);
            return { ...ballot, round: ballot.round - (ballot.round % 16_384) };
          },
      ),
  },
  {
    name: 'forgotten-early',
    install: () =>
      patch(
        Acceptor.prototype,
        'collect',
        (collect) =>
          function (this: Acceptor, now, limit, settleDelayMs) {
            const later = { ...now, wallMs: now.wallMs + 60_000, monotonicMs: now.monotonicMs + 60_000 };
            return collect.call(this, later, limit, settleDelayMs);
          },
      ),
  },
  {
    name: 'promise-without-bound',
    install: () => asking((request) => (request.type === 'prepare' ? { ...request, bound: 0 } : request)),
  },
  {
    name: 'late-save-not-checked',
    install: () => patch(Origin.prototype, 'baseAt', () => () => null),
  },
  {
    name: 'base-not-renewed',
    install: () => patch(Origin.prototype, 'settle', () => () => undefined),
  },
  {
    name: 'raw-wall-clock',
    install: () =>
      patch(
        GuardedClock.prototype,
        'check',
        (check) =>
          function (this: GuardedClock, machineMs, monotonicMs, voters, isVoter, size) {
            this.follow(machineMs, monotonicMs);
            return {
              ...check.call(this, machineMs, monotonicMs, voters, isVoter, size),
              isTrusted: true,
              isOff: false,
            };
          },
      ),
  },
  {
    name: 'unheard-commit-kept-back',
    // As it was before the simulation found it: what settling finds chosen is told to nobody.
    install: () =>
      patchGetter(
        ClassicRound.prototype,
        'outcome',
        (outcome) =>
          function (this: ClassicRound) {
            const found = outcome.call(this);
            return found?.kind === 'chosen' && found.commit?.effect === 'none' && !this.isExposed
              ? { ...found, commit: null }
              : found;
          },
      ),
  },
];

function patch<T extends object, K extends keyof T>(target: T, name: K, make: (original: T[K]) => T[K]): () => void {
  const original = target[name];
  target[name] = make(original);
  return () => {
    target[name] = original;
  };
}

function patchGetter<T extends object, K extends keyof T & string>(
  target: T,
  name: K,
  make: (original: (this: T) => T[K]) => (this: T) => T[K],
): () => void {
  const original = Object.getOwnPropertyDescriptor(target, name);
  if (original?.get === undefined) throw new Error(`${name} is no getter`);
  Object.defineProperty(target, name, { ...original, get: make(original.get) });
  return () => {
    Object.defineProperty(target, name, original);
  };
}

/** Acceptors whose answers are changed. */
function answering(
  alter: (request: AcceptorRequest, answer: AcceptorAnswer | null) => AcceptorAnswer | null,
): () => void {
  return patch(
    Acceptor.prototype,
    'receive',
    (receive) =>
      function (this: Acceptor, request, now) {
        return alter(request, receive.call(this, request, now));
      },
  );
}

/** Acceptors that take a request for another one. */
function asking(alter: (request: AcceptorRequest) => AcceptorRequest): () => void {
  return patch(
    Acceptor.prototype,
    'receive',
    (receive) =>
      function (this: Acceptor, request, now) {
        return receive.call(this, alter(request), now);
      },
  );
}
