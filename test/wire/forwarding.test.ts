/** Section 4 of the contract on the exact bytes a target receives: what crosses, in which order and spelling, and what never does. */
import { describe, expect, it } from 'vitest';
import { AUTH, basic, get, type Line, openLine, openSecure, openTunnel } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import { KEY, type RunningProxy, startProxy } from '../support/proxy.ts';
import type { TestUpstream } from '../support/upstream.ts';
import { makeWireKit, urlOf } from './errors-kit.ts';

const kit = makeWireKit();

const open = (roots = false): string =>
  `targets: { allowPrivate: [127.0.0.0/8, "::1/128"], ports: [1-65535]${roots ? `, extraRoots: ${kit.rootsFile}` : ''} }\n`;

/** With upstreams whose URLs hold credentials. */
const proxyThrough = async (upstreams: readonly string[], yaml = ''): Promise<RunningProxy> =>
  kit.closing(await startProxy(yaml, upstreams));

const withLogin = (upstream: TestUpstream, login: string): string => urlOf(upstream).replace('://', `://${login}@`);

const send = async (proxy: RunningProxy, request: string): Promise<Awaited<ReturnType<Line['ask']>>> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(request);
  line.socket.destroy();
  return answer;
};

/** Everything a client may send that is not the target's business, mixed with what is, in odd spellings. */
const CLIENT_LINES = [
  'accept: */*',
  'X-Crawlera-UA: pass',
  'x-ODD-case: 1',
  'X-CRAWLERA-COOKIES: disable',
  'Content-length: 5',
  'Proxy-Connection: keep-alive',
  'Connection: keep-alive, X-Private, te',
  'X-Private: hop',
  'Keep-Alive: timeout=5',
  'TE: trailers',
  'Trailer: X-T',
  'Proxy-Foo: bar',
  'Upgrade: h2c',
  'zyte-jobid: 42',
  'Zyte-Made-Up: 1',
  'X-Crawlera-Wait: 1',
  'X-Twice: b',
  'Authorization: Basic dGFyZ2V0Og==',
  'x-twice: a',
  'user-agent: Mine/1',
  'Cookie: a=1; b=2',
  'Accept-Encoding: gzip, br',
];

/** What is left of them. */
const TARGET_LINES = [
  'accept: */*',
  'x-ODD-case: 1',
  'Content-length: 5',
  'X-Twice: b',
  'Authorization: Basic dGFyZ2V0Og==',
  'x-twice: a',
  'user-agent: Mine/1',
  'Cookie: a=1; b=2',
  'Accept-Encoding: gzip, br',
];

const textOf = (lines: readonly string[]): string => lines.map((line) => `${line}\r\n`).join('');

