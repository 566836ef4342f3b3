import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ConfigError } from '../../lib/errors.js';
import { poorNetwork } from '../../lib/index.js';
import { type NetworkConditions, PoorNetwork, parseTransportOption } from '../../lib/transport/index.js';
import type { Address, Receiver, Transport } from '../../lib/transport/transport.js';
import { closeAll, drawGroup, drawPort, type Node, Notes, openNode, until } from './farm.js';

const PEER: Address = { host: '10.0.0.2', port: 5000 };
const OTHER: Address = { host: '10.0.0.3', port: 5000 };

/** What a spec puts below: it notes what is sent, and receives what it is told to. */
class Below implements Transport {
  readonly maxDatagramSize = 100;
  readonly maxFrameSize = 1000;
  readonly sent: string[] = [];
  acceptsFrames = true;
  isClosed = false;
  receiver: Receiver | undefined;

  async open(receiver: Receiver): Promise<{ readonly streamPort: number }> {
    this.receiver = receiver;
    return { streamPort: 7 };
  }

  broadcast(datagram: Uint8Array): void {
    this.sent.push(text(datagram));
  }

  send(to: Address, datagram: Uint8Array): void {
    this.sent.push(`${to.host} ${text(datagram)}`);
  }

  sendStream(to: Address, frame: Uint8Array): boolean {
    this.sent.push(`${to.host} frame ${text(frame)}`);
    return this.acceptsFrames;
  }

