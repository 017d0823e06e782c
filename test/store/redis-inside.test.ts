/** The same suite on the Redis made of JavaScript: always, so that it can be relied on where there is no other. */
import { describe } from 'vitest';
import { hasRedis } from '../support/redis.ts';
import { startRedisInside } from '../support/redis-inside.ts';
import { oneRedis } from './one-redis.ts';

if (hasRedis) {
  process.stderr.write(
    'a Redis made of JavaScript: "request k on ten idle slaves" not run, its 5,000 scripts take 15 s\n',
  );
}

describe('one Redis made of JavaScript', () => {
  oneRedis('JavaScript', startRedisInside, hasRedis ? 'brief' : 'whole');
});
