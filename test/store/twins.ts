/** Two stores side by side: every operation on both, with answers that must say the same. Session ids may differ. */
import { expect } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import type { Ask, SessionAsk } from '../../src/pipeline/ports.ts';
import type { Admission, Granted, Refused, Store, Waiting, Wish } from '../../src/pipeline/store-port.ts';
import { ask as baseAsk, STORE_SETTINGS } from '../support/store-house.ts';

type Two<T> = readonly [T, T];

/** A request inside the house, as each store knows it. */
interface Guest {
  readonly ask: Two<Ask>;
  session: Two<string | undefined>;
  making: boolean;
  waiting: Two<string> | undefined;
  first: boolean;
  repeat: boolean;
  readonly used: Set<string>;
  upstream: Upstream | undefined;
}

export interface Step {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
}

export interface TwinsOptions {
  readonly stores: Two<Store>;
  readonly pool: readonly Upstream[];
  advance(ms: number): void;
}

const WEBSITES = ['a.localhost', 'b.localhost'];
const ACCOUNTS = ['one', 'two'];
const REGIONS = [undefined, undefined, undefined, 'de', 'us'];
const RULES = ['r1', 'r2'];
const DELAYS: readonly [number, number][] = [
  [200, 1_000],
  [0, 0],
  [50, 700],
];
const DOWN_MS = STORE_SETTINGS.upstreamDownMs;
const ADVANCES = [0, 1, 50, 200, 333, 1_000, 5_000, 29_999, 61_000];

const pick = <T>(list: readonly T[], n: number): T => list[n % list.length] as T;

