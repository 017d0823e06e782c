/** Section 12 of the contract over real sockets: `/fetch`, the page without a proxy setting. */
import { describe, expect, it } from 'vitest';
import { type Answer, AUTH, basic, call, get, openLine } from '../support/client.ts';
import { type Origin, reply } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

interface Stage {
  readonly proxy: RunningProxy;
  readonly origin: Origin;
  readonly authority: string;
  /** Calls `/fetch` for a path of the target; `query` is appended as it is. */
  fetch(path: string, query?: string, more?: string, method?: string): Promise<Answer>;
}

const stage = async (yaml = ''): Promise<Stage> => {
  const origin = await kit.origin();
  const proxy = await kit.proxy(yaml);
  const authority = `shop.localhost:${origin.port}`;
  return {
    proxy,
    origin,
    authority,
    fetch: (path, query = '', more = '', method = 'GET') =>
      call(proxy, method, `/fetch?url=${encodeURIComponent(`http://${authority}${path}`)}${query}`, more),
  };
};

const PASS = 'X-Crawlera-UA: pass\r\n';

describe('/fetch', () => {
  it('Q-01 Q-02 answers what the same proxied request would get: status, headers, body and ours', async () => {
    const { origin, fetch, proxy, authority } = await stage();
    origin.fallback = [
      'HTTP/1.1 404 Nope\r\nX-Its: own\r\nContent-Encoding: gzip\r\nX-Crawlera-Error: fake\r\nContent-Length: 4\r\n\r\ngone',
    ];
    const fetched = await fetch('/p');
    const proxied = await get(proxy, `http://${authority}/p`);
    for (const answer of [fetched, proxied]) {
      expect([answer.status, answer.reason, answer.body]).toEqual([404, 'Nope', 'gone']);
      expect(answer.header('X-Its')).toBe('own');
      expect(answer.header('Content-Encoding')).toBe('gzip');
      expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
      expect(answer.header('X-Crawlera-Slave')).toBe('127.0.0.1:0');
      expect(answer.header('X-Crawlera-Error')).toBeUndefined();
    }
    expect(fetched.raw).toBe(proxied.raw);
  });

  it('Q-01 works with a slash behind it, and as an absolute URL of the proxy itself (T-14)', async () => {
    const { proxy, authority } = await stage();
    const query = `?url=${encodeURIComponent(`http://${authority}/`)}`;
    expect((await call(proxy, 'GET', `/fetch/${query}`)).status).toBe(200);
    expect((await get(proxy, `http://127.0.0.1:${proxy.port}/fetch${query}`)).status).toBe(200);
  });

  it('Q-02 reports errors as section 6 has them', async () => {
    const { proxy } = await stage();
    const refused = await call(proxy, 'GET', '/fetch?url=http%3A%2F%2Fshop.localhost%3A9%2F');
    expect([refused.status, refused.header('X-Crawlera-Error')]).toEqual([502, 'econnrefused']);
    expect(refused.body).toBe('Connection refused');
    const forbidden = await call(proxy, 'GET', '/fetch?url=http%3A%2F%2F10.0.0.1%2F');
    expect([forbidden.status, forbidden.header('X-Crawlera-Error')]).toEqual([523, 'domain_forbidden']);
  });

  it('Q-01 fetches https', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(
      `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`,
    );
    const answer = await call(proxy, 'GET', `/fetch?url=https%3A//shop.localhost:${origin.port}/ip`);
    expect([answer.status, answer.body]).toEqual([200, 'hello']);
    expect(origin.requests[0]?.servername).toBe('shop.localhost');
  });
});

describe('the URL (Q-03)', () => {
  it.each([
    ['decoded once', '%2Fa%2520b', '/a%20b'],
    ['with a plus that stays one', '/a+b?c+d', '/a+b?c+d'],
    ['with an encoded plus', '/a%2Bb', '/a+b'],
    ['with an encoded ampersand, which belongs to it', '/?a=1%26b=2', '/?a=1&b=2'],
    ['up to a raw ampersand', '/?a=1&b=2', '/?a=1'],
    ['with a query of its own, not encoded', '/p?x=y=z', '/p?x=y=z'],
    ['with a fragment, which stays at home', '/p%23frag', '/p'],
    ['with a blank, written as one has to be', '/a%20b', '/a%20b'],
    ['with UTF-8', '/%C3%A4', '/%C3%A4'],
  ])('Q-03 takes it %s', async (_what, given, expected) => {
    const { proxy, origin, authority } = await stage();
    const answer = await call(proxy, 'GET', `/fetch?url=http://${authority}${given}`);
    expect(answer.status).toBe(200);
    expect(origin.requests[0]?.head.split(' ')[1]).toBe(expected);
  });

  it.each([
    ['missing', '/fetch'],
    ['missing among others', '/fetch?headers=a:b'],
    ['empty', '/fetch?url='],
    ['without a scheme', '/fetch?url=shop.localhost/'],
    ['of another scheme', '/fetch?url=ftp%3A//shop.localhost/'],
    ['a local file', '/fetch?url=file%3A///etc/passwd'],
    ['without a host', '/fetch?url=http%3A///p'],
    ['with an impossible port', '/fetch?url=http%3A//shop.localhost%3A99999/'],
    ['with a line end', '/fetch?url=http%3A//shop.localhost/%0d%0aEvil:1'],
    ['with NUL', '/fetch?url=http%3A//shop.localhost/%00'],
  ])('Q-03 answers bad_uri for one that is %s', async (_what, path) => {
    const { proxy, origin } = await stage();
    const answer = await call(proxy, 'GET', path);
    expect([answer.status, answer.header('X-Crawlera-Error'), answer.body]).toEqual([400, 'bad_uri', 'Bad URI']);
    expect(origin.accepted()).toBe(0);
  });
});

