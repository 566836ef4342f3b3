import { PaxosError } from '../../lib/errors.js';
import { type Change, FOREVER } from '../../lib/paxos/index.js';
import { append, compareAndSet, decode, destroy, increment, set, touch } from '../paxos/changes.js';
import type { Input, Verb } from './histories.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** A hot register gets another name after so many calls: the search for an order is exponential at its worst. */
const CALLS_PER_KEY = 28;

/** Users of the registers on all servers. */
export class RegisterClients {
  readonly #simulation: Simulation;
  readonly #seen = new Map<string, string>();
  readonly #generations = new Map<string, number>();
  #token = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** One client's one call. */
  async step(server: Server, random: Random): Promise<void> {
    const { verbs, hotKeys, longestLifeMs } = this.#simulation.plan;
    const kind = random.pick(Object.keys(verbs)) ?? '';
    const verb = random.pick(verbs[kind] ?? []) ?? 'get';
    const isHot = random.chance(0.8);
    const key = isHot ? this.#hotKey(`${kind}${random.integer(hotKeys)}`) : `reg/${kind}-cold${random.integer(300)}`;
    const lifeMs = random.chance(0.3) ? random.between(100, 3000) : random.between(longestLifeMs / 4, longestLifeMs);
    await this.call(server, key, verb, Math.floor(lifeMs));
  }

  /** The keys in use now. */
  get hotKeys(): string[] {
    return [...this.#generations].map(([name, generation]) => `reg/${name}.${generation}`);
  }

  /** @returns whether it was answered as an operation that took effect */
  async call(server: Server, key: string, verb: Verb, lifeMs: number): Promise<boolean> {
    const { world, histories } = this.#simulation;
    const { node, process } = server;
    this.#token += 1;
    const until = node.nowMs() + lifeMs;
    const input: Input = {
      verb,
      text: verb === 'get' || verb === 'touch' || verb === 'remove' ? '' : `t${this.#token}`,
      expected: this.#seen.get(key) ?? 't0',
      untilMs: verb === 'get' || verb === 'remove' ? FOREVER : until - EPOCH_MS,
      isClockTrusted: process.isClockTrusted,
    };
    const entry = histories.begin(key, input, process.nowMs);
    const label = `${process.name} ${verb} ${key} ${input.text}`;
    world.note(`${label} ...`);
    world.count('operations');
    server.pending.add(label);
    const { lapses } = process;
    try {
      if (verb === 'get') {
        entry.output = decode((await node.read(key)).value);
      } else {
        entry.output = (await node.change(key, changeOf(input, until))).result;
      }
      entry.returned = process.nowMs;
      entry.input.isClockTrusted &&= process.lapses === lapses;
      if (entry.output !== 'ok' && entry.output !== '-') this.#seen.set(key, entry.output);
      world.note(`${label}: ${entry.output}`);
      world.count('operations done');
      return true;
    } catch (error) {
      const code = error instanceof PaxosError ? error.code : String(error);
      world.note(`${label}: ${code}`);
      world.count(code);
      if (code === 'ERR_NO_QUORUM' || code === 'ERR_CLOSED' || code === 'ERR_OVERLOADED') {
        histories.retract(key, entry);
      } else if (code !== 'ERR_OUTCOME_UNKNOWN') {
        this.#simulation.object(`${label} failed: ${code}`);
      }
      return false;
    } finally {
      server.pending.delete(label);
    }
  }

  #hotKey(name: string): string {
    const generation = this.#generations.get(name) ?? 0;
    const key = `reg/${name}.${generation}`;
    const isWorn = this.#simulation.histories.length(key) >= CALLS_PER_KEY;
    this.#generations.set(name, isWorn ? generation + 1 : generation);
    return isWorn ? `reg/${name}.${generation + 1}` : key;
  }
}

function changeOf({ verb, text, expected }: Input, until: number): Change<string> {
  switch (verb) {
    case 'set':
      return set(text, until);
    case 'cas':
      return compareAndSet(expected, text, until);
    case 'increment':
      return increment(until);
    case 'append':
      return append(text, until);
    case 'touch':
      return touch(until);
    default:
      return destroy();
  }
}
