/** What becomes of requests while Redis is away, and of the store when it is back (U-09, E-09, robustness G14). */
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { Refusal } from '../../src/model/errors.ts';
import type { Admission, Store, StoreSettings, Wish } from '../../src/pipeline/store-port.ts';
import { openStore } from '../../src/store/open.ts';
import { freePort, hasRedis, type RedisServer, startRedis } from '../support/redis.ts';
import { type RedisWire, startWire } from '../support/redis-wire.ts';
import { ask, CREATE, inSession, poolOf, STORE_SETTINGS, upstream, upstreams } from '../support/store-house.ts';

/** 250 ms are promised; the rest is for a busy machine. */
const IN_TIME_MS = 400;

const FREE = { siteDelayMs: 0, slaveDelayMs: 0 };

const realClock = {
  now: () => Math.floor(performance.timeOrigin + performance.now()),
  after: (ms: number, fn: () => void) => {
    const timer = setTimeout(fn, ms);
    return { cancel: () => clearTimeout(timer) };
  },
};

interface Opened {
  readonly store: Store;
  readonly said: string[];
}

const open = (
  location: string,
  loss: 'refuse' | 'alone' = 'refuse',
  settings: StoreSettings = STORE_SETTINGS,
): Opened => {
  const pool = poolOf(upstreams(3));
  const said: string[] = [];
  const store = openStore({
    location,
    loss,
    clock: realClock,
    random: Math.random,
    pool: () => pool,
    settings: () => settings,
    report: (line) => said.push(line),
  });
  onTestFinished(() => store.close());
  return { store, said };
};

/** One that has served a request. A very busy machine may not connect within the time that a request waits for it. */
const openUp = async (location: string): Promise<Opened> => {
  for (let tries = 1; ; tries++) {
    const opened = open(location);
    try {
      await opened.store.admit(ask(FREE), false);
      return opened;
    } catch (error) {
      if (tries === 10) throw error;
      await opened.store.close();
    }
  }
};

const lost = async (step: () => unknown): Promise<void> => {
  const since = performance.now();
  const error = await Promise.resolve()
    .then(step)
    .then(
      () => undefined,
      (reason: unknown) => reason,
    );
  expect(error).toBeInstanceOf(Refusal);
  expect((error as Refusal).condition).toBe('serverbusy');
  expect((error as Refusal).detail.retryAfterMs).toBe(5_000);
  expect(performance.now() - since).toBeLessThan(IN_TIME_MS);
};

const everyStep = (store: Store): (() => unknown)[] => {
  const one = ask(FREE);
  const wish = { ask: one, session: undefined, making: false, waitsFor: '', used: undefined, repeat: false };
  return [
    () => store.admit(one, false),
    () => store.retry(wish),
    () => store.turn(one.website, [wish]),
    () => store.unwait(wish),
    () =>
      store.leave({ account: 'demo', website: one.website, session: undefined, making: false, upstream: undefined }),
    () => store.ban({ ask: one, session: undefined, making: false, upstream: upstream('u0'), rule: 'r' }),
    () => store.outlook(one, undefined),
    () => store.fail('u0'),
    () => store.slow('demo', one.website, 100),
    () => store.openSession('demo', 10, undefined),
    () => store.listSessions('demo'),
    () => store.closeSession('demo', '7777777'),
  ];
};

