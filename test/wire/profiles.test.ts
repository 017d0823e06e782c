/** Section 11 of the contract over real sockets: user agents and profiles, sessions, attempts, lists from files. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { scratchFolder } from '../config/support.ts';
import { AUTH, basic, call, get, openLine, openSecure } from '../support/client.ts';
import { type Origin, reply } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();
const folder = scratchFolder();

const CHROME = (version: number): string =>
  `Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`;
const WINDOWS =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36';
const EDGE = `${WINDOWS} Edg/156.0.0.0`;
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:160.0) Gecko/20100101 Firefox/160.0';
const SAFARI =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.6 Safari/605.1.15';
const PHONE = (version: number): string =>
  CHROME(version).replace('X11; Linux x86_64', 'Linux; Android 10; K').replace(' Safari', ' Mobile Safari');

let files = 0;

/** The configuration key for a file with exactly these agents. */
const listOf = (agents: readonly string[]): string => {
  const file = join(folder, `agents-${++files}.yaml`);
  writeFileSync(file, agents.map((agent) => `- "${agent}"\n`).join(''));
  return `userAgents: ${file}\n`;
};

/** So many that meeting one of them twice by chance does not happen. */
const CROWD = listOf(Array.from({ length: 9_000 }, (_, i) => [CHROME, PHONE][i % 2]?.(1_000 + i) ?? ''));

const ROOTS = (): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`;

const linesOf = (origin: Origin, at = -1): string[] =>
  (origin.requests.at(at)?.head ?? '').trimEnd().split('\r\n').slice(1);
const agentsSeen = (origin: Origin): (string | undefined)[] =>
  origin.requests.map(({ head }) => /\r\nuser-agent: ([^\r]*)/i.exec(head)?.[1]);

interface Stage {
  readonly proxy: RunningProxy;
  readonly origin: Origin;
  readonly site: string;
  readonly host: string;
  ask(more: string, method?: string): ReturnType<typeof get>;
}

const stage = async (yaml = '', secure = false): Promise<Stage> => {
  const origin = secure ? await kit.secureOrigin(['shop.localhost']) : await kit.origin();
  const proxy = await kit.proxy(secure ? yaml + ROOTS() : yaml);
  const host = `shop.localhost:${origin.port}`;
  const site = `${secure ? 'https' : 'http'}://${host}/`;
  return { proxy, origin, site, host, ask: (more, method) => get(proxy, site, more, method) };
};

const DESKTOP = 'X-Crawlera-Profile: desktop\r\n';
const CURL = 'User-Agent: curl/8.5.0\r\nAccept: */*\r\n';

describe('user agents', () => {
  it('G-01 replaces the user agent in its place and takes hints that contradict it away, nothing else', async () => {
    const { ask, origin, host } = await stage(listOf([WINDOWS]));
    await ask(
      'accept: */*\r\nuser-agent: curl/8\r\nSec-CH-UA: "x"\r\nsec-ch-ua-mobile: ?1\r\nSec-Fetch-Mode: cors\r\nDNT: 1\r\n',
    );
    expect(linesOf(origin)).toEqual([
      `Host: ${host}`,
      'accept: */*',
      `user-agent: ${WINDOWS}`,
      'Sec-Fetch-Mode: cors',
      'DNT: 1',
    ]);
  });

  it('G-01 adds one where the client has none', async () => {
    const { ask, origin, host } = await stage(listOf([WINDOWS]));
    await ask('Accept: */*\r\n');
    expect(linesOf(origin)).toEqual([`Host: ${host}`, 'Accept: */*', `User-Agent: ${WINDOWS}`]);
  });

  it('G-02 G-04 H-15 passes everything on, the lack of a user agent too', async () => {
    for (const header of ['X-Crawlera-UA: pass', 'X-Crawlera-Profile: pass']) {
      const { ask, origin, host } = await stage();
      await ask(`${header}\r\nX-Crawlera-Debug: ua\r\nsec-ch-ua: "x"\r\naccept: */*\r\n`);
      expect(linesOf(origin)).toEqual([`Host: ${host}`, 'sec-ch-ua: "x"', 'accept: */*']);
    }
  });

  it('G-01 A-01 takes another one for every attempt, and tells the last (H-19)', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(CROWD, await kit.upstreams(3));
    for (let i = 0; i < 2; i++) origin.enqueue('HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nban');
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, 'X-Crawlera-Debug: ua\r\n');
    expect(answer.status).toBe(200);
    const seen = agentsSeen(origin);
    expect([seen.length, new Set(seen).size]).toEqual([3, 3]);
    expect(answer.header('X-Crawlera-Debug-UA')).toBe(seen[2]);
  });

  it('G-01 takes another one for every request outside sessions', async () => {
    const { ask, origin } = await stage(CROWD);
    for (let i = 0; i < 3; i++) await ask('');
    expect(new Set(agentsSeen(origin)).size).toBe(3);
  });
});

