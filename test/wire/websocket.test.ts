/** T-18, T-10 over real sockets: how a WebSocket handshake is authenticated, paced, sent, judged and answered. */
import { describe, expect, it } from 'vitest';
import { AUTH, basic, type Line, openLine, openSecure, openTunnel } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import { KEY } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { labelOf, makeWireKit, rawServer } from './errors-kit.ts';
import { acceptingTarget, HANDSHAKE, handshakeTo, join, SWITCHED } from './websocket-kit.ts';

const kit = makeWireKit();

const seenBy = (head: string): string[] => head.trimEnd().split('\r\n');

describe('the handshake', () => {
  it('T-18 F-04 reaches the target as the client wrote it, and nothing of ours with it', async () => {
    const origin = await kit.origin();
    origin.fallback = [SWITCHED];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    await line.ask(handshakeTo(origin.port, 'X-Crawlera-UA: pass\r\nProxy-Connection: keep-alive\r\n'));
    expect(origin.requests[0]?.head).toBe(
      `GET /chat HTTP/1.1\r\nHost: shop.localhost:${origin.port}\r\n${HANDSHAKE}\r\n`,
    );
    line.socket.destroy();
  });

  it('T-18 R-01 R-02 R-03 passes the 101 on as it is, with our headers behind it', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy();
    const { line, answer } = await join(proxy, target, 'X-Crawlera-Session: create\r\nX-Crawlera-Debug: ua\r\n');
    const id = answer.header('X-Crawlera-Session');
    expect(answer.raw.startsWith(SWITCHED.slice(0, -2))).toBe(true);
    expect(answer.headers.slice(3).map(([name]) => name)).toEqual([
      'X-Crawlera-Version',
      'X-Crawlera-Slave',
      'X-Crawlera-Session',
      'X-Crawlera-Debug-UA',
    ]);
    expect(id).toMatch(/^\d{7,15}$/);
    line.socket.destroy();
  });

  it('F-01 F-06 A09 neither hop-by-hop fields of the 101 nor headers in our name come through', async () => {
    const origin = await kit.origin();
    origin.fallback = [
      'HTTP/1.1 101 Go\r\nConnection: upgrade, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Crawlera-Error: banned\r\n' +
        'Upgrade: WebSocket\r\nContent-Length: 5\r\nSec-WebSocket-Protocol: chat\r\n\r\nhello',
    ];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const answer = await line.ask(handshakeTo(origin.port));
    expect(answer.headers.slice(0, 3)).toEqual([
      ['Connection', 'Upgrade'],
      ['Upgrade', 'WebSocket'],
      ['Sec-WebSocket-Protocol', 'chat'],
    ]);
    expect(answer.raw).not.toMatch(/hop|keep-alive|content-length|crawlera-error/i);
    await until(() => line.rest() === 'hello', 'what came behind the head');
    line.socket.destroy();
  });

  it('T-18 only a WebSocket is asked for, whatever else the client offers', async () => {
    const origin = await kit.origin();
    origin.fallback = [SWITCHED];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const offer = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c, websocket\r\nHTTP2-Settings: AAMA\r\n';
    await line.ask(`GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\n${AUTH}${offer}\r\n`);
    const lines = seenBy(origin.requests[0]?.head ?? '').slice(1, 4);
    expect(lines).toEqual([`Host: shop.localhost:${origin.port}`, 'Connection: Upgrade', 'Upgrade: websocket']);
    line.socket.destroy();
  });

  it.each([
    ['plain', openTunnel],
    ['TLS', openSecure],
  ] as const)('T-10 T-18 works in a tunnel, %s', async (how, open) => {
    const origin = how === 'TLS' ? await kit.secureOrigin(['shop.localhost']) : await kit.origin();
    origin.fallback = [`${SWITCHED}first`];
    const proxy = await kit.proxy(
      `targets: { allowPrivate: [127.0.0.0/8], ports: [1-65535], extraRoots: ${kit.rootsFile} }\n`,
    );
    const inside = await open(proxy, `shop.localhost:${origin.port}`);
    const answer = await inside.ask(`GET / HTTP/1.1\r\nHost: shop.localhost:${origin.port}\r\n${HANDSHAKE}\r\nearly`);
    expect(answer.status).toBe(101);
    inside.write('frame');
    await until(() => inside.rest() === 'first' && origin.received().endsWith('earlyframe'), 'both ways');
    inside.socket.destroy();
  });

  it('G-01 G-03 is dressed in its user agent, and not as a page', async () => {
    const origin = await kit.origin();
    origin.fallback = [SWITCHED];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    await line.ask(handshakeTo(origin.port, 'User-Agent: mine\r\nX-Crawlera-Profile: desktop\r\nDNT: 1\r\n'));
    const [, , agent, ...rest] = seenBy(origin.requests[0]?.head ?? '');
    expect(agent).toMatch(/^User-Agent: Mozilla/);
    expect(rest).toEqual([
      ...seenBy(HANDSHAKE).slice(0, 5),
      'Accept-Encoding: identity',
      'Accept-Language: en-US,en;q=0.9',
      ...seenBy(HANDSHAKE).slice(5),
    ]);
    line.socket.destroy();
  });

  it('K-01 cookies of the 101 go with the next handshake', async () => {
    const origin = await kit.origin();
    origin.fallback = [SWITCHED.replace('\r\n', '\r\nSet-Cookie: seen=1\r\n')];
    const proxy = await kit.proxy();
    for (let i = 0; i < 2; i++) {
      const line = await openLine(proxy.port);
      await line.ask(handshakeTo(origin.port));
      line.socket.destroy();
    }
    expect(origin.requests.map(({ head }) => head.includes('\r\nCookie: seen=1\r\n'))).toEqual([false, true]);
  });
});