  status() {
    return {
      description: 'below',
      datagramsSent: this.sent.length,
      datagramsReceived: 0,
      sendErrors: 0,
      streamFramesSent: 0,
      streamFramesReceived: 0,
      receiveBufferSize: 0,
    };
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

/** The numbers one after another, as `random`; drawing one more is an error. */
function draws(...numbers: number[]): () => number {
  return () => {
    const number = numbers.shift();
    if (number === undefined) throw new Error('More was drawn than the spec expects.');
    return number;
  };
}

function bytes(string: string): Uint8Array {
  return new TextEncoder().encode(string);
}

function text(array: Uint8Array): string {
  return new TextDecoder().decode(array);
}

describe('a poor network', () => {
  let below: Below;
  let notes: Notes;

  beforeEach(() => {
    jest.useFakeTimers();
    below = new Below();
    notes = new Notes();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  async function make(conditions?: NetworkConditions, random?: () => number): Promise<PoorNetwork> {
    const network = new PoorNetwork(below, conditions, { random });
    expect(await network.open(notes)).toEqual({ streamPort: 7 });
    return network;
  }

  const received = (): string[] => notes.datagrams.map((datagram) => datagram.bytes.toString());

  it('without conditions passes all as it is, and draws nothing', async () => {
    const network = await make({}, draws());
    network.broadcast(bytes('a'));
    network.send(PEER, bytes('b'));
    expect(network.sendStream(PEER, bytes('c'))).toBe(true);
    below.acceptsFrames = false;
    expect(network.sendStream(PEER, bytes('d'))).toBe(false);
    expect(below.sent).toEqual(['a', '10.0.0.2 b', '10.0.0.2 frame c', '10.0.0.2 frame d']);
    expect(below.receiver?.onDatagram(bytes('e'), PEER)).toBe(true);
    expect(below.receiver?.onDatagram(bytes('bad'), PEER)).toBe(false);
    expect(below.receiver?.onFrame(bytes('bad frame'), PEER)).toBe(false);
    below.receiver?.onWarning('code', 'message');
    expect(notes.datagrams.map(({ from }) => from)).toEqual([PEER, PEER]);
    expect(received()).toEqual(['e', 'bad']);
    expect(notes.frames).toHaveLength(1);
    expect(notes.warnings).toEqual([{ code: 'code', message: 'message' }]);
    expect(network.status()).toMatchObject({ description: 'below', datagramsSent: 4, poor: { lost: 0, waiting: 0 } });
    expect([network.maxDatagramSize, network.maxFrameSize]).toEqual([100, 1000]);
  });

  it('loses what it draws, in both directions', async () => {
    const network = await make({ loss: 0.5 }, draws(0.4, 0.5, 0.4, 0.5, 0.4, 0.5, 0.4, 0.5));
    network.broadcast(bytes('lost'));
    network.broadcast(bytes('a'));
    expect(network.sendStream(PEER, bytes('lost'))).toBe(true);
    expect(network.sendStream(PEER, bytes('b'))).toBe(true);
    expect(below.sent).toEqual(['a', '10.0.0.2 frame b']);
    expect(below.receiver?.onDatagram(bytes('lost'), PEER)).toBe(false);
    expect(below.receiver?.onDatagram(bytes('c'), PEER)).toBe(true);
    // A lost frame is no reason to close the connection.
    expect(below.receiver?.onFrame(bytes('bad'), PEER)).toBe(true);
    expect(below.receiver?.onFrame(bytes('d'), PEER)).toBe(true);
    expect(received()).toEqual(['c']);
    expect(notes.frames.map((frame) => frame.bytes.toString())).toEqual(['d']);
    expect(network.counters).toMatchObject({ lost: 4 });
    expect(network.status().description).toBe('below, made poor on purpose');
  });

  it('doubles what it draws', async () => {
    const network = await make({ duplication: 0.2 }, draws(0.1, 0.2, 0.1, 0.2));
    network.broadcast(bytes('a'));
    network.broadcast(bytes('b'));
    expect(below.receiver?.onDatagram(bytes('c'), PEER)).toBe(true);
    below.receiver?.onDatagram(bytes('d'), PEER);
    expect(below.sent).toEqual(['a', 'a', 'b']);
    expect(received()).toEqual(['c', 'c', 'd']);
    expect(network.counters).toMatchObject({ duplicated: 2 });
  });

  it('delays a copy: who lent the bytes may use them again', async () => {
    const network = await make({ delayMs: 50 });
    const own = bytes('a');
    network.broadcast(own);
    expect(network.sendStream(PEER, own)).toBe(true);
    own.fill(0);
    const lent = bytes('b');
    // Whether they are authentic is not known yet; nobody would be heard if they counted as forged.
    expect(below.receiver?.onDatagram(lent, PEER)).toBe(true);
    expect(below.receiver?.onFrame(lent, PEER)).toBe(true);
    lent.fill(0);
    jest.advanceTimersByTime(49);
    expect([below.sent, received(), network.counters.waiting]).toEqual([[], [], 4]);
    jest.advanceTimersByTime(1);
    expect(below.sent).toEqual(['a', '10.0.0.2 frame a']);
    expect(received()).toEqual(['b']);
    expect(notes.frames.map((frame) => frame.bytes.toString())).toEqual(['b']);
    expect(network.counters).toMatchObject({ delayed: 4, waiting: 0 });
  });

  it('keeps the order by an equal delay, and changes it by jitter', async () => {
    const network = await make({ delayMs: 10 }, draws(0.9, 0.1));
    network.broadcast(bytes('a'));
    network.broadcast(bytes('b'));
    jest.advanceTimersByTime(10);
    network.set({ delayMs: 10, jitterMs: 100 });
    network.broadcast(bytes('c'));
    network.broadcast(bytes('d'));
    jest.advanceTimersByTime(20);
    expect(below.sent).toEqual(['a', 'b', 'd']);
    jest.advanceTimersByTime(80);
    expect(below.sent).toEqual(['a', 'b', 'd', 'c']);
  });

  it('holds back what it draws until the next one has passed, or for 100 ms', async () => {
    const network = await make({ reordering: 0.5 }, draws(0.4, 0.6, 0.4));
    network.broadcast(bytes('a'));
    expect(below.sent).toEqual([]);
    network.broadcast(bytes('b'));
    expect(below.sent).toEqual(['b', 'a']);
    network.broadcast(bytes('c'));
    network.broadcast(bytes('d'));
    jest.advanceTimersByTime(99);
    expect(below.sent).toEqual(['b', 'a', 'c']);
    jest.advanceTimersByTime(1);
    expect(below.sent).toEqual(['b', 'a', 'c', 'd']);
    expect(network.counters).toMatchObject({ reordered: 2, waiting: 0 });
  });

  it('holds back in each direction by itself', async () => {
    const network = await make({ reordering: 1 });
    network.broadcast(bytes('a'));
    below.receiver?.onDatagram(bytes('b'), PEER);
    below.receiver?.onDatagram(bytes('c'), PEER);
    expect(below.sent).toEqual([]);
    expect(received()).toEqual(['c', 'b']);
  });

  it('has a bound on what waits, in number and in bytes, and counts what it drops', async () => {
    const network = await make({ delayMs: 10 });
    for (let count = 0; count < 4100; count += 1) network.broadcast(bytes('a'));
    expect(network.counters).toMatchObject({ delayed: 4096, waiting: 4096, overflowed: 4 });
    jest.advanceTimersByTime(10);
    expect(below.sent).toHaveLength(4096);
    const large = new Uint8Array(2 ** 20);
    for (let count = 0; count < 65; count += 1) network.sendStream(PEER, large);
    expect(network.counters).toMatchObject({ waiting: 64, overflowed: 5 });
    jest.advanceTimersByTime(10);
    network.sendStream(PEER, large);
    expect(network.counters).toMatchObject({ waiting: 1, overflowed: 5 });
  });

  it('other conditions take the place of all those before, in the direction that is named', async () => {
    const network = await make({ loss: 1 });
    network.set({ delayMs: 10 }, 'sent');
    network.broadcast(bytes('a'));
    below.receiver?.onDatagram(bytes('lost'), PEER);
    jest.advanceTimersByTime(10);
    expect(below.sent).toEqual(['a']);
    network.set({}, 'received');
    below.receiver?.onDatagram(bytes('b'), PEER);
    expect(received()).toEqual(['b']);
    network.set({});
    network.broadcast(bytes('c'));
    expect(below.sent).toEqual(['a', 'c']);
  });

  it('cuts off and heals, what is under way included', async () => {
    const network = await make({ delayMs: 10 });
    network.broadcast(bytes('under way'));
    below.receiver?.onDatagram(bytes('under way'), PEER);
    network.cutOff();
    expect(network.isCutOff).toBe(true);
    expect(network.status().description).toBe('below, cut off on purpose');
    jest.advanceTimersByTime(10);
    network.set({});
    network.broadcast(bytes('cut'));
    network.send(PEER, bytes('cut'));
    expect(network.sendStream(PEER, bytes('cut'))).toBe(true);
    expect(below.receiver?.onDatagram(bytes('cut'), PEER)).toBe(false);
    expect(below.receiver?.onFrame(bytes('cut'), PEER)).toBe(true);
    expect([below.sent, received(), notes.frames]).toEqual([[], [], []]);
    expect(network.counters).toMatchObject({ cutOff: 7, lost: 0 });
    network.heal();
    expect(network.isCutOff).toBe(false);
    network.broadcast(bytes('a'));
    below.receiver?.onDatagram(bytes('b'), PEER);
    expect([below.sent, received()]).toEqual([['a'], ['b']]);
  });

  it('cuts off what is held back, too', async () => {
    const network = await make({ reordering: 1 });
    network.broadcast(bytes('held back'));
    network.cutOff();
    jest.advanceTimersByTime(100);
    network.heal();
    expect([below.sent, network.counters.waiting]).toEqual([[], 0]);
  });

  it('cuts one direction, and a second cut takes the place of the first', async () => {
    const network = await make();
    network.cutOff({ direction: 'sent' });
    network.broadcast(bytes('cut'));
    below.receiver?.onDatagram(bytes('a'), PEER);
    network.cutOff({ direction: 'received' });
    network.broadcast(bytes('b'));
    below.receiver?.onDatagram(bytes('cut'), PEER);
    expect([below.sent, received()]).toEqual([['b'], ['a']]);
  });

  it('cuts off from some hosts only', async () => {
    const network = await make();
    network.cutOff({ hosts: ['10.0.0.2', 'FE80:0::1%eth0'] });
    network.send(PEER, bytes('cut'));
    network.send(OTHER, bytes('a'));
    network.broadcast(bytes('b'));
    expect(network.sendStream(PEER, bytes('cut'))).toBe(true);
    expect(below.receiver?.onDatagram(bytes('cut'), PEER)).toBe(false);
    expect(below.receiver?.onDatagram(bytes('cut'), { host: 'fe80:0:0::1%eth0', port: 1 })).toBe(false);
    expect(below.receiver?.onDatagram(bytes('c'), OTHER)).toBe(true);
    expect(below.sent).toEqual(['10.0.0.3 a', 'b']);
    expect(received()).toEqual(['c']);
  });

  it('passes nothing once closed, and leaves no timer', async () => {
    const network = await make({ delayMs: 10 });
    network.broadcast(bytes('a'));
    below.receiver?.onDatagram(bytes('b'), PEER);
    expect(jest.getTimerCount()).toBe(2);
    await network.close();
    expect(below.isClosed).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
    network.broadcast(bytes('c'));
    expect(below.receiver?.onDatagram(bytes('d'), PEER)).toBe(false);
    expect(jest.getTimerCount()).toBe(0);
    jest.advanceTimersByTime(1000);
    expect([below.sent, received(), network.counters.waiting]).toEqual([[], [], 0]);
  });

  it('passes no second copy to a receiver that closes at the first', async () => {
    const network = new PoorNetwork(below, { duplication: 1 });
    let calls = 0;
    await network.open({
      onDatagram: () => {
        calls += 1;
        void network.close();
        return true;
      },
      onFrame: () => true,
      onWarning: () => undefined,
    });
    below.receiver?.onDatagram(bytes('a'), PEER);
    expect(calls).toBe(1);
  });

  it('does not keep the process alive by what is delayed', () => {
    jest.useRealTimers();
    const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const network = new PoorNetwork(below, { delayMs: 10_000 });
    network.broadcast(bytes('a'));
    expect(network.counters.waiting).toBe(1);
    expect(timers()).toBe(before);
    return network.close();
  });

  it.each<[unknown, RegExp]>([
    [{ loss: 1.1 }, /^Option loss got 1\.1; it takes a number from 0 to 1\.$/],
    [{ loss: -0.1 }, /^Option loss got -0\.1; it takes a number from 0 to 1\.$/],
    [{ duplication: '0.5' }, /^Option duplication got '0\.5'; it takes a number from 0 to 1\.$/],
    [{ reordering: Number.NaN }, /^Option reordering got NaN; it takes a number from 0 to 1\.$/],
    [{ delayMs: 10_001 }, /^Option delayMs got 10001; it takes a number from 0 to 10000\.$/],
    [{ jitterMs: Number.POSITIVE_INFINITY }, /^Option jitterMs got Infinity; it takes a number from 0 to 10000\.$/],
    [{ drop: 1 }, /^There is no network condition drop; it takes loss, duplication, reordering, delayMs, jitterMs\.$/],
    [null, /^Option conditions got null; it takes an object with any of loss, /],
  ])('refuses the conditions %p, and keeps those it had', async (conditions, message) => {
    expect(() => new PoorNetwork(below, conditions as NetworkConditions)).toThrow(message);
    const network = await make({ delayMs: 10 });
    expect(() => network.set(conditions as NetworkConditions)).toThrow(ConfigError);
    network.broadcast(bytes('a'));
    expect(network.counters).toMatchObject({ delayed: 1 });
  });

  it.each<[object, RegExp]>([
    [{ direction: 'up' }, /^Option direction got 'up'; it takes 'both', 'sent' or 'received'\.$/],
    [{ hosts: [] }, /^Option hosts got \[\]; it takes an array of 1 to 256 numeric addresses, as '10\.0\.0\.2'\.$/],
    [{ hosts: ['web-2'] }, /^Option hosts got \[ 'web-2' \]; it takes an array/],
    [{ hosts: '10.0.0.2' }, /^Option hosts got '10\.0\.0\.2'; it takes an array/],
  ])('refuses the cut %p, and keeps the one in force', async (cut, message) => {
    const network = await make();
    network.cutOff({ direction: 'sent' });
    expect(() => network.cutOff(cut)).toThrow(message);
    expect(() => network.cutOff(cut)).toThrow(ConfigError);
    network.broadcast(bytes('cut'));
    below.receiver?.onDatagram(bytes('a'), PEER);
    expect([below.sent, received()]).toEqual([[], ['a']]);
  });

  it('refuses a source of chance that is none', () => {
    expect(() => new PoorNetwork(below, {}, { random: 4 as never })).toThrow(/^Option random got 4; it takes a funct/);
  });
});

describe('poorNetwork()', () => {
  closeAll();

  it('is a transport of the user, over what the option `transport` takes', () => {
    const network = poorNetwork({ multicast: '239.1.2.3:5000' });
    expect(parseTransportOption(network)).toEqual({ kind: 'custom', transport: network });
    expect(network.status().description).toBe('multicast 239.1.2.3:5000');
    expect(poorNetwork(new Below()).maxFrameSize).toBe(1000);
    // Enough for every `maxValueSize` that a store takes.
    expect(network.maxFrameSize).toBeGreaterThanOrEqual(6 * 2 ** 20 + 65_536);
    expect(() => poorNetwork({ multicast: '10.0.0.1:5000' })).toThrow(/^Option transport\.multicast got/);
  });

  it('cuts a real one off from real others, and heals it', async () => {
    const group = { multicast: drawGroup(), interface: '127.0.0.1' };
    const network = poorNetwork(group, { delayMs: 1, jitterMs: 2 });
    const poor = await openNode(network);
    const other = await openNode(group);
    await meet(poor, other, 'before');

    network.cutOff();
    const { cutOff } = network.counters;
    await until(
      () => network.counters.cutOff > cutOff + 20,
      () => {
        poor.transport.broadcast(bytes('from cut'));
        other.transport.broadcast(bytes('to cut'));
      },
    );
    expect(other.notes.find('from cut')).toBeUndefined();
    expect(poor.notes.find('to cut')).toBeUndefined();

    network.heal();
    await meet(poor, other, 'after');
    expect(poor.transport.sendStream({ host: '127.0.0.1', port: other.streamPort }, bytes('frame'))).toBe(true);
    await until(() => other.notes.frames.length > 0);
  });

  it('cuts off from one host among several on one machine', async () => {
    const port = drawPort();
    const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;
    // Linux takes all of 127/8 for its own; elsewhere such an address has to be set up.
    if (process.platform !== 'linux') return;
    const peers = hosts.map((host) => `${host}:${port}`);
    const network = poorNetwork({ peers, bind: peers[0] });
    const poor = await openNode(network);
    const [near, far] = [await openNode({ peers, bind: peers[1] }), await openNode({ peers, bind: peers[2] })];
    network.cutOff({ hosts: ['127.0.0.3'] });
    await meet(poor, near, 'near');
    await until(
      () => network.counters.cutOff > 5,
      () => far.transport.broadcast(bytes('from far')),
    );
    expect(poor.notes.find('from far')).toBeUndefined();
    network.heal();
    await meet(poor, far, 'far');
  });

  /** Until each has heard the other. */
  function meet(one: Node, two: Node, word: string): Promise<void> {
    return until(
      () => one.notes.find(`two ${word}`) !== undefined && two.notes.find(`one ${word}`) !== undefined,
      () => {
        one.transport.broadcast(bytes(`one ${word}`));
        two.transport.broadcast(bytes(`two ${word}`));
      },
    );
  }
});
