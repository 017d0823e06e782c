/** HTTP/2 inside tunnels where `listen.http2` is on (T-08): each stream a request like any other, HTTP/1.1 behind us. */
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { answerOf, ask, openAlpn, openH2 } from '../support/h2-client.ts';
import { reply } from '../support/origin.ts';
import { makeH2Stage, PLAIN } from './http2-kit.ts';

const stage = makeH2Stage();
const off = makeH2Stage({ listen: 'listen: { http2: false }' });
const session = () => openH2(stage.proxy, stage.authority);
const head = (): string => stage.origin.requests.at(-1)?.head ?? '';

describe('what is offered', () => {
  it.each([
    [['h2', 'http/1.1'], 'h2'],
    [['http/1.1', 'h2'], 'h2'],
    [['h2'], 'h2'],
    [['http/1.1'], 'http/1.1'],
    [[], false],
  ])('T-08 robustness E08 answers an offer of %j with %s', async (offered, agreed) => {
    expect((await openAlpn(stage.proxy, stage.authority, offered)).alpnProtocol).toBe(agreed);
  });

  it('T-08 is http/1.1 only where the switch is off, whatever a client would rather have', async () => {
    for (const offered of [['h2', 'http/1.1'], ['http/1.1']])
      expect((await openAlpn(off.proxy, off.authority, offered)).alpnProtocol).toBe('http/1.1');
    await expect(openAlpn(off.proxy, off.authority, ['h2'])).rejects.toThrow();
  });
});

