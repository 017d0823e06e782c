/** Many upstreams and websites on Redis: the order stays fair, what is remembered stays small, and everything idle expires. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { hasRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { ask, makeRandom, poolOf, STORE_SETTINGS, upstream, upstreams } from '../support/store-house.ts';

const FREE = { siteDelayMs: 0, slaveDelayMs: 0 };

describe.runIf(hasRedis)('a large pool on Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.port, '127.0.0.1');
  });
  beforeEach(() => admin.flushall());
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  const open = (
    all: readonly Upstream[],
  ): { store: Store; advance(ms: number): void; replace(next: Upstream[]): void } => {
    const location = readRedisUrl(server.url);
    if (!location) throw new Error('no location');
    let now = 1_000_000;
    let pool = poolOf(all);
    const store = openRedisStore({
      location,
      random: makeRandom(),
      pool: () => pool,
      settings: () => STORE_SETTINGS,
      time: () => now,
      answerMs: 10_000,
    });
    onTestFinished(() => store.close());
    return {
      store,
      advance: (ms) => {
        now += ms;
      },
      replace: (next) => {
        pool = poolOf(next);
      },
    };
  };

  const grant = async (store: Store, region?: string): Promise<string> => {
    const turn = await store.admit(ask({ ...FREE, region }), false);
    if (turn.kind !== 'go') throw new Error(turn.kind);
    return turn.upstream.id;
  };

  it('P-03 goes round: nobody serves again before all others have, although old uses are forgotten', async () => {
    const { store, advance } = open(upstreams(1_500));
    const served: string[] = [];
    for (let i = 0; i < 4_000; i++) {
      served.push(await grant(store));
      advance(150);
    }
    const last = new Map<string, number>();
    const pauses: number[] = [];
    for (const [i, id] of served.entries()) {
      const before = last.get(id);
      if (before !== undefined) pauses.push(i - before);
      last.set(id, i);
    }
    expect(last.size).toBe(1_500);
    expect(Math.min(...pauses)).toBe(1_500);
    expect(await admin.hlen('crawlgate{h}:site:shop.localhost')).toBeLessThan(700);
  }, 60_000);

  it('H-22 and P-03 go round within a region as well', async () => {
    const regions = ['de', 'us', 'fr', undefined];
    const all = Array.from({ length: 800 }, (_, i) =>
      upstream(`u${i}`, { region: regions[i % 4], weight: 1 + (i % 2) }),
    );
    const { store, advance } = open(all);
    const german: string[] = [];
    for (let i = 0; i < 900; i++) {
      german.push(await grant(store, 'de'));
      await grant(store);
      advance(300);
    }
    const counts = new Map<string, number>();
    for (const id of german) counts.set(id, (counts.get(id) ?? 0) + 1);
    expect(counts.size).toBe(200);
    expect(Math.max(...counts.values()) - Math.min(...counts.values())).toBeLessThanOrEqual(2);
  }, 60_000);

  it('a replaced pool keeps the order and the delays of those that stay', async () => {
    const { store, replace } = open(upstreams(40));
    const before: string[] = [];
    for (let i = 0; i < 30; i++) before.push(await grant(store));
    replace([...upstreams(40).reverse(), upstream('new')]);
    const after: string[] = [];
    for (let i = 0; i < 41; i++) after.push(await grant(store));
    expect(new Set(after).size).toBe(41);
    expect(after.slice(11)).toEqual(before);
    const slow = await store.admit(ask({ siteDelayMs: 0, slaveDelayMs: 1_000 }), false);
    expect(slow.kind).toBe('go');
    replace([upstream(slow.kind === 'go' ? slow.upstream.id : ''), upstream('other')]);
    expect(await grant(store)).toBe('other');
    expect(await store.admit(ask(FREE), false)).toMatchObject({ kind: 'go', upstream: { id: 'other' } });
  });

  it('a website forgets the orders of pools that are gone, however often the pool changes', async () => {
    const { store, advance, replace } = open(upstreams(30));
    for (let i = 0; i < 20; i++) {
      advance(61_000);
      replace([...upstreams(30), upstream(`new${i}`), upstream(`de${i}`, { region: 'de' })]);
      for (let k = 0; k < 5; k++) await grant(store, k === 0 ? 'de' : undefined);
    }
    expect((await admin.keys('*order:*')).length).toBeLessThanOrEqual(6);
    const fields = await admin.hkeys('crawlgate{h}:site:shop.localhost');
    expect(fields.filter((field) => !field.startsWith('u')).length).toBeLessThan(30);
    expect(fields.filter((field) => /^u(new|de)/.test(field)).length).toBeLessThan(12);
    replace(upstreams(30));
    const served = new Set<string>();
    for (let i = 0; i < 30; i++) served.add(await grant(store));
    expect(served.size).toBe(30);
  });

  it('every key expires by itself', async () => {
    const { store } = open([...upstreams(20), upstream('de', { region: 'de' }), upstream('gate', { rotating: true })]);
    for (let i = 0; i < 20; i++) {
      const one = ask({ website: `s${i}.localhost`, session: { by: 'name', name: 'anna' } });
      const turn = await store.admit(one, false);
      const { session } = turn as { session?: string };
      if (turn.kind === 'go') {
        await store.ban({ ask: one, session, making: false, upstream: turn.upstream, rule: 'r' });
        await store.fail(turn.upstream.id);
      }
      await store.slow('demo', one.website, 5_000);
      await store.cookies.keep({ account: 'demo', session, upstream: 'u0' }, one.website, []);
    }
    await grant(store, 'de');
    await store.openSession('demo', 10, 'de');
    await expect.poll(async () => (await admin.pttl('crawlgate{h}:nodes')) > 0).toBe(true);
    const forever: string[] = [];
    await expect
      .poll(
        async () => {
          forever.length = 0;
          for (const key of await admin.keys('*')) if ((await admin.pttl(key)) === -1) forever.push(key);
          return forever;
        },
        { timeout: 6_000 },
      )
      .toEqual([]);
  });
});
