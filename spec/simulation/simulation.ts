import { PaxosError } from '../../lib/errors.js';
import { majorityOf } from '../../lib/paxos/index.js';
import { Chronicle } from './chronicle.js';
import { type Conditions, planUnder, weatherUnder } from './conditions.js';
import { Disks } from './disks.js';
import { Episodes } from './episodes.js';
import { Faults } from './faults.js';
import { Formation, LATE } from './formation.js';
import { Histories } from './histories.js';
import { type Happening, Kept } from './kept.js';
import { KvClients } from './kv-clients.js';
import { MessageFaults } from './message-faults.js';
import { FAIR_WEATHER, Network, type Weather } from './network.js';
import { allOf } from './override.js';
import { type Plan, planOf } from './plan.js';
import { Host, Process } from './process.js';
import type { Random } from './random.js';
import { RegisterClients } from './register-clients.js';
import { Roster } from './roster.js';
import { EXPECTED, Server } from './server.js';
import { SessionClients } from './session-clients.js';
import { Usurpations } from './usurpations.js';
import { Vectors } from './vectors.js';
import { Witness } from './witness.js';
import { EPOCH_MS, World } from './world.js';

/** What came of a run. */
export interface Report {
  readonly seed: number;
  /** SHA-256 of all that happened. */
  readonly hash: string;
  readonly violations: readonly string[];
  readonly counts: ReadonlyMap<string, number>;
  /** Keys whose history was too tangled to be judged. */
  readonly undecided: number;
  /** Operations of the clients. */
  readonly operations: number;
  readonly virtualMs: number;
  readonly trace: string;
  /** The steps of clients, and the faults, that happened, in their order: each can be left out. */
  readonly happened: readonly Happening[];
  /** Whether the clients were still at work when the first violation was seen, or their histories were looked at. */
  readonly isBrokenAtWork: boolean;
  readonly chronicle: Chronicle | null;
}

/** How a seed is run. */
export interface Choice {
  /** Whether the whole trace is kept. */
  readonly isTraced?: boolean;
  /** Whether it is written down who said what to whom. */
  readonly isChronicled?: boolean;
  /** In place of what the seed draws. */
  readonly conditions?: Conditions;
  /** The only steps and faults that happen. The run then ends with them, or at the first violation. */
  readonly kept?: readonly Happening[];
  /** Whether it ends at the first violation, whatever is kept. */
  readonly endsAtFirst?: boolean;
  /** Whether what comes after the clients' work is looked at too; only of use beside `kept`. */
  readonly isHealed?: boolean;
  /** The network's luck is another one for each number. */
  readonly salt?: number;
}

/** Operations of the clients in a run, if they are answered fast enough for that. */
const OPERATIONS = 550;
/**
 * After the last fault: the longest pause, delay and suspicion are over, and all clocks are heard anew. Three times, since
 * a process follows its machine's clock back when the others agree, and they again when they have heard that it has.
 */
const HEALING_MS = 40_000;
/** From then on nothing goes wrong any more, though the clients are still at work. */
const PEACE = 'peace';
/** How long whoever wants another number of voters waits for it. */
const RESIZE_MS = 15_000;
/** How often it is looked at whether the last kept step is done. */
const LOOK_MS = 10;
/** By so much later than its end a value may be forgotten, beside the skew of the clocks. */
const LAG_MS = 2000;

