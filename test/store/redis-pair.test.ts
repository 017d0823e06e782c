/** Two processes' worth of store on one Redis, on real time: what one knows the other knows (S-20, P-08, robustness H01, H15). */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Upstream } from '../../src/model/job.ts';
import { type AdmissionGate, makeGate } from '../../src/pipeline/admit.ts';
import type { Ask, Pool, Stop } from '../../src/pipeline/ports.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { realClock } from '../../src/store/clock.ts';
import { openRedisStore } from '../../src/store/redis-open.ts';
import { readRedisUrl } from '../../src/store/redis-url.ts';
import { hasRedis, type RedisPlace, startNode } from '../support/redis.ts';
import { type Grant, gapsOf, watchGrants } from '../support/redis-grants.ts';
import { ask, inSession, poolOf, STORE_SETTINGS, upstream, upstreams } from '../support/store-house.ts';

/** Half of the time within which a process has to come for its turn. */
const CALM_MS = 7;

const FREE = { siteDelayMs: 0, slaveDelayMs: 0 };

const NEVER: Stop = { reason: undefined, listen: () => {} };

interface Side {
  readonly store: Store;
  readonly gate: AdmissionGate;
  pool: Pool;
}

describe('two processes on one Redis', () => {
  let server: RedisPlace;
  let admin: Redis;
  let opened: Store[];
  beforeAll(async () => {
    server = await startNode();
    admin = new Redis(server.port, '127.0.0.1');
  });
  beforeEach(async () => {
    opened = [];
    await admin.flushall();
  });
  afterEach(async () => {
    await Promise.all(opened.map((store) => store.close()));
  });
  afterAll(async () => {
    admin.disconnect();
    await server.stop();
  });

  const openSide = async (all: readonly Upstream[]): Promise<Side> => {
    const location = readRedisUrl(server.url);
    if (!location) throw new Error('no location');
    const pools = { now: poolOf(all) };
    const store = openRedisStore({
      location,
      random: Math.random,
      pool: () => pools.now,
      settings: () => STORE_SETTINGS,
      answerMs: 5_000,
    });
    opened.push(store);
    await store.listSessions('warm-up');
    const settings = () => ({ maxHoldMs: 60_000, outstanding: 10_000 });
    const gate = makeGate({ store, clock: realClock, settings });
    return {
      store,
      gate,
      get pool() {
        return pools.now;
      },
      set pool(next) {
        pools.now = next;
      },
    };
  };

  const openPair = async (all: readonly Upstream[]): Promise<[Side, Side]> => [
    await openSide(all),
    await openSide(all),
  ];

  /** Asks for a turn, leaves at once when it came, and writes down who had it. */
  const visit = async ({ gate }: Side, name: string, one: Ask, log: string[]): Promise<void> => {
    const turn = await gate.enter({ ...one }, NEVER);
    log.push(name);
    gate.leave(turn.ticket, { upstream: turn.upstream });
  };

  /** Turns granted while `run` goes on, by Redis' own clock. */
  const grantsDuring = async (run: () => Promise<void>): Promise<readonly Grant[]> => {
    const log = await watchGrants(server.port, 'shop.localhost');
    try {
      await run();
      return await log.read();
    } finally {
      log.close();
    }
  };

  it('S-20 a session made by one is served by the other through the same upstream, and ends for both', async () => {
    const [one, two] = await openPair(upstreams(5));
    const made = await one.store.openSession('demo', 10, undefined);
    if (!('id' in made)) throw new Error('no session');
    const turn = await two.store.admit(inSession(made.id, FREE), false);
    expect(turn).toMatchObject({ kind: 'go', session: made.id, upstream: { id: made.upstream.id } });
    expect(await two.store.closeSession('demo', made.id)).toBe(true);
    expect(await one.store.admit(inSession(made.id, FREE), false)).toMatchObject({ condition: 'bad_session_id' });
  });

  it('A-09 and A-04 a ban or failure seen by one is obeyed by the other at once', async () => {
    const [one, two] = await openPair(upstreams(3));
    await one.store.ban({
      ask: ask(FREE),
      session: undefined,
      making: false,
      upstream: upstream('u0'),
      rule: 'r',
    });
    expect(await one.store.fail('u1')).toBe(true);
    for (let i = 0; i < 5; i++) {
      expect(await two.store.admit(ask(FREE), false)).toMatchObject({ kind: 'go', upstream: { id: 'u2' } });
    }
    expect(await two.store.fail('u2')).toBe(true);
    expect(await one.store.fail('u0')).toBe(false);
  });

  it('L-01 and S-10 limits count over both', async () => {
    const [one, two] = await openPair(upstreams(3));
    const limited = ask({ ...FREE, maxConnections: 1 });
    expect((await one.store.admit(limited, false)).kind).toBe('go');
    expect(await two.store.admit(limited, false)).toMatchObject({ condition: 'too_many_conns' });
    await one.store.openSession('demo', 1, undefined);
    expect(await two.store.openSession('demo', 1, undefined)).toMatchObject({ condition: 'user_session_limit' });
  });

  it('P-03 takes the least recently used over both, whoever used it', async () => {
    const [one, two] = await openPair(upstreams(6));
    const seen: string[] = [];
    for (let i = 0; i < 12; i++) {
      const turn = await (i % 2 === 0 ? one : two).store.admit(ask(FREE), false);
      if (turn.kind === 'go') seen.push(turn.upstream.id);
    }
    expect(new Set(seen.slice(0, 6)).size).toBe(6);
    expect(seen.slice(6)).toEqual(seen.slice(0, 6));
  });

  /** The longest that Redis and this process together kept anybody waiting meanwhile, milliseconds. */
  const longestPause = async (run: () => Promise<void>): Promise<number> => {
    let done = false;
    let longest = 0;
    const sample = async (): Promise<void> => {
      while (!done) {
        const since = performance.now();
        await new Promise((resolve) => setTimeout(resolve, 1));
        await admin.ping();
        longest = Math.max(longest, performance.now() - since);
      }
    };
    const sampling = sample();
    await run();
    done = true;
    await sampling;
    return longest;
  };

  /**
   * The gaps hold in every round. The order holds among processes that come when they said, within 15 ms, which a busy
   * machine may not let them: it takes a round without such pauses to say that it is wrong.
   */
  const keepsGapsAndOrder = async (count: number, queue: (i: number) => [Side, Ask], gapMs: number): Promise<void> => {
    let right = 0;
    let wrong = 0;
    for (let round = 0; round < 20; round++) {
      const log: string[] = [];
      const visitAll = async (): Promise<void> => {
        const visits: Promise<void>[] = [];
        for (let i = 0; i < count; i++) {
          const [side, one] = queue(i);
          visits.push(visit(side, `${i}`, one, log));
          await side.store.listSessions('demo');
        }
        await Promise.all(visits);
      };
      let pauseMs = 0;
      const grants = await grantsDuring(async () => {
        pauseMs = await longestPause(visitAll);
      });
      expect(grants).toHaveLength(count);
      const gaps = gapsOf(grants.map(({ at }) => at));
      expect(Math.min(...gaps), `round ${round}: ${gaps}`).toBeGreaterThanOrEqual(gapMs);
      const misplaced = log.filter((name, i) => Math.abs(Number(name) - i) > 1);
      // Without care for it, one round in five is in order by chance.
      if (misplaced.length === 0 && ++right === 2) return;
      if (misplaced.length > 0 && pauseMs < CALM_MS && ++wrong === 3) expect(misplaced).toEqual([]);
    }
    throw new Error('this machine is too busy to judge the order of turns');
  };

  it.runIf(hasRedis)(
    'P-03 and robustness H04 H15 keeps the gaps of one account over both, and serves in the order of asking',
    async () => {
      const pair = await openPair(upstreams(5));
      const paced = ask({ siteDelayMs: 60, slaveDelayMs: 0 });
      // Pairs of neighbours from one side, so that each side has older and younger ones than the other.
      await keepsGapsAndOrder(16, (i) => [pair[(i >> 1) % 2] as Side, { ...paced }], 60);
    },
    60_000,
  );

  it.runIf(hasRedis)(
    'P-08 accounts of two processes that wait for one upstream keep its gaps and are served in the order of asking',
    async () => {
      const [one, two] = await openPair(upstreams(1));
      const paced = { siteDelayMs: 0, slaveDelayMs: 60 };
      await keepsGapsAndOrder(
        12,
        (i) => (i % 2 === 0 ? [one, ask({ ...paced, account: 'anna' })] : [two, ask({ ...paced, account: 'bob' })]),
        60,
      );
    },
    60_000,
  );

  it('P-03 one with few waiting is not starved by one with many', async () => {
    const [busy, calm] = await openPair(upstreams(5));
    const log: string[] = [];
    const paced = ask({ siteDelayMs: 20, slaveDelayMs: 0 });
    const visits = Array.from({ length: 20 }, () => visit(busy, 'busy', paced, log));
    await busy.store.listSessions('demo');
    visits.push(visit(calm, 'calm', paced, log));
    await calm.store.listSessions('demo');
    for (let i = 0; i < 40; i++) visits.push(visit(busy, 'busy', paced, log));
    await Promise.all(visits);
    const at = log.indexOf('calm');
    expect(at).toBeGreaterThanOrEqual(0);
    expect(at).toBeLessThanOrEqual(30);
  });

  /** Upstreams that serve so many requests of a side. */
  const servants = async ({ store }: Side, count: number): Promise<string[]> => {
    const seen = new Set<string>();
    for (let i = 0; i < count; i++) {
      const turn = await store.admit(ask(FREE), false);
      if (turn.kind === 'go') seen.add(turn.upstream.id);
    }
    return [...seen].sort();
  };

  it('S-18 processes whose pools differ for a while lose neither sessions nor bans of what only one knows', async () => {
    const [one, two] = await openPair([upstream('a'), upstream('b')]);
    two.pool = poolOf([upstream('c'), upstream('d')]);
    const made = await two.store.openSession('demo', 10, undefined);
    if (!('id' in made)) throw new Error('no session');
    expect(await one.store.admit(inSession(made.id, FREE), false)).toMatchObject({ condition: 'bad_session_id' });
    await servants(two, 2);
    await two.store.ban({ ask: ask(FREE), session: undefined, making: false, upstream: upstream('c'), rule: 'r' });
    for (let i = 0; i < 4; i++) {
      expect(await servants(one, 3)).toEqual(['a', 'b']);
      expect(await servants(two, 3)).toEqual(['d']);
    }
    one.pool = two.pool;
    const seen = await one.store.admit(inSession(made.id, { ...FREE, noBancheck: true }), false);
    expect(seen).toMatchObject({ kind: 'go', upstream: { id: made.upstream.id } });
    expect(await servants(one, 6)).toEqual(['d']);
  });

  it('robustness H14 what a process that is gone held is free when its lease is over, and nothing sooner', async () => {
    const [one, two] = await openPair(upstreams(2));
    const limited = ask({ ...FREE, siteDelayMs: 60_000, maxConnections: 3 });
    const made = await one.store.openSession('demo', 10, undefined);
    if (!('id' in made)) throw new Error('no session');
    const before = (await two.store.admit(ask({ ...FREE, account: 'other' }), false)).kind;
    expect(before).toBe('go');
    await one.store.admit(inSession(made.id, limited), false);
    expect(await one.store.admit(limited, false)).toMatchObject({ kind: 'wait' });
    expect(await one.store.admit(limited, false)).toMatchObject({ kind: 'wait' });
    expect(await two.store.admit(limited, false)).toMatchObject({ condition: 'too_many_conns' });
    // Its lease, as if it had not been renewed for as long as it lasts.
    const nodes = await admin.zrange('crawlgate{h}:nodes', '0', '-1');
    const sizes = await Promise.all(nodes.map((node) => admin.hlen(`crawlgate{h}:held:${node}`)));
    const dead = nodes[sizes.indexOf(Math.max(...sizes))] as string;
    await admin.eval(
      "redis.call('RENAME', KEYS[1] .. ARGV[1], KEYS[1] .. 'dead'); redis.call('ZADD', KEYS[2], 1, 'dead')",
      2,
      'crawlgate{h}:held:',
      'crawlgate{h}:nodes',
      dead,
    );
    await expect
      .poll(async () => (await two.store.admit({ ...limited, website: 'b.localhost' }, false)).kind, { timeout: 5_000 })
      .toBe('go');
    expect(await two.store.admit(limited, false)).toMatchObject({ kind: 'wait' });
    const left = await admin.hgetall('crawlgate{h}:site:shop.localhost');
    expect(Number(left['Wdemo'])).toBe(1);
  });
});
