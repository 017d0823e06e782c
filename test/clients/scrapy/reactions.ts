/** Runs the middleware of this folder in Scrapy, several generations at once, and puts its reactions into words. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Town } from '../kit.ts';
import { python } from './programs.ts';

const SCRIPT = join(import.meta.dirname, 'reactions.py');

export const GENERATIONS = ['1.4.0', '1.5.1', '1.7.2', '2.2.0', '2.3.5', '2.4.1'] as const;
export type Generation = (typeof GENERATIONS)[number];

export interface Plan {
  readonly generation: Generation;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly requests: readonly PlannedRequest[];
}

export interface PlannedRequest {
  readonly row: string;
  readonly url: string;
  /** Requests of one slot share its delay; without one each has its own. */
  readonly slot?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Instead of the plan's. */
  readonly key?: string;
  /** In the session of the answer before. */
  readonly session?: true;
  /** Past crawlgate. */
  readonly direct?: true;
}

/** What one answer made of its slot. */
export interface Reaction {
  readonly plan: string;
  readonly row: string;
  readonly status?: number;
  readonly error?: string;
  readonly retryAfter?: number;
  readonly failed?: string;
  readonly bans: number;
  readonly repeats: number;
  /** Seconds. */
  readonly delay: number;
}

export interface Reactions {
  /** In order, per plan. */
  of(generation: Generation): Reaction[];
  /** Why its spider was closed. */
  closed(generation: Generation): string | undefined;
  readonly log: string;
}

/** The plugins' 15 and 180 seconds, shrunk; the longest of each, not a random part of it. */
const SHRUNK = 10_000;
const BACKOFF = { PACED_STEP: 15 / SHRUNK, PACED_CAP: 180 / SHRUNK, PACED_JITTER: false };

interface Line extends Reaction {
  readonly closed?: string;
}

/** All plans in one process, side by side. */
export const react = async (town: Town, plans: readonly Plan[]): Promise<Reactions> => {
  const file = join(town.folder, 'plans.json');
  const written = plans.map(({ generation, settings = {}, requests }) => ({
    name: generation,
    settings: {
      GENERATION: generation,
      PACED_PROXY: `http://${town.address}`,
      PACED_KEY: town.key,
      ...BACKOFF,
      ...settings,
    },
    requests: requests.map((one, place) => ({ slot: `${generation}-${place}`, ...one })),
  }));
  writeFileSync(file, JSON.stringify(written));
  const exit = await python(town, [SCRIPT, file]);
  const lines = exit.out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Line);
  return {
    of: (generation) => lines.filter(({ plan, closed }) => plan === generation && closed === undefined),
    closed: (generation) => lines.find(({ plan, closed }) => plan === generation && closed !== undefined)?.closed,
    log: exit.err,
  };
};

/** As the contract's table has it: `ban, Retry-After`, `backoff 15`, `nothing`. */
export const inWords = ({ bans, repeats, delay, retryAfter = 0 }: Reaction): string => {
  const words: string[] = [];
  if (bans > 0) words.push('ban');
  if (delay > 0 && delay === retryAfter) words.push('Retry-After');
  else if (delay > 0) words.push(`backoff ${Math.round(delay * SHRUNK)}`);
  if (repeats > 0) words.push(`${repeats} repeats`);
  return words.join(', ') || 'nothing';
};
