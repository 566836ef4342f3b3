import { GuardedClock, type Membership } from '../../lib/membership/index.js';
import { Voter } from '../../lib/node/voter.js';
import {
  Acceptor,
  type AcceptorAnswer,
  type AcceptorRequest,
  type Ballot,
  BallotSource,
  ClassicRound,
  type Copy,
  compareBallots,
  formatBallot,
  higherBallot,
  isQuorum,
  isSameProposal,
  type Kept,
  NO_BALLOT,
  QuorumRead,
  type RegisterRecord,
} from '../../lib/paxos/index.js';
import { allOf, override } from './override.js';
import type { World } from './world.js';

/** What an acceptor was seen to bind itself to, its forgetting notwithstanding. */
interface Bond {
  promised: Ballot;
  readonly accepted: Set<string>;
}

/**
 * Stands beside every acceptor and proposer of the run, and objects as soon as an invariant of docs/protocol.md is
 * broken: a ballot issued twice (1), an acceptance below a promise (2), two values at one ballot (3). It believes
 * requests and answers only, never what the code under test says of itself.
 */
export class Witness {
  readonly #world: World;
  readonly #object: (what: string) => void;
  readonly #issued = new Set<string>();
  readonly #values = new Map<string, string>();
  readonly #bonds = new WeakMap<Acceptor, Map<string, Bond>>();
  /** By slot, generation and key: what was told to others, whichever process has that memory by now. */
  readonly #told = new Map<string, Ballot>();
  readonly #names = new Map<Acceptor, string>();
  readonly #slots = new Map<Acceptor, number>();
  /** By value: for which slots it was accepted. */
  readonly #votes = new Map<string, Set<number>>();
  readonly #keys = new WeakMap<QuorumRead, string>();
  readonly #isDurable: boolean;
  readonly #membership: () => Membership | undefined;
  /** What has decided in the farm so far, by config. */
  readonly #sizes = new Map<number, readonly number[]>();

  /**
   * @param membership that of the process that is running
   * @param isDurable whether memories outlive their processes: else each process's acceptor alone has its own
   */
  constructor(
    world: World,
    object: (what: string) => void,
    membership: () => Membership | undefined,
    isDurable: boolean,
  ) {
    this.#isDurable = isDurable;
    this.#world = world;
    this.#object = object;
    this.#membership = membership;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const witness = this;
    undo.push(
      override(
        Acceptor.prototype,
        'receive',
        (receive) =>
          function (this: Acceptor, request, now) {
            const before = 'key' in request ? this.record(request.key) : undefined;
            const answer = receive.call(this, request, now);
            witness.#heard(this, request, answer);
            witness.#checkTold(request, answer, before);
            return answer;
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'install',
        (install) =>
          function (this: Acceptor, copy, now) {
            const isNews = install.call(this, copy, now);
            if (isNews) witness.#installed(this, copy);
            return isNews;
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'absorb',
        (absorb) =>
          function (this: Acceptor, kept, now) {
            absorb.call(this, kept, now);
            witness.#absorbed(this, kept);
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
            witness.#recovered(this);
          },
      ),
    );
    undo.push(
      override(
        Voter.prototype,
        'ask',
        (ask) =>
          function (this: Voter, request, now, deliver) {
            ask.call(this, request, now, (answer) => {
              witness.#telling(request, answer);
              deliver(answer);
            });
          },
      ),
    );
    undo.push(
      override(
        QuorumRead.prototype,
        'start',
        (start) =>
          function (this: QuorumRead, now) {
            const outgoing = start.call(this, now);
            if (outgoing?.message.type === 'read') witness.#keys.set(this, outgoing.message.key);
            return outgoing;
          },
      ),
    );
    undo.push(
      override(
        QuorumRead.prototype,
        'receive',
        (receiveReport) =>
          function (this: QuorumRead, from, answer, now) {
            const outgoing = receiveReport.call(this, from, answer, now);
            const proposal = this.outcome?.kind === 'chosen' ? this.outcome.proposal : null;
            if (proposal !== null) witness.#chosen(witness.#keys.get(this) ?? '', proposal.accepted);
            return outgoing;
          },
      ),
    );
    undo.push(
      override(
        ClassicRound.prototype,
        'receive',
        (receiveAnswer) =>
          function (this: ClassicRound, from, answer, now) {
            const outgoing = receiveAnswer.call(this, from, answer, now);
            const commit = this.outcome?.kind === 'chosen' ? this.outcome.commit : null;
            if (commit !== null) witness.#chosen(commit.key, commit.ballot);
            return outgoing;
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
            witness.#issue(ballot);
            return ballot;
          },
      ),
    );
    undo.push(
      override(
        GuardedClock.prototype,
        'check',
        (check) =>
          function (this: GuardedClock, ...seen) {
            const opinion = check.apply(this, seen);
            witness.#vouched(opinion.isTrusted);
            return opinion;
          },
      ),
    );
    return allOf(undo);
  }

  /** What a process's acceptor still holds of all that it was asked for, but for who holds the slots. */
  held(process: string): string[] {
    return this.#current([process]).flatMap((acceptor) => {
      return [...(this.#bonds.get(acceptor)?.keys() ?? [])].flatMap((key) => {
        const record = acceptor.record(key);
        if (record === undefined || key.startsWith('/')) return [];
        const { promised, proposal, committed, horizon } = record;
        const value = proposal === null ? 'a promise' : describeValue(proposal.value);
        return [`${key}: ${value} at ${formatBallot(promised)}${committed ? ' committed' : ''} until ${horizon}`];
      });
    });
  }

