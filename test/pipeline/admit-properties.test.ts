/** Random lives of many requests: whatever happens, gaps hold, limits are exact and nothing is lost. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Gone, Refusal } from '../../src/model/errors.ts';
import { makeGate } from '../../src/pipeline/admit.ts';
import type { Ask, SessionAsk, Turn } from '../../src/pipeline/ports.ts';
import { makeStop, type StopButton } from '../../src/pipeline/stop.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { ask, makeRandom, poolOf, STORE_SETTINGS, upstream } from '../support/store-house.ts';

const SITE_DELAY = 200;
const SLAVE_DELAY = 1_000;
const MAX_CONNECTIONS = 12;
const MAX_SESSIONS = 3;

type Step =
  | { readonly do: 'enter'; readonly account: number; readonly website: number; readonly session: number }
  | { readonly do: 'again' | 'ban' | 'fail' | 'leave' | 'stop' | 'slow'; readonly which: number }
  | { readonly do: 'open' | 'close'; readonly account: number }
  | { readonly do: 'pass'; readonly ms: number }
  | { readonly do: 'reload'; readonly count: number };

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      account: fc.nat(2),
      website: fc.nat(1),
      session: fc.nat(6),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('again' as const, 'ban' as const, 'fail' as const, 'leave' as const, 'stop' as const),
      which: fc.nat(50),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('slow' as const), which: fc.nat(50) }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom('open' as const, 'close' as const), account: fc.nat(2) }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(1_500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reload' as const), count: fc.integer({ min: 1, max: 5 }) }) },
);

interface Guest {
  readonly ask: Ask;
  readonly stop: StopButton;
  turn: Turn | undefined;
  waiting: boolean;
  gone: boolean;
}

const pool = (count: number) =>
  poolOf(
    Array.from({ length: count }, (_, i) =>
      upstream(`u${i}`, { weight: i === 1 ? 2 : 1, region: i === 2 ? 'de' : undefined }),
    ),
  );

/** Notes every dispatch and holds it to the gaps. */
const makeJudge = () => {
  const lastOfAccount = new Map<string, number>();
  const lastOfSlave = new Map<string, number>();
  return (turn: Turn, one: Ask, now: number): void => {
    const account = `${one.account} ${one.website}`;
    const slave = `${turn.upstream.id} ${one.website}`;
    expect(now - (lastOfAccount.get(account) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(SITE_DELAY);
    expect(now - (lastOfSlave.get(slave) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(SLAVE_DELAY);
    lastOfAccount.set(account, now);
    lastOfSlave.set(slave, now);
  };
};

const makeLife = (seed: number) => {
  const clock = makeFakeClock();
  let current = pool(3);
  const random = makeRandom(seed);
  const store = openMemoryStore({ clock, random, pool: () => current, settings: () => STORE_SETTINGS });
  const gate = makeGate({ store, clock, settings: () => ({ maxHoldMs: 1_000_000, outstanding: 1_000 }) });
  const guests: Guest[] = [];
  const judge = makeJudge();
  const known = new Map<string, string[]>();

  const got = (guest: Guest, turn: Turn | undefined): void => {
    guest.waiting = false;
    if (!turn) return;
    judge(turn, guest.ask, clock.now());
    guest.turn = turn;
    const id = turn.ticket.session?.id;
    if (id) known.set(guest.ask.account, [...(known.get(guest.ask.account) ?? []), id]);
  };
  const lost = (guest: Guest, error: unknown): void => {
    if (!(error instanceof Refusal || error instanceof Gone)) throw error;
    guest.waiting = false;
    if (!guest.turn) guest.gone = true;
  };
  const sessionFor = (account: string, kind: number): SessionAsk | undefined => {
    if (kind === 0) return { by: 'create' };
    if (kind === 1) return { by: 'name', name: 'n' };
    const ids = known.get(account) ?? [];
    const id = ids[kind % Math.max(1, ids.length)];
    return kind === 2 && id !== undefined ? { by: 'id', id } : undefined;
  };
  const start = (guest: Guest, begin: () => Turn | undefined | Promise<Turn | undefined>): void => {
    try {
      const result = begin();
      if (!(result instanceof Promise)) {
        got(guest, result);
        return;
      }
      guest.waiting = true;
      result.then(
        (turn) => got(guest, turn),
        (error: unknown) => lost(guest, error),
      );
    } catch (error) {
      lost(guest, error);
    }
  };
  const enter = (account: number, website: number, session: number): void => {
    const name = `a${account}`;
    const one = ask({
      account: name,
      website: `w${website}.localhost`,
      siteDelayMs: SITE_DELAY,
      slaveDelayMs: SLAVE_DELAY,
      maxConnections: MAX_CONNECTIONS,
      maxSessions: MAX_SESSIONS,
      session: sessionFor(name, session),
      region: session === 3 ? 'de' : undefined,
      noBancheck: session === 4,
    });
    const guest: Guest = { ask: one, stop: makeStop(), turn: undefined, waiting: false, gone: false };
    guests.push(guest);
    start(guest, () => gate.enter(one, guest.stop));
  };
  const inside = (): Guest[] => guests.filter((guest) => guest.turn && !guest.gone && !guest.waiting);
  const pick = (list: readonly Guest[], which: number): Guest | undefined => list[which % Math.max(1, list.length)];
  const leave = (guest: Guest): void => {
    if (!guest.turn) return;
    guest.gone = true;
    gate.leave(guest.turn.ticket, { upstream: guest.turn.upstream });
  };

  const act: Record<Step['do'], (step: never) => void> = {
    enter: ({ account, website, session }: Extract<Step, { do: 'enter' }>) => enter(account, website, session),
    again: ({ which }: { which: number }) => {
      const guest = pick(inside(), which);
      const { turn } = guest ?? {};
      if (!guest || !turn) return;
      start(guest, () => gate.again(turn.ticket, new Set([turn.upstream.id]), which % 2 === 0, guest.stop));
    },
    ban: ({ which }: { which: number }) => {
      const turn = pick(inside(), which)?.turn;
      if (turn) expect(gate.banned(turn, `rule ${which % 2}`)).toBeGreaterThanOrEqual(1_000);
    },
    fail: ({ which }: { which: number }) => {
      const turn = pick(inside(), which)?.turn;
      if (turn) gate.upstreamFailed(turn.upstream, 'test');
    },
    slow: ({ which }: { which: number }) => {
      const turn = pick(inside(), which)?.turn;
      if (turn) gate.slowDown(turn.ticket, which * 100);
    },
    leave: ({ which }: { which: number }) => {
      const guest = pick(inside(), which);
      if (guest) leave(guest);
    },
    stop: ({ which }: { which: number }) => {
      pick(
        guests.filter((guest) => guest.waiting),
        which,
      )?.stop.press(new Gone());
    },
    open: ({ account }: { account: number }) => {
      try {
        const opened = gate.sessions.open(`a${account}`, MAX_SESSIONS, undefined);
        if ('id' in opened) known.set(`a${account}`, [...(known.get(`a${account}`) ?? []), opened.id]);
      } catch (error) {
        expect(error).toBeInstanceOf(Refusal);
      }
    },
    close: ({ account }: { account: number }) => {
      const id = known.get(`a${account}`)?.pop();
      if (id) expect(gate.sessions.close(`a${account}`, id)).toBeTypeOf('boolean');
    },
    pass: () => undefined,
    reload: ({ count }: { count: number }) => {
      current = pool(count);
    },
  };

  const check = async (): Promise<void> => {
    for (const account of ['a0', 'a1', 'a2']) {
      const here = guests.filter((guest) => guest.ask.account === account && !guest.gone);
      expect(here.length).toBeLessThanOrEqual(MAX_CONNECTIONS);
      expect((await gate.sessions.list(account)).length).toBeLessThanOrEqual(MAX_SESSIONS);
    }
    const held = guests.filter((guest) => !guest.gone);
    expect(gate.load()).toEqual({
      outstanding: held.length,
      waiting: held.filter((guest) => guest.waiting).length,
    });
  };

  const run = async (step: Step): Promise<void> => {
    act[step.do](step as never);
    await clock.advance(step.do === 'pass' ? step.ms : 0);
    await check();
  };

  /** Everybody gets a turn or a refusal in the end, leaves, and the house is as empty as it was. */
  const finish = async (): Promise<void> => {
    for (let i = 0; i < 40 && guests.some((guest) => guest.waiting); i++) await clock.advance(30_000);
    expect(guests.filter((guest) => guest.waiting)).toEqual([]);
    for (const guest of inside()) leave(guest);
    await clock.advance(1_000_000);
    expect(gate.load()).toEqual({ outstanding: 0, waiting: 0 });
    expect(clock.pending()).toBe(0);
    for (const account of ['a0', 'a1', 'a2']) {
      const one = ask({ account, maxConnections: 1, website: 'w0.localhost' });
      const turn = gate.enter(one, makeStop());
      if (turn instanceof Promise) throw new Error('somebody is still counted as waiting');
      gate.leave(turn.ticket, { upstream: undefined });
      await clock.advance(SLAVE_DELAY);
    }
    await clock.advance(STORE_SETTINGS.sessionIdleMs);
    for (const account of ['a0', 'a1', 'a2']) {
      const opened = Array.from({ length: MAX_SESSIONS }, () => gate.sessions.open(account, MAX_SESSIONS, undefined));
      expect(opened).toHaveLength(MAX_SESSIONS);
    }
  };

  return { run, finish };
};

describe('whatever happens to many requests', () => {
  it('P-03, L-01, S-10 and robustness H03, H04: gaps hold, limits are exact, no seat and no place is lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.array(stepArbitrary, { minLength: 20, maxLength: 120 }), async (seed, steps) => {
        const life = makeLife(seed);
        for (const step of steps) await life.run(step);
        await life.finish();
      }),
      { numRuns: 120 },
    );
  }, 120_000);
});
