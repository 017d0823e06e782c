/** curl as the documentation of the service shows it, and by the example scripts: pages, sessions, keys, errors. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { type Exit, run } from '../support/child.ts';
import { curl, expectNothingOfOurs, used } from './command-support.ts';
import { describeClient, startTown, type Town } from './kit.ts';
import { banning, echo, environment, firstLines, startTapped, WRONG_KEY } from './languages.ts';

interface Documented {
  /** As printed, prompt and answer left out. */
  readonly command: string;
  /** Where its website is reached; `undefined` where it asks none. */
  readonly site?: 'http' | 'https';
  readonly after: (exit: Exit, town: Town, session: string) => Promise<void> | void;
}

/** The page of the site came back, and its own words are all that was printed. */
const page =
  (text: string): Documented['after'] =>
  ({ out }) =>
    expect(out).toBe(text);

/** Every call of curl in the "Crawlera API" reference, in its order. */
const DOCUMENTED: readonly Documented[] = [
  {
    command: 'curl -vx proxy.crawlera.com:8010 -U <API key>: http://httpbin.org/ip',
    site: 'http',
    after: ({ out, err }) => {
      expect(out).toBe('GET /ip []');
      expect(err).toMatch(/^< HTTP\/1\.1 200 OK\r?$/m);
      expect(err).toMatch(/^< X-Crawlera-Version: \S+\r?$/m);
    },
  },
  {
    command: 'curl -u <API key>: proxy.crawlera.com:8010/sessions -X POST',
    after: ({ out }) => expect(out).toMatch(/^[1-9]\d{6,14}$/),
  },
  {
    command: 'curl -u <API key>: proxy.crawlera.com:8010/sessions',
    after: ({ out }, town, session) =>
      expect(JSON.parse(out)).toEqual({ [session]: `127.0.0.1:${town.upstreams[0]?.port}` }),
  },
  {
    command: 'curl -u <API key>: proxy.crawlera.com:8010/sessions/1836172 -X DELETE',
    after: async ({ out }, town) => {
      expect(out).toBe('');
      expect((await run('curl', ['-sS', '-u', `${town.key}:`, `${town.address}/sessions`])).out).toBe('{}');
    },
  },
  {
    command: 'curl -x proxy.crawlera.com:8010 -U <API key>: http://twitter.com -H x-crawlera-use-https:1',
    site: 'https',
    after: page('GET / []'),
  },
  {
    command: 'curl -x proxy.crawlera.com:8010 -U <API key>: https://twitter.com --cacert crawlera-ca.crt',
    site: 'https',
    after: page('GET / []'),
  },
  {
    command: 'curl -x proxy.crawlera.com:8010 -U <API key>: https://twitter.com',
    site: 'https',
    after: page('GET / []'),
  },
  {
    command: 'curl -u <API key>: http://proxy.crawlera.com:8010/fetch?url=https://twitter.com',
    site: 'https',
    after: page('GET / []'),
  },
  {
    command:
      "curl -u <API key>: 'http://proxy.crawlera.com:8010/fetch?url=http%3A//www.food.com&headers=Header1%3AVal1%3BHeader2%3AVal2'",
    site: 'http',
    after: ({ out }, { site }) => {
      expect(out).toBe('GET / []');
      expect(site.seen[0]?.headers).toMatchObject({ header1: 'Val1', header2: 'Val2' });
    },
  },
];

