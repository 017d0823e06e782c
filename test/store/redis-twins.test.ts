/** Memory and Redis give equal answers to any sequence of operations. */
import fc from 'fast-check';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { type RedisPlace, startNode } from '../support/redis.ts';
import { poolOf, STORE_SETTINGS, upstream } from '../support/store-house.ts';
import { makeTwins, type Step } from './twins.ts';

const UPSTREAMS: readonly Upstream[] = [
  upstream('p0'),
  upstream('p1', { region: 'de' }),
  upstream('p2', { region: 'us', weight: 3 }),
  upstream('p3', { region: 'de' }),
  upstream('p4', { rotating: true }),
  upstream('p5'),
  upstream('p6', { region: 'us' }),
  upstream('p7'),
];

/** Rising, and so small that every website's walk begins at the first place. */
const makeTinyNumbers = (): (() => number) => {
  let n = 0;
  return () => ++n * 1e-9;
};

const stepOf = fc.record({ kind: fc.nat(12), a: fc.nat(1_000), b: fc.nat(1_000) });

describe('memory and Redis', () => {
  let server: RedisPlace;
  let admin: Redis;
  beforeAll(async () => {
    server = await startNode();
    admin = new Redis(server.port, '127.0.0.1');
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  const compare = async (steps: readonly Step[]): Promise<void> => {
    await admin.flushall();
    const location = readRedisUrl(server.url);
    if (!location) throw new Error('no location');
    let now = 1_000_000;
    const clock = { now: () => now, after: () => ({ cancel: () => {} }) };
    const current = poolOf(UPSTREAMS);
    const pool = () => current;
    const settings = () => ({ ...STORE_SETTINGS, hardLimitMs: 4_000 });
    const memory = openMemoryStore({ clock, random: makeTinyNumbers(), pool, settings });
    const redis = openRedisStore({
      location,
      random: makeTinyNumbers(),
      pool,
      settings,
      time: clock.now,
      answerMs: 5_000,
    });
    try {
      const twins = makeTwins({
        stores: [memory, redis],
        pool: UPSTREAMS,
        advance: (ms) => {
          now += ms;
        },
      });
      for (const step of steps) await twins.run(step);
    } finally {
      await Promise.all([memory.close(), redis.close()]);
    }
  };

  it('answer alike to any sequence of operations', async () => {
    await fc.assert(fc.asyncProperty(fc.array(stepOf, { minLength: 20, maxLength: 300, size: 'max' }), compare), {
      numRuns: 40,
      interruptAfterTimeLimit: 60_000,
    });
  }, 120_000);
});