describe('what the target receives, byte for byte', () => {
  it('F-01 F-02 F-03 F-04 of a plain request: every line in its place and spelling, nothing of ours, nothing added', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const head = `POST http://${authority}/a%20b?q=%C3%A4&x#f HTTP/1.1\r\nhOsT: ${authority}\r\n`;
    const answer = await send(proxy, `${head}${AUTH}${textOf(CLIENT_LINES)}\r\n12345`);
    expect(answer.status).toBe(200);
    expect(origin.received()).toBe(
      `POST /a%20b?q=%C3%A4&x HTTP/1.1\r\nhOsT: ${authority}\r\n${textOf(TARGET_LINES)}\r\n12345`,
    );
  });

  it('F-04 keeps Host and Content-Length where the client had them, in the middle and at the end', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const lines = `Accept: a\r\n${AUTH}X-Crawlera-UA: pass\r\nHost: ${authority}\r\nAccept-Language: en\r\nCONTENT-LENGTH: 2\r\n`;
    await send(proxy, `PUT http://${authority}/ HTTP/1.1\r\n${lines}\r\nok`);
    expect(origin.received()).toBe(
      `PUT / HTTP/1.1\r\nAccept: a\r\nHost: ${authority}\r\nAccept-Language: en\r\nCONTENT-LENGTH: 2\r\n\r\nok`,
    );
  });

  it('F-04 keeps the framing line of a chunked body in its place, and its bytes', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const head = `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\ntransfer-encoding: chunked\r\nA: 1\r\n`;
    await send(proxy, `${head}${AUTH}X-Crawlera-UA: pass\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`);
    expect(origin.requests[0]?.head).toBe(
      `POST / HTTP/1.1\r\nHost: ${authority}\r\ntransfer-encoding: chunked\r\nA: 1\r\n\r\n`,
    );
    expect(origin.requests[0]?.body).toBe('abcde');
  });

  it("F-01 F-04 in a tunnel with TLS: the inner request alone, with the client's own Host", async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const proxy = await kit.proxy(open(true));
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    const answer = await line.ask(
      `POST /inner?q HTTP/1.1\r\n${AUTH}${textOf(CLIENT_LINES)}HOST: shop.localhost:${origin.port}\r\n\r\n12345`,
    );
    expect(answer.status).toBe(200);
    expect(origin.received()).toBe(
      `POST /inner?q HTTP/1.1\r\n${textOf(TARGET_LINES)}HOST: shop.localhost:${origin.port}\r\n\r\n12345`,
    );
    line.socket.destroy();
  });

  it.each([
    ['plain', false],
    ['TLS', true],
  ])('F-01 F-04 through a socks5 upstream, %s: the same bytes as without one', async (_what, secure) => {
    const origin = secure ? await kit.secureOrigin(['shop.localhost']) : await kit.origin();
    const upstream = await kit.upstream({ kind: 'socks5', username: 'jo', password: 'pw' });
    const proxy = await proxyThrough([withLogin(upstream, 'jo:pw')], open(secure));
    const authority = `shop.localhost:${origin.port}`;
    const line = secure ? await openSecure(proxy, authority) : await openTunnel(proxy, authority);
    await line.ask(`POST /x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(CLIENT_LINES)}\r\n12345`);
    expect(origin.received()).toBe(`POST /x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(TARGET_LINES)}\r\n12345`);
    expect(upstream.seen).toEqual([`3 ${authority}`]);
    line.socket.destroy();
  });

  it('F-01 F-05 through an http upstream, plain: its credentials stand last and go no further', async () => {
    const origin = await kit.origin();
    const upstream = await kit.upstream({ kind: 'http', username: 'jo', password: 'pw' });
    const proxy = await proxyThrough([withLogin(upstream, 'jo:pw')]);
    const authority = `shop.localhost:${origin.port}`;
    await send(
      proxy,
      `POST http://${authority}/x?y HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}${textOf(CLIENT_LINES)}\r\n12345`,
    );
    const head = `http://${authority}/x?y HTTP/1.1\r\nHost: ${authority}\r\n${textOf(TARGET_LINES)}`;
    expect(upstream.seen).toEqual([`POST ${head}Proxy-Authorization: ${basic('jo', 'pw')}\r\n\r\n`]);
    expect(origin.received()).not.toMatch(/proxy-/i);
  });

  it('F-01 F-05 through an http upstream, TLS: the CONNECT holds authority and credentials, and nothing of the client', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    const upstream = await kit.upstream({ kind: 'http', username: 'jo', password: 'pw' });
    const proxy = await proxyThrough([withLogin(upstream, 'jo:pw')], open(true));
    const authority = `shop.localhost:${origin.port}`;
    const line = await openSecure(proxy, authority, { more: `${AUTH}User-Agent: Client/1\r\nX-Odd: 1\r\n` });
    await line.ask(`POST /x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(CLIENT_LINES)}\r\n12345`);
    expect(upstream.seen).toEqual([
      `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\nProxy-Authorization: ${basic('jo', 'pw')}\r\n\r\n`,
    ]);
    expect(origin.received()).toBe(`POST /x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(TARGET_LINES)}\r\n12345`);
    line.socket.destroy();
  });

  it('F-02 adds nothing to the shortest request but Host, a user agent and nothing else', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    await send(proxy, `GET http://${authority}/ HTTP/1.0\r\n${AUTH}X-Crawlera-UA: pass\r\n\r\n`);
    expect(origin.received()).toBe(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    await send(proxy, `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}\r\n`);
    expect(origin.requests[1]?.head).toMatch(
      /^GET \/ HTTP\/1\.1\r\nHost: [^\r]+\r\nUser-Agent: Mozilla[^\r]+\r\n\r\n$/,
    );
  });
});