/** One run: a farm of the real code, its clients and its faults, all made from one seed. */
export class Simulation {
  readonly world: World;
  readonly plan: Plan;
  readonly network: Network;
  readonly histories = new Histories();
  readonly hosts: Host[] = [];
  /** Those that run. */
  readonly servers: Server[] = [];
  readonly #seed: number;
  /** `null`: all that the seed draws happens. */
  readonly kept: Kept | null;
  readonly conditions: Conditions;
  readonly #isHealed: boolean;
  readonly #endsAtFirst: boolean;
  readonly #chronicle: Chronicle | null;
  readonly #happened: Happening[] = [];
  readonly #registers: RegisterClients;
  readonly #sessions: SessionClients;
  readonly #keys: KvClients;
  readonly #episodes: Episodes;
  readonly #witness: Witness;
  readonly #vectors: Vectors;
  readonly messageFaults = new MessageFaults(this);
  readonly usurpations: Usurpations;
  readonly #violations: string[] = [];
  readonly roster: Roster;
  readonly disks: Disks;
  #isWorking = false;
  /** When the clients began. */
  beganMs = 0;
  /** Clients that have steps to take, by the servers that they are clients of. */
  readonly #replaying = new Map<string, Server>();
  #restarts = 0;
  #isBrokenAtWork = false;
  readonly #formation: Formation;
  #isFormed = false;

