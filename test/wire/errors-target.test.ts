/** Section 6 over real sockets: what a client is told when the target is the trouble, and when it is told. */
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/model/errors.ts';
import { makeAuthority, makeSelfSigned } from '../support/certificates.ts';
import { AUTH, get, openLine, openSecure } from '../support/client.ts';
import type { Act } from '../support/origin.ts';
import type { RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { expectRefusal, freePort, labelOf, makeWireKit, QUICK, rawServer } from './errors-kit.ts';

const kit = makeWireKit();

const NO_RETRY = 'X-Crawlera-Max-Retries: 0\r\n';
/** A reset that comes together with data is seen as a close. */
const APART = { wait: 20 };
/** A direct exit is shown by its source address and port 0. */
const DIRECT = '127.0.0.1:0';

/** The reason the log gives for the only attempt made. */
const reasonOf = (proxy: RunningProxy): string | undefined => {
  expect(proxy.receipts).toHaveLength(1);
  expect(proxy.receipts[0]?.attempts).toHaveLength(1);
  return proxy.receipts[0]?.attempts[0]?.reason;
};

/** A target that is no HTTP server: this happens to its connections. */
const targetOf = async (serve: Parameters<typeof rawServer>[0]): Promise<number> =>
  kit.closing(await rawServer((socket) => serve(socket.on('error', () => {})))).port;

describe('the connection to the target', () => {
  it('E-03 A-02 nxdomain: our own resolver is believed at once', async () => {
    const proxy = await kit.proxy();
    expectRefusal(await get(proxy, 'http://nosuch.invalid/'), 'nxdomain', { slave: undefined });
    expect(reasonOf(proxy)).toBe('DNS: ENOTFOUND');
  });

  it('E-03 A-02 econnrefused: tried again on the same exit when there is no other, six times in all', async () => {
    const proxy = await kit.proxy();
    const port = await freePort();
    expectRefusal(await get(proxy, `http://shop.localhost:${port}/`), 'econnrefused');
    expect(proxy.receipts[0]?.attempts.map((one) => one.outcome)).toEqual(Array(6).fill('econnrefused'));
  });

  it('E-03 a reset in the TLS handshake is econnreset', async () => {
    const port = await targetOf((socket) => socket.once('data', () => socket.resetAndDestroy()));
    const proxy = await kit.proxy();
    expectRefusal(await get(proxy, `https://shop.localhost:${port}/`, NO_RETRY), 'econnreset', { slave: DIRECT });
    expect(reasonOf(proxy)).toBe('target TLS: ECONNRESET');
  });

  it('E-03 a close in the TLS handshake is socket_closed_remotely', async () => {
    const port = await targetOf((socket) => socket.once('data', () => socket.end()));
    const proxy = await kit.proxy();
    const answer = await get(proxy, `https://shop.localhost:${port}/`, NO_RETRY);
    expectRefusal(answer, 'socket_closed_remotely', { slave: DIRECT });
  });

  it('E-03 a target that speaks plain text where TLS is due is a TLS failure', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const port = await targetOf((socket) => socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'));
    expectRefusal(await get(proxy, `https://shop.localhost:${port}/`, NO_RETRY), 'tls_failed', { slave: DIRECT });
    expect(origin.requests).toEqual([]);
  });
});

describe('before the head is complete', () => {
  const rows: readonly (readonly [what: string, acts: readonly Act[], condition: Condition])[] = [
    ['a reset before any byte', ['reset'], 'econnreset'],
    ['a reset in the middle of the head', ['HTTP/1.1 200 OK\r\nContent-', APART, 'reset'], 'econnreset'],
    ['a close before any byte', ['close'], 'socket_closed_remotely'],
    ['a close in the middle of the head', ['HTTP/1.1 200 OK\r\nContent-', 'close'], 'socket_closed_remotely'],
    ['two lengths', ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab'], 'send_failed'],
    [
      'length and chunked',
      ['HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n'],
      'send_failed',
    ],
    ['a negative length', ['HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n'], 'send_failed'],
    ['a head that never ends', ['HTTP/1.1 200 OK\r\nX: ', `${'y'.repeat(110_000)}`], 'send_failed'],
    ['bytes that are no HTTP', ['220 smtp.example ESMTP\r\n'], 'send_failed'],
    ['silence', ['hang'], 'timeout'],
    ['half a head and silence', ['HTTP/1.1 200 OK\r\nContent-Len', 'hang'], 'timeout'],
  ];
  it.each(rows)('E-03 robustness A06 G02 %s', async (_what, acts, condition) => {
    const origin = await kit.origin();
    origin.fallback = acts;
    const proxy = await kit.proxy(QUICK);
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `${NO_RETRY}X-Crawlera-Timeout: 250\r\n`);
    expectRefusal(answer, condition, { slave: DIRECT });
    expect(proxy.receipts).toMatchObject([{ outcome: condition, attempts: [{ exit: DIRECT, outcome: condition }] }]);
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });

  it('A-02 what had begun to answer is not asked again, whatever retries are left', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 200 OK\r\nContent-', APART, 'reset'];
    const proxy = await kit.proxy();
    expectRefusal(await get(proxy, `http://shop.localhost:${origin.port}/`), 'econnreset');
    expect(origin.requests).toHaveLength(1);
  });
});

