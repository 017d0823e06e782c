/** Whose failure it was: the upstream's, which marks it down, or the target's (A-04). */
import { createServer } from 'node:net';
import { describe, expect, it } from 'vitest';
import type { Fault } from '../../src/model/errors.ts';
import type { Upstream } from '../../src/model/job.ts';
import { listen } from '../support/sockets.ts';
import { directExit, type Misbehaviour, type TestUpstream } from '../support/upstream.ts';
import { faultOf, fetchText, keptBody, optionsFor, requestTo, targetOf } from './harness.ts';
import { makeKit } from './kit.ts';

const kit = makeKit();

const freePort = async (): Promise<number> => {
  const listening = await listen(createServer());
  await listening.close();
  return listening.port;
};

interface Try {
  readonly scheme?: 'http' | 'https';
  readonly port?: number;
  readonly method?: string;
  readonly connectMs?: number;
  readonly headMs?: number;
}

const attemptThrough = (upstream: Upstream, how: Try = {}): Promise<Fault> => {
  const { scheme = 'https', port = 4443, method = 'GET', connectMs = 2_000, headMs = 2_000 } = how;
  const out = kit.transport({ connectMs });
  const body = method === 'POST' ? keptBody('x') : undefined;
  const request = requestTo(targetOf(scheme, 'shop.localhost', port), { method, body });
  return faultOf(fetchText(out, request, optionsFor({ upstream, headMs })));
};

const misbehaving = async (kind: 'http' | 'https' | 'socks5', misbehaviour: Misbehaviour): Promise<TestUpstream> => {
  const proxy = await kit.upstream({ kind });
  proxy.misbehaviour = misbehaviour;
  return proxy;
};

const upstreamFailed = { condition: 'noslaves', upstreamFailed: true, sent: 'nothing' };

