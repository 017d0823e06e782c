/** Chromium with the vendor's browser plugins' pattern: sessions and headers by request interception, the key by challenge. */
import type { Page } from 'playwright-core';
import { expect, it, vi } from 'vitest';
import { basic } from '../support/client.ts';
import { html, notesOf, website } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';
import { pluginByDevtools, pluginByRoutes } from './plugin-pattern.ts';
import { launchChromium } from './trusting-chromium.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PARTS = 10;

const shop = website({
  '/': html(Array.from({ length: PARTS }, (_, i) => `<img src="/image?${i}">`).join('')),
  '/image': (_request, response) => {
    response.setHeader('Content-Type', 'image/svg+xml');
    response.end('<svg xmlns="http://www.w3.org/2000/svg"/>');
  },
  '/banned': (request, response, url) => {
    response.statusCode = 503;
    return html('go away')(request, response, url);
  },
  '/locked': (_request, response) => {
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="shop"' });
    response.end('locked');
  },
});

const open = async (town: Town, credentials = {}): Promise<Page> => {
  const proxy = { server: `http://${town.address}`, ...credentials };
  const browser = await launchChromium({ proxy, caFile: town.caFile });
  return browser.newPage();
};

const drop = async (town: Town, id: string | undefined): Promise<void> => {
  const headers = { Authorization: basic(town.key) };
  const { status } = await fetch(`http://${town.address}/sessions/${id}`, { method: 'DELETE', headers });
  expect(status).toBe(204);
};

/** Nothing of the proxy's reached the website (F-01), and the browser's own headers did (G-04). */
const expectCleanRequests = ({ site }: Town): void => {
  const names = site.seen.flatMap(({ rawHeaders }) => rawHeaders.filter((_, i) => i % 2 === 0));
  expect(names.filter((name) => /^(?:x-crawlera|zyte|proxy)-/i.test(name))).toEqual([]);
  expect(site.seen.every(({ headers }) => headers['user-agent']?.includes('HeadlessChrome'))).toBe(true);
};

