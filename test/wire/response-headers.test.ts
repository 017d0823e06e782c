/** Section 5 over real sockets: the headers of ours that every kind of response carries, and their exact forms. */
import { describe, expect, it } from 'vitest';
import { type Answer, AUTH, basic, call, get, openLine, openSecure, openTunnel } from '../support/client.ts';
import { type Act, reply } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { freePort, labelOf, makeWireKit, QUICK } from './errors-kit.ts';

const kit = makeWireKit();

const BAN = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nno!!';
const NO_RETRY = 'X-Crawlera-Max-Retries: 0\r\n';

const valuesOf = (answer: Answer, name: string): string[] =>
  answer.headers.filter(([one]) => one.toLowerCase() === name.toLowerCase()).map(([, value]) => value);

const send = async (proxy: RunningProxy, text: string): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(text);
  line.socket.destroy();
  return answer;
};

const secured = (): string => `targets: { allowPrivate: [127.0.0.0/8], extraRoots: ${kit.rootsFile} }\n`;

describe('X-Crawlera-Version', () => {
  const kinds: readonly (readonly [what: string, ask: (proxy: RunningProxy, port: number) => Promise<Answer>])[] = [
    ['a fetched page', (proxy, port) => get(proxy, `http://shop.localhost:${port}/`)],
    ['a page of /fetch', (proxy, port) => call(proxy, 'GET', `/fetch?url=http://shop.localhost:${port}/`)],
    ['a new session', (proxy) => call(proxy, 'POST', '/sessions')],
    ['the list of sessions', (proxy) => call(proxy, 'GET', '/sessions')],
    ['the certificate', (proxy) => call(proxy, 'GET', '/crawlera-ca.crt')],
    ['the welcome page', (proxy) => call(proxy, 'GET', '/')],
    ['an unknown endpoint', (proxy) => call(proxy, 'GET', '/nowhere')],
    ['a failed authentication', (proxy) => send(proxy, 'GET http://a.localhost/ HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['a refused CONNECT', (proxy) => send(proxy, 'CONNECT a.localhost:443 HTTP/1.1\r\nHost: a\r\n\r\n')],
    ['a CONNECT nobody understands', (proxy) => send(proxy, `CONNECT :x HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`)],
    ['bytes that are no request', (proxy) => send(proxy, 'HELO\r\n\r\n')],
    ['headers too large', (proxy) => send(proxy, `GET / HTTP/1.1\r\nX: ${'y'.repeat(105_000)}\r\n\r\n`)],
    ['an error', (proxy) => get(proxy, 'http://nosuch.invalid/')],
  ];
  it.each(kinds)('R-01 robustness H11 is on %s, once, and not empty', async (_what, ask) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    expect(valuesOf(await ask(proxy, origin.port), 'X-Crawlera-Version')).toEqual(['9.8.7']);
  });

  it('R-01 T-04 is on everything inside a tunnel, but not on the 200 that opens it', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(secured());
    const plain = await openLine(proxy.port);
    const opened = await plain.ask(`CONNECT shop.localhost:443 HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`);
    expect([opened.status, valuesOf(opened, 'X-Crawlera-Version')]).toEqual([200, []]);
    plain.socket.destroy();
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    for (const more of ['', 'X-Crawlera-UA: x\r\n']) {
      const answer = await line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${more}\r\n`);
      expect(valuesOf(answer, 'X-Crawlera-Version')).toEqual(['9.8.7']);
    }
    line.socket.destroy();
  });

  it('F-06 R-04 what a website says in our name is not heard', async () => {
    const origin = await kit.origin();
    const lies = ['Version: 0', 'Error: banned', 'Session: 1', 'Slave: x', 'Next-Request-In: 9', 'Debug-UA: x'];
    const said = lies.map((lie) => `x-crawlera-${lie}\r\n`).join('');
    origin.fallback = [reply('hello', `${said}Zyte-Error: banned\r\nZyte-Error-Type: banned\r\nX-Crawl: kept\r\n`)];
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    const ours = answer.headers.filter(([name]) => /crawl|zyte/i.test(name)).map(([name]) => name);
    expect(ours.sort()).toEqual(['X-Crawl', 'X-Crawlera-Slave', 'X-Crawlera-Version']);
    expect(answer.header('X-Crawlera-Slave')).toBe('127.0.0.1:0');
  });
});

describe('X-Crawlera-Slave', () => {
  const slaveThrough = async (upstream: string, url: string, more = ''): Promise<string | undefined> => {
    const proxy = await kit.proxy(`upstreams:\n  - { url: "${upstream}", region: de }\n`);
    return (await get(proxy, url, NO_RETRY + more)).header('X-Crawlera-Slave');
  };

  it('R-02 is address and port of the upstream, without scheme, credentials and region', async () => {
    const origin = await kit.origin();
    const up = await kit.upstream();
    const url = `http://shop.localhost:${origin.port}/`;
    expect(await slaveThrough(`http://jo:secret@127.0.0.1:${up.port}`, url)).toBe(`127.0.0.1:${up.port}`);
  });

  it('R-02 shows a name as it is configured', async () => {
    const origin = await kit.origin();
    const up = await kit.upstream({ kind: 'socks5' });
    const url = `http://shop.localhost:${origin.port}/`;
    expect(await slaveThrough(`socks5://Exit-1.localhost:${up.port}`, url)).toBe(`Exit-1.localhost:${up.port}`);
  });

  it('R-02 writes IPv6 in brackets', async () => {
    const port = await freePort();
    expect(await slaveThrough(`http://[::1]:${port}`, 'http://shop.localhost/')).toBe(`[::1]:${port}`);
  });

  it('R-02 is the source address and port 0 for a direct exit', async () => {
    const origin = await kit.origin();
    const url = `http://shop.localhost:${origin.port}/`;
    expect(await slaveThrough('direct:', url)).toBe('127.0.0.1:0');
    expect(await slaveThrough('direct:?address=127.0.0.2', url)).toBe('127.0.0.2:0');
  });

  it('R-02 is on what a direct exit could not finish', async () => {
    const origin = await kit.origin();
    origin.fallback = ['close'];
    const url = `http://shop.localhost:${origin.port}/`;
    expect(await slaveThrough('direct:?address=127.0.0.2', url)).toBe('127.0.0.2:0');
    origin.fallback = [BAN];
    expect(await slaveThrough('direct:?address=127.0.0.2', url)).toBe('127.0.0.2:0');
  });

  it('R-02 names the last of several attempts', async () => {
    const origin = await kit.origin();
    origin.enqueue(BAN);
    const ups = await kit.upstreams(2);
    const proxy = await kit.proxy('', ups);
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expect(answer.header('X-Crawlera-Slave')).toBe(proxy.receipts[0]?.attempts[1]?.exit);
    expect(ups.map(labelOf)).toContain(answer.header('X-Crawlera-Slave'));
  });
});

describe('X-Crawlera-Session', () => {
  const ACCOUNTS = `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n  - { id: poor, key: poor, plan: c10 }\n`;
  const SITES = 'websites: { barred.localhost: { forbidden: true } }\n';

  const scene = async (yaml = '') => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(`${ACCOUNTS}${SITES}${QUICK}limits: { response: 1KiB }\n${yaml}`);
    const id = (await call(proxy, 'POST', '/sessions')).body;
    expect(id).toMatch(/^\d{7,15}$/);
    return { origin, proxy, id, url: `http://shop.localhost:${origin.port}/`, header: `X-Crawlera-Session: ${id}\r\n` };
  };

  const results: readonly (readonly [what: string, acts: readonly Act[], status: number])[] = [
    ['a page', [reply('hello')], 200],
    ['an error page', ['HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n'], 404],
    ['a redirect', ['HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n'], 302],
    ['nothing new', ['HTTP/1.1 304 Not Modified\r\n\r\n'], 304],
    ['a closed connection', ['close'], 502],
    ['a timeout', ['hang'], 504],
    ['a ban', [BAN], 503],
    ['too much', ['HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n'], 541],
  ];
  it.each(results)('R-03 is on %s', async (_what, acts, status) => {
    const { origin, proxy, url, id, header } = await scene();
    origin.fallback = acts;
    const answer = await get(proxy, url, `${header}X-Crawlera-Timeout: 250\r\n`);
    expect(answer.status).toBe(status);
    expect(valuesOf(answer, 'X-Crawlera-Session')).toEqual([id]);
  });

  it.each([
    ['540', '', 'X-Crawlera-UA: x\r\n', 540],
    ['523', 'http://barred.localhost/', '', 523],
    ['501', '', 'Upgrade: websocket\r\n', 501],
    ['502 for a name nobody knows', 'http://nosuch.invalid/', '', 502],
  ])('R-03 is on %s', async (_what, target, more, status) => {
    const { proxy, url, id, header } = await scene();
    const answer = await get(proxy, target || url, header + more);
    expect(answer.status).toBe(status);
    expect(valuesOf(answer, 'X-Crawlera-Session')).toEqual([id]);
  });

  it('R-03 is on 470', async () => {
    const { proxy, url, header } = await scene();
    const line = `Proxy-Authorization: ${basic('poor')}\r\n${header}X-Crawlera-UA: pass\r\n`;
    const answer = await get(proxy, url, line);
    expect([answer.status, answer.header('X-Crawlera-Session')]).toEqual([470, header.slice(20).trim()]);
  });

  it('R-03 is on 429 and on serverbusy', async () => {
    const { origin, proxy, url, id, header } = await scene(
      'pacing: { siteDelay: 0ms, slaveDelay: 30s, hardLimit: 20s }\n',
    );
    origin.fallback = ['hang'];
    const line = await openLine(proxy.port);
    line.write(`GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`);
    await until(() => origin.requests.length === 1, 'the first request');
    const crowded = await get(proxy, url, header);
    expect([crowded.status, valuesOf(crowded, 'X-Crawlera-Session')]).toEqual([429, [id]]);
    const gone = proxy.nextReceipt();
    line.socket.destroy();
    await gone;
    const busy = await get(proxy, url, header);
    expect([busy.status, busy.header('X-Crawlera-Error'), busy.header('Retry-After')]).toEqual([
      503,
      'serverbusy',
      '30',
    ]);
    expect(valuesOf(busy, 'X-Crawlera-Session')).toEqual([id]);
  });

  it('R-03 H-06 is the session of the CONNECT, on errors too', async () => {
    const { proxy, id, header, origin } = await scene();
    const line = await openTunnel(proxy, `shop.localhost:${origin.port}`, AUTH + header);
    for (const [more, status] of [
      ['', 200],
      ['X-Crawlera-UA: x\r\n', 540],
    ] as const) {
      const answer = await line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${more}\r\n`);
      expect([answer.status, valuesOf(answer, 'X-Crawlera-Session')]).toEqual([status, [id]]);
    }
    line.socket.destroy();
  });

  it('S-06 S-10 the header means nothing to the session endpoints', async () => {
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxSessions: 1 }\n`);
    const header = 'X-Crawlera-Session: 7654321\r\n';
    const made = await call(proxy, 'POST', '/sessions', header);
    expect(valuesOf(made, 'X-Crawlera-Session')).toEqual([made.body]);
    const full = await call(proxy, 'POST', '/sessions', header);
    expect([full.status, valuesOf(full, 'X-Crawlera-Session')]).toEqual([400, []]);
    const unknown = await call(proxy, 'DELETE', '/sessions/1234567', header);
    expect([unknown.status, valuesOf(unknown, 'X-Crawlera-Session')]).toEqual([400, ['1234567']]);
  });

  it('R-03 is not on requests without session', async () => {
    const { proxy, url } = await scene();
    for (const more of ['', 'X-Crawlera-Session: \r\n', 'X-Crawlera-UA: x\r\n']) {
      expect(valuesOf(await get(proxy, url, more), 'X-Crawlera-Session')).toEqual([]);
    }
  });
});

