import { PaxosError } from '../../lib/errors.js';
import type { FaultKind } from './plan.js';
import type { Host } from './process.js';
import type { Random } from './random.js';
import { EXPECTED } from './server.js';
import type { Simulation } from './simulation.js';

/** Calls of a burst: a few more than a process takes at a time. */
const BURST = 8300;
/** By so much later than its time-outs a call may be answered by a process that stalls or is paused. */
const STALL_MS = 15_000;

/** How long a fault lasts, in ms: from hardly to longer than every time-out. */
export function lastingOf(random: Random): number {
  return random.pick([50, 500, 2000, 6000]) * random.between(0.2, 1.8);
}

/** From one host to another. */
type Way = readonly [Host, Host];

function reversed([from, to]: Way): Way {
  return [to, from];
}

/** Lets things go wrong, one after the other and several at a time, until it is ended. */
export class Faults {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #undo = new Set<() => void>();
  #isOver = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
    this.#random = simulation.world.random.fork('faults');
  }

  begin(): void {
    const { world, plan, kept, beganMs } = this.#simulation;
    if (plan.faults.length === 0) return;
    if (kept !== null) {
      for (const { name, atMs } of kept.of('fault')) world.at(beganMs + atMs, null, () => this.#begin(name));
      for (const { name, atMs } of kept.of('burst')) world.at(beganMs + atMs, null, () => this.#burst(name));
      return;
    }
    const bursts = world.random.fork('bursts');
    if (bursts.chance(0.03)) world.after(bursts.between(0, plan.workMs), () => this.#burst('burst 1'));
    let count = 0;
    const next = (): void => {
      if (this.#isOver) return;
      count += 1;
      this.#begin(`fault ${count}`);
      world.after(this.#random.around(plan.faultMs), next);
    };
    world.after(this.#random.around(plan.faultMs), next);
  }

  #begin(name: string): void {
    const random = this.#simulation.world.random.fork(name);
    const kind = random.pick(this.#simulation.plan.faults);
    if (kind !== undefined && this.#simulation.happens(name)) this.#strike(kind, random);
  }

  /** More calls of one server at a time than it takes: all are answered, the rest is refused at once. */
  #burst(name: string): void {
    const { world, servers, plan } = this.#simulation;
    const server = world.random.fork(name).pick(servers);
    if (this.#isOver || server === undefined || !this.#simulation.happens(name)) return;
    const { process, node } = server;
    world.note(`fault: burst of ${BURST} calls at ${process.name}`);
    const call = async (key: string): Promise<void> => {
      try {
        await node.read(key);
      } catch (error) {
        const code = error instanceof PaxosError ? error.code : String(error);
        if (!EXPECTED.has(code)) this.#simulation.object(`burst: ${process.name} read ${key} failed: ${code}`);
        world.count(`burst: ${code}`);
      }
    };
    world.at(world.nowMs, process, () => {
      let left = BURST;
      const answered = (): void => {
        left -= 1;
      };
      for (let count = 1; count <= BURST; count += 1) void call(`reg/burst${count}`).then(answered);
      const look = (): void => {
        // A process that stalls at one look at the clock in thousands does so all the time now.
        if (left === 0 || plan.stallChance > 0) return;
        // After a pause its timers come first.
        if (process.nowMs - process.busyUntilMs < 2 * plan.timeoutMs) world.at(process.nowMs + 100, process, look);
        else this.#simulation.object(`burst: ${process.name} has not answered ${left} of ${BURST} calls in time`);
      };
      world.at(process.nowMs + 2 * plan.timeoutMs + STALL_MS, process, look);
    });
  }

  /** Everything heals. What is paused comes back by itself. */
  end(): void {
    this.#isOver = true;
    for (const undo of [...this.#undo]) undo();
  }

  #strike(kind: FaultKind, random: Random): void {
    const { network, servers, hosts } = this.#simulation;
    const host = random.pick(hosts);
    const server = random.pick(servers);
    if (host === undefined || server === undefined) return;
    const others = hosts.filter((each) => each !== host);
    const out = others.map((other): Way => [host, other]);
    switch (kind) {
      case 'partition': {
        const side = random.some(hosts);
        const rest = hosts.filter((each) => !side.includes(each));
        const ways = side.flatMap((a) => rest.map((b): Way => [a, b]));
        this.#cut(kind, random, [...ways, ...ways.map(reversed)]);
        return;
      }
      case 'one way':
        this.#cut(kind, random, random.some(out).slice(0, 1));
        return;
      case 'isolate':
        this.#cut(kind, random, [...out, ...out.map(reversed)]);
        return;
      case 'shun': {
        // Heard by one other only: the rest gives its slot away, and those two do not know.
        const voters = servers.filter(({ isVoter }) => isVoter).map(({ process }) => process.host);
        const shunned = random.pick(voters) ?? host;
        const rest = hosts.filter((each) => each !== shunned);
        const friend = random.pick(rest.filter((each) => !voters.includes(each))) ?? random.pick(rest);
        const ways = rest.flatMap((other): Way[] => (other === friend ? [] : [[shunned, other]]));
        this.#cut(kind, random, [...ways, ...ways.map(reversed)], random.between(3000, 20_000));
        return;
      }
      case 'usurp':
        this.#simulation.usurpations.begin(server, random, ({ process }) => this.#cutOff(process.host));
        return;
      case 'resize':
        this.#simulation.resize(server, random.pick(this.#simulation.plan.sizes) ?? 0);
        return;
      case 'deafen':
        this.#cut(kind, random, out.map(reversed));
        return;
      case 'mute':
        this.#cut(kind, random, out);
        return;
      case 'pause': {
        const ms = lastingOf(random);
        this.#say(kind, `${server.process.name} ${ms.toFixed(0)}`);
        server.process.pause(ms);
        return;
      }
      case 'freeze': {
        // About as long as a clock is believed that is not heard any more; one at a time, or they would never wake up.
        if (servers.some((each) => each.process.busyUntilMs > this.#simulation.world.nowMs + 5000)) return;
        const ms = random.between(9000, 11_000);
        this.#say(kind, `all but ${server.process.name} ${ms.toFixed(0)}`);
        for (const each of servers) if (each !== server) each.process.pause(ms);
        return;
      }
      case 'rounds ahead': {
        // A proposer that no guard holds back must not run away with the others.
        const ms = random.pick([3000, 60_000, 86_400_000]) * random.between(1, 2);
        this.#say(kind, `${server.process.name} ${ms.toFixed(0)}`);
        this.#simulation.messageFaults.runAhead(server.process, ms);
        this.#later(lastingOf(random), () => this.#simulation.messageFaults.runAhead(server.process, 0));
        return;
      }
      case 'kill all':
        // Where nothing is on disk that would be the end of the farm.
        if (!this.#simulation.plan.hasDisks) return;
        this.#say(kind, servers.map(({ process }) => process.name).join());
        for (const each of [...servers]) this.#simulation.end(each, true, random.between(0, 3000));
        return;
      case 'disk fails':
        if (!this.#simulation.plan.hasDisks || !this.#simulation.roster.mayLose(server)) return;
        this.#say(kind, server.process.name);
        this.#simulation.disks.fail(server.process);
        return;
      case 'disk lost':
        if (!this.#simulation.plan.hasDisks || !this.#simulation.roster.mayLose(server)) return;
        this.#say(kind, server.process.name);
        this.#simulation.lose(server, random.chance(0.5), random.between(0, 3000));
        return;
      case 'kill':
      case 'stop':
        if (!this.#simulation.roster.mayDie(server)) return;
        this.#say(kind, server.process.name);
        this.#simulation.end(server, kind === 'kill', random.between(0, 3000));
        return;
      case 'step of a clock': {
        const steppedMs = this.#simulation.drawOffset(random);
        if (host.isWild) return;
        this.#say(kind, `h${host.id} ${steppedMs.toFixed(0)}`);
        host.offsetMs = steppedMs;
        return;
      }
      case 'leap of a clock': {
        const wild = hosts.filter((each) => each.isWild).length;
        // A majority of clocks is right: without that nothing is promised.
        if (host.isWild || wild >= this.#simulation.mayBeWrong) return;
        const before = host.offsetMs;
        const leapMs = random.pick([3000, 30_000, 3_600_000, 86_400_000]) * random.between(-1, 1);
        this.#say(kind, `h${host.id} ${leapMs.toFixed(0)}`);
        host.isWild = true;
        host.offsetMs += leapMs;
        this.#later(lastingOf(random), () => {
          host.isWild = false;
          host.offsetMs = before;
        });
        return;
      }
      case 'weather': {
        const before = network.weather;
        network.weather = this.#simulation.drawWeather(random);
        this.#say(kind, JSON.stringify(network.weather));
        this.#later(lastingOf(random), () => {
          network.weather = before;
        });
        return;
      }
    }
  }

  /** @returns heals it before all heals */
  #cutOff(host: Host): () => void {
    const { network, hosts } = this.#simulation;
    const others = hosts.filter((each) => each !== host);
    const heals = others.flatMap(({ id }) => [network.cut(host.id, id), network.cut(id, host.id)]);
    const undo = (): void => {
      if (!this.#undo.delete(undo)) return;
      for (const heal of heals) heal();
    };
    this.#undo.add(undo);
    return undo;
  }

  #cut(kind: FaultKind, random: Random, ways: readonly Way[], lastingMs = lastingOf(random)): void {
    if (ways.length === 0) return;
    this.#say(kind, ways.map(([a, b]) => `${a.id}>${b.id}`).join());
    const heals = ways.map(([a, b]) => this.#simulation.network.cut(a.id, b.id));
    this.#later(lastingMs, () => {
      for (const heal of heals) heal();
    });
  }

  #later(lastingMs: number, heal: () => void): void {
    const undo = (): void => {
      cancel();
      if (this.#undo.delete(undo)) heal();
    };
    const cancel = this.#simulation.world.after(lastingMs, undo);
    this.#undo.add(undo);
  }

  #say(kind: FaultKind, details: string): void {
    this.#simulation.world.count(kind);
    this.#simulation.world.note(`fault: ${kind} ${details}`);
  }
}