describe('data around the 101', () => {
  it('T-18 what the target sends in one piece with it is delivered', async () => {
    const target = await acceptingTarget(kit, 'first words');
    const proxy = await kit.proxy();
    const { line } = await join(proxy, target);
    await until(() => line.rest() === 'first words', 'the first words');
    line.socket.destroy();
  });

  it('T-18 what the client sends before it reaches the target once, in order', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy('pacing: { siteDelay: 200ms, slaveDelay: 0ms }\n');
    (await join(proxy, target)).line.socket.destroy();
    const line = await openLine(proxy.port);
    line.write(`${handshakeTo(target.port)}one `);
    line.write('two ');
    await new Promise((resolve) => setTimeout(resolve, 20));
    line.write('three');
    expect((await line.read()).status).toBe(101);
    await until(() => target.received().endsWith('\r\n\r\none two three'), 'all of it');
    line.socket.destroy();
  });

  it('robustness A07 a handshake split anywhere is the same', async () => {
    const target = await acceptingTarget(kit, 'ok');
    const proxy = await kit.proxy();
    const text = `${handshakeTo(target.port)}early`;
    for (const at of [1, 20, text.length - 9, text.length - 6, text.length - 5, text.length - 1]) {
      const line = await openLine(proxy.port);
      line.write(text.slice(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      line.write(text.slice(at));
      expect((await line.read()).status).toBe(101);
      await until(() => line.rest() === 'ok' && target.received().endsWith('\r\n\r\nearly'), 'both');
      line.socket.destroy();
    }
  });
});

describe('authentication', () => {
  it('U-04 robustness C04 comes first, and a second try on the same connection may succeed', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    expect((await line.ask(handshakeTo(target.port, '', ''))).status).toBe(407);
    expect(target.accepted()).toBe(0);
    expect((await line.ask(handshakeTo(target.port))).status).toBe(101);
    expect(target.received()).not.toMatch(/proxy-auth/i);
    line.socket.destroy();
    const guess = await openLine(proxy.port);
    const wrong = `Proxy-Authorization: ${basic('wrong')}\r\n`;
    expect((await guess.ask(handshakeTo(target.port, '', wrong))).status).toBe(407);
    guess.socket.destroy();
  });
});

