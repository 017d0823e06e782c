/** Chromium under Playwright, with its `proxy` option and nothing else: whole pages, forms, cookies, caches, scripts. */
import { randomBytes } from 'node:crypto';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { expect, it, vi } from 'vitest';
import { type Answer, answerChallenges, bodyOf, browse, html, website } from './browser-kit.ts';
import { describeClient, startTown, type Town } from './kit.ts';
import { launchChromium } from './trusting-chromium.ts';

// A browser starts slowly on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

const PIXEL = Buffer.from('R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7', 'base64');
const EACH = 15;
const numbers = Array.from({ length: EACH }, (_, i) => i);

/** 15 style sheets, scripts, images and fetches; the body's text says what became of them. */
const GALLERY = [
  ...numbers.map((i) => `<link rel="stylesheet" href="/style?${i}"><i class="s${i}"></i>`),
  '<script>ran = 0</script>',
  ...numbers.map((i) => `<script src="/script?${i}"></script><img src="/image?${i}">`),
  `<script>onload = async () => {
    const texts = await Promise.all([...Array(${EACH}).keys()].map(async (i) => (await fetch('/data?' + i)).json()));
    const styled = [...document.querySelectorAll('i')].filter((one) => getComputedStyle(one).opacity === '0.5').length;
    const drawn = [...document.images].filter((one) => one.naturalWidth === 1).length;
    document.title = JSON.stringify({ styled, ran, drawn, read: texts.filter((one, i) => one.at === i).length });
  }</script>`,
].join('\n');

const typed =
  (type: string, body: (search: string) => string | Buffer): Answer =>
  (_request, response, { search }) => {
    response.setHeader('Content-Type', type);
    response.end(body(search.slice(1)));
  };

const gallery = website({
  '/': html(GALLERY),
  '/style': typed('text/css', (i) => `.s${i} { opacity: 0.5 }`),
  '/script': typed('text/javascript', () => 'ran++'),
  '/image': typed('image/gif', () => PIXEL),
  '/data': typed('application/json', (i) => `{"at":${i}}`),
});

const address = ({ site }: Town, scheme: string): string => (scheme === 'https' ? site.httpsUrl : site.httpUrl);

const SLAVES = /^127\.0\.0\.1:\d+$/;

