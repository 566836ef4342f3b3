import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FrameReader, frameHeader } from '../../lib/transport/frames.js';

const MAX = 10_000;

function written(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(frames.flatMap((frame) => [frameHeader(frame.byteLength), frame]));
}

describe('frames', () => {
  it('come out as they went in, however the stream was cut', () => {
    const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: MAX }), { maxLength: 5 });
    const cuts = fc.array(fc.integer({ min: 1, max: 6000 }), { minLength: 1 });
    fc.assert(
      fc.property(frames, cuts, (sent, sizes) => {
        const bytes = written(sent);
        const reader = new FrameReader(MAX);
        const got: Buffer[] = [];
        for (let at = 0, turn = 0; at < bytes.byteLength; turn += 1) {
          // Never undefined: there is at least one.
          const size = sizes[turn % sizes.length] ?? 1;
          expect(reader.push(bytes.subarray(at, at + size), (frame) => got.push(Buffer.from(frame)) > 0)).toBe(true);
          at += size;
        }
        expect(got).toEqual(sent.map((frame) => Buffer.from(frame)));
      }),
    );
  });

  it.each([0, MAX + 1, 0xffff_ffff])('of %d bytes end the reading, when no more than the length has come', (length) => {
    const reader = new FrameReader(MAX);
    const header = frameHeader(length);
    const none = (): boolean => {
      throw new Error('there is no frame');
    };
    expect(reader.push(header.subarray(0, 3), none)).toBe(true);
    expect(reader.push(header.subarray(3), none)).toBe(false);
  });

  it('end the reading when they are refused', () => {
    const seen: number[] = [];
    const bytes = written([Buffer.from('a'), Buffer.from('b'), Buffer.from('c')]);
    const isGood = new FrameReader(MAX).push(bytes, ([first = 0]) => seen.push(first) < 2);
    expect(isGood).toBe(false);
    expect(Buffer.from(seen).toString()).toBe('ab');
  });

  it('take memory for what has come, not for what is claimed', () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 100 }, () => new FrameReader(1e9));
    for (const reader of readers) {
      reader.push(frameHeader(1e9), () => true);
      reader.push(Buffer.alloc(10_000), () => true);
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(100 * 100_000);
  });
});
