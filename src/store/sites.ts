/** All websites the memory store knows; those nobody uses any more leave by themselves. */
import type { Roster } from './exits.ts';
import { newSite, renew, type Site } from './site.ts';

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

/** How long a website's order of upstreams outlives its last request. */
const IDLE_MS = 120_000;

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
    for (let i = 0; i < SWEEP_STEPS; i++) {
      const next = sweeper.next();
      if (next.done) {
        sweeper = sites.values();
        return;
      }
      const site = next.value;
      if (site.waiting === 0 && site.keepUntil + IDLE_MS < now) drop(site);
    }
  };

  return {
    get: (website, roster, now) => {
      sweep(now);
      let site = sites.get(website);
      if (!site) {
        site = newSite(website, roster, random());
        site.keepUntil = now;
        sites.set(website, site);
      } else if (site.roster !== roster) renew(site, roster, now);
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
