import { type Config, configOf, type Holder, Membership, type View } from '../../lib/membership/index.js';
import { Patience } from '../../lib/membership/peers.js';
import { allOf, override } from './override.js';
import type { Process } from './process.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';

/** So long a voter is cut off at most until its slot has gone to another one. */
const MAX_CUT_MS = 20_000;

/** That a slot has changed hands, and who does not hear of it. */
interface Secret {
  readonly slot: number;
  readonly generation: number;
  readonly deaf: ReadonlySet<Process>;
}

/**
 * Voters whose slots go to others while they live on. Each is cut off just until its slot is claimed; then it is back, and
 * for a while it and some of the others hear nothing of the new holder: they count answers under the older vector, while
 * the rest is read for the recovery and goes on under the newer one. By chance alone the old holder is hardly ever heard
 * in those few ms.
 *
 * What is lost is a hello or a vouch as a whole, and it is lost before the membership has seen it. What came with it in
 * one datagram is not: nothing rests on how messages are packed.
 */
export class Usurpations {
  readonly #simulation: Simulation;
  /** By slot that a voter was cut off for: what happens once it is given away. */
  readonly #awaited = new Map<number, (claimant: Process, holder: Holder) => void>();
  readonly #secrets = new Set<Secret>();
  /** Configs that have been agreed on, and who does not hear of them. */
  readonly #secretConfigs = new Set<{ readonly version: number; readonly deaf: ReadonlySet<Process> }>();
  #newestConfig = 0;
  #isOver = false;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const usurpations = this;
    const { world, plan } = this.#simulation;
    undo.push(
      override(
        Membership.prototype,
        'claimed',
        (claimed) =>
          function (this: Membership, claim, now) {
            const { slot, holder } = claim;
            if (world.running?.name === holder.name) usurpations.#decided(slot, holder, world.running);
            return claimed.call(this, claim, now);
          },
      ),
    );
    undo.push(
      override(
        Membership.prototype,
        'configured',
        (configured) =>
          function (this: Membership, config, now) {
            usurpations.#configured(config);
            return configured.call(this, config, now);
          },
      ),
    );
    undo.push(
      override(
        Membership.prototype,
        'receive',
        (receive) =>
          function (this: Membership, from, message, now) {
            const view = message.type === 'hello' || message.type === 'vouch' ? message.view : null;
            return usurpations.#isSecret(this.view, view) ? [] : receive.call(this, from, message, now);
          },
      ),
    );
    if (plan.patienceMs > 0) undo.push(override(Patience.prototype, 'ms', () => () => plan.patienceMs));
    return allOf(undo);
  }

  /** @param cut cuts that server's host off. @returns whether it came to that */
  begin(server: Server, random: Random, cut: (server: Server) => () => void): boolean {
    const { slot } = server.node.status();
    const { roster, world, mayBeWrong } = this.#simulation;
    // Of more than a minority that is cut off nobody's slot is ever given away.
    if (this.#isOver || !server.isVoter || this.#awaited.has(slot) || this.#awaited.size >= mayBeWrong) return false;
    if (!roster.mayDie(server)) return false;
    world.count('usurp');
    world.note(`fault: usurp ${server.process.name}`);
    const mend = cut(server);
    roster.doomed.add(server.process.name);
    const heal = (): void => {
      roster.doomed.delete(server.process.name);
      mend();
    };
    const cancel = world.after(MAX_CUT_MS, () => {
      this.#awaited.delete(slot);
      heal();
    });
    this.#awaited.set(slot, (claimant, holder) => {
      cancel();
      heal();
      world.count('usurped');
      this.#keepSecret(slot, holder, claimant, server.process, random);
      // Somebody who knows of the new holder next: what the rest does meanwhile is under a third vector.
      const knowing = this.#simulation.servers.filter(
        (each) => each.isVoter && each.process !== claimant && !this.#isDeaf(each.process),
      );
      const next = random.chance(this.#simulation.plan.clusterSize > 4 ? 0.5 : 0.2) ? random.pick(knowing) : undefined;
      if (next !== undefined) this.begin(next, random, cut);
    });
    return true;
  }

  end(): void {
    this.#isOver = true;
    this.#awaited.clear();
    this.#secrets.clear();
    this.#secretConfigs.clear();
  }

  /** Some go on for a while by what decided before. */
  #configured({ version }: Config): void {
    const { world, servers } = this.#simulation;
    if (this.#isOver || version <= this.#newestConfig) return;
    this.#newestConfig = version;
    const random = world.random.fork(`config ${version}`);
    if (random.chance(0.4)) return;
    const others = servers.map(({ process }) => process).filter((each) => each !== world.running);
    const secret = { version, deaf: new Set(others.filter(() => random.chance(0.5))) };
    const ms = random.pick([300, 1000, 3000, 6000]) * random.between(0.2, 1.8);
    const names = [...secret.deaf].map(({ name }) => name).join();
    world.count('config kept secret');
    world.note(`fault: ${names} hear nothing of config ${version} for ${ms.toFixed(0)}`);
    this.#secretConfigs.add(secret);
    world.after(ms, () => this.#secretConfigs.delete(secret));
  }

  #decided(slot: number, holder: Holder, claimant: Process): void {
    const given = this.#awaited.get(slot);
    this.#awaited.delete(slot);
    given?.(claimant, holder);
  }

  #keepSecret(slot: number, { generation }: Holder, claimant: Process, usurped: Process, random: Random): void {
    const { world, servers } = this.#simulation;
    const others = servers.map(({ process }) => process).filter((each) => each !== claimant && each !== usurped);
    const deaf = new Set([...(random.chance(0.9) ? [usurped] : []), ...others.filter(() => random.chance(0.5))]);
    const secret = { slot, generation, deaf };
    const ms = random.pick([100, 300, 1000, 3000]) * random.between(0.2, 1.8);
    world.note(`fault: ${[...deaf].map(({ name }) => name).join()} hear nothing of slot ${slot} for ${ms.toFixed(0)}`);
    this.#secrets.add(secret);
    world.after(ms, () => this.#secrets.delete(secret));
  }

  #isDeaf(process: Process): boolean {
    return [...this.#secrets].some(({ deaf }) => deaf.has(process));
  }

  /** Whether it would tell the running process what it is not to know. */
  #isSecret(known: View | null, told: View | null): boolean {
    const { running } = this.#simulation.world;
    if (running === null || known === null || told === null || known.incarnation !== told.incarnation) return false;
    const isSecretConfig = [...this.#secretConfigs].some(
      ({ version, deaf }) =>
        deaf.has(running) && configOf(known).version < version && configOf(told).version >= version,
    );
    if (isSecretConfig) return true;
    return [...this.#secrets].some(
      ({ slot, generation, deaf }) =>
        deaf.has(running) &&
        (known.holders[slot - 1]?.generation ?? 0) < generation &&
        (told.holders[slot - 1]?.generation ?? 0) >= generation,
    );
  }
}
