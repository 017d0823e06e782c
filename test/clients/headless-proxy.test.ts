/** A headless proxy in front of crawlgate: whole pages through one session, with bans, lost sessions and upstreams that go away. */
import { readFileSync } from 'node:fs';
import { expect, it, onTestFinished, vi } from 'vitest';
import { type Answer, call } from '../support/client.ts';
import { until } from '../support/sockets.ts';
import { type HeadlessOptions, type HeadlessProxy, makeHeadlessProxy } from './headless/proxy.ts';
import { describeClient, type Handler, startTown, type Town } from './kit.ts';

// Sixty handshakes on a busy machine take their time.
vi.setConfig({ testTimeout: 60_000 });

const RESOURCES = 60;

const headless = (town: Town, options: Partial<HeadlessOptions> = {}): HeadlessProxy => {
  const { port } = town.proxy;
  const ca = readFileSync(town.caFile, 'utf8');
  const proxy = makeHeadlessProxy({ port, key: town.key, ca, ...options });
  onTestFinished(() => proxy.close());
  return proxy;
};

const sessionsOf = async (town: Town): Promise<Record<string, string>> =>
  JSON.parse((await call(town.proxy, 'GET', '/sessions')).body) as Record<string, string>;

/** A page and all it is made of, at once. */
const loadPage = (browser: HeadlessProxy, base: string): Promise<Answer[]> =>
  Promise.all(Array.from({ length: RESOURCES }, (_, n) => browser.load(`${base}/${n}`)));

/** Every answer is the site's, and all but the session's replacement came through one session. */
const expectWhole = (answers: readonly Answer[]): void => {
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  expect(answers.filter((answer) => answer.header('X-Crawlera-Error') !== undefined)).toEqual([]);
};

const idsOf = (answers: readonly Answer[]): Set<string | undefined> =>
  new Set(answers.map((answer) => answer.header('X-Crawlera-Session')));

/** Bans whoever sends the request of this number, counted from 0 over the whole test; everybody else is served. */
const banningOnce = (place: number): Handler => {
  let served = 0;
  return (_request, response) => {
    if (served++ === place) response.writeHead(429).end('slow down');
    else response.end('resource');
  };
};

