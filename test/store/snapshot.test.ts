/** What of the memory store outlives its process, and what a bad file does. */
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Pool } from '../../src/pipeline/ports.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { openMemoryStore } from '../../src/store/memory.ts';
import { openStore } from '../../src/store/open.ts';
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

const free = { siteDelayMs: 0, slaveDelayMs: 0 } as const;

describe('the snapshot of the memory store', () => {
  let folder: string;
  let file: string;
  let clock: FakeClock;
  let problems: string[];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'store-'));
    file = join(folder, 'data', 'state.json');
    clock = makeFakeClock();
    problems = [];
  });

  afterEach(() => rm(folder, { recursive: true, force: true }));

  const open = (pool: Pool = poolOf(upstreams(3)), seed = 1): Store =>
    openMemoryStore({
      clock,
      random: makeRandom(seed),
      pool: () => pool,
      settings: () => STORE_SETTINGS,
      file,
      report: (problem) => problems.push(problem),
    });

  const newSession = async (store: Store): Promise<string> => {
    const opened = await store.openSession('demo', 10, undefined);
    if (!('id' in opened)) throw new Error('no session');
    return opened.id;
  };

  const saved = async (): Promise<{ sessions: { id: string; lastUse: number }[] }> =>
    JSON.parse(await readFile(file, 'utf8'));

  /** Waits for the file to be what is asked; the write itself is real. */
  const written = async (ok: (text: string) => boolean): Promise<boolean> => {
    for (let i = 0; i < 100; i++) {
      const text = await readFile(file, 'utf8').catch(() => '');
      if (text !== '' && ok(text)) return true;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return false;
  };

  it('S-20 sessions, names and bans are there again after a restart', async () => {
    const before = open();
    const id = await newSession(before);
    const named = await before.admit(ask({ ...free, session: { by: 'name', name: 'anna' } }), false);
    if (named.kind !== 'go') throw new Error('no turn');
    const banned = await before.admit(ask(free), false);
    if (banned.kind !== 'go') throw new Error('no turn');
    await before.ban({ ask: ask(free), session: undefined, making: false, upstream: banned.upstream, rule: 'r' });
    const listed = await before.listSessions('demo');
    await before.close();

    await clock.advance(1_000);
    const after = open(undefined, 2);
    expect(await after.listSessions('demo')).toEqual(listed);
    expect((await after.listSessions('demo')).map((one) => one.id)).toContain(id);
    const again = await after.admit(ask({ ...free, session: { by: 'name', name: 'anna' } }), false);
    expect(again).toMatchObject({
      session: named.session,
      ...(named.upstream.id === banned.upstream.id ? {} : { kind: 'go' }),
    });
    for (let i = 0; i < 6; i++) {
      const next = await after.admit(ask(free), false);
      expect(next.kind === 'go' && next.upstream.id).not.toBe(banned.upstream.id);
    }
    await clock.advance(599_000);
    const seen = new Set<string>();
    for (let i = 0; i < 6; i++) {
      const next = await after.admit(ask(free), false);
      if (next.kind === 'go') seen.add(next.upstream.id);
    }
    expect(seen.size).toBe(3);
    await after.close();
    expect(problems).toEqual([]);
  });

  it('A-09 a ban that only a session remembers is remembered over a restart', async () => {
    const pool = poolOf(upstreams(1));
    const before = open(pool);
    const id = await newSession(before);
    const turn = await before.admit(inSession(id, free), false);
    if (turn.kind !== 'go') throw new Error('no turn');
    await before.ban({ ask: inSession(id, free), session: id, making: false, upstream: turn.upstream, rule: 'r' });
    await before.close();
    await clock.advance(100_000);
    const after = open(pool);
    expect(await after.admit(inSession(id, free), false)).toMatchObject({
      condition: 'slavebanned',
      retryAfterMs: 500_000,
    });
    await after.close();
  });

  it('is written within a second of a change, readable by its owner alone, with no draft left', async () => {
    const store = open();
    const id = await newSession(store);
    await clock.advance(1_000);
    expect(await written((text) => text.includes(id))).toBe(true);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(folder, 'data'))).toEqual(['state.json']);
    await store.closeSession('demo', id);
    await clock.advance(1_000);
    expect(await written((text) => !text.includes(id))).toBe(true);
    await store.close();
  });

  it('a mere use is written lazily, and at the latest when the store is closed', async () => {
    const store = open();
    const id = await newSession(store);
    await clock.advance(1_000);
    expect(await written((text) => text.includes(id))).toBe(true);
    const first = (await saved()).sessions[0]?.lastUse ?? 0;
    await store.admit(inSession(id, free), false);
    await store.leave({ account: 'demo', website: 'shop.localhost', session: id, making: false, upstream: undefined });
    await clock.advance(5_000);
    expect((await saved()).sessions[0]?.lastUse).toBe(first);
    await store.close();
    expect((await saved()).sessions[0]?.lastUse).toBe(first + 1_000);
  });

  it('a session in use when the process ended has its whole idle life again', async () => {
    const store = open();
    const id = await newSession(store);
    await store.admit(inSession(id, free), false);
    await clock.advance(1_700_000);
    await store.close();
    await clock.advance(200_000);
    const after = open();
    expect((await after.listSessions('demo')).map((one) => one.id)).toEqual([id]);
    await after.close();
  });

  it('S-11 a session whose life ended while nothing ran is gone', async () => {
    const store = open();
    await newSession(store);
    await store.close();
    await clock.advance(1_800_000);
    const after = open();
    expect(await after.listSessions('demo')).toEqual([]);
    await after.close();
  });

  it('S-18 a session whose upstream is not configured any more is gone, its ban is kept for a return', async () => {
    const store = open(poolOf([upstream('a'), upstream('b')]));
    const turn = await store.admit(ask({ ...free, session: CREATE }), false);
    if (turn.kind !== 'go') throw new Error('no turn');
    await store.ban({ ask: ask(free), session: undefined, making: false, upstream: turn.upstream, rule: 'r' });
    await store.close();
    let pool = poolOf([upstream('c')]);
    const after = openMemoryStore({
      clock,
      random: makeRandom(),
      pool: () => pool,
      settings: () => STORE_SETTINGS,
      file,
    });
    expect(await after.listSessions('demo')).toEqual([]);
    pool = poolOf([upstream('a'), upstream('b'), upstream('c')]);
    for (let i = 0; i < 6; i++) {
      const next = await after.admit(ask(free), false);
      expect(next.kind === 'go' && next.upstream.id).not.toBe(turn.upstream.id);
    }
    await after.close();
  });

  it.each([
    ['not JSON', '{"version":1,'],
    ['of another version', '{"version":2,"sessions":[],"bans":[]}'],
    ['with a session of the wrong shape', '{"version":1,"sessions":[{"id":"12"}],"bans":[]}'],
    ['with a ban of the wrong shape', '{"version":1,"sessions":[],"bans":[["w","u","soon"]]}'],
    ['empty', ''],
    ['of an attacker', '{"version":1,"sessions":[{"__proto__":null}],"bans":[null]}'],
  ])('a file %s is reported and ignored', async (_, text) => {
    await open().close();
    file = join(folder, 'bad.json');
    await writeFile(file, text);
    const store = open();
    expect(problems).toEqual([`${file} is damaged: sessions and bans from before the start are lost`]);
    const id = await newSession(store);
    await store.close();
    expect((await saved()).sessions.map((one) => one.id)).toEqual([id]);
  });

  it('a folder that cannot be written to is reported, and the store goes on', async () => {
    await writeFile(join(folder, 'data'), 'a file where a folder should be');
    const store = open();
    expect(problems).toHaveLength(1);
    const id = await newSession(store);
    await clock.advance(1_000);
    for (let i = 0; i < 100 && problems.length < 2; i++) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(problems[1]).toMatch(/^sessions and bans cannot be written to .*: E[A-Z]+$/);
    expect(await store.admit(inSession(id, free), false)).toMatchObject({ kind: 'go' });
    await store.close();
  });

  it('times from a clock that was ahead reach no further than they could now', async () => {
    const store = open();
    const id = await newSession(store);
    const turn = await store.admit(ask(free), false);
    if (turn.kind !== 'go') throw new Error('no turn');
    await store.ban({ ask: ask(free), session: undefined, making: false, upstream: turn.upstream, rule: 'r' });
    await store.close();
    clock = makeFakeClock(1_000);
    const after = open();
    await clock.advance(600_000);
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const next = await after.admit(ask(free), false);
      if (next.kind === 'go') seen.add(next.upstream.id);
    }
    expect(seen.size).toBe(3);
    await clock.advance(1_200_000);
    expect((await after.listSessions('demo')).map((one) => one.id)).not.toContain(id);
    await after.close();
  });

  it('openStore keeps it in the data folder, and refuses a location it does not know', async () => {
    const options = { clock, random: makeRandom(), pool: () => poolOf(upstreams(1)), settings: () => STORE_SETTINGS };
    const store = openStore({ ...options, location: 'memory', data: join(folder, 'here') });
    await newSession(store);
    await store.close();
    expect(await readdir(join(folder, 'here'))).toEqual(['cookies.json', 'state.json']);
    expect(() => openStore({ ...options, location: 'nowhere' })).toThrow('store');
  });
});
