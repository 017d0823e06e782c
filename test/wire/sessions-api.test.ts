/** S-04 to S-10 over real sockets: sessions made, listed and ended without a proxied request. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { type Answer, basic, call, get, openLine } from '../support/client.ts';
import { reply } from '../support/origin.ts';
import { KEY, type RunningProxy } from '../support/proxy.ts';
import { until } from '../support/sockets.ts';
import { labelOf, makeWireKit, urlOf } from './errors-kit.ts';

const kit = makeWireKit();

const ACCOUNTS = `accounts:\n  - { id: test, key: ${KEY} }\n  - { id: other, key: other-key }\n`;

const make = async (proxy: RunningProxy, more = ''): Promise<string> => {
  const answer = await call(proxy, 'POST', '/sessions', more);
  expect(answer.status).toBe(200);
  return answer.body;
};

const list = async (proxy: RunningProxy): Promise<Record<string, string>> =>
  JSON.parse((await call(proxy, 'GET', '/sessions')).body) as Record<string, string>;

const asOther = async (proxy: RunningProxy, method: string, path: string): Promise<Answer> => {
  const line = await openLine(proxy.port);
  const answer = await line.ask(
    `${method} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic('other-key')}\r\n\r\n`,
  );
  line.socket.destroy();
  return answer;
};

describe('POST /sessions', () => {
  it('S-04 S-02 answers 200 with the bare id as body and in the header', async () => {
    const proxy = await kit.proxy();
    for (const path of ['/sessions', '/sessions/']) {
      const answer = await call(proxy, 'POST', path);
      expect([answer.status, answer.reason]).toEqual([200, 'OK']);
      expect(answer.body).toMatch(/^[1-9]\d{6,14}$/);
      expect(answer.header('X-Crawlera-Session')).toBe(answer.body);
      expect(answer.header('Content-Type')).toBe('text/plain');
      expect(answer.header('Content-Length')).toBe(String(answer.body.length));
      expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    }
  });

  it.each(['Content-Length: 9\r\n\r\n{"a":"b"}', 'Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n'])(
    'S-04 ignores a body: %j',
    async (body) => {
      const proxy = await kit.proxy();
      const line = await openLine(proxy.port);
      const head = `POST /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n`;
      const answer = await line.ask(`${head}${body}`);
      expect([answer.status, answer.body]).toEqual([200, expect.stringMatching(/^\d+$/)]);
      if (answer.header('Connection') !== 'close') expect((await line.ask(`${head}\r\n`)).status).toBe(200);
      line.socket.destroy();
    },
  );

  it('S-03 S-04 makes sessions that proxied requests can use at once', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const id = await make(proxy);
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${id}\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Session')]).toEqual([200, id]);
  });

  it('S-12 picks the upstream with the fewest live sessions', async () => {
    const upstreams = await kit.upstreams(3);
    const proxy = await kit.proxy('', upstreams);
    for (let i = 0; i < 6; i++) await make(proxy);
    const slaves = Object.values(await list(proxy)).sort();
    expect(slaves).toEqual(upstreams.flatMap((one) => [labelOf(one), labelOf(one)]).sort());
  });

  it('S-12 H-22 honours the region, and refuses one that nobody serves', async () => {
    const [us, de] = [await kit.upstream(), await kit.upstream()];
    const proxy = await kit.proxy(
      `upstreams:\n  - { url: "${urlOf(us)}", region: us }\n  - { url: "${urlOf(de)}", region: de }\n`,
    );
    for (let i = 0; i < 3; i++) await make(proxy, 'X-Crawlera-Region: DE\r\n');
    expect(new Set(Object.values(await list(proxy)))).toEqual(new Set([labelOf(de)]));
    const none = await call(proxy, 'POST', '/sessions', 'X-Crawlera-Region: fr\r\n');
    expect([none.status, none.header('X-Crawlera-Error')]).toEqual([503, 'noslaves']);
    expect(none.header('Retry-After')).toMatch(/^[1-9]\d*$/);
    const bad = await call(proxy, 'POST', '/sessions', 'X-Crawlera-Region: germany\r\n');
    expect([bad.status, bad.body]).toEqual([540, 'Bad header value for X-Crawlera-Region']);
  });

  it('E-02 S-10 has no line end in an error either: some programs take any body for the id', async () => {
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxSessions: 1 }\n`);
    await make(proxy);
    const answer = await call(proxy, 'POST', '/sessions');
    expect(answer.body).toBe('Session limit exceeded');
  });
});

describe('GET /sessions', () => {
  it('S-05 shows id and upstream of every live session of the account, as X-Crawlera-Slave would', async () => {
    const origin = await kit.origin();
    const upstreams = await kit.upstreams(2);
    const proxy = await kit.proxy(ACCOUNTS, upstreams);
    expect((await call(proxy, 'GET', '/sessions')).body).toBe('{}');
    const ids = [await make(proxy), await make(proxy)];
    await asOther(proxy, 'POST', '/sessions');
    for (const path of ['/sessions', '/sessions/', '/sessions?x=1']) {
      const answer = await call(proxy, 'GET', path);
      expect([answer.status, answer.header('Content-Type')]).toEqual([200, 'application/json']);
      expect(Object.keys(JSON.parse(answer.body) as object).sort()).toEqual([...ids].sort());
    }
    for (const [id, slave] of Object.entries(await list(proxy))) {
      const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${id}\r\n`);
      expect(answer.header('X-Crawlera-Slave')).toBe(slave);
    }
    expect(Object.keys(JSON.parse((await asOther(proxy, 'GET', '/sessions')).body) as object)).toHaveLength(1);
  });

  it('S-05 R-02 shows an address and port 0 for a direct exit', async () => {
    const proxy = await kit.proxy();
    const id = await make(proxy);
    expect((await list(proxy))[id]).toMatch(/^[\d.]+:0$/);
  });

  it('S-05 answers HEAD without a body', async () => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const head = await line.ask(`HEAD /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
    expect([head.status, head.header('Content-Length')]).toEqual([200, '2']);
    const next = await line.ask(`GET /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`);
    expect(next.body).toBe('{}');
    line.socket.destroy();
  });
});

describe('DELETE /sessions/<id>', () => {
  it('S-06 answers 204 without a body, and the id is unusable at once', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const id = await make(proxy);
    const other = await make(proxy);
    const answer = await call(proxy, 'DELETE', `/sessions/${id}`, `X-Crawlera-Session: ${other}\r\n`);
    expect([answer.status, answer.body]).toEqual([204, '']);
    expect([answer.header('Content-Length'), answer.header('Transfer-Encoding')]).toEqual([undefined, undefined]);
    expect(answer.header('X-Crawlera-Version')).toBe('9.8.7');
    expect(Object.keys(await list(proxy))).toEqual([other]);
    const used = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${id}\r\n`);
    expect([used.status, used.header('X-Crawlera-Error')]).toEqual([400, 'bad_session_id']);
    expect(origin.accepted()).toBe(0);
  });

  it('S-06 leaves the connection fit for the next request', async () => {
    const proxy = await kit.proxy();
    const id = await make(proxy);
    const line = await openLine(proxy.port);
    const auth = `Host: x\r\nAuthorization: ${basic(KEY)}\r\n\r\n`;
    expect((await line.ask(`DELETE /sessions/${id} HTTP/1.1\r\n${auth}`)).status).toBe(204);
    expect((await line.ask(`GET /sessions HTTP/1.1\r\n${auth}`)).body).toBe('{}');
    line.socket.destroy();
  });

  it.each(['1234567', 'create', 'no-number', '0', '%31%32', '99999999999999999999'])(
    'S-06 S-09 answers bad_session_id for %s and names it',
    async (id) => {
      const proxy = await kit.proxy();
      const answer = await call(proxy, 'DELETE', `/sessions/${id}`);
      expect([answer.status, answer.header('X-Crawlera-Error'), answer.body]).toEqual([
        400,
        'bad_session_id',
        'Incorrect session ID',
      ]);
      expect(answer.header('X-Crawlera-Session')).toBe(id);
    },
  );

  it('S-06 robustness H02 does not end a session of another account', async () => {
    const proxy = await kit.proxy(ACCOUNTS);
    const id = await make(proxy);
    const foreign = await asOther(proxy, 'DELETE', `/sessions/${id}`);
    expect([foreign.status, foreign.header('X-Crawlera-Error')]).toEqual([400, 'bad_session_id']);
    expect(Object.keys(await list(proxy))).toEqual([id]);
    expect((await call(proxy, 'DELETE', `/sessions/${id}`)).status).toBe(204);
    expect((await call(proxy, 'DELETE', `/sessions/${id}`)).status).toBe(400);
  });
});

describe('rules of all three', () => {
  it.each([
    ['PUT', '/sessions', 'GET, HEAD, POST'],
    ['DELETE', '/sessions', 'GET, HEAD, POST'],
    ['PATCH', '/sessions/', 'GET, HEAD, POST'],
    ['GET', '/sessions/1234567', 'DELETE'],
    ['HEAD', '/sessions/1234567', 'DELETE'],
    ['POST', '/sessions/1234567', 'DELETE'],
  ])('S-07 answers %s %s with 405 and Allow: %s', async (method, path, allow) => {
    const proxy = await kit.proxy();
    const answer = await call(proxy, method, path);
    expect([answer.status, answer.header('Allow'), answer.header('X-Crawlera-Error')]).toEqual([
      405,
      allow,
      'invalid_request',
    ]);
  });

  it('S-08 are neither paced nor counted nor refused while the account is full', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(
      `accounts:\n  - { id: test, key: ${KEY}, maxConnections: 1 }\npacing: { siteDelay: 20s, slaveDelay: 20s }\n`,
    );
    let release = (): void => {};
    origin.enqueue({ until: new Promise<void>((resolve) => (release = resolve)) }, reply('slow'));
    const running = get(proxy, `http://shop.localhost:${origin.port}/`);
    await until(() => origin.requests.length === 1, 'the request at the target');
    const started = performance.now();
    const ids = await Promise.all(Array.from({ length: 10 }, () => make(proxy)));
    expect(new Set(ids).size).toBe(10);
    for (const id of ids) expect((await call(proxy, 'DELETE', `/sessions/${id}`)).status).toBe(204);
    expect(performance.now() - started).toBeLessThan(5_000);
    release();
    expect((await running).status).toBe(200);
  });

  it.each([
    ['unknown', '1234567'],
    ['malformed', 'abc def'],
    ['negative', '-1234567'],
    ['too long', '9'.repeat(40)],
  ])('S-09 an id that is %s is refused without contact and named in the answer', async (_what, id) => {
    const origin = await kit.origin();
    const proxy = await kit.proxy();
    const answer = await get(proxy, `http://shop.localhost:${origin.port}/`, `X-Crawlera-Session: ${id}\r\n`);
    expect([answer.status, answer.header('X-Crawlera-Error')]).toEqual([400, 'bad_session_id']);
    expect(answer.header('X-Crawlera-Session')).toBe(id);
    expect(origin.accepted()).toBe(0);
  });

  it('S-09 robustness H02 so is one of another account, and one that has expired', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(`${ACCOUNTS}sessions: { idle: 1s }\n`);
    const url = `http://shop.localhost:${origin.port}/`;
    const foreign = (await asOther(proxy, 'POST', '/sessions')).body;
    expect((await get(proxy, url, `X-Crawlera-Session: ${foreign}\r\n`)).header('X-Crawlera-Session')).toBe(foreign);
    const id = await make(proxy);
    expect(origin.accepted()).toBe(0);
    expect((await get(proxy, url, `X-Crawlera-Session: ${id}\r\n`)).status).toBe(200);
    const realNow = performance.now.bind(performance);
    onTestFinished(() => void vi.restoreAllMocks());
    vi.spyOn(performance, 'now').mockImplementation(() => realNow() + 1_001);
    const late = await get(proxy, url, `X-Crawlera-Session: ${id}\r\n`);
    expect([late.status, late.header('X-Crawlera-Error'), late.header('X-Crawlera-Session')]).toEqual([
      400,
      'bad_session_id',
      id,
    ]);
    expect(await list(proxy)).toEqual({});
  });

  it('S-10 robustness H03 refuses the session over the limit, by POST and by create, of many at once exactly the rest', async () => {
    const origin = await kit.origin();
    const proxy = await kit.proxy(`accounts:\n  - { id: test, key: ${KEY}, maxSessions: 5 }\n`);
    const url = `http://shop.localhost:${origin.port}/`;
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        i % 2 === 0 ? call(proxy, 'POST', '/sessions') : get(proxy, url, 'X-Crawlera-Session: create\r\n'),
      ),
    );
    const refused = answers.filter(({ status }) => status === 400);
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(5);
    expect(refused).toHaveLength(7);
    for (const answer of refused) {
      expect(answer.header('X-Crawlera-Error')).toBe('user_session_limit');
      expect(answer.header('X-Crawlera-Session')).toBeUndefined();
    }
    const [id] = Object.keys(await list(proxy));
    await call(proxy, 'DELETE', `/sessions/${id}`);
    expect((await call(proxy, 'POST', '/sessions')).status).toBe(200);
  });

  it('U-11 ignores the suffixes of a user name', async () => {
    const proxy = await kit.proxy();
    const line = await openLine(proxy.port);
    const answer = await line.ask(
      `POST /sessions HTTP/1.1\r\nHost: x\r\nAuthorization: ${basic(`${KEY}-session-a-region-fr`)}\r\n\r\n`,
    );
    expect(answer.status).toBe(200);
    expect(Object.keys(await list(proxy))).toEqual([answer.body]);
    line.socket.destroy();
  });

  it('T-14 are reached as an absolute URL through the proxy and inside a CONNECT to it, too', async () => {
    const proxy = await kit.proxy(`listen: { names: [proxy.example] }\n`);
    for (const host of ['127.0.0.1', 'localhost', '[::1]', 'proxy.example', 'PROXY.example.', '127.1']) {
      const answer = await get(proxy, `http://${host}:${proxy.port}/sessions`);
      expect([answer.status, answer.body], host).toEqual([200, '{}']);
    }
    const line = await openLine(proxy.port);
    const authority = `localhost:${proxy.port}`;
    await line.ask(`CONNECT ${authority} HTTP/1.1\r\nProxy-Authorization: ${basic(KEY)}\r\n\r\n`);
    const answer = await line.ask(`POST /sessions HTTP/1.1\r\nHost: ${authority}\r\n\r\n`);
    expect(answer.body).toMatch(/^\d+$/);
    line.socket.destroy();
  });
});