/** Admits until the store is there again. */
const untilBack = async (store: Store, one = ask(FREE)): Promise<Admission> => {
  const since = performance.now();
  for (;;) {
    try {
      return await store.admit(one, false);
    } catch (error) {
      if (!(error instanceof Refusal) || performance.now() - since > 10_000) throw error;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
};

const untilLost = async (store: Store): Promise<void> => {
  for (;;) {
    try {
      await store.listSessions('demo');
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
};

describe.runIf(hasRedis)('a Redis in trouble', () => {
  let server: RedisServer;
  let admin: Redis;
  let wire: RedisWire;
  beforeAll(async () => {
    server = await startRedis();
  });
  beforeEach(async () => {
    admin = new Redis(server.port, '127.0.0.1');
    await admin.flushall();
    wire = await startWire(server.port);
  });
  afterEach(async () => {
    admin.disconnect();
    await wire.close();
  });
  afterAll(() => server.stop());

  it('robustness G14 refuses every step with serverbusy within 250 ms when Redis is not there at the start', async () => {
    const { store, said } = open(`redis://:s3cret@127.0.0.1:${await freePort()}/0`);
    await Promise.all(everyStep(store).map(lost));
    await Promise.all(everyStep(store).map(lost));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^store: Redis at 127\.0\.0\.1:\d+ is away \(.+\)/);
    expect(said.join()).not.toContain('s3cret');
  });

  it('robustness G14 serves the first request when Redis is there, although nobody waited for the connection', async () => {
    const { store, said } = open(server.url);
    expect(await store.admit(ask(FREE), false)).toMatchObject({ kind: 'go' });
    expect(said).toEqual([]);
  });

  it('robustness G14 begins to serve when a Redis that was not there at the start comes', async () => {
    const late = await startRedis();
    onTestFinished(() => late.stop());
    const url = late.url;
    late.process.kill('SIGKILL');
    const { store } = open(url);
    await lost(() => store.admit(ask(FREE), false));
    await late.restart();
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
  });

  it('robustness G14 answers everything within 250 ms while Redis takes two seconds, and recovers by itself', async () => {
    const { store, said } = await openUp(wire.url);
    wire.delay(2_000);
    await Promise.all(everyStep(store).map(lost));
    const since = performance.now();
    for (let i = 0; i < 100; i++) await lost(() => store.admit(ask(FREE), false));
    expect(performance.now() - since).toBeLessThan(IN_TIME_MS);
    wire.delay(0);
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
    expect(said).toHaveLength(2);
    expect(said[1]).toMatch(/is back$/);
  });

  it('robustness G14 makes a new connection when one stays silent', async () => {
    const { store } = await openUp(wire.url);
    wire.delay(Number.POSITIVE_INFINITY);
    await lost(() => store.admit(ask(FREE), false));
    const [before] = [wire.connections()];
    expect(before).toBe(1);
    wire.delay(0);
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
  });

  it('robustness G14 loses what was under way when the connection breaks, and goes on over the next one', async () => {
    const { store } = await openUp(wire.url);
    wire.delay(Number.POSITIVE_INFINITY);
    const steps = everyStep(store).map(lost);
    wire.cut();
    await Promise.all(steps);
    wire.delay(0);
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
  });

  it('robustness G14 a restarted, empty Redis learns which seats are taken', async () => {
    const { store } = open(server.url);
    const two = ask({ ...FREE, maxConnections: 2 });
    await store.admit(two, false);
    await store.admit(two, false);
    await server.restart();
    await untilLost(store);
    expect(await untilBack(store, two)).toMatchObject({ kind: 'refused', condition: 'too_many_conns' });
    await store.leave({
      account: 'demo',
      website: two.website,
      session: undefined,
      making: false,
      upstream: undefined,
    });
    expect(await store.admit(two, false)).toMatchObject({ kind: 'go' });
  });

  it('a seat given back while Redis is away is free when it is there again', async () => {
    const { store } = open(wire.url);
    const only = ask({ ...FREE, maxConnections: 1 });
    await store.admit(only, false);
    wire.delay(Number.POSITIVE_INFINITY);
    await lost(() =>
      store.leave({ account: 'demo', website: only.website, session: undefined, making: false, upstream: undefined }),
    );
    wire.delay(0);
    expect(await untilBack(store, only)).toMatchObject({ kind: 'go' });
  });

  it('a seat taken by an answer that came too late is free again', async () => {
    const { store } = open(wire.url);
    const only = ask({ ...FREE, maxConnections: 1 });
    await store.listSessions('demo');
    wire.delay(300);
    await lost(() => store.admit(only, false));
    wire.delay(0);
    expect(await untilBack(store, only)).toMatchObject({ kind: 'go' });
  });

  it('robustness G14 refuses while the server is a replica or out of memory, and goes on when it is not', async () => {
    const { store, said } = await openUp(server.url);
    await admin.replicaof('127.0.0.1', String(await freePort()));
    await lost(() => store.admit(ask(FREE), false));
    await lost(() => store.openSession('demo', 10, undefined));
    await admin.replicaof('NO', 'ONE');
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
    await admin.config('SET', 'maxmemory', '1');
    await lost(() => store.admit(ask(FREE), false));
    await admin.config('SET', 'maxmemory', '0');
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
    expect(said.filter((line) => line.includes('is away'))).toHaveLength(1);
  });

  it('U-09 a password Redis does not know is told without the password', async () => {
    await admin.config('SET', 'requirepass', 'right');
    const { store, said } = open(`redis://:wr0ng@127.0.0.1:${server.port}/0`);
    await lost(() => store.admit(ask(FREE), false));
    await admin.config('SET', 'requirepass', '');
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/password/i);
    expect(said.join()).not.toContain('wr0ng');
  });

  it('logs in with user and password from the URL', async () => {
    await admin.config('SET', 'requirepass', 'p@ss:w/rd');
    const { store } = open(`redis://:p%40ss:w%2Frd@127.0.0.1:${server.port}/1`);
    expect(await untilBack(store)).toMatchObject({ kind: 'go' });
    await admin.config('SET', 'requirepass', '');
  });

  it('robustness G14 alone: requests without session go on, sessions are refused, and Redis counts again when it is back', async () => {
    const { store, said } = open(server.url, 'alone');
    const opened = await store.openSession('demo', 10, undefined);
    const id = 'id' in opened ? opened.id : '';
    await server.restart();
    await untilLost(store);
    const one = ask(FREE);
    const turn = await store.admit(one, false);
    expect(turn).toMatchObject({ kind: 'go' });
    await lost(() => store.admit(inSession(id, FREE), false));
    await lost(() => store.admit(ask({ ...FREE, session: CREATE }), false));
    await lost(() => store.openSession('demo', 10, undefined));
    await lost(() => store.listSessions('demo'));
    await lost(() => store.closeSession('demo', id));
    expect(said[0]).toContain('go on with this process alone');
    await store.leave({
      account: 'demo',
      website: one.website,
      session: undefined,
      making: false,
      upstream: undefined,
    });
    await vi.waitFor(async () => expect(await store.listSessions('demo')).toEqual([]), { timeout: 5_000 });
  });

  it('robustness G14 alone: seats, turns and bans count in the meantime, and those who wait move back to Redis', async () => {
    const { store } = open(wire.url, 'alone');
    const slow = ask({ siteDelayMs: 600, slaveDelayMs: 0, maxConnections: 3 });
    const wishOf = (waiting: Admission): Wish => ({
      ask: slow,
      session: undefined,
      making: false,
      waitsFor: waiting.kind === 'wait' ? waiting.waitsFor : '',
      used: undefined,
      repeat: false,
    });
    expect((await store.admit(slow, false)).kind).toBe('go');
    const before = await store.admit(slow, false);
    expect(before.kind).toBe('wait');
    wire.delay(Number.POSITIVE_INFINITY);
    // Seats taken at Redis are unknown here, and so is the delay; from now on both count.
    expect((await store.turn(slow.website, [wishOf(before)])).settled?.verdict.kind).toBe('go');
    const waiting = await store.admit(ask({ ...slow }), false);
    expect(waiting).toMatchObject({ kind: 'wait' });
    const late = { ...slow };
    const later = await store.admit(late, false);
    expect(later.kind).toBe('wait');
    expect((await store.turn(slow.website, [{ ...wishOf(later), ask: late }])).settled).toBeUndefined();
    expect(await store.admit(slow, false)).toMatchObject({ kind: 'wait' });
    expect(await store.admit(slow, false)).toMatchObject({ condition: 'too_many_conns' });
    wire.delay(0);
    await vi.waitFor(() => store.listSessions('demo'), { timeout: 5_000 });
    await vi.waitFor(
      async () => {
        const { settled } = await store.turn(slow.website, [{ ...wishOf(later), ask: late }]);
        expect(settled?.verdict.kind).toBe('go');
      },
      { timeout: 5_000 },
    );
    const left = { account: 'demo', website: slow.website, session: undefined, making: false, upstream: undefined };
    for (let i = 0; i < 5; i++) await store.leave(left);
    expect((await store.admit(slow, false)).kind).not.toBe('refused');
  });
});
