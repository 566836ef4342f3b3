import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader, frameHeader } from '../../lib/transport/frames.js';
import { StreamChannel } from '../../lib/transport/stream.js';
import { STREAM_LIMITS, type StreamLimits } from '../../lib/transport/stream-limits.js';
import { Warnings } from '../../lib/transport/warnings.js';
import { Opener } from '../../lib/wire/open.js';
import { Sealer } from '../../lib/wire/seal.js';
import { effort, FUZZING_TIMEOUT_MS, runs } from '../wire/fuzzing.js';
import { byteMutations, mutated } from '../wire/mutation.js';
import { recordTraffic, type Traffic } from '../wire/traffic.js';
import { until } from './farm.js';

jest.setTimeout(FUZZING_TIMEOUT_MS);

const HOST = '127.0.0.1';
const MAX_FRAME = 10_000;

let traffic: Traffic;
beforeAll(async () => {
  traffic = await recordTraffic();
});

function framed(frame: Uint8Array): Buffer {
  return Buffer.concat([frameHeader(frame.length), frame]);
}

/** What a stream comes to, read all at once; by other code than the reader's. */
function framesIn(
  stream: Buffer,
  isGood: (frame: Buffer) => boolean = () => true,
): { frames: Buffer[]; isGood: boolean } {
  const frames: Buffer[] = [];
  for (let at = 0; at + 4 <= stream.length; ) {
    const length = stream.readUInt32BE(at);
    if (length === 0 || length > MAX_FRAME) return { frames, isGood: false };
    const frame = stream.subarray(at + 4, at + 4 + length);
    if (frame.length < length) break;
    frames.push(frame);
    if (!isGood(frame)) return { frames, isGood: false };
    at += 4 + length;
  }
  return { frames, isGood: true };
}

/** Cuts into pieces of these sizes, over and over. */
function piecesOf(stream: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn += 1) {
    const size = sizes[turn % sizes.length] ?? 1;
    pieces.push(stream.subarray(at, at + size));
    at += size;
  }
  return pieces;
}

const LENGTHS = [0, 1, 2, 100, MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];

/** A part of a stream: whole frames, or a length with something else behind it, or anything. */
const part: fc.Arbitrary<Buffer> = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map(framed),
  fc.constantFrom(1, 4095, 4096, 4097, MAX_FRAME).map((size) => framed(Buffer.alloc(size, size))),
  fc
    .tuple(fc.constantFrom(...LENGTHS), fc.uint8Array({ maxLength: 40 }))
    .map(([length, bytes]) => Buffer.concat([frameHeader(length), bytes])),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
);
const stream = fc
  .tuple(fc.array(part, { minLength: 1, maxLength: 8 }), fc.option(byteMutations))
  .map(([parts, changes]) => mutated(Buffer.concat(parts), changes ?? [], parts[0] ?? Buffer.alloc(0)));
const sizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 6000 })), { minLength: 2 });

describe('a reader of frames', () => {
  it('gives the frames that stand in a stream, whatever it is and however it comes, and stops where it is no good', () => {
    let refused = 0;
    fc.assert(
      fc.property(stream, sizes, fc.nat(4), (bytes, cuts, patience) => {
        // The receiver, too, may have had enough.
        const isWelcome = (count: number): boolean => patience === 0 || count < patience;
        let expectedCount = 0;
        const expected = framesIn(bytes, () => {
          expectedCount += 1;
          return isWelcome(expectedCount);
        });
        const frames: Buffer[] = [];
        const reader = new FrameReader(MAX_FRAME);
        const isGood = piecesOf(bytes, cuts).every((piece) =>
          reader.push(piece, (frame) => {
            frames.push(Buffer.from(frame));
            return isWelcome(frames.length);
          }),
        );
        expect(frames).toEqual(expected.frames.map((frame) => Buffer.from(frame)));
        expect(isGood).toBe(expected.isGood);
        refused += Number(!isGood);
      }),
      effort(),
    );
    expect(refused).toBeGreaterThan(runs() / 10);
    expect(refused).toBeLessThan(0.95 * runs());
  });

  it('takes memory by what has come, in a number of steps that grows more slowly', () => {
    const taken: number[] = [];
    const Plain = globalThis.Uint8Array;
    globalThis.Uint8Array = new Proxy(Plain, {
      construct: (target, args, newTarget) => {
        if (typeof args[0] === 'number') taken.push(args[0]);
        return Reflect.construct(target, args, newTarget);
      },
    });
    try {
      fc.assert(
        fc.property(fc.constantFrom(...LENGTHS), fc.nat(MAX_FRAME), sizes, (length, come, cuts) => {
          const most = 2 ** 32;
          const reader = new FrameReader(most);
          const bytes = Buffer.concat([frameHeader(length), Buffer.alloc(come, 1)]);
          taken.length = 0;
          let at = 0;
          for (const piece of piecesOf(bytes, cuts)) {
            at += piece.length;
            if (!reader.push(piece, () => false)) break;
            // Not by expect, since pieces may be many.
            if (taken.some((size) => size > Math.max(4096, 2 * at))) throw new Error(`took ${taken} for ${at} bytes`);
          }
          expect(taken.length).toBeLessThanOrEqual(2 + Math.log2(1 + bytes.length));
        }),
        effort(),
      );
    } finally {
      globalThis.Uint8Array = Plain;
    }
  });
});

