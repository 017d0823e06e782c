/** Rounds summed up: medians and spreads. */
import type { LoadResult } from './protocol.ts';

export interface Round extends LoadResult {
  readonly cpuUsPerRequest: number;
  /** Of the server beside it, 0 without one. */
  readonly besideUsPerRequest: number;
  readonly residentBytes: number;
}

export interface Spread {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/** One peer in one case, over all rounds. */
export interface Summary {
  readonly caseName: string;
  readonly peer: string;
  readonly cpuUs: Spread;
  readonly besideUs: Spread;
  readonly perSecond: Spread;
  readonly p50Ms: Spread;
  readonly p99Ms: Spread;
  /** The most seen. */
  readonly residentBytes: number;
  readonly requests: number;
  readonly errors: number;
  readonly firstError: string | undefined;
  readonly rounds: readonly Round[];
}

export const spreadOf = (values: readonly number[]): Spread => {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number): number => sorted[index] ?? 0;
  const middle = sorted.length >> 1;
  const median = sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2;
  return { median, low: at(0), high: at(sorted.length - 1) };
};

export const summarize = (caseName: string, peer: string, rounds: readonly Round[]): Summary => ({
  caseName,
  peer,
  cpuUs: spreadOf(rounds.map((round) => round.cpuUsPerRequest)),
  besideUs: spreadOf(rounds.map((round) => round.besideUsPerRequest)),
  perSecond: spreadOf(rounds.map((round) => (round.requests / round.elapsedMs) * 1000)),
  p50Ms: spreadOf(rounds.map((round) => round.p50Ms)),
  p99Ms: spreadOf(rounds.map((round) => round.p99Ms)),
  residentBytes: Math.max(0, ...rounds.map((round) => round.residentBytes)),
  requests: rounds.reduce((sum, round) => sum + round.requests, 0),
  errors: rounds.reduce((sum, round) => sum + round.errors, 0),
  firstError: rounds.find((round) => round.firstError !== undefined)?.firstError,
  rounds,
});
