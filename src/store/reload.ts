/** What a website keeps when the pool is replaced or the process was started anew: no limit is forgotten. */
import type { Roster } from './exits.ts';
import { resettle, useOf } from './order.ts';
import { FORGET_AT, type Limits, type Site, walkOf } from './site.ts';

/** Keeps the limits of upstreams that are not configured now. */
const depart = (site: Site, id: string, { readyAt, bannedUntil }: Limits, now: number): void => {
  if (readyAt <= now && bannedUntil <= now) return;
  site.departed ??= new Map();
  site.departed.set(id, { readyAt, bannedUntil });
};

/** Puts limits back on an upstream that is configured again. */
const comeBack = (site: Site, id: string, limits: Limits, now: number): void => {
  const exit = site.roster.byId.get(id);
  if (!exit) {
    depart(site, id, limits, now);
    return;
  }
  const use = useOf(site, exit, now);
  use.readyAt = limits.readyAt;
  use.bannedUntil = limits.bannedUntil;
  resettle(use, now);
};

/** Follows a replaced pool: upstreams that stayed keep `R`, `B` and, unless their weight changed, their place. */
export const renew = (site: Site, roster: Roster, now: number): void => {
  const { uses, departed, whole } = site;
  const length = Math.max(1, whole.ring.exits.length);
  const fraction = ((site.start + whole.cursor) % length) / length;
  site.roster = roster;
  site.start = Math.floor(fraction * roster.ring.exits.length);
  site.whole = walkOf(roster.ring, site.start, site.turn);
  site.groups = [];
  site.uses = new Map();
  site.departed = undefined;
  for (const [id, limits] of departed ?? []) comeBack(site, id, limits, now);
  for (const [id, old] of uses) {
    comeBack(site, id, old, now);
    const use = site.uses.get(id);
    if (!use) continue;
    use.usedAt = old.usedAt;
    if (use.others?.length !== old.others?.length) continue;
    use.place = old.place;
    use.others = old.others;
    resettle(use, now);
  }
  site.forgetAt = Math.max(FORGET_AT, site.uses.size * 2);
};

/** Sets a ban remembered from before a restart, whether or not the upstream is configured now. */
export const restoreBan = (site: Site, id: string, until: number, now: number): void => {
  comeBack(site, id, { readyAt: 0, bannedUntil: until }, now);
  site.keepUntil = Math.max(site.keepUntil, until);
};

/** Upstream ids banned for the website, with the end of each ban. */
export const bansOf = (site: Site, now: number): [id: string, until: number][] => {
  const found: [string, number][] = [];
  for (const [id, limits] of site.departed ?? []) if (limits.bannedUntil > now) found.push([id, limits.bannedUntil]);
  for (const group of site.groups) {
    for (const use of group.barred) if (use.bannedUntil > now) found.push([use.exit.id, use.bannedUntil]);
  }
  return found;
};
