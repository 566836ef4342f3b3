import { expect, it } from '@jest/globals';
import { Repairer } from '../../lib/node/repairer.js';
import type { Voter } from '../../lib/node/voter.js';
import { Acceptor, type AcceptorRequest, NO_BALLOT, NO_BYTES } from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const EPOCH = 1_700_000_000_000;

/** A voter that holds nothing, and repairs itself by one that holds so many keys. */
class Repair {
  readonly installed: string[] = [];
  /** Slots that were compared with. */
  readonly compared: number[] = [];
  readonly other = new Acceptor(new MemoryTable(), { maxClockSkewMs: 10_000 });
  ms = 0;
  #asked: AcceptorRequest | null = null;
  #slot = 0;
  readonly #it: Repairer;

  /** @param differs whether what differs is half done here, so that there is nothing to be had of it */
  constructor(keys: number, { differs = false, voters = [2] } = {}) {
    for (let index = 0; index < keys; index += 1) {
      const accepted = { round: (EPOCH - 60_000) * 1024 + index, proposer: 1 };
      const operation = `1.${index}`;
      const rest = { attributes: NO_BYTES, birth: accepted, dataBallot: accepted, lineage: [], lineageFrom: NO_BALLOT };
      const proposal = { value: Buffer.alloc(6000), until: EPOCH + 86_400_000, accepted, operation, ...rest };
      const key = `b/${index}`;
      this.other.receive({ type: 'accept', request: 0, key, proposal, horizon: proposal.until }, this.now);
      this.other.receive({ type: 'commit', key, ballot: accepted, operation, effect: 'changed' }, this.now);
    }
    const empty = new Acceptor(new MemoryTable(), { maxClockSkewMs: 10_000 });
    const voter: Pick<Voter, 'isVoting' | 'digests' | 'lacks' | 'install'> = {
      isVoting: true,
      digests: empty.digests,
      lacks: (entry, now) => (differs ? 'nothing' : empty.lacks(entry, now)),
      install: ({ key }) => {
        this.installed.push(key);
        return true;
      },
    };
    this.#it = new Repairer({
      voter: voter as Voter,
      now: () => this.now,
      electorate: () => ({ sizes: [3], isVoter: () => true }),
      votersHeard: () => voters,
      nextRequest: () => 1,
      retransmitMs: () => 1000,
      transmit: ({ message, slots }) => {
        this.#asked = message as AcceptorRequest;
        this.#slot = slots?.[0] ?? 0;
        if (message.type === 'compare') this.compared.push(this.#slot);
      },
      learned: () => undefined,
      random: () => 0,
    });
  }

  get now() {
    return { monotonicMs: this.ms, wallMs: EPOCH + this.ms, isTrusted: true };
  }

  tick(): void {
    this.#it.tick();
  }

  /** @returns what was asked; `null` if nothing is */
  answer(): string | null {
    const asked = this.#asked;
    this.#asked = null;
    if (asked === null) return null;
    const answer = this.other.receive(asked, this.now);
    if (answer !== null) this.#it.receive({ process: this.#slot, slot: this.#slot }, answer);
    return asked.type;
  }
}

it('what another voter holds is installed', () => {
  const repair = new Repair(100);
  repair.tick();
  while (repair.answer() !== null) repair.ms += 1;
  expect(repair.installed.length).toBeGreaterThan(10);
});

it('what was read before a long pause of this process is not: what has replaced it may be forgotten by now', () => {
  const repair = new Repair(100);
  repair.tick();
  while (repair.answer() !== 'pull') repair.ms += 1;
  repair.ms += 12_000;
  repair.tick();
  expect(repair.installed).toEqual([]);
  // It is read anew.
  repair.ms += 6000;
  repair.tick();
  while (repair.answer() !== null) repair.ms += 1;
  expect(repair.installed.length).toBeGreaterThan(10);
});

it('goes from one voter to the next, though much differs for good', () => {
  const repair = new Repair(100, { differs: true, voters: [2, 3] });
  for (let round = 0; round < 4; round += 1) {
    repair.tick();
    while (repair.answer() !== null) repair.ms += 1;
    repair.ms += 6500;
  }
  expect(repair.compared).toEqual([2, 3, 2, 3]);
});
