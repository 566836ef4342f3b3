import { expect, it } from '@jest/globals';
import { Repairer } from '../../lib/node/repairer.js';
import type { Voter } from '../../lib/node/voter.js';
import { Acceptor, type AcceptorRequest, NO_BALLOT, NO_BYTES } from '../../lib/paxos/index.js';
import { MemoryTable } from '../../lib/storage/memory.js';

const EPOCH = 1_700_000_000_000;

/** A voter that holds nothing, and repairs itself by one that holds so many keys. */
class Repair {
  readonly installed: string[] = [];
  readonly other = new Acceptor(new MemoryTable(), { maxClockSkewMs: 10_000 });
  ms = 0;
  #asked: AcceptorRequest | null = null;
  readonly #it: Repairer;

  constructor(keys: number) {
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
      lacks: (entry, now) => empty.lacks(entry, now),
      install: ({ key }) => {
        this.installed.push(key);
        return true;
      },
    };
    this.#it = new Repairer({
      voter: voter as Voter,
      now: () => this.now,
      electorate: () => ({ sizes: [2], isVoter: () => true }),
      votersHeard: () => [2],
      nextRequest: () => 1,
      retransmitMs: () => 1000,
      transmit: ({ message }) => {
        this.#asked = message as AcceptorRequest;
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
    if (answer !== null) this.#it.receive({ process: 2, slot: 2 }, answer);
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