describe('retries', () => {
  const BAN = 'HTTP/1.1 503 Busy\r\nContent-Length: 3\r\n\r\nban';

  it('robustness C01 C02 F-05 F-04 sends every attempt the same bytes, and each upstream its own credentials alone', async () => {
    const origin = await kit.origin();
    origin.enqueue(BAN);
    origin.enqueue(BAN);
    const upstreams = [
      await kit.upstream({ kind: 'http', username: 'anna', password: 'first-secret' }),
      await kit.upstream({ kind: 'http', username: 'bert', password: 'second-secret' }),
      await kit.upstream({ kind: 'http', username: 'cleo', password: 'third-secret' }),
    ];
    const logins = ['anna:first-secret', 'bert:second-secret', 'cleo:third-secret'];
    const proxy = await proxyThrough(upstreams.map((upstream, i) => withLogin(upstream, logins[i] as string)));
    const authority = `shop.localhost:${origin.port}`;
    const answer = await send(
      proxy,
      `POST http://${authority}/x HTTP/1.1\r\nHost: ${authority}\r\n${AUTH}${textOf(CLIENT_LINES)}\r\n12345`,
    );
    expect(answer.status).toBe(200);
    const head = `POST http://${authority}/x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(TARGET_LINES)}`;
    for (const [i, upstream] of upstreams.entries()) {
      const [user, password] = (logins[i] as string).split(':') as [string, string];
      expect(upstream.seen).toEqual([`${head}Proxy-Authorization: ${basic(user, password)}\r\n\r\n`]);
    }
    const one = `POST /x HTTP/1.1\r\nHost: ${authority}\r\n${textOf(TARGET_LINES)}\r\n12345`;
    expect(origin.received()).toBe(one.repeat(3));
  });

  it('robustness C02 keeps credentials and key from an upstream that refuses them, and its challenge from the client', async () => {
    const upstream = await kit.upstream({ kind: 'http', username: 'jo', password: 'right' });
    const proxy = await proxyThrough([withLogin(upstream, 'jo:wrong-secret')]);
    const answer = await get(proxy, 'http://shop.localhost:9/');
    expect(answer.status).toBe(503);
    expect(answer.raw).not.toMatch(/wrong-secret|proxy-authenticate|realm/i);
    expect(upstream.seen.join('')).not.toContain(basic(KEY));
    expect(new Set(upstream.logins)).toEqual(new Set(['jo:wrong-secret']));
  });
});

