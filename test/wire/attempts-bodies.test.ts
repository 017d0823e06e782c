/** A-05 over real sockets: which requests with bodies are tried again, and that the second time they are the same. */
import { describe, expect, it } from 'vitest';
import { type Answer, AUTH, openLine } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import type { RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { expectRefusal, freePort, labelOf, makeWireKit, rawServer } from './errors-kit.ts';

const kit = makeWireKit();

const BAN = 'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 4\r\n\r\nno!!';
const KEPT = 1024;

/** Every byte there is, over and over. */
const bytes = (length: number): string => String.fromCharCode(...Array.from({ length }, (_, i) => (i * 7) % 256));

const chunked = (body: string): string => {
  const half = Math.ceil(body.length / 2);
  const parts = [body.slice(0, half), body.slice(half)].filter((part) => part !== '');
  return `${parts.map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`;
};

const headOf = (method: string, url: string, framing: string): string =>
  `${method} ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}${framing}\r\n\r\n`;

type Framing = 'length' | 'chunked';

const send = async (
  proxy: RunningProxy,
  method: string,
  url: string,
  body: string,
  framing: Framing = 'length',
): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const framed = framing === 'length' ? `Content-Length: ${body.length}` : 'Transfer-Encoding: chunked';
  const answer = await line.ask(headOf(method, url, framed) + (framing === 'length' ? body : chunked(body)));
  line.socket.destroy();
  return answer;
};

const scene = async (count = 2) => {
  const origin = await kit.origin();
  const proxy = await kit.proxy(`limits: { replay: ${KEPT}B }\n`, await kit.upstreams(count));
  return { origin, proxy, url: `http://shop.localhost:${origin.port}/` };
};

describe('a body that is kept', () => {
  it.each([
    ['POST', 'length'],
    ['POST', 'chunked'],
    ['PATCH', 'length'],
    ['PUT', 'chunked'],
    ['DELETE', 'length'],
    ['QUERY', 'length'],
  ] as const)('A-05 robustness H07 %s (%s) is sent again after a ban, byte for byte', async (method, framing) => {
    const { origin, proxy, url } = await scene();
    origin.enqueue(BAN);
    const body = bytes(KEPT);
    const answer = await send(proxy, method, url, body, framing);
    expect(answer).toMatchObject({ status: 200, body: 'hello' });
    expect(origin.requests.map((one) => one.body)).toEqual([body, body]);
    expect(origin.requests.map((one) => one.head.split(' ', 1)[0])).toEqual([method, method]);
    const [first, second] = origin.requests.map((one) => one.head.replace(/User-Agent: .*\r\n/, ''));
    expect(second).toBe(first);
  });

  it.each(['PUT', 'DELETE', 'OPTIONS', 'GET', 'HEAD'])(
    'A-05 A-02 %s is sent again when the connection broke after all of it was sent',
    async (method) => {
      const { origin, proxy, url } = await scene();
      origin.enqueue('close');
      const body = method === 'GET' || method === 'HEAD' ? '' : bytes(100);
      expect((await send(proxy, method, url, body)).status).toBe(200);
      expect(origin.requests.map((one) => one.body)).toEqual([body, body]);
    },
  );

  it.each([
    ['POST', bytes(100)],
    ['POST', ''],
    ['PATCH', bytes(100)],
    ['QUERY', bytes(100)],
  ])('A-05 robustness H07 %s is not, for it may have been carried out', async (method, body) => {
    const { origin, proxy, url } = await scene();
    origin.enqueue('close');
    expectRefusal(await send(proxy, method, url, body), 'socket_closed_remotely');
    expect(origin.requests).toHaveLength(1);
    expect(proxy.receipts[0]?.attempts).toHaveLength(1);
  });

  it('A-05 POST is sent again when the target never got the connection', async () => {
    const proxy = await kit.proxy('');
    const url = `http://shop.localhost:${await freePort()}/`;
    expectRefusal(await send(proxy, 'POST', url, bytes(100)), 'econnrefused');
    expect(proxy.receipts[0]?.attempts).toHaveLength(6);
  });

  it('A-05 A-04 POST is sent again when an upstream asked for another password', async () => {
    const origin = await kit.origin();
    const [bad, good] = [await kit.upstream({ kind: 'http', username: 'a', password: 'b' }), await kit.upstream()];
    const proxy = await kit.proxy('', [bad, good]);
    const body = bytes(100);
    for (let n = 0; proxy.receipts.every((one) => one.attempts.length < 2); n++) {
      expect((await send(proxy, 'POST', `http://s${n}.localhost:${origin.port}/`, body)).status).toBe(200);
    }
    expect(proxy.receipts.at(-1)?.attempts.map((one) => one.exit)).toEqual([labelOf(bad), labelOf(good)]);
    expect(new Set(origin.requests.map((one) => one.body))).toEqual(new Set([body]));
    expect(origin.requests).toHaveLength(proxy.receipts.length);
  });

  it('A-05 POST is sent again, from its first byte, when it broke half-way', async () => {
    const whole = bytes(600);
    let connections = 0;
    let received = '';
    const target = kit.closing(
      await rawServer((socket) => {
        const first = ++connections === 1;
        socket.on('data', (chunk) => {
          if (first) socket.destroy();
          else received += chunk.toString('latin1');
          if (received.endsWith(whole)) socket.end(reply('thanks'));
        });
      }),
    );
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    line.write(headOf('POST', `http://shop.localhost:${target.port}/`, `Content-Length: ${whole.length}`));
    line.write(whole.slice(0, 200));
    await until(() => received.includes(whole.slice(0, 200)), 'the beginning of the second attempt');
    line.write(whole.slice(200));
    expect(await line.read()).toMatchObject({ status: 200, body: 'thanks' });
    expect(received.slice(received.indexOf('\r\n\r\n') + 4)).toBe(whole);
    expect(connections).toBe(2);
    line.socket.destroy();
  });
});

