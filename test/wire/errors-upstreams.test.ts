/** Section 6 over real sockets: what a client is told when upstreams fail, or when the target bans all of them. */
import { describe, expect, it } from 'vitest';
import { type Answer, call, get } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import type { TestUpstream } from '../support/upstream.ts';
import { expectRefusal, labelOf, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const BANS = {
  'status 429': 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nno!!',
  'status 999': 'HTTP/1.1 999 Denied\r\nContent-Length: 4\r\n\r\nno!!',
  '503 that does not say when': 'HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nno!!',
  '403 as a page': 'HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nno!!',
  '403 without a type': 'HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!',
} as const;

const NO_BAN = {
  '503 with Retry-After': 'HTTP/1.1 503 Busy\r\nRetry-After: 9\r\nContent-Length: 4\r\n\r\nwait',
  '403 as JSON': 'HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\n"no"',
  '404 as a page': 'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nnone',
  '502 as a page': 'HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops',
} as const;

describe('bans', () => {
  it.each(Object.entries(BANS))('A-08 A-10 E-03 %s from every upstream is slavebanned', async (_what, page) => {
    const origin = await kit.origin();
    origin.fallback = [page];
    const ups = await kit.upstreams(3);
    const proxy = await kit.proxy('', ups);
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expectRefusal(answer, 'slavebanned', { retryAfter: '1' });
    expect(ups.map(labelOf)).toContain(answer.header('X-Crawlera-Slave'));
    expect(answer.raw).not.toContain('no!!');
    expect(ups.map((up) => up.seen.length)).toEqual([1, 1, 1]);
    expect(proxy.receipts).toMatchObject([{ status: 503, outcome: 'slavebanned' }]);
  });

  it.each(Object.entries(NO_BAN))('A-08 R-04 %s is the answer of the target', async (_what, page) => {
    const origin = await kit.origin();
    origin.fallback = [page];
    const proxy = await kit.proxy('', await kit.upstreams(2));
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expect(page.startsWith(`HTTP/1.1 ${answer.status} ${answer.reason}\r\n`)).toBe(true);
    expect(answer.header('X-Crawlera-Error')).toBeUndefined();
    expect(answer.header('Zyte-Error')).toBeUndefined();
    expect(origin.requests).toHaveLength(1);
  });

  it('A-08 HEAD is judged by its head', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n'];
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, '', 'HEAD');
    expect(answer).toMatchObject({ status: 503, reason: 'Service Unavailable' });
    expect(answer.header('X-Crawlera-Error')).toBe('slavebanned');
    expect(answer.header('Content-Length')).toBe('17');
  });

  it('E-09 the delay a new request would get, when the last upstream was banned', async () => {
    const origin = await kit.origin();
    origin.fallback = [BANS['status 429']];
    const proxy = await kit.proxy('pacing: { siteDelay: 0ms, slaveDelay: 7s }\n');
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expectRefusal(answer, 'slavebanned', { retryAfter: '7' });
  });

  it('E-09 S-14 in a session what is left of the ban, for this request and at once for the next ones', async () => {
    const origin = await kit.origin();
    origin.fallback = [BANS['status 429']];
    const proxy = await kit.proxy('bans: { duration: 90s }\n', await kit.upstreams(2));
    const session = (await call(proxy, 'POST', '/sessions')).body;
    const url = `http://shop.localhost:${origin.port}/`;
    const header = `X-Crawlera-Session: ${session}\r\n`;
    expectRefusal(await get(proxy, url, header), 'slavebanned', { retryAfter: '90', session });
    expectRefusal(await get(proxy, url, header), 'slavebanned', { retryAfter: /^(90|89)$/, session });
    expect(origin.requests).toHaveLength(1);
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok' }, { attempts: [{}] }, { attempts: [], session: undefined }]);
  });

  it('E-09 longer waits are told as 600', async () => {
    const origin = await kit.origin();
    origin.fallback = [BANS['status 429']];
    const proxy = await kit.proxy('bans: { duration: 2h }\n', await kit.upstreams(2));
    const session = (await call(proxy, 'POST', '/sessions')).body;
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${session}\r\n`);
    expectRefusal(answer, 'slavebanned', { retryAfter: '600', session });
  });

  it('A-08 E-09 a 429 with Retry-After puts the account off for as long', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 429 Slow\r\nRetry-After: 11\r\nContent-Length: 0\r\n\r\n'];
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`);
    expectRefusal(answer, 'slavebanned', { retryAfter: '11' });
  });
});

