/** The arithmetic of pacing. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { calculatedDelay, type DelayFacts, isStorm, retryAfter, slowedBy } from '../../src/policy/pacing.ts';

const facts = (over: Partial<DelayFacts> = {}): DelayFacts => ({
  nowMs: 10_000,
  siteReadyAt: 0,
  siteDelayMs: 200,
  waiting: 0,
  slaveReadyAt: 0,
  slaveDelayMs: 1_000,
  waitingHere: 0,
  eligible: 10,
  ...over,
});

describe('the calculated delay (P-01.2)', () => {
  it.each([
    ['nothing is booked and nobody waits', {}, 0],
    ['the site is not ready', { siteReadyAt: 10_150 }, 150],
    ['the slaves are not ready', { slaveReadyAt: 10_700 }, 700],
    ['three wait', { siteReadyAt: 10_100, waiting: 3, waitingHere: 3 }, 700],
    ['the slaves are scarcer than the site allows', { waiting: 4, waitingHere: 4, eligible: 2 }, 2_000],
    ['others wait for another slave', { waiting: 4, waitingHere: 0, eligible: 1 }, 800],
    ['the share of a slave is no whole millisecond', { waitingHere: 1, eligible: 3, siteDelayMs: 0 }, 334],
  ])('is right when %s', (_, over, expected) => {
    expect(calculatedDelay(facts(over))).toBe(expected);
  });

  it('is a whole number, never negative, and grows with those who wait', () => {
    const nat = fc.nat(1_000_000);
    fc.assert(
      fc.property(nat, nat, nat, nat, nat, fc.nat(5_000), fc.integer({ min: 1, max: 10_000 }), (...values) => {
        const [nowMs, siteReadyAt, slaveReadyAt, siteDelayMs, slaveDelayMs, waiting, eligible] = values;
        const one = facts({
          nowMs,
          siteReadyAt,
          slaveReadyAt,
          siteDelayMs,
          slaveDelayMs,
          waiting,
          waitingHere: waiting,
          eligible,
        });
        const delay = calculatedDelay(one);
        expect(Number.isInteger(delay)).toBe(true);
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(calculatedDelay({ ...one, waiting: waiting + 1 })).toBeGreaterThanOrEqual(delay);
      }),
    );
  });
});

describe('what clients are told', () => {
  it.each([
    [0, 1_000],
    [-5, 1_000],
    [1_500.2, 1_501],
    [700_000, 600_000],
    [Number.POSITIVE_INFINITY, 600_000],
  ])('E-09 brings %d ms into the range of a Retry-After', (ms, expected) => {
    expect(retryAfter(ms)).toBe(expected);
  });

  it.each([
    [-1, 0],
    [2_000, 2_000],
    [500_000, 120_000],
  ])('A-08 a 429 that asks for %d ms delays by %d', (ms, expected) => {
    expect(slowedBy(ms, 120_000)).toBe(expected);
  });
});

describe('a ban storm (A-09b)', () => {
  it.each([
    [3, 4, false],
    [3, 5, true],
    [2, 5, false],
    [5, 10, false],
    [6, 10, true],
  ])('%d banned of %d that served: %s', (banned, served, expected) => {
    expect(isStorm(banned, served)).toBe(expected);
  });
});
