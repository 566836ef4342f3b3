import { FAIR_WEATHER, type Weather } from './network.js';
import type { Host } from './process.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';

/** Once nothing is wrong any more, a farm is formed within that time, and the time after which a majority may do it. */
const FORMATION_MS = 30_000;
/** A clock that was wrong from the start is right that long after the troubles, at the latest. */
const WRONG_MS = 40_000;
/** How often it is looked at whether the farm is there. */
const LOOK_MS = 100;

type Trouble = 'halves' | 'one way' | 'pause' | 'kill' | 'stop';

const TROUBLES: readonly Trouble[] = ['halves', 'halves', 'one way', 'pause', 'kill', 'stop'];

/** How a farm comes up for the first time. */
interface Start {
  /** The processes are started within that time. */
  readonly spreadMs: number;
  /** For so long things go wrong, and how often. */
  readonly troubleMs: number;
  readonly everyMs: number;
  readonly troubles: readonly Trouble[];
  /** Two halves of the hosts don't hear each other at first. */
  readonly isCut: boolean;
  readonly isStormy: boolean;
  readonly isBootstrap: boolean;
  readonly formationGraceMs: number;
  /** Hosts whose clocks are wrong at first. */
  readonly wrongClocks: number;
  /** Whether those are right before the farm has to be there, or some time after. */
  readonly isMendedFirst: boolean;
  /** Learners that are there before the farm. */
  readonly earlyLearners: number;
}

/** Where nothing goes wrong at the start. */
const CALM = {
  spreadMs: 0,
  troubleMs: 0,
  everyMs: 0,
  troubles: [],
  isCut: false,
  isStormy: false,
  wrongClocks: 0,
  earlyLearners: 0,
};

/**
 * Whoever comes when there is a farm, and is cut off while it seeks, could form a second one with others like it, if they
 * are enough: that is not what is looked for. So it waits for all N, which they are not.
 */
export const LATE = { bootstrap: false, formationGraceMs: 3_600_000 };

/** Where two halves could each form a farm if it took a bare majority, and would if it were enough. */
const APART = { ...CALM, troubleMs: 3000, isCut: true, isBootstrap: false, formationGraceMs: 30_000 };

function startOf(random: Random, { clusterSize, learners, isOneLate, faults }: Simulation['plan']): Start {
  const isTroubled = faults.length > 0 && random.chance(0.4);
  const troubleMs = isTroubled ? random.pick([1000, 3000, 8000]) : 0;
  const wrong = faults.length > 0 ? random.fraction() : 1;
  const minority = Math.floor((clusterSize - 1) / 2);
  return {
    spreadMs: random.chance(0.6) ? 0 : random.pick([200, 2000, 6000]),
    troubleMs,
    everyMs: troubleMs / random.pick([2, 5, 15]),
    troubles: random.some(TROUBLES),
    isCut: isTroubled && random.chance(0.3),
    isStormy: faults.length > 0 && random.chance(0.5),
    isBootstrap: isOneLate || random.chance(0.1),
    formationGraceMs: random.pick([1000, 4000, 30_000]),
    // Where one is missing at first, the others have to do.
    wrongClocks: wrong < 0.1 && !isOneLate ? minority : wrong < 0.15 ? clusterSize : 0,
    isMendedFirst: random.chance(0.5),
    earlyLearners: random.integer(learners + 1),
  };
}

/**
 * The first start: processes come up one by one or together, some under a wrong clock, some cut off, some to end before
 * there is a farm, and are to find each other.
 */
