import { Membership } from '../../lib/membership/index.js';
import { Operations } from '../../lib/node/operations.js';
import { Recoverer } from '../../lib/node/recoverer.js';
import { Voter } from '../../lib/node/voter.js';
import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Answerer,
  type Ballot,
  BallotSource,
  ClassicRound,
  type Commit,
  compareBallots,
  FOREVER,
  isQuorum,
  NO_BALLOT,
  RecordTransfer,
  SHARDS,
} from '../../lib/paxos/index.js';
import { allOf, override, overrideGetter } from './override.js';
import type { Process } from './process.js';
import type { World } from './world.js';

/** What an acceptor was bound to when it began to be read for a recovery. */
interface Reading {
  /** Names what it knew of the slots' holders. */
  readonly vector: number;
  /** By key. */
  readonly bonds: ReadonlyMap<string, Bond>;
  /** As it was when the last record had been read; `null` before that. */
  floor: Ballot | null;
}

interface Bond {
  readonly promised: Ballot;
  readonly accepted: Ballot;
  readonly horizon: number;
}

/** What a recovery has read to its end: which slot's acceptor, and by which question. */
interface Read {
  readonly slot: number;
  readonly reading: string;
}

/**
 * Objects where what the safety of slots that change hands rests on does not hold (docs/protocol.md, "Slots that change
 * hands"), long before that shows: answers of one quorum that were given under several vectors; a process that votes
 * without being bound to all that a majority of others was bound to when they were read, each of which knew by then that
 * the slot had changed hands.
 */
export class Vectors {
  readonly #world: World;
  readonly #object: (what: string) => void;
  readonly #memberships = new Map<Process, Membership>();
  /** By slot, formation and generation: the process that holds it. */
  readonly #holders = new Map<string, number>();
  /** The vectors under which that was looked at last. */
  readonly #checked = new WeakMap<Membership, number>();
  readonly #keys = new WeakMap<Acceptor, Set<string>>();
  /** By the number of the process read from and the question: several, where it was asked twice, or others have asked under that number. */
  readonly #readings = new Map<string, Reading[]>();
  readonly #reads = new Map<Process, Read[]>();
  /** By ballot: the vector under which it was issued. */
  readonly #issued = new Map<string, number>();
  /** By phase, ballot and answerer: the vectors under which it was answered. */
  readonly #answered = new Map<string, Set<number>>();

