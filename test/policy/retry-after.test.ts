import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { retryAfterMs } from '../../src/policy/retry-after.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');

describe("a target's Retry-After (A-08)", () => {
  it.each([
    ['absent', [], 0],
    ['seconds', ['Retry-After', '7'], 7000],
    ['in any case, with blanks', ['RETRY-after', ' 7 '], 7000],
    ['the last of two', ['Retry-After', '7', 'Retry-After', '9'], 9000],
    ['no wait', ['Retry-After', '0'], 0],
    ['a date to come', ['Retry-After', 'Sun, 01 Mar 2026 12:00:30 GMT'], 30_000],
    ['a date that has passed', ['Retry-After', 'Sun, 01 Mar 2026 11:59:30 GMT'], 0],
    ['now', ['Retry-After', 'Sun, 01 Mar 2026 12:00:00 GMT'], 0],
    ['empty', ['Retry-After', ''], 0],
    ['blank', ['Retry-After', '   '], 0],
    ['rubbish', ['Retry-After', 'soon'], 0],
    ['a negative number', ['Retry-After', '-5'], 0],
    ['more digits than a wait can have', ['Retry-After', '9999999999'], 0],
    ['another header', ['X-Retry-After', '7'], 0],
  ])('A-08 reads one that is %s', (_what, headers, expected) => {
    expect(retryAfterMs(headers, NOW)).toBe(expected);
  });

  it('A-08 never gives anything but a whole number of milliseconds from 0', () => {
    fc.assert(
      fc.property(fc.string(), fc.integer({ min: 0, max: 4_000_000_000_000 }), (value, now) => {
        const ms = retryAfterMs(['Retry-After', value], now);
        return Number.isInteger(ms) && ms >= 0;
      }),
    );
  });
});
