/** Ban storms (A-09b): whether one rule bans so much of a website's upstreams that the rule is to be doubted. */
import { isStorm, STORM } from '../policy/pacing.ts';
import type { Site } from './site.ts';
import { servedLately } from './tally.ts';

/** One rule's doings at one website. */
export interface Storm {
  /** Upstream id to when the rule banned it, in that order. */
  readonly bans: Map<string, number>;
  /** No longer a storm from then on. */
  until: number;
}

const stormOf = (site: Site, rule: string): Storm => {
  site.storms ??= new Map();
  const known = site.storms.get(rule);
  if (known) return known;
  const storm: Storm = { bans: new Map(), until: 0 };
  site.storms.set(rule, storm);
  return storm;
};

/** Notes a hit; true while the storm lasts, which every hit prolongs. */
export const inStorm = (site: Site, rule: string, now: number): boolean => {
  const storm = site.storms?.get(rule);
  if (!storm || storm.until <= now) return false;
  storm.until = now + STORM.windowMs;
  return true;
};

/** Notes a ban the rule has set; true when that begins a storm. */
export const noteBan = (site: Site, rule: string, upstreamId: string, now: number): boolean => {
  const storm = stormOf(site, rule);
  storm.bans.delete(upstreamId);
  storm.bans.set(upstreamId, now);
  for (const [id, at] of storm.bans) {
    if (at > now - STORM.windowMs) break;
    storm.bans.delete(id);
  }
  if (storm.bans.size * 2 <= STORM.leastServed) return false;
  if (!isStorm(storm.bans.size, servedLately(site, now))) return false;
  storm.until = now + STORM.windowMs;
  storm.bans.clear();
  return true;
};
