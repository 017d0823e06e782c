/** Chromium under Playwright: a session named in the proxy's user name, the only place where a browser can name one. */
import type { Browser } from 'playwright-core';
import { expect, it, vi } from 'vitest';
import { basic } from '../support/client.ts';
import { until } from '../support/sockets.ts';
import { browse, html, type Notes, notesOf, pageAs, website } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PARTS = 20;

/** A page of 20 images that need not be drawn. */
const album = website({
  '/': html(Array.from({ length: PARTS }, (_, i) => `<img src="/image?${i}">`).join('')),
  '/image': (_request, response) => {
    response.setHeader('Content-Type', 'image/svg+xml');
    response.end('<svg xmlns="http://www.w3.org/2000/svg"/>');
  },
});

const valuesOf = ({ responses }: Notes, header: string): (string | undefined)[] => [
  ...new Set(responses.map((one) => one.headers()[header])),
];

interface Visited {
  readonly sessions: readonly (string | undefined)[];
  readonly slaves: readonly (string | undefined)[];
  readonly agents: readonly (string | undefined)[];
}

/** Opens the album as `name`; every part of it arrives. */
const visit = async (browser: Browser, town: Town, name: string): Promise<Visited> => {
  const page = await pageAs(browser, town, `${town.key}-session-${name}`);
  const notes = notesOf(page);
  const from = town.site.seen.length;
  await page.goto(`${town.site.httpsUrl}/`);
  const agents = new Set(town.site.seen.slice(from).map(({ headers }) => headers['user-agent']));
  expect(notes.complaints).toEqual([]);
  expect(notes.responses.map((one) => one.status())).toEqual(Array(PARTS + 1).fill(200));
  await page.context().close();
  return {
    sessions: valuesOf(notes, 'x-crawlera-session'),
    slaves: valuesOf(notes, 'x-crawlera-slave'),
    agents: [...agents],
  };
};

const listed = async (town: Town): Promise<Record<string, string>> => {
  const response = await fetch(`http://${town.address}/sessions`, { headers: { Authorization: basic(town.key) } });
  return (await response.json()) as Record<string, string>;
};

describeClient('chromium', () => {
  it('U-11 S-03 sends every part of a page through the one upstream of a named session, two names through two', async () => {
    const town = await startTown({ upstreams: 3, handler: album });
    const { browser } = await browse(town);
    const ada = await visit(browser, town, 'ada');
    const bob = await visit(browser, town, 'bob');
    for (const { sessions, slaves, agents } of [ada, bob]) {
      expect(sessions).toEqual([expect.stringMatching(/^\d{7,15}$/)]);
      expect(slaves).toHaveLength(1);
      expect(agents).toEqual([expect.stringContaining('HeadlessChrome')]);
    }
    expect(bob.sessions).not.toEqual(ada.sessions);
    expect(bob.slaves).not.toEqual(ada.slaves);
    expect(await listed(town)).toEqual({
      [String(ada.sessions[0])]: ada.slaves[0],
      [String(bob.sessions[0])]: bob.slaves[0],
    });
    expect(await visit(browser, town, 'ada')).toEqual(ada);
  });

  it('U-11 S-06 goes on in a new session, without an error, once the old one was deleted', async () => {
    const town = await startTown({ upstreams: 3, handler: album });
    const { browser } = await browse(town);
    const before = await visit(browser, town, 'ada');
    const url = `http://${town.address}/sessions/${before.sessions[0]}`;
    const gone = await fetch(url, { method: 'DELETE', headers: { Authorization: basic(town.key) } });
    expect(gone.status).toBe(204);
    const after = await visit(browser, town, 'ada');
    expect(after.sessions).toHaveLength(1);
    expect(after.sessions).not.toEqual(before.sessions);
  });

  it('U-11 S-11 goes on in a new session, without an error, once the old one has expired', async () => {
    const town = await startTown({ upstreams: 3, handler: album, yaml: 'sessions: { idle: 3s }' });
    const { browser } = await browse(town);
    const before = await visit(browser, town, 'ada');
    let count = 1;
    await until(
      () => {
        void listed(town).then((sessions) => {
          count = Object.keys(sessions).length;
        });
        return count === 0;
      },
      'the end of the session',
      20_000,
    );
    const after = await visit(browser, town, 'ada');
    expect(after.sessions).toHaveLength(1);
    expect(after.sessions).not.toEqual(before.sessions);
  });

  it('H-05 S-14 stays with the banned upstream: the browser gets 503 slavebanned until another name is used', async () => {
    const town = await startTown({
      upstreams: 2,
      handler: website({
        '/': (request, response, url) => {
          if (request.headers['x-shunned']) response.statusCode = 429;
          return html('fine')(request, response, url);
        },
      }),
    });
    const { page, browser } = await browse(town, `${town.key}-session-ada`, {
      extraHTTPHeaders: { 'X-Shunned': '1', 'X-Crawlera-Max-Retries': '0' },
    });
    const banned = await page.goto(`${town.site.httpsUrl}/`);
    expect(banned?.status()).toBe(503);
    expect(banned?.headers()['x-crawlera-error']).toBe('slavebanned');
    expect(banned?.headers()['x-crawlera-session']).toMatch(/^\d+$/);
    const again = await page.goto(`${town.site.httpsUrl}/`);
    expect(again?.headers()['x-crawlera-session']).toBe(banned?.headers()['x-crawlera-session']);
    expect(town.site.seen).toHaveLength(1);
    const other = await (await pageAs(browser, town, `${town.key}-session-bob`)).goto(`${town.site.httpsUrl}/`);
    expect(other?.status()).toBe(200);
    expect(other?.headers()['x-crawlera-slave']).not.toBe(banned?.headers()['x-crawlera-slave']);
  });
});
