/** T-19, robustness G08 over real sockets: the client vanishes, and everything done for it ends within a second. */
import { describe, expect, it } from 'vitest';
import { AUTH, get, type Line, openLine, openSecure } from '../support/client.ts';
import type { Act } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { type Listening, until } from '../support/sockets.ts';
import { makeWireKit, rawServer } from './errors-kit.ts';

const kit = makeWireKit();

const ONE_SEAT = `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\n`;

const request = (url: string, more = ''): string => `GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}${more}\r\n`;

const LEAVE_MS = 1_000;

/** Ways to vanish. */
const WAYS = [
  ['by a reset', (line: Line) => line.socket.resetAndDestroy()],
  ['by closing', (line: Line) => line.socket.destroy()],
  ['by ending its side', (line: Line) => line.socket.end()],
] as const;

/** The client leaves; the one seat is free again and `far` has lost its connection. */
const expectReleased = async (proxy: RunningProxy, leave: () => void, far: Listening | undefined): Promise<void> => {
  const before = proxy.receipts.length;
  const at = performance.now();
  leave();
  await until(() => proxy.receipts.length > before && (far === undefined || far.open.size === 0), 'the end', LEAVE_MS);
  expect(performance.now() - at).toBeLessThan(LEAVE_MS);
  expect(proxy.receipts.slice(before)).toMatchObject([{ outcome: 'gone' }]);
  const probe = await get(proxy, 'http://nosuch.invalid/', 'X-Crawlera-Region: zz\r\n');
  expect(probe.header('X-Crawlera-Error')).toBe('noslaves');
  expect(proxy.receipts.filter((one) => one.outcome === 'gone')).toHaveLength(1);
};

describe.each(WAYS)('the client leaves %s', (_how, vanish) => {
  const phases: readonly (readonly [phase: string, acts: readonly Act[], seen: string])[] = [
    ['waiting for the head', ['hang'], ''],
    ['in the middle of the head', ['HTTP/1.1 200 OK\r\nContent-', 'hang'], ''],
    ['in the middle of the body', ['HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart', 'hang'], 'part'],
  ];
  it.each(phases)('T-19 robustness G08 %s', async (_phase, acts, seen) => {
    const origin = await kit.origin();
    origin.fallback = acts;
    const proxy = await kit.proxy(ONE_SEAT);
    const line = await openLine(proxy.port);
    line.write(request(`http://shop.localhost:${origin.port}/`));
    await until(() => origin.requests.length === 1 && line.rest().includes(seen), 'the request under way');
    await expectReleased(proxy, () => vanish(line), origin);
  });

  it('T-19 robustness G08 while its own body is on its way', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(ONE_SEAT);
    const line = await openLine(proxy.port);
    const head = request(`http://shop.localhost:${origin.port}/`, 'Content-Length: 100\r\n').replace('GET', 'POST');
    line.write(`${head}half`);
    await until(() => origin.received().includes('half'), 'the request under way');
    await expectReleased(proxy, () => vanish(line), origin);
    expect(origin.requests).toEqual([]);
  });

  it('T-19 robustness G08 P-06 waiting for a turn: it holds neither seat nor place', async () => {
    const origin = await kit.origin();
    const pacing = 'pacing: { siteDelay: 10s, slaveDelay: 0ms, hardLimit: 15s }\n';
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxConnections: 2 }\n${pacing}`);
    const url = `http://shop.localhost:${origin.port}/`;
    await get(proxy, url);
    const line = await openLine(proxy.port);
    line.write(request(url));
    // One waits 10 s, so that another would have to wait 20.
    const expectOneWaiting = async (): Promise<void> =>
      expect((await get(proxy, url)).header('X-Crawlera-Next-Request-In')).toBe('20');
    await expectOneWaiting();
    await expectReleased(proxy, () => vanish(line), undefined);
    const next = await openLine(proxy.port);
    next.write(request(url));
    await expectOneWaiting();
    next.socket.destroy();
    expect(origin.requests).toHaveLength(1);
  });
});

describe('the client leaves while connecting', () => {
  it.each(['https', 'socks5', 'http'] as const)(
    'T-19 robustness G08 through an %s upstream that keeps silent',
    async (kind) => {
      const silent = kit.closing(await rawServer((socket) => socket.resume()));
      const proxy = await kit.proxy(`${ONE_SEAT}upstreams:\n  - url: ${kind}://127.0.0.1:${silent.port}\n`);
      const line = await openLine(proxy.port);
      line.write(request(`https://shop.localhost:${silent.port}/`));
      await until(() => silent.open.size === 1, 'a connection');
      await expectReleased(proxy, () => line.socket.destroy(), silent);
    },
  );

  it('T-19 robustness G08 in the TLS handshake with the target', async () => {
    const silent = kit.closing(await rawServer((socket) => socket.resume()));
    const up = await kit.upstream();
    const proxy = await kit.proxy(ONE_SEAT, [up]);
    const line = await openLine(proxy.port);
    line.write(request(`https://shop.localhost:${silent.port}/`));
    await until(() => silent.open.size === 1, 'a connection');
    await expectReleased(proxy, () => line.socket.destroy(), up);
  });
});

describe('the client leaves otherwise', () => {
  it('T-19 robustness G08 between two attempts: no third is made', async () => {
    const origin = await kit.origin();
    origin.fallback = ['HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n'];
    const proxy = await kit.proxy(ONE_SEAT, await kit.upstreams(2));
    const line = await openLine(proxy.port);
    line.write(request(`http://shop.localhost:${origin.port}/`));
    await until(() => origin.requests.length === 1, 'the first attempt');
    // The seat stays taken; by the time this is answered, so is the attempt.
    expect((await get(proxy, `http://other.localhost:${origin.port}/`)).status).toBe(429);
    await expectReleased(proxy, () => line.socket.destroy(), undefined);
    const left = proxy.receipts.filter((one) => one.outcome === 'gone');
    expect(left).toMatchObject([{ attempts: [{ outcome: 'status-429' }] }]);
    expect(origin.requests).toHaveLength(1);
  });

  it('T-19 robustness G08 from inside a tunnel', async () => {
    const origin = await kit.secureOrigin(['shop.localhost']);
    origin.fallback = ['hang'];
    const targets = `targets: { allowPrivate: [127.0.0.0/8], extraRoots: ${kit.rootsFile} }\n`;
    const proxy = await kit.proxy(ONE_SEAT + targets);
    const line = await openSecure(proxy, `shop.localhost:${origin.port}`);
    line.write('GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n');
    await until(() => origin.requests.length === 1, 'the request under way');
    await expectReleased(proxy, () => line.socket.destroy(), origin);
  });

  it('T-19 S-13 a session made by the request that was left stays, with the upstream it had', async () => {
    const origin = await kit.origin();
    origin.fallback = ['hang'];
    const proxy = await kit.proxy(ONE_SEAT);
    const line = await openLine(proxy.port);
    line.write(request(`http://shop.localhost:${origin.port}/`, 'X-Crawlera-Session: create\r\n'));
    await until(() => origin.requests.length === 1, 'the request under way');
    await expectReleased(proxy, () => line.socket.destroy(), origin);
    const id = proxy.receipts[0]?.session ?? '';
    origin.fallback = ['HTTP/1.1 204 No Content\r\n\r\n'];
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${id}\r\n`);
    expect(answer.status).toBe(204);
  });
});
