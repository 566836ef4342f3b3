import { NoQuorumError } from '../../lib/errors.js';
import { type Claim, Claims, Membership } from '../../lib/membership/index.js';
import { Operations } from '../../lib/node/operations.js';
import type { NodeStatus } from '../../lib/node/status.js';
import type { Change, Changed } from '../../lib/paxos/index.js';
import type { Server } from './server.js';
import type { World } from './world.js';

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
  /** Names of processes that are cut off until somebody claims their slots. */
  readonly doomed = new Set<string>();

  constructor(world: World, servers: readonly Server[]) {
    this.#world = world;
    this.#servers = servers;
  }

  /** @returns ends it */
  install(): () => void {
    const claims = this.#claims;
    const world = this.#world;
    const { next } = Claims.prototype;
    const { claimed } = Membership.prototype;
    const { change } = Operations.prototype;
    let latest: Claim | null = null;
    Claims.prototype.next = function (this: Claims, nowMs) {
      const claim = next.call(this, nowMs);
      if (claim !== null) {
        claims.add(claim);
        latest = claim;
        world.count('claim');
        world.note(`claims slot ${claim.slot}, generation ${claim.holder.generation}`);
      }
      return claim;
    };
    Membership.prototype.claimed = function (this: Membership, slot, holder, now) {
      world.count('claim decided');
      return claimed.call(this, slot, holder, now);
    };
    Operations.prototype.change = function <R>(this: Operations, key: string, what: Change<R>, timeoutMs: number) {
      const changed = change.call(this, key, what, timeoutMs) as Promise<Changed<R>>;
      // Made at once, and by nobody else.
      const claim = key.startsWith('/slot/') ? latest : null;
      if (claim !== null) {
        changed.catch((error) => {
          if (error instanceof NoQuorumError) claims.delete(claim);
        });
      }
      return changed;
    };
    return () => {
      Operations.prototype.change = change;
      Claims.prototype.next = next;
      Membership.prototype.claimed = claimed;
    };
  }

  /** Whether every farm can do without that process's memory. */
  mayDie(server: Server): boolean {
    const own = server.node.status();
    if (own.slot === 0 || own.state !== 'voter') return true;
    return this.#farms().every((farm) => {
      if (!this.#voting(farm).some(({ name }) => name === own.name)) return true;
      return this.#keeping(farm).filter((name) => name !== own.name).length > own.clusterSize / 2;
    });
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
    const size = farm[0]?.clusterSize ?? 0;
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
      const isVoting = farm.some((each) => each.name === holding?.name && each.state === 'voter' && each.slot === slot);
      return holding !== null && isVoting ? [{ ...holding, slot }] : [];
    });
  }

  /** Names of those that vote, and that no claim can have replaced. */
  #keeping(farm: readonly NodeStatus[]): string[] {
    const isClaimed = ({ slot, generation }: Holding & { readonly slot: number }): boolean =>
      [...this.#claims].some((claim) => claim.slot === slot && claim.holder.generation > generation);
    return this.#voting(farm).flatMap((holding) =>
      isClaimed(holding) || this.doomed.has(holding.name) ? [] : [holding.name],
    );
  }
}
