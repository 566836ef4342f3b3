/**
 * A counter in a replicated register, without a network: three acceptors and two proposers in one process, joined by
 * function calls that get lost, come twice, and arrive in any order. Both proposers increment it, each increment once.
 *
 *   node register.mjs [seed]
 */
import * as core from 'connect-paxos/core';

const SLOTS = [1, 2, 3];
const INCREMENTS = 100; // of each proposer
const TIMEOUT_MS = 4000; // of one operation; below MAX_CLOCK_SKEW_MS
const MAX_CLOCK_SKEW_MS = 10_000;

// Time is what this program says it is. A server takes it from performance.now() and Date.now().
let elapsedMs = 0;
const now = () => ({ monotonicMs: elapsedMs, wallMs: 1_700_000_000_000 + elapsedMs, isTrusted: true });

// Pseudo-random numbers in [0, 1), so that a seed always gives the same run.
let state = Number(process.argv[2] ?? 1) >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 2 ** 32;
};

// The network: deliveries to be made, in no order. One in five is lost, one in ten is made twice.
const inFlight = [];
const network = (deliver) => {
  if (random() >= 0.2) inFlight.push(deliver);
  if (random() < 0.1) inFlight.push(deliver);
};

const acceptors = SLOTS.map(() => new core.Acceptor(new core.MemoryTable(), { maxClockSkewMs: MAX_CLOCK_SKEW_MS }));
// Who votes: a majority of three slots; here each is held by one acceptor for ever, which is known by the same number.
const electorate = { sizes: [SLOTS.length], isVoter: ({ process, slot }) => process === slot && SLOTS.includes(slot) };

class Proposer {
  #exchanges = new Map();
  #context;
  #sequence = 0;

  /** @param number nobody else's, ever: a server draws a random one of 48 bits at each start */
  constructor(number) {
    this.#context = {
      ballots: new core.BallotSource(number),
      maxClockSkewMs: MAX_CLOCK_SKEW_MS,
      lineageKeepMs: core.lineageAgeMs(TIMEOUT_MS, MAX_CLOCK_SKEW_MS),
      isDone: () => false, // nothing is left out of a lineage but for its age
      random,
    };
  }

  /** Changes the register; resolves with a core.RoundOutcome. */
  change(change) {
    const context = this.#context;
    return this.#run((setup) => {
      const operation = `${context.ballots.proposer.toString(36)}.${setup.request}`;
      return new core.ClassicRound({ ...setup, operation, changes: () => [change], context });
    });
  }

  /** Reads the register; what a quorum read can't decide, a round that changes nothing does. */
  async read() {
    const read = await this.#run((setup) => new core.QuorumRead({ ...setup, maxClockSkewMs: MAX_CLOCK_SKEW_MS }));
    if (read.kind === 'chosen') return read.proposal?.value ?? null;
    const round = await this.change(observe);
    if (round.kind !== 'chosen') throw new Error('no quorum');
    return round.results[0].state.value;
  }

  #run(make) {
    this.#sequence += 1;
    const deadlineMs = elapsedMs + TIMEOUT_MS;
    const request = this.#sequence; // by it the answers find back
    const exchange = make({ request, electorate, deadlineMs, retransmitMs: 50, key: 'counter', own: undefined });
    return new Promise((resolve) => {
      this.#exchanges.set(request, { exchange, resolve });
      this.#follow(exchange, exchange.start(now()));
    });
  }

  receive(slot, answer) {
    const running = this.#exchanges.get(answer.request); // none: it came too late
    if (running) this.#follow(running.exchange, running.exchange.receive({ process: slot, slot }, answer, now()));
  }

  get wakeAtMs() {
    return Math.min(...Array.from(this.#exchanges.values(), ({ exchange }) => exchange.wakeAtMs));
  }

  wake() {
    for (const { exchange } of [...this.#exchanges.values()]) this.#follow(exchange, exchange.tick(now()));
  }

  /** After each step: sends what it wants sent, and looks whether it is over. */
  #follow(exchange, outgoing) {
    if (outgoing !== null) this.#send(outgoing);
    if (!exchange.isOver) return;
    const { resolve } = this.#exchanges.get(exchange.request);
    this.#exchanges.delete(exchange.request);
    // Who knows that a value is chosen tells the acceptors: so a read of it takes one round trip, and it may be forgotten.
    if (exchange.outcome.commit) this.#send({ message: exchange.outcome.commit, slots: null });
    resolve(exchange.outcome);
  }

  #send({ message, slots }) {
    for (const slot of slots ?? SLOTS) {
      network(() => {
        const answer = acceptors[slot - 1].receive(message, now());
        if (answer !== null) network(() => this.receive(slot, answer));
      });
    }
  }
}

const decode = (bytes) => (bytes === null ? 0 : Number(new TextDecoder().decode(bytes)));
const encode = (number) => new TextEncoder().encode(String(number));

/** It may be run several times, and on values that are never chosen: what it gives counts once it is chosen. */
const increment = {
  bound: core.FOREVER,
  mayRemove: false,
  seals: false,
  apply({ value }) {
    const result = decode(value) + 1;
    return { write: { value: encode(result), attributes: core.NO_BYTES, until: core.FOREVER }, result };
  },
};
const observe = { bound: 0, mayRemove: false, seals: false, apply: () => ({ write: null, result: null }) };

const results = [];
let unknown = 0;
async function count(proposer) {
  for (let done = 0; done < INCREMENTS; done += 1) {
    const outcome = await proposer.change(increment);
    if (outcome.kind === 'chosen') results.push(outcome.results[0].result);
    else if (outcome.kind === 'unknown') unknown += 1;
    // else 'no-quorum': nothing was proposed, so this increment has not happened, and never will
  }
}

const proposers = [new Proposer(1), new Proposer(2)];
let counter = null;
Promise.all(proposers.map(count)).then(async () => {
  counter = decode(await proposers[0].read());
});
while (counter === null) {
  // One thing happens: a delivery, whichever, or if there is none the next time-out.
  if (inFlight.length > 0) elapsedMs += 1;
  else elapsedMs = Math.max(elapsedMs, Math.min(...proposers.map(({ wakeAtMs }) => wakeAtMs)));
  inFlight.splice(Math.floor(random() * inFlight.length), 1)[0]?.();
  for (const proposer of proposers) proposer.wake();
  await new Promise(setImmediate); // those who waited for it go on
}

console.log(`${results.length} of ${2 * INCREMENTS} increments chosen, ${unknown} unknown; the counter is ${counter}`);
const isExact = new Set(results).size === results.length && counter >= results.length;
if (!isExact || counter > results.length + unknown) throw new Error('not exactly once');
