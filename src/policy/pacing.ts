/** The arithmetic of pacing: calculated delay, limits and the values told to clients. Milliseconds throughout. */

/** What the calculated delay depends on (P-01.2). */
export interface DelayFacts {
  readonly nowMs: number;
  /** `G` of the account and website. */
  readonly siteReadyAt: number;
  readonly siteDelayMs: number;
  /** `W`: all requests waiting for this account and website. */
  readonly waiting: number;
  /** Smallest `R` of the eligible slaves. */
  readonly slaveReadyAt: number;
  readonly slaveDelayMs: number;
  /** `w`: those waiting for the same choice of slaves. */
  readonly waitingHere: number;
  /** `e`: number of eligible slaves, at least 1. */
  readonly eligible: number;
}

/** The calculated delay `d` of P-01.2, whole milliseconds. */
export const calculatedDelay = (facts: DelayFacts): number => {
  const now = facts.nowMs;
  const bySite = Math.max(now, facts.siteReadyAt) + facts.waiting * facts.siteDelayMs;
  const bySlave = Math.max(now, facts.slaveReadyAt) + (facts.waitingHere * facts.slaveDelayMs) / facts.eligible;
  return Math.ceil(Math.max(bySite, bySlave) - now);
};

/** Longest `Retry-After` but for the hard limit (E-09). */
export const MAX_RETRY_AFTER_MS = 600_000;

/** `Retry-After` of overload and of a lost store (E-09). */
export const OVERLOAD_RETRY_MS = 5_000;

/** Brings a wait into the range a client is told: 1 s to 600 s (E-09). */
export const retryAfter = (ms: number): number => Math.min(Math.max(Math.ceil(ms), 1_000), MAX_RETRY_AFTER_MS);

/** How far a 429 may push the next turn. */
export const slowedBy = (ms: number, softLimitMs: number): number => Math.min(Math.max(0, Math.ceil(ms)), softLimitMs);

/** A ban storm's measures (A-09b). */
export const STORM = { windowMs: 60_000, leastServed: 5 } as const;

/** Whether one rule has banned more than half of the upstreams that served a website (A-09b). */
export const isStorm = (bannedByRule: number, served: number): boolean =>
  served >= STORM.leastServed && bannedByRule * 2 > served;