describe('the headers (Q-04, Q-05)', () => {
  const encode = encodeURIComponent;

  it('Q-04 splits at semicolons and first colons, trims, and keeps a value its semicolons', async () => {
    const { fetch, origin, authority } = await stage();
    const agent = 'Mozilla/5.0 (X11; Linux x86_64; K) Safari/1';
    await fetch('/', `&headers=${encode(` X-One : 1 ;User-Agent: ${agent};x-two:a:b;`)}`, PASS);
    expect(origin.received()).toBe(
      `GET / HTTP/1.1\r\nHost: ${authority}\r\nX-One: 1\r\nUser-Agent: ${agent}\r\nx-two: a:b;\r\n\r\n`,
    );
  });

  it('Q-03 Q-04 takes a plus for a blank there, and an encoded plus for a plus', async () => {
    const { fetch, origin } = await stage();
    await fetch('/', '&headers=X-A:+b+c;X-B:d%2Be', PASS);
    expect(origin.requests[0]?.head).toContain('\r\nX-A: b c\r\nX-B: d+e\r\n');
  });

  it.each([
    'Host',
    'Connection',
    'Content-Length',
    'Transfer-Encoding',
    'TE',
    'Upgrade',
    'Proxy-Authorization',
    'Expect',
  ])('Q-04 skips %s', async (name) => {
    const { fetch, origin, authority } = await stage();
    const answer = await fetch('/', `&headers=${encode(`${name.toLowerCase()}: evil;${name}: evil;X-Kept: 1`)}`, PASS);
    expect(answer.status).toBe(200);
    expect(origin.received()).toBe(`GET / HTTP/1.1\r\nHost: ${authority}\r\nX-Kept: 1\r\n\r\n`);
  });

  it.each(['%0d%0aEvil: 1', '%0aEvil: 1', '%0dEvil: 1', '%00'])(
    'Q-04 robustness B01 refuses a header value with %s',
    async (bad) => {
      const { fetch, origin } = await stage();
      const answer = await fetch('/', `&headers=X-A:%20b${bad.replaceAll(' ', '%20')}`);
      expect([answer.status, answer.header('X-Crawlera-Error'), answer.header('Evil')]).toEqual([
        400,
        'bad_uri',
        undefined,
      ]);
      expect(origin.accepted()).toBe(0);
    },
  );

  it('Q-05 F-03 sends none of the headers of the call itself, its credentials least of all', async () => {
    const { fetch, origin, authority } = await stage();
    await fetch('/', '', `${PASS}${AUTH}User-Agent: Caller/1\r\nCookie: a=1\r\nX-Any: 1\r\nAccept: */*\r\n`);
    expect(origin.received()).toBe(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
  });

  it('F-03 Q-05 sends an Authorization that headers= names, for that one is meant for the target', async () => {
    const { fetch, origin } = await stage();
    await fetch('/', `&headers=${encode('Authorization: Basic dGFyZ2V0')}`);
    expect(origin.requests[0]?.head).toContain('\r\nAuthorization: Basic dGFyZ2V0\r\n');
    expect(origin.received()).not.toContain(basic(KEY));
  });

  it('Q-05 takes control headers from both places, and headers= wins', async () => {
    const { fetch, proxy, origin } = await stage();
    const mine = `&headers=${encode('User-Agent: Mine/1;X-Crawlera-UA: pass')}`;
    expect((await fetch('/', mine, 'X-Crawlera-UA: mobile\r\nX-Crawlera-JobId: 7\r\n')).status).toBe(200);
    expect(origin.requests[0]?.head).toContain('User-Agent: Mine/1');
    expect(origin.received()).not.toMatch(/crawlera/i);
    expect(proxy.receipts[0]?.job?.controls.jobId).toBe('7');
    const bad = await fetch('/', `&headers=${encode('X-Crawlera-UA: tablet')}`);
    expect([bad.status, bad.body]).toEqual([540, 'Bad header value for X-Crawlera-UA']);
  });

  it('Q-05 dresses the request as any other', async () => {
    const { fetch, origin } = await stage();
    const answer = await fetch('/', '', 'X-Crawlera-Profile: mobile\r\nX-Crawlera-Debug: ua\r\n');
    const agent = answer.header('X-Crawlera-Debug-UA');
    expect(origin.requests[0]?.head).toContain(`User-Agent: ${agent}\r\n`);
    expect(origin.requests[0]?.head).toContain('Accept-Language: en-US');
  });
});

describe('methods (Q-06)', () => {
  it('Q-06 answers HEAD with the head alone, and the connection goes on', async () => {
    const { proxy, origin, authority } = await stage();
    origin.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n');
    const line = await openLine(proxy.port);
    const path = `/fetch?url=${encodeURIComponent(`http://${authority}/`)}`;
    const lines = `Host: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`;
    const head = await line.ask(`HEAD ${path} HTTP/1.1\r\n${lines}`);
    expect([head.status, head.header('Content-Length')]).toEqual([200, '5']);
    expect(origin.requests[0]?.head.startsWith('HEAD / ')).toBe(true);
    expect((await line.ask(`GET ${path} HTTP/1.1\r\n${lines}`)).body).toBe('hello');
    line.socket.destroy();
  });

  it.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH'])('Q-06 refuses %s', async (method) => {
    const { fetch, origin } = await stage();
    const answer = await fetch('/', '', '', method);
    expect([answer.status, answer.header('Allow'), answer.header('X-Crawlera-Error')]).toEqual([
      405,
      'GET, HEAD',
      'invalid_request',
    ]);
    expect(origin.accepted()).toBe(0);
  });

  it('Q-06 asks for the key first', async () => {
    const { proxy } = await stage();
    const line = await openLine(proxy.port);
    expect((await line.ask('POST /fetch HTTP/1.1\r\nHost: x\r\n\r\n')).status).toBe(407);
    line.socket.destroy();
  });
});

