import { NoQuorumError } from '../../lib/errors.js';
import { type Claim, Claims, type Config, configAfter, Membership } from '../../lib/membership/index.js';
import type { Tenure } from '../../lib/node/claim.js';
import { CONFIG_KEY } from '../../lib/node/config.js';
import { Operations } from '../../lib/node/operations.js';
import type { NodeStatus } from '../../lib/node/status.js';
import { ABSENT, type Change, type Changed, isQuorum } from '../../lib/paxos/index.js';
import { allOf, override } from './override.js';
import type { Host } from './process.js';
import type { Server } from './server.js';
import type { World } from './world.js';

/** A register that holds nothing: what is written there then is what was wanted. */
const NOTHING = { ...ABSENT, nowMs: 0, hasSeen: () => false };

interface Place {
  readonly incarnation: string;
  readonly slot: number;
  readonly generation: number;
  /** Of the process that had it. */
  readonly name: string;
}

interface Holding {
  readonly name: string;
  readonly generation: number;
}

/**
 * Who of the processes has the memory that a farm rests on: nothing is promised to a farm of which a majority of the slots
 * lost theirs.
 */
export class Roster {
  readonly #world: World;
  readonly #servers: readonly Server[];
  /** Claims that may have been chosen, whether anybody knows that or not. */
  readonly #claims = new Set<Claim>();
  /** Configs that may have been chosen. */
  readonly #configs = new Set<Config>();
  /** Numbers of voters that somebody waits for. */
  readonly #wishes = new Set<{ readonly size: number }>();
  /** Names of processes that are cut off until somebody claims their slots. */
  readonly doomed = new Set<string>();

  /** By host: places whose memory is on a disk that nobody has open. */
  readonly #asleep = new Map<Host, Place>();
  readonly #isDurable: (server: Server) => boolean;

  constructor(world: World, servers: readonly Server[], isDurable: (server: Server) => boolean) {
    this.#world = world;
    this.#servers = servers;
    this.#isDurable = isDurable;
  }

  /** @returns ends it */
  install(): () => void {
    const undo: (() => void)[] = [];
    const claims = this.#claims;
    const configs = this.#configs;
    const world = this.#world;
    let latest: Claim | null = null;
    undo.push(
      override(
        Claims.prototype,
        'next',
        (next) =>
          function (this: Claims, nowMs) {
            const claim = next.call(this, nowMs);
            if (claim !== null) {
              // In a slot that came back the register knows what its generation is to be.
              const generation = claim.since > 0 ? Number.POSITIVE_INFINITY : claim.holder.generation;
              latest = { ...claim, holder: { ...claim.holder, generation } };
              claims.add(latest);
              world.count('claim');
              world.note(`claims slot ${claim.slot}, generation ${claim.holder.generation}`);
            }
            return claim;
          },
      ),
    );
    undo.push(
      override(
        Membership.prototype,
        'claimed',
        (claimed) =>
          function (this: Membership, claim, now) {
            world.count('claim decided');
            return claimed.call(this, claim, now);
          },
      ),
    );
    undo.push(
      override(
        Operations.prototype,
        'change',
        (change) =>
          function <R>(this: Operations, key: string, what: Change<R>, timeoutMs: number) {
            const changed = change.call(this, key, what, timeoutMs) as Promise<Changed<R>>;
            if (key === CONFIG_KEY) configs.add(what.apply(NOTHING).result as Config);
            // Made at once, and by nobody else.
            const claim = key.startsWith('/slot/') ? latest : null;
            if (claim !== null) {
              changed.then(
                ({ result }) => {
                  claims.delete(claim);
                  claims.add({ slot: claim.slot, ...(result as Tenure) });
                },
                (error) => {
                  if (error instanceof NoQuorumError) claims.delete(claim);
                },
              );
            }
            return changed;
          },
      ),
    );
    return allOf(undo);
  }

  /** Somebody wants that number of voters, and may have it any moment. @returns to be called when nobody does any more */
  wish(size: number): () => void {
    const wish = { size };
    this.#wishes.add(wish);
    return () => this.#wishes.delete(wish);
  }

  /** Whether every farm can do without that process: its memory is on disk, or others are enough. */
  mayDie(server: Server): boolean {
    return this.#isDurable(server) || this.mayLose(server);
  }

