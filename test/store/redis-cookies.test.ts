/** Cookie jars on one Redis that several processes use. */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import type { JarKey, StoredCookie } from '../../src/model/cookies.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { identityOf } from '../../src/policy/cookies.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { call, get } from '../support/client.ts';
import { reply, type SeenRequest } from '../support/origin.ts';
import type { RunningProxy } from '../support/proxy.ts';
import { type RedisPlace, startNode } from '../support/redis.ts';
import { startWire } from '../support/redis-wire.ts';
import { makeRandom, poolOf, STORE_SETTINGS, upstreams } from '../support/store-house.ts';
import { makeWireKit } from '../wire/errors-kit.ts';

const SITE = 'shop.localhost';
const FREE: JarKey = { account: 'demo', session: undefined, upstream: 'u0' };

const cookie = (name: string, value = '1'): StoredCookie => ({
  name,
  value,
  domain: SITE,
  path: '/',
  hostOnly: true,
  secure: false,
  createdAt: 1,
  expiresAt: undefined,
});

describe('cookies on one Redis', () => {
  const kit = makeWireKit();
  const pool = poolOf(upstreams(2));
  let server: RedisPlace;
  let admin: Redis;
  const stores: Store[] = [];
  beforeAll(async () => {
    server = await startNode();
    admin = new Redis(server.port, '127.0.0.1');
  });
  beforeEach(() => admin.flushall());
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.close();
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  const open = (url = server.url): Store => {
    const location = readRedisUrl(url);
    if (!location) throw new Error('no location');
    const store = openRedisStore({ location, random: makeRandom(), pool: () => pool, settings: () => STORE_SETTINGS });
    stores.push(store);
    return store;
  };

  const newSession = async (store: Store): Promise<string> => {
    const opened = await store.openSession('demo', 10, undefined);
    if (!('id' in opened)) throw new Error('no session');
    return opened.id;
  };

  const keep = (store: Store, jar: JarKey, one: StoredCookie) =>
    store.cookies.keep(jar, SITE, [[identityOf(one), one]]);

  const names = async (store: Store, jar: JarKey): Promise<string[]> =>
    [...((await store.cookies.read(jar, SITE))?.values() ?? [])].map(({ name }) => name);

  /** A proxy that has just started may still be on its way to Redis. */
  const connected = async (proxy: RunningProxy): Promise<void> => {
    const giveUpAt = Date.now() + 5_000;
    while ((await call(proxy, 'GET', '/sessions')).status !== 200) {
      if (Date.now() > giveUpAt) throw new Error('Redis is out of reach');
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };

  it('K-05 what one process keeps the other sends at once, and neither undoes the other', async () => {
    const [one, two] = [open(), open()];
    const inSession = { ...FREE, session: await newSession(one) };
    for (const jar of [FREE, inSession]) {
      expect(await names(two, jar)).toEqual([]);
      await keep(one, jar, cookie('a'));
      expect(await names(two, jar)).toEqual(['a']);
      await Promise.all([one, two].flatMap((store, s) => [0, 1, 2].map((n) => keep(store, jar, cookie(`c${s}${n}`)))));
      expect((await names(one, jar)).sort()).toEqual(['a', 'c00', 'c01', 'c02', 'c10', 'c11', 'c12']);
    }
  });

  it('S-06 K-05 a session deleted by one process has no jar left for any', async () => {
    const [one, two] = [open(), open()];
    const jar = { ...FREE, session: await newSession(one) };
    await keep(one, jar, cookie('a'));
    expect(await admin.keys('*jar*')).toHaveLength(1);
    expect(await two.closeSession('demo', jar.session)).toBe(true);
    expect(await admin.keys('*jar*')).toEqual([]);
    await keep(one, jar, cookie('b'));
    expect(await admin.keys('*jar*')).toEqual([]);
  });

  it('K-02 no jar stays in Redis for good', async () => {
    const store = open();
    const jar = { ...FREE, session: await newSession(store) };
    for (const one of [FREE, jar]) {
      await keep(store, one, cookie('a'));
      await names(store, one);
    }
    const [first = '', second = ''] = await admin.keys('*jar*');
    for (const key of [first, second]) expect(await admin.pttl(key)).toBeGreaterThan(900_000);
    await store.cookies.keep(FREE, SITE, [[identityOf(cookie('a')), undefined]]);
    expect(await admin.keys('*jar:u*')).toEqual([]);
  });

  it("robustness H02 no account can be named so that its jars are another's", async () => {
    const store = open();
    await keep(store, { ...FREE, account: 'a:b' }, cookie('a'));
    for (const account of ['a', 'b', 'a:', ':b', 'a:b:']) expect(await names(store, { ...FREE, account })).toEqual([]);
    expect(await names(store, { ...FREE, account: 'a:b' })).toEqual(['a']);
  });

  it('K-05 two proxies serve one session with one jar, request after request', async () => {
    const origin = await kit.origin();
    const proxies = [await kit.proxy(`store: ${server.url}\n`), await kit.proxy(`store: ${server.url}\n`)] as const;
    for (const proxy of proxies) await connected(proxy);
    const id = (await call(proxies[0], 'POST', '/sessions')).body;
    for (let n = 0; n < 10; n++) {
      origin.enqueue(reply('hello', `Set-Cookie: n=${n}\r\nSet-Cookie: c${n}=1\r\n`));
      const answer = await get(
        proxies[n % 2 === 0 ? 0 : 1],
        `http://shop.localhost:${origin.port}/`,
        `X-Crawlera-Session: ${id}\r\n`,
      );
      expect(answer.status).toBe(200);
      const { head } = origin.requests[n] as SeenRequest;
      const all = ['n', ...Array.from({ length: n }, (_, i) => `c${i}`)];
      const sent = /\r\nCookie: ([^\r]*)/.exec(head)?.[1]?.split('; ') ?? [];
      if (n > 0) expect(sent.sort()).toEqual(all.map((name) => (name === 'n' ? `n=${n - 1}` : `${name}=1`)).sort());
    }
  });

  it('U-09 while Redis is away nobody waits for a jar, and none is made up', async () => {
    const wire = await startWire(server.port);
    onTestFinished(() => wire.close());
    const store = open(wire.url);
    await keep(store, FREE, cookie('a'));
    wire.delay(Number.POSITIVE_INFINITY);
    await expect(store.cookies.read(FREE, SITE)).rejects.toMatchObject({ condition: 'serverbusy' });
    await expect(store.cookies.keep(FREE, SITE, [])).rejects.toMatchObject({ condition: 'serverbusy' });
  });
});
