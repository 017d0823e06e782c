/** curl: bodies of every kind, methods, versions, encodings, tunnels kept and opened side by side, and what it does on a 407. */
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { run } from '../support/child.ts';
import { curl, expectNothingOfOurs, used } from './command-support.ts';
import { describeClient, type Handler, startTown } from './kit.ts';
import { echo, firstLines, startTapped, together } from './languages.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Answers with method, framing of the body and its hash. */
const weigh: Handler = (request, response) => {
  const hash = createHash('sha256');
  let size = 0;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => response.end(`${request.method} ${size} ${hash.digest('hex')}`));
};

const SCHEMES = ['http', 'https'] as const;

describeClient('curl', () => {
  it.each(SCHEMES)('T-13 posts without a body over %s', async (scheme) => {
    const town = await startTown({ handler: echo });
    const { out } = await curl(town, '-X', 'POST', `${town.site[`${scheme}Url`]}/p`);
    expect(out).toBe('POST /p []');
  });

  it.each(SCHEMES)('posts a form over %s', async (scheme) => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const { out } = await curl(town, '-d', 'a=1&b=two', '-d', 'c=%20', `${town.site[`${scheme}Url`]}/form`);
    expect(out).toBe('POST /form [a=1&b=two&c=%20]');
    expect(town.site.seen[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expectNothingOfOurs(town.site.seen);
  });

  it.each([
    ['http', 'when asked to', 64 * 1024, ['-H', 'Expect: 100-continue']],
    ['https', 'when asked to', 64 * 1024, ['-H', 'Expect: 100-continue']],
    ['https', 'by itself for a large body', 2 * 1024 * 1024, []],
  ] as const)('T-17 uploads over %s, waiting for 100 Continue %s', async (scheme, _why, size, args) => {
    const town = await startTown({ upstreams: 1, handler: weigh });
    const body = randomBytes(size);
    const file = join(town.folder, 'body');
    writeFileSync(file, body);
    const { out, err } = await curl(town, '-v', ...args, '--data-binary', `@${file}`, town.site[`${scheme}Url`]);
    expect(err).toMatch(/^> Expect: 100-continue\r?$/m);
    expect(err).toMatch(/^< HTTP\/1\.1 100 Continue\r?$/m);
    expect(out).toBe(`POST ${size} ${sha256(body)}`);
    expectNothingOfOurs(town.site.seen);
  });

  it.each(SCHEMES)('T-16 uploads what it reads from a pipe, chunked, over %s', async (scheme) => {
    const town = await startTown({ upstreams: 1, handler: weigh });
    const url = `${town.site[`${scheme}Url`]}/upload`;
    const line = `head -c 300000 /dev/zero | curl -sS -x http://${town.address} -U ${town.key}: --cacert ${town.caFile} -T - ${url}`;
    const { out } = await run('sh', ['-c', line]);
    expect(out).toBe(`PUT 300000 ${sha256(Buffer.alloc(300_000))}`);
    expectNothingOfOurs(town.site.seen);
  });

  it.each(SCHEMES)('shows the head alone with -I over %s', async (scheme) => {
    const town = await startTown();
    const { out } = await curl(town, '-I', '--suppress-connect-headers', `${town.site[`${scheme}Url`]}/`);
    expect(out).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    expect(out).toMatch(/\r\nX-Crawlera-Version: \S+\r\n/);
    expect(out).toMatch(/\r\n\r\n$/);
    expect(town.site.seen.map(({ method }) => method)).toEqual(['HEAD']);
  });

  it.each(SCHEMES)('T-05 speaks HTTP/1.0 over %s', async (scheme) => {
    const town = await startTapped({ handler: echo });
    const tapped = { ...town, address: town.tap.address };
    const { out, status } = await curl(
      tapped,
      '--http1.0',
      '--proxy1.0',
      town.tap.address,
      `${town.site[`${scheme}Url`]}/old`,
    );
    expect([out, status]).toEqual(['GET /old []', 0]);
    expect(town.tap.heads[0]?.[0]).toMatch(/^\S+ \S+ HTTP\/1\.0\r\n/);
  });

  it.each(SCHEMES)('T-16 hands on a compressed page as it is over %s, and curl decodes it', async (scheme) => {
    const packed = gzipSync('a page that was packed');
    const town = await startTown({
      handler: (_request, response) => void response.setHeader('Content-Encoding', 'gzip').end(packed),
    });
    const url = town.site[`${scheme}Url`];
    expect((await curl(town, '--compressed', url)).out).toBe('a page that was packed');
    expect(town.site.seen[0]?.headers['accept-encoding']).toContain('gzip');
    const file = join(town.folder, 'raw');
    const { out } = await curl(town, '-o', file, '-w', '%{size_download}', url);
    expect(out).toBe(String(packed.length));
  });

  it.each(SCHEMES)('T-20 keeps one connection for several pages over %s', async (scheme) => {
    const town = await startTapped({ upstreams: 2 });
    const tapped = { ...town, address: town.tap.address };
    const urls = ['/a', '/b', '/c', '/d'].map((path) => town.site[`${scheme}Url`] + path);
    const { out } = await curl(tapped, '-w', ' %{num_connects}\n', ...urls);
    // Over https curl counts the connection to the proxy alone.
    expect(out).toBe('GET /a [] 1\nGET /b [] 0\nGET /c [] 0\nGET /d [] 0\n');
    expect(town.tap.heads).toHaveLength(1);
    expect(firstLines(town.tap)).toHaveLength(scheme === 'http' ? 4 : 1);
    expect(used(town.upstreams)).toBe(2);
  });

  it.each(SCHEMES)('L-01 fetches eight pages at the same time over %s with -Z', async (scheme) => {
    const town = await startTown({ upstreams: 2, handler: together(8) });
    const urls = Array.from({ length: 8 }, (_, i) => `${town.site[`${scheme}Url`]}/${i}`);
    const { out, status } = await curl(town, '-Z', '--parallel-immediate', ...urls);
    expect(status).toBe(0);
    expect(out.match(/\/\d/g)?.sort()).toEqual(['/0', '/1', '/2', '/3', '/4', '/5', '/6', '/7']);
  });

  it.each(SCHEMES)('H-05 F-01 takes control headers of an %s page, and keeps them from the site', async (scheme) => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const controls = ['X-Crawlera-UA: pass', 'X-Crawlera-Debug: ua,request-time', 'X-Crawlera-JobId: 999'];
    const format = '%header{x-crawlera-debug-ua} %header{x-crawlera-debug-request-time} %header{x-crawlera-slave}';
    const args = ['-o', '/dev/null', '-A', 'mine/1.0', '-w', format, ...controls.flatMap((line) => ['-H', line])];
    const { out } = await curl(town, ...args, town.site[`${scheme}Url`]);
    expect(out).toMatch(new RegExp(`^mine/1\\.0 \\d+\\.\\d{6} 127\\.0\\.0\\.1:${town.upstreams[0]?.port}$`));
    expect(town.site.seen[0]?.headers['user-agent']).toBe('mine/1.0');
    expect(town.proxy.receipts.at(-1)?.job?.controls.jobId).toBe('999');
    expectNothingOfOurs(town.site.seen);
  });

  it('H-06 S-01 keeps a session for a tunnel that asked for it with --proxy-header', async () => {
    const town = await startTown({ upstreams: 3 });
    const urls = ['/a', '/b', '/c'].map((path) => town.site.httpsUrl + path);
    const outputs = urls.flatMap(() => ['-o', '/dev/null']);
    const format = '%header{x-crawlera-session}\n';
    const { out } = await curl(town, '--proxy-header', 'X-Crawlera-Session: create', '-w', format, ...outputs, ...urls);
    expect(out).toMatch(/^(\d{7,15})\n\1\n\1\n$/);
    expect(used(town.upstreams)).toBe(1);
  });

  it.each(SCHEMES)('U-05 asks without the key first with --proxy-anyauth, then with it, over %s', async (scheme) => {
    const town = await startTapped();
    const tapped = { ...town, address: town.tap.address };
    const { out, status } = await curl(tapped, '--proxy-anyauth', `${town.site[`${scheme}Url`]}/`);
    expect([out, status]).toEqual(['GET / []', 0]);
    const [first, second, ...more] = town.tap.heads.flat().map((head) => /^proxy-authorization: Basic /im.test(head));
    expect([first, second, more]).toEqual([false, true, []]);
    // The 407 leaves the connection open for the second try.
    expect(town.tap.heads).toHaveLength(1);
  });

  it('U-04 gets nowhere with --proxy-digest: the key goes by Basic', async () => {
    const town = await startTown();
    const { out } = await curl(town, '--proxy-digest', '-o', '/dev/null', '-w', '%{http_code}', town.site.httpUrl);
    expect(out).toBe('407');
    const secure = await curl(town, '--proxy-digest', town.site.httpsUrl);
    expect([secure.status, secure.err.trim()]).toEqual([56, 'curl: (56) CONNECT tunnel failed, response 407']);
    expect(town.site.seen).toEqual([]);
  });

  it('T-15 leaves redirects to curl, which follows them through the proxy', async () => {
    const town = await startTown({
      handler: (request, response) => {
        if (request.url === '/end') response.end('there');
        else response.writeHead(302, { Location: '/end' }).end();
      },
    });
    const url = `${town.site.httpsUrl}/begin`;
    expect((await curl(town, '-o', '/dev/null', '-w', '%{http_code}', url)).out).toBe('302');
    expect((await curl(town, '-L', url)).out).toBe('there');
  });

  it('Q-06 T-14 reaches the endpoints of the proxy through the proxy', async () => {
    const town = await startTown({ upstreams: 1 });
    const { out } = await curl(town, '-X', 'POST', `http://${town.address}/sessions`);
    expect(out).toMatch(/^\d{7,15}$/);
  });

  it('C-02 downloads the CA from the proxy, and trusts it', async () => {
    const town = await startTown();
    const file = join(town.folder, 'downloaded.crt');
    await run('curl', ['-sSf', '-o', file, `${town.address}/crawlera-ca.crt`]);
    const { out } = await curl(town, '--cacert', file, `${town.site.httpsUrl}/x`);
    expect(out).toContain('page /x');
  });
});
