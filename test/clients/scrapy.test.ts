/** Scrapy as it is: its own proxy support, its own TLS, its own retries. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { makeAuthority } from '../support/certificates.ts';
import { basic, call } from '../support/client.ts';
import { describeClient, type Handler, startTown, type Town } from './kit.ts';
import { ask, example, scrapy } from './scrapy/programs.ts';
import { tap } from './scrapy/tap.ts';

// Starting Python twice on a busy machine takes its time.
vi.setConfig({ testTimeout: 60_000 });

const proxies = (url: string): Record<string, string> => ({ HTTP_PROXY: url, HTTPS_PROXY: url });
const throughTown = (town: Town) => ({ proxy: town.proxyUrl });

/** Answers every first visit of some pages with a ban of one of three looks, everything else with a page. */
const banningSite = (): { handler: Handler; bans(): number } => {
  const visited = new Set<string>();
  let bans = 0;
  const looks: Readonly<Record<number, readonly [status: number, page: string]>> = {
    3: [503, 'go away'],
    5: [429, 'too many'],
    7: [403, '<html><title>Access denied</title></html>'],
  };
  const handler: Handler = ({ url = '' }, response) => {
    const look = looks[Number(url.slice(1)) % 10];
    response.setHeader('Content-Type', 'text/html');
    if (look === undefined || visited.has(url)) {
      response.end(`<html><title>page ${url}</title></html>`);
      return;
    }
    visited.add(url);
    bans++;
    response.statusCode = look[0];
    response.end(look[1]);
  };
  return { handler, bans: () => bans };
};

/** No request came before its time: the k-th not before k delays after the first, whatever the machine was busy with. */
const expectPace = (town: Town, siteDelayMs: number): void => {
  const [first, ...others] = town.site.seen.map(({ atMs }) => atMs).sort((a, b) => a - b);
  const early = others.map((atMs, i) => (i + 1) * siteDelayMs - (atMs - (first ?? 0)));
  expect(Math.max(...early), 'milliseconds before its time').toBeLessThan(400);
};

const PACED = (siteDelay: string, slaveDelay: string): string =>
  `pacing: { siteDelay: ${siteDelay}, slaveDelay: ${slaveDelay} }\nbans: { duration: 100ms }\n`;

