/** The order in which upstreams serve a website: exact in small pools, fair and cheap in large ones. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import type { Ask } from '../../src/pipeline/ports.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { makeFakeClock } from '../support/fake-clock.ts';
import { ask, inSession, makeRandom, poolOf, STORE_SETTINGS, upstream, upstreams } from '../support/store-house.ts';

const SLAVE_DELAY = 1_000;

const SETTINGS = { ...STORE_SETTINGS, sessionIdleMs: 1_000_000_000 };

const makeHouse = (all: readonly Upstream[], seed = 7) => {
  const clock = makeFakeClock();
  let pool = poolOf(all);
  const store = openMemoryStore({ clock, random: makeRandom(seed), pool: () => pool, settings: () => SETTINGS });
  return {
    clock,
    store,
    replace: (next: readonly Upstream[]) => {
      pool = poolOf(next);
    },
  };
};

/** One request that does not stay: the id of its upstream, or `undefined` when it would have to wait or is refused. */
const visit = async (store: Store, one: Ask): Promise<string | undefined> => {
  const admission = await store.admit(one, false);
  if (admission.kind === 'refused') return undefined;
  if (admission.kind === 'wait') {
    const { waitsFor, session } = admission;
    await store.unwait({ ask: one, session, making: false, waitsFor, used: undefined, repeat: false });
  }
  const { session } = admission;
  await store.leave({ account: one.account, website: one.website, session, making: false, upstream: undefined });
  return admission.kind === 'go' ? admission.upstream.id : undefined;
};

/** The order as the contract words it, the slow way. */
const makeModel = (all: readonly Upstream[]) => {
  const places = new Map(all.map((one) => [one.id, Array.from({ length: one.weight }, () => 0)]));
  const readyAt = new Map<string, number>();
  const bannedUntil = new Map<string, number>();
  const downUntil = new Map<string, number>();
  let turn = 0;
  const past = (map: Map<string, number>, id: string, now: number): boolean => (map.get(id) ?? 0) <= now;
  const eligible = (now: number): Upstream[] =>
    all.filter((one) => past(bannedUntil, one.id, now) && past(downUntil, one.id, now));
  const oldest = (id: string): number => Math.min(...(places.get(id) ?? []));
  return {
    used: (id: string, now: number): void => {
      const list = places.get(id) ?? [];
      list[list.indexOf(Math.min(...list))] = ++turn;
      readyAt.set(id, now + SLAVE_DELAY);
    },
    /** Those that may be chosen: several only while they were never used. */
    next: (region: string | undefined, now: number): string[] => {
      const free = eligible(now).filter(
        (one) => past(readyAt, one.id, now) && (region === undefined || one.region === region),
      );
      const first = Math.min(...free.map((one) => oldest(one.id)));
      return free.filter((one) => oldest(one.id) === first).map((one) => one.id);
    },
    isFree: (id: string, now: number): boolean => past(readyAt, id, now) && eligible(now).some((one) => one.id === id),
    ban: (id: string, now: number): void => {
      const others = eligible(now).filter((one) => one.id !== id);
      if (others.length > 0) bannedUntil.set(id, now + STORE_SETTINGS.banMs);
    },
    fail: (id: string, now: number): void => {
      const othersUp = all.filter((one) => one.id !== id && past(downUntil, one.id, now));
      if (othersUp.length > 0) downUntil.set(id, now + STORE_SETTINGS.upstreamDownMs);
    },
  };
};

type Step =
  | { readonly do: 'free'; readonly region: string | undefined }
  | { readonly do: 'session' | 'ban' | 'fail'; readonly which: number }
  | { readonly do: 'pass'; readonly ms: number };

const REGION = fc.constantFrom(undefined, 'de', 'us');

const STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('free' as const), region: REGION }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('session' as const), which: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('ban' as const, 'fail' as const), which: fc.nat(7) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(1_500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(30_000, 300_000) }) },
);

