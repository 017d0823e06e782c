/** Section 6 over real sockets: refusals a client brings upon itself, and those of a proxy that has enough to do. */
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../src/model/errors.ts';
import { type Answer, AUTH, call, get, openLine, openSecure } from '../support/client.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { expectRefusal, makeWireKit } from './errors-kit.ts';

const kit = makeWireKit();

const CONTACT = { body: 'Domain forbidden. Please contact admin@example.org', slave: undefined };

describe('targets nobody may reach', () => {
  const TARGETS = 'targets: { allowPrivate: [127.0.0.3], ports: [80, 8000-9000] }\n';
  it.each([
    ['a website on the deny list', 'http://barred.localhost/'],
    ['a private address', 'http://10.1.2.3/'],
    ['loopback in another spelling', 'http://0x7f.1/'],
    ['the metadata service', 'http://169.254.169.254/latest/'],
    ['a name for this machine', 'http://shop.localhost/'],
    ['a forbidden port', 'http://shop.example:25/'],
    ['https to it', 'https://10.1.2.3/'],
  ])('E-03 robustness D01 D04 D07 523 before anything is dialled: %s', async (_what, url) => {
    const proxy = await kit.proxy(`${TARGETS}websites: { barred.localhost: { forbidden: true } }\n`);
    expectRefusal(await get(proxy, url), 'domain_forbidden', CONTACT);
    expect(proxy.receipts).toMatchObject([{ status: 523, outcome: 'domain_forbidden', attempts: [] }]);
  });

  it('E-03 T-06 523 inside the tunnel, not on CONNECT', async () => {
    const proxy = await kit.proxy(TARGETS);
    const line = await openSecure(proxy, '10.1.2.3:443');
    expectRefusal(await line.ask('GET / HTTP/1.1\r\nHost: 10.1.2.3\r\n\r\n'), 'domain_forbidden', CONTACT);
    line.socket.destroy();
  });

  it('E-03 the operator may be anybody, in ASCII and in one line of 200 characters', async () => {
    const long = `${'The Operators of This Proxy, Room 5, '.repeat(5)}`;
    const proxy = await kit.proxy(`${TARGETS}operatorContact: "${long}"\n`);
    const answer = await get(proxy, 'http://10.1.2.3/');
    expectRefusal(answer, 'domain_forbidden', { body: `Domain forbidden. Please contact ${long}`.slice(0, 200) });
  });
});

describe('headers with unusable values', () => {
  it.each([
    ['X-Crawlera-UA', 'tablet'],
    ['X-Crawlera-Profile', 'phone'],
    ['X-Crawlera-Cookies', 'eat'],
    ['X-Crawlera-Max-Retries', '6'],
    ['X-Crawlera-Max-Retries', '-1'],
    ['X-Crawlera-Timeout', 'soon'],
    ['X-Crawlera-Use-Https', 'yes'],
    ['X-Crawlera-Region', 'europe'],
  ])('E-03 H-13 robustness H10 540 names %s: %s', async (name, value) => {
    const proxy = await kit.proxy();
    const answer = await get(proxy, 'http://shop.localhost/', `${name.toUpperCase()}: ${value}\r\n`);
    expectRefusal(answer, 'bad_header', { body: `Bad header value for ${name}`, slave: undefined });
  });

  it.each([
    'X-Crawlera-UA: desktop',
    'X-Crawlera-No-Bancheck: 1',
    'X-Crawlera-No-Bancheck:',
    'X-Crawlera-Profile: pass',
    'X-Crawlera-Profile-Pass: Accept',
  ])('E-03 H-09 H-10 470 on a cheap plan: %s', async (line) => {
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, plan: c10 }\n`);
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    const answer = await get(proxy, 'http://shop.localhost/', `${line}\r\n`);
    expectRefusal(answer, 'header_auth', { body: `Unauthorized Crawlera header: "${name}"`, slave: undefined });
  });
});

describe('requests that make no sense', () => {
  const send = async (proxy: RunningProxy, text: string): Promise<Answer> => {
    const line = await openLine(proxy.port);
    const answer = await line.ask(text);
    line.socket.destroy();
    return answer;
  };
  const rows: readonly (readonly [what: string, text: string, condition: Condition])[] = [
    ['no HTTP at all', 'HELO crawler\r\n\r\n', 'invalid_request'],
    ['an unknown version', `GET http://a.localhost/ HTTP/2.0\r\nHost: a\r\n${AUTH}\r\n`, 'invalid_request'],
    ['a scheme nobody fetches', `GET ftp://a.localhost/ HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`, 'bad_uri'],
    ['no host', `GET http:/// HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`, 'bad_uri'],
    ['too many fields', `GET http://a/ HTTP/1.1\r\n${'A: b\r\n'.repeat(2001)}${AUTH}\r\n`, 'headers_too_large'],
    ['no /fetch url', `GET /fetch HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`, 'bad_uri'],
    ['a path we do not have', `GET /stats HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`, 'bad_endpoint'],
    ['a path below one we have', `DELETE /sessions/1/2 HTTP/1.1\r\nHost: a\r\n${AUTH}\r\n`, 'bad_endpoint'],
  ];
  it.each(rows)('E-04 %s', async (_what, text, condition) => {
    const proxy = await kit.proxy();
    expectRefusal(await send(proxy, text), condition, { slave: undefined, session: undefined });
    expect(proxy.receipts).toMatchObject([{ outcome: condition, attempts: [] }]);
  });

  it.each([
    ['PUT', '/sessions', 'GET, HEAD, POST'],
    ['GET', '/sessions/1234567', 'DELETE'],
    ['POST', '/fetch', 'GET, HEAD'],
    ['DELETE', '/crawlera-ca.crt', 'GET, HEAD'],
  ])('E-04 S-07 Q-06 405 with Allow: %s %s', async (method, path, allow) => {
    const proxy = await kit.proxy();
    const answer = await call(proxy, method, path);
    expectRefusal(answer, 'bad_method');
    expect(answer.header('Allow')).toBe(allow);
  });

  it('S-09 an id we never gave, in whatever shape, is echoed and the target not contacted', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    for (const id of ['1234567', '12', 'nonsense', '01234567', '9'.repeat(40), 'a b']) {
      const url = `http://shop.localhost:${origin.port}/`;
      const answer = await get(proxy, url, `X-Crawlera-Session: ${id}\r\n`);
      expectRefusal(answer, 'bad_session_id', { session: id, slave: undefined });
    }
    expect(origin.accepted()).toBe(0);
  });
});

