/**
 * A website's order of upstreams, least recently used first, without a record for every one of them.
 *
 * In a large and even pool (`goesRound`) upstreams used in the ring's order need no record: the walk round the ring comes
 * to them again in that order. A record (`Use`) is kept while an upstream is busy, banned or down, and when it was used
 * out of the ring's order. In other pools every use keeps its record, and the walk is only over those never used.
 */
import { firstFrom, freshRank } from '../policy/select.ts';
import { type Exit, regionOf } from './exits.ts';
import { put, takeOut } from './heap.ts';
import { FORGET_AT, type Group, groupOf, type Site, type Track, type Use, walkOf } from './site.ts';
import { REMEMBER_MS, tally } from './tally.ts';

/** How far the walk goes from its start to a place. */
const stepsTo = (site: Site, place: number): number => {
  const length = site.roster.ring.exits.length;
  return freshRank(place, site.start, length) + length;
};

/** Whether the walk is still to come to a record's place before anyone used after it. */
const comesAgain = (site: Site, use: Use): boolean => {
  const { lap, cursor } = site.whole;
  if (use.lap < 0) return false;
  return use.lap === lap || (use.lap === lap - 1 && cursor <= stepsTo(site, use.exit.places[0] ?? 0));
};

/** Puts a use where it belongs now; it must be in no heap. One that is free and in the ring's order is dropped. */
const settle = (use: Use, now: number): void => {
  const { group } = use;
  const barredUntil = Math.max(use.bannedUntil, use.exit.downUntil);
  if (barredUntil > now) {
    use.home = group.barred;
    put(group.barred, use, barredUntil);
  } else if (use.readyAt > now) {
    use.home = group.busy;
    put(group.busy, use, use.readyAt);
  } else if (comesAgain(group.site, use)) {
    group.site.uses.delete(use.exit.id);
    tally(group.site, use.usedAt);
  } else {
    use.home = group.free;
    put(group.free, use, use.place);
  }
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

/** Rank of a place without record: negative when never used, then about the number of its last use. */
const rankAt = (site: Site, place: number): number => {
  const { lap, cursor, base, step, lapBegan } = site.whole;
  const steps = stepsTo(site, place);
  if (!site.roster.goesRound || (lap === 0 && steps >= cursor)) return steps - site.roster.ring.exits.length;
  if (steps >= cursor) return base + step * steps;
  return lapBegan + ((site.turn - lapBegan) * (steps + 1)) / cursor;
};

/** Rank of the oldest place of an upstream without record. */
export const rankOf = (site: Site, exit: Exit): number => {
  const { places } = exit;
  let lowest = rankAt(site, places[0] ?? 0);
  for (let i = 1; i < places.length; i++) lowest = Math.min(lowest, rankAt(site, places[i] as number));
  return lowest;
};

/** The record of an upstream at this website, made when there is none. */
export const useOf = (site: Site, exit: Exit, now: number): Use => {
  const known = site.uses.get(exit.id);
  if (known) return known;
  const use = makeUse(site, exit);
  settle(use, now);
  return use;
};

const makeUse = (site: Site, exit: Exit): Use => {
  const group = groupOf(site, regionOf(exit.upstream));
  if (!group) throw new Error('an upstream without a group');
  const use: Use = {
    rank: 0,
    slot: 0,
    exit,
    group,
    home: group.free,
    place: 0,
    others: undefined,
    readyAt: 0,
    bannedUntil: 0,
    usedAt: 0,
    lap: -1,
  };
  if (exit.places.length === 1) use.place = rankAt(site, exit.places[0] ?? 0);
  else {
    const ranks = exit.places.map((place) => rankAt(site, place)).sort((a, b) => a - b);
    use.place = ranks.shift() ?? 0;
    use.others = ranks;
  }
  site.uses.set(exit.id, use);
  return use;
};

/** Whether the walk stands before this upstream and using it keeps the ring's order. */
const isNext = (site: Site, exit: Exit): boolean => {
  const { ring, first, cursor } = site.whole;
  const { exits } = ring;
  if (exit.places.length !== 1 || cursor >= exits.length || !site.roster.goesRound) return false;
  return exits[(first + cursor) % exits.length] === exit && !site.uses.has(exit.id);
};

/** Books a dispatch: its oldest place goes to the end of the order, and it is not free before `readyAt`. */
export const book = (site: Site, exit: Exit, readyAt: number, now: number): void => {
  const turn = ++site.turn;
  const inOrder = isNext(site, exit);
  if (inOrder && readyAt <= now) {
    site.whole.cursor++;
    tally(site, now);
    return;
  }
  const known = site.uses.get(exit.id);
  const use = known ?? makeUse(site, exit);
  if (use.others) {
    use.others.push(turn);
    use.place = use.others.shift() ?? turn;
  } else use.place = turn;
  use.usedAt = now;
  use.readyAt = Math.max(use.readyAt, readyAt);
  use.lap = inOrder ? site.whole.lap : -1;
  if (inOrder) site.whole.cursor++;
  if (known) resettle(use, now);
  else settle(use, now);
  if (site.uses.size >= site.forgetAt) forget(site, now);
};

const beginLap = (site: Site): void => {
  const { whole } = site;
  whole.base = whole.lapBegan;
  whole.step = (site.turn - whole.lapBegan) / Math.max(1, whole.ring.exits.length);
  whole.lapBegan = site.turn;
  whole.lap++;
  whole.cursor = 0;
};

/** Beyond this share of records the walk would mostly pass them by: the rest gets records too. */
const MOSTLY = 7 / 8;

/** Gives records to all when most have one, so that the walk need not pass them by again and again. */
const recordAll = (site: Site, now: number): void => {
  const { byId } = site.roster;
  if (site.uses.size >= byId.size || site.uses.size <= byId.size * MOSTLY) return;
  for (const exit of byId.values()) useOf(site, exit, now);
};

/** The next upstream of a walk that has no record and is up; the cursor stays at it. */
export const nextUntouched = (site: Site, group: Group | undefined, now: number): Exit | undefined => {
  const round = site.roster.goesRound;
  const track: Track = round || !group ? site.whole : group;
  if (round) recordAll(site, now);
  const { exits } = track.ring;
  for (; ; track.cursor++) {
    if (track.cursor >= exits.length) {
      if (!round || site.uses.size >= exits.length) return undefined;
      beginLap(site);
    }
    const exit = exits[(track.first + track.cursor) % exits.length] as Exit;
    if (site.uses.has(exit.id)) continue;
    if (exit.downUntil <= now) return exit;
    useOf(site, exit, now);
  }
};

/** The place the walk has come to; of several walks that of the one that went furthest. */
const placeOfWalk = (site: Site): number => {
  let furthest: Track = site.whole;
  for (const group of site.groups) if (group.cursor > furthest.cursor) furthest = group;
  const { at } = furthest.ring;
  return at[(furthest.first + furthest.cursor) % at.length] ?? 0;
};

const forgetIdle = (group: Group, now: number): void => {
  const before = group.free;
  group.free = [];
  for (const use of before) {
    if (use.usedAt + REMEMBER_MS <= now) {
      group.site.uses.delete(use.exit.id);
      continue;
    }
    use.home = group.free;
    put(group.free, use, use.place);
  }
};

/**
 * Forgets those idle for so long that nothing but their place is known, and begins the ring where the walk has come to:
 * they come last again, as they would by their place.
 */
const forget = (site: Site, now: number): void => {
  site.start = placeOfWalk(site);
  site.whole = walkOf(site.roster.ring, site.start, site.turn);
  for (const group of site.groups) {
    group.first = firstFrom(group.ring.at, site.start);
    group.cursor = 0;
    forgetIdle(group, now);
  }
  for (const use of site.uses.values()) use.lap = -1;
  site.forgetAt = Math.max(FORGET_AT, site.uses.size * 2);
};
