/**
 * `storeLoss: alone`: while Redis is away, requests without session go on with a store of this process alone; what needs
 * a session is refused. Redis counts again as soon as it answers, and those who wait move back to it.
 */
import { Refusal } from '../model/errors.ts';
import type { Ask, Soon } from '../pipeline/ports.ts';
import type { Admission, Granted, Refused, Store, TurnAnswer, Wish } from '../pipeline/store-port.ts';
import { OVERLOAD_RETRY_MS } from '../policy/pacing.ts';
import { refused } from './verdict.ts';

/** What Redis being away throws; what it answers is never thrown. */
const isLost = (error: unknown): boolean => error instanceof Refusal;

type Verdict = Granted | Refused;

/** Requests that this process alone let in, per account and website: which of them leaves does not matter. */
const makeLent = () => {
  const counts = new Map<string, number>();
  const change = (name: string, by: number): void => {
    const count = (counts.get(name) ?? 0) + by;
    if (count > 0) counts.set(name, count);
    else counts.delete(name);
  };
  const nameOf = (account: string, website: string): string => `${account} ${website}`;
  return {
    add: ({ account, website }: Ask): void => change(nameOf(account, website), 1),
    takeBack: (account: string, website: string): boolean => {
      const name = nameOf(account, website);
      if (!counts.has(name)) return false;
      change(name, -1);
      return true;
    },
  };
};

const anew = (wish: Wish): Wish => ({ ...wish, waitsFor: undefined });

const settledAt = (index: number, verdict: Verdict): TurnAnswer => ({
  settled: { index, verdict },
  askInMs: Array.from({ length: index }, () => 1),
});

export const makeAloneStore = (remote: Store, isAway: () => boolean, local: Store): Store => {
  const lent = makeLent();
  /** Asks of requests that wait in the local store. */
  const here = new WeakSet<Ask>();

  const either = async <T>(away: boolean, there: () => Soon<T>, alone: () => Soon<T>): Promise<T> => {
    if (away) return alone();
    try {
      return await there();
    } catch (error) {
      if (isLost(error)) return alone();
      throw error;
    }
  };

  /** Redis, or this process alone where no session is needed. */
  const step = <T>(session: unknown, there: () => Soon<T>, alone: () => Soon<T>): Soon<T> =>
    session === undefined ? either(isAway(), there, alone) : there();

  const retryHere = async (wish: Wish): Promise<Admission> => {
    const admission = await local.retry(anew(wish));
    if (admission.kind === 'wait') here.add(wish.ask);
    return admission;
  };

  const leaveQueue = async (store: Store, wish: Wish): Promise<void> => {
    try {
      await store.unwait(wish);
    } catch {
      // Redis is told what still waits when it is back.
    }
  };

  /** One waiting request while Redis is away: what became of it, or when to ask again. */
  const turnHere = async (website: string, wish: Wish): Promise<Verdict | number> => {
    if (wish.ask.session !== undefined) return refused('serverbusy', wish.session, OVERLOAD_RETRY_MS);
    if (here.has(wish.ask)) {
      const { settled, askInMs } = await local.turn(website, [wish]);
      if (settled) here.delete(wish.ask);
      return settled?.verdict ?? askInMs[0] ?? 1;
    }
    await leaveQueue(remote, wish);
    const admission = await retryHere(wish);
    return admission.kind === 'wait' ? Math.max(1, admission.askInMs) : admission;
  };

  const turnAlone = async (website: string, wishes: readonly Wish[]): Promise<TurnAnswer> => {
    const askInMs: number[] = [];
    for (const [index, wish] of wishes.entries()) {
      const result = await turnHere(website, wish);
      if (typeof result !== 'number') return { settled: { index, verdict: result }, askInMs };
      askInMs.push(result);
    }
    return { settled: undefined, askInMs };
  };

  /** Those who wait here wait at Redis from now on; the first that need not wait there is settled. */
  const moveBack = async (wishes: readonly Wish[]): Promise<TurnAnswer | undefined> => {
    for (const [index, wish] of wishes.entries()) {
      if (!here.has(wish.ask)) continue;
      const admission = await remote.retry(anew(wish));
      here.delete(wish.ask);
      await leaveQueue(local, wish);
      if (admission.kind !== 'wait') return settledAt(index, admission);
    }
    return undefined;
  };

  return {
    ...(remote.opened ? { opened: remote.opened } : {}),
    admit: (ask, overloaded) =>
      step(
        ask.session,
        () => remote.admit(ask, overloaded),
        async () => {
          const admission = await local.admit(ask, overloaded);
          if (admission.kind !== 'refused') lent.add(ask);
          if (admission.kind === 'wait') here.add(ask);
          return admission;
        },
      ),
    retry: (wish) =>
      step(
        wish.ask.session,
        () => remote.retry(wish),
        () => retryHere(wish),
      ),
    turn: (website, wishes) =>
      either(
        isAway(),
        async () => (await moveBack(wishes)) ?? (await remote.turn(website, wishes)),
        () => turnAlone(website, wishes),
      ),
    unwait: (wish) => (here.delete(wish.ask) ? local.unwait(wish) : remote.unwait(wish)),
    leave: (leaving) => {
      const { account, website, session } = leaving;
      const mine = session === undefined && lent.takeBack(account, website);
      return mine ? local.leave(leaving) : remote.leave(leaving);
    },
    ban: (hit) =>
      step(
        hit.session,
        () => remote.ban(hit),
        () => local.ban(hit),
      ),
    outlook: (ask, session) =>
      step(
        session ?? ask.session,
        () => remote.outlook(ask, session),
        () => local.outlook(ask, undefined),
      ),
    fail: (id) =>
      either(
        isAway(),
        () => remote.fail(id),
        () => local.fail(id),
      ),
    slow: (account, website, ms) =>
      either(
        isAway(),
        () => remote.slow(account, website, ms),
        () => local.slow(account, website, ms),
      ),
    openSession: remote.openSession,
    listSessions: remote.listSessions,
    closeSession: remote.closeSession,
    cookies: {
      read: (jar, site) =>
        step(
          jar.session,
          () => remote.cookies.read(jar, site),
          () => local.cookies.read(jar, site),
        ),
      keep: (jar, site, changes) =>
        step(
          jar.session,
          () => remote.cookies.keep(jar, site, changes),
          () => local.cookies.keep(jar, site, changes),
        ),
    },
    close: async () => {
      await Promise.all([remote.close(), local.close()]);
    },
  };
};
