import { NoQuorumError, ResizePendingError, type VoterName } from '../errors.js';
import { type ClockOpinion, type Membership, type PeerTable, SILENCE_MS } from '../membership/index.js';
import { majorityOf } from '../paxos/index.js';
import type { NodeSettings } from './options.js';
import { quorumInWords, type ResizeProgress } from './resize.js';

/** What a diagnosis is made from. */
export interface DiagnosisSetup {
  readonly settings: NodeSettings;
  readonly membership: Membership;
  readonly peers: PeerTable;
  monotonicMs(): number;
  clock(): ClockOpinion;
  /** `multicast 239.255.77.77:7707` */
  network(): string;
  /** Datagrams that came and were sealed with a secret that is not ours. */
  foreignSeals(): number;
}

/** Says to people what is wrong, and what to do: from what was heard and what was not. */
export class Diagnosis {
  readonly #setup: DiagnosisSetup;

  constructor(setup: DiagnosisSetup) {
    this.#setup = setup;
  }

  /** For an operation of which nothing has happened. */
  noQuorum(): NoQuorumError {
    const [seen, missing] = this.#seenAndMissing();
    const { clusterSize, cluster } = this.#setup.settings;
    const { membership } = this.#setup;
    const sizes = membership.config?.sizes ?? [clusterSize];
    if (!this.#setup.clock().isTrusted && membership.hasQuorum(this.#setup.monotonicMs())) {
      return new NoQuorumError(
        `No quorum in cluster '${cluster}': enough voters are heard, but the clocks of too few agree (${this.#clockOff()}). Nothing was written. Set the clocks of all hosts by NTP; restart nothing for it.`,
        seen,
        missing,
      );
    }
    const remedy =
      membership.view === null
        ? this.alone()
        : 'Restore the network to the missing processes, or start others in their places. If more ended at once than the farm can do without, it has lost its memory: restart all its processes (its sessions end).';
    return new NoQuorumError(
      `No quorum in cluster '${cluster}': ${quorumInWords(sizes, majorityOf)} are needed. Seen: ${listOf(seen)}. Missing: ${listOf(missing)}. Nothing was written. ${remedy}`,
      seen,
      missing,
    );
  }

  /** For an operation refused because of this host's clock. */
  clockOff(): NoQuorumError {
    return new NoQuorumError(this.clock(), ...this.#seenAndMissing());
  }

  /** Of a claim; for the log. */
  slotTaken(slot: number): NoQuorumError {
    return new NoQuorumError(`Slot ${slot} has been taken.`, ...this.#seenAndMissing());
  }

  /** For calls that had been made before. */
  clockSet(): NoQuorumError {
    return new NoQuorumError(
      "This machine's clock was wrong when the call was made, and has been set right since: what was to end at some time would not have ended then. Nothing was written. Call again.",
      ...this.#seenAndMissing(),
    );
  }

  /** @param progress `null` if the change has not begun */
  pendingResize(size: number, progress: ResizeProgress | null): ResizePendingError {
    const missing = progress?.missing ?? [];
    return new ResizePendingError(`${this.#pending(size, progress)} Status shows how far it is.`, missing);
  }

  #pending(size: number, progress: ResizeProgress | null): string {
    const slots = progress?.missing.join(', ');
    if (progress === null && this.#setup.membership.mayResize(size, this.#setup.monotonicMs())) {
      return `The voters did not agree in time on a change to ${size} of them, or nobody knows that they did: call again.`;
    }
    if (progress === null) {
      return `The farm can't go on with ${size} voters yet: a majority of slots 1 to ${size} has to vote first, and whoever takes one of them anew to have its memory. Start servers for those that are missing.`;
    }
    if (progress.to !== size)
      return `The farm is on its way to ${progress.to} voters, and can't turn to ${size} before.`;
    return progress.stage === 'gathering'
      ? `The change to ${size} voters waits for servers that take slot ${slots}: start them, or call resize(${progress.from}) to give it up. It goes on by itself then.`
      : `The change to ${size} voters waits for slot ${slots} to read what the others hold. It goes on by itself.`;
  }

  clock(): string {
    return `${this.#clockOff('This host')}; it neither reads nor writes until they agree. Set the clocks by NTP.`;
  }

  #clockOff(whose = 'this host'): string {
    const { aheadMs } = this.#setup.clock();
    return `${whose}'s clock is ${inSeconds(aheadMs)} ${aheadMs > 0 ? 'ahead of' : 'behind'} a majority of the voters'`;
  }