  constructor(seed: number, choice: Choice = {}) {
    this.#seed = seed;
    this.kept = choice.kept === undefined ? null : new Kept(choice.kept);
    this.conditions = choice.conditions ?? {};
    this.#isHealed = choice.isHealed ?? true;
    this.#endsAtFirst = this.kept !== null || choice.endsAtFirst === true;
    this.world = new World(seed, choice.isTraced ?? false);
    this.#chronicle = choice.isChronicled === true ? new Chronicle(this) : null;
    this.plan = planUnder(this.conditions, planOf(this.world.random.fork('plan'), this.conditions.topic));
    this.network = new Network(this.world, choice.salt ?? 0);
    this.#witness = new Witness(
      this.world,
      (what) => this.object(what),
      () => this.#vectors.membership,
      this.plan.hasDisks,
    );
    this.disks = new Disks(
      this.world,
      () => this.isCalm,
      (process) => this.#noteSleep(process),
    );
    this.roster = new Roster(this.world, this.servers, (server) => this.plan.hasDisks && server.mayVote);
    this.#vectors = new Vectors(this.world, (what) => this.object(what));
    this.#formation = new Formation(this);
    this.usurpations = new Usurpations(this);
    this.#registers = new RegisterClients(this);
    this.#sessions = new SessionClients(this);
    this.#keys = new KvClients(this);
    this.#episodes = new Episodes(this, this.#registers, this.#sessions);
  }

  /** Whether the clients are at work. */
  get isWorking(): boolean {
    return this.#isWorking;
  }

  /** How far a clock that is trusted may be from true time: see the leaps in `faults.ts`. */
  get skewMs(): number {
    const isLeaping = this.plan.faults.includes('leap of a clock') || this.#formation.hasWrongClocks;
    return this.plan.maxClockSkewMs / 4 + (isLeaping ? this.plan.maxClockSkewMs / 2 : 0) + 100;
  }

  /** Whether nothing goes wrong in this run, so that nothing has an excuse. */
  get isCalm(): boolean {
    const { faults, badWeather, delays, stallChance, minorityAccepts, exactQuorums, deafness, commitLoss } = this.plan;
    const chances = stallChance + minorityAccepts + exactQuorums + deafness + commitLoss;
    return faults.length === 0 && !badWeather && !delays && chances === 0 && this.#formation.isCalm;
  }

  /** Hosts whose clocks may be wrong at a time. */
  get mayBeWrong(): number {
    return Math.floor((Math.min(this.plan.clusterSize, ...this.plan.sizes) - 1) / 2);
  }

  /** Has a process bring the farm to so many voters; it goes on though that process ends. */
  resize(server: Server, size: number): void {
    const { world } = this;
    if (!server.isLive || size === 0) return;
    world.count('resize');
    const fulfilled = this.roster.wish(size);
    // Whoever dies meanwhile wants nothing any more.
    world.after(RESIZE_MS, fulfilled);
    world.note(`fault: resize to ${size} by ${server.process.name}`);
    const resized = (): void => {
      fulfilled();
      world.count('resized');
      world.note(`${server.process.name} resized to ${size}`);
    };
    const failed = (error: unknown): void => {
      fulfilled();
      const code = error instanceof PaxosError ? error.code : String(error);
      world.note(`${server.process.name} resize to ${size}: ${code}`);
      if (code !== 'ERR_RESIZE_PENDING' && !EXPECTED.has(code)) this.object(`resize to ${size} failed: ${code}`);
    };
    world.at(
      world.nowMs,
      server.process,
      () => void server.node.resize(size, { timeoutMs: RESIZE_MS }).then(resized, failed),
    );
  }

  /** Whether that step or fault is not one of those left out. */
  happens(name: string): boolean {
    if (this.kept !== null && !this.kept.has(name)) return false;
    this.#happened.push({ name, atMs: this.world.nowMs });
    return true;
  }

  object(what: string): void {
    if (this.#violations.length === 0) this.#isBrokenAtWork = this.#isWorking;
    this.#violations.push(what);
    this.world.note(`VIOLATION ${what}`);
    // Whoever keeps a part of a run looks for what breaks first.
    if (this.#endsAtFirst) this.world.halt();
  }

  /** Ms by which a clock that is right may be off: two of them are within S/2 of each other, heard late and drifting. */
  drawOffset(random: Random): number {
    return random.between(-1, 1) * (this.plan.maxClockSkewMs / 5);
  }

  drawWeather(random: Random): Weather {
    const often = (values: readonly number[]): number => random.pick(values) ?? 0;
    return weatherUnder(this.conditions, {
      lossOfBroadcasts: often([0, 0, 0.02, 0.1, 0.3]),
      lossOfAnswers: often([0, 0, 0.02, 0.1, 0.3]),
      duplication: often([0, 0, 0.05, 0.3]),
      corruption: often([0, 0, 0.02]),
      misdelivery: often([0, 0, 0.3]),
      replay: often([0, 0, 0.02, 0.1]),
      meanDelayMs: often([0.2, 1, 5, 20]),
      longDelay: often([0, 0, 0.01, 0.1]),
      longDelayMs: often([50, 300, 2000]),
    });
  }

  /** Ends a process, at once or with a good-bye; another one is started in its place, of which `restarted` is told. */
  end(server: Server, isKilled: boolean, restartAfterMs: number, restarted: () => void = () => undefined): void {
    if (!server.isLive) return;
    this.#noteSleep(server.process);
    server.isStopping = true;
    const died = (): void => {
      if (server.process.isDead) return;
      server.process.isDead = true;
      this.network.drop(server.process);
      if (this.plan.hasDisks) this.disks.crash(server.process);
      for (const will of server.wills) will();
      this.servers.splice(this.servers.indexOf(server), 1);
      this.world.note(`${server.process.name} is dead`);
      if (this.conditions.restarts === false && this.#isFormed) return;
      this.#restarts += 1;
      this.world.after(restartAfterMs, () => {
        this.#restarts -= 1;
        const next = this.start(server.process.host);
        // Those that are there when the work begins are given theirs then.
        if (this.#isWorking) this.#employ(next);
        restarted();
      });
    };
    if (isKilled) {
      died();
      return;
    }
    // In the process's own time; a good-bye that takes too long is cut short.
    this.world.at(
      this.world.nowMs,
      server.process,
      () => void server.store.close().then(() => server.node.close().then(died)),
    );
    this.world.after(8000, died);
  }

  /** It votes no more; the memory that it voted with is on its disk, for whoever is started there next. */
  #noteSleep(process: Process): void {
    const server = this.servers.find((each) => each.process === process);
    if (server !== undefined) this.roster.slept(server, this.plan.hasDisks && this.disks.holdsAnything(process.host));
  }

  /** Ends a process, and what it has stored is lost or damaged. */
  lose(server: Server, isDamaged: boolean, restartAfterMs: number): void {
    this.end(server, true, restartAfterMs);
    this.roster.forget(server);
    this.disks.lose(server.process.host, isDamaged);
  }

  async run(): Promise<Report> {
    // The chronicle is nearest to the acceptor: of what the faults keep from it nothing is written down as taken in.
    const uninstall = allOf([
      this.#chronicle?.install() ?? (() => undefined),
      this.#witness.install(),
      this.#vectors.install(),
      this.roster.install(),
      this.messageFaults.install(),
      this.usurpations.install(),
    ]);
    try {
      await this.#run();
    } finally {
      uninstall();
    }
    const undecided = this.#endsAtFirst && this.#violations.length > 0 ? 0 : this.#judge();
    return {
      seed: this.#seed,
      hash: this.world.trace.digest(),
      violations: this.#violations,
      counts: this.world.counts,
      undecided,
      operations: this.#operations,
      virtualMs: this.world.nowMs,
      trace: this.world.trace.text,
      happened: this.#happened.map(({ name, atMs }) => ({ name, atMs: atMs - this.beganMs })),
      isBrokenAtWork: this.#isBrokenAtWork,
      chronicle: this.#chronicle,
    };
  }

  /** @returns how many histories are too tangled to be judged */
  #judge(): number {
    const { broken, undecided } = this.histories.judge(this.skewMs);
    for (const history of broken) this.object(`not linearizable: ${history}`);
    const ofKeys = this.#keys.judge(this.skewMs);
    for (const what of ofKeys.broken) this.object(what);
    return undecided + ofKeys.undecided;
  }

  /** Calls that the clients made of the register and of the store. */
  get #operations(): number {
    return this.world.counts.get('operations') ?? 0;
  }

  async #run(): Promise<void> {
    const { world, plan, network } = this;
    world.note(JSON.stringify(plan));
    const random = world.random.fork('simulation');
    for (let id = 1; id <= plan.clusterSize + plan.learners; id += 1) {
      const host = new Host(id, 1 + random.between(-1, 1) * 1e-4);
      host.offsetMs = this.drawOffset(random);
      this.hosts.push(host);
    }
    const drawn = plan.badWeather ? this.drawWeather(random) : FAIR_WEATHER;
    const weather = plan.delays ? { ...drawn, longDelay: 0.1, longDelayMs: 1500 } : drawn;
    const isFormed = await this.#formation.run(weather);
    if (!isFormed) this.object('no farm was formed');
    if (!isFormed || world.isHalted) return;

    this.beganMs = world.nowMs;
    network.weather = weather;
    this.#isWorking = true;
    for (const server of [...this.servers]) this.#employ(server);
    const faults = new Faults(this);
    faults.begin();
    const calm = (): void => {
      faults.end();
      this.#formation.mend();
      this.messageFaults.end();
      this.disks.end();
      this.usurpations.end();
      world.stallChance = 0;
      network.weather = FAIR_WEATHER;
      if (plan.sizes.length === 0) return;
      // When all those have given up who wanted another size.
      world.after(RESIZE_MS, () => {
        const server = this.servers.find(({ isLive }) => isLive);
        if (server !== undefined) this.resize(server, plan.clusterSize);
      });
    };
    for (const { name, atMs } of this.kept?.of(PEACE) ?? []) {
      world.at(this.beganMs + atMs, null, () => {
        if (this.happens(name)) calm();
      });
    }
    world.stallChance = plan.stallChance;
    const tooLongMs = world.nowMs + 4 * plan.workMs + 100_000;
    const lookMs = this.kept === null ? plan.workMs / 50 : LOOK_MS;
    while (!this.#isDone && world.nowMs < tooLongMs) await world.runUntil(world.nowMs + lookMs);
    if (this.#endsAtFirst && !world.isHalted) this.#judge();
    if (world.isHalted || !this.#isHealed) return;

    calm();
    // Where the faults let little happen, the rest is done in peace.
    if (this.#operations < OPERATIONS) this.happens(`${PEACE} 1`);
    while (this.kept === null && this.#operations < OPERATIONS && !world.isHalted && world.nowMs < 2 * tooLongMs)
      await world.runUntil(world.nowMs + 200);
    this.#isWorking = false;
    await world.runUntil(world.nowMs + HEALING_MS);
    if (world.isHalted) return;
    this.#checkConvergence();
    await this.#checkAnswers();
    if (world.isHalted) return;
    await this.#removeEndless();
    if (world.isHalted) return;
    if (plan.kvShare > 0) await this.#endKeys();
    if (world.isHalted) return;
    const lifeMs = Math.max(plan.longestLifeMs, plan.sessionLifeMs);
    // It is noticed, all are asked twice, and it is kept for a while still; what is half done is settled before. Each waits
    // until the key comes up again.
    const endlessMs =
      plan.endless > 0 || plan.kvShare > 0 ? 44 * plan.maxClockSkewMs + 25_000 + plan.clusterSize * 2000 : 0;
    const mortalMs = lifeMs + LAG_MS + 4 * plan.maxClockSkewMs + plan.clusterSize * 2000;
    const tooLateMs = world.nowMs + Math.max(mortalMs, endlessMs);
    // Nothing comes back by itself: what is gone need not be waited for.
    while (this.#leftovers.length > 0 && !world.isHalted && world.nowMs < tooLateMs)
      await world.runUntil(world.nowMs + 1000);
    if (world.isHalted) return;
    for (const what of this.#leftovers) this.object(what);
  }

  /** Whether the clients have done what they were to do. */
  get #isDone(): boolean {
    if (this.world.isHalted) return true;
    if (this.kept === null) return this.#operations >= OPERATIONS;
    const lastFaultMs = this.kept.of('fault').at(-1)?.atMs ?? 0;
    if (this.#restarts > 0 || this.world.nowMs < this.beganMs + lastFaultMs) return false;
    if (this.world.nowMs < this.#episodes.endMs) return false;
    return [...this.#replaying.values()].every(({ process }) => process.isDead);
  }

  /** There is a farm: whoever starts from now on is to find it. */
  formed(): void {
    this.#isFormed = true;
  }

  start(host: Host): Server {
    const process = new Process(this.world, host, host.nextPort);
    const before = this.world.running;
    this.world.running = process;
    this.world.note(`${process.name} starts`);
    // Nor are there standbys before there is a farm, unless two of them are what is looked for.
    const mayStandBy = this.#isFormed || this.conditions.apartStart === true;
    const standbys = this.plan.hasStandbys && mayStandBy ? majorityOf(this.plan.clusterSize) - 1 : 0;
    const { clusterSize, learners, sizes } = this.plan;
    const isOfMany = sizes.length > 0 && (this.#isFormed || host.id > clusterSize);
    const server = new Server(this, process, host.id <= clusterSize + (sizes.length > 0 ? learners : standbys), {
      ...(this.#isFormed || isOfMany ? LATE : this.#formation.optionsOf(host)),
      // Where the number of voters changes all may vote; none of those that come later find all N seeking.
      clusterSize: isOfMany ? clusterSize + learners : clusterSize,
    });
    this.world.running = before;
    this.servers.push(server);
    return server;
  }

  #employ(server: Server): void {
    if (this.plan.kvShare > 0 && server.isLive) {
      const random = this.world.random.fork(`watchers ${server.process.port}`);
      this.world.at(this.world.nowMs, server.process, () => this.#keys.employ(server, random));
    }
    for (let count = 0; count < this.plan.clientsPerProcess; count += 1) {
      const client = `${server.process.port}.${count + 1}`;
      void (this.kept === null ? this.#client(server, client) : this.#replay(server, client, this.kept));
    }
  }

  async #client(server: Server, name: string): Promise<void> {
    const thinking = this.world.random.fork(`client ${name}`);
    for (let count = 1; ; count += 1) {
      await server.sleep(thinking.around(this.plan.thinkMs));
      if (!this.#isWorking || server.isStopping) return;
      await this.#step(server, name, `client ${name} step ${count}`);
    }
  }

  /** The steps of one client that are kept. */
  async #replay(server: Server, name: string, kept: Kept): Promise<void> {
    this.#replaying.set(name, server);
    for (const step of kept.of(`client ${name}`)) {
      await server.sleepUntil(this.beganMs + step.atMs);
      if (!this.#isWorking || server.isStopping) break;
      await this.#step(server, name, step.name);
    }
    this.#replaying.delete(name);
  }

  async #step(server: Server, client: string, name: string): Promise<void> {
    // Each draws from its own stream, so that what is left out changes nothing of the others.
    const random = this.world.random.fork(name);
    if (!server.isClockFit || !this.happens(name)) return;
    // It goes on beside the client's next steps: as another one, or what is saved late here could be older than there.
    if (random.chance(this.plan.episodes)) this.#episodes.begin(name, random, `${client}-${name.split(' ').at(-1)}`);
    else if (random.chance(this.plan.kvShare)) await this.#keys.step(server, random);
    else if (!random.chance(this.plan.sessionShare)) await this.#registers.step(server, random);
    else await this.#sessions.step(server, random, client);
  }

  /** When faults stop, all voters come to hold the same, without any client's doing. */
  #checkConvergence(): void {
    const voters = this.servers.filter((server) => server.isLive && server.isVoter).map(({ process }) => process.name);
    const nowMs = this.world.nowMs + EPOCH_MS + 2 * this.plan.maxClockSkewMs;
    for (const what of this.#witness.apart(voters, nowMs)) this.object(`voters are apart: ${what}`);
    for (const { node, process } of this.servers) {
      const { clusterSize, resize } = node.status();
      if (clusterSize !== this.plan.clusterSize || resize !== null) {
        this.object(`${process.name} has ${clusterSize} voters, resize ${JSON.stringify(resize)}, though all is well`);
      }
    }
    const vacant = this.roster.vacancies();
    if (vacant.length > 0) this.object(`nobody votes for slot ${vacant.join()} though all is well`);
  }

  /** When faults stop, every process answers again, and nothing hangs. */
  async #checkAnswers(): Promise<void> {
    for (const server of [...this.servers]) {
      for (const label of server.pending) this.object(`${label} was never answered`);
      // It may be settling something of its own accord just now, and again later.
      // Leases are renewed, and all keys are looked at by who watches, all the time.
      const most = this.plan.kvShare > 0 ? 15 : 3;
      for (let looks = most; looks > 0 && this.#operationsOf(server) > 0; looks -= 1) {
        await this.world.runUntil(this.world.nowMs + this.plan.timeoutMs + 100);
      }
      const left = this.#operationsOf(server);
      if (left > 0) this.object(`${server.process.name} has ${left} operations left`);
      if (!server.node.status().isReady) this.object(`${server.process.name} is not ready though all is well`);
      await this.#ask(server, async () => {
        const reads = this.#registers.keys.map((key) => this.#read(server, key));
        const isWritten = await this.#registers.write(server, `reg/last${server.process.port}`);
        if (!isWritten) this.object(`${server.process.name} can't write though all is well`);
        await Promise.all([...reads, this.#sessions.checkAll(server), this.#keys.checkAll(server)]);
      });
    }
    await this.#checkAgreement();
    await this.#checkWrites();
  }

  #operationsOf({ node }: Server): number {
    const { inFlight, waiting } = node.status().operations;
    return inFlight + waiting;
  }

  /**
   * All processes read the same. Nobody writes any more: all that can happen to a value is that it ends, or that what is
   * half done takes effect when its voter is among those that answer first.
   */
  async #checkAgreement(): Promise<void> {
    const said = new Map<string, string>();
    const voters = this.servers.filter((server) => server.isVoter).map(({ process }) => process.name);
    const halfDone = this.#witness.halfDone(voters);
    for (const server of [...this.servers]) {
      await this.#ask(server, async () => {
        await Promise.all(
          this.#registers.keys.map(async (key) => {
            const output = await this.#read(server, key);
            if (output === null) return;
            const before = said.get(key) ?? output;
            if (output !== before && output !== '-' && !halfDone.has(key)) {
              this.object(`${server.process.name} reads ${output} in ${key}, others read ${before}`);
            }
            said.set(key, output);
          }),
        );
      });
    }
  }

  /** Objects if it takes longer than an operation may. */
  async #ask(server: Server, questions: () => Promise<void>): Promise<void> {
    let isAnswered = false;
    this.world.at(this.world.nowMs, server.process, async () => {
      await questions();
      isAnswered = true;
    });
    await this.world.runUntil(this.world.nowMs + this.plan.timeoutMs + 100);
    if (!isAnswered) this.object(`${server.process.name} does not answer`);
  }

  /** Every register that was in use can be written: no promise is out of everybody's reach. */
  async #checkWrites(): Promise<void> {
    const [server] = this.servers;
    if (server === undefined) return;
    const write = async (key: string): Promise<void> => {
      if (!(await this.#registers.write(server, key))) this.object(`${key} can't be written though all is well`);
    };
    this.world.at(this.world.nowMs, server.process, () => void Promise.all(this.#registers.keys.map(write)));
    await this.world.runUntil(this.world.nowMs + this.plan.timeoutMs + 100);
  }

  /** So that what lives for ever is over, too. */
  async #removeEndless(): Promise<void> {
    const [server] = this.servers;
    if (server === undefined || this.plan.endless === 0) return;
    this.world.at(this.world.nowMs, server.process, async () => {
      for (const key of await this.#registers.end(server)) this.object(`${key} can't be removed though all is well`);
    });
    await this.world.runUntil(this.world.nowMs + this.plan.timeoutMs + 100);
  }

  /** Whoever watches has been told the latest; then all keys are ended, which they are told too. */
  async #endKeys(): Promise<void> {
    const [server] = this.servers;
    if (server === undefined) return;
    await this.#have(server, () => this.#keys.checkWatchers(server));
    await this.#have(server, () => this.#keys.end(server));
    await this.#have(server, () => this.#keys.checkWatchers(server));
    await this.#have(server, () => this.#keys.close(this.servers));
  }

  /** Has a server do something that takes as long as it takes, within a minute. */
  async #have(server: Server, act: () => Promise<void>): Promise<void> {
    const { world } = this;
    let isDone = false;
    world.at(world.nowMs, server.process, async () => {
      await act();
      isDone = true;
    });
    const tooLongMs = world.nowMs + 60_000;
    while (!isDone && !world.isHalted && world.nowMs < tooLongMs) await world.runUntil(world.nowMs + 100);
    if (!isDone && !world.isHalted) this.object(`${server.process.name} is not done with its keys though all is well`);
  }

  async #read(server: Server, key: string): Promise<string | null> {
    const output = await this.#registers.read(server, key);
    if (output === null) this.object(`${server.process.name} can't read ${key} though all is well`);
    return output;
  }

  /** What is left of values that have all expired. */
  get #leftovers(): string[] {
    // A process by which keys lived is one that they could live by for as long as it is up.
    const nodes = this.plan.kvShare > 0 ? this.servers.map(({ node }) => `~node/${node.status().process}:`) : [];
    const objections: string[] = [];
    for (const { node, process, isVoter } of this.servers) {
      const { operations, network, records } = node.status();
      // What an acceptor held that has lost its slot is gone with it.
      const all = isVoter ? this.#witness.held(process.name) : [];
      const held = all.filter((what) => !nodes.some((begin) => what.startsWith(begin)));
      if (held.length > 0) objections.push(`${process.name} still holds ${held.join('; ')}`);
      if (operations.inFlight + operations.waiting > 0 && nodes.length === 0)
        objections.push(`${process.name} is still busy`);
      // The slots' registers, and the config's.
      const ofFarm = Math.max(this.plan.clusterSize, ...this.plan.sizes) + (this.plan.sizes.length > 0 ? 1 : 0);
      if (records > ofFarm + nodes.length) objections.push(`${process.name} still has ${records} records`);
      const left = (network.outbox?.waiting ?? 0) + (network.outbox?.lazy ?? 0);
      if (left > 0 && nodes.length === 0) objections.push(`${process.name} still has ${left} bytes to send`);
    }
    return objections;
  }
}
