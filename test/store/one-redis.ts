/** The suite that every store has to pass, for the store on one Redis node, whatever the node is made of. */
import { Redis } from 'ioredis';
import { afterAll, beforeAll } from 'vitest';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import type { RedisPlace } from '../support/redis.ts';
import { makeRandom } from '../support/store-house.ts';
import { type Extent, storeConformance } from './conformance.ts';

export const oneRedis = (name: string, start: () => Promise<RedisPlace>, extent?: Extent): void => {
  let server: RedisPlace;
  let admin: Redis;
  beforeAll(async () => {
    server = await start();
    admin = new Redis(server.port, '127.0.0.1');
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  storeConformance(
    name,
    async (pool, settings) => {
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
    },
    extent,
  );
};