describe('one paced request', () => {
  it('P-01 T-18 waits for one turn and takes one', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy('pacing: { siteDelay: 10s, slaveDelay: 0ms, hardLimit: 15s }\n');
    const { line } = await join(proxy, target);
    line.write('frame');
    const second = await openLine(proxy.port);
    second.write(handshakeTo(target.port));
    const third = await openLine(proxy.port);
    const refused = await third.ask(handshakeTo(target.port));
    // One turn was taken by the first, one is waited for by the second.
    expect([refused.status, refused.header('Retry-After')]).toEqual([503, '20']);
    for (const { socket } of [line, second, third]) socket.destroy();
  });

  it('L-01 holds its seat until the connection ends, and no longer', async () => {
    const target = await acceptingTarget(kit);
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n`);
    const { line, far } = await join(proxy, target);
    const crowded = await openLine(proxy.port);
    expect((await crowded.ask(handshakeTo(target.port))).status).toBe(429);
    const ended = proxy.nextReceipt();
    far.end('bye');
    expect(await ended).toMatchObject({ status: 101, outcome: 'ok', bytes: 3, attempts: [{ outcome: 'fine' }] });
    const again = await crowded.ask(handshakeTo(target.port));
    expect(again.status).toBe(101);
    line.socket.destroy();
    crowded.socket.destroy();
    await until(() => proxy.receipts.length === 3, 'every receipt');
  });

  it('S-03 goes through the slave of its session', async () => {
    const target = await acceptingTarget(kit);
    const upstreams = await kit.upstreams(4);
    const proxy = await kit.proxy('', upstreams);
    const { line, answer } = await join(proxy, target, 'X-Crawlera-Session: create\r\n');
    const session = `X-Crawlera-Session: ${answer.header('X-Crawlera-Session')}\r\n`;
    for (let i = 0; i < 3; i++) {
      const next = await join(proxy, target, session);
      expect(next.answer.header('X-Crawlera-Slave')).toBe(answer.header('X-Crawlera-Slave'));
      next.line.socket.destroy();
    }
    line.socket.destroy();
  });
});

describe('answers other than a 101', () => {
  it('T-18 are ordinary responses, and the connection goes on', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    origin.enqueue(reply('not here', 'Connection: close\r\n'));
    origin.enqueue('HTTP/1.1 400 Bad\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n');
    expect((await line.ask(handshakeTo(origin.port))).body).toBe('not here');
    const second = await line.ask(handshakeTo(origin.port));
    expect([second.status, second.body, second.complete]).toEqual([400, 'no', true]);
    const next = await line.ask(`GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    expect(next.body).toBe('hello');
    // A request right behind a refused handshake is a request.
    line.write(
      `${handshakeTo(origin.port)}GET http://shop.localhost:${origin.port}/last HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`,
    );
    expect([(await line.read()).body, (await line.read()).body]).toEqual(['hello', 'hello']);
    expect(origin.requests.at(-1)?.head).toMatch(/^GET \/last /);
    line.socket.destroy();
  });

  it('T-18 A-11 a long one flows with backpressure', async () => {
    const size = 3_000_000;
    const origin = await kit.origin();
    origin.fallback = [reply('x'.repeat(size))];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    line.socket.pause();
    line.write(handshakeTo(origin.port));
    await until(() => origin.requests.length === 1, 'the request');
    await new Promise((resolve) => setTimeout(resolve, 50));
    line.socket.resume();
    expect((await line.read()).body.length).toBe(size);
    line.socket.destroy();
  });

  it('A-08 A-09 a ban page is retried through another slave', async () => {
    const target = await acceptingTarget(kit);
    const upstreams = await kit.upstreams(2);
    const proxy = await kit.proxy('', upstreams);
    const [first] = upstreams;
    if (!first) throw new Error('no upstream');
    first.misbehaviour = {
      reply: 'HTTP/1.1 200 Ok\r\n\r\nHTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n',
    };
    const answers = [];
    for (let i = 0; i < 2; i++) {
      const { line, answer } = await join(proxy, target, 'X-Crawlera-Debug: attempts\r\n');
      answers.push(answer.header('X-Crawlera-Debug-Attempts') ?? '');
      line.socket.destroy();
    }
    // Whichever the website's order begins with, the first is banned at its first turn and not asked again.
    expect(answers.filter((tries) => new RegExp(`^${labelOf(first)}=.*429.*=fine$`).test(tries))).toHaveLength(1);
    expect(answers.filter((tries) => /^[^,]+=fine$/.test(tries))).toHaveLength(1);
  });

  it.each([
    ['resets', 'reset'],
    ['closes', 'close'],
  ] as const)('A-02 a target that %s before its answer is tried again', async (_how, act) => {
    const origin = await kit.origin();
    origin.enqueue(act);
    origin.fallback = [SWITCHED];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    expect((await line.ask(handshakeTo(origin.port))).status).toBe(101);
    expect(origin.requests).toHaveLength(2);
    line.socket.destroy();
  });

  it('A-06 504 when no answer comes in time', async () => {
    const origin = await kit.origin();
    origin.fallback = ['hang'];
    const proxy = await kit.proxy('timeouts: { response: 80ms, responseMin: 50ms }\n');
    const line = await openLine(proxy.port);
    const answer = await line.ask(handshakeTo(origin.port));
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([504, 'timeout']);
    line.socket.destroy();
  });

  it.each([
    ['an ordinary request', '', SWITCHED],
    ['a handshake, for another protocol', HANDSHAKE, SWITCHED.replace('websocket', 'h2c')],
  ])('robustness A06 a 101 in answer to %s is refused', async (_what, lines, text) => {
    const origin = await kit.origin();
    origin.fallback = [text];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const answer = await line.ask(
      `GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${lines}\r\n`,
    );
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([502, 'send_failed']);
    line.socket.destroy();
    await until(() => origin.open.size === 0, 'the target to be left');
  });
});