describe('hop-by-hop headers', () => {
  const forwardedOf = async (lines: string): Promise<string> => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const head = `POST http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n`;
    const answer = await send(proxy, `${head}${AUTH}X-Crawlera-UA: pass\r\n${lines}\r\nok`);
    expect(answer.status).toBe(200);
    return (origin.requests[0]?.head ?? '').replace(`:${origin.port}`, '');
  };

  it('robustness A08 drops what Connection names, but neither framing nor Host', async () => {
    expect(
      await forwardedOf(
        'Connection: content-length, HOST, X-A\r\nX-A: 1\r\nx-a: 2\r\nconnection: transfer-encoding, X-B\r\nX-B: 1\r\nX-C: 1\r\nContent-Length: 2\r\n',
      ),
    ).toBe('POST / HTTP/1.1\r\nHost: shop.localhost\r\nX-C: 1\r\nContent-Length: 2\r\n\r\n');
  });

  it('robustness A08 does not let Connection name our own headers into the answer or control headers away', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const answer = await get(
      proxy,
      `http://shop.localhost:${origin.port}/`,
      'Connection: X-Crawlera-UA, X-Crawlera-Version\r\nX-Crawlera-UA: pass\r\nUser-Agent: Mine/1\r\n',
    );
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(origin.requests[0]?.head).toContain('User-Agent: Mine/1');
  });

  it.each([
    'Connection',
    'Keep-Alive',
    'Proxy-Authenticate',
    'Proxy-Authorization',
    'Proxy-Connection',
    'Proxy-Anything',
    'TE',
    'Trailer',
    'Upgrade',
    'Expect',
  ])('robustness A09 F-01 lets no request header %s cross, in any spelling', async (name) => {
    for (const spelled of [name, name.toLowerCase(), name.toUpperCase()]) {
      const value = name === 'Expect' ? '100-continue' : 'x-nothing';
      const origin = await kit.origin();
      const proxy = await kit.proxy();
      const line = await openLine(proxy.port);
      line.write(
        `POST http://shop.localhost:${origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${spelled}: ${value}\r\nContent-Length: 2\r\n\r\nok`,
      );
      let answer = await line.read();
      if (answer.status === 100) answer = await line.read();
      // A second Proxy-Authorization is the one that counts (H-03 for our own): a wrong one is refused, never forwarded.
      expect(answer.status).toBe(name === 'Proxy-Authorization' ? 407 : 200);
      expect(origin.received().toLowerCase()).not.toContain(`\r\n${name.toLowerCase()}:`);
      line.socket.destroy();
    }
  });

  it('robustness A09 F-06 lets no hop-by-hop header of a response cross, nor one in our name', async () => {
    const origin = await kit.origin();
    origin.enqueue(
      reply(
        'hello',
        textOf([
          'x-kept: 1',
          'Connection: X-Named, close',
          'X-Named: 1',
          'Keep-Alive: timeout=5',
          'Proxy-Authenticate: Basic realm="target"',
          'Proxy-Connection: close',
          'TE: trailers',
          'Trailer: X-T',
          'Upgrade: h2c',
          'X-Crawlera-Error: banned',
          'x-crawlera-session: 666',
          'X-Crawlera-Slave: 6.6.6.6:6',
          'X-CRAWLERA-VERSION: 0',
          'X-Crawlera-Next-Request-In: 6',
          'Zyte-Error: banned',
          'zyte-error-type: banned',
          'Zyte-Request-Id: its own',
          'Set-Cookie: a=1',
          'set-cookie: b=2',
          'Location: http://elsewhere.example/',
        ]),
      ),
    );
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    // The last two are about this connection, not the target's.
    expect(answer.headers.filter(([name]) => !/^X-Crawlera-(Version|Slave)$/.test(name))).toEqual([
      ['Content-Length', '5'],
      ['x-kept', '1'],
      ['Zyte-Request-Id', 'its own'],
      ['Set-Cookie', 'a=1'],
      ['set-cookie', 'b=2'],
      ['Location', 'http://elsewhere.example/'],
      ['Connection', 'keep-alive'],
      ['Keep-Alive', 'timeout=117'],
    ]);
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(answer.header('X-Crawlera-Slave')).toMatch(/^127\.0\.0\.1:0$/);
    expect(answer.raw.match(/x-crawlera-/gi)).toHaveLength(2);
  });
});

