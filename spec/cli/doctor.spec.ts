import { afterEach, describe, expect, it } from '@jest/globals';
import { adviceFor } from '../../lib/cli/doctor/advice.js';
import { answerDoctors } from '../../lib/cli/doctor/answer.js';
import { DEFAULT_DATAGRAM_SIZE, examine, type Finding } from '../../lib/cli/doctor/checkup.js';
import { type Member, PaxosNode } from '../../lib/index.js';
import { drawMulticast, drawPort, drawSecret } from '../cluster/farm.js';
import { until } from '../cluster/waiting.js';
import { drawPlace, endPrograms, run, startThree } from './programs.js';

endPrograms();

interface Said {
  readonly processes: readonly Finding[];
  readonly network: string;
  readonly problems: readonly string[];
}

const well: Finding = {
  name: 'web-2:7',
  process: 'abc',
  host: 'web-2',
  address: '10.0.0.2:5000',
  slot: 2,
  roundTripMs: 0.4,
  answered: 1,
  datagramBytes: 1205,
  isWholeDatagram: true,
  isStreamOpen: true,
  isTalkative: true,
  aheadMs: 3,
  receiveBufferSize: 4 * 2 ** 20,
};

describe('the advice', () => {
  const on = (finding: Partial<Finding>): string[] =>
    adviceFor({ receiveBufferSize: 2 ** 22, maxDatagramSize: 1400, findings: [well, { ...well, ...finding }] });

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
    [
      { isWholeDatagram: false, datagramBytes: 800 },
      /MTU is smaller than 1428.*Set transport\.maxDatagramSize.* to 940 in all/,
    ],
    [{ isWholeDatagram: false, datagramBytes: 250 }, /Set transport\.maxDatagramSize.* to 512 in all/],
    [{ isWholeDatagram: false, datagramBytes: 0 }, /only the smallest datagrams/],
    [{ isStreamOpen: false }, /Let TCP through/],
    [{ aheadMs: -4200 }, /4\.2 s behind this host's: set both by NTP/],
    [{ receiveBufferSize: 212_992 }, /web-2:7 has 208 KiB.*rmem_max/],
  ])('on %j', (finding, advice) => {
    expect(on(finding)).toEqual([expect.stringMatching(advice)]);
  });

  it('on this host', () => {
    expect(adviceFor({ receiveBufferSize: 100_000, maxDatagramSize: 1400, findings: [] })).toEqual([
      expect.stringMatching(/^This host has 98 KiB/),
    ]);
  });
});

it('looks at every process of a farm', async () => {
  const place = drawPlace();
  const nodes = await startThree(place);
  const { code, stdout, stderr } = await run(['doctor', '--json', ...place.options], place.environment);
  const { processes, network, problems } = JSON.parse(stdout) as Said;
  expect(stderr).toBe('');
  expect(network).toMatch(/^multicast 239\.255\./);
  expect(processes.map(({ slot }) => slot)).toEqual([1, 2, 3]);
  for (const finding of processes) {
    expect(finding).toMatchObject({ isWholeDatagram: true, isStreamOpen: true, isTalkative: true });
    expect(Math.abs(finding.aheadMs ?? Number.NaN)).toBeLessThan(30_000);
  }
  expect(code).toBe(problems.length === 0 ? 0 : 1);
  await nodes[0]?.program.kill();
  await nodes[1]?.program.kill();
  const words = await run(['doctor', ...place.options], place.environment);
  expect(words.code).toBe(1);
  expect(words.stdout).toMatch(
    /^slot +name +address +datagrams.*\n(\S+ .*\n)\n- Too few voters are heard for a quorum/m,
  );
});

describe('the datagrams of a check', () => {
  const nodes: PaxosNode[] = [];
  afterEach(() => Promise.all(nodes.splice(0).map((node) => node.close())));

  it.each([512, undefined, 7800])(
    'are nearly as large as may be (%p bytes): the largest goes by none of the connections',
    async (given) => {
      const maxDatagramSize = given ?? DEFAULT_DATAGRAM_SIZE;
      const options = {
        cluster: 'doctor',
        secret: drawSecret(),
        clusterSize: 1,
        transport: { ...drawMulticast(), maxDatagramSize: given },
      };
      nodes.push(new PaxosNode(options), new PaxosNode({ ...options, slot: false }));
      const [patient, asker] = nodes as [PaxosNode, PaxosNode];
      answerDoctors(patient);
      await Promise.all(nodes.map((node) => node.ready()));
      const find = () => asker.members().find(({ isSelf, address }) => !isSelf && address !== null);
      await until('they know each other', () => find() !== undefined);
      const finding = await examine(asker, find() as Member & { address: string }, maxDatagramSize);
      expect(finding).toMatchObject({ isWholeDatagram: true, isStreamOpen: true, isTalkative: true });
      expect(finding.datagramBytes).toBeGreaterThan(maxDatagramSize - 200);
      // One each, for what is far too large for a datagram, repeated at most.
      const { streamFramesSent, streamFramesReceived } = asker.status().network.transport;
      expect(streamFramesSent + streamFramesReceived).toBeLessThanOrEqual(4);
      expect(patient.status().network.transport.streamFramesReceived).toBe(streamFramesSent);
    },
  );
});

it('says what is heard where there is no farm', async () => {
  const place = drawPlace();
  const { code, stdout, stderr } = await run(['doctor', '--timeout', '2500', ...place.options], place.environment);
  expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
  expect(stderr).toMatch(/^error: .*No other process of cluster 'default' is heard.*set transport to \{ peers/);
  const words = ['doctor', '--timeout', '2500', '--peers', `127.0.0.1:${drawPort()}`];
  expect((await run(words, place.environment)).stderr).toMatch(
    /^error: .*No other process of cluster 'default' is heard \(peers 127.*are all hosts listed there/,
  );
});
