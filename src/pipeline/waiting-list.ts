/** The waiting requests of one website in this process: oldest first, grouped by what they wait for. No timers, no store. */
import type { Granted, Refused, Wish } from './store-port.ts';

/** One request that waits for a turn. */
export interface Waiter {
  readonly account: string;
  /** Requests of one account and key wait for the same thing: when the oldest cannot go, none can. */
  readonly key: string;
  /** Number of its admission: the age that decides (P-03, P-07). */
  readonly age: number;
  readonly wish: Wish;
  /** The turn came, or can come no more; `undefined` when it left while the store was being asked and had no turn. */
  settle(verdict: Granted | Refused | undefined): void;
  /** The store did not answer. It waits no more. */
  fail(error: unknown): void;
}

interface Queue {
  /** By age. */
  readonly waiters: Waiter[];
  /** No turn before this, as far as is known. */
  notBefore: number;
}

interface Lane {
  readonly queues: Map<string, Queue>;
  /** `G` as far as is known. */
  notBefore: number;
}

export interface WaitingList {
  readonly website: string;
  readonly lanes: Map<string, Lane>;
  size: number;
}

export const newWaitingList = (website: string): WaitingList => ({ website, lanes: new Map(), size: 0 });

const queueOf = (list: WaitingList, waiter: Waiter): Queue | undefined =>
  list.lanes.get(waiter.account)?.queues.get(waiter.key);

/** Adds a waiter at the place of its age. `notBefore` counts when nobody waits there yet. */
export const join = (list: WaitingList, waiter: Waiter, notBefore: number): void => {
  let lane = list.lanes.get(waiter.account);
  if (!lane) {
    lane = { queues: new Map(), notBefore: 0 };
    list.lanes.set(waiter.account, lane);
  }
  const queue = lane.queues.get(waiter.key);
  list.size++;
  if (!queue) {
    lane.queues.set(waiter.key, { waiters: [waiter], notBefore });
    return;
  }
  const { waiters } = queue;
  let at = waiters.length;
  while (at > 0 && (waiters[at - 1] as Waiter).age > waiter.age) at--;
  if (at === waiters.length) waiters.push(waiter);
  else waiters.splice(at, 0, waiter);
};

/** Takes a waiter out; false when it was not in. */
export const part = (list: WaitingList, waiter: Waiter): boolean => {
  const lane = list.lanes.get(waiter.account);
  const queue = lane?.queues.get(waiter.key);
  if (!lane || !queue) return false;
  const at = queue.waiters[0] === waiter ? 0 : queue.waiters.indexOf(waiter);
  if (at < 0) return false;
  if (at === 0) queue.waiters.shift();
  else queue.waiters.splice(at, 1);
  list.size--;
  if (queue.waiters.length > 0) return true;
  lane.queues.delete(waiter.key);
  if (lane.queues.size === 0) list.lanes.delete(waiter.account);
  return true;
};

/** At most this many wishes are asked for in one step. */
const MAX_ASKED = 32;

const byAge = (a: Waiter, b: Waiter): number => a.age - b.age;

/** The oldest of every group that may go now, oldest first. */
export const candidates = (list: WaitingList, now: number): Waiter[] => {
  const heads: Waiter[] = [];
  for (const lane of list.lanes.values()) {
    if (lane.notBefore > now) continue;
    for (const queue of lane.queues.values()) {
      if (queue.notBefore <= now) heads.push(queue.waiters[0] as Waiter);
    }
  }
  heads.sort(byAge);
  if (heads.length > MAX_ASKED) heads.length = MAX_ASKED;
  return heads;
};

/** Notes that a waiter's group can have no turn before then. */
export const putOff = (list: WaitingList, waiter: Waiter, notBefore: number): void => {
  const queue = queueOf(list, waiter);
  if (queue) queue.notBefore = notBefore;
};

/** Notes that the account can have no turn at this website before then. */
export const putOffAccount = (list: WaitingList, account: string, notBefore: number): void => {
  const lane = list.lanes.get(account);
  if (lane) lane.notBefore = notBefore;
};

/** Everybody who waits. */
export const everyone = (list: WaitingList): Waiter[] =>
  [...list.lanes.values()].flatMap((lane) => [...lane.queues.values()].flatMap((queue) => queue.waiters));

/** When the next turn may come; `Infinity` when nobody waits. */
export const nextTurn = (list: WaitingList): number => {
  let next = Number.POSITIVE_INFINITY;
  for (const lane of list.lanes.values()) {
    for (const queue of lane.queues.values()) next = Math.min(next, Math.max(lane.notBefore, queue.notBefore));
  }
  return next;
};