  /**
   * Registers of which some of these processes' acceptors lack what others know to be chosen, for values that live on.
   * Where something is half done they may differ until somebody asks.
   */
  apart(processes: readonly string[], livesAtMs: number): string[] {
    const acceptors = this.#current(processes);
    const keys = new Set(acceptors.flatMap((acceptor) => [...(this.#bonds.get(acceptor)?.keys() ?? [])]));
    return [...keys].flatMap((key) => {
      const records = acceptors.map((acceptor) => acceptor.record(key));
      const latest = records.reduce<RegisterRecord | undefined>(later, undefined);
      const isSettled = records.every((record) => record?.proposal == null || record.committed);
      if (!isSettled || latest?.proposal?.value == null || latest.proposal.until <= livesAtMs) return [];
      const { accepted } = latest.proposal;
      const lacking = acceptors.filter((_, index) => {
        const held = records[index]?.proposal?.accepted;
        return held === undefined || compareBallots(held, accepted) !== 0;
      });
      const names = lacking.map((acceptor) => this.#names.get(acceptor));
      return lacking.length === 0 ? [] : [`${key} at ${formatBallot(accepted)}: not at ${names.join()}`];
    });
  }

  /** Keys of which one of those processes' acceptors holds a value that it does not know to be chosen. */
  halfDone(processes: readonly string[]): Set<string> {
    const acceptors = this.#current(processes);
    const keys = acceptors.flatMap((acceptor) =>
      [...(this.#bonds.get(acceptor)?.keys() ?? [])].filter((key) => acceptor.record(key)?.committed === false),
    );
    return new Set(keys);
  }

  /** The acceptors of those processes: of one that has lost its slot and got another, the latest. */
  #current(processes: readonly string[]): Acceptor[] {
    const latest = new Map([...this.#names].map(([acceptor, name]) => [name, acceptor]));
    return processes.flatMap((process) => latest.get(process) ?? []);
  }

  #vouched(isTrusted: boolean): void {
    const process = this.#world.running;
    if (process === null) return;
    if (process.isClockTrusted && !isTrusted) process.lapses += 1;
    process.isClockTrusted = isTrusted;
  }

  #issue(ballot: Ballot): void {
    const name = nameOf(ballot);
    if (this.#issued.has(name)) this.#object(`ballot ${formatBallot(ballot)} was issued twice`);
    this.#issued.add(name);
  }

  #heard(acceptor: Acceptor, request: AcceptorRequest, answer: AcceptorAnswer | null): void {
    this.#tell(acceptor, request, answer);
    if (request.type === 'prepare' && answer?.type === 'promised') {
      const bond = this.#bond(acceptor, request.key);
      if (compareBallots(request.ballot, bond.promised) < 0) this.#object(`${request.key}: promised below a promise`);
      bond.promised = higherBallot(bond.promised, request.ballot);
    }
    if (request.type !== 'accept' || answer?.type !== 'accepted') return;
    const { key, proposal } = request;
    const name = `${key} ${nameOf(proposal.accepted)}`;
    const bytes = proposal.value === null ? '-' : Buffer.from(proposal.value).toString('latin1');
    const value = `${proposal.operation} ${proposal.until} ${bytes}`;
    const known = this.#values.get(name);
    if (known !== undefined && known !== value)
      this.#object(`${key}: two values at ${formatBallot(proposal.accepted)}`);
    this.#values.set(name, value);
    const bond = this.#bond(acceptor, key);
    if (!bond.accepted.has(name) && compareBallots(proposal.accepted, bond.promised) < 0) {
      this.#object(`${key}: accepted ${formatBallot(proposal.accepted)} below ${formatBallot(bond.promised)}`);
    }
    bond.accepted.add(name);
    bond.promised = higherBallot(bond.promised, proposal.accepted);
    this.#vote(acceptor, name);
  }

  /** A promise that was told binds whoever goes on with that memory after a crash. */
  #telling(request: AcceptorRequest, answer: AcceptorAnswer): void {
    const ballot = ballotOf(request, answer);
    const place = this.#placeOf(request);
    if (ballot === null || place === null) return;
    this.#told.set(place, higherBallot(this.#told.get(place) ?? NO_BALLOT, ballot));
  }

  #checkTold(request: AcceptorRequest, answer: AcceptorAnswer | null, before: RegisterRecord | undefined): void {
    if (request.type !== 'accept' || answer?.type !== 'accepted') return;
    const { accepted, operation } = request.proposal;
    // What it holds already it accepts whatever it has promised since.
    if (before?.proposal != null && isSameProposal(before.proposal, accepted, operation)) return;
    const place = this.#placeOf(request);
    const told = (place !== null && this.#told.get(place)) || NO_BALLOT;
    if (compareBallots(accepted, told) >= 0) return;
    this.#object(`${place}: accepted ${formatBallot(accepted)}, and had told ${formatBallot(told)}`);
  }

  /** Names the memory that is asked, whichever process has it, and the key; `null` where it ends with its process. */
  #placeOf(request: AcceptorRequest): string | null {
    const membership = this.#isDurable && 'key' in request ? this.#running : undefined;
    if (membership === undefined || membership.slot === 0 || !('key' in request)) return null;
    const { slot, view } = membership;
    return `${view?.incarnation}/${slot}/${view?.holders[slot - 1]?.generation ?? 0}/${request.key}`;
  }

  /** An acceptor is bound to what it takes over on behalf of its slot as if it had been asked itself. */
  #absorbed(acceptor: Acceptor, { key, promised, proposal }: Kept): void {
    this.#name(acceptor);
    this.#world.count('recovered');
    const bond = this.#bond(acceptor, key);
    bond.promised = higherBallot(bond.promised, promised);
    if (proposal !== null) bond.accepted.add(`${key} ${nameOf(proposal.accepted)}`);
    // Of one that votes meanwhile it is as if it had been asked to accept it now.
    if (this.#running?.phase === 'voter') this.#count(acceptor, key);
  }

  get #running(): Membership | undefined {
    const membership = this.#membership();
    const config = membership?.config;
    if (config != null) this.#sizes.set(config.version, config.sizes);
    return membership;
  }

  /**
   * It votes from now on. What it has taken over counts as accepted for its slot only where nothing higher was promised:
   * the holder before may have promised that, and the slot could not have accepted the value any more.
   */
  #recovered(acceptor: Acceptor): void {
    for (const key of this.#bonds.get(acceptor)?.keys() ?? []) this.#count(acceptor, key);
  }

  #count(acceptor: Acceptor, key: string): void {
    const record = acceptor.record(key);
    if (record?.proposal == null || compareBallots(record.promised, record.proposal.accepted) > 0) return;
    this.#vote(acceptor, `${key} ${nameOf(record.proposal.accepted)}`);
  }

  /** Somebody acts on it that a value is chosen. */
  #chosen(key: string, ballot: Ballot): void {
    const slots = [...(this.#votes.get(`${key} ${nameOf(ballot)}`) ?? [])];
    const sizes = this.#running?.config?.sizes ?? [];
    if (isQuorum(sizes, slots) || this.#wasChosen(slots)) return;
    this.#object(`${key}: ${formatBallot(ballot)} is taken for chosen by slots ${slots.join()} of ${sizes.join()}`);
  }

  /** Whether those were enough under any config. */
  #wasChosen(slots: readonly number[]): boolean {
    return [...this.#sizes.values()].some((sizes) => isQuorum(sizes, slots));
  }

  #vote(acceptor: Acceptor, name: string): void {
    const slot = this.#slots.get(acceptor);
    if (slot === undefined) return;
    const votes = this.#votes.get(name) ?? new Set();
    this.#votes.set(name, votes.add(slot));
  }

  /** @returns the name of the acceptor's process */
  #name(acceptor: Acceptor): string {
    const known = this.#names.get(acceptor);
    if (known !== undefined) return known;
    // What an earlier process had stored is there before its place is, and in nobody's event.
    const { running } = this.#world;
    if (running === null) return '?';
    this.#names.set(acceptor, running.name);
    this.#slots.set(acceptor, this.#running?.slot ?? 0);
    return running.name;
  }

  /** What one acceptor takes over from another has to be chosen, whatever those two say. */
  #installed(acceptor: Acceptor, { key, proposal }: Copy): void {
    const { accepted } = proposal;
    this.#world.count('copied');
    this.#world.note(`${this.#names.get(acceptor)}: takes over ${key} ${formatBallot(accepted)}`);
    const name = `${key} ${nameOf(accepted)}`;
    if (!this.#wasChosen([...(this.#votes.get(name) ?? [])])) {
      this.#object(`${key}: ${formatBallot(accepted)} was taken over, and was never chosen`);
    }
    const bond = this.#bond(acceptor, key);
    const record = acceptor.record(key);
    if (record !== undefined && compareBallots(record.promised, bond.promised) < 0) {
      this.#object(`${key}: a promise was lowered by what was taken over`);
    }
    bond.accepted.add(name);
    bond.promised = higherBallot(bond.promised, accepted);
  }

  #bond(acceptor: Acceptor, key: string): Bond {
    const bonds = this.#bonds.get(acceptor) ?? new Map<string, Bond>();
    this.#bonds.set(acceptor, bonds);
    const bond = bonds.get(key) ?? { promised: NO_BALLOT, accepted: new Set() };
    bonds.set(key, bond);
    return bond;
  }