export class Formation {
  readonly #simulation: Simulation;
  readonly #start: Start;
  readonly #random: Random;
  readonly #undo = new Set<() => void>();
  readonly #clocks = new Set<() => void>();
  /** Processes that may end though they may be named by what forms the farm: as many as it can do without. */
  #spare: number;
  #isOver = false;
  /** Processes that are to come. */
  #awaited = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.world.random.fork('formation');
    const { calmStart, apartStart } = simulation.conditions;
    this.#start = {
      ...startOf(this.#random, simulation.plan),
      ...(calmStart ? CALM : {}),
      ...(apartStart ? { ...APART, earlyLearners: simulation.plan.learners } : {}),
    };
    this.#spare = simulation.mayBeWrong;
  }

  /** What the processes are told that are started before there is a farm. */
  optionsOf({ isWild }: Host): { readonly bootstrap: boolean; readonly formationGraceMs: number } {
    const { isBootstrap, formationGraceMs, wrongClocks } = this.#start;
    // Whom the others can do without comes later, when its clock has been set right: see {@link LATE}.
    const isLate = isWild && wrongClocks <= this.#simulation.mayBeWrong;
    return isLate ? LATE : { bootstrap: isBootstrap, formationGraceMs };
  }

  /** Whether nothing goes wrong. */
  get isCalm(): boolean {
    const { troubleMs, isStormy, wrongClocks } = this.#start;
    return troubleMs + wrongClocks === 0 && !isStormy;
  }

  /** Whether a clock may have been as wrong when it was vouched for as voters' clocks may differ at most. */
  get hasWrongClocks(): boolean {
    return this.#start.wrongClocks > 0;
  }

  /** @returns whether a farm was formed in time */
  async run(weather: Weather): Promise<boolean> {
    const { world, plan, network, hosts } = this.#simulation;
    const { troubleMs, isStormy, isMendedFirst } = this.#start;
    world.note(`first start: ${JSON.stringify(this.#start)}`);
    const founders = hosts.slice(0, plan.clusterSize - (plan.isOneLate ? 1 : 0));
    const learners = hosts.slice(plan.clusterSize);
    this.#spoilClocks(founders);
    if (isStormy) network.weather = weather;
    for (const host of [...founders, ...learners.slice(0, this.#start.earlyLearners)]) this.#bringUp(host);
    this.#begin();
    while (world.nowMs < troubleMs || (this.#awaited > 0 && !this.#isFormed)) await this.#step();

    this.#isOver = true;
    for (const undo of [...this.#undo]) undo();
    if (isMendedFirst || this.#start.wrongClocks > this.#simulation.mayBeWrong) this.mend();
    network.weather = FAIR_WEATHER;
    const beganMs = world.nowMs;
    if (this.#isAstray) {
      world.count('formed under wrong clocks');
      this.#startAnew();
    }
    if (!(await this.#wait())) return false;
    this.#simulation.formed();
    for (const host of hosts.slice(founders.length, plan.clusterSize)) this.#simulation.start(host);
    for (const host of learners.slice(this.#start.earlyLearners)) this.#simulation.start(host);
    const isThere = await this.#wait();
    world.note(`formed after ${(world.nowMs - beganMs).toFixed(0)}`);
    return isThere;
  }

  /**
   * With clocks that are right, and nothing on the disks: nothing is promised of a farm before that if most were wrong when it
   * was formed, and of one whose forming is cut short some may have stored that there is one, and too few.
   */
  #startAnew(): void {
    this.mend();
    for (const server of [...this.#simulation.servers]) {
      this.#awaited += 1;
      this.#simulation.end(server, true, this.#random.between(0, 3000), () => {
        this.#awaited -= 1;
      });
      this.#simulation.roster.forget(server);
      this.#simulation.disks.lose(server.process.host, false);
    }
  }

  /** All clocks that were wrong from the start are right now. */
  mend(): void {
    for (const mend of [...this.#clocks]) mend();
  }

  async #wait(): Promise<boolean> {
    const { world } = this.#simulation;
    // Where a clock is still wrong nobody can be given a slot, perhaps: it takes a majority of the others.
    const wrongMs = this.#clocks.size > 0 ? WRONG_MS : 0;
    const untilMs = world.nowMs + FORMATION_MS + wrongMs + this.#start.formationGraceMs;
    while (!this.#isFormed && world.nowMs < untilMs) await this.#step();
    return this.#isFormed;
  }

  async #step(): Promise<void> {
    const { world, servers } = this.#simulation;
    await world.runUntil(world.nowMs + LOOK_MS);
    const serving = new Set(servers.flatMap(({ node }) => (node.status().isReady ? node.status().incarnation : [])));
    if (serving.size > 1) this.#simulation.object(`two farms serve at the same time: ${[...serving].join()}`);
  }

  /**
   * Whether most clocks were wrong when the farm was formed: they go on agreeing with one another, whatever their
   * machines show, until the processes are started anew.
   */
  get #isAstray(): boolean {
    const { servers, mayBeWrong } = this.#simulation;
    if (this.#start.wrongClocks <= mayBeWrong) return false;
    return servers.some(({ node }) => node.status().incarnation !== null);
  }

  /** All are ready, and who may vote does, as far as there are slots that nobody has held. */
  get #isFormed(): boolean {
    const { servers } = this.#simulation;
    const fit = servers.filter(({ process }) => !process.host.isWild);
    return (
      this.#awaited === 0 &&
      fit.length > 0 &&
      fit.every(({ node, mayVote, isVoter, isClockRight }) => {
        const { isReady, voters } = node.status();
        return isReady && isClockRight && (!mayVote || isVoter || voters.every(({ name }) => name !== null));
      })
    );
  }

  #bringUp(host: Host): void {
    const { spreadMs } = this.#start;
    this.#awaited += 1;
    const start = (): void => {
      this.#awaited -= 1;
      this.#simulation.start(host);
    };
    if (spreadMs === 0) start();
    else this.#simulation.world.after(this.#random.between(0, spreadMs), start);
  }

  #spoilClocks(founders: readonly Host[]): void {
    const { plan, world } = this.#simulation;
    const { wrongClocks, troubleMs } = this.#start;
    // All together are wrong by the same, or each by its own.
    const common = this.#drawError(plan.maxClockSkewMs, this.#random);
    const isCommon = this.#random.chance(0.3);
    for (const host of founders.slice(0, wrongClocks)) {
      const name = `wrong clock of h${host.id}`;
      const random = world.random.fork(name);
      const before = host.offsetMs;
      const errorMs = isCommon ? common : this.#drawError(plan.maxClockSkewMs, random);
      if (!this.#simulation.happens(name)) continue;
      world.count('wrong clock at the start');
      world.note(`h${host.id} starts ${errorMs.toFixed(0)} ms off`);
      host.offsetMs = errorMs;
      host.isWild = true;
      const mend = (): void => {
        cancel();
        if (!this.#clocks.delete(mend)) return;
        world.note(`h${host.id} has its clock set right`);
        host.offsetMs = before;
        host.isWild = false;
      };
      const cancel = world.after(random.between(0, troubleMs + WRONG_MS), mend);
      this.#clocks.add(mend);
    }
  }

  /** Off by less than what is noticed at once, about the bounds where things change, or wildly. */
  #drawError(maxClockSkewMs: number, random: Random): number {
    const sizes = [
      maxClockSkewMs * random.between(0.5, 1),
      maxClockSkewMs * random.between(1, 2),
      maxClockSkewMs + 2000 + random.between(-100, 100),
      3_600_000,
    ];
    return (random.pick(sizes) ?? 0) * (random.chance(0.5) ? 1 : -1);
  }

  #begin(): void {
    const { world, hosts } = this.#simulation;
    const { everyMs, troubles, isCut } = this.#start;
    if (isCut && this.#simulation.happens('formation fault 0')) {
      const random = world.random.fork('formation fault 0');
      this.#cut(random.some(hosts), random.between(0, 2 * this.#start.troubleMs));
    }
    if (troubles.length === 0 || everyMs === 0) return;
    let count = 0;
    const next = (): void => {
      if (this.#isOver) return;
      count += 1;
      const name = `formation fault ${count}`;
      const random = world.random.fork(name);
      const trouble = random.pick(troubles);
      if (trouble !== undefined && this.#simulation.happens(name)) this.#strike(trouble, random);
      world.after(this.#random.around(everyMs), next);
    };
    world.after(this.#random.around(everyMs), next);
  }

  #strike(trouble: Trouble, random: Random): void {
    const { hosts, servers, world } = this.#simulation;
    const server = random.pick(servers);
    const lastingMs = random.pick([50, 500, 2000, 6000]) * random.between(0.2, 1.8);
    if (server === undefined) return;
    switch (trouble) {
      case 'halves':
        this.#cut(random.some(hosts), lastingMs);
        return;
      case 'one way': {
        const other = random.pick(hosts);
        if (other !== undefined) this.#cutWays([[server.process.host, other]], lastingMs);
        return;
      }
      case 'pause':
        world.note(`fault: ${server.process.name} is paused ${lastingMs.toFixed(0)}`);
        world.count('pause at the start');
        server.process.pause(lastingMs);
        return;
      case 'kill':
      case 'stop':
        this.#end(server, trouble, random.between(0, 3000));
        return;
    }
  }

  #end(server: Server, trouble: 'kill' | 'stop', restartAfterMs: number): void {
    if (!server.isLive || !this.#mayEnd(server)) return;
    const { world } = this.#simulation;
    world.note(`fault: ${trouble} ${server.process.name}`);
    world.count(`${trouble} at the start`);
    this.#awaited += 1;
    this.#simulation.end(server, trouble === 'kill', restartAfterMs, () => {
      this.#awaited -= 1;
    });
  }

  /** Whether a majority of voters keeps its memory without that process. */
  #mayEnd({ process, mayVote }: Server): boolean {
    const { servers, plan, world } = this.#simulation;
    if (!mayVote) return true;
    const voter = servers.find((each) => each.process === process);
    if (voter !== undefined && !this.#simulation.roster.mayDie(voter)) return false;
    const farms = servers.flatMap(({ node }) => {
      const { voters } = node.status();
      return voters.length === 0 ? [] : [new Set(voters.map(({ name }) => name))];
    });
    const isEnough = (holders: ReadonlySet<string | null>): boolean =>
      servers.filter((each) => each.isLive && each.process !== process && holders.has(each.process.name)).length >
      plan.clusterSize / 2;
    if (farms.length > 0) return farms.every((holders) => !holders.has(process.name) || isEnough(holders));
    // What forms a farm names nobody who came a moment ago.
    if (world.nowMs - process.startedMs < 300) return true;
    const mayBeFew = this.#start.isBootstrap || world.nowMs > this.#start.formationGraceMs - 500;
    if (mayBeFew || this.#spare === 0) return false;
    this.#spare -= 1;
    return true;
  }

  #cut(side: readonly Host[], lastingMs: number): void {
    const rest = this.#simulation.hosts.filter((host) => !side.includes(host));
    this.#cutWays(
      side.flatMap((a) =>
        rest.flatMap((b): [Host, Host][] => [
          [a, b],
          [b, a],
        ]),
      ),
      lastingMs,
    );
  }

  #cutWays(ways: readonly (readonly [Host, Host])[], lastingMs: number): void {
    const { network, world } = this.#simulation;
    world.note(`fault: cut at the start ${ways.map(([a, b]) => `${a.id}>${b.id}`).join()}`);
    world.count('cut at the start');
    const heals = ways.map(([a, b]) => network.cut(a.id, b.id));
    const undo = (): void => {
      cancel();
      if (!this.#undo.delete(undo)) return;
      for (const heal of heals) heal();
    };
    const cancel = world.after(lastingMs, undo);
    this.#undo.add(undo);
  }
}
