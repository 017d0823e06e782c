/** A cluster of three nodes under the suite that every store has to pass: no step may need two nodes. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/pipeline/store-port.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { hasRedis, type RedisCluster, startRedisCluster } from '../support/redis.ts';
import { ask, CREATE, inSession, makeRandom, poolOf, STORE_SETTINGS, upstreams } from '../support/store-house.ts';
import { type OpenForTest, storeConformance } from './conformance.ts';

describe.runIf(hasRedis)('a Redis cluster', () => {
  let cluster: RedisCluster;
  let admins: Redis[];
  beforeAll(async () => {
    cluster = await startRedisCluster();
    admins = cluster.nodes.map(({ port }) => new Redis(port, '127.0.0.1'));
  });
  afterAll(async () => {
    for (const admin of admins) admin.disconnect();
    await cluster.stop();
  });

  const open: OpenForTest = async (pool, settings) => {
    await Promise.all(admins.map((admin) => admin.flushall()));
    const location = readRedisUrl(cluster.url);
    if (!location) throw new Error('no location');
    let now = 1_000_000;
    const store: Store = openRedisStore({
      location,
      random: makeRandom(),
      pool,
      settings: () => settings,
      time: () => now,
      answerMs: 5_000,
    });
    return {
      store,
      advance: async (ms) => {
        now += ms;
      },
      close: () => store.close(),
    };
  };

  storeConformance('cluster', open);

  it('spreads websites over the nodes', async () => {
    const pool = poolOf(upstreams(3));
    const { store, close } = await open(() => pool, STORE_SETTINGS);
    try {
      const sites = Array.from({ length: 40 }, (_, i) => `s${i}.localhost`);
      for (const website of sites) await store.admit(ask({ website }), false);
      const counts = await Promise.all(admins.map(async (admin) => (await admin.keys('*}:site:*')).length));
      expect(counts.reduce((sum, count) => sum + count)).toBe(sites.length);
      expect(Math.min(...counts)).toBeGreaterThan(0);
    } finally {
      await close();
    }
  });

  it('leaves nothing behind after a refusal by the website: no seat, no session', async () => {
    const pool = poolOf(upstreams(2));
    const { store, close } = await open(() => pool, STORE_SETTINGS);
    try {
      const nowhere = ask({ region: 'fr', maxConnections: 1, maxSessions: 1, session: CREATE });
      for (let i = 0; i < 3; i++) expect(await store.admit(nowhere, false)).toMatchObject({ condition: 'noslaves' });
      const made = await store.admit(ask({ maxConnections: 1, maxSessions: 1, session: CREATE }), false);
      expect(made).toMatchObject({ kind: 'go', making: true });
      const { session = '', upstream } = made as { session?: string; upstream: { id: string } };
      const website = 'shop.localhost';
      await store.leave({ account: 'demo', website, session, making: true, upstream: upstream.id });
      expect(await store.admit(inSession(session, { website: 'b.localhost' }), false)).toMatchObject({ kind: 'go' });
    } finally {
      await close();
    }
  });
});
