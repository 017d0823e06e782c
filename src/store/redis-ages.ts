/** When the requests that wait in this process came, by the clock of the store: processes serve each other's in that order (P-08). */
import type { Ask } from '../pipeline/ports.ts';
import type { Wish } from '../pipeline/store-port.ts';

export interface Ages {
  /** Microseconds by the store's clock; 0 = before all that wait. */
  of(ask: Ask): number;
  /** When the next one of its kind came that is not this one; `undefined` when there is none. */
  after(wish: Wish): number | undefined;
  /** It begins to wait. `came` counts when it has not waited before. */
  began(ask: Ask, waitsFor: string, came: number | undefined): void;
  ended(wish: Wish): void;
}

const kindOf = ({ website, account }: Ask, waitsFor: string): string => `${website} ${account} ${waitsFor}`;

export const makeAges = (): Ages => {
  const came = new WeakMap<Ask, number>();
  /** Ascending. */
  const kinds = new Map<string, number[]>();

  const of = (ask: Ask): number => came.get(ask) ?? 0;

  const put = (list: number[], age: number): void => {
    let at = list.length;
    while (at > 0 && (list[at - 1] as number) > age) at--;
    list.splice(at, 0, age);
  };

  return {
    of,
    after: ({ ask, waitsFor = '' }) => {
      const list = kinds.get(kindOf(ask, waitsFor)) ?? [];
      return list[0] === of(ask) ? list[1] : list[0];
    },
    began: (ask, waitsFor, at) => {
      if (at !== undefined && !came.has(ask)) came.set(ask, at);
      const kind = kindOf(ask, waitsFor);
      const list = kinds.get(kind);
      if (list) put(list, of(ask));
      else kinds.set(kind, [of(ask)]);
    },
    ended: ({ ask, waitsFor }) => {
      if (waitsFor === undefined) return;
      const kind = kindOf(ask, waitsFor);
      const list = kinds.get(kind);
      const at = list?.indexOf(of(ask)) ?? -1;
      if (!list || at < 0) return;
      list.splice(at, 1);
      if (list.length === 0) kinds.delete(kind);
    },
  };
};
