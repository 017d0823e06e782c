/** The store of a single process: plain maps, every answer at once. */
import type { Ask, Clock, Pool, Random } from '../pipeline/ports.ts';
import type {
  BanAnswer,
  BanHit,
  Leaving,
  OpenedSession,
  Refused,
  Store,
  StoreSettings,
} from '../pipeline/store-port.ts';
import { MAX_RETRY_AFTER_MS, retryAfter, slowedBy } from '../policy/pacing.ts';
import { admit, type Rooms, retry, turn } from './admission.ts';
import { recordBan } from './bans.ts';
import { makeMemoryCookies } from './cookies.ts';
import { makeExits, type Roster } from './exits.ts';
import { makeKeeper, NO_KEEPER } from './keeper.ts';
import { anyWay, banLeft, countOut, delayOf, isBound, reliefIn, sessionWay } from './lines.ts';
import { type Changes, makeSessionBook } from './session-book.ts';
import { paceOf } from './site.ts';
import { makeSites } from './sites.ts';
import { restoreFile, snapshot } from './snapshot.ts';
import { refused } from './verdict.ts';

export interface MemoryOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly pool: () => Pool;
  readonly settings: () => StoreSettings;
  /** Where sessions and bans outlive the process (S-20); `undefined` = nowhere. */
  readonly file?: string | undefined;
  /** Where the cookies of those sessions do. */
  readonly cookieFile?: string | undefined;
  /** Told of a snapshot that cannot be read or written. */
  readonly report?: (problem: string) => void;
}

const furnish = ({ clock, random, pool, settings }: MemoryOptions, changes: Changes): Rooms => {
  const exits = makeExits(pool);
  const book = makeSessionBook(random, () => settings().sessionIdleMs, changes);
  let seen: Roster = exits.roster();
  const roster = (): Roster => {
    const now = exits.roster();
    if (now !== seen) {
      seen = now;
      book.dropWhere((exit) => now.byId.get(exit.id) !== exit);
    }
    return now;
  };
  return { clock, settings, exits, sites: makeSites(random), book, seats: new Map(), roster };
};

const outlook = (rooms: Rooms, ask: Ask, sessionId: string | undefined): number => {
  const now = rooms.clock.now();
  const site = rooms.sites.get(ask.website, rooms.roster(), now);
  const pace = paceOf(site, ask.account);
  const session = rooms.book.byId(ask.account, sessionId);
  const way = isBound(session) ? sessionWay(session, site, pace, ask, now) : anyWay(site, pace, ask, undefined, now);
  if (!way) return reliefIn(site, rooms.exits, ask, now);
  if (way.kind === 'refused') return way.retryAfterMs ?? retryAfter(0);
  return retryAfter(delayOf(way, site, pace, rooms.exits, ask, now));
};

const leave = (rooms: Rooms, leaving: Leaving): void => {
  const { account } = leaving;
  const seats = (rooms.seats.get(account) ?? 0) - 1;
  if (seats > 0) rooms.seats.set(account, seats);
  else rooms.seats.delete(account);
  const session = rooms.book.byId(account, leaving.session);
  if (!session) return;
  const kept = leaving.making && leaving.upstream !== undefined ? rooms.roster().byId.get(leaving.upstream) : undefined;
  if (kept && session.exit) rooms.book.bind(session, kept);
  rooms.book.leave(session, rooms.clock.now());
};

const ban = (rooms: Rooms, hit: BanHit, changed: () => void): BanAnswer => {
  const { ask, upstream, rule, making } = hit;
  const now = rooms.clock.now();
  const roster = rooms.roster();
  const exit = roster.byId.get(upstream.id);
  const session = rooms.book.byId(ask.account, hit.session);
  const site = rooms.sites.get(ask.website, roster, now);
  const counts = exit !== undefined && !ask.noBancheck;
  const until = now + rooms.settings().banMs;
  const stormBegan = counts && recordBan({ site, exits: rooms.exits, exit, session, rule, now, until });
  if (counts) {
    rooms.sites.hasBans(site);
    changed();
  }
  const left = isBound(session) ? banLeft(session, site, now) : 0;
  return {
    retryAfterMs: left > 0 ? retryAfter(left) : outlook(rooms, ask, making ? undefined : hit.session),
    stormBegan,
  };
};

const openSession = (
  rooms: Rooms,
  account: string,
  max: number,
  region: string | undefined,
): OpenedSession | Refused => {
  const now = rooms.clock.now();
  rooms.roster();
  if (rooms.book.isFull(account, max, now)) return refused('user_session_limit', undefined, undefined);
  const exit = rooms.exits.leastUsed(region, now);
  if (!exit) {
    const backIn = rooms.exits.firstBack(region, now, () => false) - now;
    return refused('noslaves', undefined, retryAfter(Math.min(backIn, MAX_RETRY_AFTER_MS)));
  }
  const session = rooms.book.make(account, undefined, exit, now);
  return { id: session.id, upstream: exit.upstream };
};

const listSessions = (rooms: Rooms, account: string): OpenedSession[] => {
  rooms.roster();
  return rooms.book
    .live(account, rooms.clock.now())
    .filter(isBound)
    .map((session) => ({ id: session.id, upstream: session.exit.upstream }));
};

const closeSession = (rooms: Rooms, account: string, id: string): boolean => {
  rooms.roster();
  const session = rooms.book.find(account, { by: 'id', id }, rooms.clock.now());
  if (!session) return false;
  rooms.book.end(session);
  return true;
};

export const openMemoryStore = (options: MemoryOptions): Store => {
  const { clock, settings, file, report = () => undefined } = options;
  const what = 'sessions and bans';
  const keeper =
    file === undefined ? NO_KEEPER : makeKeeper({ what, file, clock, report, text: () => snapshot(rooms) });
  const cookies = makeMemoryCookies({
    clock,
    idleMs: () => settings().cookieIdleMs,
    isLive: (account, session) => rooms.book.byId(account, session) !== undefined,
    report,
    file: options.cookieFile,
  });
  const rooms = furnish(options, { ...keeper, ended: cookies.ended });
  if (file !== undefined) restoreFile(rooms, file, report);
  cookies.restore();
  return {
    admit: (ask, overloaded) => admit(rooms, ask, overloaded),
    retry: (wish) => retry(rooms, wish),
    turn: (website, wishes) => turn(rooms, website, wishes),
    unwait: ({ ask, waitsFor }) => {
      const site = rooms.sites.known(ask.website);
      if (site && waitsFor !== undefined) countOut(site, paceOf(site, ask.account), waitsFor);
    },
    leave: (leaving) => leave(rooms, leaving),
    ban: (hit) => ban(rooms, hit, keeper.changed),
    outlook: (ask, session) => outlook(rooms, ask, session),
    fail: (upstreamId) => {
      const now = clock.now();
      return rooms.exits.fail(upstreamId, now, now + settings().upstreamDownMs);
    },
    slow: (account, website, ms) => {
      const now = clock.now();
      const site = rooms.sites.get(website, rooms.roster(), now);
      const pace = paceOf(site, account);
      pace.readyAt = Math.max(pace.readyAt, now + slowedBy(ms, settings().softLimitMs));
      site.keepUntil = Math.max(site.keepUntil, pace.readyAt);
    },
    openSession: (account, max, region) => openSession(rooms, account, max, region),
    listSessions: (account) => listSessions(rooms, account),
    closeSession: (account, id) => closeSession(rooms, account, id),
    cookies,
    close: async () => {
      await Promise.all([keeper.close(), cookies.close()]);
    },
  };
};
