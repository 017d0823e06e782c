/** What of the memory store's cookies outlives the process, and how much all jars hold. */
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { StoredCookie } from '../../src/model/cookies.ts';
import type { Store } from '../../src/pipeline/store-port.ts';
import { identityOf } from '../../src/policy/cookies.ts';
import { makeJars } from '../../src/store/jars.ts';
import { openStore } from '../../src/store/open.ts';
import { type FakeClock, makeFakeClock } from '../support/fake-clock.ts';
import { makeRandom, poolOf, STORE_SETTINGS, upstreams } from '../support/store-house.ts';

const SITE = 'shop.localhost';

const cookie = (name: string, over: Partial<StoredCookie> = {}): StoredCookie => ({
  name,
  value: '1',
  domain: SITE,
  path: '/',
  hostOnly: true,
  secure: false,
  createdAt: 1,
  expiresAt: undefined,
  ...over,
});

describe("cookies in the memory store's folder", () => {
  let data: string;
  let file: string;
  let clock: FakeClock;
  let problems: string[];

  beforeEach(async () => {
    data = await mkdtemp(join(tmpdir(), 'store-'));
    file = join(data, 'cookies.json');
    clock = makeFakeClock();
    problems = [];
  });
  afterEach(() => rm(data, { recursive: true, force: true }));

  const pool = poolOf(upstreams(2));
  const open = (): Store =>
    openStore({
      location: 'memory',
      data,
      clock,
      random: makeRandom(),
      pool: () => pool,
      settings: () => STORE_SETTINGS,
      report: (problem) => problems.push(problem),
    });

  const newSession = async (store: Store): Promise<string> => {
    const opened = await store.openSession('demo', 10, undefined);
    if (!('id' in opened)) throw new Error('no session');
    return opened.id;
  };

  const keep = (store: Store, session: string | undefined, ...cookies: StoredCookie[]) =>
    store.cookies.keep(
      { account: 'demo', session, upstream: 'u0' },
      SITE,
      cookies.map((one) => [identityOf(one), one]),
    );

  const read = async (store: Store, session: string | undefined): Promise<StoredCookie[]> => [
    ...((await store.cookies.read({ account: 'demo', session, upstream: 'u0' }, SITE))?.values() ?? []),
  ];

  it("S-20 K-05 a session's cookies are there again after a restart, an upstream's are not", async () => {
    const before = open();
    const [one, two] = [await newSession(before), await newSession(before)];
    const kept = [cookie('a', { value: '\xe4"', expiresAt: 4e12, secure: true }), cookie('b', { hostOnly: false })];
    await keep(before, one, ...kept);
    await keep(before, two, cookie('two'));
    await keep(before, undefined, cookie('passing'));
    await before.closeSession('demo', two);
    await before.close();
    const text = await readFile(file, 'utf8');
    expect(text).not.toContain('passing');
    expect(text).not.toContain('two');
    expect((await stat(file)).mode & 0o777).toBe(0o600);

    const after = open();
    expect(await read(after, one)).toEqual(kept);
    expect(await read(after, undefined)).toEqual([]);
    await after.closeSession('demo', one);
    expect(await read(after, one)).toEqual([]);
    await after.close();
    expect(problems).toEqual([]);
  });

  it('S-11 cookies of a session that ended while nothing ran are gone', async () => {
    const before = open();
    const id = await newSession(before);
    await keep(before, id, cookie('a'));
    await before.close();
    await clock.advance(1_800_000);
    const after = open();
    expect(await after.listSessions('demo')).toEqual([]);
    expect(await read(after, id)).toEqual([]);
    await after.close();
    expect(await readFile(file, 'utf8')).not.toContain('"a"');
  });

  it.each([
    ['not JSON', '{"version":1,'],
    ['of another version', '{"version":2,"jars":[]}'],
    ['with a jar of the wrong shape', '{"version":1,"jars":[{"account":"demo","session":"1","cookies":[["s",{}]]}]}'],
    ['empty', ''],
  ])('a file %s is reported without its contents, and ignored', async (_what, text) => {
    await writeFile(file, text);
    const store = open();
    expect(problems).toEqual([`${file} is damaged: cookies of sessions from before the start are lost`]);
    const id = await newSession(store);
    await keep(store, id, cookie('a'));
    expect(await read(store, id)).toHaveLength(1);
    await store.close();
  });

  it('a folder in the place of the file is reported, and the store goes on', async () => {
    await mkdir(file);
    const store = open();
    const id = await newSession(store);
    await keep(store, id, cookie('a'));
    await store.close();
    expect(problems).toHaveLength(2);
    expect(problems.join()).toMatch(/cookies of sessions cannot be read .*cookies of sessions cannot be written/);
  });
});

describe('all jars together', () => {
  const BIG = 'x'.repeat(4_000);
  const SITES = 100;

  it('hold no more than 128 MiB: the one used longest ago goes first, whatever its kind', () => {
    const jars = makeJars(() => 1e12);
    const keyOf = (n: number) => ({ account: 'demo', session: n % 2 === 0 ? `${n}` : undefined, upstream: `u${n}` });
    const fill = (n: number): void => {
      for (let site = 0; site < SITES; site++) {
        const cookies = Array.from({ length: 15 }, (_, i) => cookie(`c${i}`, { value: BIG }));
        jars.keep(
          keyOf(n),
          `s${site}`,
          cookies.map((one) => [one.name, one]),
          n,
        );
      }
    };
    const has = (n: number, now: number): boolean => jars.read(keyOf(n), 's0', now) !== undefined;
    // About 5.9 MiB each.
    for (let n = 0; n < 21; n++) fill(n);
    expect(has(0, 30)).toBe(true);
    fill(31);
    fill(32);
    expect([has(0, 40), has(1, 40), has(2, 40), has(3, 40)]).toEqual([true, false, false, true]);
    expect(jars.ofSessions(16 * 1_048_576).map(({ session }) => session)).toEqual(['0', '32']);
  });
});
