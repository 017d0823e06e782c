/** The gate on a fake clock: who gets a turn when, who is refused, and what is left behind. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Gone, Refusal } from '../../src/model/errors.ts';
import type { Upstream } from '../../src/model/job.ts';
import { type AdmissionGate, type GateEvents, type GateSettings, makeGate } from '../../src/pipeline/admit.ts';
import type { Ask, Turn } from '../../src/pipeline/ports.ts';
import { makeStop, type StopButton } from '../../src/pipeline/stop.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { type FakeClock, makeFakeClock } from '../support/fake-clock.ts';
import {
  ask,
  CREATE,
  inSession,
  makeRandom,
  poolOf,
  STORE_SETTINGS,
  upstream,
  upstreams,
} from '../support/store-house.ts';

/** The same store, answering a little later, as a remote one does. */
const delayed = (store: Store): Store =>
  new Proxy(store, {
    get: (target, name) => {
      const step = Reflect.get(target, name) as (...args: unknown[]) => unknown;
      return async (...args: unknown[]) => {
        await Promise.resolve();
        return step(...args);
      };
    },
  });

interface Bench {
  readonly gate: AdmissionGate;
  readonly clock: FakeClock;
  readonly store: Store;
  /** Enters and notes how it ends. */
  enter(one?: Ask, stop?: StopButton): Entry;
  replacePool(all: readonly Upstream[]): void;
}

interface Entry {
  turn: Turn | undefined;
  error: unknown;
  /** Milliseconds after the start at which it got its turn or its refusal. */
  at: number | undefined;
}

const START = 1_000_000;

const makeBench = (
  all: readonly Upstream[],
  wrap: (store: Store) => Store,
  settings: Partial<GateSettings> = {},
  events: GateEvents = {},
): Bench => {
  const clock = makeFakeClock(START);
  let pool = poolOf(all);
  const memory = openMemoryStore({ clock, random: makeRandom(), pool: () => pool, settings: () => STORE_SETTINGS });
  const store = wrap(memory);
  const limits = { maxHoldMs: 1_000_000, outstanding: 10_000, ...settings };
  const gate = makeGate({ store, clock, settings: () => limits, events });
  const enter = (one = ask(), stop = makeStop()): Entry => {
    const entry: Entry = { turn: undefined, error: undefined, at: undefined };
    const note = (): void => {
      entry.at = clock.now() - START;
    };
    const done = (turn: Turn): void => {
      entry.turn = turn;
      note();
    };
    const failed = (error: unknown): void => {
      entry.error = error;
      note();
    };
    try {
      const turn = gate.enter(one, stop);
      if (turn instanceof Promise) turn.then(done, failed);
      else done(turn);
    } catch (error) {
      failed(error);
    }
    return entry;
  };
  return {
    gate,
    clock,
    store,
    enter,
    replacePool: (next) => {
      pool = poolOf(next);
    },
  };
};

const conditionOf = (entry: Entry): string => {
  if (!(entry.error instanceof Refusal)) throw new Error(`not a refusal: ${String(entry.error)}`);
  return entry.error.condition;
};

const leave = ({ gate }: Bench, { turn }: Entry): void => {
  if (!turn) throw new Error('it has no turn');
  gate.leave(turn.ticket, { upstream: turn.upstream });
};