describeClient('curl', () => {
  it.each(DOCUMENTED)('T-01 U-01 does what is documented: $command', async ({ command, site, after }) => {
    const town = await startTown({ upstreams: 1, handler: echo });
    const { out: session } = await run('curl', ['-sS', '-u', `${town.key}:`, '-X', 'POST', `${town.address}/sessions`]);
    const line = command
      .replace('proxy.crawlera.com:8010', town.address)
      .replace('<API key>', town.key)
      .replace('1836172', session)
      .replace(/httpbin\.org|twitter\.com|www\.food\.com/, `shop.localhost:${town.site[site ?? 'http'].port}`)
      .replace('crawlera-ca.crt', town.caFile);
    expect(line).not.toMatch(/crawlera\.com|API key/);
    // Without --cacert the documentation has the CA in the system's store; this is curl's variable for it.
    const exit = await run('sh', ['-c', line], {
      env: command.includes('--cacert') ? {} : { CURL_CA_BUNDLE: town.caFile },
    });
    expect(exit.status, exit.err).toBe(0);
    await after(exit, town, session);
    expect(town.site.seen.map(({ secure }) => secure)).toEqual(site === undefined ? [] : [site === 'https']);
    expectNothingOfOurs(town.site.seen);
  });

  it.each(['http', 'https'] as const)('T-02 T-04 fetches an %s page with examples/curl/fetch.sh', async (scheme) => {
    const town = await startTapped({ upstreams: 1 });
    const url = `${town.site[`${scheme}Url`]}/a?b=1`;
    const { out, err, status } = await run('examples/curl/fetch.sh', [url], { env: environment(town) });
    expect([out, err, status]).toEqual(['GET /a?b=1 []', '', 0]);
    const first = scheme === 'http' ? `GET ${url}` : `CONNECT shop.localhost:${town.site.https.port}`;
    expect(firstLines(town.tap)).toEqual([first]);
  });

  it('C-01 refuses an https page where another CA is trusted', async () => {
    const town = await startTapped();
    const other = join(town.folder, 'other.pem');
    writeFileSync(other, town.site.root);
    const env = { ...environment(town), CRAWLGATE_CA: other };
    const { out, err, status } = await run('examples/curl/fetch.sh', [`${town.site.httpsUrl}/`], { env });
    expect([out, status]).toEqual(['', 60]);
    expect(err).toContain('curl: (60) SSL certificate problem: unable to get local issuer certificate');
  });

  it('S-03 S-06 keeps one upstream and one tunnel for several pages with examples/curl/session.sh', async () => {
    const town = await startTapped({ upstreams: 3 });
    const urls = ['/a', '/b', '/c'].map((path) => town.site.httpsUrl + path);
    const { out, err, status } = await run('examples/curl/session.sh', urls, { env: environment(town) });
    expect([out, err, status]).toEqual(['GET /a []GET /b []GET /c []', '', 0]);
    const lines = firstLines(town.tap).map((line) => line.replace(/\d{7,}/, '<id>'));
    const connect = `CONNECT shop.localhost:${town.site.https.port}`;
    expect(lines).toEqual(['POST /sessions', connect, 'DELETE /sessions/<id>']);
    expect(used(town.upstreams)).toBe(1);
    expectNothingOfOurs(town.site.seen);
  });

  it('U-04 shows a wrong key: status 407 for http, exit 56 and the header of the refused CONNECT for https', async () => {
    const town = await startTown();
    const plain = await curl(town, '-i', '-U', `${WRONG_KEY}:`, `${town.site.httpUrl}/`);
    expect([plain.status, plain.out.split('\r\n')[0]]).toEqual([0, 'HTTP/1.1 407 Proxy Authentication Required']);
    const secure = await curl(town, '-i', '-U', `${WRONG_KEY}:`, `${town.site.httpsUrl}/`);
    expect([secure.status, secure.err.trim()]).toEqual([56, 'curl: (56) CONNECT tunnel failed, response 407']);
    for (const { out } of [plain, secure]) {
      expect(out).toContain('\r\nX-Crawlera-Error: bad_auth\r\n');
      expect(out).toContain('\r\nProxy-Authenticate: Basic realm="Crawlera"\r\n');
    }
    expect(town.site.seen).toEqual([]);
  });

  it.each([
    [407, ''],
    [401, 'authStatus: 401'],
  ])('U-08 answers a wrong key on /sessions with %i', async (status, yaml) => {
    const town = await startTown({ yaml });
    const { out } = await run('curl', ['-sSi', '-u', `${WRONG_KEY}:`, `${town.address}/sessions`]);
    expect(out).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    expect(out).toContain('\r\nX-Crawlera-Error: bad_auth\r\n');
  });

  it('U-01 takes the key with any password, and in the address of the proxy', async () => {
    const town = await startTown();
    for (const user of [`${town.key}:`, `${town.key}:DUMMY`, `${town.key}::`]) {
      const { out } = await curl(town, '-U', user, `${town.site.httpsUrl}/`);
      expect(out, user).toContain('page /');
    }
    const { out } = await run('curl', ['-sS', '-x', town.proxyUrl, `${town.site.httpUrl}/`]);
    expect(out).toContain('page /');
  });

  it('U-11 names a session and a region in the user name', async () => {
    const town = await startTown({ upstreams: 3 });
    const user = `${town.key}-session-basket7:`;
    const ids = [];
    for (const url of [town.site.httpUrl, town.site.httpsUrl, town.site.httpUrl]) {
      const { out } = await curl(town, '-U', user, '-o', '/dev/null', '-w', '%header{x-crawlera-session}', `${url}/`);
      ids.push(out);
    }
    expect(ids[0]).toMatch(/^\d{7,15}$/);
    expect(new Set(ids).size).toBe(1);
    expect(used(town.upstreams)).toBe(1);
    const nowhere = await curl(town, '-i', '-U', `${town.key}-region-nz:`, `${town.site.httpsUrl}/`);
    expect(nowhere.out).toContain('\r\nX-Crawlera-Error: noslaves\r\n');
  });

  it.each([
    ['S-09', 'bad_session_id', ['-H', 'X-Crawlera-Session: 1234567'], '400'],
    ['H-13', 'bad_header', ['-H', 'X-Crawlera-UA: crawlera'], '540'],
    ['E-08', 'slavebanned', ['-H', 'X-Crawlera-Max-Retries: 0'], '503'],
  ])('%s T-06 shows %s inside a tunnel', async (_id, code, args, status) => {
    const town = await startTapped({ upstreams: 2, handler: banning });
    const format = '%{http_code} %header{x-crawlera-error}';
    const { out } = await curl(town, '-o', '/dev/null', '-w', format, ...args, `${town.site.httpsUrl}/`);
    expect(out).toBe(`${status} ${code}`);
  });

  it('E-08 examples/curl/fetch.sh ends with 1 and shows the error and when to try again', async () => {
    const town = await startTapped({ upstreams: 1, handler: banning });
    const { err, status } = await run('examples/curl/fetch.sh', [`${town.site.httpsUrl}/`], { env: environment(town) });
    expect(status).toBe(1);
    expect(err.replaceAll('\r', '')).toMatch(/^X-Crawlera-Error: slavebanned\nRetry-After: \d+\n$/);
  });
});