describe('a body too long to be kept', () => {
  it.each(['length', 'chunked'] as const)('A-05 is streamed, and not tried again after a ban: %s', async (framing) => {
    const { origin, proxy, url } = await scene();
    origin.fallback = [BAN];
    const body = bytes(KEPT + 1);
    expectRefusal(await send(proxy, 'PUT', url, body, framing), 'slavebanned');
    expect(origin.requests.map((one) => one.body)).toEqual([body]);
    expect(proxy.receipts[0]?.attempts).toHaveLength(1);
  });

  it('A-05 nor after a broken connection', async () => {
    const { origin, proxy, url } = await scene();
    origin.fallback = ['close'];
    expectRefusal(await send(proxy, 'PUT', url, bytes(KEPT + 1)), 'socket_closed_remotely');
    expect(origin.requests).toHaveLength(1);
  });

  it('A-05 nor when the ban came before any of it was read', async () => {
    const origin = await kit.origin({ early: true });
    origin.fallback = [BAN];
    const proxy = await kit.proxy(`limits: { replay: ${KEPT}B }\n`, await kit.upstreams(2));
    const line = await openLine(proxy.port);
    const url = `http://shop.localhost:${origin.port}/`;
    const answer = await line.ask(headOf('POST', url, `Content-Length: ${KEPT + 1}`));
    expectRefusal(answer, 'slavebanned');
    expect(proxy.receipts[0]?.attempts).toHaveLength(1);
    line.socket.destroy();
  });

  it('A-05 A-04 goes through the next upstream as long as none of it has been read', async () => {
    const origin = await kit.origin();
    const [bad, good] = await kit.upstreams(2);
    await bad?.close();
    const proxy = await kit.proxy(
      `limits: { replay: ${KEPT}B }\n`,
      [bad, good].filter((up) => up !== undefined),
    );
    const body = bytes(20 * KEPT);
    for (let n = 0; proxy.receipts.every((one) => one.attempts.length < 2); n++) {
      expect((await send(proxy, 'POST', `http://s${n}.localhost:${origin.port}/`, body)).status).toBe(200);
    }
    expect(new Set(origin.requests.map((one) => one.body))).toEqual(new Set([body]));
  });

  it('A-11 its beginning is with the target before its end has left the client', async () => {
    const { origin, proxy, url } = await scene();
    const body = bytes(50 * KEPT);
    const line = await openLine(proxy.port);
    line.write(headOf('POST', url, `Content-Length: ${body.length}`) + body.slice(0, -1));
    await until(() => origin.received().length > body.length - 1, 'all but the last byte');
    expect(origin.requests).toEqual([]);
    line.write(body.slice(-1));
    expect((await line.read()).status).toBe(200);
    expect(origin.requests[0]?.body).toBe(body);
    line.socket.destroy();
  });
});

describe('an answer before the body has ended', () => {
  it.each([
    ['a refusal of the target', 'HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno', 413],
    ['a ban', BAN, 503],
  ])('A-05 A-11 %s reaches a client that is still sending', async (_what, page, status) => {
    const origin = await kit.origin({ early: true });
    origin.fallback = [page];
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    line.write(headOf('POST', `http://shop.localhost:${origin.port}/`, 'Content-Length: 300000') + bytes(1000));
    expect((await line.read()).status).toBe(status);
    line.socket.destroy();
    await until(() => origin.open.size === 0, 'the connection to the target to end');
  });
});