describe('once the head was forwarded', () => {
  const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npart\r\n';
  const LENGTH = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart';
  it.each([
    ['a reset, length known', LENGTH, 'reset'],
    ['a close, length known', LENGTH, 'close'],
    ['a reset, chunked', CHUNKED, 'reset'],
    ['a close, chunked', CHUNKED, 'close'],
    ['broken chunks', CHUNKED, 'zz\r\n'],
    ['a reset, length unknown', 'HTTP/1.1 200 OK\r\n\r\npart', 'reset'],
  ] as const)('E-10 A-02 R-04 %s: the client sees an incomplete message', async (_what, head, end) => {
    const origin = await kit.origin();
    let go = (): void => {};
    origin.fallback = [head, { until: new Promise<void>((resolve) => (go = resolve)) }, end];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const answered = line.ask(`GET http://shop.localhost:${origin.port}/ HTTP/1.1\r\nHost: s\r\n${AUTH}\r\n`);
    await until(() => line.rest().includes('part'), 'the beginning of the body');
    const receipt = proxy.nextReceipt();
    go();
    const answer = await answered;
    expect(answer).toMatchObject({ status: 200, complete: false });
    expect(answer.header('X-Crawlera-Error')).toBeUndefined();
    expect(answer.raw).not.toContain('HTTP/1.1 5');
    await line.closed;
    expect(await receipt).toMatchObject({ status: 200, outcome: 'cut', bytes: 4 });
    expect(origin.requests).toHaveLength(1);
  });

  it('E-10 the same inside a tunnel: TLS ends with the message incomplete', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    let go = (): void => {};
    origin.fallback = [CHUNKED, { until: new Promise<void>((resolve) => (go = resolve)) }, 'close'];
    const proxy = await kit.proxy(`targets: { allowPrivate: [127.0.0.0/8], extraRoots: ${kit.rootsFile} }\n`);
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    const answered = line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n');
    await until(() => line.rest().includes('part'), 'the beginning of the body');
    go();
    expect(await answered).toMatchObject({ status: 200, complete: false });
    await line.closed;
  });

  it('E-10 a body that ends by closing, as announced, is complete', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 200 OK\r\n\r\nall of it', 'close'];
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expect(answer).toMatchObject({ status: 200, complete: true, body: 'all of it' });
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok', bytes: 9 }]);
  });
});

