/** The upstreams as the memory store keeps them: rings of places, who is down, and who hosts how many sessions. */
import type { Upstream } from '../model/job.ts';
import type { Pool } from '../pipeline/ports.ts';
import { ratherHosts, spreadPlaces } from '../policy/select.ts';

/** One upstream. The object lives as long as its id is configured, over reloads. */
export interface Exit {
  readonly id: string;
  upstream: Upstream;
  /** Positions in the ring of the whole pool, ascending. */
  places: readonly number[];
  downUntil: number;
  /** Live sessions bound to it. */
  sessions: number;
  /** Running number of the last session it was given by POST. */
  given: number;
}

/** Places in order; `at` are their positions in the ring of the whole pool. */
export interface Ring {
  readonly exits: readonly Exit[];
  readonly at: readonly number[];
}

/** One configuration's upstreams. */
export interface Roster {
  readonly pool: Pool;
  readonly byId: ReadonlyMap<string, Exit>;
  readonly ring: Ring;
  readonly regions: ReadonlyMap<string, Ring>;
  /** Number of upstreams a region has. */
  readonly sizes: ReadonlyMap<string, number>;
  /** Many upstreams of one region and equal weight: websites need not keep a record of each (see `order.ts`). */
  readonly goesRound: boolean;
}

export interface Exits {
  /** The roster of the pool now configured; a new object whenever the pool was replaced. */
  roster(): Roster;
  /** How many are up, in a region or at all. */
  countUp(region: string | undefined, now: number): number;
  /** Down until then, unless it is the last one up; false then, and for an unknown id. */
  fail(id: string, now: number, until: number): boolean;
  /** The earliest end of a down time in a region; `Infinity` when nobody is down there. */
  firstBack(region: string | undefined, now: number, skip: (exit: Exit) => boolean): number;
  /** The one up with the fewest live sessions (S-12). */
  leastUsed(region: string | undefined, now: number): Exit | undefined;
}

/** Groups are by the upstream's own label; unlabelled ones are the group `''`. */
export const regionOf = (upstream: Upstream): string => upstream.region ?? '';

/** Up to so many upstreams a website keeps a record of each. */
const FEW = 64;

/** The known exits by id, those configured before with their state. */
const enrol = (pool: Pool, before: ReadonlyMap<string, Exit>): Map<string, Exit> => {
  const byId = new Map<string, Exit>();
  for (const upstream of pool.all) {
    const old = before.get(upstream.id);
    if (old) old.upstream = upstream;
    byId.set(upstream.id, old ?? { id: upstream.id, upstream, places: [], downUntil: 0, sessions: 0, given: 0 });
  }
  return byId;
};

const makeRoster = (pool: Pool, before: ReadonlyMap<string, Exit>): Roster => {
  const byId = enrol(pool, before);
  const exits = [...byId.values()];
  const ring = spreadPlaces(exits.map((exit) => exit.upstream.weight)).map((index) => exits[index] as Exit);
  const places = new Map<Exit, number[]>(exits.map((exit) => [exit, []]));
  const regions = new Map<string, { exits: Exit[]; at: number[] }>();
  const sizes = new Map<string, number>();
  ring.forEach((exit, place) => {
    const region = regionOf(exit.upstream);
    const group = regions.get(region) ?? { exits: [], at: [] };
    group.exits.push(exit);
    group.at.push(place);
    regions.set(region, group);
    places.get(exit)?.push(place);
  });
  for (const [exit, list] of places) {
    exit.places = list;
    sizes.set(regionOf(exit.upstream), (sizes.get(regionOf(exit.upstream)) ?? 0) + 1);
  }
  const goesRound = regions.size === 1 && ring.length === byId.size && byId.size > FEW;
  return { pool, byId, ring: { exits: ring, at: ring.map((_, place) => place) }, regions, sizes, goesRound };
};

export const makeExits = (pool: () => Pool): Exits => {
  let roster = makeRoster(pool(), new Map());
  /** In order of their end, nearly: the down time is the same for all. */
  const downs = new Set<Exit>();

  const current = (): Roster => {
    const now = pool();
    if (now !== roster.pool) {
      roster = makeRoster(now, roster.byId);
      for (const exit of downs) if (roster.byId.get(exit.id) !== exit) downs.delete(exit);
    }
    return roster;
  };

  const settleDowns = (now: number): void => {
    for (const exit of downs) if (exit.downUntil <= now) downs.delete(exit);
  };

  const matches = (exit: Exit, region: string | undefined): boolean =>
    region === undefined || exit.upstream.region === region;

  return {
    roster: current,
    countUp: (region, now) => {
      settleDowns(now);
      if (region === undefined) return current().byId.size - downs.size;
      let count = 0;
      for (const exit of downs) if (matches(exit, region)) count--;
      return count + (current().sizes.get(region) ?? 0);
    },
    fail: (id, now, until) => {
      const exit = current().byId.get(id);
      if (!exit) return false;
      settleDowns(now);
      const othersUp = current().byId.size - downs.size - (downs.has(exit) ? 0 : 1);
      if (othersUp < 1) return false;
      exit.downUntil = Math.max(exit.downUntil, until);
      downs.add(exit);
      return true;
    },
    firstBack: (region, now, skip) => {
      let first = Number.POSITIVE_INFINITY;
      for (const exit of downs) {
        if (matches(exit, region) && exit.downUntil > now && !skip(exit)) first = Math.min(first, exit.downUntil);
      }
      return first;
    },
    leastUsed: (region, now) => {
      let best: Exit | undefined;
      for (const exit of current().byId.values()) {
        if (exit.downUntil > now || !matches(exit, region)) continue;
        if (!best || ratherHosts(exit, best)) best = exit;
      }
      return best;
    },
  };
};
