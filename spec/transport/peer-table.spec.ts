import { describe, expect, it } from '@jest/globals';
import { formatEndpoint, parseEndpoint } from '../../lib/transport/endpoints.js';
import { PeerTable } from '../../lib/transport/peer-table.js';

function table(peers: readonly string[], names: Record<string, string[]>): PeerTable {
  return new PeerTable(
    peers.flatMap((text) => parseEndpoint(text) ?? []),
    async (name) => {
      const found = names[name];
      if (!found) throw new Error('not found');
      return found;
    },
  );
}

describe('peers', () => {
  it('by name stand for all addresses of the name, each once', async () => {
    const peers = table(['web:5000', '10.0.0.2:5000', 'alias:5000'], {
      web: ['10.0.0.1', '10.0.0.2', 'fd00::1'],
      alias: ['10.0.0.1'],
    });
    expect(await peers.refresh()).toEqual([]);
    expect(peers.addresses(4).map(formatEndpoint)).toEqual(['10.0.0.1:5000', '10.0.0.2:5000']);
    expect(peers.addresses(6).map(formatEndpoint)).toEqual(['[fd00::1]:5000']);
    expect(peers.preferredFamily()).toBe(4);
  });

  it('follow a name to another address, and stay while it can not be resolved', async () => {
    const names: Record<string, string[]> = { web: ['10.0.0.1'] };
    const peers = table(['web:5000'], names);
    await peers.refresh();
    names.web = ['10.0.0.9'];
    await peers.refresh();
    expect(peers.addresses(4).map(formatEndpoint)).toEqual(['10.0.0.9:5000']);
    delete names.web;
    expect(await peers.refresh()).toEqual(['web (not found)']);
    expect(peers.addresses(4).map(formatEndpoint)).toEqual(['10.0.0.9:5000']);
  });

  it('are of IPv6 where there is nothing else, and bounded in number', async () => {
    const many = Array.from({ length: 999 }, (_, i) => `fd00::${(i + 1).toString(16)}`);
    const peers = table(['web:5000'], { web: many });
    await peers.refresh();
    expect(peers.preferredFamily()).toBe(6);
    expect(peers.addresses(6)).toHaveLength(256);
  });
});
