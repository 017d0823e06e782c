/** Crawlee's ProxyConfiguration and the HTTP client its crawlers use. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeClient, startTown } from './kit.ts';
import { echo, runExample, runScript, WRONG_KEY } from './node-support.ts';

const LINE = /^GET 200 {2}(\w+) is session (\d+) at (127\.0\.0\.1:\d+)$/gm;

describeClient('crawlee', () => {
  it.each(['http', 'https'] as const)(
    'U-11 S-03 keeps each of its sessions to one upstream over %s',
    async (scheme) => {
      const town = await startTown({ upstreams: 2, handler: echo });
      const { out, err } = await runExample(town, 'crawlee', `${town.site[`${scheme}Url`]}/a`);
      expect(err).toBe('');
      const [first, again, other] = [...out.matchAll(LINE)].map(([, name, session, exit]) => ({ name, session, exit }));
      expect(first?.name).toBe('session_A1');
      expect(again).toEqual(first);
      expect(other?.name).toBe('session_B2');
      expect(other?.session).not.toBe(first?.session);
      expect(other?.exit).not.toBe(first?.exit);
      expect(town.site.seen).toHaveLength(3);
      expect(town.site.seen.flatMap(({ rawHeaders }) => rawHeaders).join()).not.toMatch(/crawlera|proxy-/i);
    },
  );

  it('U-06 E-03 shows a wrong key: 407 over http, an error over https', async () => {
    const town = await startTown();
    const key = WRONG_KEY;
    const [plain, tunnel] = await Promise.all([
      runExample(town, 'crawlee', town.site.httpUrl, { key }),
      runExample(town, 'crawlee', town.site.httpsUrl, { key }),
    ]);
    expect(plain?.out).toMatch(/^GET 407 bad_auth session_A1/);
    expect(tunnel?.err).toContain('Proxy responded with 407');
  });

  it('C-01 verifies certificates when told to', async () => {
    const town = await startTown();
    const caFile = join(town.folder, 'another.pem');
    writeFileSync(caFile, town.site.root);
    const { err, status } = await runExample(town, 'crawlee', town.site.httpsUrl, { caFile });
    expect(err).toMatch(/certificate/);
    expect([status, town.site.seen.length]).toEqual([1, 0]);
  });

  it('U-01 gives host, port, user name and password of a URL in proxyUrls', async () => {
    const town = await startTown({ handler: echo });
    const source = `
      import { request } from 'node:http';
      import { ProxyConfiguration } from '@crawlee/core';
      const configuration = new ProxyConfiguration({ proxyUrls: ['${town.proxyUrl}'] });
      const { hostname, port, username, password } = await configuration.newProxyInfo('any');
      console.log(username, JSON.stringify(password), await configuration.newUrl());
      const headers = { 'Proxy-Authorization': 'Basic ' + btoa(username + ':' + password), Host: '${new URL(town.site.httpUrl).host}' };
      request({ host: hostname, port, path: process.argv[1], headers }, (page) => page.pipe(process.stdout)).end();`;
    const { out, err } = await runScript(town, source, [`${town.site.httpUrl}/plain`]);
    expect(err).toBe('');
    expect(out).toBe(`${town.key} "" ${town.proxyUrl}\nsaw GET /plain `);
  });

  it('U-11 H-06 posts with headers of its own through the session that a user name names', async () => {
    const town = await startTown({ upstreams: 2, handler: echo });
    const source = `
      import { GotScrapingHttpClient, ProxyConfiguration } from '@crawlee/core';
      const newUrlFunction = (id) => 'http://${town.key}-session-' + id + ':@${town.address}';
      const configuration = new ProxyConfiguration({ newUrlFunction });
      const client = new GotScrapingHttpClient();
      for (const body of ['a=1', 'a=2']) {
        const proxyUrl = await configuration.newUrl('basket');
        const headers = { 'User-Agent': 'my-crawler/1.0' };
        const { body: text } = await client.sendRequest({ url: process.argv[1], method: 'POST', headers, body, proxyUrl });
        console.log(text);
      }`;
    const { out, err } = await runScript(town, source, [`${town.site.httpsUrl}/buy`]);
    expect(out + err).toBe('saw POST /buy a=1\nsaw POST /buy a=2\n');
    expect(town.site.seen.map(({ headers }) => headers['user-agent'])).toEqual(['my-crawler/1.0', 'my-crawler/1.0']);
    const [first, second] = town.proxy.receipts;
    expect(first?.session).toBeDefined();
    expect(second?.session).toBe(first?.session);
  });
});
