import {
  Acceptor,
  type AcceptorRequest,
  type Ballot,
  BallotSource,
  type Commit,
  majorityOf,
  type Prepare,
  ROUNDS_PER_MS,
} from '../../lib/paxos/index.js';
import { lastingOf } from './faults.js';
import { allOf, override } from './override.js';
import type { Process } from './process.js';
import type { Random } from './random.js';
import type { Simulation } from './simulation.js';

/**
 * Losses that a network may have, aimed at where they hurt: each phase of a ballot is heard by another quorum and no
 * more, a proposal is taken by a minority and its proposer stops there, an acceptor hears nothing of one register,
 * commits get lost. By chance alone most of them would take thousands of runs to happen at the right time.
 *
 * A message is lost before an acceptor has seen it. What a process asks its own acceptor is never lost: no network
 * lies between the two.
 */
export class MessageFaults {
  readonly #simulation: Simulation;
  readonly #names = new Map<number, Process>();
  readonly #acceptors = new WeakMap<Acceptor, Process>();
  /** By ballot: the ports of the processes whose acceptors get to see its proposal; `null` for all. */
  readonly #takers = new Map<string, ReadonlySet<number> | null>();
  readonly #prepared = new Set<string>();
  /** By phase and ballot, or by read: the ports of the processes whose acceptors hear it; `null` for all. */
  readonly #hearers = new Map<string, ReadonlySet<number> | null>();
  /** Of `port key`: until when it hears nothing. */
  readonly #deafUntilMs = new Map<string, number>();
  /** Rounds by which the ballots of a process are ahead of its clock. */
  readonly #aheadRounds = new Map<Process, number>();
  readonly #issuedAhead = new Set<string>();
  #count = 0;
  #isOver = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const faults = this;
    undo.push(
      override(
        Acceptor.prototype,
        'receive',
        (receive) =>
          function (this: Acceptor, request, now) {
            return faults.#isLost(this, request) ? null : receive.call(this, request, now);
          },
      ),
    );
    undo.push(
      override(
        Acceptor.prototype,
        'commit',
        (commit) =>
          function (this: Acceptor, message) {
            return faults.#isCommitLost(this, message) ? false : commit.call(this, message);
          },
      ),
    );
    undo.push(
      override(
        BallotSource.prototype,
        'next',
        (next) =>
          function (this: BallotSource, wallMs) {
            const { running } = faults.#simulation.world;
            if (running !== null) faults.#names.set(this.proposer, running);
            const ahead = running === null ? 0 : (faults.#aheadRounds.get(running) ?? 0);
            for (;;) {
              const ballot = next.call(this, wallMs);
              const issued = { ...ballot, round: ballot.round + ahead };
              // What it issued ahead of its time it does not issue again when that time has come.
              const name = `${issued.round}.${issued.proposer}`;
              if (faults.#issuedAhead.has(name)) continue;
              if (ahead > 0) faults.#issuedAhead.add(name);
              return issued;
            }
          },
      ),
    );
    return allOf(undo);
  }

  end(): void {
    this.#isOver = true;
  }

  /** From now on that process proposes as one does whose clock is wrong and not guarded. */
  runAhead(process: Process, ms: number): void {
    this.#aheadRounds.set(process, Math.floor(ms) * ROUNDS_PER_MS);
  }

  #isLost(acceptor: Acceptor, request: AcceptorRequest): boolean {
    const { world } = this.#simulation;
    const process = this.#acceptors.get(acceptor) ?? world.running;
    if (this.#isOver || process === null || !('key' in request) || request.key.startsWith('/')) return false;
    this.#acceptors.set(acceptor, process);
    if (this.#isDeaf(process, request)) return true;
    switch (request.type) {
      case 'prepare':
        this.#onPrepare(request);
        return this.#isDeaf(process, request) || this.#isUnheard('prepare', request.ballot, process);
      case 'accept': {
        const { round, proposer } = request.proposal.accepted;
        if (this.#names.get(proposer) === process) return false;
        const takers = this.#takersOf(`${round}.${proposer}`, proposer);
        if (takers === null) return this.#isUnheard('accept', request.proposal.accepted, process);
        if (takers.has(process.port)) return false;
        world.count('accept lost at most');
        return true;
      }
      case 'commit':
        return false;
      case 'read':
        // Nobody here knows who asks: the number of the question does for its name.
        return this.#isUnheard('read', { round: request.request, proposer: 0 }, process, request.key);
    }
  }

  /** At the first sight of a phase: which acceptors hear it? Most often just a quorum, and each time another one. */
  #isUnheard(phase: string, { round, proposer }: Ballot, process: Process, key = ''): boolean {
    const { plan, world, servers } = this.#simulation;
    const own = this.#names.get(proposer);
    if (plan.exactQuorums === 0 || own === process) return false;
    const name = `${phase} ${round}.${proposer} ${key}`;
    let hearers = this.#hearers.get(name);
    if (hearers === undefined) {
      this.#count += 1;
      const fault = `hearers ${this.#count}`;
      const random = world.random.fork(fault);
      const voters = servers.filter((server) => server.isVoter).map((server) => server.process);
      const others = voters.filter((voter) => voter !== own);
      const isHit = random.chance(plan.exactQuorums) && this.#simulation.happens(fault);
      // Of what the asker takes for one.
      const sizes = servers.find((server) => server.process === own)?.node.status().config?.sizes;
      const size = Math.max(...(sizes ?? [plan.clusterSize]));
      const needed = majorityOf(size) - (own !== undefined && voters.includes(own) ? 1 : 0);
      hearers = isHit ? new Set(drawn(others, random.chance(0.8) ? needed : null, random)) : null;
      this.#hearers.set(name, hearers);
    }
    if (hearers === null || hearers.has(process.port)) return false;
    world.count(`${phase} heard by some`);
    return true;
  }

  /** Names what may strike now; `null` if it is left out of this run. */
  #next(kind: string, proposer: number): string | null {
    const { kept, world, beganMs } = this.#simulation;
    const prefix = `${kind} ${this.#names.get(proposer)?.name}`;
    if (kept !== null) return kept.due(prefix, world.nowMs - beganMs);
    this.#count += 1;
    return `${prefix} ${this.#count}`;
  }

  #isCommitLost(acceptor: Acceptor, { key, ballot }: Commit): boolean {
    const { world, plan } = this.#simulation;
    const process = this.#acceptors.get(acceptor) ?? world.running;
    if (this.#isOver || process === null || plan.commitLoss === 0 || key.startsWith('/')) return false;
    if (this.#names.get(ballot.proposer) === process) return false;
    const name = `commit ${ballot.round}.${ballot.proposer} ${process.port}`;
    if (!world.random.fork(name).chance(plan.commitLoss)) return false;
    world.count('commit lost');
    return true;
  }

  #isDeaf(process: Process, request: { readonly key: string }): boolean {
    if (this.#deafUntilMs.size === 0) return false;
    const untilMs = this.#deafUntilMs.get(`${process.port} ${request.key}`);
    if (untilMs === undefined || untilMs <= this.#simulation.world.nowMs) return false;
    this.#simulation.world.count('register cut off');
    return true;
  }

  /** At the first sight of a ballot: shall one acceptor hear nothing of that register for a while? */
  #onPrepare({ key, ballot }: Prepare): void {
    const { plan, world, servers } = this.#simulation;
    const name = `${ballot.round}.${ballot.proposer}`;
    if (plan.deafness === 0 || this.#prepared.has(name)) return;
    this.#prepared.add(name);
    const fault = this.#next('deafness', ballot.proposer);
    if (fault === null) return;
    const random = world.random.fork(fault);
    if (!random.chance(plan.deafness)) return;
    const voters = servers.filter((server) => server.isVoter && server.process !== this.#names.get(ballot.proposer));
    const victim = random.pick(voters)?.process;
    if (victim === undefined || !this.#simulation.happens(fault)) return;
    const ms = random.chance(0.5) ? lastingOf(random) : 1.5 * plan.sessionLifeMs;
    world.note(`fault: ${victim.name} hears nothing of ${key} for ${ms.toFixed(0)}`);
    this.#deafUntilMs.set(`${victim.port} ${key}`, world.nowMs + ms);
  }

  /** At the first sight of a proposal: who gets to see it? */
  #takersOf(ballot: string, proposer: number): ReadonlySet<number> | null {
    const { plan, world, servers } = this.#simulation;
    if (plan.minorityAccepts === 0) return null;
    const known = this.#takers.get(ballot);
    if (known !== undefined) return known;
    this.#takers.set(ballot, null);
    const fault = this.#next('minority', proposer);
    if (fault === null) return null;
    const random = world.random.fork(fault);
    if (!random.chance(plan.minorityAccepts)) return null;
    const own = this.#names.get(proposer);
    const others = servers.filter((server) => server.isVoter && server.process !== own).map(({ process }) => process);
    const isOwnVoter = servers.some((server) => server.isVoter && server.process === own);
    const room = Math.floor((plan.clusterSize - 1) / 2) - (isOwnVoter ? 1 : 0);
    if (room < 0 || !this.#simulation.happens(fault)) return null;
    const takers = new Set<number>();
    for (let count = isOwnVoter ? random.integer(room + 1) : room; count > 0 && others.length > 0; count -= 1) {
      const [taker] = others.splice(random.integer(others.length), 1);
      if (taker !== undefined) takers.add(taker.port);
    }
    this.#takers.set(ballot, takers);
    world.count('minority accept');
    world.note(`fault: ${own?.name}'s ${ballot} reaches ${[...takers].join() || 'nobody'} only`);
    const server = servers.find(({ process }) => process === own);
    const fate = random.fraction();
    if (server === undefined || fate < 0.5) return takers;
    if (fate < 0.75 && plan.faults.includes('pause')) {
      server.process.pause(random.between(0.5, 3) * plan.timeoutMs);
      world.count('pause amid a write');
    } else if (fate >= 0.75 && plan.faults.includes('kill') && this.#simulation.roster.mayDie(server)) {
      this.#simulation.end(server, true, random.between(0, 3000));
      world.count('kill amid a write');
    }
    return takers;
  }
}

/** Ports of so many of them, or of any of them. */
function drawn(processes: readonly Process[], count: number | null, random: Random): number[] {
  if (count === null) return random.some(processes).map(({ port }) => port);
  const left = [...processes];
  while (left.length > count) left.splice(random.integer(left.length), 1);
  return left.map(({ port }) => port);
}