describeClient('browserPlugins', () => {
  it.each(['http', 'https'])('S-04 H-15 U-05 loads a page over %s in the session it made before', async (scheme) => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const page = await open(town);
    const notes = notesOf(page);
    const spmHost = `http://${town.address}`;
    const trace = await pluginByDevtools(page, { spmHost, key: town.key });
    await page.goto(`${scheme === 'https' ? town.site.httpsUrl : town.site.httpUrl}/`);
    expect(notes.complaints).toEqual([]);
    expect(notes.responses.map((one) => one.status())).toEqual(Array(PARTS + 1).fill(200));
    expect(trace.challenges).not.toEqual([]);
    expect(new Set(trace.challenges)).toEqual(new Set([spmHost]));
    const slaves = new Set(notes.responses.map((one) => one.headers()['x-crawlera-slave']));
    const sessions = new Set(notes.responses.map((one) => one.headers()['x-crawlera-session']));
    expect(slaves.size).toBe(1);
    expect([...sessions]).toEqual(trace.sessions);
    expectCleanRequests(town);
  });

  it('S-09 T-08 T-09 notices bad_session_id by the exact spelling of its header, over http and https, and goes on anew', async () => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const page = await open(town);
    const trace = await pluginByDevtools(page, { spmHost: `http://${town.address}`, key: town.key });
    const devtools = await page.context().newCDPSession(page);
    const heads: string[] = [];
    devtools.on('Network.responseReceivedExtraInfo', ({ headersText = '' }) => heads.push(headersText));
    await devtools.send('Network.enable');
    // An icon asked for beside the page would make a session of its own at the same moment.
    await devtools.send('Network.setBlockedURLs', { urls: ['*favicon.ico'] });
    for (const url of [town.site.httpsUrl, town.site.httpUrl]) {
      expect((await page.goto(`${url}/banned?first`))?.status()).toBe(503);
      const id = trace.sessions.at(-1);
      await drop(town, id);
      const bad = await page.goto(`${url}/banned?second`);
      expect(bad?.status()).toBe(400);
      expect(heads.at(-1)).toContain('\r\nX-Crawlera-Error: bad_session_id\r\n');
      expect(heads.at(-1)).toContain(`\r\nX-Crawlera-Session: ${id}\r\n`);
      const good = await page.goto(`${url}/banned?third`);
      expect(await good?.text()).toContain('go away');
      expect(trace.sessions.at(-1)).not.toBe(id);
    }
    expect(trace.sessions).toHaveLength(3);
    expect([...trace.names].sort()).toEqual([
      'X-Crawlera-Error',
      'X-Crawlera-Session',
      'X-Crawlera-Slave',
      'X-Crawlera-Version',
    ]);
  });

  it('H-25 S-16 shows the website its own ban page, and keeps the session', async () => {
    const town = await startTown({ upstreams: 2, handler: shop });
    const page = await open(town);
    const trace = await pluginByDevtools(page, { spmHost: `http://${town.address}`, key: town.key });
    for (const expected of [503, 503]) {
      const response = await page.goto(`${town.site.httpsUrl}/banned`);
      expect(response?.status()).toBe(expected);
      expect(await page.textContent('body')).toBe('go away');
      expect(response?.headers()['x-crawlera-error']).toBeUndefined();
    }
    expect(trace.sessions).toHaveLength(1);
  });

  it('U-05 gives its key to nobody whose origin is not the very text of spm_host', async () => {
    const town = await startTown({ handler: shop });
    const page = await open(town);
    const notes = notesOf(page);
    const spmHost = `http://${town.address.replace('127.0.0.1', 'localhost')}`;
    const trace = await pluginByDevtools(page, { spmHost, key: town.key });
    await page.goto(`${town.site.httpUrl}/`).catch(() => {});
    expect(trace.sessions).toHaveLength(1);
    expect(trace.challenges).toEqual([`http://${town.address}`]);
    expect(notes.responses.map((one) => one.status())).toEqual([407]);
    expect(town.site.seen).toEqual([]);
  });

  it('F-03 leaves the 401 of a website unanswered', async () => {
    const town = await startTown({ handler: shop });
    const page = await open(town);
    const trace = await pluginByDevtools(page, { spmHost: `http://${town.address}`, key: town.key });
    await page.goto(`${town.site.httpsUrl}/locked`).catch(() => {});
    expect(trace.challenges).toContain(town.site.httpsUrl);
    expect(town.site.seen.length).toBeGreaterThan(0);
    expect(town.site.seen.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it('S-04 U-08 fails the page when no session can be made', async () => {
    const town = await startTown({ handler: shop });
    const page = await open(town);
    const trace = await pluginByDevtools(page, { spmHost: `http://${town.address}`, key: 'wrong' });
    await expect(page.goto(`${town.site.httpsUrl}/`)).rejects.toThrow('net::ERR_FAILED');
    expect(trace.failures).toHaveLength(1);
    expect(town.site.seen).toEqual([]);
  });

  it('H-05 works with routes instead of the devtools, the 407 left to Playwright', async () => {
    const town = await startTown({ upstreams: 3, handler: shop });
    const page = await open(town, { username: town.key, password: '' });
    const notes = notesOf(page);
    const trace = await pluginByRoutes(page, { spmHost: `http://${town.address}`, key: town.key });
    await page.goto(`${town.site.httpsUrl}/`);
    expect(notes.responses.map((one) => one.status())).toEqual(Array(PARTS + 1).fill(200));
    expect(new Set(notes.responses.map((one) => one.headers()['x-crawlera-session']))).toEqual(new Set(trace.sessions));
    await drop(town, trace.sessions[0]);
    expect((await page.goto(`${town.site.httpUrl}/banned`))?.status()).toBe(400);
    expect((await page.goto(`${town.site.httpUrl}/banned`))?.status()).toBe(503);
    expect(trace.sessions).toHaveLength(2);
    expectCleanRequests(town);
  });

  it('U-05 has no other way: the browser itself refuses a Proxy-Authorization of setExtraHTTPHeaders', async () => {
    const town = await startTown({ upstreams: 1, handler: shop });
    const page = await open(town);
    await page.setExtraHTTPHeaders({ 'Proxy-Authorization': basic(town.key) });
    for (const url of [town.site.httpUrl, town.site.httpsUrl]) {
      await expect(page.goto(`${url}/`)).rejects.toThrow('net::ERR_INVALID_ARGUMENT');
    }
    expect(town.site.seen).toEqual([]);
  });
});
