/** GNU Wget: its environment variables and options, pages kept on one connection, errors as it shows them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { run } from '../support/child.ts';
import { expectNothingOfOurs, used } from './command-support.ts';
import { describeClient, type Handler } from './kit.ts';
import { banning, echo, environment, firstLines, startTapped, type TappedTown, WRONG_KEY } from './languages.ts';

const SCHEMES = ['http', 'https'] as const;

const proxied = (town: TappedTown, user = `${town.key}:`): Record<string, string> => ({
  http_proxy: `http://${user}@${town.tap.address}/`,
  https_proxy: `http://${user}@${town.tap.address}/`,
});

const wget = (town: TappedTown, env: Readonly<Record<string, string>>, ...args: readonly string[]) =>
  run('wget', ['-nv', `--ca-certificate=${town.caFile}`, '-O', '-', ...args], { env });

describeClient('wget', () => {
  it.each(SCHEMES)('T-02 T-04 T-20 fetches %s pages on one connection with examples/wget/fetch.sh', async (scheme) => {
    const town = await startTapped({ upstreams: 1 });
    const urls = ['/a?b=1', '/c'].map((path) => town.site[`${scheme}Url`] + path);
    const { out, status } = await run('examples/wget/fetch.sh', urls, { env: environment(town) });
    expect([out, status]).toEqual(['GET /a?b=1 []GET /c []', 0]);
    const lines =
      scheme === 'http' ? urls.map((url) => `GET ${url}`) : [`CONNECT shop.localhost:${town.site.https.port}`];
    expect(firstLines(town.tap)).toEqual(lines);
    expect(town.tap.heads).toHaveLength(1);
    expectNothingOfOurs(town.site.seen);
  });

  it('U-01 takes proxy and key as options too', async () => {
    const town = await startTapped();
    const options = ['-e', 'use_proxy=yes', '-e', `https_proxy=${town.tap.address}`, '--proxy-user', town.key];
    const { out } = await wget(town, {}, ...options, '--proxy-password=', `${town.site.httpsUrl}/a`);
    expect(out).toBe('GET /a []');
    expect(town.tap.heads).toHaveLength(1);
  });

  it('C-01 refuses an https page without the CA; SSL_CERT_FILE is not for it', async () => {
    const town = await startTapped();
    const args = ['-nv', '-O', '-', `${town.site.httpsUrl}/`];
    const { err, status } = await run('wget', args, { env: proxied(town) });
    expect([status, town.site.seen]).toEqual([5, []]);
    expect(err).toMatch(/^ERROR: The certificate of .shop\.localhost. is not trusted\./m);
  });

  it.each(SCHEMES)('H-05 S-01 S-03 posts an %s form and stays in a session by its header', async (scheme) => {
    const town = await startTapped({ upstreams: 3 });
    const url = `${town.site[`${scheme}Url`]}/form`;
    const post = ['--post-data', 'a=1&b=two', '-S', '--header', 'X-Crawlera-Session: create', url];
    const { out, err } = await wget(town, proxied(town), ...post);
    expect(out).toBe('POST /form [a=1&b=two]');
    const session = /^ {2}X-Crawlera-Session: (\d+)$/m.exec(err)?.[1] ?? '';
    const again = await wget(town, proxied(town), '-S', '--header', `X-Crawlera-Session: ${session}`, url, url);
    expect(again.err.match(/^ {2}X-Crawlera-Session: \d+$/gm)).toEqual(
      Array(2).fill(`  X-Crawlera-Session: ${session}`),
    );
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });

  it('U-11 stays in a session named in the address of the proxy', async () => {
    const town = await startTapped({ upstreams: 3 });
    const env = proxied(town, `${town.key}-session-basket7:`);
    for (const path of ['/a', '/b']) await wget(town, env, town.site.httpsUrl + path, town.site.httpUrl + path);
    expect(town.site.seen).toHaveLength(4);
    expect(used(town.upstreams)).toBe(1);
  });

  it('U-04 shows a wrong key: status 407 and exit 8 for http, a failed tunnel and exit 4 for https', async () => {
    const town = await startTapped();
    const env = proxied(town, `${WRONG_KEY}:`);
    const plain = await wget(town, env, `${town.site.httpUrl}/`);
    expect([plain.status, plain.err]).toEqual([
      8,
      expect.stringContaining('ERROR 407: Proxy Authentication Required.'),
    ]);
    const secure = await wget(town, env, `${town.site.httpsUrl}/`);
    expect([secure.status, secure.err]).toEqual([
      4,
      expect.stringContaining('Proxy tunneling failed: Proxy Authentication Required'),
    ]);
    expect(town.site.seen).toEqual([]);
  });

  it('E-01 E-08 shows an error of a tunnel with --server-response, and its text with --content-on-error', async () => {
    const town = await startTapped({ upstreams: 2, handler: banning });
    const { out, err, status } = await wget(town, proxied(town), '-S', '--content-on-error', town.site.httpsUrl);
    expect([out, status]).toEqual(['Website crawl ban', 8]);
    expect(err).toMatch(/^ {2}X-Crawlera-Error: slavebanned$/m);
    expect(err).toMatch(/^ {2}Retry-After: \d+$/m);
    expect(err).toContain('ERROR 503: Service Unavailable.');
  });

  it('fetches a page and what it needs, https links and all', async () => {
    const pages: Record<string, string> = {
      '/': '<link rel="stylesheet" href="/style.css"><img src="/shop.png">',
      '/style.css': 'body { background: url(/back.png) }',
    };
    const handler: Handler = (request, response) => {
      response.setHeader('Content-Type', request.url === '/style.css' ? 'text/css' : 'text/html');
      response.end(pages[request.url ?? ''] ?? 'a picture');
    };
    const town = await startTapped({ upstreams: 2, handler });
    const args = ['-nv', `--ca-certificate=${town.caFile}`, '-e', 'robots=off', '-p', '-nH', '-P', town.folder];
    const { status } = await run('wget', [...args, `${town.site.httpsUrl}/`], { env: proxied(town) });
    expect(status).toBe(0);
    expect(readFileSync(join(town.folder, 'back.png'), 'utf8')).toBe('a picture');
    expect(town.site.seen.map(({ url }) => url).sort()).toEqual(['/', '/back.png', '/shop.png', '/style.css']);
    expect(town.tap.heads).toHaveLength(1);
  });

  it.each([
    ['--auth-no-challenge', '', ['--auth-no-challenge']],
    ['authStatus: 401', 'authStatus: 401', []],
  ])('U-08 U-02 uses the endpoints with --user and %s', async (_name, yaml, more) => {
    const town = await startTapped({ yaml, upstreams: 1, handler: echo });
    const options = ['--user', town.key, '--password=', ...more];
    const { out: session } = await wget(town, {}, ...options, '--method=POST', `http://${town.address}/sessions`);
    expect(session).toMatch(/^\d{7,15}$/);
    const url = `http://${town.address}/fetch?url=${encodeURIComponent(`${town.site.httpsUrl}/x`)}`;
    expect((await wget(town, {}, ...options, url)).out).toBe('GET /x []');
  });
});