export const makeTwins = ({ stores, pool, advance }: TwinsOptions) => {
  const sessions: Two<string>[] = [];
  const guests: Guest[] = [];
  const failedAt = new Map<string, number>();
  let spent = 0;

  const onBoth = async <T>(run: (store: Store, side: 0 | 1) => T | Promise<T>): Promise<Two<T>> => [
    await run(stores[0], 0),
    await run(stores[1], 1),
  ];

  const known = (mine: string | undefined, theirs: string | undefined): string | undefined => {
    if (mine === undefined || theirs === undefined) {
      expect(theirs).toBe(mine);
      return undefined;
    }
    const index = sessions.findIndex((pair) => pair[0] === mine || pair[1] === theirs);
    if (index < 0) {
      sessions.push([mine, theirs]);
      return `session ${sessions.length - 1}`;
    }
    expect([mine, theirs]).toEqual(sessions[index]);
    return `session ${index}`;
  };

  const sameRefusal = (mine: Refused, theirs: Refused): void => {
    known(mine.session, theirs.session);
    expect({ ...theirs, session: 0 }).toEqual({ ...mine, session: 0 });
  };

  const same = ([mine, theirs]: Two<Admission>): void => {
    expect(theirs.kind === 'refused' ? theirs.condition : theirs.kind).toBe(
      mine.kind === 'refused' ? mine.condition : mine.kind,
    );
    if (mine.kind === 'refused') {
      sameRefusal(mine, theirs as Refused);
      return;
    }
    known(mine.session, theirs.session);
    if (mine.kind === 'go') {
      const granted = theirs as Granted;
      expect([granted.upstream.id, granted.making]).toEqual([mine.upstream.id, mine.making]);
      return;
    }
    const { delayMs, askInMs } = theirs as Waiting;
    expect([delayMs, askInMs]).toEqual([mine.delayMs, mine.askInMs]);
  };

  const apply = (guest: Guest, admissions: Two<Admission>): void => {
    const [mine, theirs] = admissions;
    if (mine.kind === 'refused' || theirs.kind === 'refused') return;
    guest.session = [mine.session, theirs.session];
    if (mine.kind === 'wait' && theirs.kind === 'wait') {
      guest.waiting = [mine.waitsFor, theirs.waitsFor];
      return;
    }
    if (mine.kind !== 'go') return;
    guest.waiting = undefined;
    guest.making = mine.making;
    guest.upstream = mine.upstream;
    guest.used.add(mine.upstream.id);
    guest.first = false;
  };

  const askOf = (n: number, m: number): Two<Ask> => {
    const [siteDelayMs, slaveDelayMs] = pick(DELAYS, m);
    const common = {
      account: pick(ACCOUNTS, n),
      website: pick(WEBSITES, n >> 1),
      region: pick(REGIONS, n >> 2),
      noBancheck: (n >> 5) % 5 === 0,
      maxConnections: pick([Number.POSITIVE_INFINITY, 6], n >> 6),
      maxSessions: pick([4, 6], m >> 1),
      siteDelayMs,
      slaveDelayMs,
    };
    const by = pick(['', '', 'create', 'id', 'id', 'name'], m >> 3);
    const pair = sessions.length > 0 ? pick(sessions, m >> 4) : (['7777777', '7777777'] as const);
    const session = (side: 0 | 1): SessionAsk | undefined => {
      if (by === 'create') return { by };
      if (by === 'name') return { by, name: pick(['anna', 'bob -1'], m >> 4) };
      return by === 'id' ? { by, id: pair[side] } : undefined;
    };
    return [baseAsk({ ...common, session: session(0) }), baseAsk({ ...common, session: session(1) })];
  };

  const wishOf = (guest: Guest, side: 0 | 1): Wish => ({
    ask: guest.ask[side],
    session: guest.session[side],
    making: guest.making,
    waitsFor: guest.waiting?.[side],
    used: guest.first ? undefined : guest.used,
    repeat: guest.repeat,
  });

  const admit = async (n: number, m: number): Promise<void> => {
    const ask = askOf(n, m);
    const overloaded = n % 37 === 0;
    const answers = await onBoth((store, side) => store.admit(ask[side], overloaded));
    same(answers);
    if (answers[0].kind === 'refused') return;
    const guest: Guest = {
      ask,
      session: [undefined, undefined],
      making: false,
      waiting: undefined,
      first: true,
      repeat: false,
      used: new Set(),
      upstream: undefined,
    };
    apply(guest, answers);
    guests.push(guest);
  };

  const running = (): Guest[] => guests.filter((guest) => guest.upstream !== undefined && !guest.waiting);

  const retry = async (n: number, m: number): Promise<void> => {
    const some = running();
    if (some.length === 0) return;
    const guest = pick(some, n);
    guest.repeat = m % 2 === 0;
    const answers = await onBoth((store, side) => store.retry(wishOf(guest, side)));
    same(answers);
    apply(guest, answers);
  };

  const turn = async (n: number): Promise<void> => {
    const website = pick(WEBSITES, n);
    const queue = guests.filter((guest) => guest.waiting && guest.ask[0].website === website).slice(0, 1 + (n % 5));
    if (queue.length === 0) return;
    const [mine, theirs] = await onBoth((store, side) =>
      store.turn(
        website,
        queue.map((guest) => wishOf(guest, side)),
      ),
    );
    expect(theirs.askInMs).toEqual(mine.askInMs);
    expect(theirs.settled?.index).toBe(mine.settled?.index);
    if (!mine.settled || !theirs.settled) return;
    const guest = queue[mine.settled.index] as Guest;
    same([mine.settled.verdict, theirs.settled.verdict]);
    guest.waiting = undefined;
    if (mine.settled.verdict.kind === 'go') apply(guest, [mine.settled.verdict, theirs.settled.verdict]);
    else if (guest.first) await leave(guest, 0);
  };

  const leave = async (guest: Guest, n: number): Promise<void> => {
    guests.splice(guests.indexOf(guest), 1);
    if (guest.waiting) await onBoth((store, side) => store.unwait(wishOf(guest, side)));
    const { account, website } = guest.ask[0];
    const upstream = n % 4 === 0 ? undefined : guest.upstream?.id;
    await onBoth((store, side) =>
      store.leave({ account, website, session: guest.session[side], making: guest.making, upstream }),
    );
  };

  const ban = async (n: number, m: number): Promise<void> => {
    const some = running();
    if (some.length === 0) return;
    const { ask, session, making, upstream } = pick(some, n);
    const [mine, theirs] = await onBoth((store, side) =>
      store.ban({
        ask: ask[side],
        session: session[side],
        making,
        upstream: upstream as Upstream,
        rule: pick(RULES, m),
      }),
    );
    expect(theirs).toEqual(mine);
  };

  const desk = async (n: number, m: number): Promise<void> => {
    const account = pick(ACCOUNTS, n);
    if (n % 3 === 0) {
      const [mine, theirs] = await onBoth((store) => store.openSession(account, 5, pick(REGIONS, m)));
      if ('kind' in mine || 'kind' in theirs) {
        sameRefusal(mine as Refused, theirs as Refused);
        return;
      }
      known(mine.id, theirs.id);
      expect(theirs.upstream.id).toBe(mine.upstream.id);
    } else if (n % 3 === 1 && sessions.length > 0) {
      const pair = pick(sessions, m);
      const [mine, theirs] = await onBoth((store, side) => store.closeSession(account, pair[side]));
      expect(theirs).toBe(mine);
    } else {
      const [mine, theirs] = await onBoth((store) => store.listSessions(account));
      const shown = mine.map((one) => {
        const other = sessions.find(([id]) => id === one.id)?.[1];
        return [other, one.upstream.id];
      });
      expect(theirs.map((one) => [one.id, one.upstream.id]).sort()).toEqual(shown.sort());
    }
  };

  const look = async (n: number, m: number): Promise<void> => {
    const ask = askOf(n, m);
    const some = running();
    const session = some.length > 0 && n % 2 === 0 ? pick(some, m).session : ([undefined, undefined] as const);
    const [mine, theirs] = await onBoth((store, side) => store.outlook(ask[side], session[side]));
    expect(theirs).toBe(mine);
  };

  const trouble = async (n: number, m: number): Promise<void> => {
    if (n % 3 === 0) {
      await onBoth((store) => store.slow(pick(ACCOUNTS, m), pick(WEBSITES, m >> 1), 100 * (m % 7)));
      return;
    }
    const id = pick(pool, m).id;
    // Of one that is down already the memory store tells the end of the first failure.
    if ((failedAt.get(id) ?? Number.NEGATIVE_INFINITY) + DOWN_MS > spent) return;
    failedAt.set(id, spent);
    const [mine, theirs] = await onBoth((store) => store.fail(id));
    expect(theirs).toBe(mine);
  };

  const wait = (n: number): void => {
    const ms = pick(ADVANCES, n);
    // Longer, and the memory store might have forgotten a website.
    if (spent + ms > 3_000_000) return;
    spent += ms;
    advance(ms);
  };

  const table: readonly ((n: number, m: number) => Promise<void> | void)[] = [
    admit,
    admit,
    admit,
    turn,
    turn,
    wait,
    wait,
    async (n, m) => {
      if (guests.length > 0) await leave(pick(guests, n), m);
    },
    retry,
    ban,
    desk,
    look,
    trouble,
  ];

  return {
    run: async ({ kind, a, b }: Step): Promise<void> => {
      await pick(table, kind)(a, b);
    },
  };
};
