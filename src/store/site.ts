/** What the memory store knows of one website: its order of upstreams, `R` and `B` of each, and `G` and `W` per account. */
import { firstFrom } from '../policy/select.ts';
import type { Exit, Ring, Roster } from './exits.ts';
import type { Ranked } from './heap.ts';
import type { Storm } from './storm.ts';

/** What must hold for an upstream whatever happens to the configuration. */
export interface Limits {
  /** `R`. */
  readyAt: number;
  /** `B`. */
  bannedUntil: number;
}

/** An upstream this website has to remember something of. Member of exactly one heap of its group. */
export interface Use extends Ranked, Limits {
  readonly exit: Exit;
  readonly group: Group;
  home: Use[];
  /** Rank of its oldest place in the website's order. */
  place: number;
  /** Ranks of its other places, oldest first; `undefined` for weight 1. */
  others: number[] | undefined;
  /** Last dispatch, 0 = never or forgotten. */
  usedAt: number;
  /** The lap in which the walk came to it and it was used; -1 when it was used out of the ring's order. */
  lap: number;
}

/** A walk over the places of a ring, past the upstreams nothing is remembered of. */
export interface Track {
  readonly ring: Ring;
  first: number;
  cursor: number;
}

/** The walk over the whole ring. Where one region is all there is it goes round and round. */
export interface Walk extends Track {
  lap: number;
  /** Number of the dispatch with which this lap began. */
  lapBegan: number;
  /** In later laps the place at the cursor has the rank `base + step * cursor`: when it was used in the lap before. */
  base: number;
  step: number;
}

/** The upstreams of one region, by what keeps them from being chosen. */
export interface Group extends Track {
  readonly site: Site;
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
  whole: Walk;
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
  /** Dispatches of which nothing else is remembered, per stretch of time. */
  readonly tally: Tally;
  /** Limits of upstreams that left the configuration, in case they come back before these are over. */
  departed: Map<string, Limits> | undefined;
}

/** Counts of the last stretches of time, newest last. */
export interface Tally {
  /** Number of the newest stretch. */
  stretch: number;
  counts: number[];
}

/** Uses a website remembers before it forgets the older ones. */
export const FORGET_AT = 512;

const trackOf = (ring: Ring, start: number): Track => ({ ring, first: firstFrom(ring.at, start), cursor: 0 });

/** `turn` is the number of the last dispatch. */
export const walkOf = (ring: Ring, start: number, turn: number): Walk => ({
  ring,
  first: start,
  cursor: 0,
  lap: 0,
  lapBegan: turn,
  base: 0,
  step: 0,
});

/** `where` in [0, 1): where in the ring the website begins, so that websites seen once do not all meet one upstream. */
export const newSite = (website: string, roster: Roster, where: number): Site => {
  const start = Math.floor(where * roster.ring.exits.length);
  return {
    website,
    roster,
    start,
    whole: walkOf(roster.ring, start, 0),
    groups: [],
    uses: new Map(),
    forgetAt: FORGET_AT,
    turn: 0,
    keepUntil: 0,
    waiting: 0,
    paces: new Map(),
    storms: undefined,
    tally: { stretch: 0, counts: [] },
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
  const group: Group = { site, region, ...trackOf(ring, site.start), free: [], busy: [], barred: [] };
  site.groups.push(group);
  return group;
};