describe('handshakes that cannot be taken up', () => {
  const site = (port: number): string => `http://shop.localhost:${port}/`;

  it.each([
    ['POST', 'POST', '1.1', HANDSHAKE],
    ['a body', 'GET', '1.1', `${HANDSHAKE}Content-Length: 2\r\n`],
    ['HTTP/1.0', 'GET', '1.0', HANDSHAKE],
    ['no Connection: Upgrade', 'GET', '1.1', 'Upgrade: websocket\r\n'],
  ])('T-18 are answered 501: %s', async (_what, method, version, lines) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const body = lines.includes('Content-Length') ? 'ab' : '';
    const answer = await line.ask(`${method} ${site(origin.port)} HTTP/${version}\r\n${AUTH}${lines}\r\n${body}`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([501, 'invalid_request']);
    expect(origin.requests).toEqual([]);
    line.socket.destroy();
  });

  it('T-18 robustness A15 is taken in its turn behind a request still being answered', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    line.write(`GET ${site(origin.port)} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n${handshakeTo(origin.port)}`);
    expect((await line.read()).status).toBe(200);
    await until(() => origin.requests.length === 2, 'the handshake to reach the target');
    line.socket.destroy();
  });
});

describe('other protocols', () => {
  const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n';

  it("T-18 curl's h2c offer is an ordinary request, and requests behind it are served", async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const ask = (path: string, more = ''): string =>
      `GET http://shop.localhost:${origin.port}${path} HTTP/1.1\r\nHost: x\r\n${AUTH}${more}\r\n`;
    line.write(ask('/1', H2C) + ask('/2') + ask('/3'));
    for (let i = 0; i < 3; i++) expect((await line.read()).status).toBe(200);
    expect((await line.ask(ask('/4', H2C))).status).toBe(200);
    expect(origin.requests.map(({ head }) => head.split(' ')[1]).sort()).toEqual(['/1', '/2', '/3', '/4']);
    expect(origin.received()).not.toMatch(/upgrade|http2-settings|connection/i);
    line.socket.destroy();
  });

  it('T-18 so it is with a body', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    for (const framing of [
      'Content-Length: 5\r\n\r\nhello',
      'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
    ])
      expect(
        (await line.ask(`POST http://shop.localhost:${origin.port}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${H2C}${framing}`))
          .status,
      ).toBe(200);
    expect(origin.requests.map(({ body }) => body)).toEqual(['hello', 'hello']);
    line.socket.destroy();
  });

  it('T-01 direct endpoints ignore the header', async () => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const head = `GET /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n${HANDSHAKE}\r\n`;
    expect([(await line.ask(head)).body, (await line.ask(head)).body]).toEqual(['{}', '{}']);
    line.socket.destroy();
  });
});

describe('a client that leaves before the 101', () => {
  it.each([
    ['resets', (line: Line) => line.socket.resetAndDestroy()],
    ['ends its side', (line: Line) => line.socket.end()],
  ])('T-19 robustness G08 frees everything when it %s', async (_how, leave) => {
    const target = kit.closing(await rawServer((socket) => socket.resume()));
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    line.write(handshakeTo(target.port));
    await until(() => target.open.size === 1, 'the attempt');
    const ended = proxy.nextReceipt();
    leave(line);
    expect(await ended).toMatchObject({ outcome: 'gone' });
    await until(() => target.open.size === 0, 'the target to be left', 1_000);
    await line.closed;
  });
});
