/** The Redis store under the suite that every store has to pass. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe } from 'vitest';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { hasRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { makeRandom } from '../support/store-house.ts';
import { storeConformance } from './conformance.ts';

describe.runIf(hasRedis)('one Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.port, '127.0.0.1');
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  storeConformance('Redis', async (pool, settings) => {
    await admin.flushall();
    const location = readRedisUrl(server.url);
    if (!location) throw new Error('no location');
    let now = 1_000_000;
    const store = openRedisStore({
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
  });
});
