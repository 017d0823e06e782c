/** Places, their order, and which upstream hosts the next session. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { firstFrom, freshRank, MAX_WEIGHT, placesOf, ratherHosts, spreadPlaces } from '../../src/policy/select.ts';

describe('the ring of places (P-03)', () => {
  it('follows the configured order when all weigh the same', () => {
    expect(spreadPlaces([1, 1, 1, 1])).toEqual([0, 1, 2, 3]);
  });

  it('spreads the places of a heavy upstream', () => {
    const ring = spreadPlaces([4, 1, 1]);
    expect(ring).toHaveLength(6);
    expect(ring.join('')).not.toContain('0000');
  });

  it.each([
    [1, 1],
    [0, 1],
    [2.6, 3],
    [1e9, MAX_WEIGHT],
  ])('a weight of %d is %d places', (weight, places) => {
    expect(placesOf(weight)).toBe(places);
  });

  it('has as many places of each as it weighs, and never leaves one out for longer than its share', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 12 }), (weights) => {
        const ring = spreadPlaces(weights);
        weights.forEach((weight, index) => {
          const at = ring.flatMap((one, place) => (one === index ? [place] : []));
          expect(at).toHaveLength(weight);
          const gaps = at.map((place, i) => ((at[i + 1] ?? (at[0] ?? 0) + ring.length) - place) % (ring.length + 1));
          expect(Math.max(...gaps)).toBeLessThanOrEqual(Math.ceil(ring.length / weight) + weights.length);
        });
      }),
    );
  });

  it('ranks fresh places from the start of a website round the ring', () => {
    expect([3, 4, 0, 1, 2].map((place) => freshRank(place, 3, 5))).toEqual([-5, -4, -3, -2, -1]);
  });

  it('finds where a region begins', () => {
    expect(firstFrom([2, 5, 9], 5)).toBe(1);
    expect(firstFrom([2, 5, 9], 6)).toBe(2);
    expect(firstFrom([2, 5, 9], 10)).toBe(0);
    expect(firstFrom([], 1)).toBe(0);
  });
});

describe('who hosts the next session (S-12)', () => {
  it('is the one with the fewest, then the one that has waited longest', () => {
    expect(ratherHosts({ sessions: 1, given: 9 }, { sessions: 2, given: 1 })).toBe(true);
    expect(ratherHosts({ sessions: 2, given: 1 }, { sessions: 2, given: 5 })).toBe(true);
    expect(ratherHosts({ sessions: 2, given: 5 }, { sessions: 2, given: 1 })).toBe(false);
  });
});