describe('A-04 what is the upstream itself', () => {
  it('its name does not resolve', async () => {
    const proxy = await kit.upstream({ kind: 'http' });
    const fault = await attemptThrough({ ...proxy.model, host: 'no-such-upstream.invalid' });
    expect(fault).toMatchObject(upstreamFailed);
    expect(fault.reason).toMatch(/upstream DNS/);
  });

  it.each(['http', 'https', 'socks5'] as const)('it refuses the connection: %s', async (kind) => {
    const proxy = await kit.upstream({ kind });
    const fault = await attemptThrough({ ...proxy.model, port: await freePort() });
    expect(fault).toMatchObject({ ...upstreamFailed, reason: 'upstream TCP: ECONNREFUSED' });
  });

  it.each(['https', 'socks5'] as const)('it does not finish its greeting within connectMs: %s', async (kind) => {
    const silent = kit.closing(await listen(createServer((socket) => socket.resume())));
    const proxy = await kit.upstream({ kind });
    const started = performance.now();
    const fault = await attemptThrough({ ...proxy.model, port: silent.port }, { connectMs: 60 });
    expect(fault).toMatchObject({ ...upstreamFailed, reason: 'upstream connect: not ready in time' });
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it.each([
    ['http', 'https'],
    ['https', 'https'],
    ['socks5', 'https'],
    ['http', 'http'],
    ['https', 'http'],
    ['socks5', 'http'],
  ] as const)('robustness C03: %s refuses our credentials for %s', async (kind, scheme) => {
    const proxy = await kit.upstream({ kind, username: 'jo', password: 'right' });
    const fault = await attemptThrough({ ...proxy.model, password: 'wrong' }, { scheme, method: 'POST' });
    expect(fault).toMatchObject(upstreamFailed);
    expect(`${fault.message} ${fault.reason}`).not.toContain('wrong');
  });

  it('SOCKS: it wants a login and there is none, or it is no SOCKS5 server', async () => {
    const proxy = await kit.upstream({ kind: 'socks5', username: 'jo', password: 'right' });
    const without = await attemptThrough({ ...proxy.model, username: undefined, password: undefined });
    expect(without).toMatchObject(upstreamFailed);
    const strange = await misbehaving('socks5', { greeting: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n') });
    expect(await attemptThrough(strange.model)).toMatchObject(upstreamFailed);
  });

  it('robustness E07: an https upstream with a certificate we do not trust', async () => {
    const proxy = await kit.upstream({
      kind: 'https',
      certificate: kit.authority.issue({ hosts: ['other.localhost'] }),
    });
    const fault = await attemptThrough(proxy.model);
    expect(fault).toMatchObject({ ...upstreamFailed, reason: 'upstream TLS: certificate for another host' });
  });

  it('a source address this machine does not have', async () => {
    const fault = await attemptThrough(directExit('192.0.2.77'), { scheme: 'http' });
    expect(fault).toMatchObject(upstreamFailed);
  });
});

const SQUID_DNS = 'HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\nContent-Length: 0\r\n\r\n';
const SQUID_CONNECT =
  'HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 111\r\nContent-Length: 0\r\n\r\n';
const MARK_DNS =
  'HTTP/1.1 502 Bad Gateway\r\nProxy-Status: p; error=dns_error; rcode="NXDOMAIN"\r\nContent-Length: 0\r\n\r\n';
const MARK_REFUSED =
  'HTTP/1.1 502 Bad Gateway\r\nProxy-Status: p;error=connection_refused\r\nContent-Length: 0\r\n\r\n';

describe('A-04 what is the target', () => {
  it.each([
    ['X-Squid-Error DNS', SQUID_DNS, 'nxdomain'],
    ['X-Squid-Error connect', SQUID_CONNECT, 'econnrefused'],
    ['Proxy-Status DNS', MARK_DNS, 'nxdomain'],
    ['Proxy-Status refused', MARK_REFUSED, 'econnrefused'],
  ])('marks are read: %s', async (_name, reply, condition) => {
    const expected = { condition, upstreamFailed: false, sent: 'nothing' };
    for (const kind of ['http', 'https'] as const) {
      const proxy = await misbehaving(kind, { reply });
      expect(await attemptThrough(proxy.model, { scheme: 'https' })).toMatchObject(expected);
      expect(await attemptThrough(proxy.model, { scheme: 'http', method: 'POST' })).toMatchObject(expected);
    }
  });

  it.each(['403 Forbidden', '502 Bad Gateway', '301 Moved', '500 Unable to connect'])(
    'robustness G03: any other refused CONNECT is ehostunreach: %s',
    async (status) => {
      const proxy = await misbehaving('http', { reply: `HTTP/1.1 ${status}\r\nContent-Length: 3\r\n\r\nno!` });
      expect(await attemptThrough(proxy.model)).toMatchObject({ condition: 'ehostunreach', upstreamFailed: false });
    },
  );

  it.each([
    ['not HTTP at all', 'SSH-2.0-x\r\n\r\n'],
    ['64 KB of headers', `HTTP/1.1 200 OK\r\n${`X: ${'y'.repeat(1000)}\r\n`.repeat(64)}\r\n`],
    ['LF only', 'HTTP/1.1 200 OK\n\n'],
  ])('robustness G03: an unreadable CONNECT reply is ehostunreach: %s', async (_name, reply) => {
    const proxy = await misbehaving('http', { reply });
    expect(await attemptThrough(proxy.model)).toMatchObject({ condition: 'ehostunreach', upstreamFailed: false });
    expect(proxy.open.size).toBeLessThanOrEqual(1);
  });

  it('robustness G03: a CONNECT reply may come byte by byte', async () => {
    const site = await kit.secureOrigin();
    const proxy = await misbehaving('http', {
      reply: 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 Connection established\r\nContent-Length: 5\r\n\r\n',
      trickle: true,
      tunnelAfter: true,
    });
    const request = requestTo(targetOf('https', 'shop.localhost', site.port));
    const { text } = await fetchText(kit.transport(), request, optionsFor({ upstream: proxy.model }));
    expect(text).toBe('hello');
  });

  it('robustness G03: bytes after the 200 belong to the tunnel', async () => {
    const proxy = await misbehaving('http', { reply: 'HTTP/1.1 200 OK\r\n\r\nextra bytes that are no TLS' });
    expect(await attemptThrough(proxy.model)).toMatchObject({ condition: 'tls_failed', upstreamFailed: false });
  });

  it.each([
    [1, 'ehostunreach'],
    [2, 'ehostunreach'],
    [4, 'ehostunreach'],
    [5, 'econnrefused'],
    [99, 'ehostunreach'],
  ])('SOCKS reply %i is %s', async (code, condition) => {
    const proxy = await misbehaving('socks5', { reply: Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]) });
    expect(await attemptThrough(proxy.model)).toMatchObject({ condition, upstreamFailed: false, sent: 'nothing' });
  });

  it('SOCKS replies may name any kind of address and come byte by byte', async () => {
    const site = await kit.origin();
    const address = Buffer.concat([Buffer.from([5, 0, 0, 3, 4]), Buffer.from('name'), Buffer.from([0, 80])]);
    const proxy = await misbehaving('socks5', { reply: address, trickle: true, tunnelAfter: true });
    const request = requestTo(targetOf('http', 'shop.localhost', site.port));
    const { text } = await fetchText(kit.transport(), request, optionsFor({ upstream: proxy.model }));
    expect(text).toBe('hello');
  });

  it.each([
    ['http', 'https'],
    ['socks5', 'https'],
    ['http', 'http'],
    ['https', 'http'],
  ] as const)('%s for %s: closed, reset or silent instead of a reply', async (kind, scheme) => {
    const closed = await misbehaving(kind, { cut: 'close' });
    expect(await attemptThrough(closed.model, { scheme })).toMatchObject({
      condition: 'socket_closed_remotely',
      upstreamFailed: false,
      headRead: false,
    });
    if (kind !== 'https') {
      const reset = await misbehaving(kind, { cut: 'reset' });
      expect(await attemptThrough(reset.model, { scheme })).toMatchObject({
        condition: 'econnreset',
        upstreamFailed: false,
      });
    }
    const silent = await misbehaving(kind, { reply: '' });
    const fault = await attemptThrough(silent.model, { scheme, headMs: 80 });
    expect(fault).toMatchObject({ condition: 'timeout', upstreamFailed: false });
  });

  it('T-16 an unmarked 5xx of an http upstream, and marks on a tunnelled answer, are delivered as they are', async () => {
    const site = await kit.origin();
    const proxy = await kit.upstream({ kind: 'http' });
    const out = kit.transport();
    const request = requestTo(targetOf('http', 'shop.localhost', site.port));
    site.enqueue('HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno');
    const plain = await fetchText(out, request, optionsFor({ upstream: proxy.model }));
    expect([plain.response.status, plain.text]).toEqual([503, 'no']);
    site.enqueue(SQUID_DNS);
    const { response } = await fetchText(out, request);
    expect(response.status).toBe(503);
    site.enqueue('HTTP/1.1 407 Strange\r\nContent-Length: 0\r\n\r\n');
    expect((await fetchText(out, request)).response.status).toBe(407);
  });
});

describe('A-04 a target dialled directly', () => {
  it('refused, unknown, silent', async () => {
    const refused = await attemptThrough(directExit(), { scheme: 'http', port: await freePort() });
    expect(refused).toMatchObject({ condition: 'econnrefused', upstreamFailed: false, sent: 'nothing' });
    const target = targetOf('http', 'no-such-name.invalid', 80);
    expect(await faultOf(fetchText(kit.transport(), requestTo(target)))).toMatchObject({ condition: 'nxdomain' });
    const silent = await kit.origin({ onConnect: 'silent' });
    const late = await attemptThrough(directExit(), { scheme: 'http', port: silent.port, headMs: 60 });
    expect(late).toMatchObject({ condition: 'timeout', upstreamFailed: false, sent: 'all', headRead: false });
  });

  it('closed or reset before, and within, the response head', async () => {
    const site = await kit.origin();
    const http = { scheme: 'http', port: site.port } as const;
    site.enqueue('close');
    expect(await attemptThrough(directExit(), http)).toMatchObject({
      condition: 'socket_closed_remotely',
      headRead: false,
      sent: 'all',
    });
    site.enqueue('reset');
    expect(await attemptThrough(directExit(), http)).toMatchObject({ condition: 'econnreset', headRead: false });
    site.enqueue('HTTP/1.1 200 OK\r\nA: ', 'close');
    expect(await attemptThrough(directExit(), http)).toMatchObject({
      condition: 'socket_closed_remotely',
      headRead: true,
    });
  });

  it('robustness A06: a malformed response is send_failed and its connection is gone', async () => {
    const site = await kit.origin();
    site.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n');
    const fault = await attemptThrough(directExit(), { scheme: 'http', port: site.port });
    expect(fault).toMatchObject({ condition: 'send_failed', headRead: true });
    await expect.poll(() => site.open.size).toBe(0);
  });
});

describe('names and addresses on their way to an upstream', () => {
  it('robustness B05: IPv6 literals are bracketed in CONNECT and given as an address to SOCKS', async () => {
    const site = await kit.origin({ host: '::1' });
    const plain = requestTo(targetOf('http', '::1', site.port));
    const socks = await kit.upstream({ kind: 'socks5' });
    const viaSocks = await fetchText(kit.transport(), plain, optionsFor({ upstream: socks.model }));
    expect([viaSocks.text, socks.seen]).toEqual(['hello', [`4 0:0:0:0:0:0:0:1:${site.port}`]]);
    const proxy = await misbehaving('http', { reply: 'HTTP/1.1 403 No\r\n\r\n' });
    const secure = requestTo(targetOf('https', '::1', 4443));
    await faultOf(fetchText(kit.transport(), secure, optionsFor({ upstream: proxy.model })));
    expect(proxy.seen).toEqual(['CONNECT [::1]:4443 HTTP/1.1\r\nHost: [::1]:4443\r\n\r\n']);
  });

  it('A-04 names go unresolved and unjudged through every kind of upstream', async () => {
    const asked: string[] = [];
    const out = kit.transport({
      lookup(host, answer) {
        asked.push(host);
        answer(undefined, [{ address: '127.0.0.1', family: 4 }]);
      },
      judgeAddress: () => false,
    });
    for (const kind of ['http', 'socks5'] as const) {
      const proxy = await misbehaving(kind, { cut: 'close' });
      const upstream = { ...proxy.model, host: `${kind}.proxy.test` };
      const target = targetOf('https', 'site.test', 443);
      await faultOf(fetchText(out, requestTo(target), optionsFor({ upstream })));
      expect(proxy.seen[0]).toContain('site.test:443');
    }
    expect(asked).toEqual(['http.proxy.test', 'socks5.proxy.test']);
  });
});