const channels: StreamChannel[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await Promise.all(channels.splice(0).map((channel) => channel.close()));
});

/** What a stranger does with a connection. */
type Act =
  | { readonly kind: 'write'; readonly pieces: readonly Buffer[] }
  | { readonly kind: 'end' | 'destroy' | 'reset' | 'linger' };

/** A connection's whole life: what is written on it, and how it ends. */
interface Life {
  readonly acts: readonly Act[];
}

/** Opens a channel whose frames are looked at as a node does: opened once, by the secret. */
async function openChannel(limits: Partial<StreamLimits> = {}) {
  const opener = new Opener({ keyring: traffic.keyring, randomBytes: (size) => Buffer.alloc(size, 3) });
  const bodies: string[] = [];
  const warnings: string[] = [];
  let nowMs = 0;
  const channel = new StreamChannel(
    MAX_FRAME,
    new Warnings((code) => warnings.push(code)),
    (frame) => {
      // Slowly, so that the seal's own bound on strangers is no part of this.
      nowMs += 1000;
      const opened = opener.open(frame, nowMs);
      if (opened.ok) bodies.push(opened.body.toString('latin1'));
      return opened.ok;
    },
    { ...STREAM_LIMITS, ...limits },
  );
  channels.push(channel);
  return { channel, bodies, warnings, opener, port: await channel.open(HOST, 0) };
}

function connectTo(port: number): Socket {
  const socket = connect(port, HOST);
  socket.on('error', () => {});
  // Without a reader the end would not be noticed.
  socket.resume();
  sockets.push(socket);
  return socket;
}

async function live(port: number, { acts }: Life): Promise<Socket> {
  const socket = connectTo(port);
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]);
  for (const act of acts) {
    if (socket.destroyed) break;
    switch (act.kind) {
      case 'write':
        for (const piece of act.pieces) socket.write(piece);
        await new Promise((resolve) => setImmediate(resolve));
        break;
      case 'end':
        socket.end();
        break;
      case 'destroy':
        socket.destroy();
        break;
      case 'reset':
        socket.resetAndDestroy();
        break;
      case 'linger':
        // Stays, with half a frame or nothing on the way, until it is dropped.
        break;
    }
  }
  return socket;
}

/** Connections that bring sealed frames that were on the wire, each a few times, and what can be made of them. */
function lives(): fc.Arbitrary<readonly Life[]> {
  const some = [...traffic.frames.slice(0, 5), ...traffic.datagrams.slice(0, 5)];
  const sealed = fc.nat(some.length - 1).map((index) => some[index] ?? Buffer.alloc(0));
  const piece = fc.oneof(
    { weight: 4, arbitrary: sealed.map(framed) },
    stream,
    fc.tuple(sealed, sealed, byteMutations).map(([one, two, changes]) => mutated(framed(one), changes, framed(two))),
    fc.tuple(sealed, byteMutations).map(([one, changes]) => framed(mutated(one, changes, one))),
    fc.tuple(sealed, fc.nat()).map(([one, cut]) => framed(one).subarray(0, 1 + (cut % (one.length + 3)))),
  );
  const write = fc.tuple(piece, sizes).map(
    ([bytes, cuts]): Act => ({
      kind: 'write',
      pieces: piecesOf(
        bytes,
        cuts.map((size) => 100 + size),
      ),
    }),
  );
  const last = fc.constantFrom('end', 'destroy', 'reset', 'linger', 'linger').map((kind): Act => ({ kind }));
  const life = fc.tuple(fc.array(write, { maxLength: 4 }), last).map(([writes, end]) => ({ acts: [...writes, end] }));
  return fc.array(life, { minLength: 1, maxLength: 12 });
}