/** A request that is under way for good; resolves once the target has it. */
const occupy = async (proxy: RunningProxy, url: string, seen: () => number) => {
  const before = seen();
  const line = await openLine(proxy.port);
  line.write(`GET ${url} HTTP/1.1\r\nHost: shop.localhost\r\n${AUTH}\r\n`);
  await until(() => seen() > before, 'the request at the target');
  return line;
};

describe('enough to do', () => {
  const site = async (yaml: string) => {
    const origin = await kit.origin();
    origin.fallback = ['hang'];
    const proxy = await kit.proxy(yaml);
    const url = `http://shop.localhost:${origin.port}/`;
    return { origin, proxy, url, occupy: () => occupy(proxy, url, () => origin.requests.length) };
  };

  it('E-03 L-01 L-03 429 without Retry-After beyond the account own limit, and room again once one has left', async () => {
    const { proxy, url, occupy, origin } = await site(`accounts:\n  - { id: test, key: ${KEY}, maxConnections: 2 }\n`);
    const lines = [await occupy(), await occupy()];
    expectRefusal(await get(proxy, url), 'too_many_conns', { slave: undefined });
    const gone = proxy.nextReceipt();
    lines[0]?.socket.destroy();
    await gone;
    origin.fallback = ['HTTP/1.1 204 No Content\r\n\r\n'];
    expect((await get(proxy, url)).status).toBe(204);
    lines[1]?.socket.destroy();
  });

  it('E-09 robustness G11 serverbusy when the process holds all it can: again in 5 s', async () => {
    const { proxy, url, occupy } = await site('limits: { outstanding: 1 }\n');
    const line = await occupy();
    const answer = await get(proxy, url);
    expectRefusal(answer, 'serverbusy', { retryAfter: '5', slave: undefined });
    expect(answer.header('X-Crawlera-Next-Request-In')).toBeUndefined();
    line.socket.destroy();
  });

  it('E-09 P-01 serverbusy at the hard limit names the calculated delay, even beyond 600 s', async () => {
    const { proxy, url, occupy } = await site('pacing: { siteDelay: 700s, slaveDelay: 0ms, hardLimit: 650s }\n');
    const line = await occupy();
    const answer = await get(proxy, url);
    expectRefusal(answer, 'serverbusy', { retryAfter: '700', slave: undefined });
    expect(answer.header('X-Crawlera-Next-Request-In')).toBe('700');
    line.socket.destroy();
  });

  it('P-02 E-03 serverbusy for one held too long: what a new request would wait', async () => {
    const { proxy, url, occupy } = await site('pacing: { siteDelay: 7s, slaveDelay: 0ms, maxHold: 60ms }\n');
    const line = await occupy();
    expectRefusal(await get(proxy, url), 'serverbusy', { retryAfter: '7', slave: undefined });
    line.socket.destroy();
  });

  it('S-10 E-03 user_session_limit for create as for POST, without an id', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxSessions: 1 }\n`);
    const url = `http://shop.localhost:${origin.port}/`;
    expect((await get(proxy, url, 'X-Crawlera-Session: create\r\n')).status).toBe(200);
    const again = await get(proxy, url, 'X-Crawlera-Session: create\r\n');
    expectRefusal(again, 'user_session_limit', { session: undefined, slave: undefined });
    expectRefusal(await call(proxy, 'POST', '/sessions'), 'user_session_limit', { session: undefined });
    expect(origin.requests).toHaveLength(1);
  });
});
