/** Admission, retry and turn on the memory store: P-01, P-03 and P-07 as single steps. */
import type { Ask, Clock } from '../pipeline/ports.ts';
import type { Admission, Granted, Refused, StoreSettings, TurnAnswer, Wish } from '../pipeline/store-port.ts';
import { OVERLOAD_RETRY_MS } from '../policy/pacing.ts';
import type { Spent } from './choose.ts';
import type { Exits, Roster } from './exits.ts';
import { anyWay, countIn, countOut, delayOf, dispatch, isBound, reliefIn, sessionWay, type Way } from './lines.ts';
import type { Session, SessionBook } from './session-book.ts';
import { type Pace, paceOf, type Site } from './site.ts';
import type { Sites } from './sites.ts';
import { refused, waiting } from './verdict.ts';

/** The parts of one memory store. */
export interface Rooms {
  readonly clock: Clock;
  readonly settings: () => StoreSettings;
  readonly exits: Exits;
  readonly sites: Sites;
  readonly book: SessionBook;
  /** Requests in flight per account; absent = none. */
  readonly seats: Map<string, number>;
  /** The roster, with sessions of vanished upstreams already ended. */
  readonly roster: () => Roster;
}

/** One request at one website, in the middle of a step. */
interface Step {
  readonly site: Site;
  readonly pace: Pace;
  readonly ask: Ask;
  readonly session: Session | undefined;
  readonly making: boolean;
  readonly now: number;
}

const nameOf = (ask: Ask): string | undefined => (ask.session?.by === 'name' ? ask.session.name : undefined);

const shownId = (session: Session | undefined): string | undefined => (session?.exit ? session.id : undefined);

const routeOf = (rooms: Rooms, step: Step, spent: Spent | undefined): Way | Refused => {
  const { site, pace, ask, session, making, now } = step;
  if (!making && isBound(session)) return sessionWay(session, site, pace, ask, now);
  const way = anyWay(site, pace, ask, spent, now);
  return way ?? refused('noslaves', making ? session?.id : undefined, reliefIn(site, rooms.exits, ask, now));
};

/** Dispatches; a session asked for comes into being here (H-07, S-13). */
const go = (rooms: Rooms, step: Step, way: Way): Granted | undefined => {
  const { site, pace, ask, making, now } = step;
  const { exit } = way;
  if (!exit || pace.readyAt > now) return undefined;
  if (ask.session === undefined || way.session) return dispatch(site, pace, ask, exit, way.session, false, now);
  if (making) return dispatch(site, pace, ask, exit, step.session, true, now);
  const session = step.session ?? rooms.book.make(ask.account, nameOf(ask), exit, now);
  rooms.book.bind(session, exit);
  return dispatch(site, pace, ask, exit, session, true, now);
};

const hold = (rooms: Rooms, step: Step, way: Way, delayMs: number): Admission => {
  const { site, pace, ask, now } = step;
  let { session } = step;
  if (ask.session && !session) session = rooms.book.make(ask.account, nameOf(ask), undefined, now);
  countIn(site, pace, way.waitsFor);
  return waiting(delayMs, Math.max(0, pace.readyAt - now, way.slaveReadyAt - now), way.waitsFor, session?.id);
};

/** Session lookup and limit: the session there is, `undefined` when one is to be made or none was asked for (H-07). */
const lookUp = (rooms: Rooms, ask: Ask, now: number): Session | Refused | undefined => {
  if (ask.session === undefined) return undefined;
  const session = rooms.book.find(ask.account, ask.session, now);
  if (session) return session;
  if (ask.session.by === 'id') return refused('bad_session_id', ask.session.id, undefined);
  return rooms.book.isFull(ask.account, ask.maxSessions, now)
    ? refused('user_session_limit', undefined, undefined)
    : undefined;
};

const isRefused = (value: object | undefined): value is Refused =>
  value !== undefined && 'kind' in value && value.kind === 'refused';