  #tell(acceptor: Acceptor, request: AcceptorRequest, answer: AcceptorAnswer | null): void {
    // What is kept of a lost slot for its next holder is asked for nothing else: it is not the acceptor of its process.
    const isLegacy = request.type === 'transfer' && !this.#names.has(acceptor);
    const name = isLegacy ? this.#world.running?.name : this.#name(acceptor);
    this.#world.note(`${name}: ${describeRequest(request)} -> ${answer === null ? '' : describeAnswer(answer)}`);
  }
}

function later(one: RegisterRecord | undefined, other: RegisterRecord | undefined): RegisterRecord | undefined {
  if (one?.proposal == null) return other;
  if (other?.proposal == null) return one;
  return compareBallots(one.proposal.accepted, other.proposal.accepted) < 0 ? other : one;
}

/** The ballot that an acceptor binds itself to by that answer. */
function ballotOf(request: AcceptorRequest, answer: AcceptorAnswer): Ballot | null {
  if (request.type === 'prepare' && answer.type === 'promised') return request.ballot;
  return request.type === 'accept' && answer.type === 'accepted' ? request.proposal.accepted : null;
}

function nameOf({ round, proposer }: Ballot): string {
  return `${round}.${proposer}`;
}

function describeValue(value: Uint8Array | null): string {
  return value === null ? 'nothing' : JSON.stringify(Buffer.from(value).toString().slice(0, 60));
}