describe('debug headers', () => {
  const scene = async (...scripts: readonly (readonly Act[])[]) => {
    const origin = await kit.origin();
    for (const script of scripts.slice(0, -1)) origin.enqueue(...script);
    origin.fallback = scripts.at(-1) ?? [reply('hello')];
    const proxy = await kit.proxy(QUICK, await kit.upstreams(2));
    return { origin, proxy, url: `http://shop.localhost:${origin.port}/` };
  };
  const TIME = 'X-Crawlera-Debug-Request-Time';

  it('R-05 H-19 the request time is in seconds with 6 decimals', async () => {
    const { proxy, url } = await scene([{ wait: 60 }, reply('hello')]);
    const time = (await get(proxy, url, 'X-Crawlera-Debug: request-time\r\n')).header(TIME);
    expect(time).toMatch(/^\d+\.\d{6}$/);
    expect(Number(time)).toBeGreaterThan(0.055);
    expect(Number(time) * 1000).toBeLessThanOrEqual(proxy.receipts[0]?.attempts[0]?.tookMs ?? 0);
  });

  it('R-05 it is that of the last attempt, without the attempts before', async () => {
    const { proxy, url } = await scene([{ wait: 90 }, BAN], [reply('hello')]);
    const time = (await get(proxy, url, 'X-Crawlera-Debug: request-time\r\n')).header(TIME);
    const [, last] = proxy.receipts[0]?.attempts ?? [];
    expect(Number(time) * 1000).toBeLessThanOrEqual(last?.tookMs ?? 0);
    expect(proxy.receipts[0]?.tookMs).toBeGreaterThan(85);
  });

  it('R-05 there is none when no head came back in the last attempt', async () => {
    const { proxy, url } = await scene([BAN], ['hang']);
    const answer = await get(proxy, url, 'X-Crawlera-Debug: request-time, ua\r\nX-Crawlera-Timeout: 250\r\n');
    expect(answer.header('X-Crawlera-Error')).toBe('slavebanned');
    expect(answer.header(TIME)).toBeUndefined();
    expect(answer.header('X-Crawlera-Debug-UA')).toMatch(/^Mozilla/);
  });

  it('H-19 the user agent is that of the last attempt', async () => {
    const { origin, proxy, url } = await scene([BAN], [reply('hello')]);
    const answer = await get(proxy, url, 'X-Crawlera-Debug: ua,request-time\r\n');
    const sent = /User-Agent: (.*)\r\n/.exec(origin.requests[1]?.head ?? '')?.[1];
    expect(sent).toBeDefined();
    expect(valuesOf(answer, 'X-Crawlera-Debug-UA')).toEqual([sent]);
    expect(valuesOf(answer, TIME)).toHaveLength(1);
  });

  it('H-19 what nobody asked for, or nobody knows, is not there', async () => {
    const { proxy, url } = await scene([reply('hello')]);
    for (const more of ['', 'X-Crawlera-Debug: True\r\n', 'X-Crawlera-Debug: \r\n']) {
      const answer = await get(proxy, url, more);
      expect(answer.headers.filter(([name]) => /debug/i.test(name))).toEqual([]);
    }
  });
});