describe('S-21 sessions', () => {
  it('keep one browser, whether it is named by user agent or by profile, and each has its own', async () => {
    const { ask, origin } = await stage(CROWD);
    const sessions: string[] = [];
    for (let i = 0; i < 3; i++)
      sessions.push((await ask('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session') ?? '');
    for (const id of sessions) {
      const own = `X-Crawlera-Session: ${id}\r\n`;
      await ask(own);
      await ask(own + DESKTOP);
    }
    const seen = agentsSeen(origin);
    expect(new Set(seen).size).toBe(3);
    sessions.forEach((_, i) => {
      expect(new Set([seen[i], ...seen.slice(3 + 2 * i, 5 + 2 * i)]).size).toBe(1);
    });
  });

  it('have one phone beside the one desktop', async () => {
    const { ask, origin } = await stage(CROWD);
    const id = (await ask('X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    for (let i = 0; i < 2; i++) await ask(`X-Crawlera-Session: ${id}\r\nX-Crawlera-UA: mobile\r\n`);
    const [desktop, ...phones] = agentsSeen(origin);
    expect(desktop).not.toContain('Mobile');
    expect(phones[0]).toContain('Mobile');
    expect(phones[0]).toBe(phones[1]);
  });

  it('keep it when the first attempts of their first request fail', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(CROWD, await kit.upstreams(3));
    const site = `http://shop.localhost:${origin.port}/`;
    origin.enqueue('HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nban');
    const id = (await get(proxy, site, 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    await get(proxy, site, `X-Crawlera-Session: ${id}\r\n`);
    const seen = agentsSeen(origin);
    expect([seen.length, new Set(seen).size]).toEqual([3, 1]);
  });

  it('opened by POST have one too', async () => {
    const { ask, origin, proxy } = await stage(CROWD);
    const id = (await call(proxy, 'POST', '/sessions')).body;
    for (let i = 0; i < 2; i++) await ask(`X-Crawlera-Session: ${id}\r\n${DESKTOP}`);
    expect(new Set(agentsSeen(origin)).size).toBe(1);
  });

  it('U-11 named in the user name leave the browser as it is, and have one identity when a profile is asked for', async () => {
    const { proxy, origin, site } = await stage(CROWD);
    const line = await openLine(proxy.port);
    const auth = `Proxy-Authorization: ${basic(`${KEY}-session-me`)}\r\n`;
    const ask = (more: string) => line.ask(`GET ${site} HTTP/1.1\r\nHost: x\r\n${auth}${CURL}${more}\r\n`);
    await ask('sec-ch-ua: "mine"\r\n');
    expect(linesOf(origin).slice(1)).toEqual(['User-Agent: curl/8.5.0', 'Accept: */*', 'sec-ch-ua: "mine"']);
    await ask(DESKTOP);
    await ask(DESKTOP);
    const [, first, second] = agentsSeen(origin);
    expect(first).toMatch(/Chrome/);
    expect(first).toBe(second);
    line.socket.destroy();
  });
});

const HTML = 'text/html,application/xhtml+xml,application/xml;q=0.9';
const EXCHANGE = 'image/avif,image/webp,image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';

/** Lines after `Host` of a page load; those with ! over TLS only. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  [WINDOWS]: [
    'Connection: keep-alive',
    '!sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156", "Google Chrome";v="156"',
    '!sec-ch-ua-mobile: ?0',
    '!sec-ch-ua-platform: "Windows"',
    'Upgrade-Insecure-Requests: 1',
    `User-Agent: ${WINDOWS}`,
    `Accept: ${HTML},image/jxl,${EXCHANGE}`,
    '!Sec-Fetch-Site: none',
    '!Sec-Fetch-Mode: navigate',
    '!Sec-Fetch-User: ?1',
    '!Sec-Fetch-Dest: document',
    'Accept-Encoding: identity',
    'Accept-Language: en-US,en;q=0.9',
  ],
  [EDGE]: [
    'Connection: keep-alive',
    '!sec-ch-ua: "Not:A-Brand";v="8", "Chromium";v="156", "Microsoft Edge";v="156"',
    '!sec-ch-ua-mobile: ?0',
    '!sec-ch-ua-platform: "Windows"',
    'Upgrade-Insecure-Requests: 1',
    `User-Agent: ${EDGE}`,
    `Accept: ${HTML},${EXCHANGE}`,
    '!Sec-Fetch-Site: none',
    '!Sec-Fetch-Mode: navigate',
    '!Sec-Fetch-User: ?1',
    '!Sec-Fetch-Dest: document',
    'Accept-Encoding: identity',
    'Accept-Language: en-US,en;q=0.9',
  ],
  [FIREFOX]: [
    `User-Agent: ${FIREFOX}`,
    `Accept: ${HTML},*/*;q=0.8`,
    'Accept-Language: en-US,en;q=0.9',
    'Accept-Encoding: identity',
    'Connection: keep-alive',
    'Upgrade-Insecure-Requests: 1',
    '!Sec-Fetch-Dest: document',
    '!Sec-Fetch-Mode: navigate',
    '!Sec-Fetch-Site: none',
    '!Sec-Fetch-User: ?1',
    'Priority: u=0, i',
  ],
  [SAFARI]: [
    '!Sec-Fetch-Dest: document',
    `User-Agent: ${SAFARI}`,
    'Upgrade-Insecure-Requests: 1',
    `Accept: ${HTML},*/*;q=0.8`,
    '!Sec-Fetch-Site: none',
    '!Sec-Fetch-Mode: navigate',
    'Accept-Language: en-US,en;q=0.9',
    'Priority: u=0, i',
    'Accept-Encoding: identity',
    'Connection: keep-alive',
  ],
};

describe('G-03 profiles', () => {
  it.each(Object.entries(PAGES))(
    'are one browser over TLS, absolute form and tunnel alike: %s',
    async (agent, page) => {
      const { ask, proxy, origin, host } = await stage(listOf([agent]), true);
      const expected = [`Host: ${host}`, ...page.map((line) => line.replace(/^!/, ''))];
      const answer = await ask(`${CURL}Accept-Language: de\r\nDNT: 1\r\nX-Crawlera-Debug: ua\r\n${DESKTOP}`);
      expect([answer.status, answer.header('X-Crawlera-Debug-UA')]).toEqual([200, agent]);
      expect(linesOf(origin)).toEqual(expected);
      const line = await openSecure(proxy, host);
      await line.ask(`GET / HTTP/1.1\r\nhost: ${host}\r\n${CURL}${DESKTOP}\r\n`);
      expect(linesOf(origin)).toEqual(expected);
      line.socket.destroy();
    },
  );

  it.each(Object.entries(PAGES))(
    'are one browser over plain HTTP, without what is for TLS: %s',
    async (agent, page) => {
      const { ask, origin, host } = await stage(listOf([agent]));
      await ask(CURL + DESKTOP);
      expect(linesOf(origin)).toEqual([`Host: ${host}`, ...page.filter((line) => !line.startsWith('!'))]);
    },
  );

  it('are the same through an upstream', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(listOf([WINDOWS]), [await kit.upstream()]);
    await get(proxy, `http://shop.localhost:${origin.port}/`, CURL + DESKTOP);
    const page = PAGES[WINDOWS]?.filter((line) => !line.startsWith('!')) ?? [];
    expect(linesOf(origin)).toEqual([`Host: shop.localhost:${origin.port}`, ...page]);
  });

  it('H-14 supersede the user agent header, in both directions', async () => {
    const { ask, origin } = await stage(listOf([WINDOWS]));
    await ask(`${CURL}X-Crawlera-UA: pass\r\n${DESKTOP}`);
    await ask(`${CURL}X-Crawlera-UA: desktop\r\nX-Crawlera-Profile: pass\r\n`);
    expect(agentsSeen(origin)).toEqual([WINDOWS, 'curl/8.5.0']);
  });

  it('H-24 leave the named headers of the client', async () => {
    const { ask, origin } = await stage(listOf([WINDOWS]));
    await ask(`${CURL}accept-language: de\r\nDNT: 1\r\n${DESKTOP}X-Crawlera-Profile-Pass: Accept-Language , dnt\r\n`);
    const lines = linesOf(origin);
    expect(lines.slice(-2)).toEqual(['Accept-Encoding: identity', 'Accept-Language: de']);
    expect(lines).toContain('DNT: 1');
    expect(lines).toContain(`User-Agent: ${WINDOWS}`);
  });

  it('keep encodings, cookies and every other header of the client at sensible places', async () => {
    const { ask, origin } = await stage(listOf([FIREFOX]));
    await ask(`x-token: 1\r\nCookie: a=1\r\nAccept-Encoding: gzip\r\n${CURL}${DESKTOP}X-Crawlera-Cookies: disable\r\n`);
    expect(
      linesOf(origin)
        .map((line) => line.split(':')[0])
        .join(' '),
    ).toMatch(
      /^Host User-Agent Accept Accept-Language Accept-Encoding x-token Connection Cookie Upgrade-Insecure-Requests Priority$/,
    );
    expect(linesOf(origin)).toContain('Accept-Encoding: gzip');
  });

  it('K-01 put the cookies of the jar where the browser does', async () => {
    const { ask, origin } = await stage(listOf([FIREFOX]));
    origin.enqueue(reply('', 'Set-Cookie: seen=1\r\n'));
    await ask(DESKTOP);
    await ask(DESKTOP);
    expect(linesOf(origin).slice(-3)).toEqual(['Cookie: seen=1', 'Upgrade-Insecure-Requests: 1', 'Priority: u=0, i']);
  });

  it('T-13 keep a body whole, and announce an empty one once', async () => {
    const { proxy, origin, site } = await stage(listOf([WINDOWS]));
    const line = await openLine(proxy.port);
    const post = (framing: string) =>
      line.ask(`POST ${site} HTTP/1.1\r\nHost: x\r\n${AUTH}${CURL}${DESKTOP}${framing}`);
    await post('Content-Type: text/plain\r\ncontent-length: 3\r\n\r\nabc');
    await post('Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n');
    await post('\r\n');
    expect(origin.requests.map(({ body }) => body)).toEqual(['abc', 'abc', '']);
    expect(origin.requests.map((_, i) => linesOf(origin, i).slice(1, 3))).toEqual([
      ['Connection: keep-alive', 'Content-Length: 3'],
      ['Connection: keep-alive', 'Transfer-Encoding: chunked'],
      ['Connection: keep-alive', 'Content-Length: 0'],
    ]);
    expect(origin.received().match(/content-length/gi)).toHaveLength(2);
    line.socket.destroy();
  });

  it('Q-05 dress a fetch as well', async () => {
    const { proxy, origin, site, host } = await stage(listOf([WINDOWS]));
    await call(proxy, 'GET', `/fetch?url=${encodeURIComponent(site)}`, `${CURL}${DESKTOP}`);
    expect(linesOf(origin)).toEqual([
      `Host: ${host}`,
      ...(PAGES[WINDOWS] ?? []).filter((line) => !line.startsWith('!')),
    ]);
  });
});

describe('G-05 lists', () => {
  it('come from the configured file, the missing half from the built-in one', async () => {
    const { ask, origin } = await stage(listOf([CHROME(7_777)]));
    await ask('');
    await ask('X-Crawlera-UA: mobile\r\n');
    const [desktop, phone] = agentsSeen(origin);
    expect(desktop).toBe(CHROME(7_777));
    expect(phone).toMatch(/Mobile/);
  });

  it('are taken over on reload; a broken file leaves the old ones and says where it is wrong', async () => {
    const { ask, proxy, origin } = await stage(listOf([CHROME(1)]));
    await ask('');
    proxy.reload(listOf([CHROME(2)]));
    await ask('');
    expect(() => proxy.reload(listOf(['curl/8', CHROME(3), 'wget/1']))).toThrow(
      /agents-\d+\.yaml:1: .*\n.*agents-\d+\.yaml:3: /,
    );
    await ask('');
    expect(agentsSeen(origin)).toEqual([CHROME(1), CHROME(2), CHROME(2)]);
  });

  it('with mistakes keep the proxy from starting', async () => {
    await expect(startProxy(listOf(['curl/8']))).rejects.toThrow(
      /agents-\d+\.yaml:1: \[0\]: expected the whole user agent/,
    );
  });
});
