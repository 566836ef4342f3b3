/** Farms that break one rule each. What is to be caught is caught only if the checks can fail. */
import {
  Acceptor,
  type AcceptorAnswer,
  type Ballot,
  majorityOf,
  NO_BALLOT,
  type RegisterRecord,
  SHARDS,
  sameBallot,
} from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';
import { AlteredTable, type Mutation, type Voter } from './harness.js';

export const mutants = {
  majorityTooSmall: {
    name: 'a majority of one too few',
    electorate: (electorate) => ({
      // The size whose majority is one less, with the voters that there are.
      sizes: electorate.sizes.map((size) => Math.max(1, 2 * (majorityOf(size) - 1) - 1)),
      isVoter: (from) => electorate.isVoter(from),
    }),
  },

  duplicatesCounted: {
    name: 'an answer that comes twice counts twice',
    electorate: (electorate) => ({ sizes: electorate.sizes, isVoter: () => true }),
    answerer: (() => {
      let fresh = 1000;
      return (from) => {
        fresh += 1;
        return { ...from, slot: fresh };
      };
    })(),
  },

  acceptsBelowPromise: {
    name: 'an acceptor takes what it has promised not to take',
    acceptor: (maxClockSkewMs) => {
      const table = new MemoryTable();
      const acceptor = new Acceptor(table, { maxClockSkewMs });
      const receive: Voter['receive'] = (request, now) => {
        const answer = acceptor.receive(request, now);
        if (request.type !== 'accept' || answer?.type !== 'nack') return answer;
        const { key, proposal, horizon } = request;
        const promised = acceptor.record(key)?.promised ?? proposal.accepted;
        table.set(key, { promised, proposal, committed: false, horizon, touchedMs: now.monotonicMs });
        return { type: 'accepted', request: request.request, ballot: proposal.accepted };
      };
      return voter(acceptor, { receive });
    },
  },

  ballotIgnored: ballotIgnored(),

  nothingAdopted: {
    name: 'a proposer ignores what the promises hold unless a majority says so',
    answer: (answer) =>
      answer.type === 'promised' && answer.report?.committed === false ? { ...answer, report: null } : answer,
  },

  lineageIgnored: {
    name: 'a retry does not look for its own operation',
    answer: (answer) => {
      if (answer.type !== 'promised' || answer.report === null) return answer;
      const proposal = { ...answer.report.proposal, lineage: [], lineageFrom: NO_BALLOT };
      return { ...answer, report: { ...answer.report, proposal } };
    },
  },

  foundIsChosen: {
    name: 'a retry that finds its own operation takes it as chosen',
    sent: (_farm, operation, exchange, { message }) => {
      if (message.type !== 'accept') return;
      const entry = message.proposal.lineage.find((candidate) => candidate.operation === operation.id);
      if (entry === undefined || sameBallot(entry.ballot, message.proposal.accepted)) return;
      const now = { monotonicMs: 0, wallMs: 0, isTrusted: true };
      const answer: AcceptorAnswer = {
        type: 'accepted',
        request: message.request,
        ballot: message.proposal.accepted,
      };
      for (let slot = 1; slot <= 9; slot += 1) exchange.receive({ process: -slot, slot }, answer, now);
    },
  },

  unknownIsNothing: {
    name: 'an unknown outcome is told as nothing happened',
    outcome: (outcome) => (outcome.kind === 'unknown' ? { kind: 'no-quorum' } : outcome),
  },

  readUnsettled: {
    name: 'a read takes the highest value for chosen',
    answer: (answer) =>
      answer.type === 'held' && answer.report !== null
        ? { ...answer, report: { ...answer.report, committed: true } }
        : answer,
  },

  expiredAtOnce: {
    name: 'a read says "expired" without a tombstone once S has passed',
    answersExpired: (untilMs, { wallMs, isTrusted }, maxClockSkewMs) => isTrusted && untilMs <= wallMs - maxClockSkewMs,
  },

  nackPhaseIgnored: nackPhaseIgnored(),

  unsealed: {
    name: 'a destroy that finds nothing leaves nothing',
    change: (change) => ({ ...change, seals: false }),
  },

  tombstoneWithoutHorizon: {
    name: 'a tombstone does not keep the horizon',
    acceptor: altered((record) => (record.proposal?.value === null ? { ...record, horizon: 0 } : record)),
  },

  promiseWithoutBound: {
    name: 'a promise does not raise the horizon',
    request: (request) => (request.type === 'prepare' ? { ...request, bound: 0 } : request),
  },

  barePromiseForgotten: {
    name: 'a bare promise is forgotten after S and the time-out, whatever its horizon',
    acceptor: (maxClockSkewMs) => {
      const table = new MemoryTable();
      const acceptor = new Acceptor(table, { maxClockSkewMs });
      return voter(acceptor, {
        collect(now, limit, settleDelayMs) {
          for (let shard = 0; shard < SHARDS; shard += 1) {
            for (const [key, { proposal, touchedMs }] of table.shard(shard)) {
              if (proposal === null && touchedMs + 2 * maxClockSkewMs <= now.monotonicMs) table.delete(key);
            }
          }
          return acceptor.collect(now, limit, settleDelayMs);
        },
      });
    },
  },

  floorNotRaised: {
    name: 'what is forgotten leaves no floor',
    acceptor: (maxClockSkewMs) => {
      const acceptors = new Map<string, Acceptor>();
      const acceptorOf = (key: string): Acceptor => {
        const known = acceptors.get(key) ?? new Acceptor(new MemoryTable(), { maxClockSkewMs });
        acceptors.set(key, known);
        return known;
      };
      return {
        receive: (request, now) => (!('key' in request) ? null : acceptorOf(request.key).receive(request, now)),
        collect(now, limit, settleDelayMs) {
          const unsettled: string[] = [];
          for (const [key, acceptor] of acceptors) {
            unsettled.push(...acceptor.collect(now, limit, settleDelayMs).unsettled);
            if (acceptor.size === 0) acceptors.delete(key);
          }
          return { unsettled, endless: [] };
        },
        record: (key) => acceptors.get(key)?.record(key),
        floor: NO_BALLOT,
        get size() {
          return acceptors.size;
        },
      };
    },
  },

  forgottenEarly: {
    name: 'a record is forgotten at its horizon, by clocks that differ',
    acceptor: altered((record) => ({ ...record, horizon: record.horizon - 10_000 })),
  },
} satisfies Record<string, Mutation>;

