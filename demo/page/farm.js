// @ts-check
/** What is to be said of the farm and of each server in it, in plain words, from what all of them say. */

/**
 * What the page uses of the store's status (see NodeStatus).
 * @typedef {{ slot: number, name: string | null, process: string | null, generation: number, isSelf: boolean,
 *   isUp: boolean, isRecovering: boolean, roundTripMs: number | null }} Voter
 * @typedef {{ state: string, isReady: boolean, process: string, slot: number, clusterSize: number, quorum: number,
 *   incarnation: string | null, formedAtMs: number | null, records: number, voters: Voter[],
 *   recovery: { share: number } | null, operations: { reads: number, changes: number } }} Cluster
 * @typedef {{ atMs: number, state: string, slot: number, generation: number, records: number }} Part see history.js
 * @typedef {{ atMs: number, requests: number, traffic: number, samples: [number, number, 0 | 1][], history: Part[],
 *   cluster: Cluster }} Status
 * @typedef {{ number: number, port: number, pid: number, state: 'absent' | 'starting' | 'up' | 'killed' | 'ended',
 *   starts: number, isCutOff: boolean, failure: string | null, status: Status | null }} ServerAnswer
 * `note` is for a server that does not do its part (yet); `share` is of its recovery, 0..1.
 * @typedef {{ badge: string, level: 'good' | 'warn' | 'bad' | 'none', note: string | null, share: number | null }} Description
 */

/** The server that goes by that name (see server.js). @param {string | null} name */
export function numberOf(name) {
  return Number(/^server (\d+)$/.exec(name ?? '')?.[1] ?? 0);
}

/** @param {Pick<ServerAnswer, 'state'>} server */
export function isRunning({ state }) {
  return state === 'starting' || state === 'up';
}

/** The farm, as whoever knows the newest of it sees it. */
export class FarmView {
  /** @type {Cluster | null} */ cluster;
  #servers;

  /** @param {ServerAnswer[]} servers */
  constructor(servers) {
    this.#servers = servers;
    const generations = (/** @type {Cluster} */ { voters }) =>
      voters.reduce((sum, { generation }) => sum + generation, 0);
    const clusters = servers.flatMap(({ status }) => (status?.cluster.incarnation ? [status.cluster] : []));
    clusters.sort((a, b) => (b.formedAtMs ?? 0) - (a.formedAtMs ?? 0) || generations(b) - generations(a));
    this.cluster = clusters[0] ?? null;
  }

  get running() {
    return this.#servers.filter(isRunning);
  }

  /** Voters whose processes run and have their memory, those that are cut off included. */
  get livingVoters() {
    return (this.cluster?.voters ?? []).filter(({ name, process }) => {
      const server = this.#servers.find(({ number }) => number === numberOf(name));
      if (server === undefined || !isRunning(server)) return false;
      // One that does not answer in time is no dead one.
      if (server.status === null) return server.state === 'up';
      return server.status.cluster.process === process && server.status.cluster.state === 'voter';
    });
  }

  /** Whether too few voters are left ever to go on: what a majority of them knew died with them. */
  get isLost() {
    return this.cluster !== null && this.livingVoters.length < this.cluster.quorum;
  }

  /** Whether all slots have processes that hold them. */
  get isWhole() {
    const held = (this.cluster?.voters ?? []).filter(({ process }) =>
      this.running.some(({ status }) => status?.cluster.process === process),
    );
    return this.cluster !== null && held.length === this.cluster.clusterSize;
  }

