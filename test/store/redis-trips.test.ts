/** How often a request goes to Redis: one awaited round trip when it need not wait, and nothing else of its own. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openLine } from '../support/client.ts';
import { makeOrigin, type Origin, reply } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { hasRedis, type RedisServer, startRedis } from '../support/redis.ts';

const COUNT = 200;

/** Renewing the lease, a release that had no company: not a request's own. */
const BESIDES = 10;

describe.runIf(hasRedis)('a request and Redis', () => {
  let server: RedisServer;
  let admin: Redis;
  let proxy: RunningProxy;
  let origin: Origin;
  beforeAll(async () => {
    server = await startRedis();
    admin = new Redis(server.port, '127.0.0.1');
  });
  beforeEach(async () => {
    origin = await makeOrigin();
    proxy = await startProxy(`store: ${server.url}`);
  });
  afterEach(async () => {
    await proxy.close();
    await origin.close();
    expect(proxy.bugs).toEqual([]);
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  const scriptsRun = async (): Promise<number> => {
    const stats = await admin.info('commandstats');
    return [...stats.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)].reduce((sum, match) => sum + Number(match[1]), 0);
  };

  const visit = async (times: number, headers: string): Promise<void> => {
    const line = await openLine(proxy.port);
    const auth = `Proxy-Authorization: Basic ${Buffer.from(`${KEY}:`).toString('base64')}\r\n`;
    try {
      for (let i = 0; i < times; i++) {
        const url = `http://shop.localhost:${origin.port}/`;
        const answer = await line.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${auth}${headers}\r\n`);
        expect(answer.status).toBe(200);
      }
    } finally {
      line.socket.destroy();
    }
  };

  it('goes there once: seat, turn, cookies and the release of the request before it together', async () => {
    origin.fallback = [reply('fine')];
    await visit(5, '');
    const before = await scriptsRun();
    await visit(COUNT, '');
    expect((await scriptsRun()) - before).toBeLessThanOrEqual(COUNT + BESIDES);
  });

  it('goes there once more, unawaited, where a jar is used', async () => {
    origin.fallback = [reply('fine', 'Set-Cookie: a=1\r\n')];
    await visit(5, '');
    origin.fallback = [reply('fine')];
    const before = await scriptsRun();
    await visit(COUNT, '');
    expect((await scriptsRun()) - before).toBeLessThanOrEqual(2 * COUNT + BESIDES);
    expect(origin.requests.at(-1)?.head).toMatch(/^Cookie: a=1$/im);
  });
});