  /** @param aheadMs of the farm's time ahead of this machine's */
  machineClock(aheadMs: number): string {
    return `This machine's clock was set, and is ${inSeconds(aheadMs)} ${aheadMs > 0 ? 'behind' : 'ahead of'} the farm's time, which goes on: no majority of the voters agrees with that clock. Set it right by NTP. If it is right, and the others' were wrong and have been set right too: stop all processes of the farm, then start them.`;
  }

  /** Why there is no farm yet. */
  alone(): string {
    const { clusterSize, cluster } = this.#setup.settings;
    const where = this.#setup.network();
    const foreign = this.#setup.foreignSeals();
    if (foreign > 0) {
      return `Datagrams arrive that are sealed with another secret (${foreign} so far, ${where}): set the same secret in all processes of cluster '${cluster}'.`;
    }
    const heard = [...this.#setup.peers].filter(({ leftMs }) => leftMs === null).length;
    if (heard === 0) {
      return `No other process of cluster '${cluster}' is heard (${where}): are they started, with the same cluster name and secret, and ${wayBetween(where)}`;
    }
    const graceS = Math.round(this.#setup.settings.formationGraceMs / 1000);
    return `${heard + 1} processes of cluster '${cluster}' see each other (${where}); a start waits for all ${clusterSize} voters, or after ${graceS} s for ${majorityOf(clusterSize)} of them: start the others.`;
  }

  /** @param who what to call the process if it has not said its name */
  age(process: number, who: string, ageMs: number): string {
    const name = this.#setup.peers.get(process)?.introduction?.name ?? who;
    return `By this host's clock, what ${name} sends is ${inSeconds(ageMs)} ${ageMs > 0 ? 'old' : 'early'}, and does not count: set the clocks of both hosts by NTP.`;
  }

  #seenAndMissing(): [VoterName[], VoterName[]] {
    const { membership, peers, settings } = this.#setup;
    if (membership.view === null) {
      // Without a farm there are no slots held yet; what there is of company is told by name.
      const others = [...peers].flatMap((peer) => peer.introduction?.name ?? []).slice(0, settings.clusterSize - 1);
      const seen = [settings.name, ...others].map((each) => ({ slot: 0, name: each }));
      const count = Math.max(0, settings.clusterSize - seen.length);
      return [seen, Array.from({ length: count }, () => ({ slot: 0, name: 'a voter never heard of' }))];
    }
    const heard = new Set(membership.votersHeard(this.#setup.monotonicMs(), SILENCE_MS));
    const names = membership.view.holders.map((holder, index) => ({ slot: index + 1, name: holder?.name ?? null }));
    return [names.filter(({ slot }) => heard.has(slot)), names.filter(({ slot }) => !heard.has(slot))];
  }
}

/** Of an interval, whichever way it goes. */
function inSeconds(ms: number): string {
  return `${(Math.abs(ms) / 1000).toFixed(1)} s`;
}

function listOf(names: readonly VoterName[]): string {
  if (names.length === 0) return 'none';
  return names.map(({ slot, name }) => (slot === 0 ? (name ?? '') : `slot ${slot} (${name ?? 'vacant'})`)).join(', ');
}

/** @param network what the transport is called */
function wayBetween(network: string): string {
  if (network.startsWith('multicast'))
    return 'does the network carry multicast between the hosts? Without it, set transport to { peers: [...] }.';
  if (network.startsWith('peers')) return 'are all hosts listed there, and is UDP let through between them?';
  return 'are datagrams let through between them?';
}
