/**
 * Deliberate defects, one switch each: a rule of docs/protocol.md that is left out. The simulator has to catch every
 * one, or it would not notice if the rule were broken by mistake.
 */
import { GuardedClock, Membership } from '../../lib/membership/index.js';
import { Operations } from '../../lib/node/operations.js';
import { Voter } from '../../lib/node/voter.js';
import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  BallotSource,
  type Change,
  ClassicRound,
  majorityOf,
  NO_BALLOT,
  QuorumRead,
  Tally,
} from '../../lib/paxos/index.js';
import { Origin } from '../../lib/session/origin.js';
import type { Conditions } from './conditions.js';
import { override, overrideGetter } from './override.js';

/** A rule taken out of the compiled code: in a copy that only `npm run simulate` runs. */
export interface Edit {
  /** Path below `lib/`, without extension. */
  readonly file: string;
  /** Occurs once. */
  readonly from: string;
  readonly to: string;
}

export interface Mutant {
  readonly name: string;
  /** The rule that is left out. */
  readonly breaks: string;
  /** Of the runs in which it is looked for: those where it shows. */
  readonly conditions?: Conditions;
  readonly edits?: readonly Edit[];
  /** Where a method as a whole can be put in place of another. @returns takes it out again */
  readonly install?: () => () => void;
}

/** Where what one acceptor alone holds is met by a quorum that has forgotten what stands against it. */
const FORGETTING: Conditions = {
  topic: 'mortal',
  clusterSize: 3,
  episodes: 0.5,
  exactQuorums: 0.9,
  minorityAccepts: 0.5,
};

/** Where voters are replaced all the time. */
const TURNOVER: Conditions = {
  topic: 'turnover',
  clusterSize: 3,
  learners: 1,
  hasStandbys: true,
  calmStart: true,
};

/** Where a voter goes on after its slot has gone to another, and is still heard by those who do not know. */
const USURPED: Conditions = {
  ...TURNOVER,
  learners: 2,
  faults: ['usurp', 'usurp', 'usurp', 'stop'],
  faultMs: 3000,
  patienceMs: 700,
  hotKeys: 1,
  sessionShare: 0,
  verbs: { n: ['increment', 'increment', 'get'], l: ['append', 'append', 'get'] },
  exactQuorums: 0.5,
};

/** Where a recovery reads some of the others only. */
const USURPED_OF_FIVE: Conditions = { ...USURPED, clusterSize: 5 };

/** Where the farm goes from one size to another all the time, and each quorum is another one. */
const RESIZED: Conditions = {
  topic: 'resized',
  clusterSize: 3,
  learners: 3,
  sizes: [3, 5],
  hasDisks: false,
  faults: ['resize', 'resize', 'resize', 'isolate', 'one way'],
  faultMs: 3000,
  hotKeys: 1,
  sessionShare: 0,
  verbs: { n: ['increment', 'increment', 'get'], l: ['append', 'append', 'get'] },
  exactQuorums: 0.5,
  badWeather: false,
};

/** Where values without an end are removed, and asked for when their tombstones may be gone. */
const ENDLESS: Conditions = {
  ...FORGETTING,
  endless: 0.8,
  sessionShare: 0,
  verbs: { v: ['set', 'remove', 'get', 'get'] },
  hotKeys: 8,
  faults: [],
  commitLoss: 0,
};

/** Tombstones without an end are looked at soon, and go at once: or a repair comes before what is looked for can show. */
const SOON: readonly Edit[] = [
  { file: 'paxos/acceptor', from: 'const REVISIT = 30;', to: 'const REVISIT = 0.3;' },
  { file: 'paxos/acceptor', from: 'const MAX_COPY_AGE_MS = 10_000;', to: 'const MAX_COPY_AGE_MS = 0;' },
];

/** Where all processes are killed at once, again and again, and go on with what is on their disks. */
const DURABLE: Conditions = {
  topic: 'turnover',
  clusterSize: 3,
  hasDisks: true,
  hasFixedSlots: false,
  faults: ['kill all'],
  faultMs: 3000,
  hotKeys: 1,
};

/** Where keys hang on others, on leases and on processes. */
const KEYS: Conditions = { topic: 'keys', kvShare: 1, kvHanging: 0.9, kvWatchers: 0, kvKeys: 2 };

/** Where many want the same few keys, and take long. */
const HASTY: Conditions = {
  ...KEYS,
  kvKeys: 1,
  thinkMs: 40,
  delays: true,
  badWeather: false,
  faults: [],
  longestLifeMs: 4000,
};

/** Where those who hold leases are cut off for longer than these last. */
const CUT_OFF: Conditions = {
  ...KEYS,
  clusterSize: 3,
  faults: ['isolate', 'isolate', 'mute', 'deafen'],
  faultMs: 1500,
  workMs: 40_000,
  badWeather: false,
};

/** Where somebody watches on each server, and word of changes is lost. */
const WATCHED: Conditions = { ...KEYS, kvHanging: 0.3, kvWatchers: 0.7, commitLoss: 0.5 };

