/** Robustness G03 over real sockets: upstreams that answer CONNECT strangely, and what the client is told. */
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/model/errors.ts';
import { get } from '../support/client.ts';
import type { Origin } from '../support/origin.ts';
import type { Misbehaviour } from '../support/upstream.ts';
import { expectRefusal, labelOf, makeWireKit, QUICK } from './errors-kit.ts';

const kit = makeWireKit();

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n';
const NO_RETRY = 'X-Crawlera-Max-Retries: 0\r\n';

const scene = async (misbehaviour: Misbehaviour) => {
  const origin: Origin = await kit.secureOrigin(['shop.localhost']);
  const up = await kit.upstream();
  up.misbehaviour = misbehaviour;
  const targets = `targets: { allowPrivate: [127.0.0.0/8], extraRoots: ${kit.rootsFile} }\n`;
  const proxy = await kit.proxy(QUICK + targets, [up]);
  return { origin, up, proxy, url: `https://shop.localhost:${origin.port}/` };
};

describe('an upstream that opens the tunnel', () => {
  it.each([
    ['a byte at a time', { reply: ESTABLISHED, trickle: true, tunnelAfter: true }],
    ['after interim answers', { reply: `HTTP/1.1 100 Continue\r\n\r\n${ESTABLISHED}`, tunnelAfter: true }],
    ['with a length that means nothing', { reply: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', tunnelAfter: true }],
    ['in HTTP/1.0', { reply: 'HTTP/1.0 200 OK\r\nX: y\r\n\r\n', tunnelAfter: true }],
    ['with another 2xx', { reply: 'HTTP/1.1 204 No Content\r\n\r\n', tunnelAfter: true }],
  ] satisfies [string, Misbehaviour][])('robustness G03 %s is used', async (_how, misbehaviour) => {
    const { proxy, url, up } = await scene(misbehaviour);
    const answer = await get(proxy, url, 'X-Crawlera-Timeout: 5000\r\n');
    expect(answer).toMatchObject({ status: 200, body: 'hello' });
    expect(answer.header('X-Crawlera-Slave')).toBe(labelOf(up));
  });
});

describe('an upstream that does not', () => {
  const rows: readonly (readonly [how: string, misbehaviour: Misbehaviour, condition: Condition])[] = [
    ['says nothing', { reply: '' }, 'timeout'],
    ['stops in the middle', { reply: 'HTTP/1.1 200 Connection est' }, 'timeout'],
    ['closes', { cut: 'close' }, 'socket_closed_remotely'],
    ['resets', { cut: 'reset' }, 'econnreset'],
    ['says 403', { reply: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!' }, 'ehostunreach'],
    ['says 502', { reply: 'HTTP/1.1 502 Bad Gateway\r\n\r\n<html>Squid at 10.0.0.1' }, 'ehostunreach'],
    ['says 407', { reply: 'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n' }, 'noslaves'],
    ['says 302', { reply: 'HTTP/1.1 302 Found\r\nLocation: http://login.localhost/\r\n\r\n' }, 'ehostunreach'],
    ['sends 64 KB of headers', { reply: `HTTP/1.1 200 OK\r\n${'X-Y: zzzzzzzz\r\n'.repeat(4_400)}` }, 'ehostunreach'],
    ['sends what is no HTTP', { reply: 'SSH-2.0-OpenSSH_9.2\r\n\r\n' }, 'ehostunreach'],
    ['sends bytes of its own after it', { reply: `${ESTABLISHED}welcome to the tunnel` }, 'tls_failed'],
  ];
  it.each(rows)('robustness G02 G03 A-04 C09 %s', async (_how, misbehaviour, condition) => {
    const { origin, proxy, url, up } = await scene(misbehaviour);
    const answer = await get(proxy, url, `${NO_RETRY}X-Crawlera-Timeout: 250\r\n`);
    expectRefusal(answer, condition, { slave: labelOf(up) });
    expect(answer.raw).not.toMatch(/Squid|login|OpenSSH|Proxy-Auth/);
    expect(origin.requests).toEqual([]);
    expect(proxy.said.filter((line) => line.includes('is down'))).toEqual([]);
  });
});
