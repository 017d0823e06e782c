/** The gate: seats, sessions, turns and bans of one process in front of a store (contract sections 7, 8, 9 and 14). */
import { Refusal } from '../model/errors.ts';
import type { Upstream } from '../model/job.ts';
import { OVERLOAD_RETRY_MS } from '../policy/pacing.ts';
import { hold } from './hold.ts';
import { makeLanes } from './lanes.ts';
import type { Clock, Ending, Gate, SessionBook, Soon, Stop, Turn } from './ports.ts';
import type { Admission, Store, Waiting } from './store-port.ts';
import { after, type Held, ignore, newHeld, refusalOf, turnOf, wishOf } from './ticket.ts';

export interface GateSettings {
  /** P-02. */
  readonly maxHoldMs: number;
  /** Requests in flight in this process, held ones included; beyond it serverbusy. */
  readonly outstanding: number;
}

/** What an operator may want to hear of. */
export interface GateEvents {
  banStorm?(website: string, rule: string): void;
  upstreamDown?(upstream: Upstream, reason: string): void;
}

export interface GateOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** Read anew for every request. */
  readonly settings: () => GateSettings;
  readonly events?: GateEvents;
}

export interface AdmissionGate extends Gate {
  readonly sessions: SessionBook;
  /** Shutting down: whoever waits, or would have to, gets serverbusy now rather than a cut connection later. */
  dismiss(): void;
  /** For metrics: requests inside, and those of them that wait for a turn. */
  load(): { readonly outstanding: number; readonly waiting: number };
}

export const makeSessionDesk = (store: Store): SessionBook => ({
  open: (account, maxSessions, region) =>
    after(store.openSession(account, maxSessions, region), (opened) => {
      if ('kind' in opened) throw refusalOf(opened);
      return opened;
    }),
  list: (account) => store.listSessions(account),
  close: (account, id) => store.closeSession(account, id),
});

export const makeGate = ({ store, clock, settings, events = {} }: GateOptions): AdmissionGate => {
  const lanes = makeLanes(store, clock);
  let outstanding = 0;
  let age = 0;

  const leave = (held: Held, ending: Ending | undefined): void => {
    if (held.left) return;
    held.left = true;
    outstanding--;
    const { account, website } = held.ask;
    const { sessionId: session, fresh: making } = held;
    ignore(store.leave({ account, website, session, making, upstream: ending?.upstream?.id }));
  };

  /**
   * Nobody will use what was granted: the request left meanwhile. The id of a session it made was told nobody, so it
   * need not live until it is idle (S-11); a named one may have others in it by now.
   */
  const forsake = (held: Held): void => {
    leave(held, undefined);
    const { ask, sessionId, fresh } = held;
    if (fresh && sessionId !== undefined && ask.session?.by === 'create') {
      ignore(store.closeSession(ask.account, sessionId));
    }
  };

  const outlook = ({ ask, sessionId, fresh }: Held): Soon<number> => store.outlook(ask, fresh ? undefined : sessionId);

  const wait = (held: Held, waiting: Waiting, stop: Stop): Promise<Turn> => {
    held.delayMs = waiting.delayMs;
    held.sessionId = waiting.session;
    return hold(lanes, clock, {
      held,
      waiting,
      stop,
      wish: wishOf(held, waiting.waitsFor, undefined, false),
      maxHoldMs: settings().maxHoldMs,
      onRefused: refusalOf,
      outlook: () => outlook(held),
      onLost: () => forsake(held),
    }) as Promise<Turn>;
  };

  const entered = (held: Held, admission: Admission, stop: Stop): Soon<Turn> => {
    if (admission.kind === 'refused') {
      outstanding--;
      throw refusalOf(admission);
    }
    if (admission.kind === 'wait') return wait(held, admission, stop);
    const turn = turnOf(held, admission, 0);
    if (stop.reason) {
      forsake(held);
      throw stop.reason;
    }
    return turn;
  };

  return {
    enter: (ask, stop) => {
      if (stop.reason) throw stop.reason;
      lanes.catchUp(ask.website);
      const held = newHeld(ask, ++age);
      const overloaded = outstanding >= settings().outstanding;
      const admission = store.admit(ask, overloaded);
      outstanding++;
      if (!(admission instanceof Promise)) return entered(held, admission, stop);
      return admission.then(
        (value) => entered(held, value, stop),
        (error: unknown) => {
          outstanding--;
          throw error;
        },
      );
    },
    again: (ticket, used, repeat, stop) => {
      if (stop.reason) throw stop.reason;
      const held = ticket as Held;
      lanes.catchUp(held.ask.website);
      const wish = wishOf(held, undefined, used, repeat);
      return after(store.retry(wish), (admission): Soon<Turn | undefined> => {
        if (admission.kind === 'refused') return undefined;
        if (admission.kind === 'go') return turnOf(held, admission, 0);
        return hold(lanes, clock, {
          held,
          stop,
          waiting: admission,
          wish: { ...wish, waitsFor: admission.waitsFor },
          maxHoldMs: settings().maxHoldMs,
          onRefused: () => undefined,
          outlook: () => outlook(held),
          onLost: () => undefined,
        });
      });
    },
    leave: (ticket, ending) => leave(ticket as Held, ending),
    banned: (turn, rule) => {
      const { ask, sessionId: session, fresh: making } = turn.ticket as Held;
      return after(store.ban({ ask, session, making, upstream: turn.upstream, rule }), (answer) => {
        if (answer.stormBegan) events.banStorm?.(ask.website, rule);
        return answer.retryAfterMs;
      });
    },
    outlook: (ticket) => outlook(ticket as Held),
    upstreamFailed: (upstream, reason) => {
      const down = after(store.fail(upstream.id), (isDown) => {
        if (isDown) events.upstreamDown?.(upstream, reason);
      });
      ignore(down);
    },
    slowDown: (ticket, ms) => {
      const { account, website } = (ticket as Held).ask;
      ignore(store.slow(account, website, ms));
    },
    dismiss: () =>
      lanes.dismiss(new Refusal('serverbusy', { retryAfterMs: OVERLOAD_RETRY_MS, reason: 'shutting down' })),
    sessions: makeSessionDesk(store),
    load: () => ({ outstanding, waiting: lanes.count() }),
  };
};
