import { describe, expect, it } from '@jest/globals';
import { Claims } from '../../lib/membership/claims.js';
import { PeerTable } from '../../lib/membership/peers.js';
import type { Holder, View } from '../../lib/membership/view.js';

const OWN = 9;
const holder = (process: number, generation = 1): Holder => ({ process, generation, name: `host-${process}` });
const viewOf = (...holders: (Holder | null)[]): View => ({ incarnation: 1, formedAtMs: 1, holders });

/** A process in a view of which it hears some. */
function claimant(view: View, heard: readonly number[], wish = 0, random = 0, elsewhere: readonly number[] = []) {
  const peers = new PeerTable();
  const claims = new Claims({ process: OWN, name: 'host-9', host: 'host-9', wish, random: () => random }, peers);
  let nowMs = 0;
  const pass = (ms: number): void => {
    for (const endMs = nowMs + ms; nowMs < endMs; nowMs += 100) {
      for (const process of heard) {
        const peer = peers.hear(process, { host: '10.0.0.1', port: process }, nowMs);
        peer.introduction ??= {
          name: `host-${process}`,
          host: `host-${process}`,
          streamPort: 0,
          clusterSize: 3,
          wish: 0,
          phase: 'voter',
          bound: 0,
          incarnation: elsewhere.includes(process) ? 2 : 1,
          slot: process,
          voter: 0,
          isDurable: false,
          hasResigned: false,
          copied: 0,
          lost: 0,
          open: [],
          ended: [],
        };
      }
      claims.look(nowMs);
    }
  };
  claims.see(view, true, 0);
  return { claims, pass, next: () => claims.next(nowMs), see: (later: View) => claims.see(later, false, nowMs) };
}

describe('claims', () => {
  it('one slot at a time, of the generation after the newest that is known', () => {
    const { claims, pass, next } = claimant(viewOf(holder(1), holder(2), holder(3, 4)), [1, 2]);
    pass(4000);
    const claim = next();
    expect(claim).toEqual({ slot: 3, since: 0, holder: { process: OWN, generation: 5, name: 'host-9' } });
    pass(4000);
    expect(next()).toBeNull();
    claims.ended();
    expect(next()).toEqual(claim);
  });

  it('a slot that was given up and comes back, in a generation that the formation has not given', () => {
    const view = { ...viewOf(holder(1), null), config: { version: 2, sizes: [1], slots: 2, since: [0, 2] } } as const;
    const { pass, next } = claimant(view, [1]);
    pass(5000);
    expect(next()).toMatchObject({ slot: 2, since: 2, holder: { generation: 2 } });
  });

  it('nothing while no majority of the other slots is heard', () => {
    const { pass, next } = claimant(viewOf(holder(1), holder(2), holder(3)), [1]);
    pass(10_000);
    expect(next()).toBeNull();
  });

  it('counts nobody for two slots, who was named in both', () => {
    const { claims, pass } = claimant(viewOf(holder(1), holder(1, 2), holder(3)), [1, 3]);
    pass(1000);
    expect(claims.isSpare(1000)).toBe(false);
    const all = claimant(viewOf(holder(1), holder(2), holder(3)), [1, 2, 3]);
    all.pass(1000);
    expect(all.claims.isSpare(1000)).toBe(true);
  });

  it('nothing after a pause of this process, in which it has heard nobody', () => {
    const { claims, pass } = claimant(viewOf(holder(1), holder(2), holder(3)), [1, 2, 3]);
    pass(5000);
    claims.look(60_000);
    expect(claims.open(60_000)).toEqual([]);
    expect(claims.isOpen(3, 65_000)).toBe(false);
  });
});

describe('while the farm changes its size', () => {
  const gathering = { version: 2, sizes: [3], slots: 5, since: [0, 0, 0, 2, 2] } as const;

  it('a slot that decides comes before those that do not yet, and is waited for', () => {
    const view = { ...viewOf(holder(1), holder(2), holder(3), null, null), config: gathering };
    const { pass, next } = claimant(view, [1, 3], 0, 0.99);
    pass(2500);
    // Slot 2 is not heard, and not open yet.
    expect(next()).toBeNull();
    pass(3000);
    expect(next()).toMatchObject({ slot: 2 });
  });

  it('is not waited for without an end', () => {
    const view = { ...viewOf(holder(1), holder(2), holder(3), null, null), config: gathering };
    // Heard, but no voter of this farm.
    const { pass, next } = claimant(view, [1, 2, 3], 0, 0.99, [2]);
    pass(30_000);
    expect(next()).toBeNull();
    pass(20_000);
    expect(next()).toMatchObject({ slot: 5 });
  });
});