describe('the same rules as any request (Q-07)', () => {
  it('Q-07 shares sessions with proxied requests', async () => {
    const { fetch, proxy, authority } = await stage();
    const id = (await fetch('/', '', 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    const again = await get(proxy, `http://${authority}/`, `X-Crawlera-Session: ${id}\r\n`);
    expect(again.header('X-Crawlera-Session')).toBe(id);
    const unknown = await fetch('/', '', 'X-Crawlera-Session: 1234567\r\n');
    expect([unknown.status, unknown.header('X-Crawlera-Session')]).toEqual([400, '1234567']);
  });

  it('Q-07 shares pacing with proxied requests', async () => {
    const { fetch, proxy, authority } = await stage(
      'pacing: { siteDelay: 20s, slaveDelay: 0ms, softLimit: 1s, hardLimit: 10s, maxHold: 10s }\n',
    );
    expect((await get(proxy, `http://${authority}/`)).status).toBe(200);
    const answer = await fetch('/');
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([503, 'serverbusy']);
    expect(answer.header('Retry-After')).toBe('20');
  });

  it('Q-07 shares the limit of concurrency', async () => {
    const { fetch, origin, proxy, authority } = await stage(
      `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n`,
    );
    let release = (): void => {};
    origin.enqueue({ until: new Promise<void>((resolve) => (release = resolve)) }, reply('slow'));
    const first = get(proxy, `http://${authority}/`);
    await until(() => origin.requests.length === 1, 'the first request');
    expect((await fetch('/')).status).toBe(429);
    release();
    expect((await first).status).toBe(200);
    expect((await fetch('/')).status).toBe(200);
  });

  it('Q-07 shares ban rules and retries', async () => {
    const { fetch, origin } = await stage();
    origin.fallback = ['HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n'];
    const answer = await fetch('/');
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([503, 'slavebanned']);
    const raw = await fetch('/', '', 'X-Crawlera-No-Bancheck: 1\r\n');
    expect([raw.status, raw.header('X-Crawlera-Error')]).toEqual([429, undefined]);
  });

  it('T-15 robustness D08 does not follow a redirect', async () => {
    const { fetch, origin, authority } = await stage();
    origin.enqueue(`HTTP/1.1 302 Found\r\nLocation: http://${authority}/next\r\nContent-Length: 0\r\n\r\n`);
    const answer = await fetch('/');
    expect([answer.status, answer.header('Location')]).toEqual([302, `http://${authority}/next`]);
    expect(origin.requests).toHaveLength(1);
  });

  it('T-19 stops when the caller leaves', async () => {
    const { proxy, origin, authority } = await stage();
    origin.fallback = ['hang'];
    const line = await openLine(proxy.port);
    const written = proxy.nextReceipt();
    line.write(`GET /fetch?url=http://${authority}/ HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
    await until(() => origin.requests.length === 1, 'the request at the target');
    line.socket.destroy();
    expect((await written).outcome).toBe('gone');
    await until(() => origin.open.size === 0, 'the connection to the target to close');
  });
});
