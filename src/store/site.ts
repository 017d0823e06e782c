/** What the memory store knows of one website: its order of upstreams, `R` and `B` of each, and `G` and `W` per account. */
import { firstFrom, freshRank } from '../policy/select.ts';
import { type Exit, type Ring, type Roster, regionOf } from './exits.ts';
import { put, type Ranked, takeOut } from './heap.ts';
import type { Storm } from './storm.ts';

/** What must hold for an upstream whatever happens to the configuration. */
interface Limits {
  /** `R`. */
  readyAt: number;
  /** `B`. */
  bannedUntil: number;
}

/** An upstream this website has seen. Member of exactly one heap of its group. */
export interface Use extends Ranked, Limits {
  readonly exit: Exit;
  readonly group: Group;
  home: Use[];
  /** Rank of its oldest place in the website's order. */
  place: number;
  /** Ranks of its other places, oldest first; `undefined` for weight 1. */
  others: number[] | undefined;
  /** Last dispatch, 0 = never. */
  usedAt: number;
}

/** A walk over the places of a ring that no request has come to yet. */
export interface Track {
  readonly ring: Ring;
  first: number;
  cursor: number;
}

/** The upstreams of one region, by what keeps them from being chosen. */
export interface Group extends Track {
  readonly region: string;
  /** Free, by place: the top is the one least recently used. */
  free: Use[];
  /** Waiting for `R`, by that. */
  readonly busy: Use[];
  /** Banned or down, by when that ends. */
  readonly barred: Use[];
}

/** One account's dealings with the website. */
export interface Pace {
  /** `G`. */
  readyAt: number;
  /** `W`, in all. */
  waiting: number;
  /** `w`, without session. */
  waitingFree: number;
  /** `w`, per session's slave. */
  waitingFor: Map<string, number> | undefined;
}

export interface Site {
  readonly website: string;
  roster: Roster;
  /** Position in the ring where this website began. */
  start: number;
  whole: Track;
  groups: Group[];
  uses: Map<string, Use>;
  /** So many uses are too many to remember. */
  forgetAt: number;
  /** Number of the last dispatch. */
  turn: number;
  /** Nothing here is of use after this, when nobody waits. */
  keepUntil: number;
  /** Requests waiting, of all accounts. */
  waiting: number;
  readonly paces: Map<string, Pace>;
  storms: Map<string, Storm> | undefined;
  /** `R` and `B` of upstreams that left the configuration, in case they come back before both are over. */
  departed: Map<string, Limits> | undefined;
}

const trackOf = (ring: Ring, start: number): Track => ({ ring, first: firstFrom(ring.at, start), cursor: 0 });

/** Uses a website remembers before it forgets the older ones. */
const FORGET_AT = 512;

/** A ban storm is judged by what was used that recently (A-09b). */
const REMEMBER_MS = 60_000;

/** `where` in [0, 1): where in the ring the website begins, so that websites seen once do not all meet one upstream. */
export const newSite = (website: string, roster: Roster, where: number): Site => {
  const start = Math.floor(where * roster.ring.exits.length);
  return {
    website,
    roster,
    start,
    whole: trackOf(roster.ring, start),
    groups: [],
    uses: new Map(),
    forgetAt: FORGET_AT,
    turn: 0,
    keepUntil: 0,
    waiting: 0,
    paces: new Map(),
    storms: undefined,
    departed: undefined,
  };
};

export const paceOf = (site: Site, account: string): Pace => {
  const known = site.paces.get(account);
  if (known) return known;
  const pace: Pace = { readyAt: 0, waiting: 0, waitingFree: 0, waitingFor: undefined };
  site.paces.set(account, pace);
  return pace;
};

/** The group of a region; `undefined` when no upstream has that label. */
export const groupOf = (site: Site, region: string): Group | undefined => {
  for (const group of site.groups) if (group.region === region) return group;
  const ring = site.roster.regions.get(region);
  if (!ring) return undefined;
  const group = { region, ...trackOf(ring, site.start), free: [], busy: [], barred: [] };
  site.groups.push(group);
  return group;
};