  constructor(world: World, object: (what: string) => void) {
    this.#world = world;
    this.#object = object;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const vectors = this;
    const world = this.#world;
    // Asked for at each question and answer, so the first of them finds it: a process that goes on with what was stored
    // starts in nobody's event.
    undo.push(
      overrideGetter(
        Membership.prototype,
        'vector',
        (getVector) =>
          function (this: Membership) {
            if (world.running !== null) vectors.#memberships.set(world.running, this);
            return getVector.call(this);
          },
      ),
    );
    undo.push(
      override(
        Membership.prototype,
        'tick',
        (tick) =>
          function (this: Membership, now) {
            if (world.running !== null) vectors.#memberships.set(world.running, this);
            vectors.#checkHolders(this);
            return tick.call(this, now);
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'receive',
        (receive) =>
          function (this: Acceptor, request, now) {
            vectors.#asked(this, request);
            const answer = receive.call(this, request, now);
            vectors.#answers(this, request, answer);
            return answer;
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'absorb',
        (absorb) =>
          function (this: Acceptor, kept, now) {
            vectors.#keysOf(this).add(kept.key);
            absorb.call(this, kept, now);
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'install',
        (install) =>
          function (this: Acceptor, copy, now) {
            vectors.#keysOf(this).add(copy.key);
            return install.call(this, copy, now);
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'raiseFloor',
        (raiseFloor) =>
          function (this: Acceptor, floor) {
            raiseFloor.call(this, floor);
            if (isRecovery) vectors.#recovered(this);
          },
      ),
    );
    // What was stored, or is kept for a successor, gets its floor otherwise.
    let isRecovery = false;
    undo.push(
      override(
        Voter.prototype,
        'raiseFloor',
        (raiseVoters) =>
          function (this: Voter, floor) {
            isRecovery = true;
            raiseVoters.call(this, floor);
            isRecovery = false;
          },
      ),
    );
    undo.push(
      override(
        Operations.prototype,
        'receive',
        (receiveAnswer) =>
          function (this: Operations, from, answer) {
            vectors.#taken(from, answer);
            return receiveAnswer.call(this, from, answer);
          },
      ),
    );
    undo.push(
      override(
        RecordTransfer.prototype,
        'receive',
        (receivePage) =>
          function (this: RecordTransfer, from, answer, now) {
            receivePage.call(this, from, answer, now);
            if (this.isOver) vectors.#read(this.slot, this.request);
            return null;
          },
      ),
    );
    undo.push(
      override(
        Recoverer.prototype,
        'begin',
        (begin) =>
          function (this: Recoverer) {
            if (world.running !== null) vectors.#reads.delete(world.running);
            begin.call(this);
          },
      ),
    );
    undo.push(
      override(
        Recoverer.prototype,
        'copy',
        (copy) =>
          function (this: Recoverer) {
            if (world.running !== null) vectors.#reads.delete(world.running);
            copy.call(this);
          },
      ),
    );
    undo.push(
      override(
        BallotSource.prototype,
        'next',
        (next) =>
          function (this: BallotSource, wallMs) {
            const ballot = next.call(this, wallMs);
            const { membership } = vectors;
            // As it starts from what was stored, a process issues one in nobody's event.
            if (membership !== undefined) vectors.#issued.set(nameOf(ballot), membership.vector);
            return ballot;
          },
      ),
    );
    undo.push(
      override(
        ClassicRound.prototype,
        'receive',
        (receive) =>
          function (this: ClassicRound, from, answer, now) {
            const outgoing = receive.call(this, from, answer, now);
            if (this.outcome?.kind === 'chosen') vectors.#decided(this.outcome.commit);
            return outgoing;
          },
      ),
    );
    return allOf(undo);
  }

  /** The running process's. */
  get membership(): Membership | undefined {
    const { running } = this.#world;
    return running === null ? undefined : this.#memberships.get(running);
  }

  /** By which views name the running process: one that goes on with another's memory has that one's. */
  get #number(): number {
    return this.membership?.number ?? 0;
  }

  /** A generation of a slot is one process's, whoever knows of it. */
  #checkHolders(membership: Membership): void {
    if (membership.view === null || this.#checked.get(membership) === membership.vector) return;
    this.#checked.set(membership, membership.vector);
    const { incarnation, holders } = membership.view;
    for (const [index, holder] of holders.entries()) {
      if (holder === null) continue;
      const place = `slot ${index + 1} of ${incarnation} in generation ${holder.generation}`;
      const known = this.#holders.get(place) ?? holder.process;
      this.#holders.set(place, known);
      if (known !== holder.process) this.#object(`${place} is held by two processes`);
    }
  }

  #keysOf(acceptor: Acceptor): Set<string> {
    const keys = this.#keys.get(acceptor) ?? new Set();
    this.#keys.set(acceptor, keys);
    return keys;
  }

  #asked(acceptor: Acceptor, request: AcceptorRequest): void {
    if (request.type === 'prepare' || request.type === 'accept') this.#keysOf(acceptor).add(request.key);
    if (request.type !== 'transfer' || request.shard !== 0 || request.after !== '') return;
    const bonds = [...this.#keysOf(acceptor)].flatMap((key): [string, Bond][] => {
      const record = acceptor.record(key);
      if (record === undefined) return [];
      const { promised, proposal, horizon } = record;
      return [[key, { promised, accepted: proposal?.accepted ?? NO_BALLOT, horizon }]];
    });
    const name = `${this.#number} ${request.request}`;
    const reading = { vector: this.membership?.vector ?? 0, bonds: new Map(bonds), floor: null };
    this.#readings.set(name, [...(this.#readings.get(name) ?? []), reading]);
  }

  #answers(acceptor: Acceptor, request: AcceptorRequest, answer: AcceptorAnswer | null): void {
    const name = this.#number;
    const isPage = answer?.type === 'transferred' || answer?.type === 'named';
    if (request.type === 'transfer' && isPage && answer.nextShard >= SHARDS) {
      for (const reading of this.#readings.get(`${name} ${request.request}`) ?? []) reading.floor ??= acceptor.floor;
    }
    if (answer?.type !== 'promised' && answer?.type !== 'accepted') return;
    const what = `${answer.type} ${nameOf(answer.ballot)} ${name}`;
    this.#answered.set(what, (this.#answered.get(what) ?? new Set()).add(this.membership?.vector ?? 0));
  }

