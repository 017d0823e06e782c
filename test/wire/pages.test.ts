/** What anyone may read on the proxy port, and how it answers for places it does not have (C-02, T-14, S-07). */
import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { AUTH, basic, call, openLine } from '../support/client.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const CA_PATHS = ['/crawlera-ca.crt', '/zyte-smartproxy-ca.crt', '/zyte-ca.crt'];

/** Without a key. */
const open = async (proxy: RunningProxy, path: string, method = 'GET', host = `127.0.0.1:${proxy.port}`) => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(`${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  line.socket.destroy();
  return answer;
};

describe('the CA certificate', () => {
  it.each(CA_PATHS)('C-02 C-01 is at %s without a key, as PEM', async (path) => {
    const proxy = await kit.proxy();
    const answer = await open(proxy, path);
    expect([answer.status, answer.header('Content-Type')]).toEqual([200, 'application/x-x509-ca-cert']);
    expect(answer.body.trimEnd()).toBe(proxy.caPem.trimEnd());
    expect(new X509Certificate(answer.body).ca).toBe(true);
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(answer.header('X-Crawlera-Error')).toBeUndefined();
  });

  it('C-02 is the same with a key, right or wrong, and as an absolute URL', async () => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    for (const auth of [`Authorization: ${basic(KEY)}\r\n`, AUTH, `Authorization: ${basic('wrong')}\r\n`]) {
      const answer = await line.ask(`GET /crawlera-ca.crt HTTP/1.1\r\nHost: x\r\n${auth}\r\n`);
      expect(answer.status).toBe(200);
    }
    const absolute = await line.ask(`GET http://localhost:${proxy.port}/crawlera-ca.crt HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect(absolute.status).toBe(200);
    line.socket.destroy();
  });

  it('robustness C07 comes without its key, wherever one looks for it', async () => {
    const proxy = await kit.proxy();
    for (const path of [...CA_PATHS, '/', '/crawlera-ca.key', '/certs/crawlera-ca.key', '/../certs/crawlera-ca.key']) {
      const answer = await call(proxy, 'GET', path);
      expect(answer.raw).not.toContain('PRIVATE');
    }
  });

  it('robustness C08 is another one in every installation', async () => {
    const [one, two] = [await kit.proxy(), await kit.proxy()];
    expect((await open(one, '/crawlera-ca.crt')).body).not.toBe((await open(two, '/crawlera-ca.crt')).body);
  });
});

describe('the welcome page', () => {
  it('is HTML that needs no key, runs no script and names the address it was asked at', async () => {
    const proxy = await kit.proxy();
    for (const path of ['/', '/?utm=1']) {
      const answer = await open(proxy, path, 'GET', 'crawl.example:8010');
      expect([answer.status, answer.header('Content-Type')]).toEqual([200, 'text/html; charset=utf-8']);
      expect(answer.header('Content-Security-Policy')).toContain("default-src 'none'");
      expect(answer.body).toContain('curl -x crawl.example:8010 -U');
      expect(answer.body).toContain('href="/crawlera-ca.crt"');
      expect(answer.body).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
      expect(answer.body).not.toMatch(/<script|https?:\/\/(?!target\.example)/);
    }
  });

  it('falls back on its own address when Host is none, and shows nothing else of it', async () => {
    const proxy = await kit.proxy();
    for (const host of ['', '"><script>alert(1)</script>', 'a b', '<b>:80', "x'onload='y"]) {
      const answer = await open(proxy, '/', 'GET', host);
      expect(answer.body).toContain(`curl -x 127.0.0.1:${proxy.port} -U`);
      expect(answer.body).not.toMatch(/script|onload|<b>/);
    }
  });

  it('shows the first public name of the configuration when the client says none', async () => {
    const proxy = await kit.proxy('listen: { host: 0.0.0.0, names: [crawl.example] }\n');
    expect((await open(proxy, '/', 'GET', '')).body).toContain(`curl -x crawl.example:${proxy.port} -U`);
    const nameless = await kit.proxy('listen: { host: 0.0.0.0 }\n');
    expect((await open(nameless, '/', 'GET', '')).body).toContain(`curl -x 127.0.0.1:${nameless.port} -U`);
  });
});

describe('HEAD, 404 and 405', () => {
  it.each(['/', ...CA_PATHS])('answers HEAD %s with the head alone', async (path) => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const head = await line.ask(`HEAD ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    const whole = await line.ask(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
    expect([head.status, head.body]).toEqual([200, '']);
    expect(head.header('Content-Length')).toBe(String(whole.body.length));
    line.socket.destroy();
  });

  it.each([
    ['POST', '/'],
    ['DELETE', '/crawlera-ca.crt'],
    ['OPTIONS', '/'],
  ])('S-07 answers %s %s with 405 and Allow', async (method, path) => {
    const answer = await open(await kit.proxy(), path, method);
    expect([answer.status, answer.header('Allow'), answer.header('X-Crawlera-Error')]).toEqual([
      405,
      'GET, HEAD',
      'invalid_request',
    ]);
  });

  it.each([
    '/nothing',
    '/sessionsx',
    '/fetchx?url=http%3A//a/',
    '/crawlera-ca.crt/',
    '/stats',
    '//',
    '*',
    '/favicon.ico',
  ])('E-04 answers 404 bad_endpoint for %s, to those who have a key; others get 407 (robustness C04)', async (path) => {
    const proxy = await kit.proxy();
    const known = await call(proxy, 'GET', path);
    expect([known.status, known.header('X-Crawlera-Error'), known.body]).toEqual([
      404,
      'bad_endpoint',
      'Unknown endpoint',
    ]);
    expect((await open(proxy, path)).status).toBe(407);
  });

  it('A01 keeps the connection after each of them', async () => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const asked = [
      ['GET', '/nothing', 407],
      ['POST', '/', 405],
      ['HEAD', '/nothing', 407],
      ['GET', '/', 200],
    ] as const;
    for (const [method, path, status] of asked)
      expect((await line.ask(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)).status).toBe(status);
    line.socket.destroy();
  });
});