/** Puts a use where it belongs now. It must be in no heap. */
const settle = (use: Use, now: number): void => {
  const barredUntil = Math.max(use.bannedUntil, use.exit.downUntil);
  const { group } = use;
  use.home = barredUntil > now ? group.barred : use.readyAt > now ? group.busy : group.free;
  put(use.home, use, barredUntil > now ? barredUntil : use.readyAt > now ? use.readyAt : use.place);
};

/** Puts a use where it belongs now, after something about it changed. */
export const resettle = (use: Use, now: number): void => {
  takeOut(use.home, use);
  settle(use, now);
};

/** Moves those whose time has come. */
export const wake = (group: Group, now: number): void => {
  for (let top = group.busy[0]; top && top.rank <= now; top = group.busy[0]) resettle(top, now);
  for (let top = group.barred[0]; top && top.rank <= now; top = group.barred[0]) resettle(top, now);
};

/** Lets a walk begin anew at the site's start. */
const rewind = (track: Track, start: number): void => {
  track.first = firstFrom(track.ring.at, start);
  track.cursor = 0;
};

/**
 * Forgets those idle for so long that nothing but their place is known, and begins the ring where the walk has come to:
 * they come last again, as they would by their place.
 */
const forget = (site: Site, now: number): void => {
  let furthest = site.whole;
  for (const group of site.groups) if (group.cursor > furthest.cursor) furthest = group;
  const { at } = furthest.ring;
  site.start = at[(furthest.first + furthest.cursor) % at.length] ?? 0;
  rewind(site.whole, site.start);
  for (const group of site.groups) {
    rewind(group, site.start);
    const kept: Use[] = [];
    for (const use of group.free) {
      if (use.usedAt + REMEMBER_MS > now) put(kept, use, use.place);
      else site.uses.delete(use.exit.id);
    }
    for (const use of kept) use.home = kept;
    group.free = kept;
  }
  site.forgetAt = Math.max(FORGET_AT, site.uses.size * 2);
};

/** The use of an upstream at this website, made when it is the first. */
export const useOf = (site: Site, exit: Exit, now: number): Use => {
  const known = site.uses.get(exit.id);
  if (known) return known;
  const length = site.roster.ring.exits.length;
  const group = groupOf(site, regionOf(exit.upstream));
  if (!group) throw new Error('an upstream without a group');
  const { places } = exit;
  const use: Use = {
    rank: 0,
    slot: 0,
    exit,
    group,
    home: group.free,
    place: freshRank(places[0] ?? 0, site.start, length),
    others: undefined,
    readyAt: 0,
    bannedUntil: 0,
    usedAt: 0,
  };
  if (places.length > 1) {
    const ranks = places.map((place) => freshRank(place, site.start, length)).sort((a, b) => a - b);
    use.place = ranks.shift() ?? use.place;
    use.others = ranks;
  }
  site.uses.set(exit.id, use);
  settle(use, now);
  return use;
};

/** Books a dispatch: its oldest place goes to the end of the order, and it is not free before `readyAt`. */
export const book = (site: Site, use: Use, readyAt: number, now: number): void => {
  const turn = ++site.turn;
  if (use.others) {
    use.others.push(turn);
    use.place = use.others.shift() ?? turn;
  } else use.place = turn;
  use.usedAt = now;
  use.readyAt = Math.max(use.readyAt, readyAt);
  resettle(use, now);
  if (site.uses.size >= site.forgetAt) forget(site, now);
};

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

/** Follows a replaced pool: upstreams that stayed keep `R`, `B` and, unless their weight changed, their place. */
export const renew = (site: Site, roster: Roster, now: number): void => {
  const { uses, departed } = site;
  const fraction = site.start / Math.max(1, site.roster.ring.exits.length);
  site.roster = roster;
  site.start = Math.floor(fraction * roster.ring.exits.length);
  site.whole = trackOf(roster.ring, site.start);
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
  site.forgetAt = Math.max(FORGET_AT, site.uses.size);
};
