import type { Verb } from './histories.js';
import type { Random } from './random.js';
import type { RegisterClients } from './register-clients.js';
import type { Server } from './server.js';
import type { SessionClients, Visit } from './session-clients.js';
import type { Simulation } from './simulation.js';

/** In ms: from one act to the next; and the silence, in which what is over is forgotten. */
const SOON: readonly number[] = [0, 5, 50, 300];
const SILENCE: readonly number[] = [1500, 2500, 4000, 6000];
const LATER: readonly number[] = [0, 5, 300, 1500];

const OF_REGISTERS: readonly (readonly (Verb | 'silence')[])[] = [
  ['set', 'touch', 'silence', 'get', 'get', 'get'],
  ['set', 'touch', 'touch', 'silence', 'touch', 'get', 'get'],
  ['put', 'get', 'touch', 'remove', 'silence', 'get', 'put', 'get'],
  ['set', 'set', 'silence', 'put', 'get', 'get'],
];

const OF_SESSIONS: readonly (readonly ('begin' | 'visit' | 'hold' | 'release' | 'end' | 'look' | 'silence')[])[] = [
  ['begin', 'silence', 'end', 'silence', 'look', 'look', 'look'],
  ['begin', 'end', 'silence', 'look', 'look'],
  ['begin', 'visit', 'visit', 'end', 'silence', 'look', 'look'],
  ['begin', 'visit', 'silence', 'look', 'look', 'look'],
  // An id that is used again.
  ['begin', 'end', 'begin', 'end', 'look', 'silence', 'look'],
  ['begin', 'hold', 'end', 'begin', 'release', 'look', 'silence', 'look'],
  // What the login has had all the time.
  ['begin', 'visit', 'end', 'release', 'look', 'silence', 'look'],
  ['begin', 'visit', 'release', 'look', 'release', 'look'],
];

/**
 * Short stories about one register or one session: it is made, put off or ended within a moment, then nobody asks for it
 * for as long as it takes to be forgotten by some, then several do. Among requests at random times such a silence is rare.
 */
export class Episodes {
  readonly #simulation: Simulation;
  readonly #registers: RegisterClients;
  readonly #sessions: SessionClients;
  /** When the last one is over at the latest. */
  endMs = 0;

  constructor(simulation: Simulation, registers: RegisterClients, sessions: SessionClients) {
    this.#simulation = simulation;
    this.#registers = registers;
    this.#sessions = sessions;
  }

  /** @param name of its own */
  begin(name: string, random: Random, client: string): void {
    const { sessionShare } = this.#simulation.plan;
    void (random.chance(sessionShare) ? this.#session(random, client) : this.#register(name, random));
  }

  async #register(name: string, random: Random): Promise<void> {
    const { lives, longestLifeMs } = this.#simulation.plan;
    const key = `reg/${name.replaceAll(' ', '-')}`;
    await this.#play(random, random.pick(OF_REGISTERS) ?? [], (verb, server) => {
      const [least, most] = lives[verb] ?? [longestLifeMs / 4, longestLifeMs];
      return this.#registers.use(server, key, verb, random.between(least, most));
    });
  }

  async #session(random: Random, client: string): Promise<void> {
    const sessions = this.#sessions;
    const sid = sessions.drawId();
    let held: Visit | null = null;
    // An id is used again only once nothing is known to be there.
    let isFree = true;
    await this.#play(random, random.pick(OF_SESSIONS) ?? [], async (act, server) => {
      if (act === 'begin') {
        const mayBegin = isFree;
        isFree = false;
        if (mayBegin) held = (await sessions.begin(server, random, client, sid)) ?? held;
      } else if (act === 'hold') held = (await sessions.hold(server, random, client, sid)) ?? held;
      else if (act === 'visit') await sessions.visit(server, random, client, sid);
      else if (act === 'end') isFree = await sessions.logout(server, sid);
      else if (act === 'look') await sessions.look(server, sid);
      else if (held !== null) await this.#release(held);
    });
  }

  /** By the server that has it: another one would take it for a new session. */
  async #release(held: Visit): Promise<void> {
    if (!held.server.isLive || !held.server.isClockFit) return;
    await held.server.sleep(0);
    if (this.#simulation.isWorking) await this.#sessions.release(held);
  }

  /** One act after the other, each on a server of its own. */
  async #play<A extends string>(
    random: Random,
    story: readonly (A | 'silence')[],
    act: (name: A, server: Server) => Promise<unknown>,
  ): Promise<void> {
    const { world, plan, servers } = this.#simulation;
    let pauses = SOON;
    for (const name of story) {
      const server = random.pick(servers);
      if (server === undefined) return;
      const waitMs = random.pick(name === 'silence' ? SILENCE : pauses) ?? 0;
      this.endMs = Math.max(this.endMs, world.nowMs + waitMs + 2 * plan.timeoutMs);
      // From here on it is that server's time, and what it calls is its own.
      await server.sleep(waitMs);
      if (!this.#simulation.isWorking) return;
      if (name === 'silence') pauses = LATER;
      else if (server.isLive && server.isClockFit) await act(name, server);
    }
  }
}
