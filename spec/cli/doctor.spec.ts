import { describe, expect, it } from '@jest/globals';
import { adviceFor } from '../../lib/cli/doctor/advice.js';
import type { Finding } from '../../lib/cli/doctor/checkup.js';
import { drawPlace, endPrograms, run, startThree } from './programs.js';

endPrograms();

const well: Finding = {
  name: 'web-2:7',
  process: 'abc',
  host: 'web-2',
  address: '10.0.0.2:5000',
  slot: 2,
  roundTripMs: 0.4,
  answered: 1,
  datagramBytes: 1100,
  isWholeDatagram: true,
  isStreamOpen: true,
  isTalkative: true,
  aheadMs: 3,
  receiveBufferSize: 4 * 2 ** 20,
};

describe('the advice', () => {
  const on = (finding: Partial<Finding>): string[] =>
    adviceFor({ receiveBufferSize: 2 ** 22, findings: [well, { ...well, ...finding }] });

  it('is none where all is well', () => {
    expect(on({})).toEqual([]);
    // An app's process does not tell all.
    expect(on({ isTalkative: false, aheadMs: null, receiveBufferSize: null })).toEqual([]);
  });

  it.each<[Partial<Finding>, RegExp]>([
    [
      { roundTripMs: null, answered: 0, isStreamOpen: false },
      /is heard, and does not answer.*10\.0\.0\.2:5000.*Let UDP/,
    ],
    [{ answered: 0.6 }, /answered 60 % of the questions/],
    [{ isWholeDatagram: false, datagramBytes: 800 }, /Set transport\.maxDatagramSize.* to 1050 in all/],
    [{ isWholeDatagram: false, datagramBytes: 250 }, /Set transport\.maxDatagramSize.* to 512 in all/],
    [{ isWholeDatagram: false, datagramBytes: 0 }, /only the smallest datagrams/],
    [{ isStreamOpen: false }, /Let TCP through/],
    [{ aheadMs: -4200 }, /4\.2 s behind this host's: set both by NTP/],
    [{ receiveBufferSize: 212_992 }, /web-2:7 has 208 KiB.*rmem_max/],
  ])('on %j', (finding, advice) => {
    expect(on(finding)).toEqual([expect.stringMatching(advice)]);
  });

  it('on this host', () => {
    expect(adviceFor({ receiveBufferSize: 100_000, findings: [] })).toEqual([
      expect.stringMatching(/^This host has 98 KiB/),
    ]);
  });
});

it('looks at every process of a farm', async () => {
  const place = drawPlace();
  const nodes = await startThree(place);
  const { code, stdout, stderr } = await run(['doctor', '--json', ...place.options], place.environment);
  const { processes, network } = JSON.parse(stdout) as { processes: Finding[]; network: string };
  expect(stderr).toBe('');
  expect(network).toMatch(/^multicast 239\.255\./);
  expect(processes.map(({ slot }) => slot)).toEqual([1, 2, 3]);
  for (const finding of processes) {
    expect(finding).toMatchObject({ isWholeDatagram: true, isStreamOpen: true, isTalkative: true });
    expect(Math.abs(finding.aheadMs ?? Number.NaN)).toBeLessThan(1000);
  }
  expect([0, 1]).toContain(code);
  await nodes[0]?.program.kill();
  const words = await run(['doctor', ...place.options], place.environment);
  expect(words.stdout).toMatch(/^slot +name +address +datagrams/m);
}, 60_000);

it('says what is heard where there is no farm', async () => {
  const place = drawPlace();
  const { code, stdout, stderr } = await run(['doctor', '--timeout', '2500', ...place.options], place.environment);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toMatch(/^error: .*No other process of cluster 'default' is heard.*set transport to \{ peers/);
}, 60_000);