describe('upstreams that fail', () => {
  const dead = async (count: number): Promise<TestUpstream[]> => {
    const ups = await kit.upstreams(count);
    await Promise.all(ups.map((up) => up.close()));
    return ups;
  };

  it('A-04 E-03 noslaves when none can be reached; the last one up is not given up', async () => {
    const ups = await dead(3);
    const proxy = await kit.proxy('', ups);
    const answer = await get(proxy, 'http://shop.localhost/');
    expectRefusal(answer, 'noslaves', { retryAfter: '1' });
    const { attempts } = proxy.receipts[0] ?? { attempts: [] };
    expect(attempts).toHaveLength(6);
    expect(new Set(attempts.slice(0, 3).map((one) => one.exit))).toEqual(new Set(ups.map(labelOf)));
    expect(new Set(attempts.slice(2).map((one) => one.exit)).size).toBe(1);
    expect(answer.header('X-Crawlera-Slave')).toBe(attempts[5]?.exit);
    expect(proxy.said.filter((line) => line.includes('is down'))).toHaveLength(2);
  });

  it('H-22 E-03 E-09 noslaves for a region we have nothing in', async () => {
    const proxy = await kit.proxy('', await kit.upstreams(1));
    const answer = await get(proxy, 'http://shop.localhost/', 'X-Crawlera-Region: fr\r\n');
    expectRefusal(answer, 'noslaves', { retryAfter: '600', slave: undefined });
    const session = await call(proxy, 'POST', '/sessions', 'X-Crawlera-Region: fr\r\n');
    expectRefusal(session, 'noslaves', { retryAfter: '600', session: undefined });
  });

  it('E-03 E-09 noslaves when one is banned and the other down: until the first of them is back', async () => {
    const origin = await kit.origin();
    origin.enqueue(BANS['status 429']);
    origin.fallback = [reply('fine')];
    const ups = await kit.upstreams(2);
    const proxy = await kit.proxy('bans: { upstreamDown: 40s, duration: 10m }\n', ups);
    const url = `http://shop.localhost:${origin.port}/`;
    const fine = await get(proxy, url);
    expect(fine.status).toBe(200);
    await ups.find((up) => labelOf(up) === fine.header('X-Crawlera-Slave'))?.close();
    expectRefusal(await get(proxy, url), 'noslaves', { retryAfter: '40' });
    expectRefusal(await get(proxy, url), 'noslaves', { retryAfter: /^(40|39)$/, slave: undefined });
    expect(proxy.receipts.map((one) => one.attempts.length)).toEqual([2, 1, 0]);
    expect((await get(proxy, `http://other.localhost:${origin.port}/`)).status).toBe(200);
  });

  it('S-18 noslaves in a session whose upstream is down, which it outlives', async () => {
    const ups = await kit.upstreams(2);
    const proxy = await kit.proxy('', ups);
    const session = (await call(proxy, 'POST', '/sessions')).body;
    const slave = (JSON.parse((await call(proxy, 'GET', '/sessions')).body) as Record<string, string>)[session];
    await ups.find((up) => labelOf(up) === slave)?.close();
    const header = `X-Crawlera-Session: ${session}\r\n`;
    expectRefusal(await get(proxy, 'http://shop.localhost/', header), 'noslaves', { retryAfter: '30', session, slave });
    expectRefusal(await get(proxy, 'http://shop.localhost/', header), 'noslaves', { session, slave: undefined });
    expect(Object.keys(JSON.parse((await call(proxy, 'GET', '/sessions')).body))).toEqual([session]);
  });

  it.each([
    ['http', 'http'],
    ['http', 'https'],
    ['socks5', 'https'],
  ] as const)(
    'A-04 robustness C03 C09 an %s upstream refusing our password is not shown to %s',
    async (kind, scheme) => {
      const up = await kit.upstream({ kind, username: 'jo', password: 'right' });
      const proxy = await kit.proxy(`upstreams:\n  - url: ${kind}://jo:wr0ng-s3cret@127.0.0.1:${up.port}\n`);
      const answer: Answer = await get(proxy, `${scheme}://shop.localhost/`);
      expectRefusal(answer, 'noslaves', { slave: labelOf(up) });
      expect(answer.status).not.toBe(407);
      expect(answer.raw).not.toMatch(/Proxy-Authenticate|wr0ng/);
      expect(JSON.stringify(proxy.receipts.map((one) => one.attempts))).not.toContain('wr0ng');
      expect(proxy.said.join()).not.toContain('wr0ng');
    },
  );
});
