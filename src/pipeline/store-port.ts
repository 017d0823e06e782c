/** The store as admission sees it: every operation is one atomic step, and on a remote store one round trip. */
import type { Condition } from '../model/errors.ts';
import type { Upstream } from '../model/job.ts';
import type { Ask, CookieStore, Soon } from './ports.ts';

/** What a store has to know of the configuration; read anew at every step, so that a reload counts at once. */
export interface StoreSettings {
  readonly softLimitMs: number;
  readonly hardLimitMs: number;
  readonly sessionIdleMs: number;
  readonly banMs: number;
  readonly upstreamDownMs: number;
  /** K-02. */
  readonly cookieIdleMs: number;
}

/** No: with what the client is told. Nothing is held after it. */
export interface Refused {
  readonly kind: 'refused';
  readonly condition: Condition;
  readonly session: string | undefined;
  readonly retryAfterMs: number | undefined;
  readonly nextRequestInMs: number | undefined;
}

/** The right to send one attempt now; the store has booked `G` and `R` for it (P-03). */
export interface Granted {
  readonly kind: 'go';
  readonly upstream: Upstream;
  readonly session: string | undefined;
  /** This grant brought the session into being: its request may rotate, and its end binds the session (S-12). */
  readonly making: boolean;
}

/** Counted in `W`; the turn is asked for later. */
export interface Waiting {
  readonly kind: 'wait';
  /** Calculated delay (P-01.2), milliseconds. */
  readonly delayMs: number;
  /** No turn can come earlier than this many milliseconds from now. */
  readonly askInMs: number;
  /** Under what it was counted: the slave of its session, or `''` for any. Handed back with every later step. */
  readonly waitsFor: string;
  /** The session it belongs to, or the one reserved for it. */
  readonly session: string | undefined;
}

/** A request that wants a turn, as the process that holds it describes it. */
export interface Wish {
  readonly ask: Ask;
  readonly session: string | undefined;
  readonly making: boolean;
  /** `undefined` = not counted in `W` yet. */
  readonly waitsFor: string | undefined;
  /** Ids of upstreams this request has used; `undefined` = it waits for its first turn. */
  readonly used: ReadonlySet<string> | undefined;
  /** Used ones may serve again once no other is eligible. */
  readonly repeat: boolean;
}

export type Admission = Granted | Waiting | Refused;

export interface TurnAnswer {
  /** What became of `wishes[index]`, which no longer counts as waiting; `undefined` when nobody can go now. */
  readonly settled: { readonly index: number; readonly verdict: Granted | Refused } | undefined;
  /** For the wishes before it (all, when nobody was settled): milliseconds before which asking again is idle. */
  readonly askInMs: readonly number[];
}

/** The end of a request's stay. */
export interface Leaving {
  readonly account: string;
  readonly website: string;
  readonly session: string | undefined;
  readonly making: boolean;
  /** Id of the upstream whose result was returned (S-12). */
  readonly upstream: string | undefined;
}

export interface BanHit {
  readonly ask: Ask;
  readonly session: string | undefined;
  readonly making: boolean;
  readonly upstream: Upstream;
  readonly rule: string;
}

export interface BanAnswer {
  /** E-09: rest of the session's ban, else the delay of a new request. */
  readonly retryAfterMs: number;
  /** This hit began a ban storm (A-09b). */
  readonly stormBegan: boolean;
}

export interface OpenedSession {
  readonly id: string;
  readonly upstream: Upstream;
}

export interface Store {
  /**
   * Session lookup and limit, seat, calculated delay and, when nothing waits, the turn (H-07, P-01).
   * `overloaded` refuses with serverbusy where pacing would.
   */
  admit(ask: Ask, overloaded: boolean): Soon<Admission>;
  /** Another turn for a request that has its seat (P-07): now, or counted as waiting; refused when none is eligible. */
  retry(wish: Wish): Soon<Admission>;
  /** P-03 for waiting requests of one website, oldest first. At most one is settled. */
  turn(website: string, wishes: readonly Wish[]): Soon<TurnAnswer>;
  /** A waiting request gives up waiting but keeps its seat. */
  unwait(wish: Wish): Soon<void>;
  /** Gives the seat back, touches and binds the session (S-11 to S-13). One who waits stops waiting first. */
  leave(leaving: Leaving): Soon<void>;
  /** A-09, A-09b, S-14. */
  ban(hit: BanHit): Soon<BanAnswer>;
  /** E-09: the delay a new request like this would get, or the time until the first ban or down time ends. Milliseconds. */
  outlook(ask: Ask, session: string | undefined): Soon<number>;
  /** Down for a while, unless it is the last one up: false then. */
  fail(upstreamId: string): Soon<boolean>;
  /** Delays `G`. */
  slow(account: string, website: string, ms: number): Soon<void>;
  /** S-04, S-12. */
  openSession(account: string, maxSessions: number, region: string | undefined): Soon<OpenedSession | Refused>;
  listSessions(account: string): Soon<readonly OpenedSession[]>;
  closeSession(account: string, id: string): Soon<boolean>;
  readonly cookies: CookieStore;
  /** Resolves when it is known whether a remote store is there; absent where there is nothing to wait for. */
  readonly opened?: Promise<void>;
  close(): Promise<void>;
}
