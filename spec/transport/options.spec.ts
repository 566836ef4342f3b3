import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../lib/errors.js';
import { createTransport } from '../../lib/transport/index.js';
import { parseTransportOption } from '../../lib/transport/options.js';
import type { Transport } from '../../lib/transport/transport.js';

const COMMON = { maxDatagramSize: 1400, receiveBufferSize: 4_194_304, streamPort: 0 };
const DEFAULT = {
  kind: 'multicast',
  group: { host: '239.255.77.77', port: 7707 },
  family: 4,
  interface: undefined,
  ttl: 1,
  ...COMMON,
};

class OwnTransport implements Transport {
  maxDatagramSize = 100;
  maxFrameSize = 1000;
  open = async () => ({ streamPort: 0 });
  broadcast = () => {};
  send = () => {};
  sendStream = () => false;
  status = () => ({
    description: 'own',
    datagramsSent: 0,
    datagramsReceived: 0,
    sendErrors: 0,
    streamFramesSent: 0,
    streamFramesReceived: 0,
    receiveBufferSize: 0,
  });
  close = async () => {};
}

describe('the option `transport`', () => {
  it.each<[unknown, object]>([
    [undefined, DEFAULT],
    [{}, DEFAULT],
    [{ multicast: undefined, ttl: undefined, streamPort: undefined }, DEFAULT],
    [
      { interface: 'eth0', ttl: 0 },
      { ...DEFAULT, interface: 'eth0', ttl: 0 },
    ],
    [{ multicast: '224.0.1.9:1' }, { ...DEFAULT, group: { host: '224.0.1.9', port: 1 } }],
    [
      { multicast: '[FF15:0::77]:5000', interface: '::1' },
      { ...DEFAULT, group: { host: 'ff15::77', port: 5000 }, family: 6, interface: '::1' },
    ],
    [
      { maxDatagramSize: 7800, receiveBufferSize: 65_536, streamPort: 65_535 },
      { ...DEFAULT, maxDatagramSize: 7800, receiveBufferSize: 65_536, streamPort: 65_535 },
    ],
    [{ broadcast: '192.0.2.255:5000' }, { kind: 'broadcast', to: { host: '192.0.2.255', port: 5000 }, ...COMMON }],
    [
      { peers: ['10.0.0.1:5000', 'web-2.example:5001', '10.0.0.1:5000'], bind: '0.0.0.0:0' },
      {
        kind: 'peers',
        peers: [
          { host: '10.0.0.1', port: 5000 },
          { host: 'web-2.example', port: 5001 },
        ],
        bind: { host: '0.0.0.0', port: 0 },
        family: 4,
        ...COMMON,
      },
    ],
    [
      { peers: ['[0:0::1]:5000'] },
      { kind: 'peers', peers: [{ host: '::1', port: 5000 }], bind: undefined, family: 6, ...COMMON },
    ],
    [
      { peers: ['web:5000'] },
      { kind: 'peers', peers: [{ host: 'web', port: 5000 }], bind: undefined, family: undefined, ...COMMON },
    ],
  ])('%j', (option, settings) => {
    expect(parseTransportOption(option)).toEqual(settings);
  });

  it.each<[unknown, string]>([
    [null, 'Option transport got null; it takes nothing (UDP multicast)'],
    ['multicast', "Option transport got 'multicast'"],
    [['10.0.0.1:5000'], 'Option transport got '],
    [{ mutlicast: '239.1.2.3:5000' }, 'transport.mutlicast is not known'],
    [{ broadcast: '192.0.2.255:5000', ttl: 2 }, 'transport.ttl is not known beside broadcast'],
    [{ peers: ['10.0.0.1:5000'], interface: 'eth0' }, 'transport.interface is not known beside peers'],
    [{ multicast: '239.1.2.3:5000', peers: ['10.0.0.1:5000'] }, 'only one of multicast and peers'],
    [{ multicast: 5000 }, 'Option transport.multicast got 5000'],
    [{ multicast: '239.1.2.3' }, "Option transport.multicast got '239.1.2.3'"],
    [{ multicast: '239.1.2.3:0' }, 'transport.multicast'],
    [{ multicast: '239.1.2.3:65536' }, 'transport.multicast'],
    [{ multicast: '239.1.2.300:5000' }, 'transport.multicast'],
    [{ multicast: '10.0.0.1:5000' }, 'it takes a multicast group'],
    [{ multicast: 'group:5000' }, 'it takes a multicast group'],
    [{ multicast: 'ff15::77:5000' }, "'[ff15::77]:5000'"],
    [{ multicast: '[ff02::77%eth0]:5000' }, 'transport.multicast'],
    [{ multicast: '[fd00::1]:5000' }, 'transport.multicast'],
    [{ interface: '' }, 'Option transport.interface'],
    [{ interface: 1 }, 'Option transport.interface got 1'],
    [{ interface: '::1' }, 'it takes an IPv4 address'],
    [{ multicast: '[ff15::77]:5000', interface: '127.0.0.1' }, 'it takes an IPv6 address'],
    [{ ttl: 256 }, 'Option transport.ttl got 256; it takes a whole number, 0 to 255'],
    [{ ttl: 1.5 }, 'transport.ttl'],
    [{ ttl: '1' }, "transport.ttl got '1'"],
    [{ maxDatagramSize: 7801 }, 'transport.maxDatagramSize got 7801; it takes a whole number, 512 to 7800'],
    [{ maxDatagramSize: 511 }, 'transport.maxDatagramSize'],
    [{ receiveBufferSize: 1000 }, 'transport.receiveBufferSize'],
    [{ streamPort: -1 }, 'transport.streamPort'],
    [{ streamPort: Number.NaN }, 'transport.streamPort got NaN'],
    [{ broadcast: '[fe80::1]:5000' }, 'IPv6 has none'],
    [{ broadcast: '239.1.2.3:5000' }, 'transport.broadcast'],
    [{ broadcast: '0.0.0.0:5000' }, 'transport.broadcast'],
    [{ broadcast: '192.0.2.255:0' }, 'transport.broadcast'],
    [{ peers: '10.0.0.1:5000' }, 'transport.peers'],
    [{ peers: [] }, 'an array of 1 to 256'],
    [{ peers: Array.from({ length: 257 }, (_, i) => `h${i}:1`) }, 'an array of 1 to 256'],
    [{ peers: ['10.0.0.1:5000', '10.0.0.2'] }, "transport.peers[1] got '10.0.0.2'"],
    [{ peers: ['10.0.0.300:5000'] }, 'transport.peers[0]'],
    [{ peers: ['::1:5000'] }, 'transport.peers[0]'],
    [{ peers: ['[10.0.0.1]:5000'] }, 'transport.peers[0]'],
    [{ peers: ['0.0.0.0:5000'] }, 'transport.peers[0]'],
    [{ peers: ['http://web:5000'] }, 'transport.peers[0]'],
    [{ peers: ['web:0'] }, 'transport.peers[0]'],
    [{ peers: [5000] }, 'transport.peers[0] got 5000'],
    [{ peers: ['10.0.0.1:5000', '[::1]:5000'] }, 'all of IPv4 or all of IPv6'],
    [{ peers: ['10.0.0.1:5000'], bind: '[::]:5000' }, 'all of IPv4 or all of IPv6'],
    [{ peers: ['10.0.0.1:5000'], bind: 5000 }, 'transport.bind got 5000'],
    [{ peers: ['10.0.0.1:5000'], bind: '239.1.2.3:1' }, 'transport.bind'],
    [{ open: () => {} }, 'Option transport.broadcast got undefined; it takes a method of Transport'],
    [Object.assign(new OwnTransport(), { maxFrameSize: 0 }), 'transport.maxFrameSize got 0'],
  ])('refuses %j', (option, message) => {
    expect(() => parseTransportOption(option)).toThrow(ConfigError);
    expect(() => parseTransportOption(option)).toThrow(message);
  });

  it("passes a transport of the user's own through", () => {
    const own = new OwnTransport();
    expect(createTransport(own)).toBe(own);
  });

  it('bounds the size of frames', () => {
    expect(createTransport(undefined, { maxFrameSize: 100 }).maxFrameSize).toBe(100);
    expect(createTransport(undefined).maxFrameSize).toBe(1_114_112);
    for (const maxFrameSize of [0, 1.5, 8 * 1024 * 1024]) {
      expect(() => createTransport(undefined, { maxFrameSize })).toThrow(/^maxFrameSize got/);
    }
  });
});
