/** Waiting for turns: one list and at most one timer per website; asks the store when a turn may be due (P-03). */
import type { Clock, Timer } from './ports.ts';
import type { Store, TurnAnswer } from './store-port.ts';
import { ignore } from './ticket.ts';
import {
  candidates,
  everyone,
  join,
  newWaitingList,
  nextTurn,
  part,
  putOff,
  putOffAccount,
  type Waiter,
  type WaitingList,
} from './waiting-list.ts';

export interface Lanes {
  /** Adds a waiter that the store counts as waiting; its turn may come at once, within this call. */
  join(website: string, waiter: Waiter, askInMs: number): void;
  /**
   * A waiter gives up and counts out of `W` at once: true.
   * False when the store is being asked for it right now: it is settled by that answer.
   */
  part(website: string, waiter: Waiter): boolean;
  /** Serves the turns that are due, so that nobody who comes now gets before those who wait (P-08). */
  catchUp(website: string): void;
  /** Ends every wait, and those that would begin from now on, with this error. */
  dismiss(error: Error): void;
  /** Requests waiting in this process. */
  count(): number;
}

interface Hall extends WaitingList {
  timer: Timer | undefined;
  wakeAt: number;
  /** Those an unanswered question is about. */
  asking: readonly Waiter[] | undefined;
}

/** Longest sleep: beyond it the store is asked again, in case another process or a reload changed something. */
const LONGEST_SLEEP_MS = 60_000;

export const makeLanes = (store: Store, clock: Clock): Lanes => {
  const halls = new Map<string, Hall>();
  let waiting = 0;
  let dismissal: Error | undefined;

  const hallOf = (website: string): Hall => {
    const known = halls.get(website);
    if (known) return known;
    const hall: Hall = {
      ...newWaitingList(website),
      timer: undefined,
      wakeAt: Number.POSITIVE_INFINITY,
      asking: undefined,
    };
    halls.set(website, hall);
    return hall;
  };

  const sleep = (hall: Hall): void => {
    if (hall.size === 0) {
      hall.timer?.cancel();
      if (!hall.asking) halls.delete(hall.website);
      return;
    }
    const now = clock.now();
    const at = Math.min(nextTurn(hall), now + LONGEST_SLEEP_MS);
    if (hall.timer && hall.wakeAt <= at) return;
    hall.timer?.cancel();
    hall.wakeAt = at;
    hall.timer = clock.after(Math.max(1, at - now), () => {
      hall.timer = undefined;
      hall.wakeAt = Number.POSITIVE_INFINITY;
      serve(hall);
    });
  };

  const leaveList = (hall: Hall, waiter: Waiter): boolean => {
    if (!part(hall, waiter)) return false;
    waiting--;
    return true;
  };

  const apply = (hall: Hall, asked: readonly Waiter[], answer: TurnAnswer): void => {
    const now = clock.now();
    answer.askInMs.forEach((inMs, index) => {
      putOff(hall, asked[index] as Waiter, now + inMs);
    });
    if (!answer.settled) return;
    const { index, verdict } = answer.settled;
    const waiter = asked[index] as Waiter;
    if (verdict.kind === 'go') putOffAccount(hall, waiter.account, now + waiter.wish.ask.siteDelayMs);
    leaveList(hall, waiter);
    waiter.settle(verdict);
  };

  /** The store did not answer: those asked for are told, the others are asked for next. */
  const giveUp = (hall: Hall, asked: readonly Waiter[], error: unknown): void => {
    for (const waiter of asked) {
      if (leaveList(hall, waiter)) ignore(store.unwait(waiter.wish));
      waiter.fail(error);
    }
  };

  const finish = (hall: Hall, step: () => void): void => {
    const asked = hall.asking ?? [];
    hall.asking = undefined;
    step();
    for (const waiter of asked) settleParted(hall, waiter);
    if (dismissal) empty(hall, dismissal);
    serve(hall);
  };

  /** Those an unanswered question is about are left to its answer. */
  const empty = (hall: Hall, error: Error): void => {
    giveUp(
      hall,
      everyone(hall).filter((waiter) => !hall.asking?.includes(waiter)),
      error,
    );
  };

  const parted = new Set<Waiter>();

  /** Who left during a question counts out once it is answered, unless the answer settled it. */
  const settleParted = (hall: Hall, waiter: Waiter): void => {
    if (!parted.delete(waiter)) return;
    if (!leaveList(hall, waiter)) return;
    ignore(store.unwait(waiter.wish));
    waiter.settle(undefined);
  };

  const serve = (hall: Hall): void => {
    while (!hall.asking) {
      const asked = candidates(hall, clock.now());
      if (asked.length === 0) break;
      const answer = store.turn(
        hall.website,
        asked.map((waiter) => waiter.wish),
      );
      if (!(answer instanceof Promise)) {
        apply(hall, asked, answer);
        continue;
      }
      hall.asking = asked;
      answer.then(
        (value) => finish(hall, () => apply(hall, asked, value)),
        (error: unknown) => finish(hall, () => giveUp(hall, asked, error)),
      );
      return;
    }
    sleep(hall);
  };

  return {
    join: (website, waiter, askInMs) => {
      const hall = hallOf(website);
      const now = clock.now();
      join(hall, waiter, now + askInMs);
      waiting++;
      if (dismissal) empty(hall, dismissal);
      if (askInMs <= 0) serve(hall);
      else sleep(hall);
    },
    part: (website, waiter) => {
      const hall = halls.get(website);
      if (!hall) return true;
      if (hall.asking?.includes(waiter)) {
        parted.add(waiter);
        return false;
      }
      if (!leaveList(hall, waiter)) return true;
      ignore(store.unwait(waiter.wish));
      sleep(hall);
      return true;
    },
    catchUp: (website) => {
      if (waiting === 0) return;
      const hall = halls.get(website);
      if (hall && hall.wakeAt <= clock.now()) serve(hall);
    },
    dismiss: (error) => {
      dismissal = error;
      for (const hall of [...halls.values()]) {
        empty(hall, error);
        sleep(hall);
      }
    },
    count: () => waiting,
  };
};
