/** What every store must do, whatever it is made of: sections 7, 8, 9 and 14 of the contract, step by step. */
import { describe, expect, it } from 'vitest';
import type { JarKey, StoredCookie } from '../../src/model/cookies.ts';
import type { Upstream } from '../../src/model/job.ts';
import type { Ask, Pool } from '../../src/pipeline/ports.ts';
import type {
  Admission,
  Granted,
  Refused,
  Store,
  StoreSettings,
  Waiting,
  Wish,
} from '../../src/pipeline/store-port.ts';
import { identityOf } from '../../src/policy/cookies.ts';
import { ask, CREATE, inSession, poolOf, STORE_SETTINGS, upstream, upstreams } from '../support/store-house.ts';

export interface OpenedStore {
  readonly store: Store;
  /** Moves the store's time. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export type OpenForTest = (pool: () => Pool, settings: StoreSettings) => Promise<OpenedStore>;

interface Lab extends OpenedStore {
  replacePool(all: readonly Upstream[]): void;
  go(over?: Ask): Promise<Granted>;
  wait(over?: Ask): Promise<Waiting>;
  no(over?: Ask): Promise<Refused>;
  leave(one: Ask, session?: string, making?: boolean, upstreamId?: string): Promise<void>;
  ban(one: Ask, on: Upstream, more?: { session?: string; making?: boolean; rule?: string }): Promise<number>;
}

const expectKind = <K extends Admission['kind']>(admission: Admission, kind: K): Extract<Admission, { kind: K }> => {
  expect(admission).toMatchObject({ kind });
  return admission as Extract<Admission, { kind: K }>;
};

export const wishFor = (one: Ask, waiting: Waiting): Wish => ({
  ask: one,
  session: waiting.session,
  making: false,
  waitsFor: waiting.waitsFor,
  used: undefined,
  repeat: false,
});

const retryOf = (one: Ask, used: readonly string[], more: Partial<Wish> = {}): Wish => ({
  ask: one,
  session: undefined,
  making: false,
  waitsFor: undefined,
  used: new Set(used),
  repeat: false,
  ...more,
});

const makeLab = async (open: OpenForTest, all: readonly Upstream[], settings: Partial<StoreSettings>): Promise<Lab> => {
  let pool = poolOf(all);
  const opened = await open(() => pool, { ...STORE_SETTINGS, ...settings });
  const { store } = opened;
  const admit = async (one: Ask = ask()): Promise<Admission> => store.admit(one, false);
  return {
    ...opened,
    replacePool: (next) => {
      pool = poolOf(next);
    },
    go: async (one) => expectKind(await admit(one), 'go'),
    wait: async (one) => expectKind(await admit(one), 'wait'),
    no: async (one) => expectKind(await admit(one), 'refused'),
    leave: async (one, session, making = false, upstreamId = undefined) => {
      await store.leave({ account: one.account, website: one.website, session, making, upstream: upstreamId });
    },
    ban: async (one, on, { session, making = false, rule = 'status' } = {}) =>
      (await store.ban({ ask: one, session, making, upstream: on, rule })).retryAfterMs,
  };
};

type WithLab = (
  all: readonly Upstream[],
  run: (lab: Lab) => Promise<void>,
  settings?: Partial<StoreSettings>,
) => () => Promise<void>;

const free = { siteDelayMs: 0, slaveDelayMs: 0 } as const;

const pacing = (withLab: WithLab, extent: Extent): void => {
  it(
    'P-05 starts the first request to a website at once',
    withLab(upstreams(3), async ({ go }) => {
      expect((await go()).upstream.id).toMatch(/^u/);
    }),
  );

  it.runIf(extent === 'whole')(
    'P-11 calculates 0.2k seconds for request k on ten idle slaves, and refuses number 5000',
    withLab(upstreams(10), async ({ go, wait, no }) => {
      await go();
      for (let k = 1; k < 5_000; k++) {
        const waiting = await wait();
        if (waiting.delayMs !== k * 200) expect(waiting.delayMs, `request ${k}`).toBe(k * 200);
      }
      expect(await no()).toMatchObject({
        condition: 'serverbusy',
        retryAfterMs: 1_000_000,
        nextRequestInMs: 1_000_000,
      });
    }),
    120_000,
  );

  it(
    'P-11 calculates 1.0k seconds for request k on one slave, and refuses number 1000',
    withLab(upstreams(1), async ({ go, wait, no }) => {
      await go();
      for (let k = 1; k < 1_000; k++) {
        const waiting = await wait();
        if (waiting.delayMs !== k * 1_000) expect(waiting.delayMs, `request ${k}`).toBe(k * 1_000);
      }
      expect((await no()).retryAfterMs).toBe(1_000_000);
    }),
    60_000,
  );

  it(
    'P-11 calculates 1.0k seconds for request k of one session',
    withLab(upstreams(10), async ({ go, wait, store }) => {
      const opened = await store.openSession('demo', 10, undefined);
      const id = 'id' in opened ? opened.id : '';
      await go(inSession(id));
      for (let k = 1; k < 130; k++) expect((await wait(inSession(id))).delayMs).toBe(k * 1_000);
    }),
  );

  it(
    'P-01 books nothing ahead: a refused request and one that stops waiting change nothing but W (P-06)',
    withLab(upstreams(10), async ({ go, wait, store, leave }) => {
      await go();
      const first = await wait();
      const second = await wait();
      expect([first.delayMs, second.delayMs]).toEqual([200, 400]);
      await store.unwait(wishFor(ask(), first));
      await leave(ask());
      expect((await wait()).delayMs).toBe(400);
    }),
  );

  it(
    'P-03 keeps siteDelay between two turns of an account, to the millisecond',
    withLab(upstreams(10), async ({ go, wait, store, advance }) => {
      await go();
      const waiting = await wait();
      expect(waiting.askInMs).toBe(200);
      await advance(199);
      expect(await store.turn('shop.localhost', [wishFor(ask(), waiting)])).toEqual({
        settled: undefined,
        askInMs: [1],
      });
      await advance(1);
      const answer = await store.turn('shop.localhost', [wishFor(ask(), waiting)]);
      expect(answer.settled).toMatchObject({ index: 0, verdict: { kind: 'go' } });
    }),
  );

  it(
    'P-03 lets a younger request pass when the slave of the older one is not free',
    withLab(upstreams(2), async ({ go, wait, store, advance }) => {
      const opened = await store.openSession('demo', 10, undefined);
      if (!('id' in opened)) throw new Error('no session');
      await go(inSession(opened.id));
      const older = await wait(inSession(opened.id));
      const younger = await wait();
      await advance(200);
      const wishes = [wishFor(inSession(opened.id), older), wishFor(ask(), younger)];
      const answer = await store.turn('shop.localhost', wishes);
      expect(answer.settled?.index).toBe(1);
      expect(answer.askInMs).toEqual([800]);
      const verdict = answer.settled?.verdict;
      expect(verdict?.kind === 'go' && verdict.upstream.id).not.toBe(opened.upstream.id);
    }),
  );

  it(
    'P-03 goes through the upstreams least recently used first, over all accounts (P-08)',
    withLab(upstreams(5), async ({ go }) => {
      const seen: string[] = [];
      for (let i = 0; i < 10; i++) seen.push((await go(ask({ ...free, account: `a${i % 3}` }))).upstream.id);
      expect(new Set(seen.slice(0, 5)).size).toBe(5);
      expect(seen.slice(5)).toEqual(seen.slice(0, 5));
    }),
  );

  it(
    'P-03 counts a use by a session in the order too',
    withLab(upstreams(3), async ({ go, store }) => {
      const order: string[] = [];
      for (let i = 0; i < 3; i++) order.push((await go(ask(free))).upstream.id);
      const opened: { id: string; upstream: Upstream }[] = [];
      for (let i = 0; i < 3; i++) {
        const one = await store.openSession('demo', 10, undefined);
        if ('id' in one) opened.push(one);
      }
      const oldest = opened.find((one) => one.upstream.id === order[0]);
      await go(inSession(oldest?.id ?? '', free));
      const next: string[] = [];
      for (let i = 0; i < 3; i++) next.push((await go(ask(free))).upstream.id);
      expect(next).toEqual([order[1], order[2], order[0]]);
    }),
  );

  it(
    'P-03 gives an upstream of weight w that many places in the order',
    withLab([upstream('heavy', { weight: 3 }), upstream('light')], async ({ go }) => {
      const seen: string[] = [];
      for (let i = 0; i < 40; i++) seen.push((await go(ask(free))).upstream.id);
      expect(seen.filter((id) => id === 'heavy')).toHaveLength(30);
      expect(seen.slice(0, 4).filter((id) => id === 'light')).toHaveLength(1);
    }),
  );

  it(
    'P-08 shares R among accounts but not G',
    withLab(upstreams(1), async ({ go, wait }) => {
      await go(ask({ account: 'one' }));
      expect((await wait(ask({ account: 'two' }))).delayMs).toBe(1_000);
    }),
  );

  it(
    'P-08 keeps websites apart',
    withLab(upstreams(1), async ({ go }) => {
      await go();
      await go(ask({ website: 'other.localhost' }));
    }),
  );

  it(
    'P-01 divides the slave delay by the number of eligible slaves',
    withLab(upstreams(4), async ({ go, wait }) => {
      const quick = ask({ siteDelayMs: 10, slaveDelayMs: 1_000 });
      await go(quick);
      const delays: number[] = [];
      for (let k = 1; k < 9; k++) delays.push((await wait(quick)).delayMs);
      expect(delays).toEqual([10, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
    }),
  );

  it(
    'P-07 a retry waits without hard limit and counts in W',
    withLab(
      upstreams(3),
      async ({ go, store, wait }) => {
        const first = await go(ask({ siteDelayMs: 5_000 }));
        const again = await store.retry(retryOf(ask({ siteDelayMs: 5_000 }), [first.upstream.id]));
        expect(again).toMatchObject({ kind: 'wait', askInMs: 5_000 });
        expect((await wait(ask({ siteDelayMs: 1_000 }))).delayMs).toBe(6_000);
      },
      { hardLimitMs: 7_000 },
    ),
  );

  it(
    'A-08 delays the account by a Retry-After, at most by the soft limit',
    withLab(upstreams(3), async ({ store, wait }) => {
      await store.slow('demo', 'shop.localhost', 7_000);
      expect((await wait()).delayMs).toBe(7_000);
      await store.slow('demo', 'far.localhost', 9_999_999);
      expect((await wait(ask({ website: 'far.localhost' }))).delayMs).toBe(120_000);
    }),
  );
};

const choice = (withLab: WithLab): void => {
  it(
    'A-01 does not use an upstream twice for one request, and says so when all are used',
    withLab(upstreams(3), async ({ go, store }) => {
      const used: string[] = [(await go(ask(free))).upstream.id];
      for (let i = 0; i < 2; i++) {
        used.push(expectKind(await store.retry(retryOf(ask(free), used)), 'go').upstream.id);
      }
      expect(new Set(used).size).toBe(3);
      expectKind(await store.retry(retryOf(ask(free), used)), 'refused');
      expectKind(await store.retry(retryOf(ask(free), used, { repeat: true })), 'go');
    }),
  );

  it(
    'A-01 waits for an unused upstream rather than repeating a used one',
    withLab(upstreams(2), async ({ go, store }) => {
      const slow = { siteDelayMs: 0, slaveDelayMs: 1_000 };
      const first = await go(ask(slow));
      const other = await go(ask({ ...slow, account: 'other' }));
      expect(other.upstream.id).not.toBe(first.upstream.id);
      const again = await store.retry(retryOf(ask(slow), [first.upstream.id], { repeat: true }));
      expect(again).toMatchObject({ kind: 'wait', askInMs: 1_000 });
    }),
  );

  it(
    'H-22 chooses only upstreams labelled with the region, and refuses when there is none',
    withLab([upstream('a'), upstream('b', { region: 'de' }), upstream('c', { region: 'us' })], async ({ go, no }) => {
      for (let i = 0; i < 3; i++) expect((await go(ask({ ...free, region: 'de' }))).upstream.id).toBe('b');
      const seen = new Set<string>();
      for (let i = 0; i < 3; i++) seen.add((await go(ask(free))).upstream.id);
      expect(seen.size).toBe(3);
      expect(await no(ask({ region: 'fr' }))).toMatchObject({ condition: 'noslaves', retryAfterMs: 600_000 });
    }),
  );

  it(
    'H-22 ignores the region in an existing session',
    withLab([upstream('a', { region: 'us' })], async ({ go, store }) => {
      const opened = await store.openSession('demo', 10, undefined);
      expect((await go(inSession('id' in opened ? opened.id : '', { region: 'de' }))).upstream.id).toBe('a');
    }),
  );

  it(
    'A-04 leaves a failed upstream out until its down time ends, but never the last one up',
    withLab(upstreams(2), async ({ go, store, advance }) => {
      expect(await store.fail('u0')).toBe(true);
      expect(await store.fail('u1')).toBe(false);
      expect(await store.fail('nobody')).toBe(false);
      for (let i = 0; i < 3; i++) expect((await go(ask(free))).upstream.id).toBe('u1');
      await advance(30_000);
      const seen = new Set([(await go(ask(free))).upstream.id, (await go(ask(free))).upstream.id]);
      expect(seen.size).toBe(2);
    }),
  );

  it(
    'A-13 a rotating upstream has no slave delay, may repeat and is never banned outside sessions',
    withLab([upstream('gate', { rotating: true })], async ({ go, store, ban }) => {
      const one = ask({ siteDelayMs: 0 });
      const first = await go(one);
      await go(one);
      await ban(one, first.upstream);
      expectKind(await store.retry(retryOf(one, ['gate'])), 'go');
    }),
  );

  it(
    'A-13 in a session a rotating upstream is paced and banned for that session alone',
    withLab([upstream('gate', { rotating: true })], async ({ go, no, wait, store, ban, advance }) => {
      const ids: string[] = [];
      for (let i = 0; i < 2; i++) {
        const opened = await store.openSession('demo', 10, undefined);
        if ('id' in opened) ids.push(opened.id);
      }
      const [one = '', two = ''] = ids;
      const at = { siteDelayMs: 0 };
      const turn = await go(inSession(one, at));
      await go(inSession(two, at));
      expect((await wait(inSession(one, at))).delayMs).toBe(1_000);
      await advance(10_000);
      expect(await ban(inSession(one, at), turn.upstream, { session: one })).toBe(600_000);
      expect(await no(inSession(one, at))).toMatchObject({ condition: 'slavebanned', session: one });
      await go(inSession(two, at));
      await go(ask(at));
    }),
  );
};

const bans = (withLab: WithLab): void => {
  it(
    'A-09 a ban keeps every account away from the upstream for that website only, until it ends',
    withLab(upstreams(2), async ({ go, ban, advance }) => {
      const { upstream: hit } = await go(ask(free));
      await ban(ask(free), hit);
      for (let i = 0; i < 3; i++) expect((await go(ask({ ...free, account: `a${i}` }))).upstream.id).not.toBe(hit.id);
      const elsewhere = new Set<string>();
      for (let i = 0; i < 2; i++) elsewhere.add((await go(ask({ ...free, website: 'b.localhost' }))).upstream.id);
      expect(elsewhere.size).toBe(2);
      await advance(600_000);
      const later = new Set([(await go(ask(free))).upstream.id, (await go(ask(free))).upstream.id]);
      expect(later.size).toBe(2);
    }),
  );

  it(
    'A-09 never bans the last upstream still eligible for the website',
    withLab(upstreams(3), async ({ go, ban }) => {
      const gone = new Set<string>();
      for (let i = 0; i < 3; i++) {
        const { upstream: hit } = await go(ask(free));
        gone.add(hit.id);
        await ban(ask(free), hit);
      }
      expect(gone.size).toBe(3);
      await go(ask(free));
    }),
  );

  it(
    'A-09 the last eligible one is banned for the session that was hit, and for nobody else',
    withLab(upstreams(1), async ({ go, no, ban, store, advance }) => {
      const opened = await store.openSession('demo', 10, undefined);
      const id = 'id' in opened ? opened.id : '';
      const turn = await go(inSession(id, free));
      expect(await ban(inSession(id, free), turn.upstream, { session: id })).toBe(600_000);
      await go(ask(free));
      await advance(100_000);
      expect(await no(inSession(id, free))).toMatchObject({
        condition: 'slavebanned',
        session: id,
        retryAfterMs: 500_000,
      });
      await go(inSession(id, { ...free, website: 'other.localhost' }));
      await advance(500_000);
      await go(inSession(id, free));
    }),
  );

  it(
    'S-14 answers a session with slavebanned while its upstream is banned, with the time left',
    withLab(upstreams(2), async ({ go, no, ban, store, advance }) => {
      const opened = await store.openSession('demo', 10, undefined);
      if (!('id' in opened)) throw new Error('no session');
      const turn = await go(inSession(opened.id, free));
      expect(await ban(inSession(opened.id, free), turn.upstream, { session: opened.id })).toBe(600_000);
      await advance(1_000);
      const refused = await no(inSession(opened.id, free));
      expect(refused).toMatchObject({ condition: 'slavebanned', session: opened.id, retryAfterMs: 599_000 });
      expect((await store.listSessions('demo')).map((one) => one.id)).toEqual([opened.id]);
      await advance(599_000);
      expect((await go(inSession(opened.id, free))).upstream.id).toBe(opened.upstream.id);
    }),
  );

  it(
    'S-16 No-Bancheck goes through banned upstreams and bans nobody',
    withLab(upstreams(2), async ({ go, no, ban, store }) => {
      const opened = await store.openSession('demo', 10, undefined);
      if (!('id' in opened)) throw new Error('no session');
      const blind = { ...free, noBancheck: true };
      await ban(ask(blind), opened.upstream);
      await go(inSession(opened.id, free));
      await ban(ask(free), opened.upstream);
      await no(inSession(opened.id, free));
      await go(inSession(opened.id, blind));
      const seen = new Set<string>();
      for (let i = 0; i < 4; i++) seen.add((await go(ask(blind))).upstream.id);
      expect(seen.size).toBe(2);
    }),
  );

  it(
    'E-09 noslaves tells when the first ban or down time ends',
    withLab([upstream('a', { region: 'de' }), upstream('b')], async ({ go, no, ban, store, advance }) => {
      const german = ask({ ...free, region: 'de' });
      await ban(german, (await go(german)).upstream);
      await advance(590_000);
      expect(await no(german)).toMatchObject({ condition: 'noslaves', retryAfterMs: 10_000 });
      await advance(10_000);
      await store.fail('a');
      await advance(5_500);
      expect(await no(german)).toMatchObject({ condition: 'noslaves', retryAfterMs: 24_500 });
      expect(await store.outlook(german, undefined)).toBe(24_500);
    }),
  );

  it(
    'A-09b stops a rule that has banned more than half of at least five upstreams',
    withLab(upstreams(10), async ({ go, store, advance }) => {
      const began: boolean[] = [];
      for (let i = 0; i < 10; i++) {
        const { upstream: hit } = await go(ask(free));
        const answer = await store.ban({
          ask: ask(free),
          session: undefined,
          making: false,
          upstream: hit,
          rule: 'bad',
        });
        began.push(answer.stormBegan);
      }
      expect(began).toEqual([false, false, false, false, true, false, false, false, false, false]);
      const seen = new Set<string>();
      for (let i = 0; i < 10; i++) seen.add((await go(ask(free))).upstream.id);
      expect(seen.size).toBe(5);
      await advance(60_000);
      const { upstream: hit } = await go(ask(free));
      await store.ban({ ask: ask(free), session: undefined, making: false, upstream: hit, rule: 'bad' });
      for (let i = 0; i < 10; i++) expect((await go(ask(free))).upstream.id).not.toBe(hit.id);
    }),
  );

  it(
    'A-09b a storm lasts until its rule was not hit for 60 seconds',
    withLab(upstreams(10), async ({ go, ban, advance }) => {
      for (let i = 0; i < 5; i++) await ban(ask(free), (await go(ask(free))).upstream);
      for (let i = 0; i < 3; i++) {
        await advance(40_000);
        await ban(ask(free), (await go(ask(free))).upstream);
      }
      const seen = new Set<string>();
      for (let i = 0; i < 10; i++) seen.add((await go(ask(free))).upstream.id);
      expect(seen.size).toBe(5);
    }),
  );

  it(
    'A-09b leaves a rule alone that bans few of many',
    withLab(upstreams(10), async ({ go, store }) => {
      for (let i = 0; i < 10; i++) await go(ask(free));
      for (let i = 0; i < 5; i++) {
        const { upstream: hit } = await go(ask(free));
        const answer = await store.ban({
          ask: ask(free),
          session: undefined,
          making: false,
          upstream: hit,
          rule: 'ok',
        });
        expect(answer.stormBegan).toBe(false);
      }
    }),
  );
};

const sessions = (withLab: WithLab): void => {
  const open = async (
    lab: Lab,
    account = 'demo',
    max = 10,
    region?: string,
  ): Promise<{ id: string; upstream: Upstream }> => {
    const opened = await lab.store.openSession(account, max, region);
    if (!('id' in opened)) throw new Error(opened.condition);
    return opened;
  };

  it(
    'S-02 makes ids of 7 to 15 digits',
    withLab(upstreams(1), async (lab) => {
      for (let i = 0; i < 20; i++) expect((await open(lab, 'demo', 100)).id).toMatch(/^[1-9][0-9]{6,14}$/);
    }),
  );

  it(
    'S-01 and H-07 create makes the session together with the turn',
    withLab(upstreams(2), async ({ go, store, leave }) => {
      const one = ask({ ...free, session: CREATE });
      const granted = await go(one);
      expect(granted.making).toBe(true);
      expect(await store.listSessions('demo')).toEqual([{ id: granted.session, upstream: granted.upstream }]);
      await leave(one, granted.session, true, granted.upstream.id);
      expect((await go(inSession(granted.session ?? '', free))).upstream.id).toBe(granted.upstream.id);
    }),
  );

  it(
    'S-12 keeps the upstream of the attempt whose result was returned',
    withLab(upstreams(3), async ({ go, store, leave }) => {
      const one = ask({ ...free, session: CREATE });
      const granted = await go(one);
      const { session } = granted;
      const wish = retryOf(one, [granted.upstream.id], { session, making: true });
      const second = expectKind(await store.retry(wish), 'go');
      expect(second).toMatchObject({ session, making: true });
      expect(second.upstream.id).not.toBe(granted.upstream.id);
      await leave(one, session, true, second.upstream.id);
      expect(await store.listSessions('demo')).toEqual([{ id: session, upstream: second.upstream }]);
    }),
  );

  it(
    'S-12 POST takes the upstream with the fewest live sessions among those up, region honoured',
    withLab([upstream('a'), upstream('b'), upstream('c', { region: 'de' })], async (lab) => {
      expect((await open(lab, 'x', 10, 'de')).upstream.id).toBe('c');
      const next = [(await open(lab)).upstream.id, (await open(lab)).upstream.id];
      expect(next.sort()).toEqual(['a', 'b']);
      await lab.store.fail('a');
      expect((await open(lab)).upstream.id).not.toBe('a');
      expect(await lab.store.openSession('demo', 10, 'fr')).toMatchObject({ condition: 'noslaves' });
    }),
  );

  it(
    'S-09 refuses an unknown, malformed or foreign id and names it',
    withLab(upstreams(1), async (lab) => {
      const { id } = await open(lab, 'other');
      for (const bad of [id, '1234567', 'create ', '01234567', '']) {
        expect(await lab.no(inSession(bad))).toMatchObject({ condition: 'bad_session_id', session: bad });
      }
      expect(await lab.store.closeSession('demo', id)).toBe(false);
      expect(await lab.store.listSessions('demo')).toEqual([]);
    }),
  );

  it(
    'S-06 a closed session is unusable at once',
    withLab(upstreams(1), async (lab) => {
      const { id } = await open(lab);
      expect(await lab.store.closeSession('demo', id)).toBe(true);
      expect(await lab.store.closeSession('demo', id)).toBe(false);
      expect((await lab.no(inSession(id))).condition).toBe('bad_session_id');
    }),
  );

  it(
    'S-10 and robustness H03 simultaneous creates beyond the limit give exactly the limit',
    withLab(upstreams(3), async ({ store }) => {
      const one = ask({ maxSessions: 4, session: CREATE });
      const admissions = await Promise.all(Array.from({ length: 9 }, () => store.admit(one, false)));
      const refused = admissions.filter((each) => each.kind === 'refused');
      expect(refused).toHaveLength(5);
      for (const each of refused) expect(each).toMatchObject({ condition: 'user_session_limit', session: undefined });
      expect(await store.openSession('demo', 4, undefined)).toMatchObject({ condition: 'user_session_limit' });
    }),
  );

  it(
    'S-10 a place reserved by a create that never got its turn is free again',
    withLab(upstreams(1), async ({ go, wait, leave, store }) => {
      await go();
      const one = ask({ maxSessions: 1, session: CREATE });
      const waiting = await wait(one);
      expect(await store.listSessions('demo')).toEqual([]);
      await store.unwait(wishFor(one, waiting));
      await leave(one, waiting.session);
      await wait(one);
    }),
  );

  it(
    'S-11 ends a session after its idle life, which every use prolongs',
    withLab(upstreams(1), async (lab) => {
      const { id } = await open(lab, 'demo', 1);
      await lab.advance(1_799_000);
      await lab.go(inSession(id));
      await lab.leave(inSession(id), id);
      await lab.advance(1_799_999);
      expect(await lab.store.listSessions('demo')).toHaveLength(1);
      await lab.advance(1);
      expect(await lab.store.listSessions('demo')).toEqual([]);
      expect((await lab.no(inSession(id))).condition).toBe('bad_session_id');
      await open(lab, 'demo', 1);
    }),
  );

  it(
    'S-11 a session does not end while a request runs in it',
    withLab(upstreams(1), async (lab) => {
      const { id } = await open(lab);
      await lab.go(inSession(id));
      await lab.advance(5_000_000);
      expect(await lab.store.listSessions('demo')).toHaveLength(1);
      await lab.leave(inSession(id), id);
      await lab.advance(1_799_999);
      expect(await lab.store.listSessions('demo')).toHaveLength(1);
      await lab.advance(1);
      expect(await lab.store.listSessions('demo')).toEqual([]);
    }),
  );

  it(
    'S-13 noslaves before the first attempt creates nothing',
    withLab(upstreams(1), async ({ no, store }) => {
      expect((await no(ask({ region: 'fr', session: CREATE }))).condition).toBe('noslaves');
      expect(await store.openSession('demo', 1, undefined)).toHaveProperty('id');
    }),
  );

  it(
    'S-18 a session ends when its upstream leaves the configuration, and only then',
    withLab(upstreams(2), async (lab) => {
      const one = await open(lab);
      const two = await open(lab);
      lab.replacePool([one.upstream, upstream('new')]);
      expect((await lab.store.listSessions('demo')).map(({ id }) => id)).toEqual([one.id]);
      expect((await lab.no(inSession(two.id))).condition).toBe('bad_session_id');
      await lab.go(inSession(one.id));
    }),
  );

  it(
    'S-18 answers noslaves while its upstream is down and keeps the session',
    withLab(upstreams(2), async (lab) => {
      const one = await open(lab);
      await lab.store.fail(one.upstream.id);
      expect(await lab.no(inSession(one.id))).toMatchObject({
        condition: 'noslaves',
        session: one.id,
        retryAfterMs: 30_000,
      });
      await lab.advance(30_000);
      await lab.go(inSession(one.id));
    }),
  );

  it(
    'U-11 a name makes its session at the first use, keeps it, and makes a new one when it has ended',
    withLab(upstreams(3), async ({ go, leave, store }) => {
      const named = ask({ ...free, session: { by: 'name', name: 'anna' } });
      const first = await go(named);
      await leave(named, first.session, true, first.upstream.id);
      const second = await go(named);
      expect(second).toMatchObject({ session: first.session, making: false, upstream: { id: first.upstream.id } });
      const other = await go(ask({ ...free, account: 'other', session: { by: 'name', name: 'anna' } }));
      expect(other.session).not.toBe(first.session);
      await store.closeSession('demo', first.session ?? '');
      const third = await go(named);
      expect(third.making).toBe(true);
      expect(third.session).not.toBe(first.session);
    }),
  );

  it(
    'U-11 requests that wait for a named session in the making share the one session',
    withLab(upstreams(3), async ({ go, wait, store, advance }) => {
      await go();
      const named = ask({ session: { by: 'name', name: 'bob' } });
      const one = await wait(named);
      const two = await wait(named);
      expect(two.session).toBe(one.session);
      await advance(200);
      const first = (await store.turn('shop.localhost', [wishFor(named, one)])).settled?.verdict;
      await advance(1_000);
      const second = (await store.turn('shop.localhost', [wishFor(named, two)])).settled?.verdict;
      expect(first).toMatchObject({ kind: 'go', making: true, session: one.session });
      expect(second).toMatchObject({ kind: 'go', making: false, session: one.session });
      expect(second?.kind === 'go' && second.upstream).toEqual(first?.kind === 'go' && first.upstream);
    }),
  );

  it(
    'U-11 a named session that ends while a request waits for it is made anew with the turn',
    withLab(upstreams(2), async ({ go, wait, leave, store, advance }) => {
      const named = ask({ session: { by: 'name', name: 'eve' } });
      const first = await go(named);
      const waiting = await wait(named);
      await store.closeSession('demo', first.session ?? '');
      await advance(1_000);
      const verdict = (await store.turn('shop.localhost', [wishFor(named, waiting)])).settled?.verdict;
      expect(verdict).toMatchObject({ kind: 'go', making: true });
      const id = verdict?.kind === 'go' ? verdict.session : undefined;
      expect(id).not.toBe(first.session);
      await leave(named, id, true, undefined);
      await advance(1_800_000);
      expect(await store.listSessions('demo')).toEqual([]);
    }),
  );
};

const seats = (withLab: WithLab): void => {
  it(
    'L-01 refuses one request too many at once, held ones counted, and forgets those that left',
    withLab(upstreams(2), async ({ go, wait, no, leave }) => {
      const two = ask({ maxConnections: 2 });
      await go(two);
      await wait(two);
      expect(await no(two)).toMatchObject({ condition: 'too_many_conns', retryAfterMs: undefined });
      await leave(two);
      await wait(two);
      await go(ask({ account: 'other', maxConnections: 1 }));
    }),
  );

  it(
    'H-07 reports the session before the seat and the seat before pacing',
    withLab(upstreams(1), async (lab) => {
      const { store, go, no } = lab;
      const opened = await store.openSession('demo', 10, undefined);
      const id = 'id' in opened ? opened.id : '';
      const full = { maxConnections: 1 };
      await go(ask(full));
      expect((await no(inSession('7777777', full))).condition).toBe('bad_session_id');
      expect((await no(ask({ ...full, maxSessions: 1, session: CREATE }))).condition).toBe('user_session_limit');
      expect(await no(inSession(id, full))).toMatchObject({ condition: 'too_many_conns', session: id });
      expect((await no(ask({ ...full, region: 'fr' }))).condition).toBe('too_many_conns');
    }),
  );

  it(
    'refuses with serverbusy and Retry-After 5 when overloaded, after session and seat were looked at',
    withLab(upstreams(1), async ({ store }) => {
      expect(await store.admit(ask(), true)).toMatchObject({ condition: 'serverbusy', retryAfterMs: 5_000 });
      expect(await store.admit(inSession('7777777'), true)).toMatchObject({ condition: 'bad_session_id' });
      expect(await store.admit(ask({ maxConnections: 0 }), true)).toMatchObject({ condition: 'too_many_conns' });
    }),
  );
};

const SITE = 'shop.localhost';

const cookie = (name: string, value = '1', over: Partial<StoredCookie> = {}): StoredCookie => ({
  name,
  value,
  domain: SITE,
  path: '/',
  hostOnly: true,
  secure: false,
  createdAt: 1_000_000,
  expiresAt: undefined,
  ...over,
});

const jarOf = (over: Partial<JarKey> = {}): JarKey => ({
  account: 'demo',
  session: undefined,
  upstream: 'u0',
  ...over,
});

const cookies = (withLab: WithLab): void => {
  const keep = async ({ store }: Lab, jar: JarKey, set: readonly StoredCookie[], away: readonly string[] = []) =>
    store.cookies.keep(jar, SITE, [
      ...away.map((name) => [identityOf(cookie(name)), undefined] as const),
      ...set.map((one) => [identityOf(one), one] as const),
    ]);
  const read = async ({ store }: Lab, jar: JarKey, site = SITE): Promise<StoredCookie[]> => [
    ...((await store.cookies.read(jar, site))?.values() ?? []),
  ];
  const names = async (lab: Lab, jar: JarKey, site = SITE): Promise<string[]> =>
    (await read(lab, jar, site)).map(({ name }) => name);
  const open = async ({ store }: Lab): Promise<string> => {
    const opened = await store.openSession('demo', 10, undefined);
    return 'id' in opened ? opened.id : '';
  };

  it(
    'K-01 gives back what was kept, every field and byte of it',
    withLab(upstreams(1), async (lab) => {
      const odd = cookie('', '"\\ä=;ÿ\u00a0', { path: '/a|b', createdAt: 1_000_000.25, expiresAt: 4e12 });
      const wide = cookie('b', '', { domain: 'shop.localhost', hostOnly: false, secure: true });
      expect(await read(lab, jarOf())).toEqual([]);
      await keep(lab, jarOf(), [odd, wide]);
      expect(await read(lab, jarOf())).toEqual([odd, wide]);
    }),
  );

  it(
    'K-05 and robustness H02 no jar is another: accounts, upstreams, sessions and sites stay apart',
    withLab(upstreams(2), async (lab) => {
      const [one, two] = [await open(lab), await open(lab)];
      const jars = [jarOf(), jarOf({ account: 'other' }), jarOf({ upstream: 'u1' }), jarOf({ session: one })];
      for (const [n, jar] of jars.entries()) await keep(lab, jar, [cookie(`c${n}`)]);
      for (const [n, jar] of jars.entries()) expect(await names(lab, jar)).toEqual([`c${n}`]);
      expect(await names(lab, jarOf({ session: one, upstream: 'u1' }))).toEqual(['c3']);
      expect(await names(lab, jarOf({ session: two }))).toEqual([]);
      expect(await names(lab, jarOf(), 'other.localhost')).toEqual([]);
    }),
  );

  it(
    'K-05 changes single cookies: what two responses of a session set at the same time is all there',
    withLab(upstreams(1), async (lab) => {
      const jar = jarOf({ session: await open(lab) });
      await keep(lab, jar, [cookie('old'), cookie('gone')]);
      const each = Array.from({ length: 20 }, (_, n) => keep(lab, jar, [cookie(`c${n}`), cookie('old', `${n}`)]));
      await Promise.all([...each, keep(lab, jar, [], ['gone'])]);
      const all = await read(lab, jar);
      expect(all.map(({ name }) => name).sort()).toEqual(['old', ...each.map((_, n) => `c${n}`)].sort());
      expect(all.find(({ name }) => name === 'old')?.value).toBe('19');
    }),
  );

  it(
    'K-05 the last of several changes of one cookie counts',
    withLab(upstreams(1), async (lab) => {
      await keep(lab, jarOf(), [cookie('a', '1'), cookie('b'), cookie('a', '2')]);
      expect((await read(lab, jarOf())).map(({ name, value }) => name + value)).toEqual(['b1', 'a2']);
      await keep(lab, jarOf(), [cookie('b', '3')], ['b', 'a', 'never']);
      expect((await read(lab, jarOf())).map(({ name, value }) => name + value)).toEqual(['b3']);
      await keep(lab, jarOf(), [], ['b']);
      expect(await lab.store.cookies.read(jarOf(), SITE)).toBeUndefined();
    }),
  );

  it(
    'K-02 forgets a jar 15 minutes after its last use, whatever site that was for',
    withLab(upstreams(1), async (lab) => {
      await keep(lab, jarOf(), [cookie('a')]);
      await lab.advance(899_999);
      expect(await names(lab, jarOf(), 'other.localhost')).toEqual([]);
      await lab.advance(899_999);
      expect(await names(lab, jarOf())).toEqual(['a']);
      await lab.advance(900_000);
      expect(await names(lab, jarOf())).toEqual([]);
      await keep(lab, jarOf(), [cookie('b')]);
      expect(await names(lab, jarOf())).toEqual(['b']);
    }),
  );

  it(
    'K-02 a jar that is over by the time a cookie comes begins anew',
    withLab(upstreams(1), async (lab) => {
      await keep(lab, jarOf(), [cookie('a')]);
      await lab.advance(900_000);
      await keep(lab, jarOf(), [cookie('b')]);
      expect(await names(lab, jarOf())).toEqual(['b']);
    }),
  );

  it(
    "S-11 and K-05 a session's jar lives exactly as long as the session",
    withLab(upstreams(1), async (lab) => {
      const id = await open(lab);
      const jar = jarOf({ session: id });
      await keep(lab, jar, [cookie('a')]);
      await lab.advance(1_799_999);
      await lab.go(inSession(id, free));
      await lab.advance(86_400_000);
      expect(await names(lab, jar)).toEqual(['a']);
      await lab.leave(inSession(id), id);
      await lab.advance(1_800_000);
      expect(await lab.store.listSessions('demo')).toEqual([]);
      await lab.no(inSession(id));
      expect(await names(lab, jar)).toEqual([]);
    }),
  );

  it(
    'S-06 and K-05 a deleted session takes its jar along, and a late response brings it not back',
    withLab(upstreams(1), async (lab) => {
      const jar = jarOf({ session: await open(lab) });
      await keep(lab, jar, [cookie('a')]);
      await lab.store.closeSession('demo', jar.session ?? '');
      expect(await names(lab, jar)).toEqual([]);
      await keep(lab, jar, [cookie('b')]);
      expect(await names(lab, jar)).toEqual([]);
    }),
  );

  it(
    'K-05 keeps 180 cookies of a site and drops the one set longest ago',
    withLab(upstreams(1), async (lab) => {
      for (let n = 0; n < 180; n++) await keep(lab, jarOf(), [cookie(`c${n}`)]);
      await keep(lab, jarOf(), [cookie('c0', '2')]);
      await keep(lab, jarOf(), [cookie('x'), cookie('y')]);
      const left = await names(lab, jarOf());
      expect(left).toHaveLength(180);
      expect(left.slice(0, 2)).toEqual(['c3', 'c4']);
      expect(left.slice(-3)).toEqual(['c0', 'x', 'y']);
    }),
  );

  it(
    'K-05 keeps 64 KiB of a site',
    withLab(upstreams(1), async (lab) => {
      for (let n = 0; n < 40; n++) await keep(lab, jarOf(), [cookie(`c${n}`, 'x'.repeat(4_000))]);
      const left = await names(lab, jarOf());
      expect(left.length).toBeGreaterThanOrEqual(15);
      expect(left.length).toBeLessThanOrEqual(16);
      expect(left.at(-1)).toBe('c39');
    }),
  );

  it(
    'K-05 keeps cookies of 1000 sites in a jar',
    withLab(upstreams(1), async (lab) => {
      const shop = (n: number): string => `s${n}.localhost`;
      for (let n = 0; n < 1_005; n++) await lab.store.cookies.keep(jarOf(), shop(n), [['a', cookie('a')]]);
      let kept = 0;
      for (let n = 0; n < 1_005; n++) if (await lab.store.cookies.read(jarOf(), shop(n))) kept++;
      expect(kept).toBe(1_000);
      expect(await lab.store.cookies.read(jarOf(), shop(1_004))).toBeDefined();
    }),
    60_000,
  );
};

/** `brief` leaves out the one test that takes thousands of steps on ten upstreams. */
export type Extent = 'whole' | 'brief';

/** Runs the suite on the store that `open` opens. */
export const storeConformance = (name: string, open: OpenForTest, extent: Extent = 'whole'): void => {
  const withLab: WithLab =
    (all, run, settings = {}) =>
    async () => {
      const lab = await makeLab(open, all, settings);
      try {
        await run(lab);
      } finally {
        await lab.close();
      }
    };
  describe(`${name}: pacing`, () => pacing(withLab, extent));
  describe(`${name}: choice of upstream`, () => choice(withLab));
  describe(`${name}: bans`, () => bans(withLab));
  describe(`${name}: sessions`, () => sessions(withLab));
  describe(`${name}: seats`, () => seats(withLab));
  describe(`${name}: cookies`, () => cookies(withLab));
};