const STEPS = fc.array(STEP, { minLength: 10, maxLength: 150 });

const POOL = fc
  .array(fc.record({ weight: fc.integer({ min: 1, max: 3 }), region: REGION }), {
    minLength: 1,
    maxLength: 6,
  })
  .map((list) => list.map((over, i) => upstream(`u${i}`, over)));

/** Store and model side by side. */
const makeTrial = (all: readonly Upstream[], seed: number) => {
  const { clock, store } = makeHouse(all, seed);
  const model = makeModel(all);
  const sessions = new Map<string, string>();
  const one = (over: Partial<Ask> = {}): Ask => ask({ siteDelayMs: 0, slaveDelayMs: SLAVE_DELAY, ...over });
  const pick = (which: number): Upstream => all[which % all.length] as Upstream;
  let rule = 0;

  const note = (id: string | undefined): void => {
    if (id !== undefined) model.used(id, clock.now());
  };
  const free = async (region: string | undefined): Promise<void> => {
    const expected = model.next(region, clock.now());
    const got = await visit(store, one({ region }));
    expect(expected.length === 0 ? [undefined] : expected).toContain(got);
    note(got);
  };
  const session = async ({ id }: Upstream): Promise<void> => {
    const known = sessions.get(id);
    if (known === undefined) return;
    const got = await visit(store, inSession(known, one()));
    expect(got).toBe(model.isFree(id, clock.now()) ? id : undefined);
    note(got);
  };
  const ban = async (hit: Upstream): Promise<void> => {
    await store.ban({ ask: one(), session: undefined, making: false, upstream: hit, rule: `r${++rule}` });
    model.ban(hit.id, clock.now());
  };
  const fail = async ({ id }: Upstream): Promise<void> => {
    await store.fail(id);
    model.fail(id, clock.now());
  };

  return {
    begin: async (): Promise<void> => {
      for (const _ of all) {
        const opened = await store.openSession('demo', 100, undefined);
        if ('id' in opened) sessions.set(opened.upstream.id, opened.id);
      }
    },
    act: async (step: Step): Promise<void> => {
      if (step.do === 'pass') clock.jump(step.ms);
      else if (step.do === 'free') await free(step.region);
      else await { session, ban, fail }[step.do](pick(step.which));
    },
  };
};

const openSessions = async (store: Store, count: number): Promise<string[]> => {
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    const opened = await store.openSession('demo', count, undefined);
    if ('id' in opened) ids.push(opened.id);
  }
  return ids;
};