describe('the certificate of the target', () => {
  const past = new Date(Date.now() - 86_400_000);
  const cases = [
    ['expired', 'certificate expired', () => kit.authority().issue({ hosts: ['shop.localhost'], notAfter: past })],
    ['for another host', 'certificate for another host', () => kit.authority().issue({ hosts: ['b.localhost'] })],
    ['of an unknown issuer', 'unknown issuer', () => makeAuthority('stranger').issue({ hosts: ['shop.localhost'] })],
    ['self-signed', 'self-signed certificate', () => makeSelfSigned({ hosts: ['shop.localhost'] })],
  ] as const;

  it.each(cases)(
    'E-03 C-07 robustness E06 %s: reported inside the tunnel, its reason logged',
    async (_name, why, make) => {
      const origin = await kit.origin({ certificate: make() });
      const targets = `targets: { allowPrivate: [127.0.0.0/8], extraRoots: ${kit.rootsFile} }\n`;
      const proxy = await kit.proxy(targets);
      const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
      const answer = await line.ask(`GET / HTTP/1.1\r\nHost: shop.localhost\r\n${NO_RETRY}\r\n`);
      expectRefusal(answer, 'tls_failed', { slave: DIRECT });
      expect(reasonOf(proxy)).toBe(`target TLS: ${why}`);
      expect(origin.requests).toEqual([]);
      proxy.reload(`${targets}websites: { shop.localhost: { insecureTarget: true } }\n`);
      expect(await line.ask('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n')).toMatchObject({ status: 200 });
      line.socket.destroy();
    },
  );
});

describe('silence', () => {
  it('G02 A-07 a target that never finishes TLS is a timeout, connecting included', async () => {
    const port = await targetOf((socket) => socket.resume());
    const proxy = await kit.proxy(QUICK);
    const answer = await get(proxy, `https://shop.localhost:${port}/`, 'X-Crawlera-Timeout: 250\r\n');
    expectRefusal(answer, 'timeout', { slave: DIRECT });
    expect(proxy.receipts[0]?.attempts).toHaveLength(1);
    expect(proxy.receipts[0]?.tookMs).toBeLessThan(1_000);
  });

  it('G02 A-04 an upstream that never answers CONNECT: the target timed out, and no other upstream is asked', async () => {
    const up = await kit.upstream();
    const other = await kit.upstream();
    for (const one of [up, other]) one.misbehaviour = { reply: 'HTTP/1.1 200', tunnelAfter: false };
    const proxy = await kit.proxy(QUICK, [up, other]);
    const answer = await get(proxy, 'https://shop.localhost/', 'X-Crawlera-Timeout: 250\r\n');
    const asked = [up, other].filter((one) => one.seen.length > 0);
    expect(asked).toHaveLength(1);
    expectRefusal(answer, 'timeout', { slave: asked.map(labelOf)[0] });
  });

  it('E-03 msgtimeout for a page that stalls while it is still held back for the ban rules, once', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 99\r\n\r\n<html>', 'hang'];
    const proxy = await kit.proxy(QUICK);
    const url = `http://shop.localhost:${origin.port}/`;
    expectRefusal(await get(proxy, url, 'X-Crawlera-Timeout: 250\r\n'), 'msgtimeout', { slave: DIRECT });
    expect(reasonOf(proxy)).toBe('response body stalled');
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });

  it('E-03 msgtimeout names the client that stalls its own body, and the target is let go', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(QUICK);
    const line = await openLine(proxy.port);
    const url = `http://shop.localhost:${origin.port}/`;
    const head = `POST ${url} HTTP/1.1\r\nHost: s\r\n${AUTH}X-Crawlera-Timeout: 250\r\nTransfer-Encoding: chunked\r\n\r\n`;
    expectRefusal(await line.ask(`${head}4\r\nhalf\r\n`), 'msgtimeout');
    await until(() => origin.open.size === 0, 'the connection to the target to end');
    expect(proxy.receipts).toMatchObject([{ outcome: 'msgtimeout' }]);
    expect(origin.received()).not.toContain('\r\n0\r\n');
    await line.closed;
  });
});
