/** Which upstream serves a request without session, who could, and when (P-01, P-03, A-01, A-13). */
import type { Exit, Exits } from './exits.ts';
import { nextUntouched, rankOf, resettle, useOf, wake } from './order.ts';
import { type Group, groupOf, type Site, type Use } from './site.ts';

/** What a request without session asks of its upstream. */
export interface Wants {
  readonly region: string | undefined;
  readonly noBancheck: boolean;
}

/** Ids a retry must not use again, with whether rotating ones are among them (A-13: only in a session). */
export interface Spent {
  readonly used: ReadonlySet<string>;
  readonly rotatingToo: boolean;
}

const isSpent = (exit: Exit, spent: Spent | undefined): boolean =>
  spent?.used.has(exit.id) === true && (spent.rotatingToo || !exit.upstream.rotating);

const lowest = (uses: readonly Use[], fits: (use: Use) => boolean): Use | undefined => {
  let best: Use | undefined;
  for (const use of uses) if ((!best || use.place < best.place) && fits(use)) best = use;
  return best;
};

/** The first in order that is free. */
const firstFree = (group: Group, spent: Spent | undefined, now: number): Use | undefined => {
  for (;;) {
    const top = group.free[0];
    if (!top) return undefined;
    if (top.exit.downUntil > now) resettle(top, now);
    else if (!isSpent(top.exit, spent)) return top;
    else return lowest(group.free, (use) => use.exit.downUntil <= now && !isSpent(use.exit, spent));
  }
};

/** With No-Bancheck the banned ones serve too (P-01.1). Looks at all of them: it is rare. */
const firstBanned = (group: Group, spent: Spent | undefined, now: number): Use | undefined =>
  lowest(group.barred, (use) => use.exit.downUntil <= now && use.readyAt <= now && !isSpent(use.exit, spent));

const better = (a: Use | undefined, b: Use | undefined): Use | undefined =>
  a === undefined || (b !== undefined && b.place < a.place) ? b : a;

const bestIn = (group: Group, wants: Wants, spent: Spent | undefined, now: number): Use | undefined => {
  wake(group, now);
  const free = firstFree(group, spent, now);
  return wants.noBancheck && group.barred.length > 0 ? better(free, firstBanned(group, spent, now)) : free;
};

/** The best known one, or the next without record when that comes before it in the order. */
const orUntouched = (
  site: Site,
  group: Group | undefined,
  known: Use | undefined,
  spent: Spent | undefined,
  now: number,
): Exit | undefined => {
  for (let exit = nextUntouched(site, group, now); exit; exit = nextUntouched(site, group, now)) {
    if (known && known.place < rankOf(site, exit)) break;
    if (!isSpent(exit, spent)) return exit;
    useOf(site, exit, now);
  }
  return known?.exit;
};

/** The upstream least recently used by the website among those eligible and free; `undefined` when none is. */
export const choose = (site: Site, wants: Wants, spent: Spent | undefined, now: number): Exit | undefined => {
  if (wants.region !== undefined) {
    const group = groupOf(site, wants.region);
    return group && orUntouched(site, group, bestIn(group, wants, spent, now), spent, now);
  }
  let best: Use | undefined;
  for (const group of site.groups) best = better(best, bestIn(group, wants, spent, now));
  return orUntouched(site, undefined, best, spent, now);
};

const groupsFor = (site: Site, region: string | undefined): readonly Group[] => {
  if (region === undefined) return site.groups;
  const group = groupOf(site, region);
  return group ? [group] : [];
};

const soonestIn = (group: Group, wants: Wants, spent: Spent | undefined, now: number): number => {
  let soonest = Number.POSITIVE_INFINITY;
  const look = (use: Use): void => {
    if (use.exit.downUntil <= now && !isSpent(use.exit, spent)) soonest = Math.min(soonest, use.readyAt);
  };
  for (let top = group.busy[0]; top && top.exit.downUntil > now; top = group.busy[0]) resettle(top, now);
  if (!spent) soonest = group.busy[0]?.readyAt ?? soonest;
  else group.busy.forEach(look);
  if (wants.noBancheck) group.barred.forEach(look);
  return soonest;
};

/** Smallest `R` of the eligible when `choose` found none free; `Infinity` when none is eligible. */
export const soonest = (site: Site, wants: Wants, spent: Spent | undefined, now: number): number => {
  let first = Number.POSITIVE_INFINITY;
  for (const group of groupsFor(site, wants.region)) first = Math.min(first, soonestIn(group, wants, spent, now));
  return first;
};

/** `e`: how many are up, match and are not banned. Counts the banned ones, so it is asked only when somebody waits. */
export const countEligible = (site: Site, exits: Exits, wants: Wants, now: number): number => {
  const up = exits.countUp(wants.region, now);
  if (wants.noBancheck) return up;
  let banned = 0;
  for (const group of groupsFor(site, wants.region)) {
    for (const use of group.barred) if (use.bannedUntil > now && use.exit.downUntil <= now) banned++;
  }
  return up - banned;
};

/** When the first ban or down time ends, for a request nobody can serve; `Infinity` when nothing will end. */
export const firstRelief = (site: Site, exits: Exits, wants: Wants, now: number): number => {
  let first = exits.firstBack(wants.region, now, (exit) => (site.uses.get(exit.id)?.bannedUntil ?? 0) > now);
  for (const group of groupsFor(site, wants.region)) first = Math.min(first, group.barred[0]?.rank ?? first);
  return first;
};