describe.each([
  ['a store that answers at once', (store: Store) => store],
  ['a store that answers later', delayed],
])('the gate on %s', (_, wrap) => {
  let bench: Bench;
  const open = (all: readonly Upstream[], settings: Partial<GateSettings> = {}, events: GateEvents = {}): Bench => {
    bench = makeBench(all, wrap, settings, events);
    return bench;
  };

  beforeEach(() => {
    open(upstreams(10));
  });

  it('P-11 starts request k at 0.2k seconds on ten idle slaves', async () => {
    const entries = Array.from({ length: 700 }, () => bench.enter());
    await bench.clock.advance(140_000);
    entries.forEach((entry, k) => {
      if (entry.at !== k * 200) expect(entry.at, `request ${k}`).toBe(k * 200);
    });
    const delays = entries.map((entry) => entry.turn?.ticket.delayMs ?? -1);
    expect(delays.findIndex((ms) => ms >= 120_000)).toBe(600);
    expect(bench.gate.load()).toEqual({ outstanding: 700, waiting: 0 });
  });

  it('P-09 P-11 holds 5000 requests at most: request 5000 is refused with Retry-After 1000 and nothing is held for it', async () => {
    const entries = Array.from({ length: 5_001 }, () => bench.enter());
    await bench.clock.advance(0);
    const last = entries[5_000] as Entry;
    expect(conditionOf(last)).toBe('serverbusy');
    expect((last.error as Refusal).detail).toMatchObject({ retryAfterMs: 1_000_000, nextRequestInMs: 1_000_000 });
    expect(entries.filter((entry) => entry.error)).toHaveLength(1);
    expect(bench.gate.load()).toEqual({ outstanding: 5_000, waiting: 4_999 });
  }, 60_000);

  it('P-11 starts request k at 1.0k seconds on one slave; k=120 carries the header', async () => {
    open(upstreams(1));
    const entries = Array.from({ length: 150 }, () => bench.enter());
    await bench.clock.advance(150_000);
    expect(entries.map((entry) => entry.at)).toEqual(entries.map((_one, k) => k * 1_000));
    expect(entries.findIndex((entry) => (entry.turn?.ticket.delayMs ?? 0) >= 120_000)).toBe(120);
  });

  it('P-11 S-19 starts request k of one session at 1.0k seconds, while others go on', async () => {
    const { id } = await bench.gate.sessions.open('demo', 10, undefined);
    const entries = Array.from({ length: 10 }, () => bench.enter(inSession(id)));
    const free = bench.enter();
    await bench.clock.advance(10_000);
    expect(entries.map((entry) => entry.at)).toEqual(entries.map((_one, k) => k * 1_000));
    expect(free.at).toBe(200);
  });

  it('P-06 those behind move up when a waiting request leaves, and its seat is free at once', async () => {
    const stop = makeStop();
    bench.enter();
    await bench.clock.advance(0);
    const leaver = bench.enter(ask(), stop);
    const behind = bench.enter();
    await bench.clock.advance(100);
    stop.press(new Gone());
    await bench.clock.advance(0);
    expect(leaver.error).toBeInstanceOf(Gone);
    expect(bench.gate.load()).toEqual({ outstanding: 2, waiting: 1 });
    const next = bench.enter();
    await bench.clock.advance(300);
    expect([behind.at, next.at]).toEqual([200, 400]);
    expect(next.turn?.ticket.delayMs).toBe(300);
  });

  it('G08 a request whose client has left before it came is not admitted', () => {
    const stop = makeStop();
    stop.press(new Gone());
    expect(bench.enter(ask(), stop).error).toBeInstanceOf(Gone);
    expect(bench.gate.load().outstanding).toBe(0);
  });

  it('P-02 holds nobody longer than maxHold, then answers serverbusy with Retry-After', async () => {
    open(upstreams(1), { maxHoldMs: 2_500 });
    const entries = Array.from({ length: 5 }, () => bench.enter(ask({ maxConnections: 5 })));
    await bench.clock.advance(2_500);
    expect(entries.map((entry) => entry.at)).toEqual([0, 1_000, 2_000, 2_500, 2_500]);
    expect(conditionOf(entries[3] as Entry)).toBe('serverbusy');
    expect(((entries[3] as Entry).error as Refusal).detail.retryAfterMs).toBeGreaterThanOrEqual(1_000);
    expect(bench.gate.load()).toEqual({ outstanding: 3, waiting: 0 });
    for (const entry of entries.slice(0, 3)) leave(bench, entry);
    expect(bench.gate.load().outstanding).toBe(0);
    expect(bench.clock.pending()).toBe(0);
  });

  it('P-02 names the session of a request held too long (R-03)', async () => {
    open(upstreams(1), { maxHoldMs: 500 });
    const { id } = await bench.gate.sessions.open('demo', 10, undefined);
    bench.enter(inSession(id));
    const held = bench.enter(inSession(id));
    await bench.clock.advance(500);
    expect((held.error as Refusal).detail.session).toBe(id);
  });

  it('P-07 a retry goes before younger requests and keeps its calculated delay', async () => {
    const first = bench.enter();
    await bench.clock.advance(0);
    const younger = bench.enter();
    await bench.clock.advance(50);
    const turn = first.turn as Turn;
    const again = Promise.resolve(bench.gate.again(turn.ticket, new Set([turn.upstream.id]), false, makeStop()));
    await bench.clock.advance(150);
    const second = await again;
    expect(second?.waitedMs).toBe(150);
    expect(second?.upstream.id).not.toBe(turn.upstream.id);
    expect(second?.ticket.delayMs).toBe(0);
    expect(younger.at).toBeUndefined();
    await bench.clock.advance(200);
    expect(younger.at).toBe(400);
  });

  it('P-07 a retry that is stopped keeps its ticket and gives its place back', async () => {
    const first = bench.enter();
    await bench.clock.advance(0);
    const stop = makeStop();
    const ticket = (first.turn as Turn).ticket;
    const again = Promise.resolve(bench.gate.again(ticket, new Set(), false, stop));
    again.catch(() => undefined);
    await bench.clock.advance(10);
    stop.press(new Gone());
    await expect(again).rejects.toBeInstanceOf(Gone);
    await bench.clock.advance(0);
    expect(bench.gate.load()).toEqual({ outstanding: 1, waiting: 0 });
    leave(bench, first);
    const next = bench.enter();
    await bench.clock.advance(200);
    expect(next.turn?.ticket.delayMs).toBe(190);
    expect(next.at).toBe(200);
  });

  it('A-01 answers undefined when every upstream was used', async () => {
    open(upstreams(1));
    const first = bench.enter(ask({ siteDelayMs: 0, slaveDelayMs: 0 }));
    await bench.clock.advance(0);
    const { ticket, upstream: used } = first.turn as Turn;
    expect(await bench.gate.again(ticket, new Set([used.id]), false, makeStop())).toBeUndefined();
    expect((await bench.gate.again(ticket, new Set([used.id]), true, makeStop()))?.upstream.id).toBe(used.id);
  });

  it('S-17 a repeat in a session goes through the same upstream', async () => {
    const { id, upstream: own } = await bench.gate.sessions.open('demo', 10, undefined);
    const one = inSession(id, { siteDelayMs: 0, slaveDelayMs: 0 });
    const entry = bench.enter(one);
    await bench.clock.advance(0);
    const { ticket } = entry.turn as Turn;
    expect(ticket).toMatchObject({ session: { id, seed: Number(id) }, fresh: false });
    const again = await bench.gate.again(ticket, new Set([own.id]), true, makeStop());
    expect(again?.upstream.id).toBe(own.id);
  });

  it('P-08 accounts waiting for one slave are served in the order of asking', async () => {
    open(upstreams(1));
    bench.enter(ask({ account: 'zero' }));
    await bench.clock.advance(0);
    const order: Entry[] = [];
    for (const account of ['b', 'a', 'b', 'c', 'a']) {
      order.push(bench.enter(ask({ account })));
      await bench.clock.advance(1);
    }
    await bench.clock.advance(6_000);
    expect(order.map((entry) => entry.at)).toEqual([1_000, 2_000, 3_000, 4_000, 5_000]);
  });

  it('P-08 nobody who comes in the very millisecond a slave becomes free gets before those who wait', async () => {
    open(upstreams(1));
    bench.enter(ask({ account: 'one' }));
    await bench.clock.advance(0);
    const waiting = bench.enter(ask({ account: 'two' }));
    await bench.clock.advance(999);
    bench.clock.jump(1);
    const late = bench.enter(ask({ account: 'three' }));
    await bench.clock.advance(2_000);
    expect(waiting.at).toBe(1_000);
    expect(late.at).toBe(2_000);
  });

  it('P-03 a session whose slave is not free lets younger requests pass but is not starved by them', async () => {
    open(upstreams(2));
    const { id } = await bench.gate.sessions.open('demo', 10, undefined);
    const entries: Entry[] = [];
    for (let i = 0; i < 40; i++) {
      entries.push(bench.enter(i % 4 === 0 ? inSession(id) : ask()));
      await bench.clock.advance(100);
    }
    await bench.clock.advance(60_000);
    const sessionTurns = entries.filter((_one, i) => i % 4 === 0);
    expect(entries.every((entry) => entry.turn)).toBe(true);
    const waits = sessionTurns.map((entry, i) => (entry.at ?? 0) - i * 400);
    expect(Math.max(...waits)).toBeLessThan(20_000);
  });

  it('P-03 a turn that finds no eligible upstream is refused with noslaves, and leaves nothing behind', async () => {
    open([upstream('a', { region: 'de' }), upstream('b')]);
    const one = ask({ region: 'de', maxSessions: 1, session: CREATE });
    bench.enter(ask({ region: 'de' }));
    await bench.clock.advance(0);
    const waiting = bench.enter(one);
    await bench.clock.advance(0);
    bench.gate.upstreamFailed(upstream('a', { region: 'de' }), 'refused');
    await bench.clock.advance(1_000);
    expect(conditionOf(waiting)).toBe('noslaves');
    expect((waiting.error as Refusal).detail).toMatchObject({ retryAfterMs: 29_000 });
    expect(bench.gate.load()).toEqual({ outstanding: 1, waiting: 0 });
    expect(await bench.gate.sessions.list('demo')).toEqual([]);
    expect(await bench.gate.sessions.open('demo', 1, undefined)).toHaveProperty('id');
  });

  it('S-06 a waiting request of a session that is closed meanwhile is refused as unknown', async () => {
    const { id } = await bench.gate.sessions.open('demo', 10, undefined);
    bench.enter(inSession(id));
    const waiting = bench.enter(inSession(id));
    await bench.clock.advance(10);
    expect(await bench.gate.sessions.close('demo', id)).toBe(true);
    await bench.clock.advance(1_000);
    expect(conditionOf(waiting)).toBe('bad_session_id');
    expect((waiting.error as Refusal).detail.session).toBe(id);
  });

  it('S-13 a create that waits has its session with the turn, and the limit counts it before', async () => {
    const one = ask({ maxSessions: 2, session: CREATE });
    const first = bench.enter(one);
    const second = bench.enter(one);
    const third = bench.enter(one);
    await bench.clock.advance(0);
    expect(conditionOf(third)).toBe('user_session_limit');
    expect(await bench.gate.sessions.list('demo')).toHaveLength(1);
    await bench.clock.advance(200);
    expect(second.turn?.ticket).toMatchObject({ fresh: true, session: { id: expect.stringMatching(/^[1-9]\d+$/) } });
    leave(bench, first);
    leave(bench, second);
    await bench.clock.advance(0);
    const listed = await bench.gate.sessions.list('demo');
    expect(listed.map((each) => each.upstream.id)).toEqual([first.turn?.upstream.id, second.turn?.upstream.id]);
  });

  it('S-12 leave binds a session made by the request to the upstream given', async () => {
    const one = ask({ siteDelayMs: 0, slaveDelayMs: 0, session: CREATE });
    const entry = bench.enter(one);
    await bench.clock.advance(0);
    const turn = entry.turn as Turn;
    const next = (await bench.gate.again(turn.ticket, new Set([turn.upstream.id]), false, makeStop())) as Turn;
    expect(next.upstream.id).not.toBe(turn.upstream.id);
    bench.gate.leave(next.ticket, { upstream: next.upstream });
    await bench.clock.advance(0);
    expect((await bench.gate.sessions.list('demo'))[0]?.upstream.id).toBe(next.upstream.id);
  });

  it('refuses with serverbusy and Retry-After 5 beyond limits.outstanding', async () => {
    open(upstreams(3), { outstanding: 2 });
    const first = bench.enter();
    bench.enter();
    await bench.clock.advance(0);
    const third = bench.enter();
    await bench.clock.advance(0);
    expect(conditionOf(third)).toBe('serverbusy');
    expect((third.error as Refusal).detail.retryAfterMs).toBe(5_000);
    leave(bench, first);
    const fourth = bench.enter();
    await bench.clock.advance(400);
    expect(fourth.turn).toBeDefined();
  });

  it('L-01 gives a seat back exactly once, however often leave is called', async () => {
    const one = ask({ maxConnections: 1, siteDelayMs: 0, slaveDelayMs: 0 });
    const first = bench.enter(one);
    await bench.clock.advance(0);
    leave(bench, first);
    leave(bench, first);
    expect(bench.gate.load().outstanding).toBe(0);
    bench.enter(one);
    const refused = bench.enter(one);
    await bench.clock.advance(0);
    expect(conditionOf(refused)).toBe('too_many_conns');
  });

  it('E-09 banned answers the session ban, or the delay of a new request', async () => {
    const { id } = await bench.gate.sessions.open('demo', 10, undefined);
    const inside = bench.enter(inSession(id, { siteDelayMs: 5_000 }));
    await bench.clock.advance(0);
    expect(await bench.gate.banned(inside.turn as Turn, 'status')).toBe(600_000);
    const outside = bench.enter(ask({ siteDelayMs: 5_000 }));
    await bench.clock.advance(5_000);
    expect(await bench.gate.banned(outside.turn as Turn, 'status')).toBe(5_000);
    expect(await bench.gate.outlook((outside.turn as Turn).ticket)).toBe(5_000);
  });

  it('A-09b and A-04 tell the operator once', async () => {
    const heard: string[] = [];
    open(
      upstreams(6),
      {},
      {
        banStorm: (website, rule) => heard.push(`storm ${website} ${rule}`),
        upstreamDown: (one, reason) => heard.push(`down ${one.id} ${reason}`),
      },
    );
    for (let i = 0; i < 8; i++) {
      const entry = bench.enter(ask({ siteDelayMs: 0, slaveDelayMs: 0 }));
      await bench.clock.advance(0);
      await bench.gate.banned(entry.turn as Turn, 'rule 1');
    }
    bench.gate.upstreamFailed(upstream('u5'), 'refused');
    await bench.clock.advance(0);
    expect(heard).toEqual(['storm shop.localhost rule 1', 'down u5 refused']);
  });

  it('A-08 slowDown moves the next turn of the account', async () => {
    const first = bench.enter();
    const second = bench.enter();
    await bench.clock.advance(0);
    bench.gate.slowDown((first.turn as Turn).ticket, 3_000);
    await bench.clock.advance(10_000);
    expect(second.at).toBe(3_000);
  });

  it('S-18 requests go on over a replaced pool', async () => {
    const entries = Array.from({ length: 4 }, () => bench.enter());
    await bench.clock.advance(300);
    bench.replacePool([upstream('new1'), upstream('new2')]);
    await bench.clock.advance(2_000);
    expect(entries.map((entry) => entry.at)).toEqual([0, 200, 400, 600]);
    expect(entries.slice(2).map((entry) => entry.turn?.upstream.id.slice(0, 3))).toEqual(['new', 'new']);
  });

  it('leaves no timer and no place behind when all have left', async () => {
    const stops = Array.from({ length: 20 }, () => makeStop());
    const entries = stops.map((stop, i) => bench.enter(ask({ website: `w${i % 3}.localhost` }), stop));
    await bench.clock.advance(250);
    for (const stop of stops) stop.press(new Gone());
    await bench.clock.advance(0);
    for (const entry of entries) if (entry.turn) leave(bench, entry);
    await bench.clock.advance(0);
    expect(bench.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
    expect(bench.clock.pending()).toBe(0);
  });

  it('robustness G13 tells everybody who waits at shutdown, and those who come to wait then, at once', async () => {
    const entries = Array.from({ length: 5_000 }, () => bench.enter());
    await bench.clock.advance(0);
    bench.gate.dismiss();
    await bench.clock.advance(0);
    const late = bench.enter();
    await bench.clock.advance(0);
    for (const entry of [...entries.slice(1), late]) {
      if (conditionOf(entry) !== 'serverbusy') throw new Error('another refusal');
    }
    expect((late.error as Refusal).detail.retryAfterMs).toBe(5_000);
    expect(bench.gate.load()).toEqual({ outstanding: 1, waiting: 0 });
    leave(bench, entries[0] as Entry);
    await bench.clock.advance(0);
    expect(bench.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
    expect(bench.clock.pending()).toBe(0);
  });
});

describe('a request that leaves while a store that answers later grants it', () => {
  const slow = (session: Ask['session']): Ask => ask({ session, siteDelayMs: 500, slaveDelayMs: 0 });

  const sessionsAfter = async (bench: Bench, entry: Entry, stop: StopButton): Promise<number> => {
    stop.press(new Gone());
    await bench.clock.advance(0);
    expect(entry.error).toBeInstanceOf(Gone);
    expect(entry.turn).toBeUndefined();
    return (await bench.store.listSessions('demo')).length;
  };

  it('S-11 leaves no session behind that create would have made', async () => {
    const bench = makeBench(upstreams(2), delayed);
    const stop = makeStop();
    expect(await sessionsAfter(bench, bench.enter(slow(CREATE), stop), stop)).toBe(0);
    expect(bench.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
  });

  it('S-11 nor when it had waited for its turn', async () => {
    const bench = makeBench(upstreams(2), delayed);
    const stop = makeStop();
    bench.enter(slow(undefined));
    await bench.clock.advance(0);
    const entry = bench.enter(slow(CREATE), stop);
    await bench.clock.advance(0);
    expect(bench.gate.load().waiting).toBe(1);
    bench.clock.jump(500);
    // The next one to come has the store asked for those whose time it is.
    bench.enter(slow(undefined));
    expect(await sessionsAfter(bench, entry, stop)).toBe(0);
    expect(bench.gate.load()).toEqual({ outstanding: 2, waiting: 1 });
  });

  it('U-11 leaves a named one to the others that may be in it', async () => {
    const bench = makeBench(upstreams(2), delayed);
    const stop = makeStop();
    const entry = bench.enter(slow({ by: 'name', name: 'anna' }), stop);
    expect(await sessionsAfter(bench, entry, stop)).toBe(1);
  });
});

describe('the gate on a store that fails', () => {
  const broken = (step: keyof Store, error: Error) => (store: Store) =>
    new Proxy(store, {
      get: (target, name) => (name === step ? async () => Promise.reject(error) : Reflect.get(target, name)),
    });
  const busy = new Refusal('serverbusy', { retryAfterMs: 5_000 });

  it('tells the request and keeps no seat for it', async () => {
    const bench = makeBench(upstreams(2), broken('admit', busy));
    const entry = bench.enter();
    await bench.clock.advance(0);
    expect(entry.error).toBe(busy);
    expect(bench.gate.load()).toEqual({ outstanding: 0, waiting: 0 });
  });

  it('ends the wait of those it was asked for', async () => {
    const bench = makeBench(upstreams(2), broken('turn', busy));
    bench.enter();
    const waiting = bench.enter();
    await bench.clock.advance(200);
    expect(waiting.error).toBe(busy);
    expect(bench.gate.load()).toEqual({ outstanding: 1, waiting: 0 });
    expect(bench.clock.pending()).toBe(0);
  });

  it('never throws from steps nobody waits for', async () => {
    const bench = makeBench(upstreams(2), broken('leave', busy));
    const entry = bench.enter();
    leave(bench, entry);
    await bench.clock.advance(0);
    expect(bench.gate.load().outstanding).toBe(0);
  });
});
