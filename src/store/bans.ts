/** What one ban answer of a target does to the memory store (A-09, A-09b, A-13, S-14). */
import { countEligible } from './choose.ts';
import type { Exit, Exits } from './exits.ts';
import { resettle, useOf } from './order.ts';
import { type Session, trim } from './session-book.ts';
import type { Site } from './site.ts';
import { inStorm, noteBan } from './storm.ts';

export interface BanFacts {
  readonly site: Site;
  readonly exits: Exits;
  readonly exit: Exit;
  readonly session: Session | undefined;
  readonly rule: string;
  readonly now: number;
  readonly until: number;
}

const EVERYONE = { region: undefined, noBancheck: false } as const;

const remember = ({ session, site, exit, until, now }: BanFacts): void => {
  if (!session) return;
  trim(session.bans, (ban) => ban.until <= now);
  session.bans.set(site.website, { exit, until });
};

/** Whether the website would have an upstream left without this one. */
const othersLeft = ({ site, exits, exit, now }: BanFacts): boolean => {
  const use = useOf(site, exit, now);
  const itself = use.bannedUntil <= now && exit.downUntil <= now ? 1 : 0;
  return countEligible(site, exits, EVERYONE, now) - itself >= 1;
};

/** Records the ban; true when it begins a storm. */
export const recordBan = (facts: BanFacts): boolean => {
  const { site, exit, rule, now, until } = facts;
  if (exit.upstream.rotating) {
    remember(facts);
    return false;
  }
  if (inStorm(site, rule, now)) return false;
  if (!othersLeft(facts)) {
    remember(facts);
    return false;
  }
  const use = useOf(site, exit, now);
  use.bannedUntil = Math.max(use.bannedUntil, until);
  resettle(use, now);
  site.keepUntil = Math.max(site.keepUntil, until);
  return noteBan(site, rule, exit.id, now);
};