export const mutants: readonly Mutant[] = [
  // ---- quorums and answers
  {
    name: 'majority-too-small',
    breaks: 'a quorum is a majority of all slots',
    install: () =>
      overrideGetter(
        Tally.prototype,
        'isQuorum',
        (isQuorum) =>
          function (this: Tally<unknown>) {
            return isQuorum.call(this) || this.count >= Math.max(1, majorityOf(3) - 1);
          },
      ),
  },
  {
    name: 'half-is-a-majority',
    breaks: 'half of an even number is no majority',
    conditions: { clusterSize: 4 },
    edits: [{ file: 'paxos/quorum', from: 'Math.floor(size / 2) + 1', to: 'Math.ceil(size / 2)' }],
  },
  {
    name: 'duplicates-counted',
    breaks: 'each voter counts once',
    install: () => {
      const slots = new Map<number, number>();
      let fresh = 1000;
      const undoVoter = override(
        Membership.prototype,
        'isVoter',
        (isVoter) =>
          function (this: Membership, from) {
            return isVoter.call(this, { ...from, slot: slots.get(from.slot) ?? from.slot });
          },
      );
      const undoReceive = override(
        Operations.prototype,
        'receive',
        (receive) =>
          function (this: Operations, from, answer) {
            fresh += 1;
            slots.set(fresh, from.slot);
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
    name: 'non-voters-counted',
    breaks: 'only voters count: a process that has lost its memory answers as if it had one',
    install: () => {
      const undoVoting = overrideGetter(Voter.prototype, 'isVoting', () => () => true);
      const undoVoter = override(
        Membership.prototype,
        'isVoter',
        (isVoter) =>
          function (this: Membership, from) {
            const isHolder = this.view?.holders.some((holder) => holder?.process === from.process) === true;
            return !isHolder || isVoter.call(this, from);
          },
      );
      const undoReceive = override(
        Operations.prototype,
        'receive',
        (receive) =>
          function (this: Operations, from, answer) {
            // For one of the slots, as if it held that.
            const slot = from.slot === 0 ? 1 + (from.process % 3) : from.slot;
            return receive.call(this, { ...from, slot }, answer);
          },
      );
      return () => {
        undoReceive();
        undoVoter();
        undoVoting();
      };
    },
  },
  {
    name: 'answers-to-earlier-ballots-counted',
    breaks: 'an answer counts for the ballot that it names only',
    conditions: { topic: 'contended', badWeather: true, longDelay: 0.3, longDelayMs: 300, timeoutMs: 900 },
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'promises === null || !sameBallot(answer.ballot, this.#ballot)',
        to: 'promises === null',
      },
      {
        file: 'paxos/classic-round',
        from: 'accepted === null || !sameBallot(ballot, this.#ballot)',
        to: 'accepted === null',
      },
    ],
  },
  {
    name: 'misdirected-taken',
    breaks: 'what is meant for another process is not taken',
    conditions: { topic: 'read', badWeather: true, misdelivery: 1, sessionShare: 0.5 },
    edits: [
      { file: 'node/link', from: 'envelope.to !== EVERYBODY && envelope.to !== this.#setup.process', to: 'false' },
    ],
  },
  {
    name: 'one-answer-reads',
    breaks: 'a read hears a majority',
    conditions: { topic: 'read' },
    install: () => {
      let isReading = false;
      const undoMajority = overrideGetter(
        Tally.prototype,
        'isQuorum',
        (isQuorum) =>
          function (this: Tally<unknown>) {
            return isReading || isQuorum.call(this);
          },
      );
      const undoRead = override(
        QuorumRead.prototype,
        'receive',
        (receive) =>
          function (this: QuorumRead, from, answer, now) {
            isReading = true;
            const report = answer.type === 'held' ? answer.report : null;
            const said =
              answer.type === 'held' && report !== null
                ? { ...answer, report: { ...report, committed: true } }
                : answer;
            const outgoing = receive.call(this, from, said, now);
            isReading = false;
            return outgoing;
          },
      );
      return () => {
        undoRead();
        undoMajority();
      };
    },
  },
  {
    name: 'read-unsettled',
    breaks: 'a read answers only what is chosen',
    conditions: { topic: 'read' },
    install: () =>
      answering((_, answer) =>
        answer?.type === 'held' && answer.report !== null
          ? { ...answer, report: { ...answer.report, committed: true } }
          : answer,
      ),
  },

  // ---- promises and ballots
  {
    name: 'accepts-below-promise',
    breaks: 'nothing is accepted below what was promised',
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'if (isHeld && this.#isVote(record, record.proposal)) {',
        to: `if (record !== undefined && compareBallots(ballot, record.promised) < 0 && (record.proposal == null || compareBallots(ballot, record.proposal.accepted) > 0)) {
            const taken = { ...record, proposal, committed: false, horizon: Math.max(record.horizon, request.horizon, proposal.until) };
            this.#store(key, record, taken, now);
            return { type: 'accepted', request: request.request, ballot };
        }
        if (isHeld && this.#isVote(record, record.proposal)) {`,
      },
    ],
  },
  {
    name: 'repeated-otherwise',
    breaks: 'what is sent again at a ballot is what was sent before',
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'this.retransmission.again(now.monotonicMs);\n',
        to: "if (this.#phase === 'accept')\n            return this.#propose(this.#promises, now);\n        this.retransmission.again(now.monotonicMs);\n",
      },
    ],
  },
  {
    name: 'commit-inherited',
    breaks: 'a new value is not known to be chosen because the one before it was',
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'committed: isHeld && record.committed,',
        to: 'committed: record?.committed ?? false,',
      },
    ],
  },
  {
    name: 'votes-of-others-counted',
    breaks: 'a value is certain to be chosen by the votes for it alone',
    edits: [{ file: 'paxos/pick', from: 'votes.length = 0;', to: '' }],
  },
  {
    name: 'nothing-adopted',
    breaks: 'phase 2 builds on what the promises hold',
    install: () =>
      answering((_, answer) =>
        answer?.type === 'promised' && answer.report?.committed === false ? { ...answer, report: null } : answer,
      ),
  },
  {
    name: 'ballot-used-again',
    breaks: 'a ballot is issued once, whatever came of it',
    install: () =>
      override(
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
    name: 'rounds-far-ahead-taken',
    breaks: 'a round more than S ahead is refused',
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'return ballot.round > this.#ceiling(now).round;',
        to: 'return false;',
      },
    ],
  },
  {
    name: 'refused-round-merged',
    breaks: 'a refused round is never merged into a clock',
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'if (this.#isTooFarAhead(ballot, now))\n            return nack(request.request, 1,',
        to: 'this.#highestRound = Math.max(this.#highestRound, ballot.round);\n        if (this.#isTooFarAhead(ballot, now))\n            return nack(request.request, 1,',
      },
      {
        file: 'paxos/ballot',
        from: 'if (round > this.#last && round <= (wallMs + maxAheadMs) * ROUNDS_PER_MS)',
        to: 'if (round > this.#last)',
      },
    ],
  },
  {
    name: 'commit-names-only-the-key',
    breaks: 'a commit names ballot and operation',
    conditions: { topic: 'read' },
    install: () =>
      override(
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

  // ---- exactly once
  {
    name: 'tombstone-drops-lineage',
    breaks: 'a tombstone keeps the lineage',
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'const past = found ??',
        to: 'const past = (found !== null && found.value !== null ? found : null) ??',
      },
    ],
  },
  {
    name: 'lineage-ignored',
    breaks: 'a retry looks for its own operation first',
    conditions: { topic: 'contended' },
    install: () =>
      answering((_, answer) => {
        if (answer?.type !== 'promised' || answer.report === null) return answer;
        const proposal = { ...answer.report.proposal, lineage: [], lineageFrom: NO_BALLOT };
        return { ...answer, report: { ...answer.report, proposal } };
      }),
  },
  {
    name: 'found-is-chosen',
    breaks: 'an operation found in the lineage is proposed again before it is answered',
    conditions: { topic: 'contended' },
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'return this.#accept(found, found, promises, now);',
        to: "return this.end({ kind: 'chosen', results: this.#results, commit: null });",
      },
    ],
  },
  {
    name: 'found-is-run-again',
    breaks: 'an operation found in the lineage is not run again',
    conditions: { topic: 'contended' },
    edits: [
      {
        file: 'paxos/classic-round',
        from: "if (fate.kind === 'applied' && found !== null)",
        to: 'if (false)',
      },
    ],
  },
  {
    name: 'gap-in-lineage-overlooked',
    breaks: 'an operation older than the lineage reaches ends as unknown',
    conditions: { topic: 'contended' },
    edits: [
      { file: 'paxos/record', from: 'MAX_LINEAGE = 64', to: 'MAX_LINEAGE = 1' },
      { file: 'paxos/lineage', from: 'higherBallot(lineageFrom, dropped)', to: 'lineageFrom' },
    ],
  },
  {
    name: 'lineage-too-short',
    breaks: 'the lineage is long enough for the writers that there are',
    conditions: { topic: 'calm' },
    edits: [{ file: 'paxos/record', from: 'MAX_LINEAGE = 64', to: 'MAX_LINEAGE = 1' }],
  },
  {
    name: 'unknown-told-as-nothing',
    breaks: 'after an accept was sent it is never said that nothing happened',
    install: () => overrideGetter(ClassicRound.prototype, 'isExposed', () => () => false),
  },
  {
    name: 'late-promise-acts',
    breaks: 'an operation whose time is up proposes nothing any more',
    edits: [
      {
        file: 'node/operations',
        from: 'if (batch.round?.isExposed === false)',
        to: 'if (false)',
      },
      {
        file: 'node/operations',
        from: 'deadlineMs: latestDeadline(batch.calls),\n            retransmitMs: this.#context.retransmitMs(),\n            context: this.#rounds,',
        to: 'deadlineMs: latestDeadline(batch.calls) + 2000,\n            retransmitMs: this.#context.retransmitMs(),\n            context: this.#rounds,',
      },
      {
        file: 'node/operations',
        from: 'if (late.length === 0 || late.length === batch.calls.length)',
        to: 'if (late.length === 0)',
      },
    ],
  },
  {
    name: 'mismatch-answered-at-once',
    breaks: 'an answer without a change is proposed unless what it rests on is chosen',
    conditions: { topic: 'read' },
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'return isChosen && !isExpired(found, now);',
        to: 'return !isExpired(found, now);',
      },
    ],
  },

  // ---- expiry and forgetting
  {
    name: 'destroy-leaves-nothing',
    breaks: 'a destroy of what is not found leaves a tombstone',
    conditions: { ...FORGETTING, sessionShare: 0.9 },
    install: () =>
      override(
        Operations.prototype,
        'change',
        (change) =>
          function <R>(this: Operations, key: string, asked: Change<R>, timeoutMs: number) {
            return change.call(this, key, { ...asked, seals: false }, timeoutMs) as ReturnType<typeof change<R>>;
          },
      ),
  },
  {
    name: 'expired-without-tombstone',
    breaks: '"expired" is answered only when a tombstone is chosen',
    conditions: { topic: 'mortal' },
    edits: [
      {
        file: 'paxos/evaluate',
        from: 'let isWrite = found !== null && isExpired(found, now);',
        to: 'let isWrite = false;',
      },
      { file: 'paxos/classic-round', from: 'return isChosen && !isExpired(found, now);', to: 'return isChosen;' },
    ],
  },
  {
    name: 'read-without-horizon',
    breaks: 'an answer to a read tells what has been promised',
    conditions: { ...FORGETTING, sessionShare: 0 },
    edits: [{ file: 'paxos/quorum-read', from: 'Math.max(this.#horizon, answer.horizon)', to: '0' }],
  },
  {
    name: 'absent-while-bound-alive',
    breaks: '"there is none" is not answered while something promised may still show',
    conditions: { ...FORGETTING, sessionShare: 0 },
    edits: [
      {
        file: 'paxos/evaluate',
        from: 'return horizon > 0 && (!now.isTrusted || horizon + maxClockSkewMs > now.wallMs);',
        to: 'return false;',
      },
    ],
  },
  {
    name: 'forgotten-early',
    breaks: 'a record is kept until its horizon + 2 S',
    conditions: { topic: 'mortal' },
    install: () =>
      override(
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
    name: 'bare-promise-forgotten',
    breaks: 'a bare promise is kept until its horizon + 2 S',
    // What repair leaves: only where the logout's tombstone is forgotten before the third voter has fetched it.
    conditions: {
      ...FORGETTING,
      learners: 0,
      episodes: 1,
      sessionShare: 1,
      sessionLifeMs: 12_000,
      deafness: 0,
      stallChance: 0,
    },
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'const visibleUntilMs = endMs === 0 ? 0 : endMs + 2 * this.#skewMs;',
        to: 'const visibleUntilMs = endMs === 0 || record.proposal === null ? 0 : endMs + 2 * this.#skewMs;',
      },
    ],
  },
  {
    name: 'released-by-a-majority',
    breaks: 'a tombstone without an end goes when all voters are past it',
    conditions: ENDLESS,
    edits: [...SOON, { file: 'paxos/unanimity', from: 'this.#answers.isComplete', to: 'this.#answers.isQuorum' }],
  },
  {
    name: 'floor-not-raised',
    breaks: 'what is forgotten leaves a floor under the key',
    conditions: { topic: 'mortal' },
    edits: [{ file: 'paxos/acceptor', from: 'this.#floor = higherBallot(this.#floor, record.promised);', to: '' }],
  },
  {
    name: 'tombstone-without-horizon',
    breaks: 'a tombstone keeps the horizon',
    conditions: { topic: 'mortal' },
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'horizon: Math.max(record?.horizon ?? 0, request.horizon, proposal.until),',
        to: 'horizon: proposal.value === null ? 0 : Math.max(record?.horizon ?? 0, request.horizon, proposal.until),',
      },
    ],
  },
  {
    name: 'horizon-of-own-promise-only',
    breaks: 'a proposal carries the latest horizon of all promises',
    conditions: { topic: 'mortal' },
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'const horizon = promises.reduce((latest, promise) => Math.max(latest, promise.horizon), own);',
        to: 'const horizon = own;',
      },
    ],
  },
  {
    name: 'promise-without-bound',
    breaks: 'a promise raises the horizon to what the operation may write',
    conditions: { topic: 'mortal' },
    install: () => asking((request) => (request.type === 'prepare' ? { ...request, bound: 0 } : request)),
  },

  // ---- clocks
  {
    name: 'repair-copies-uncommitted',
    breaks: 'repair copies only what is known to be chosen',
    edits: [
      { file: 'paxos/acceptor', from: 'if (!committed)\n            return', to: 'if (false) return' },
      {
        file: 'paxos/acceptor',
        from: '|| !record.committed)\n                continue',
        to: ')\n                continue',
      },
    ],
  },
  {
    name: 'repair-lowers-promise',
    breaks: 'repair never lowers a promise',
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'promised: higherBallot(higherBallot(record?.promised ?? NO_BALLOT, this.#floor), accepted)',
        to: 'promised: accepted',
      },
    ],
  },
  {
    name: 'repair-forgets-floor',
    breaks: 'what repair copies counts as promised up to the floor',
    edits: [
      {
        file: 'paxos/acceptor',
        from: '?? NO_BALLOT, this.#floor), accepted)',
        to: '?? NO_BALLOT, NO_BALLOT), accepted)',
      },
    ],
  },
  {
    name: 'no-repair',
    breaks: 'voters catch up with what they have missed',
    edits: [{ file: 'node/repairer', from: '!this.#setup.voter.install(copy, now)', to: 'true' }],
  },
  {
    name: 'raw-wall-clock',
    breaks: "wall time is the guarded clock's",
    install: () =>
      override(
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
    name: 'doubted-clock-writes',
    breaks: 'nothing is proposed on a value whose time may be up while nobody vouches for the clock',
    conditions: { topic: 'doubtful' },
    edits: [
      {
        file: 'paxos/classic-round',
        from: 'if (isInDoubt(found, now))',
        to: 'if (false)',
      },
    ],
  },

  // ---- slots that change hands
  {
    name: 'other-vectors-counted',
    breaks: 'what was sent by one who knows other holders of the slots does not count',
    conditions: USURPED,
    edits: [{ file: 'node/traffic', from: 'if (envelope.vector === membership.vector)', to: 'if (true)' }],
  },
  {
    name: 'counted-across-vectors',
    breaks: 'what was counted is void when a slot changes hands',
    // Slow, so that more is under way when a slot changes hands.
    conditions: { ...USURPED, meanDelayMs: 40 },
    install: () => override(Operations.prototype, 'restart', () => () => undefined),
  },
  {
    name: 'undecided-claim-fences',
    breaks: 'a claim that is not decided fences nobody',
    conditions: TURNOVER,
    edits: [
      {
        file: 'membership/membership',
        from: "return claim === null ? [] : [{ kind: 'claim', claim }];",
        to: "return claim === null ? [] : [...this.claimed(claim, now), { kind: 'claim', claim }];",
      },
    ],
  },
  {
    name: 'barrier-after-read-out',
    breaks: 'whoever is read for a recovery knows by then that the slot has changed hands',
    conditions: USURPED,
    edits: [
      {
        file: 'node/traffic',
        from: `case 'transfer':
                    if (counts())`,
        to: `case 'transfer':
                    if (isOurs())`,
      },
      {
        file: 'node/traffic',
        from: `default:
                    if (counts())`,
        to: `default:
                    if (message.type === 'transferred' ? isOurs() : counts())`,
      },
    ],
  },
  {
    name: 'recovery-from-a-minority',
    breaks: 'a recovery reads a majority',
    conditions: USURPED,
    edits: [
      {
        file: 'node/recoverer',
        from: 'isEnough: (slots) => isQuorum(config.sizes, slots)',
        to: 'isEnough: (slots) => slots.length >= Math.floor(config.sizes[0] / 2)',
      },
    ],
  },
  {
    name: 'vote-before-recovery',
    breaks: 'a process votes when it has the memory that goes with its slot',
    conditions: USURPED,
    edits: [
      {
        file: 'membership/membership',
        from: 'return this.#isRecovered ? this.#slot : 0;',
        to: 'return this.#slot;',
      },
    ],
  },
  {
    name: 'recovery-across-vectors',
    breaks: 'a recovery begins anew when a slot changes hands',
    conditions: USURPED_OF_FIVE,
    edits: [{ file: 'node/node', from: 'if (this.#recoverer.isRunning)', to: 'if (false)' }],
  },
  {
    name: 'bare-promises-not-read-out',
    breaks: 'a recovery takes over promises without a value, too',
    conditions: USURPED_OF_FIVE,
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'const kept = keptOf(key, record);',
        to: 'if (record.proposal === null) return true; const kept = keptOf(key, record);',
      },
    ],
  },
  {
    name: 'promises-not-taken-over',
    breaks: 'a recovery takes over what was promised',
    conditions: USURPED,
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'record === undefined ? promised : higherBallot(record.promised, promised);',
        to: 'higherBallot(record?.promised ?? NO_BALLOT, proposal?.accepted ?? NO_BALLOT);',
      },
    ],
  },
  {
    name: 'floor-not-taken-over',
    breaks: 'a recovery takes over the floors',
    conditions: TURNOVER,
    install: () => override(Acceptor.prototype, 'raiseFloor', () => () => undefined),
  },
  {
    name: 'floor-read-before-records',
    breaks: 'a recovery takes the floor that was read after the last record',
    conditions: TURNOVER,
    edits: [
      { file: 'paxos/messages', from: 'MAX_TRANSFERRED = 100', to: 'MAX_TRANSFERRED = 2' },
      { file: 'paxos/messages', from: 'MAX_NAMED = 200', to: 'MAX_NAMED = 2' },
      {
        file: 'paxos/transfer',
        from: 'this.#shard = answer.nextShard;',
        to: 'this.firstFloor ??= answer.floor; this.#shard = answer.nextShard;',
      },
      { file: 'paxos/transfer', from: 'floor: answer.floor', to: 'floor: this.firstFloor' },
    ],
  },
  {
    name: 'place-moves-with-writes',
    breaks: 'a page begins where the one before it ended, whatever was written meanwhile',
    conditions: USURPED,
    edits: [
      { file: 'paxos/messages', from: 'MAX_TRANSFERRED = 100', to: 'MAX_TRANSFERRED = 2' },
      { file: 'paxos/messages', from: 'MAX_NAMED = 200', to: 'MAX_NAMED = 2' },
      // All keys in one shard, in the order in which they were written.
      { file: 'paxos/table', from: '(hash ^ (hash >>> 16)) & (SHARDS - 1)', to: '0 & hash' },
      { file: 'storage/memory', from: 'shard.set(key, record);', to: 'shard.delete(key); shard.set(key, record);' },
      { file: 'paxos/pages', from: 'this.#orders.get(shard) ?? ', to: '' },
      { file: 'paxos/pages', from: '.sort()', to: '' },
      { file: 'paxos/pages', from: "last === '' ? 0 : indexAfter(keys, last)", to: 'keys.indexOf(last) + 1' },
    ],
  },
  {
    name: 'named-taken-for-held',
    breaks: 'a value that is named, and not held, is read',
    conditions: TURNOVER,
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'if (order > 0 || (order === 0 && own !== null && !isHeld))',
        to: 'if (false)',
      },
    ],
  },
  {
    name: 'promise-not-taken-over-by-name',
    breaks: 'of a value that is held already, what was promised is taken over all the same',
    conditions: TURNOVER,
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'const isSame = record?.horizon === horizon && compareBallots(record.promised, promised) === 0;',
        to: 'const isSame = true;',
      },
    ],
  },
  {
    name: 'horizon-not-taken-over',
    breaks: 'a recovery takes over the horizons',
    conditions: TURNOVER,
    edits: [
      {
        file: 'paxos/acceptor',
        from: 'horizon: Math.max(record?.horizon ?? 0, horizon),\n            touchedMs',
        to: 'horizon: record?.horizon ?? 0,\n            touchedMs',
      },
    ],
  },
  {
    name: 'memory-kept-when-fenced',
    breaks: 'whoever gets a slot anew recovers, whatever it held before',
    conditions: USURPED,
    edits: [
      {
        file: 'node/node',
        from: `if (directive.held === null)
                        this.#voter.reset();
                    else
                        this.#voter.retire(directive.held.slot, directive.held.generation);
                    break;`,
        to: `this.hasVoted = true;
                    break;`,
      },
      {
        file: 'node/node',
        from: `case 'recover':
                    this.#recoverer.begin();`,
        to: `case 'recover':
                    if (this.hasVoted) this.#whenRead(() => this.#membership.recovered(true, this.#now()));
                    else this.#recoverer.begin();`,
      },
    ],
  },
  {
    name: 'claimed-twice',
    breaks: 'the first claim of a generation that is chosen stands',
    conditions: { ...USURPED_OF_FIVE, learners: 3 },
    edits: [
      {
        file: 'node/claim',
        from: 'if (standing !== null && isBefore({ since, holder }, standing))',
        to: 'if (false)',
      },
      {
        file: 'node/claim',
        from: 'Math.max(holder.generation, (standing?.holder.generation ?? 0) + 1)',
        to: 'holder.generation',
      },
    ],
  },
  {
    name: 'claim-by-half',
    breaks: 'a claim takes a majority of all slots, not of the others',
    conditions: { ...USURPED, clusterSize: 4, faults: ['usurp', 'partition', 'partition', 'isolate'] },
    edits: [
      {
        file: 'node/claim',
        from: 'return [...electorate.sizes, ...also];',
        to: 'return electorate.sizes.map((size) => size - 1);',
      },
    ],
  },
  {
    name: 'formed-by-few-at-once',
    breaks: 'a farm is formed by all, and by a majority only after the grace',
    conditions: { clusterSize: 3, learners: 1, hasStandbys: true, apartStart: true },
    edits: [{ file: 'membership/forming', from: '(isAll || this.#mayBeFew(seekingMs - waitMs))', to: '(true)' }],
  },

  // ---- change of size
  {
    name: 'resized-at-once',
    breaks: 'while a farm changes its size both sizes decide',
    conditions: RESIZED,
    edits: [
      {
        file: 'membership/resizing',
        from: 'return followed(config, [before, size], before);',
        to: 'return followed(config, [size], size);',
      },
      {
        file: 'membership/resizing',
        from: 'return followed(config, [config.sizes[0], size], size);',
        to: 'return followed(config, [size], size);',
      },
    ],
  },
  {
    name: 'old-size-decides',
    breaks: 'what is chosen while a farm changes its size is held by a majority of the size after',
    conditions: RESIZED,
    edits: [{ file: 'paxos/quorum', from: 'return sizes.every(', to: 'return sizes.slice(0, 1).every(' }],
  },
  {
    name: 'new-size-decides',
    breaks: 'what is chosen while a farm changes its size is held by a majority of the size before',
    conditions: RESIZED,
    edits: [{ file: 'paxos/quorum', from: 'return sizes.every(', to: 'return sizes.slice(-1).every(' }],
  },
  {
    name: 'resized-without-copy',
    breaks: 'a size stops counting when a majority of the size after has read what it holds',
    conditions: RESIZED,
    edits: [
      {
        file: 'membership/resizing',
        from: 'return size - missing.length >= majorityOf(size) && !isWorthWaiting;',
        to: 'return true;',
      },
      { file: 'membership/membership', from: 'get mustCopy() {', to: 'get mustCopy() { return false;' },
    ],
  },
  {
    name: 'copy-of-a-minority',
    breaks: 'a voter of the size after reads what a majority of the size before holds',
    conditions: RESIZED,
    edits: [
      {
        file: 'node/recoverer',
        from: 'isEnough: (slots) => isQuorum([before], [...slots, own])',
        to: 'isEnough: (slots) => slots.length > 0 || own <= before',
      },
    ],
  },
  {
    name: 'answered-before-durable',
    breaks: 'no answer leaves before what it tells of is on disk',
    conditions: DURABLE,
    edits: [{ file: 'node/voter', from: 'if (this.#held.length === 0 && this.#memory.isSettled)', to: 'if (true)' }],
  },
  {
    name: 'promises-not-stored',
    breaks: 'a promise is on disk before it is given',
    conditions: {
      ...DURABLE,
      faults: ['kill'],
      faultMs: 700,
      sessionShare: 0,
      verbs: { n: ['increment', 'increment', 'get'], l: ['append', 'append', 'get'] },
      exactQuorums: 0.5,
      minorityAccepts: 0.3,
      delays: true,
    },
    edits: [
      { file: 'storage/durable-table', from: 'sameBallot(before.promised, next.promised)', to: 'true' },
      { file: 'storage/durable-table', from: 'before.horizon === next.horizon', to: 'true' },
    ],
  },
  {
    name: 'generation-given-again',
    breaks: 'a slot that was given up and comes back gets a generation that it has never had',
    conditions: { ...RESIZED, learners: 1, sizes: [1, 2, 3] },
    edits: [
      {
        file: 'membership/claims',
        from: 'const formed = since > 0 ? 1 : 0;',
        to: 'const formed = 0;',
      },
    ],
  },
  {
    name: 'slot-back-with-its-holder',
    breaks: 'whoever held a slot before it was given up is not its holder when it comes back',
    conditions: { ...RESIZED, learners: 2, sizes: [1, 2, 3] },
    edits: [
      { file: 'membership/view', from: '(since[index] ?? 0) > versionOfOlder', to: 'false' },
      { file: 'node/claim', from: 'standing.since !== claim.since', to: 'false' },
      { file: 'membership/membership', from: 'configOf(this.#view).since[slot - 1] !== since', to: 'false' },
    ],
  },
  {
    name: 'vector-without-config',
    breaks: 'what was counted under another config does not count',
    conditions: RESIZED,
    edits: [
      {
        file: 'membership/view',
        from: 'config === undefined ? known : [...known, config.version, config.slots, config.sizes]',
        to: 'known.map((part) => Array.isArray(part) ? part.slice(0, 3) : part)',
      },
    ],
  },

  // ---- sessions
  {
    name: 'late-save-not-checked',
    breaks: 'a save of a session that has ended is dropped',
    install: () => override(Origin.prototype, 'baseAt', () => () => null),
  },
  {
    name: 'base-not-renewed',
    breaks: 'after a save the object stands for what was saved',
    install: () => override(Origin.prototype, 'settle', () => () => undefined),
  },
  {
    name: 'base-is-stored',
    breaks: 'after a save the base is what this object saved, not what was stored after the merge',
    conditions: { sessionShare: 1 },
    edits: [
      {
        file: 'session/sessions',
        from: '...kept(result, state, mine), data: mine.data',
        to: '...kept(result, state, mine), data: state.value',
      },
    ],
  },
  {
    name: 'touch-writes-data',
    breaks: 'a touch never writes data',
    conditions: { sessionShare: 1 },
    edits: [
      {
        file: 'session/changes',
        from: 'write(current, base, current.value,',
        to: 'write(current, base, base?.data ?? current.value,',
      },
    ],
  },
  {
    name: 'half-done-not-listed',
    breaks: 'a listing asks for what is half done',
    edits: [{ file: 'paxos/enumeration', from: 'this.#unsettled.push(entry.key)', to: '{}' }],
  },
  {
    name: 'last-save-wins',
    breaks: 'what others have saved since is merged',
    edits: [
      { file: 'session/merge', from: 'if (isDeepStrictEqual(mine, base))', to: 'if (false)' },
      { file: 'session/merge', from: 'if (isPlain(theirs) && isPlain(mine))', to: 'if (false)' },
    ],
  },

  // ---- keys
  {
    name: 'kv-lives-not-looked-at',
    breaks: 'a change writes only where what the key lives by was looked at since that was given to it',
    conditions: KEYS,
    edits: [{ file: 'kv/keyed', from: 'attributes.given !== looked', to: 'false' }],
  },
  {
    name: 'kv-not-buried',
    breaks: 'what is over by what it lives by is buried before anybody is told',
    conditions: HASTY,
    edits: [
      {
        file: 'kv/keyed',
        from: 'if (await this.lives.bury({ key, birth: state.birth, given }, left))',
        to: 'if (true)',
      },
    ],
  },
  {
    name: 'kv-buried-whatever-it-is-now',
    breaks: 'only what still lives by what was found over is buried',
    conditions: { ...KEYS, kvKeys: 1, stallChance: 0 },
    edits: [{ file: 'kv/lives', from: 'ofRegister(key, current).given !== given', to: 'false' }],
  },
  {
    name: 'kv-life-by-key-only',
    breaks: 'a key lives by one life of another key, not by whatever has its name',
    conditions: KEYS,
    edits: [{ file: 'kv/attributes', from: 'value !== null && sameBallot(birth, life.birth)', to: 'value !== null' }],
  },
  {
    name: 'kv-lives-of-lives-ignored',
    breaks: 'what a key lives by is over if what that lives by is',
    conditions: KEYS,
    edits: [{ file: 'kv/lives', from: 'lives.length === 0 || (await this.#areAlive(lives, walk))', to: 'true' }],
  },
  {
    name: 'kv-any-life-will-do',
    breaks: 'of several lives the first to end ends the key',
    conditions: KEYS,
    edits: [{ file: 'kv/lives', from: 'verdicts.every(', to: 'verdicts.some(' }],
  },
  {
    name: 'kv-lifetime-not-kept',
    breaks: 'a write without a lifetime keeps the one that is there',
    conditions: KEYS,
    edits: [{ file: 'kv/keyed', from: '{ ...attributes, untilMs', to: '{ ...attributes, lives: [], untilMs' }],
  },
  {
    name: 'kv-put-overwrites',
    breaks: 'put keeps what is there',
    conditions: KEYS,
    edits: [{ file: 'kv/changes', from: 'held === null ? { step: {', to: 'true ? { step: {' }],
  },
  {
    name: 'kv-any-version-will-do',
    breaks: 'a comparison by version takes that version only',
    conditions: KEYS,
    edits: [{ file: 'kv/changes', from: 'attributes?.version === expected.version', to: 'held !== null' }],
  },
  {
    name: 'kv-same-value-same-revision',
    breaks: 'each write has a revision of its own',
    conditions: KEYS,
    edits: [{ file: 'kv/keyed', from: ', isData: true', to: '' }],
  },
  {
    name: 'lease-counted-before-renewed',
    breaks: 'a holder counts only on a renewal that is agreed on',
    conditions: CUT_OFF,
    edits: [
      {
        file: 'kv/lease',
        from: 'const untilMs = Math.ceil(this.#node.nowMs() + this.ttlMs);',
        to: 'const untilMs = (this.#untilMs = Math.ceil(this.#node.nowMs() + this.ttlMs));',
      },
    ],
  },
  {
    name: 'lease-not-ended-by-release',
    breaks: 'a lease that is released is over at once',
    conditions: KEYS,
    edits: [{ file: 'kv/lease', from: 'write: isAnother ? null :', to: 'write: true ? null :' }],
  },
  {
    name: 'watch-without-a-look',
    breaks: 'all keys are looked at at intervals, since word of a change may be lost',
    conditions: WATCHED,
    edits: [
      {
        file: 'kv/known',
        from: 'else if (known === undefined || mark === null || known.head !== mark)',
        to: 'else if (false)',
      },
      { file: 'kv/tracker', from: 'for (const id of this.#subscribers.ids)', to: 'for (const id of [])' },
    ],
  },
  {
    name: 'watch-of-what-is-heard',
    breaks: 'that a key is gone is found though nobody says so',
    conditions: WATCHED,
    edits: [{ file: 'kv/known', from: '...this.ids.filter((id) => !there.has(id))', to: '' }],
  },
];

/** Acceptors whose answers are changed. */
function answering(
  alter: (request: AcceptorRequest, answer: AcceptorAnswer | null) => AcceptorAnswer | null,
): () => void {
  return override(
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
  return override(
    Acceptor.prototype,
    'receive',
    (receive) =>
      function (this: Acceptor, request, now) {
        return receive.call(this, alter(request), now);
      },
  );
}