describeClient('headlessProxy', () => {
  it.each(['httpUrl', 'httpsUrl'] as const)(
    'T-05 U-07 S-01 S-19 %s: one request makes the session, sixty resources share it',
    async (which) => {
      const town = await startTown({ upstreams: 3 });
      const browser = headless(town);
      const answers = await loadPage(browser, town.site[which]);
      expectWhole(answers);
      expect(browser.created()).toBe(1);
      const [id = ''] = idsOf(answers);
      expect([...idsOf(answers)]).toEqual([id]);
      expect(new Set(answers.map((answer) => answer.header('X-Crawlera-Slave'))).size).toBe(1);
      expect(Object.keys(await sessionsOf(town))).toEqual([id]);
      expect(town.site.seen).toHaveLength(RESOURCES);
      expect(town.site.seen.some(({ rawHeaders }) => /proxy-|x-crawlera-/i.test(rawHeaders.join('\n')))).toBe(false);
    },
  );

  it.each(['httpUrl', 'httpsUrl'] as const)(
    'S-14 S-15 R-03 A-09 %s: a ban in the middle costs one session, not one resource',
    async (which) => {
      const town = await startTown({ upstreams: 3, handler: banningOnce(30) });
      const browser = headless(town);
      const answers = await loadPage(browser, town.site[which]);
      expectWhole(answers);
      expect(browser.created()).toBe(2);
      expect(browser.deletions).toEqual([204]);
      const live = await sessionsOf(town);
      const [id = ''] = Object.keys(live);
      expect(Object.keys(live)).toEqual([id]);
      expect([...idsOf(answers)].sort()).toEqual([...browser.deleted, id].sort());
      // The banned upstream serves nobody of this website for a while.
      const first = answers.find((answer) => answer.header('X-Crawlera-Session') === browser.deleted[0]);
      expect(live[id]).not.toBe(first?.header('X-Crawlera-Slave'));
    },
  );

  it('S-13 a session whose very first request is banned is known by its id, deleted and made anew', async () => {
    const town = await startTown({ handler: banningOnce(0) });
    const browser = headless(town);
    expectWhole(await loadPage(browser, town.site.httpsUrl));
    expect(browser.created()).toBe(2);
    expect(browser.deletions).toEqual([204]);
    expect(Object.keys(await sessionsOf(town))).toHaveLength(1);
  });

  it('S-09 a session deleted behind its back fails sixty requests with its id, and one of them makes another', async () => {
    const town = await startTown({ upstreams: 3 });
    const browser = headless(town);
    const [id = ''] = idsOf([await browser.load(`${town.site.httpsUrl}/first`)]);
    expect((await call(town.proxy, 'DELETE', `/sessions/${id}`)).status).toBe(204);
    const answers = await loadPage(browser, town.site.httpsUrl);
    expectWhole(answers);
    expect(browser.created()).toBe(2);
    expect(browser.deleted).toEqual([id]);
    expect(browser.deletions).toEqual([400]);
    expect(idsOf(answers).size).toBe(1);
    expect(Object.keys(await sessionsOf(town))).toEqual([...idsOf(answers)]);
  });

  it('S-11 S-09 an expired session is noticed by its echoed id and replaced at the first try', async () => {
    const town = await startTown({ upstreams: 2, yaml: 'sessions: { idle: 1s }' });
    const browser = headless(town);
    const [id = ''] = idsOf([await browser.load(`${town.site.httpsUrl}/first`)]);
    await vi.waitUntil(async () => Object.keys(await sessionsOf(town)).length === 0, { timeout: 10_000, interval: 20 });
    const second = await browser.load(`${town.site.httpsUrl}/second`);
    expectWhole([second]);
    expect(second.header('X-Crawlera-Session')).not.toBe(id);
    expect(browser.deleted).toEqual([id]);
    expect(town.site.seen.map(({ url }) => url)).toEqual(['/first', '/second']);
  });

  it('S-18 A-04 an upstream that goes away takes its session along, and the page comes through another', async () => {
    const town = await startTown({ upstreams: 2 });
    const browser = headless(town);
    const first = await browser.load(`${town.site.httpUrl}/first`);
    const gone = town.upstreams.find(({ port }) => first.header('X-Crawlera-Slave') === `127.0.0.1:${port}`);
    await gone?.close();
    const answers = await loadPage(browser, town.site.httpUrl);
    expectWhole(answers);
    expect(browser.created()).toBe(2);
    expect(browser.deleted).toEqual([...idsOf([first])]);
    expect(answers.some((answer) => answer.header('X-Crawlera-Slave') === `127.0.0.1:${gone?.port}`)).toBe(false);
  });

  it('S-06 deletes the session of a browser that rests', async () => {
    const town = await startTown();
    const browser = headless(town, { idleMs: 60 });
    const [id] = idsOf([await browser.load(`${town.site.httpsUrl}/only`)]);
    await until(() => browser.deletions.length > 0, 'the session deleted');
    expect(browser.deleted).toEqual([id]);
    expect(browser.deletions).toEqual([204]);
    expect(await sessionsOf(town)).toEqual({});
  });

  it('A-05 posts a form in the session, and tells an error that the second try meets too', async () => {
    const bodies: string[] = [];
    const town = await startTown({
      handler: (request, response) => {
        request.on('data', (bytes: Buffer) => bodies.push(bytes.toString()));
        request.on('end', () => response.writeHead(request.url === '/banned' ? 429 : 200).end('thanks'));
      },
    });
    const browser = headless(town);
    expectWhole([await browser.load(`${town.site.httpsUrl}/form`, { method: 'POST', body: 'q=books' })]);
    expect(bodies).toEqual(['q=books']);
    const banned = await browser.load(`${town.site.httpsUrl}/banned`);
    expect(banned.status).toBe(503);
    expect(banned.header('X-Crawlera-Error')).toBe('slavebanned');
    expect(browser.created()).toBe(2);
  });

  it('U-06 T-04 gets no tunnel with a wrong key, and 407 on http', async () => {
    const town = await startTown();
    const browser = headless(town, { key: 'wrong' });
    await expect(browser.load(`${town.site.httpsUrl}/a`)).rejects.toThrow('CONNECT was answered 407');
    const answer = await browser.load(`${town.site.httpUrl}/a`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([407, 'bad_auth']);
    expect(browser.deleted).toEqual([]);
  });
});