describe('X-Crawlera-Next-Request-In', () => {
  const NEXT = 'X-Crawlera-Next-Request-In';
  const scene = async (pacing: string, acts: readonly Act[] = [reply('hello')]) => {
    const origin = await kit.origin();
    origin.fallback = acts;
    const proxy = await kit.proxy(`${QUICK}pacing: { slaveDelay: 0ms, ${pacing} }\n`);
    return { proxy, url: `http://shop.localhost:${origin.port}/` };
  };
  /** So many requests in this order, each on a connection of its own that was open before. */
  const volley = async (proxy: RunningProxy, url: string, count: number, more = ''): Promise<Answer[]> => {
    const lines = await Promise.all(Array.from({ length: count }, () => openLine(proxy.port)));
    const answers: Promise<Answer>[] = [];
    for (const line of lines) {
      answers.push(line.ask(`GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}${more}\r\n`));
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
    const all = await Promise.all(answers);
    for (const line of lines) line.socket.destroy();
    return all;
  };

  it('P-04 is there from the soft limit on, in whole seconds, rounded up', async () => {
    const { proxy, url } = await scene('siteDelay: 600ms, softLimit: 700ms');
    const answers = await volley(proxy, url, 3);
    expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200]);
    expect(answers.map((answer) => answer.header(NEXT))).toEqual([undefined, undefined, '2']);
  });

  it('P-04 is on errors too', async () => {
    const { proxy, url } = await scene('siteDelay: 500ms, softLimit: 50ms', ['close']);
    const [, late] = await volley(proxy, url, 2, NO_RETRY);
    expect([late?.status, late?.header(NEXT)]).toEqual([502, '1']);
  });

  it('P-04 P-02 is on the refusal of one held too long', async () => {
    const { proxy, url } = await scene('siteDelay: 7s, softLimit: 6s, maxHold: 50ms');
    const [, late] = await volley(proxy, url, 2);
    expect([late?.header('X-Crawlera-Error'), late?.header(NEXT)]).toEqual(['serverbusy', '7']);
  });

  it('P-07 a wait between attempts does not make one', async () => {
    const { proxy, url } = await scene('siteDelay: 60ms, softLimit: 40ms', ['close']);
    const answer = await get(proxy, url, 'X-Crawlera-Max-Retries: 1\r\n');
    expect([answer.status, answer.header(NEXT)]).toEqual([502, undefined]);
    expect(proxy.receipts).toMatchObject([{ attempts: [{}, {}] }]);
    expect(proxy.receipts[0]?.waitedMs).toBeGreaterThan(30);
  });
});
