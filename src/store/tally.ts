/** Counts a website's dispatches of the last minute of which nothing else is remembered, for the ban storm guard (A-09b). */
import { STORM } from '../policy/pacing.ts';
import type { Site } from './site.ts';

const STRETCH_MS = 10_000;
const STRETCHES = STORM.windowMs / STRETCH_MS;

/** A record of a dispatch that recent is kept. */
export const REMEMBER_MS = STORM.windowMs;

const shiftTo = (site: Site, stretch: number): void => {
  const { tally: kept } = site;
  const missed = stretch - kept.stretch;
  if (missed <= 0) return;
  if (missed >= STRETCHES) kept.counts = [];
  else for (let i = 0; i < missed; i++) kept.counts.push(0);
  if (kept.counts.length > STRETCHES) kept.counts.splice(0, kept.counts.length - STRETCHES);
  kept.stretch = stretch;
};

/** Counts a dispatch made at `at`. */
export const tally = (site: Site, at: number): void => {
  const stretch = Math.floor(at / STRETCH_MS);
  shiftTo(site, stretch);
  const { counts } = site.tally;
  if (counts.length === 0) counts.push(0);
  const index = counts.length - 1 - (site.tally.stretch - stretch);
  if (index >= 0) counts[index] = (counts[index] ?? 0) + 1;
};

/** How many different upstreams served within the last minute, to within 10 seconds. */
export const servedLately = (site: Site, now: number): number => {
  shiftTo(site, Math.floor(now / STRETCH_MS));
  let served = 0;
  for (const count of site.tally.counts) served += count;
  for (const use of site.uses.values()) if (use.usedAt > now - STORM.windowMs) served++;
  return Math.min(served, site.roster.byId.size);
};