  /** A proposer takes an answer: to a ballot that it issued under the vector under which it was answered. */
  #taken({ slot }: Answerer, answer: AcceptorAnswer): void {
    const own = this.membership;
    if (own === undefined || (answer.type !== 'promised' && answer.type !== 'accepted')) return;
    // What was issued under an older vector counts no more, and of some it is not known.
    if (this.#issued.get(nameOf(answer.ballot)) !== own.vector) return;
    const holder = own.view?.holders[slot - 1];
    const under = this.#answered.get(`${answer.type} ${nameOf(answer.ballot)} ${holder?.process}`);
    if (under === undefined || under.has(own.vector)) return;
    this.#object(`${this.#world.running?.name} counts what ${holder?.name} answered under another vector`);
  }

  /** What a round of the running process has written: by answers of the voters that there have been since its ballot. */
  #decided(commit: Commit | null): void {
    const own = this.membership;
    // What was found is told, too: under whichever vector it was decided.
    if (own === undefined || commit === null || commit.effect === 'none') return;
    const issued = this.#issued.get(nameOf(commit.ballot));
    if (issued === undefined || issued === own.vector) return;
    this.#object(`${this.#world.running?.name} has decided what it began under another vector`);
  }

  #read(slot: number, request: number): void {
    const { running } = this.#world;
    const reading = `${this.membership?.view?.holders[slot - 1]?.process} ${request}`;
    const reads = running === null ? undefined : (this.#reads.get(running) ?? []);
    if (running === null || reads === undefined || reads.some((each) => each.reading === reading)) return;
    this.#reads.set(running, [...reads, { slot, reading }]);
  }

  /** It votes from now on. */
  #recovered(acceptor: Acceptor): void {
    const { running } = this.#world;
    const own = this.membership;
    if (running === null || own === undefined) return;
    const reads = this.#reads.get(running) ?? [];
    const { sizes } = own.config ?? { sizes: [] };
    const others = new Set(reads.flatMap(({ slot }) => (slot === own.slot ? [] : [slot])));
    // Whoever votes already reads what the size before holds: a majority of that, itself included.
    const isEnough = own.votingSlot > 0 ? isQuorum(sizes.slice(0, 1), [...others, own.slot]) : isQuorum(sizes, others);
    // The process that held the slot before has all of its memory, and holds none any more.
    if (!others.has(0) && !isEnough) {
      this.#object(`${running.name} votes for slot ${own.slot} with the memory of slots ${[...others].join()}`);
    }
    for (const { reading } of reads) {
      const lacks = (this.#readings.get(reading) ?? []).map((each) => lackOf(acceptor, own.vector, each));
      const lack = lacks.at(-1);
      if (lack != null && !lacks.includes(null)) {
        this.#object(`${running.name} votes for slot ${own.slot}, and has read ${reading} ${lack}`);
      }
    }
  }
}

/** What an acceptor lacks of what another one was bound to; `null` if nothing. */
function lackOf(acceptor: Acceptor, vector: number, reading: Reading): string | null {
  if (reading.vector !== vector) return 'under another vector';
  if (reading.floor !== null && compareBallots(acceptor.floor, reading.floor) < 0) return 'without its floor';
  for (const [key, { promised, accepted, horizon }] of reading.bonds) {
    // It has been forgotten meanwhile, perhaps: then it was over.
    if (compareBallots(acceptor.floor, promised) >= 0) continue;
    const record = acceptor.record(key);
    if (record === undefined || compareBallots(record.promised, promised) < 0) return `without its promise of ${key}`;
    if (compareBallots(record.proposal?.accepted ?? NO_BALLOT, accepted) < 0) return `without its value of ${key}`;
    // All voters were past a tombstone without an end, perhaps, and it was given one.
    const isReleased = horizon === FOREVER && record.proposal?.value === null;
    if (record.horizon < horizon && !isReleased) return `without its horizon of ${key}`;
  }
  return null;
}

function nameOf({ round, proposer }: Ballot): string {
  return `${round}.${proposer}`;
}
