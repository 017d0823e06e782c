/** Holding one request until its turn: ends by a turn, a refusal, the client leaving, or `maxHold` (P-02, P-03). */
import { Refusal } from '../model/errors.ts';
import type { Lanes } from './lanes.ts';
import type { Clock, Soon, Stop, Turn } from './ports.ts';
import type { Granted, Refused, Waiting, Wish } from './store-port.ts';
import { type Held, turnOf } from './ticket.ts';
import type { Waiter } from './waiting-list.ts';

export interface Holding {
  readonly held: Held;
  readonly wish: Wish;
  readonly waiting: Waiting;
  readonly stop: Stop;
  readonly maxHoldMs: number;
  /** What a refusal at the turn means: an error to throw, or a value to answer. */
  onRefused(refused: Refused): Error | undefined;
  /** How long a new request would wait, for the answer to one held too long. Asked when this one no longer counts. */
  outlook(): Soon<number>;
  /** The wait ended without a turn and the store no longer counts it. */
  onLost(): void;
}

/** Requests of one account waiting for the same thing share a key; a retry has its own, as it excludes its own upstreams. */
const keyOf = ({ ask, session, used }: Wish, age: number): string => {
  if (used) return `retry ${age}`;
  if (session !== undefined) return `session ${session}`;
  return `${ask.noBancheck ? 'all' : 'good'} ${ask.region ?? ''}`;
};

/** Resolves with the turn, or `undefined` when `onRefused` gives no error. */
export const hold = (lanes: Lanes, clock: Clock, holding: Holding): Promise<Turn | undefined> =>
  new Promise((resolve, reject) => {
    const { held, wish, stop, waiting } = holding;
    const { website } = held.ask;
    const since = clock.now();
    let open = true;

    const close = (): boolean => {
      if (!open) return false;
      open = false;
      timer.cancel();
      stop.listen(undefined);
      return true;
    };

    const refuse = (error: Error): void => {
      if (error instanceof Refusal) error.delayMs = held.delayMs;
      reject(error);
    };

    const settle = (verdict: Granted | Refused | undefined): void => {
      const wasOpen = close();
      if (verdict?.kind === 'go') {
        const turn = turnOf(held, verdict, clock.now() - since);
        if (wasOpen) resolve(turn);
        else holding.onLost();
        return;
      }
      holding.onLost();
      if (!wasOpen) return;
      const error = verdict && holding.onRefused(verdict);
      if (error) refuse(error);
      else resolve(undefined);
    };

    const timeUp = (): void => {
      const session = waiting.waitsFor === '' ? {} : { session: waiting.session ?? '' };
      const answer = (retryAfterMs: number): void =>
        refuse(new Refusal('serverbusy', { ...session, retryAfterMs, reason: 'held too long' }));
      if (!close()) return;
      if (lanes.part(website, waiter)) holding.onLost();
      const outlook = holding.outlook();
      if (outlook instanceof Promise) outlook.then(answer, reject);
      else answer(outlook);
    };

    const abandon = (reason: Error): void => {
      if (!close()) return;
      if (lanes.part(website, waiter)) holding.onLost();
      reject(reason);
    };

    const waiter: Waiter = {
      account: held.ask.account,
      key: keyOf(wish, held.age),
      age: held.age,
      wish,
      settle,
      fail: (error) => {
        const wasOpen = close();
        holding.onLost();
        if (wasOpen) reject(error);
      },
    };

    const timer = clock.after(holding.maxHoldMs, timeUp);
    stop.listen(abandon);
    if (open) lanes.join(website, waiter, waiting.askInMs);
  });
