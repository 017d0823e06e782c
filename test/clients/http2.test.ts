/** HTTP/2 inside tunnels (T-08) as curl, Python and Chromium speak it: docs/clients/http2.md. */
import { createHash } from 'node:crypto';
import { expect, it, vi } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { describeClient, type Handler, SITE, startTown, type Town, type TownOptions } from './kit.ts';
import { launchChromium } from './trusting-chromium.ts';

vi.setConfig({ testTimeout: 60_000 });

const town2 = (options: TownOptions = {}): Promise<Town> =>
  startTown({ ...options, yaml: `listen: { http2: true, tls: { port: 0 } }\n${options.yaml ?? ''}` });

const curl = (town: Town, ...args: readonly string[]): Promise<Exit> =>
  run('curl', ['-sS', '-x', town.proxyUrl, '--cacert', town.caFile, ...args]);

const launch = (town: Town, server = `http://${town.address}`) =>
  launchChromium({ proxy: { server, username: town.key, password: 'any' }, caFile: town.caFile });

const PARTS = 60;
const WEBSOCKET = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** A page with many parts, some of which are asked for by script. */
const large: Handler = (request, response) => {
  if (request.url === '/') {
    const parts = Array.from({ length: PARTS }, (_, i) => `<img src="/part/${i}.svg">`).join('');
    response.setHeader('Content-Type', 'text/html');
    response.end(`<!doctype html><link rel="icon" href="data:,"><body>${parts}</body>`);
    return;
  }
  if (request.method === 'POST') {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.on('end', () => response.end(String(bytes)));
    return;
  }
  response.setHeader('Content-Type', 'image/svg+xml');
  response.end(`<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"><!--${'x'.repeat(3_000)}--></svg>`);
};

describeClient('http2', () => {
  it('T-08 curl speaks HTTP/2 to crawlgate, and crawlgate HTTP/1.1 to the website', async () => {
    const town = await town2({ upstreams: 1 });
    const { out } = await curl(town, '-i', '--http2', `${town.site.httpsUrl}/a`);
    expect(out).toMatch(
      /^HTTP\/1\.1 200 Connection established\r\n\r\nHTTP\/2 200 \r\n[\s\S]*\r\nx-crawlera-slave: [\s\S]*page \/a/,
    );
    const names = town.site.seen[0]?.rawHeaders.filter((_, i) => i % 2 === 0);
    expect(names?.slice(0, 3)).toEqual(['Host', 'User-Agent', 'Accept']);
  });

  it('T-08 curl that asks for HTTP/1.1 gets it, as does everybody where the switch is off', async () => {
    const town = await town2();
    expect((await curl(town, '-i', '--http1.1', `${town.site.httpsUrl}/a`)).out).toContain('HTTP/1.1 200 OK');
    const off = await startTown();
    expect((await curl(off, '-i', '--http2', `${off.site.httpsUrl}/a`)).out).toContain('HTTP/1.1 200 OK');
  });

  it('T-08 T-17 curl posts over HTTP/2, fetches side by side, and reads errors in lower case', async () => {
    const town = await town2({ upstreams: 1, handler: large });
    const post = await curl(town, '--http2', '-d', `@${import.meta.filename}`, `${town.site.httpsUrl}/post`);
    expect(Number(post.out)).toBeGreaterThan(1_000);
    const many = await curl(
      town,
      '--http2',
      '-Z',
      '-o',
      '/dev/null',
      '-w',
      '%{http_version} %{http_code}\n',
      `${town.site.httpsUrl}/part/[1-30].svg`,
    );
    expect(many.out.trim().split('\n')).toEqual(Array(30).fill('2 200'));
    const wrong = await curl(town, '-i', '--http2', '-H', 'X-Crawlera-UA: nonsense', `${town.site.httpsUrl}/a`);
    expect(wrong.out).toMatch(/HTTP\/2 540 \r\n[\s\S]*\r\nx-crawlera-error: bad_header\r\n/);
  });

  it('T-08 T-21 curl speaks HTTP/2 in a tunnel that is itself inside TLS', async () => {
    const town = await town2();
    const proxy = ['-x', `https://localhost:${town.proxy.app.tlsAddress?.port}`, '--proxy-cacert', town.caFile];
    const args = [
      '-sS',
      '-i',
      '--http2',
      ...proxy,
      '-U',
      `${town.key}:`,
      '--cacert',
      town.caFile,
      `${town.site.httpsUrl}/a`,
    ];
    expect((await run('curl', args)).out).toMatch(/HTTP\/2 200 [\s\S]*page \/a/);
  });

  it('T-08 Chromium loads a page with 60 parts over HTTP/2, and posts', async () => {
    const town = await town2({ upstreams: 2, handler: large });
    const page = await (await launch(town)).newPage();
    await page.goto(`${town.site.httpsUrl}/`, { waitUntil: 'load' });
    const protocols = await page.evaluate<string[]>(
      `[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')].map((one) => one.nextHopProtocol)`,
    );
    expect(protocols).toEqual(Array(PARTS + 1).fill('h2'));
    expect(
      await page.evaluate<number>(
        `[...document.images].filter((one) => one.complete && one.naturalWidth === 1).length`,
      ),
    ).toBe(PARTS);
    expect(
      await page.evaluate<string>(
        `fetch('/post', { method: 'POST', body: 'x'.repeat(200000) }).then((it) => it.text())`,
      ),
    ).toBe('200000');
    // Chromium asks for things of its own too, and at first without the key (U-05).
    const inside = town.proxy.receipts.filter(({ website }) => website === SITE);
    expect(inside).toHaveLength(PARTS + 2);
    expect(new Set(inside.map(({ outcome }) => outcome))).toEqual(new Set(['ok']));
    expect(town.proxy.bugs).toEqual([]);
  });

  it('T-18 Chromium opens an http/1.1 connection of its own for a WebSocket beside HTTP/2', async () => {
    const town = await town2();
    const [, secure] = town.site.servers;
    secure.on('upgrade', (request, socket) => {
      const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}${WEBSOCKET}`).digest('base64');
      socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n');
      socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
    });
    const page = await (await launch(town)).newPage();
    await page.goto(`${town.site.httpsUrl}/`);
    const url = `${town.site.httpsUrl.replace('https', 'wss')}/socket`;
    const opened = `new Promise((done) => { const it = new WebSocket('${url}'); it.onopen = () => { it.close(); done('open'); }; it.onerror = () => done('error'); })`;
    expect(await page.evaluate(opened)).toBe('open');
    expect(await page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`)).toBe('h2');
  });
});
