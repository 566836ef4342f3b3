import { type Change, FOREVER } from '../../lib/paxos/index.js';
import { append, compareAndSet, decode, destroy, increment, put, set, touch } from '../paxos/changes.js';
import type { Input, Verb } from './histories.js';
import type { Random } from './random.js';
import type { Server } from './server.js';
import type { Simulation } from './simulation.js';
import { EPOCH_MS } from './world.js';

/** A hot register gets another name after so many calls: the search for an order is exponential at its worst. */
const CALLS_PER_KEY = 28;
/** Registers used seldom that are looked at in the end. */
const COLD_KEYS = 8;

/** Users of the registers on all servers. */
export class RegisterClients {
  readonly #simulation: Simulation;
  readonly #seen = new Map<string, string>();
  readonly #generations = new Map<string, number>();
  #token = 0;

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** One client's one call, and the same again if nobody knows what became of it. */
  async step(server: Server, random: Random): Promise<void> {
    const { verbs, lives, hotKeys, longestLifeMs, endless } = this.#simulation.plan;
    const kind = random.pick(Object.keys(verbs)) ?? '';
    const drawn = random.pick(verbs[kind] ?? []) ?? 'get';
    const verb = drawn === 'set' && random.chance(0.3) ? 'put' : drawn;
    const isHot = random.chance(0.8);
    const key = isHot ? this.#hotKey(`${kind}${random.integer(hotKeys)}`) : `reg/${kind}-cold${random.integer(300)}`;
    const isShort = random.chance(0.3);
    const [least, most] =
      lives[verb] ?? (isShort ? [100, Math.min(3000, longestLifeMs)] : [longestLifeMs / 4, longestLifeMs]);
    const lifeMs = random.between(least, most);
    const call = this.#draw(server, key, verb, random.chance(endless) ? FOREVER : Math.floor(lifeMs));
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const outcome = await this.#call(server, key, call);
      // A client that means well does the very same once more.
      if (outcome !== 'unknown' || random.chance(0.3) || server.isStopping || !server.isClockFit) return;
    }
  }

  /** One call. @param lifeMs of the value, if it gives one */
  async use(server: Server, key: string, verb: Verb, lifeMs: number): Promise<void> {
    await this.#call(server, key, this.#draw(server, key, verb, Math.floor(lifeMs)));
  }

  /** The keys in use now, and some of those that were used once. */
  get keys(): string[] {
    const hot = [...this.#generations].map(([name, generation]) => `reg/${name}.${generation}`);
    const cold = this.#simulation.histories.keys.filter((key) => key.includes('-cold')).slice(-COLD_KEYS);
    return [...hot, ...cold];
  }

  /** @returns what is there; `null` if that could not be read */
  async read(server: Server, key: string): Promise<string | null> {
    let output: string | null = null;
    await this.#call(server, key, this.#draw(server, key, 'get', 0), (answer) => {
      output = answer;
    });
    return output;
  }

  /** Removes what would live for ever. @returns keys that could not be removed */
  async end(server: Server): Promise<string[]> {
    const keys = this.#simulation.histories.endless;
    const outcomes = await Promise.all(
      keys.map(async (key) =>
        (await this.#call(server, key, this.#draw(server, key, 'remove', 0))) === 'done' ? [] : key,
      ),
    );
    return outcomes.flat();
  }

  /** @returns whether it was done */
  async write(server: Server, key: string): Promise<boolean> {
    return (await this.#call(server, key, this.#draw(server, key, 'set', 1000))) === 'done';
  }

  #draw(server: Server, key: string, verb: Verb, lifeMs: number): Input {
    this.#token += 1;
    const isWriting = verb !== 'get' && verb !== 'remove';
    return {
      verb,
      text: isWriting && verb !== 'touch' ? `t${this.#token}` : '',
      expected: this.#seen.get(key) ?? 't0',
      untilMs: isWriting && lifeMs !== FOREVER ? server.node.nowMs() + lifeMs - EPOCH_MS : FOREVER,
    };
  }

  async #call(
    server: Server,
    key: string,
    input: Input,
    answered: (output: string) => void = () => undefined,
  ): Promise<'done' | 'nothing' | 'unknown'> {
    const { histories } = this.#simulation;
    const { node, process } = server;
    const entry = histories.begin(key, input, process.nowMs);
    const answer = await server.call(`${input.verb} ${key} ${input.text}`, async () =>
      input.verb === 'get' ? decode((await node.read(key)).value) : (await node.change(key, changeOf(input))).result,
    );
    if ('code' in answer) {
      if (answer.code === 'ERR_OUTCOME_UNKNOWN') return 'unknown';
      histories.retract(key, entry);
      return 'nothing';
    }
    entry.output = answer.result;
    answered(answer.result);
    entry.returned = process.nowMs;
    if (entry.output !== 'ok' && entry.output !== '-') this.#seen.set(key, entry.output);
    return 'done';
  }

  #hotKey(name: string): string {
    const generation = this.#generations.get(name) ?? 0;
    const key = `reg/${name}.${generation}`;
    const isWorn = this.#simulation.histories.length(key) >= CALLS_PER_KEY;
    this.#generations.set(name, isWorn ? generation + 1 : generation);
    return isWorn ? `reg/${name}.${generation + 1}` : key;
  }
}

function changeOf({ verb, text, expected, untilMs }: Input): Change<string> {
  const until = untilMs === FOREVER ? FOREVER : untilMs + EPOCH_MS;
  switch (verb) {
    case 'set':
      return set(text, until);
    case 'put':
      return put(text, until);
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