/** Whether its first frame may prove it, and nothing of what follows gives it away. */
function mayStay({ acts }: Life, genuine: ReadonlySet<string>): boolean {
  const all = Buffer.concat(acts.flatMap((act) => (act.kind === 'write' ? act.pieces : [])));
  const { frames, isGood } = framesIn(all, (frame) => genuine.has(frame.toString('latin1')));
  return isGood && frames.length > 0;
}

describe('connections of strangers, whatever comes on them,', () => {
  /** Few places, so that they are fought over. */
  const LIMITS = { maxUnproven: 4, maxIncoming: 8, proveMs: 50 };
  const WORD = 'a word of the farm';

  it('end in time, get nothing in that was not sealed or twice, and do not keep the farm from talking', async () => {
    const genuine = new Set([...traffic.frames, ...traffic.datagrams].map((sealed) => sealed.toString('latin1')));
    const bodies = new Set(traffic.allBodies.map((body) => body.toString('latin1')));
    let proven = 0;
    await fc.assert(
      fc.asyncProperty(lives(), async (all) => {
        const end = await openChannel(LIMITS);
        const peer = await openChannel();
        const sealer = new Sealer(traffic.keyring, (size) => crypto.getRandomValues(new Uint8Array(size)));
        const living = all.map((life) => live(end.port, life));
        // The farm's own node sends amid this, again and again as nodes do: it may be pushed out before it is proven.
        let said = 0;
        await until(
          () => end.bodies.includes(WORD),
          () => {
            said += 1;
            peer.channel.send({ host: HOST, port: end.port }, sealer.seal(Buffer.from(WORD)));
          },
        );
        const strangers = await Promise.all(living);
        // Whoever has proven nothing, or sends what is no good, is gone in time; others may stay.
        await until(() =>
          strangers.every((socket, index) => socket.closed || mayStay(all[index] ?? { acts: [] }, genuine)),
        );
        const heard = end.bodies.filter((body) => body !== WORD);
        expect(new Set(heard).size).toBe(heard.length);
        expect(heard.filter((body) => !bodies.has(body))).toEqual([]);
        expect(end.bodies.length - heard.length).toBeLessThanOrEqual(said);
        proven += heard.length;
        await Promise.all([end.channel.close(), peer.channel.close()]);
        await until(() => strangers.every((socket) => socket.closed));
        expect(end.warnings.filter((code) => code !== 'stream-full')).toEqual([]);
        sockets.length = 0;
        channels.length = 0;
      }),
      effort(20),
    );
    // Some of what was recorded got in, or nothing was tried.
    expect(proven).toBeGreaterThan(0);
  });

  it('are no more than there are places for', async () => {
    const end = await openChannel({ ...LIMITS, proveMs: FUZZING_TIMEOUT_MS });
    const strangers = Array.from({ length: Math.min(200, 20 + runs(50)) }, () => connectTo(end.port));
    // Nothing but newer ones ends them here.
    await until(() => strangers.filter((socket) => !socket.closed).length <= LIMITS.maxUnproven);
    expect(strangers.some((socket) => !socket.closed)).toBe(true);
  });

  it('are ended when their time is up, though they drip', async () => {
    const end = await openChannel({ ...LIMITS, proveMs: 200 });
    const strangers = Array.from({ length: LIMITS.maxUnproven }, () => connectTo(end.port));
    const [frame = Buffer.alloc(0)] = traffic.frames;
    let at = 0;
    await until(
      () => strangers.every((socket) => socket.closed),
      () => {
        // A byte of a frame now and then, which would take hours.
        for (const socket of strangers) if (socket.writable) socket.write(framed(frame).subarray(at, at + 1));
        at += 1;
        expect(at).toBeLessThan(frame.length);
      },
    );
    expect(end.bodies).toEqual([]);
  });
});