describe('what the target sees', () => {
  it('T-08 F-04 is HTTP/1.1 with the names as browsers write them there, in the order they came in', async () => {
    const client = await session();
    const fields = {
      ...PLAIN,
      'sec-ch-ua': '"A"',
      'user-agent': 'me',
      accept: '*/*',
      'x-own': '1',
      priority: 'u=0, i',
    };
    expect(await ask(client, '/a?b=c', fields)).toMatchObject({ status: 200, body: 'hello', reset: 0 });
    expect(head()).toBe(
      `GET /a?b=c HTTP/1.1\r\nHost: ${stage.authority}\r\nsec-ch-ua: "A"\r\nUser-Agent: me\r\nAccept: */*\r\nx-own: 1\r\n\r\n`,
    );
  });

  it('robustness F07 joins the crumbs of a cookie', async () => {
    await ask(await session(), '/', { ...PLAIN, cookie: ['a=1', 'b=2', 'c=3'] });
    expect(head()).toContain('\r\nCookie: a=1; b=2; c=3\r\n');
    expect(head().match(/cookie/gi)).toHaveLength(1);
  });

  it('U-07 U-10 F-01 robustness A09 C01 holds no control header, no key and nothing of the connection', async () => {
    await ask(await session(), '/', {
      ...PLAIN,
      'proxy-authorization': 'Basic c2VjcmV0',
      te: 'trailers',
      'x-crawlera-jobid': '7',
    });
    expect(head()).toMatch(/^GET \/ HTTP\/1\.1\r\nHost: [\w.:]+\r\n\r\n$/);
  });

  it('F-04 has the length a body was announced with, else chunks', async () => {
    const client = await session();
    const body = 'x'.repeat(100_000);
    await ask(client, '/known', { ...PLAIN, ':method': 'POST', 'content-length': String(body.length) }, body);
    expect(head()).toContain('\r\nContent-Length: 100000\r\n');
    expect(stage.origin.requests.at(-1)?.body).toBe(body);
    await ask(client, '/unknown', { ...PLAIN, ':method': 'PUT' }, body);
    expect(head()).toContain('\r\nTransfer-Encoding: chunked\r\n');
    expect(stage.origin.requests.at(-1)?.body).toBe(body);
  });

  it('T-13 says of a POST without a body that there is none', async () => {
    expect((await ask(await session(), '/', { ...PLAIN, ':method': 'POST' })).status).toBe(200);
    expect(head()).toMatch(/\r\nContent-Length: 0\r\n/);
    expect(head()).not.toMatch(/encoding/i);
  });

  it('robustness A12 never has trailers among its headers', async () => {
    const client = await session();
    const stream = client.request({ ...PLAIN, ':path': '/', ':method': 'POST' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-late': 'yes' }));
    const answer = answerOf(stream);
    stream.end('body');
    expect((await answer).status).toBe(200);
    expect(stage.origin.requests.at(-1)).toMatchObject({ body: 'body', head: expect.not.stringContaining('late') });
  });

  it('T-17 is no Expect: 100 comes from the proxy, once, before the body', async () => {
    const client = await session();
    const stream = client.request(
      { ...PLAIN, ':path': '/', ':method': 'POST', expect: '100-continue' },
      { endStream: false },
    );
    const answer = answerOf(stream);
    let continues = 0;
    stream.on('continue', () => continues++);
    await once(stream, 'continue');
    stream.end('now');
    expect((await answer).status).toBe(200);
    expect([continues, stage.origin.requests.at(-1)?.body]).toEqual([1, 'now']);
    expect(head()).not.toMatch(/expect/i);
  });
});

describe('what the client sees', () => {
  it('T-08 T-16 robustness A09 has the headers of the target in lower case and none of its connection', async () => {
    stage.origin.enqueue(
      'HTTP/1.1 200 Fine\r\nX-Two: a\r\nSet-Cookie: a=1\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n' +
        'Upgrade: h2c\r\nHTTP2-Settings: AAAA\r\nX-two: b\r\nSet-Cookie: b=2\r\nDate: then\r\nDate: now\r\n' +
        'Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    const answer = await ask(await session(), '/', PLAIN);
    expect(answer).toMatchObject({ status: 200, body: 'abc', reset: 0 });
    expect(answer.raw.filter((_, i) => i % 2 === 0).join(' ')).toBe(
      ':status x-two x-two set-cookie set-cookie date content-encoding x-crawlera-version x-crawlera-slave',
    );
    expect(answer.headers).toMatchObject({ 'x-two': 'a, b', 'set-cookie': ['a=1', 'b=2'], date: 'then' });
  });

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n', 200, '12'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', 204, undefined],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n', 304, undefined],
    ['GET', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', 205, '0'],
  ])(
    'robustness A14 %s answered with %j ends with its head, and the connection goes on',
    async (method, answer, status, length) => {
      const client = await session();
      stage.origin.enqueue(answer);
      const got = await ask(client, '/', { ...PLAIN, ':method': method });
      expect([got.status, got.body, got.reset, got.headers['content-length']]).toEqual([status, '', 0, length]);
      expect((await ask(client, '/', PLAIN)).body).toBe('hello');
    },
  );

  it('T-06 E-03 errors are whole responses of their streams', async () => {
    const client = await openH2(stage.proxy, '127.0.0.1:1');
    const refused = await ask(client, '/', PLAIN);
    expect([refused.status, refused.headers['x-crawlera-error'], refused.reset]).toEqual([502, 'econnrefused', 0]);
    expect(refused.body).toHaveLength(Number(refused.headers['content-length']));
    const value = await ask(client, '/', { 'x-crawlera-ua': 'crawlera' });
    expect([value.status, value.headers['x-crawlera-error']]).toEqual([540, 'bad_header']);
    const unknown = await ask(client, '/', { ...PLAIN, 'x-crawlera-session': '1' }, 'with a body');
    expect([unknown.status, unknown.headers['x-crawlera-error']]).toEqual([400, 'bad_session_id']);
  });

  it('R-06 a status Node cannot send over HTTP/2 is told as send_failed', async () => {
    stage.origin.enqueue('HTTP/1.1 999 Denied\r\nContent-Length: 2\r\n\r\nno');
    const answer = await ask(await session(), '/', { ...PLAIN, 'x-crawlera-no-bancheck': '1' });
    expect([answer.status, answer.headers['x-crawlera-error'], answer.reset]).toEqual([502, 'send_failed', 0]);
  });

  it('E-10 a body that breaks off resets its stream; the others go on', async () => {
    const client = await session();
    stage.origin.enqueue('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this', 'close');
    const broken = await ask(client, '/', PLAIN);
    expect(broken).toMatchObject({ status: 200, body: 'only this', reset: 2 });
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
  });
});

describe('where a stream may go', () => {
  it('T-14 reaches the direct endpoints in a tunnel to the proxy itself', async () => {
    const client = await openH2(stage.proxy, `localhost:${stage.proxy.port}`);
    const made = await ask(client, '/sessions', { ':method': 'POST' });
    expect(made.status).toBe(200);
    expect((await ask(client, '/sessions')).body).toContain(made.body.trim());
    expect((await ask(client, '/nothing')).status).toBe(404);
  });

  it('robustness A11 takes the authority as it takes Host in a tunnel over HTTP/1.1: the target is the tunnel’s', async () => {
    const answer = await ask(await session(), '/', { ...PLAIN, ':authority': 'other.localhost' });
    expect(answer.status).toBe(200);
    expect(head()).toContain('\r\nHost: other.localhost\r\n');
  });

  it.each(['http', 'ftp'])('robustness B06 refuses the scheme %s with bad_uri', async (scheme) => {
    const answer = await ask(await session(), '/', { ...PLAIN, ':scheme': scheme });
    expect([answer.status, answer.headers['x-crawlera-error']]).toEqual([400, 'bad_uri']);
    expect(stage.origin.requests).toEqual([]);
  });

  it('T-18 takes no CONNECT, of no protocol', async () => {
    const client = await session();
    const stream = client.request({ ':method': 'CONNECT', ':authority': stage.authority });
    expect((await answerOf(stream)).reset).toBe(1);
    expect(client.remoteSettings.enableConnectProtocol).toBe(false);
    expect((await ask(client, '/', PLAIN)).body).toBe('hello');
  });

  it('the log has one receipt a stream', async () => {
    const client = await session();
    stage.proxy.receipts.length = 0;
    stage.origin.fallback = [reply('x')];
    await Promise.all([1, 2, 3].map((n) => ask(client, `/${n}`, PLAIN)));
    expect(stage.proxy.receipts.map(({ outcome, status }) => [outcome, status])).toEqual(Array(3).fill(['ok', 200]));
  });
});