describe('the destination', () => {
  it.each(['other.example', 'other.localhost:1', ''])(
    'robustness A11 sends the authority of the URL as Host, whatever Host said: %j',
    async (host) => {
      const origin = await kit.origin();
      const proxy = await kit.proxy();
      const authority = `shop.localhost:${origin.port}`;
      await send(proxy, `GET http://${authority}/ HTTP/1.1\r\nHost: ${host}\r\n${AUTH}X-Crawlera-UA: pass\r\n\r\n`);
      expect(origin.received()).toBe(`GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    },
  );

  it('robustness A11 refuses two Host headers and contacts nobody', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const authority = `shop.localhost:${origin.port}`;
    const answer = await send(
      proxy,
      `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nHost: other.example\r\n${AUTH}\r\n`,
    );
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([400, 'invalid_request']);
    expect(origin.accepted()).toBe(0);
  });

  it('robustness B03 takes a user name and password out of the URL', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const answer = await send(
      proxy,
      `GET http://user:pa%40ss@shop.localhost:${origin.port}/p HTTP/1.1\r\nHost: user:pa%40ss@shop.localhost\r\n${AUTH}X-Crawlera-UA: pass\r\n\r\n`,
    );
    expect(answer.status).toBe(200);
    expect(origin.received()).toBe(`GET /p HTTP/1.1\r\nHost: shop.localhost:${origin.port}\r\n\r\n`);
    expect(JSON.stringify(proxy.receipts)).not.toContain('pa%40ss');
    expect(JSON.stringify(proxy.receipts)).not.toMatch(/"user[":]/);
  });

  it('robustness B03 does the same in front of an upstream, and with a Host inside a tunnel', async () => {
    const origin = await kit.origin();
    const upstream = await kit.upstream();
    const proxy = await kit.proxy('', [upstream]);
    const authority = `shop.localhost:${origin.port}`;
    await send(proxy, `GET http://user:pass@${authority}/p HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    const line = await openTunnel(proxy, authority);
    await line.ask('GET /t HTTP/1.1\r\nHost: user:pass@shop.localhost\r\n\r\n');
    expect(origin.requests).toHaveLength(2);
    expect(origin.received() + upstream.seen.join('')).not.toMatch(/user|pass@/);
    line.socket.destroy();
  });
});

describe('injection (robustness B01)', () => {
  const secondHeader = /\r\nevil/i;

  it.each([
    ['%0d%0a in the CONNECT authority', 'CONNECT shop.localhost%0d%0aEvil:80 HTTP/1.1'],
    ['a bare CR in the CONNECT authority', 'CONNECT shop.localhost\rEvil:80 HTTP/1.1'],
    ['NUL in the CONNECT authority', 'CONNECT shop.localhost\0:80 HTTP/1.1'],
    ['a blank in the CONNECT authority', 'CONNECT shop.localhost:80 Evil: 1 HTTP/1.1'],
    ['%00 in the host of a URL', 'GET http://shop.localhost%00/ HTTP/1.1'],
    ['%0d%0a in the host of a URL', 'GET http://shop.localhost%0d%0aEvil/ HTTP/1.1'],
    ['a tab in the path', 'GET http://shop.localhost/\tEvil HTTP/1.1'],
  ])('robustness B01 refuses %s', async (_what, requestLine) => {
    const origin = await kit.origin();
    const upstream = await kit.upstream();
    const proxy = await kit.proxy('', [upstream]);
    const answer = await send(proxy, `${requestLine}\r\nHost: x\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(400);
    expect(answer.raw).not.toMatch(secondHeader);
    expect(origin.accepted() + upstream.accepted()).toBe(0);
  });

  it('robustness B01 sends %0d%0a of path and query on as it is: no line of its own', async () => {
    const origin = await kit.origin();
    const upstream = await kit.upstream();
    const proxy = await kit.proxy('', [upstream]);
    await get(proxy, `http://shop.localhost:${origin.port}/a%0d%0aEvil:%201?b=%0D%0AEvil: 1`.replace(' ', '%20'));
    expect(upstream.seen[0]).toContain('/a%0d%0aEvil:%201?b=%0D%0AEvil:%201 HTTP/1.1');
    expect(origin.received() + upstream.seen.join('')).not.toMatch(secondHeader);
  });

  it("robustness B01 writes its own Host into a tunnel when the client's is none", async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openTunnel(proxy, `shop.localhost:${origin.port}`);
    await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost%0d%0aEvil: 1\r\nX-Crawlera-UA: pass\r\n\r\n');
    expect(origin.received()).toBe(`GET / HTTP/1.1\r\nHost: shop.localhost:${origin.port}\r\n\r\n`);
    line.socket.destroy();
  });

  it.each(['\r', '\0', '\n'])('robustness B01 refuses a bare %j inside a header value', async (sign) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    for (const name of ['X-Any', 'Host', 'X-Crawlera-JobId']) {
      const answer = await send(
        proxy,
        `GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\n${AUTH}${name}: a${sign}Evil: 1\r\n\r\n`,
      ).catch(() => undefined);
      // A line feed alone ends a line for nobody.
      expect(answer?.status ?? 400).toBe(400);
    }
    expect(origin.accepted()).toBe(0);
  });

  it('robustness B01 takes %0d%0a in control headers for the text it is', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const site = `http://shop.localhost:${origin.port}/`;
    const refused = await get(proxy, site, 'X-Crawlera-UA: pass%0d%0aEvil: 1\r\n');
    expect([refused.status, refused.body]).toEqual([540, 'Bad header value for X-Crawlera-UA']);
    const session = await get(proxy, site, 'X-Crawlera-Session: 1%0d%0aEvil: 1\r\n');
    expect([session.status, session.header('Evil')]).toEqual([400, undefined]);
    const job = await get(proxy, site, 'X-Crawlera-JobId: 1%0d%0aEvil: 1\r\n');
    expect(job.status).toBe(200);
    expect(origin.received()).not.toMatch(/evil/i);
  });
});