/** Counts dispatches and holds them to the slave delay. */
const makeCount = (now: () => number) => {
  const last = new Map<string, number>();
  const count = new Map<string, number>();
  return {
    count,
    note: (id: string | undefined): void => {
      if (id === undefined) return;
      expect(now() - (last.get(id) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(SLAVE_DELAY);
      last.set(id, now());
      count.set(id, (count.get(id) ?? 0) + 1);
    },
  };
};

describe('the order of upstreams', () => {
  it('P-03 and H-22: in a small pool it is the one the contract words, whatever happens', async () => {
    await fc.assert(
      fc.asyncProperty(POOL, STEPS, fc.nat(), async (all, steps, seed) => {
        const trial = makeTrial(all, seed);
        await trial.begin();
        for (const step of steps) await trial.act(step);
      }),
      { numRuns: 200 },
    );
  }, 60_000);

  const free = ask({ siteDelayMs: 0, slaveDelayMs: 0 });
  const SIZE = 300;

  it('P-03 a large pool serves round and round, each once a round', async () => {
    const { store } = makeHouse(upstreams(SIZE));
    const first: (string | undefined)[] = [];
    for (let i = 0; i < SIZE; i++) first.push(await visit(store, free));
    expect(new Set(first).size).toBe(SIZE);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < SIZE; i++) expect(await visit(store, free)).toBe(first[i]);
    }
  });

  it('P-03 a large pool with sessions, bans, failures and slave delays starves nobody and keeps every gap', async () => {
    const { clock, store } = makeHouse(upstreams(SIZE));
    const random = makeRandom(5);
    const paced = ask({ siteDelayMs: 0, slaveDelayMs: SLAVE_DELAY });
    const { count, note } = makeCount(clock.now);
    const banned = new Set<string>();
    const sessions = await openSessions(store, 20);
    const trouble = async (i: number, id: string): Promise<void> => {
      if (i % 50 === 0) await store.fail(id);
      if (i % 400 !== 0) return;
      await store.ban({ ask: paced, session: undefined, making: false, upstream: upstream(id), rule: `r${i}` });
      banned.add(id);
    };
    for (let i = 0; i < 12_000; i++) {
      const id = await visit(store, paced);
      note(id);
      if (i % 7 === 0) note(await visit(store, inSession(sessions[i % 20] ?? '', paced)));
      if (id !== undefined) await trouble(i, id);
      clock.jump(Math.floor(random() * 20));
    }
    expect(count.size).toBe(SIZE);
    const fair = [...count.values()].reduce((sum, times) => sum + times, 0) / SIZE;
    const starved = [...count].filter(([id, times]) => !banned.has(id) && times <= fair / 2);
    expect(starved).toEqual([]);
    clock.jump(600_000);
    const seen = new Set<string | undefined>();
    for (let i = 0; i < SIZE * 2; i++) seen.add(await visit(store, paced));
    seen.delete(undefined);
    expect(seen.size).toBe(SIZE);
  });

  it('P-03 a large pool of which most is banned goes on with the rest', async () => {
    const { store } = makeHouse(upstreams(SIZE));
    const all = upstreams(SIZE);
    for (let i = 0; i < SIZE - 10; i++) {
      const hit = all[i] as Upstream;
      await store.ban({ ask: free, session: undefined, making: false, upstream: hit, rule: `r${i}` });
    }
    const seen: (string | undefined)[] = [];
    for (let i = 0; i < 40; i++) seen.push(await visit(store, free));
    expect(new Set(seen).size).toBe(10);
    expect(seen.slice(10)).toEqual(seen.slice(0, 30));
  });

  it('a website does not remember more than it must of a large pool with regions, and keeps the order', async () => {
    const all = Array.from({ length: 2_000 }, (_, i) => upstream(`u${i}`, { region: i % 2 ? 'de' : 'us' }));
    const { clock, store } = makeHouse(all);
    const seen: (string | undefined)[] = [];
    for (let i = 0; i < 2_000; i++) {
      seen.push(await visit(store, free));
      clock.jump(200);
    }
    expect(new Set(seen).size).toBe(2_000);
    const german = new Set<string | undefined>();
    for (let i = 0; i < 1_000; i++) {
      german.add(await visit(store, { ...free, region: 'de' }));
      clock.jump(200);
    }
    expect(german.size).toBe(1_000);
  });

  it('websites seen once do not all meet the same upstream', async () => {
    const { store } = makeHouse(upstreams(50));
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 200; i++) seen.add(await visit(store, { ...free, website: `w${i}.localhost` }));
    expect(seen.size).toBeGreaterThan(35);
  });

  it('S-18 and robustness H13: an upstream that left and came back keeps its ban and its slave delay', async () => {
    const { clock, store, replace } = makeHouse([upstream('a'), upstream('b')]);
    const paced = ask({ siteDelayMs: 0, slaveDelayMs: 60_000 });
    const first = await visit(store, paced);
    await store.ban({ ask: paced, session: undefined, making: false, upstream: upstream('b'), rule: 'r' });
    replace([upstream('c')]);
    expect(await visit(store, paced)).toBe('c');
    replace([upstream('a'), upstream('b')]);
    clock.jump(30_000);
    expect(await visit(store, paced)).toBe(first === 'a' ? undefined : 'a');
    clock.jump(30_000);
    expect(await visit(store, paced)).toBe(first === 'a' ? 'a' : undefined);
  });
});