describeClient('chromium', () => {
  it.each(['http', 'https'])(
    'T-02 T-04 loads a page of 60 parts over %s, paced, all through the upstreams',
    async (scheme) => {
      const town = await startTown({
        upstreams: 3,
        yaml: 'pacing: { siteDelay: 10ms, slaveDelay: 10ms }',
        handler: gallery,
      });
      const { page, notes } = await browse(town);
      await page.goto(`${address(town, scheme)}/`);
      await page.waitForFunction('document.title !== ""');
      expect(JSON.parse(await page.title())).toEqual({ styled: EACH, ran: EACH, drawn: EACH, read: EACH });
      expect(notes.complaints).toEqual([]);
      const { seen } = town.site;
      expect(seen).toHaveLength(4 * EACH + 1);
      expect(seen.every(({ secure }) => secure === (scheme === 'https'))).toBe(true);
      expect((seen.at(-1)?.atMs ?? 0) - (seen[0]?.atMs ?? 0)).toBeGreaterThan(4 * EACH * 10 - 30);
      const slaves = notes.responses.map((one) => one.headers()['x-crawlera-slave'] ?? '');
      expect(slaves.every((one) => SLAVES.test(one))).toBe(true);
      expect(new Set(slaves).size).toBe(3);
      const { http, https } = town.site;
      const through = town.upstreams.reduce((sum, one) => sum + one.accepted(), 0);
      expect(http.accepted() + https.accepted()).toBe(through);
    },
  );

  it('T-15 posts a form, follows the redirect itself, keeps the cookie, goes back and forward', async () => {
    const bodies: string[] = [];
    const town = await startTown({
      upstreams: 3,
      handler: website({
        '/': html('<form action="/take" method="post"><input name="word"><button>go</button></form>'),
        '/take': async (request, response) => {
          bodies.push(`${request.headers['content-type']} ${await bodyOf(request)}`);
          response.writeHead(303, { Location: '/done', 'Set-Cookie': 'taken=yes; Path=/' });
          response.end();
        },
        '/done': (request, response, url) => html(`done with ${request.headers.cookie}`)(request, response, url),
      }),
    });
    const { page, notes } = await browse(town, `${town.key}-session-form`);
    await page.goto(`${town.site.httpsUrl}/`);
    await page.fill('input', 'grüße & co');
    await page.click('button');
    await page.waitForURL('**/done');
    expect(await page.textContent('body')).toBe('done with taken=yes');
    expect(bodies).toEqual(['application/x-www-form-urlencoded word=gr%C3%BC%C3%9Fe+%26+co']);
    expect(town.site.seen.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /', 'POST /take', 'GET /done']);
    await page.goBack();
    expect(await page.locator('form').count()).toBe(1);
    await page.goForward();
    expect(await page.textContent('body')).toBe('done with taken=yes');
    expect(notes.complaints).toEqual([]);
  });

  it('K-01 K-03 U-11 leaves cookies to the browser under a session name, and keeps them itself under the bare key', async () => {
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '*': (request, response, url) => {
          response.setHeader('Set-Cookie', 'a=1; Path=/');
          void html(String(request.headers.cookie))(request, response, url);
        },
      }),
    });
    const { browser, page } = await browse(town, `${town.key}-session-jar`);
    const ask = async (one: typeof page, path: string): Promise<string | null> => {
      await one.goto(`${town.site.httpsUrl}${path}`);
      return one.textContent('body');
    };
    expect(await ask(page, '/one')).toBe('undefined');
    await page.context().addCookies([{ name: 'own', value: '2', url: town.site.httpsUrl }]);
    expect(await ask(page, '/two')).toBe('a=1; own=2');
    const bare = await browser.newContext({ proxy: { server: `http://${town.address}`, username: town.key } });
    const other = await bare.newPage();
    expect(await ask(other, '/three')).toBe('undefined');
    await bare.addCookies([{ name: 'own', value: '2', url: town.site.httpsUrl }]);
    expect(await ask(other, '/four')).toBe('a=1');
  });

  it('uploads a file of 3 MiB as multipart, byte for byte', async () => {
    const file = randomBytes(3 << 20);
    const town = await startTown({
      upstreams: 1,
      handler: website({
        '/': html(
          '<form action="/up" method="post" enctype="multipart/form-data"><input type="file" name="f"><button>',
        ),
        '/up': async (request, response, url) => {
          const body = await bodyOf(request);
          await html(
            `${body.includes(file)} ${/^multipart\/form-data; boundary=/.test(request.headers['content-type'] ?? '')}`,
          )(request, response, url);
        },
      }),
    });
    const { page } = await browse(town);
    await page.goto(`${town.site.httpsUrl}/`);
    await page.setInputFiles('input', { name: 'blob.bin', mimeType: 'application/octet-stream', buffer: file });
    await page.click('button');
    await page.waitForURL('**/up');
    expect(await page.textContent('body')).toBe('true true');
  });

  it('T-16 passes a CORS preflight and its request, gzip and br, XMLHttpRequest', async () => {
    const text = 'crawl gate '.repeat(2_000);
    const packed =
      (encoding: string, body: Buffer): Answer =>
      (_request, response) => {
        response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Encoding': encoding });
        response.end(body);
      };
    const town = await startTown({
      upstreams: 2,
      handler: website({
        '/': html('here'),
        '/gzip': packed('gzip', gzipSync(text)),
        '/br': packed('br', brotliCompressSync(text)),
        '/api': async (request, response) => {
          const { origin = '', 'access-control-request-headers': asked = '' } = request.headers;
          response.setHeader('Access-Control-Allow-Origin', origin);
          response.setHeader('Access-Control-Allow-Headers', asked);
          response.setHeader('Access-Control-Allow-Methods', 'PUT');
          response.end(
            request.method === 'OPTIONS' ? undefined : `${request.headers['x-own']} ${await bodyOf(request)}`,
          );
        },
      }),
    });
    const { page, notes } = await browse(town);
    await page.goto(`${town.site.httpUrl}/`);
    const texts = "Promise.all(['/gzip', '/br'].map(async (path) => (await fetch(path)).text()))";
    expect(await page.evaluate(texts)).toEqual([text, text]);
    const api = `${town.site.httpsUrl}/api`;
    const put = `fetch('${api}', { method: 'PUT', headers: { 'X-Own': 'yes' }, body: 'data' }).then((one) => one.text())`;
    expect(await page.evaluate(put)).toBe('yes data');
    const asked = town.site.seen.filter(({ url }) => url === '/api').map(({ method }) => method);
    expect(asked).toEqual(['OPTIONS', 'PUT']);
    const xhr = `new Promise((resolve) => {
      const one = new XMLHttpRequest();
      one.onload = () => resolve(one.responseText.length);
      one.open('GET', '/gzip?xhr');
      one.send();
    })`;
    expect(await page.evaluate(xhr)).toBe(text.length);
    expect(notes.complaints).toEqual([]);
  });

  it('T-16 revalidates what the browser has in its cache: the 304 arrives, the page sees the text', async () => {
    const town = await startTown({
      upstreams: 2,
      handler: website({
        '/': html('here'),
        '/kept': (request, response) => {
          const fresh = request.headers['if-none-match'] === '"v1"';
          response.writeHead(fresh ? 304 : 200, { ETag: '"v1"', 'Cache-Control': 'no-cache' });
          response.end(fresh ? undefined : 'kept text');
        },
      }),
    });
    // Playwright switches the cache off where it is told a user name: the challenge is answered beside it.
    const server = `http://${town.address}`;
    const browser = await launchChromium({ proxy: { server }, caFile: town.caFile });
    const page = await browser.newPage();
    const devtools = await page.context().newCDPSession(page);
    await answerChallenges(devtools, server, town.key);
    await page.goto(`${town.site.httpsUrl}/`);
    const kept = "fetch('/kept').then(async (one) => one.status + ' ' + (await one.text()))";
    expect([await page.evaluate(kept), await page.evaluate(kept)]).toEqual(['200 kept text', '200 kept text']);
    const asked = town.site.seen.filter(({ url }) => url === '/kept').map((one) => one.headers['if-none-match']);
    expect(asked).toEqual([undefined, '"v1"']);
  });
});