describe('one connection, one account (robustness C05)', () => {
  const ACCOUNTS = `accounts:\n  - { id: test, key: ${KEY} }\n  - { id: other, key: other-key }\n`;

  const asOther = `Proxy-Authorization: ${basic('other-key')}\r\n`;

  it('robustness C05 keeps a connection alive for one account and never lends it to another', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(ACCOUNTS);
    const authority = `shop.localhost:${origin.port}`;
    const ask = (auth: string, path: string) =>
      send(proxy, `GET http://${authority}${path} HTTP/1.1\r\nHost: ${authority}\r\n${auth}\r\n`);
    for (const [auth, path] of [
      [AUTH, '/1'],
      [asOther, '/2'],
      [AUTH, '/1'],
      [asOther, '/2'],
    ] as const)
      await ask(auth, path);
    const used = new Map(origin.requests.map(({ head, connection }) => [head.slice(0, 7), connection]));
    expect([...used.keys()]).toEqual(['GET /1 ', 'GET /2 ']);
    expect(new Set(used.values()).size).toBe(2);
    for (const { head, connection } of origin.requests) expect(connection).toBe(used.get(head.slice(0, 7)));
    expect(origin.accepted()).toBe(2);
  });

  it.each(['http', 'socks5'] as const)(
    'robustness C05 nor through a %s upstream, in tunnels with TLS',
    async (kind) => {
      const origin = await kit.secureOrigin(['shop.localhost']);
      const upstream = await kit.upstream({ kind });
      const proxy = await proxyThrough([urlOf(upstream)], ACCOUNTS + open(true));
      const authority = `shop.localhost:${origin.port}`;
      for (const [auth, path] of [
        [AUTH, '/1'],
        [asOther, '/2'],
        [AUTH, '/1'],
      ] as const) {
        const line = await openSecure(proxy, authority, { more: auth });
        expect((await line.ask(`GET ${path} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)).status).toBe(200);
        line.socket.destroy();
      }
      expect(origin.requests.map(({ connection }) => connection)).toEqual([1, 2, 1]);
      expect(upstream.accepted()).toBe(2);
    },
  );

  it('robustness C05 keeps sessions of one account apart as well', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const site = `http://shop.localhost:${origin.port}/`;
    const one = (await get(proxy, site, 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    const two = (await get(proxy, site, 'X-Crawlera-Session: create\r\n')).header('X-Crawlera-Session');
    await get(proxy, site, `X-Crawlera-Session: ${one}\r\n`);
    await get(proxy, site, `X-Crawlera-Session: ${two}\r\n`);
    await get(proxy, site);
    const [a, b, c, d, e] = origin.requests.map(({ connection }) => connection);
    expect(a).not.toBe(b);
    expect([c, d]).toEqual([a, b]);
    expect([a, b]).not.toContain(e);
  });
});
