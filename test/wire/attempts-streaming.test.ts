/** Bodies of responses over real sockets: streamed at once, limited in size, timed while the client reads. */
import { describe, expect, it } from 'vitest';
import { AUTH, get, openLine } from '../support/client.ts';
import { type Act, reply } from '../support/origin.ts';
import { until } from '../support/sockets.ts';
import { expectRefusal, makeWireKit, QUICK } from './errors-kit.ts';

const kit = makeWireKit();

const scene = async (acts: readonly Act[], yaml = '') => {
  const origin = await kit.origin();
  origin.fallback = acts;
  const proxy = await kit.proxy(yaml);
  return { origin, proxy, url: `http://shop.localhost:${origin.port}/` };
};

/** A promise and what resolves it. */
const gate = () => {
  let open = (): void => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open: () => open() };
};

const request = (url: string, more = ''): string => `GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}${more}\r\n`;

describe('streaming', () => {
  it.each([
    ['an answer', 'HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n'],
    ['an error page', 'HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ])(
    'A-11 the head, and each part of the body, is with the client before the next has left the target: %s',
    async (_what, head) => {
      const [one, two] = [gate(), gate()];
      const acts = [head, { until: one.passed }, '3\r\none\r\n', { until: two.passed }, '3\r\ntwo\r\n0\r\n\r\n'];
      const { proxy, url } = await scene(acts);
      const line = await openLine(proxy.port);
      line.write(request(url));
      await until(() => line.rest().includes('X-Crawlera-Slave'), 'the head');
      one.open();
      await until(() => line.rest().includes('one'), 'the first part');
      expect(line.rest()).not.toContain('two');
      two.open();
      expect(await line.read()).toMatchObject({ body: 'onetwo', complete: true });
      line.socket.destroy();
    },
  );
});

describe('size', () => {
  const LIMIT = 'limits: { response: 1KiB }\n';
  const body = (length: number): string => 'x'.repeat(length);

  it('A-12 E-03 robustness G05 541 when the length is announced: not a byte of it is read, the target let go', async () => {
    const { origin, proxy, url } = await scene(['HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\nxx', 'hang'], LIMIT);
    expectRefusal(await get(proxy, url), 'data_error', { slave: '127.0.0.1:0' });
    const reason = 'body of 1025 bytes announced';
    expect(proxy.receipts).toMatchObject([{ status: 541, outcome: 'data_error', bytes: 0, reason }]);
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });

  it('A-12 E-10 robustness G05 cut when it only turns out, target and client', async () => {
    const head = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
    const { origin, proxy, url } = await scene(
      [`${head}200\r\n${body(512)}\r\n`, { wait: 5 }, `400\r\n${body(1024)}\r\n`],
      LIMIT,
    );
    const answer = await get(proxy, url);
    expect(answer).toMatchObject({ status: 200, complete: false });
    expect(answer.body.length).toBeLessThanOrEqual(1024);
    expect(proxy.receipts).toMatchObject([{ outcome: 'cut', reason: 'data_error: body over 1024 bytes' }]);
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });

  it('A-12 what is as long as the limit passes', async () => {
    const { proxy, url } = await scene([reply(body(1024))], LIMIT);
    expect(await get(proxy, url)).toMatchObject({ status: 200, complete: true, body: body(1024) });
  });

  it('A-12 a response to HEAD has no body, whatever it announces', async () => {
    const { proxy, url } = await scene(['HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n'], LIMIT);
    const answer = await get(proxy, url, '', 'HEAD');
    expect(answer.status).toBe(200);
    expect(answer.header('Content-Length')).toBe('999999');
  });

  it('A-12 0 is no limit', async () => {
    const { proxy, url } = await scene([reply(body(300_000))], 'limits: { response: 0B }\n');
    expect(await get(proxy, url)).toMatchObject({ status: 200, complete: true });
  });
});

describe('pauses', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart';

  it('A-06 E-10 H09 a body that stalls for the timeout is cut', async () => {
    const { origin, proxy, url } = await scene([HEAD, 'hang'], QUICK);
    const answer = await get(proxy, url, 'X-Crawlera-Timeout: 250\r\n');
    expect(answer).toMatchObject({ status: 200, complete: false, body: 'part' });
    expect(proxy.receipts).toMatchObject([{ outcome: 'cut', status: 200, attempts: [{ outcome: 'fine' }] }]);
    expect(proxy.receipts[0]?.reason).toContain('stalled');
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });

  it('A-06 each pause counts for itself, not their sum', async () => {
    const step = [{ wait: 90 }, 'x'.repeat(16)] as const;
    const { proxy, url } = await scene([HEAD, ...step, ...step, ...step, ...step, ...step, ...step], QUICK);
    const answer = await get(proxy, url, 'X-Crawlera-Timeout: 450\r\n');
    expect(answer).toMatchObject({ complete: true });
    expect(proxy.receipts[0]?.tookMs).toBeGreaterThan(450);
  });

  it('A-06 robustness G07 a client that does not read stops the clock, and the target', async () => {
    const size = 40_000_000;
    const { origin, proxy, url } = await scene(
      [`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`, Buffer.alloc(size, 'y')],
      QUICK,
    );
    const line = await openLine(proxy.port);
    line.socket.pause();
    line.write(request(url, 'X-Crawlera-Timeout: 500\r\n'));
    await until(() => origin.requests.length === 1, 'the request at the target');
    const since = performance.now();
    await until(() => performance.now() - since > 600, 'more than the timeout to pass');
    expect([...origin.open][0]?.writableLength).toBeGreaterThan(0);
    line.socket.removeAllListeners('data');
    let received = 0;
    line.socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    line.socket.resume();
    await until(() => received > size, 'the whole body', 10_000);
    expect(proxy.receipts).toMatchObject([{ outcome: 'ok', bytes: size }]);
    line.socket.destroy();
  });
});