function altered(alter: (record: RegisterRecord) => RegisterRecord): (maxClockSkewMs: number) => Voter {
  return (maxClockSkewMs) => new Acceptor(new AlteredTable(alter), { maxClockSkewMs });
}

/** An acceptor with other parts put in. */
function voter(acceptor: Acceptor, parts: Partial<Pick<Voter, 'receive' | 'collect'>>): Voter {
  return {
    receive: (request, now) => acceptor.receive(request, now),
    collect: (now, limit, settleDelayMs) => acceptor.collect(now, limit, settleDelayMs),
    record: (key) => acceptor.record(key),
    get floor() {
      return acceptor.floor;
    },
    get size() {
      return acceptor.size;
    },
    ...parts,
  };
}

function ballotIgnored(): Mutation {
  const current = new Map<number, Ballot>();
  return {
    name: 'answers to an earlier ballot count for this one',
    sent(_farm, _operation, _exchange, { message }) {
      if (message.type === 'prepare') current.set(message.request, message.ballot);
    },
    answer(answer) {
      if (answer.type !== 'promised' && answer.type !== 'accepted') return answer;
      return { ...answer, ballot: current.get(answer.request) ?? answer.ballot };
    },
  };
}

/** Costs time, not safety: only a scenario shows it. */
function nackPhaseIgnored(): Mutation {
  const phases = new Map<number, 1 | 2>();
  return {
    name: 'a nack of one phase counts in the other',
    sent(_farm, _operation, _exchange, { message }) {
      if (message.type === 'prepare') phases.set(message.request, 1);
      if (message.type === 'accept') phases.set(message.request, 2);
    },
    answer: (answer) =>
      answer.type === 'nack' ? { ...answer, phase: phases.get(answer.request) ?? answer.phase } : answer,
  };
}
