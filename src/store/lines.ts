/** The two ways through: any eligible upstream, or a session's own; what each would have to wait, and its dispatch. */
import type { Ask } from '../pipeline/ports.ts';
import type { Granted, Refused } from '../pipeline/store-port.ts';
import { calculatedDelay, MAX_RETRY_AFTER_MS, retryAfter } from '../policy/pacing.ts';
import { choose, countEligible, firstRelief, type Spent, soonest } from './choose.ts';
import type { Exit, Exits } from './exits.ts';
import { book } from './order.ts';
import { type Session, trim } from './session-book.ts';
import type { Pace, Site } from './site.ts';
import { granted, refused } from './verdict.ts';

/** A way a request may take now or later. */
export interface Way {
  readonly kind: 'way';
  /** The upstream, when it is free now. */
  readonly exit: Exit | undefined;
  /** Smallest `R` of the eligible. */
  readonly slaveReadyAt: number;
  /** `w`. */
  readonly waitingHere: number;
  readonly waitsFor: string;
  readonly session: BoundSession | undefined;
}

export type BoundSession = Session & { exit: Exit };

/** Waiting for any upstream. */
const ANY = '';

export const isBound = (session: Session | undefined): session is BoundSession => session?.exit !== undefined;

/** `W`'s key of a session's slave: behind a rotating gateway every session has an exit of its own. */
const slaveKey = (session: BoundSession): string =>
  session.exit.upstream.rotating ? `session:${session.id}` : session.exit.id;

/** Milliseconds a session's slave is still banned for the website; 0 when it is not (S-14). */
export const banLeft = (session: BoundSession, site: Site, now: number): number => {
  const own = session.bans.get(site.website);
  const ownUntil = own?.exit === session.exit ? own.until : 0;
  return Math.max(0, ownUntil - now, (site.uses.get(session.exit.id)?.bannedUntil ?? 0) - now);
};

/** When an upstream without equal will be back, as `Retry-After` of noslaves (E-09). */
export const reliefIn = (site: Site, exits: Exits, ask: Ask, now: number): number => {
  const at = firstRelief(site, exits, ask, now);
  return retryAfter(at === Number.POSITIVE_INFINITY ? MAX_RETRY_AFTER_MS : at - now);
};

/** P-01.1 for requests without session. */
export const anyWay = (site: Site, pace: Pace, ask: Ask, spent: Spent | undefined, now: number): Way | undefined => {
  const exit = choose(site, ask, spent, now);
  const slaveReadyAt = exit ? now : soonest(site, ask, spent, now);
  if (slaveReadyAt === Number.POSITIVE_INFINITY) return undefined;
  return { kind: 'way', exit, slaveReadyAt, waitingHere: pace.waitingFree, waitsFor: ANY, session: undefined };
};

/** P-01.1 in a session: S-14 before S-18. */
export const sessionWay = (session: BoundSession, site: Site, pace: Pace, ask: Ask, now: number): Way | Refused => {
  const { exit } = session;
  const banned = ask.noBancheck ? 0 : banLeft(session, site, now);
  if (banned > 0) return refused('slavebanned', session.id, retryAfter(banned));
  if (exit.downUntil > now) return refused('noslaves', session.id, retryAfter(exit.downUntil - now));
  const readyAt = exit.upstream.rotating ? session.readyAt.get(site.website) : site.uses.get(exit.id)?.readyAt;
  const slaveReadyAt = readyAt ?? 0;
  const waitsFor = slaveKey(session);
  return {
    kind: 'way',
    exit: slaveReadyAt <= now ? exit : undefined,
    slaveReadyAt,
    waitingHere: pace.waitingFor?.get(waitsFor) ?? 0,
    waitsFor,
    session,
  };
};

/** P-01.2. */
export const delayOf = (way: Way, site: Site, pace: Pace, exits: Exits, ask: Ask, now: number): number => {
  if (way.exit && pace.waiting === 0 && pace.readyAt <= now) return 0;
  const counts = way.waitingHere > 0 && way.session === undefined;
  return calculatedDelay({
    nowMs: now,
    siteReadyAt: pace.readyAt,
    siteDelayMs: ask.siteDelayMs,
    waiting: pace.waiting,
    slaveReadyAt: way.slaveReadyAt,
    slaveDelayMs: ask.slaveDelayMs,
    waitingHere: way.waitingHere,
    eligible: counts ? Math.max(1, countEligible(site, exits, ask, now)) : 1,
  });
};

export const countIn = (site: Site, pace: Pace, waitsFor: string): void => {
  site.waiting++;
  pace.waiting++;
  if (waitsFor === ANY) pace.waitingFree++;
  else {
    pace.waitingFor ??= new Map();
    pace.waitingFor.set(waitsFor, (pace.waitingFor.get(waitsFor) ?? 0) + 1);
  }
};

export const countOut = (site: Site, pace: Pace, waitsFor: string): void => {
  site.waiting--;
  pace.waiting--;
  if (waitsFor === ANY) {
    pace.waitingFree--;
    return;
  }
  const left = (pace.waitingFor?.get(waitsFor) ?? 1) - 1;
  if (left > 0) pace.waitingFor?.set(waitsFor, left);
  else pace.waitingFor?.delete(waitsFor);
};

/** P-03: books `G` and `R`. `session` is the one the request belongs to from now on. */
export const dispatch = (
  site: Site,
  pace: Pace,
  ask: Ask,
  exit: Exit,
  session: Session | undefined,
  making: boolean,
  now: number,
): Granted => {
  const readyAt = now + ask.slaveDelayMs;
  const { rotating } = exit.upstream;
  pace.readyAt = Math.max(pace.readyAt, now + ask.siteDelayMs);
  book(site, exit, rotating ? 0 : readyAt, now);
  if (rotating && session) {
    trim(session.readyAt, (until) => until <= now);
    session.readyAt.set(site.website, readyAt);
  }
  site.keepUntil = Math.max(site.keepUntil, pace.readyAt, readyAt);
  return granted(exit.upstream, session?.id, making);
};
