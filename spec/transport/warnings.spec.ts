import { describe, expect, it } from '@jest/globals';
import { Warnings } from '../../lib/transport/warnings.js';

describe('warnings', () => {
  it('speak once a minute for each code, and tell how many were left out', () => {
    let nowMs = 0;
    const said: string[] = [];
    const warnings = new Warnings(
      (code, message) => said.push(`${code}: ${message}`),
      () => nowMs,
    );
    for (let i = 0; i < 5; i += 1) warnings.warn('a', `first ${i}`);
    warnings.warn('b', 'other');
    nowMs = 59_999;
    warnings.warn('a', 'still');
    nowMs = 60_000;
    warnings.warn('a', 'again');
    nowMs = 120_000;
    warnings.warn('a', 'and again');
    expect(said).toEqual([
      'a: first 0',
      'b: other',
      'a: again (5 more of this kind since the last such warning)',
      'a: and again',
    ]);
  });
});