function describeRequest(request: AcceptorRequest): string {
  switch (request.type) {
    case 'prepare':
      return `prepare ${request.key} ${formatBallot(request.ballot)} bound ${request.bound}`;
    case 'accept': {
      const { accepted, value, until, operation } = request.proposal;
      return `accept ${request.key} ${formatBallot(accepted)} ${describeValue(value)} until ${until} by ${operation}`;
    }
    case 'read':
      return `read ${request.key}`;
    case 'commit':
      return `commit ${request.key} ${formatBallot(request.ballot)}`;
    case 'enumerate':
      return `enumerate ${request.prefix} ${request.shard}`;
    case 'compare':
      return 'compare';
    case 'pull':
      return `pull ${request.keys.join()}`;
    case 'transfer':
      return `transfer ${request.shard} ${request.after}${request.isByName === true ? ' by name' : ''}`;
  }
}

function describeAnswer(answer: AcceptorAnswer): string {
  switch (answer.type) {
    case 'promised':
    case 'held': {
      if (answer.report === null) return `${answer.type} nothing`;
      const { proposal, committed, isHeld } = answer.report;
      const value = isHeld ? 'the same' : describeValue(proposal.value);
      return `${answer.type} ${formatBallot(proposal.accepted)} ${value}${committed ? ' committed' : ''}`;
    }
    case 'nack':
      return `nack ${answer.reason} ${formatBallot(answer.promised)}`;
    case 'accepted':
      return 'accepted';
    case 'enumerated':
      return `${answer.keys.length} keys`;
    case 'differs':
      return `differs in ${answer.shards.length} shards`;
    case 'pulled':
      return `copies of ${answer.copies.map(({ key, proposal }) => `${key} ${formatBallot(proposal.accepted)}`).join()}`;
    case 'transferred':
      return `${answer.records.length} records, floor ${formatBallot(answer.floor)}`;
    case 'named':
      return `${answer.names.length} names, floor ${formatBallot(answer.floor)}`;
  }
}
