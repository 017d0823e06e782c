/** A request's ticket as the gate keeps it, and the small conversions between gate and store. */
import { Refusal } from '../model/errors.ts';
import { seedOf } from '../policy/sessions.ts';
import type { Ask, SessionView, Soon, Ticket, Turn } from './ports.ts';
import type { Granted, Refused, Wish } from './store-port.ts';

export interface Held extends Ticket {
  session: SessionView | undefined;
  delayMs: number;
  readonly ask: Ask;
  /** Number of its admission: the age that decides who goes first (P-07). */
  readonly age: number;
  /** The session it is counted in, from admission on; `session` is shown from the first turn on. */
  sessionId: string | undefined;
  fresh: boolean;
  left: boolean;
}

export const newHeld = (ask: Ask, age: number): Held => ({
  session: undefined,
  delayMs: 0,
  ask,
  age,
  sessionId: undefined,
  fresh: false,
  left: false,
});

export const refusalOf = (refused: Refused): Refusal => {
  const { condition, session, retryAfterMs, nextRequestInMs } = refused;
  return new Refusal(condition, {
    ...(session === undefined ? {} : { session }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(nextRequestInMs === undefined ? {} : { nextRequestInMs }),
  });
};

/** Notes what a grant says of the session. */
export const take = (held: Held, granted: Granted): void => {
  const id = granted.session;
  if (id === undefined) return;
  held.sessionId = id;
  held.fresh = granted.making;
  if (held.session?.id !== id) held.session = { id, seed: seedOf(id) };
};

export const turnOf = (held: Held, granted: Granted, waitedMs: number): Turn => {
  take(held, granted);
  return { ticket: held, upstream: granted.upstream, waitedMs };
};

export const wishOf = (
  held: Held,
  waitsFor: string | undefined,
  used: ReadonlySet<string> | undefined,
  repeat: boolean,
): Wish => ({ ask: held.ask, session: held.sessionId, making: held.fresh, waitsFor, used, repeat });

/** Applies a step to a value that is there or will be. */
export const after = <A, B>(value: Soon<A>, step: (value: A) => Soon<B>): Soon<B> =>
  value instanceof Promise ? value.then(step) : step(value);

/** For steps nobody waits for: the store reports its own failures. */
export const ignore = (step: unknown): void => {
  if (step instanceof Promise) step.catch(() => undefined);
};