describeClient('scrapy', () => {
  it('T-02 T-04 U-01 takes HTTP_PROXY and HTTPS_PROXY as they are, and verifies no certificate of its own accord', async () => {
    const town = await startTown({ upstreams: 1 });
    const { told } = await ask(
      town,
      [{ url: `${town.site.httpUrl}/a` }, { url: `${town.site.httpsUrl}/b` }],
      {},
      proxies(town.proxyUrl),
    );
    expect(told.map(({ status, body }) => [status, body])).toEqual([
      [200, '<html><body>page /a</body></html>'],
      [200, '<html><body>page /b</body></html>'],
    ]);
    for (const { headers } of told) expect(headers?.['X-Crawlera-Slave']).toBe(`127.0.0.1:${town.upstreams[0]?.port}`);
  });

  it('C-01 verifies with its browser-like context factory: against the CA in SSL_CERT_FILE, and not without', async () => {
    const town = await startTown();
    const factory = 'scrapy.core.downloader.contextfactory.BrowserLikeContextFactory';
    const fetch = (env: Readonly<Record<string, string>>) =>
      scrapy(town, ['fetch', '-s', `DOWNLOADER_CLIENTCONTEXTFACTORY=${factory}`, `${town.site.httpsUrl}/v`], {
        ...proxies(town.proxyUrl),
        ...env,
      });
    expect((await fetch({ SSL_CERT_FILE: town.caFile })).out).toContain('page /v');
    const refused = await fetch({});
    expect(refused.err).toContain('certificate verify failed');
    expect(town.site.seen).toHaveLength(1);
  });

  it('C-04 the example verifies against the CA it is given, and no other', async () => {
    const town = await startTown();
    const other = join(town.folder, 'other.pem');
    writeFileSync(other, makeAuthority().cert);
    const { told } = await example(town, [`${town.site.httpsUrl}/e`], ['-s', 'RETRY_TIMES=0'], { CRAWLGATE_CA: other });
    expect(told[0]?.failed).toContain('certificate verify failed');
    expect(town.site.seen).toEqual([]);
  });

  it('C-07 shows whose certificate it was given, and speaks TLS 1.2 alone when told so', async () => {
    const town = await startTown();
    const settings = { DOWNLOADER_CLIENT_TLS_METHOD: 'TLSv1.2', DOWNLOADER_CLIENT_TLS_VERBOSE_LOGGING: true };
    const { told, exit } = await ask(town, [{ url: `${town.site.httpsUrl}/t`, meta: throughTown(town) }], settings);
    expect(told[0]?.status).toBe(200);
    expect(exit.err).toContain('using protocol TLSv1.2');
    expect(exit.err).toMatch(/SSL connection certificate: issuer ".*crawlgate/i);
  });

  it('T-04 U-07 H-05 F-01 puts the key on CONNECT alone, all other headers inside, and none of its own reaches the target', async () => {
    const town = await startTown({ upstreams: 1 });
    const wire = await tap(town.proxy.port);
    const meta = { proxy: `http://${town.key}:@${wire.address}` };
    const headers = { 'X-Crawlera-JobId': 'job 7', 'X-Mine': '1' };
    const { told } = await ask(town, [
      { url: `${town.site.httpUrl}/plain`, headers, meta },
      { url: `${town.site.httpsUrl}/secret`, headers, meta },
    ]);
    expect(told.map(({ status }) => status)).toEqual([200, 200]);
    const [plain = '', tunnel = ''] = wire.said;
    expect(plain).toMatch(/^GET http:\/\/shop\.localhost:\d+\/plain HTTP\/1\.1\r\n/);
    expect(plain).toContain(`Proxy-Authorization: ${basic(town.key)}`);
    const authority = new URL(town.site.httpsUrl).host;
    const connect = `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${basic(town.key)}\r\n\r\n`;
    expect(tunnel.slice(0, connect.length)).toBe(connect);
    expect(town.proxy.receipts.map(({ job }) => job?.controls.jobId)).toEqual(['job 7', 'job 7']);
    for (const { rawHeaders } of town.site.seen) {
      expect(rawHeaders.join('\n')).toMatch(/^X-Mine$/m);
      expect(rawHeaders.join('\n')).not.toMatch(/proxy-|x-crawlera-/i);
    }
    expect(town.upstreams[0]?.seen.join('')).not.toMatch(/proxy-authorization|x-crawlera-/i);
  });

  it('T-20 keeps its connections: a few requests one after the other need one for http and one tunnel for https', async () => {
    const town = await startTown();
    const wire = await tap(town.proxy.port);
    const meta = { proxy: `http://${town.key}:@${wire.address}` };
    const { httpUrl, httpsUrl } = town.site;
    const urls = [1, 2, 3, 4].flatMap((n) => [`${httpUrl}/${n}`, `${httpsUrl}/${n}`]);
    const { told } = await ask(
      town,
      urls.map((url) => ({ url, meta })),
    );
    expect(told.map(({ status }) => status)).toEqual(urls.map(() => 200));
    expect(wire.said).toHaveLength(2);
  });

  it('U-04 U-05 T-06 shows a wrong key as status 407 on http, and as a TunnelError that hides the code on https', async () => {
    const town = await startTown();
    const meta = { proxy: `http://wrong:@${town.address}` };
    const { told } = await ask(town, [
      { url: `${town.site.httpUrl}/a`, meta },
      { url: `${town.site.httpsUrl}/b`, meta },
    ]);
    expect(told[0]).toMatchObject({ status: 407, headers: { 'X-Crawlera-Error': 'bad_auth' } });
    expect(told[1]?.failed).toMatch(/^TunnelError: .*\{'status': 407, 'reason': b'Proxy Authentication Required'\}/);
    expect(town.site.seen).toEqual([]);
  });

  it('cannot take a key without the colon after it', async () => {
    const town = await startTown();
    const { told } = await ask(town, [
      { url: `${town.site.httpUrl}/a`, meta: { proxy: `http://${town.key}@${town.address}` } },
    ]);
    expect(told[0]?.failed).toMatch(/^TypeError/);
  });

  it('A-05 E-03 posts a body, and sees X-Crawlera-Error inside a tunnel', async () => {
    const bodies: string[] = [];
    const town = await startTown({
      handler: (request, response) => {
        let body = '';
        request.on('data', (bytes: Buffer) => {
          body += bytes.toString();
        });
        request.on('end', () => {
          bodies.push(body);
          response.end('thanks');
        });
      },
    });
    const meta = throughTown(town);
    const post = {
      method: 'POST',
      body: 'q=books',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
      meta,
    };
    const { told } = await ask(
      town,
      [
        { url: `${town.site.httpUrl}/p`, ...post },
        { url: `${town.site.httpsUrl}/p`, ...post },
        { url: `${town.site.httpsUrl}/x`, headers: { 'X-Crawlera-Max-Retries': 'many' }, meta },
        { url: `${town.site.httpsUrl}/y`, headers: { 'X-Crawlera-Session': '1234567' }, meta },
      ],
      { RETRY_ENABLED: false },
    );
    expect(told.map(({ status, headers }) => [status, headers?.['X-Crawlera-Error']])).toEqual([
      [200, undefined],
      [200, undefined],
      [540, 'bad_header'],
      [400, 'bad_session_id'],
    ]);
    expect(bodies).toEqual(['q=books', 'q=books']);
  });

  it('S-01 S-03 the example keeps one upstream over a session made by its first request', async () => {
    const town = await startTown({ upstreams: 3 });
    const urls = [1, 2, 3, 4, 5].map((n) => `${n % 2 ? town.site.httpUrl : town.site.httpsUrl}/${n}`);
    const { told } = await example(town, urls, ['-a', 'session=1']);
    expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    const { session = '', slave = '' } = told[0] ?? {};
    for (const page of told) expect(page).toMatchObject({ session, slave });
    expect(JSON.parse((await call(town.proxy, 'GET', '/sessions')).body)).toEqual({ [session]: slave });
  });

  it('U-11 keeps one upstream with a session named in the proxy address alone', async () => {
    const town = await startTown({ upstreams: 3 });
    const { told } = await ask(
      town,
      [1, 2, 3, 4].map((n) => ({ url: `${town.site.httpsUrl}/${n}` })),
      {},
      proxies(`http://${town.key}-session-cart:@${town.address}`),
    );
    expect(told.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    expect(new Set(told.map(({ headers }) => headers?.['X-Crawlera-Slave'])).size).toBe(1);
  });

  it('asks for robots.txt through crawlgate with the environment, and past it with meta', async () => {
    const town = await startTown({ upstreams: 1 });
    // An address instead of a name: Scrapy itself has to find it.
    const url = `http://127.0.0.1:${town.site.http.port}/page`;
    const robots = (): number => town.upstreams[0]?.seen.filter((head) => head.includes('/robots.txt')).length ?? 0;
    const obey = { ROBOTSTXT_OBEY: true };
    await ask(town, [{ url, meta: throughTown(town) }], obey);
    expect(town.site.seen.map((one) => one.url)).toEqual(['/robots.txt', '/page']);
    expect(robots()).toBe(0);
    await ask(town, [{ url }], obey, proxies(town.proxyUrl));
    expect(town.site.seen.map((one) => one.url)).toEqual(['/robots.txt', '/page', '/robots.txt', '/page']);
    expect(robots()).toBe(1);
  });

  it.each([
    ['httpUrl', 200],
    ['httpsUrl', 60],
  ] as const)(
    'P-03 A-02 A-09 E-08 %s: all of %d pages come back in their pace, though some were banned at first',
    async (which, count) => {
      const { handler, bans } = banningSite();
      const town = await startTown({ upstreams: 2, yaml: PACED('10ms', '20ms'), handler });
      const urls = Array.from({ length: count }, (_, n) => `${town.site[which]}/${n}`);
      const { told, exit } = await example(town, urls);
      const delivered = told.filter(({ status }) => status === 200).map(({ url }) => url);
      expect(delivered.sort(), exit.err).toEqual([...urls].sort());
      expect(told).toHaveLength(count);
      expect(bans()).toBe(count * 0.3);
      expect(town.site.seen).toHaveLength(count * 1.3);
      expectPace(town, 10);
      const exits = town.proxy.receipts.flatMap(({ attempts }) => attempts.map(({ exit: slave }) => slave));
      for (const { port } of town.upstreams)
        expect(exits.filter((slave) => slave === `127.0.0.1:${port}`).length).toBeGreaterThan(2);
      expect(town.site.seen.some(({ rawHeaders }) => /proxy-|x-crawlera-/i.test(rawHeaders.join('\n')))).toBe(false);
      expect(town.proxy.bugs).toEqual([]);
    },
  );

  it('A-01 A-09 notices nothing of upstreams that get 503, 429 and a ban page: the one left serves all', async () => {
    const town = await startTown({ upstreams: 4, yaml: 'pacing: { siteDelay: 5ms, slaveDelay: 5ms }' });
    const bans = ['503 Busy\r\n', '429 Slow down\r\n', '403 Forbidden\r\nContent-Type: text/html\r\n'];
    const [good, ...bad] = town.upstreams;
    for (const [i, upstream] of bad.entries()) {
      upstream.misbehaviour = { reply: `HTTP/1.1 ${bans[i]}Content-Length: 4\r\n\r\nbot!` };
    }
    const urls = Array.from({ length: 60 }, (_, n) => `${town.site.httpUrl}/${n}`);
    const { told } = await example(town, urls, ['-s', 'RETRY_ENABLED=0']);
    expect(told.filter(({ status, slave }) => status === 200 && slave === `127.0.0.1:${good?.port}`)).toHaveLength(60);
    // Requests that were on their way when the first ban came may meet one more.
    for (const upstream of bad) {
      expect(upstream.seen.length).toBeGreaterThan(0);
      expect(upstream.seen.length).toBeLessThan(10);
    }
    expectPace(town, 5);
  });
});
