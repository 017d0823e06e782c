/** Who is asked for first among those who wait. */
import { describe, expect, it } from 'vitest';
import type { Wish } from '../../src/pipeline/store-port.ts';
import {
  candidates,
  join,
  newWaitingList,
  nextTurn,
  part,
  putOff,
  putOffAccount,
  type Waiter,
} from '../../src/pipeline/waiting-list.ts';
import { ask } from '../support/store-house.ts';

const waiter = (age: number, account = 'demo', key = 'any'): Waiter => {
  const one = ask({ account });
  const wish: Wish = { ask: one, session: undefined, making: false, waitsFor: '', used: undefined, repeat: false };
  return { account, key, age, wish, settle: () => undefined, fail: () => undefined };
};

const ages = (waiters: readonly Waiter[]): number[] => waiters.map((one) => one.age);

describe('the waiting list of a website', () => {
  it('P-03 asks for the oldest of each group, oldest first, whatever the order of joining', () => {
    const list = newWaitingList('shop.localhost');
    const all = [waiter(5), waiter(3), waiter(4), waiter(2, 'other'), waiter(9, 'demo', 'session 1')];
    for (const one of all) join(list, one, 0);
    expect(ages(candidates(list, 0))).toEqual([2, 3, 9]);
    for (const expected of [3, 4, 5]) {
      const head = candidates(list, 0).find((one) => one.account === 'demo' && one.key === 'any') as Waiter;
      expect(head.age).toBe(expected);
      expect(part(list, head)).toBe(true);
      expect(part(list, head)).toBe(false);
    }
    expect(list.size).toBe(2);
  });

  it('asks neither for groups nor for accounts that were put off, and knows when to ask again', () => {
    const list = newWaitingList('shop.localhost');
    const one = waiter(1);
    join(list, one, 100);
    join(list, waiter(2, 'other'), 50);
    expect(nextTurn(list)).toBe(50);
    expect(ages(candidates(list, 60))).toEqual([2]);
    putOff(list, one, 300);
    putOffAccount(list, 'other', 400);
    expect(nextTurn(list)).toBe(300);
    expect(candidates(list, 299)).toEqual([]);
    expect(ages(candidates(list, 400))).toEqual([1, 2]);
  });

  it('is empty when all have left, also those in the middle', () => {
    const list = newWaitingList('shop.localhost');
    const all = [waiter(1), waiter(2), waiter(3)];
    for (const one of all) join(list, one, 0);
    for (const one of [all[1], all[0], all[2]]) part(list, one as Waiter);
    expect([list.size, list.lanes.size, nextTurn(list)]).toEqual([0, 0, Number.POSITIVE_INFINITY]);
  });

  it('asks for a bounded number at once', () => {
    const list = newWaitingList('shop.localhost');
    for (let i = 100; i > 0; i--) join(list, waiter(i, 'demo', `session ${i}`), 0);
    expect(ages(candidates(list, 0))).toEqual(Array.from({ length: 32 }, (_, i) => i + 1));
  });
});