  /** What stands above the page until it is mended; '' where nothing does. */
  get trouble() {
    const running = this.running.length;
    const hasRun = this.#servers.some(({ state, starts }) => state === 'killed' || state === 'ended' || starts > 1);
    if (!hasRun) return '';
    if (running === 0) {
      return 'No server is up, and the sessions are gone: they were in the memory of the servers only. Start three servers: they form a new farm, an empty one.';
    }
    if (this.cluster === null) {
      return `All servers were dead at once, so the sessions are gone. A new farm, an empty one, forms when three servers are up; now it is ${running}.`;
    }
    if (this.isLost) {
      const left = this.livingVoters.map(({ name }) => name).join(' and ');
      return `Too few voters are left: ${left === '' ? 'none' : `only ${left}`}. A majority went before others had its memory, so nobody knows all that was stored, and the farm does not guess: it can't go on. Kill what is left, then start three servers: they form a new farm, an empty one.`;
    }
    return '';
  }

  /** @param {ServerAnswer} server @returns {Description} */
  describe({ state, isCutOff, failure, status }) {
    if (state === 'absent') {
      const what = 'Started, it serves requests like the others, but has no vote.';
      const then =
        'When a voter is gone for some five seconds, it takes that slot, reads what goes with it, and votes.';
      return says('not started', 'none', `Not started: a standby. ${what} ${then}`);
    }
    if (state === 'killed') return says('killed', 'bad', `Killed, and its memory is gone. ${this.#outlook}`);
    if (state === 'ended') {
      const how =
        failure === null ? 'Its process has ended, and its memory is gone.' : `It could not start. ${failure}`;
      return says('ended', 'bad', `${how} ${this.#outlook}`);
    }
    if (status === null) {
      if (state === 'up') return says('no answer', 'warn');
      return says('starting', 'warn', 'A fresh process starts. Its memory is empty.');
    }
    const { cluster } = status;
    if (isCutOff) return says(cluster.isReady ? 'cut off' : 'cut off, answers 503', 'warn');
    if (cluster.state === 'recovering') return this.#describeRecovery(cluster);
    if (state === 'starting' && cluster.state !== 'voter') return this.#describeWaiting(cluster);
    if (!cluster.isReady) return says('no quorum', 'warn');
    return says(cluster.state === 'learner' ? 'standby' : 'up', 'good');
  }

  /** What a server that is dead would find. */
  get #outlook() {
    if (this.running.length === 0 || this.cluster === null)
      return 'Start it again: with two others it forms a new farm.';
    if (this.isLost) return 'Started again it would find too few voters to get a slot from.';
    if (this.isWhole) return 'All slots have their voters by now: started again, it is a standby.';
    return 'Start it again: it takes the free slot, reads what goes with it from the others, and votes.';
  }

  /** @param {Cluster} cluster @returns {Description} */
  #describeRecovery({ slot, recovery }) {
    const share = recovery?.share ?? 0;
    const percent = `${Math.floor(share * 100)} %`;
    const note = this.isLost
      ? `It has slot ${slot}, but too few voters are left to read from what goes with it.`
      : `It has taken slot ${slot}, and reads what goes with it from the other voters: ${percent}. Then it votes.`;
    return { badge: `recovering ${percent}`, level: 'warn', note, share };
  }

  /** @param {Cluster} cluster @returns {Description} */
  #describeWaiting({ state, voters, quorum }) {
    if (state !== 'learner') {
      const forms = 'A new farm forms when three servers are up; after half a minute two will do.';
      return says(
        'seeking',
        'warn',
        this.cluster === null ? `It looks for others. ${forms}` : 'It looks for the farm.',
      );
    }
    if (this.isLost) return says('waits', 'bad', 'It waits in vain: too few voters are left to give it a slot.');
    if (voters.filter(({ isUp, isRecovering }) => isUp && !isRecovering).length < quorum) {
      return says('waits', 'warn', 'It has found the farm, but too few voters hear each other to give it a slot.');
    }
    const missed = 'The others have to miss its holder for three seconds first.';
    return says('waits', 'warn', `It has found the farm and asks for the free slot. ${missed}`);
  }
}

/** @param {string} badge @param {Description['level']} level @param {string | null} [note] @returns {Description} */
function says(badge, level, note = null) {
  return { badge, level, note, share: null };
}
