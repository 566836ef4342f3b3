import { describe, expect, test } from '@jest/globals';
import { type Introduction, PeerTable } from '../../lib/membership/peers.js';

/** As in the table. */
const MAX_PEERS = 1024;

const introduction: Introduction = {
  name: 'a:1',
  host: 'a',
  streamPort: 0,
  clusterSize: 3,
  wish: 0,
  phase: 'voter',
  bound: 0,
  incarnation: 1,
  slot: 1,
  voter: 0,
  isDurable: false,
  hasResigned: false,
  open: [],
  ended: [],
  copied: 0,
  lost: 0,
};

const at = (port: number) => ({ host: '10.0.0.1', port });

function table(): { readonly peers: PeerTable; readonly forgotten: number[] } {
  const forgotten: number[] = [];
  return { peers: new PeerTable((process) => forgotten.push(process)), forgotten };
}

describe('what is kept of a process elsewhere goes with it', () => {
  test('when it was silent for long', () => {
    const { peers, forgotten } = table();
    for (const process of [1, 2, 3]) peers.hear(process, at(process), process * 100);
    peers.dropSilent(1000, 800);
    expect(forgotten).toEqual([1]);
    expect([...peers].map(({ process }) => process)).toEqual([2, 3]);
  });

  test('when it makes room for another', () => {
    const { peers, forgotten } = table();
    for (let process = 1; process <= MAX_PEERS; process += 1) peers.hear(process, at(process), process);
    peers.hear(1, at(1), 5000);
    expect(forgotten).toEqual([]);
    peers.hear(MAX_PEERS + 1, at(7), 5001);
    expect(forgotten).toEqual([2]);
    expect(peers.size).toBe(MAX_PEERS);
  });
});

test('whoever acted for another, and does no more, is not taken for it', () => {
  const { peers } = table();
  const peer = peers.hear(2, at(2), 100);
  const said = { ...introduction, voter: 1 };
  peers.introduce(peer, said, 100);
  expect(peers.get(1)).toBe(peer);
  peers.introduce(peer, { ...said, voter: 0 }, 100);
  expect(peers.get(1)).toBeUndefined();
  expect(peers.get(2)).toBe(peer);
});

test('whoever is heard over a connection is not known by that alone', () => {
  const { peers } = table();
  expect(peers.hearAgain(1, 100)).toBe(false);
  expect(peers.size).toBe(0);
  peers.hear(1, at(1), 200);
  expect(peers.hearAgain(1, 300)).toBe(true);
  expect(peers.isHeard(1, 300, 0)).toBe(true);
});