export const admit = (rooms: Rooms, ask: Ask, overloaded: boolean): Admission => {
  const now = rooms.clock.now();
  const roster = rooms.roster();
  const session = lookUp(rooms, ask, now);
  if (isRefused(session)) return session;
  const seats = rooms.seats.get(ask.account) ?? 0;
  if (seats >= ask.maxConnections) return refused('too_many_conns', shownId(session), undefined);
  if (overloaded) return refused('serverbusy', shownId(session), OVERLOAD_RETRY_MS);
  const site = rooms.sites.get(ask.website, roster, now);
  const pace = paceOf(site, ask.account);
  const step: Step = { site, pace, ask, session, making: false, now };
  const way = routeOf(rooms, step, undefined);
  if (way.kind === 'refused') return way;
  const delayMs = delayOf(way, site, pace, rooms.exits, ask, now);
  if (delayMs >= rooms.settings().hardLimitMs) return refused('serverbusy', shownId(session), delayMs, delayMs);
  rooms.seats.set(ask.account, seats + 1);
  const admission = (delayMs === 0 ? go(rooms, step, way) : undefined) ?? hold(rooms, step, way, delayMs);
  if (ask.session && admission.kind !== 'refused') enterSession(rooms, ask.account, admission.session);
  return admission;
};

const enterSession = (rooms: Rooms, account: string, id: string | undefined): void => {
  const session = rooms.book.byId(account, id);
  if (session) rooms.book.enter(session);
};

/** The session a wish belongs to by now; a named one that has ended is made anew with its dispatch (U-11). */
const sessionOf = (rooms: Rooms, wish: Wish, now: number): Session | Refused | undefined => {
  const { ask } = wish;
  if (ask.session === undefined) return undefined;
  const known = rooms.book.byId(ask.account, wish.session);
  if (known) return known;
  if (ask.session.by !== 'name' || wish.used !== undefined) return refused('bad_session_id', wish.session, undefined);
  return lookUp(rooms, ask, now);
};

const spentOf = (wish: Wish): Spent | undefined =>
  wish.used && wish.used.size > 0 ? { used: wish.used, rotatingToo: wish.making } : undefined;

const wayOf = (rooms: Rooms, step: Step, wish: Wish): Way | Refused => {
  const spent = spentOf(wish);
  const way = routeOf(rooms, step, spent);
  return way.kind === 'refused' && spent && wish.repeat ? routeOf(rooms, step, undefined) : way;
};

interface Offer {
  readonly step: Step;
  readonly way: Way;
  readonly granted: Granted | undefined;
}

const offer = (rooms: Rooms, site: Site, wish: Wish, now: number): Offer | Refused => {
  const { ask, making } = wish;
  const session = sessionOf(rooms, wish, now);
  if (isRefused(session)) return session;
  const step: Step = { site, pace: paceOf(site, ask.account), ask, session, making, now };
  const way = wayOf(rooms, step, wish);
  if (way.kind === 'refused') return way;
  const granted = go(rooms, step, way);
  if (granted && granted.session !== wish.session) enterSession(rooms, ask.account, granted.session);
  return { step, way, granted };
};

export const retry = (rooms: Rooms, wish: Wish): Admission => {
  const now = rooms.clock.now();
  const site = rooms.sites.get(wish.ask.website, rooms.roster(), now);
  const result = offer(rooms, site, wish, now);
  if ('kind' in result) return result;
  return result.granted ?? hold(rooms, result.step, result.way, 0);
};

export const turn = (rooms: Rooms, website: string, wishes: readonly Wish[]): TurnAnswer => {
  const now = rooms.clock.now();
  const site = rooms.sites.get(website, rooms.roster(), now);
  const askInMs: number[] = [];
  for (let index = 0; index < wishes.length; index++) {
    const wish = wishes[index] as Wish;
    const result = offer(rooms, site, wish, now);
    const verdict = 'kind' in result ? result : result.granted;
    if (verdict) {
      if (wish.waitsFor !== undefined) countOut(site, paceOf(site, wish.ask.account), wish.waitsFor);
      return { settled: { index, verdict }, askInMs };
    }
    const { step, way } = result as Offer;
    askInMs.push(Math.max(1, step.pace.readyAt - now, way.slaveReadyAt - now));
  }
  return { settled: undefined, askInMs };
};
