/** Session ids and the end of a session's life. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isOver, looksLikeId, newSessionId, seedOf } from '../../src/policy/sessions.ts';

describe('session ids', () => {
  it('S-02 are 7 to 15 digits without leading zero, and exact as numbers', () => {
    const fraction = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(fraction, (value) => {
        const id = newSessionId(() => value);
        expect(id).toMatch(/^[1-9][0-9]{6,14}$/);
        expect(looksLikeId(id)).toBe(true);
        expect(String(seedOf(id))).toBe(id);
      }),
    );
  });

  it.each(['', '123456', '0123456', '1234567890123456', '12345a7', ' 1234567', '1234567\n', '-1234567', 'create'])(
    'S-09 %j cannot be one',
    (text) => {
      expect(looksLikeId(text)).toBe(false);
    },
  );
});

describe('a session', () => {
  it.each([
    ['just after its idle life', 0, 1_000, 2_800, true],
    ['just before', 0, 1_000, 2_799, false],
    ['in use for long', 1, 1_000, 9_999_999, false],
  ])('S-11 %s', (_, running, lastUse, now, over) => {
    expect(isOver(lastUse, running, 1_800, now)).toBe(over);
  });
});
