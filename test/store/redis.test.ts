/** The Redis store under the suite that every store has to pass. */
import { describe } from 'vitest';
import { hasRedis, startRedis } from '../support/redis.ts';
import { oneRedis } from './one-redis.ts';

describe.runIf(hasRedis)('one Redis', () => {
  oneRedis('Redis', startRedis);
});