  /** A process is about to be dead, or to vote no more, and its memory is on disk if it ever got there. */
  slept(server: Server, isStored: boolean): void {
    const { state, slot, incarnation, voters } = server.node.status();
    if (!this.#isDurable(server) || !isStored || state !== 'voter' || incarnation === null) return;
    const generation = voters[slot - 1]?.generation ?? 0;
    this.#asleep.set(server.process.host, { incarnation, slot, generation, name: server.process.name });
  }

  /** What that process has left is lost. */
  forget({ process }: Server): void {
    this.#asleep.delete(process.host);
  }

  /** Whether every farm can do without that process's memory, on disk or not. */
  mayLose(server: Server): boolean {
    const own = server.node.status();
    const place = this.#asleep.get(server.process.host);
    const farms = this.#farms();
    const isVoting =
      own.state === 'voter' && farms.some((farm) => this.#voting(farm).some(({ name }) => name === own.name));
    // Or has been named when the farm was formed, and does not know yet.
    const isNamed = farms.some((farm) => this.#holdings(farm).some((holding) => holding?.name === own.name));
    if (!isVoting && !isNamed && place === undefined) return true;
    // While all are dead nobody says which of the disks are of use.
    if (farms.length === 0) return false;
    return farms.every((farm) => {
      const others = this.#keeping(farm).filter((each) => each.name !== own.name && each !== place);
      return isQuorum(
        this.#sizes(farm),
        others.map(({ slot }) => slot),
      );
    });
  }

  /** What decides in that farm, or may by now though nobody knows. */
  #sizes(farm: readonly NodeStatus[]): number[] {
    const known = farm.flatMap(({ config }) => config ?? []);
    const newest = Math.max(...known.map(({ version }) => version));
    const hidden = [...this.#configs].filter(({ version }) => version > newest);
    const following = known.flatMap((config) => configAfter(config) ?? []);
    const sizes = [...known, ...hidden, ...following].flatMap((config) => config.sizes);
    const wished = [...this.#wishes].flatMap(({ size }) => (size < Math.max(...sizes) ? size : []));
    return [...new Set([...sizes, ...wished])];
  }

  /** Slots whose newest holder, as far as anybody knows, does not vote. */
  vacancies(): number[] {
    return this.#farms().flatMap((farm) => {
      const voting = new Set(this.#voting(farm).map(({ slot }) => slot));
      return this.#holdings(farm).flatMap((_, index) => (voting.has(index + 1) ? [] : [index + 1]));
    });
  }

  /** What the live processes say, by the farm that they are in. */
  #farms(): NodeStatus[][] {
    const farms = new Map<string, NodeStatus[]>();
    for (const server of this.#servers) {
      const status = server.node.status();
      if (!server.isLive || status.incarnation === null) continue;
      farms.set(status.incarnation, [...(farms.get(status.incarnation) ?? []), status]);
    }
    return [...farms.values()];
  }

  /** By slot: the newest holder that one of them knows. */
  #holdings(farm: readonly NodeStatus[]): (Holding | null)[] {
    const size = Math.max(0, ...farm.map(({ voters }) => voters.length));
    return Array.from({ length: size }, (_, index) =>
      farm.reduce<Holding | null>((newest, { voters }) => {
        const { name = null, generation = 0 } = voters[index] ?? {};
        return name !== null && generation > (newest?.generation ?? 0) ? { name, generation } : newest;
      }, null),
    );
  }

  #voting(farm: readonly NodeStatus[]): (Holding & { readonly slot: number })[] {
    return this.#holdings(farm).flatMap((holding, index) => {
      const slot = index + 1;
      const voter = farm.find(({ state, voters }) => {
        const { isSelf = false, generation = 0 } = voters[index] ?? {};
        return state === 'voter' && isSelf && generation === holding?.generation;
      });
      return holding !== null && voter !== undefined ? [{ ...holding, name: voter.name, slot }] : [];
    });
  }

  /** Those that vote, and those whose memory is on a disk, and that no claim can have replaced. */
  #keeping(farm: readonly NodeStatus[]): (Place | (Holding & { readonly slot: number }))[] {
    const voting = this.#voting(farm).filter(({ name }) => !this.doomed.has(name));
    const places = [...this.#asleep.values()].filter(({ incarnation }) => incarnation === farm[0]?.incarnation);
    const newest = this.#holdings(farm).map((holding, index) =>
      places.reduce(
        (most, { slot, generation }) => (slot === index + 1 ? Math.max(most, generation) : most),
        holding?.generation ?? 0,
      ),
    );
    const awake = new Set(voting.map(({ slot }) => slot));
    return [...voting, ...places.filter(({ slot }) => !awake.has(slot))].filter(
      ({ slot, generation }) =>
        generation === newest[slot - 1] &&
        ![...this.#claims].some((claim) => claim.slot === slot && claim.holder.generation > generation),
    );
  }
}
