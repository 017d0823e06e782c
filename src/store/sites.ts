/** All websites the memory store knows; those nobody uses any more leave by themselves. */
import type { Roster } from './exits.ts';
import { renew } from './reload.ts';
import { newSite, type Site } from './site.ts';

export interface Sites {
  /** The website's state, made or brought up to the roster when needed. */
  get(website: string, roster: Roster, now: number): Site;
  known(website: string): Site | undefined;
  /** Notes that the website has bans. */
  hasBans(site: Site): void;
  /** Websites with bans that are not over. */
  withBans(now: number): Site[];
  count(): number;
}

/** How long a website's order of upstreams outlives its last request while there are few websites, and when many. */
const IDLE_MS = 3_600_000;
const SHORT_IDLE_MS = 120_000;
const MANY = 20_000;

/** Websites looked at per request: more than one, so that leaving outruns coming. */
const SWEEP_STEPS = 2;

export const makeSites = (random: () => number): Sites => {
  const sites = new Map<string, Site>();
  const banned = new Set<Site>();
  let sweeper = sites.values();

  const drop = (site: Site): void => {
    sites.delete(site.website);
    banned.delete(site);
  };

  const sweep = (now: number): void => {
    const idleMs = sites.size > MANY ? SHORT_IDLE_MS : IDLE_MS;
    for (let i = 0; i < SWEEP_STEPS; i++) {
      const next = sweeper.next();
      if (next.done) {
        sweeper = sites.values();
        return;
      }
      const site = next.value;
      if (site.waiting === 0 && site.keepUntil + idleMs < now) drop(site);
    }
  };

  return {
    get: (website, roster, now) => {
      sweep(now);
      let site = sites.get(website);
      if (!site) {
        site = newSite(website, roster, random());
        sites.set(website, site);
      } else if (site.roster !== roster) renew(site, roster, now);
      if (site.keepUntil < now) site.keepUntil = now;
      return site;
    },
    known: (website) => sites.get(website),
    hasBans: (site) => {
      banned.add(site);
    },
    withBans: (now) => {
      for (const site of banned) if (site.keepUntil <= now) banned.delete(site);
      return [...banned];
    },
    count: () => sites.size,
  };
};
