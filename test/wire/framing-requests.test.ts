/** Requests two parsers might read differently: refused once and closed, or normalised in a documented way (robustness A01 to A03). */
import { describe, expect, it } from 'vitest';
import { AUTH, openTunnel } from '../support/client.ts';
import { everything, headFor, makeLines, makeStage, statusesIn } from './transport-kit.ts';

const stage = makeStage();
const line = makeLines();

/** What a smuggler wants a target to see. */
const smuggled = (): string => headFor(stage, '/smuggled');
const LAST = 'Connection: close\r\n';

interface Bad {
  readonly what: string;
  readonly text: () => string;
  /** Other than 400. */
  readonly status?: number;
}

const post = (framing: string, body: string): string =>
  `POST ${stage.site}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${framing}\r\n${body}`;
const asLine = (requestLine: string, more = ''): string => `${requestLine}\r\nHost: x\r\n${AUTH}${more}\r\n`;

const BAD: readonly Bad[] = [
  {
    what: 'a request line without version, a bare LF, headers and a body (1)',
    text: () => `POST ${stage.site}/\nHost: x\r\n${AUTH}Content-Length: ${smuggled().length}\r\n\r\n${smuggled()}`,
  },
  { what: 'HTTP/0.9 (1)', text: () => `GET ${stage.site}/\r\n\r\n` },
  { what: 'HTTP/0.9 with a bare LF (1)', text: () => `GET ${stage.site}/\n` },
  { what: 'HTTP/2.0 on this connection (2)', text: () => asLine(`GET ${stage.site}/ HTTP/2.0`) },
  {
    what: 'HTTP/2.0 with a body that is a request (2)',
    text: () => asLine(`POST ${stage.site}/ HTTP/2.0`, `Content-Length: ${smuggled().length}\r\n`),
  },
  { what: 'HTTP/1.2', text: () => asLine(`GET ${stage.site}/ HTTP/1.2`) },
  { what: 'HTTP/0.9 as a number', text: () => asLine(`GET ${stage.site}/ HTTP/0.9`) },
  { what: 'the HTTP/2 preface', text: () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' },
  {
    what: 'Transfer-Encoding on HTTP/1.0 (3)',
    text: () => post('Transfer-Encoding: chunked\r\n', '0\r\n\r\n').replace('HTTP/1.1', 'HTTP/1.0'),
  },
  { what: 'gzip, chunked (3)', text: () => post('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n') },
  { what: 'chunked, identity', text: () => post('Transfer-Encoding: chunked, identity\r\n', '0\r\n\r\n') },
  { what: 'identity', text: () => post('Transfer-Encoding: identity\r\nContent-Length: 0\r\n', '') },
  { what: 'chunked twice in one line', text: () => post('Transfer-Encoding: chunked, chunked\r\n', '0\r\n\r\n') },
  {
    what: 'chunked twice in two lines',
    text: () => post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  },
  { what: 'xchunked', text: () => post('Transfer-Encoding: xchunked\r\n', '0\r\n\r\n') },
  { what: 'an empty Transfer-Encoding', text: () => post('Transfer-Encoding:\r\n', '') },
  { what: 'a folded Transfer-Encoding', text: () => post('Transfer-Encoding:\r\n chunked\r\n', '0\r\n\r\n') },
  { what: 'a space before its colon', text: () => post('Transfer-Encoding : chunked\r\n', '0\r\n\r\n') },
  {
    what: 'Content-Length and Transfer-Encoding',
    text: () => post('Content-Length: 4\r\nTransfer-Encoding: chunked\r\n', '0\r\n\r\n'),
  },
  {
    what: 'Transfer-Encoding and Content-Length',
    text: () => post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', '0\r\n\r\n'),
  },
  { what: 'two equal lengths', text: () => post('Content-Length: 4\r\nContent-Length: 4\r\n', 'abcd') },
  { what: 'two different lengths', text: () => post('Content-Length: 4\r\nContent-Length: 0\r\n', 'abcd') },
  { what: 'a list of lengths', text: () => post('Content-Length: 4, 4\r\n', 'abcd') },
  { what: 'a signed length', text: () => post('Content-Length: +4\r\n', 'abcd') },
  { what: 'a negative length', text: () => post('Content-Length: -1\r\n', 'abcd') },
  { what: 'a hexadecimal length', text: () => post('Content-Length: 0x4\r\n', 'abcd') },
  { what: 'an empty length', text: () => post('Content-Length:\r\n', 'abcd') },
  { what: 'a huge length', text: () => post('Content-Length: 99999999999999999999999\r\n', 'abcd') },
  { what: 'a length beyond any counter', text: () => post('Content-Length: 9999999999999999\r\n', 'abcd') },
  { what: 'two Host headers (4)', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, `Host: ${stage.authority}\r\n`) },
  { what: 'a folded header', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-A: b\r\n c\r\n') },
  { what: 'a folded first header', text: () => asLine(`GET ${stage.site}/ HTTP/1.1\r\n X: y`) },
  { what: 'a space before a colon', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-A : b\r\n') },
  { what: 'a header without name', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, ': b\r\n') },
  { what: 'a header without colon', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'nothing\r\n') },
  { what: 'a bare CR in a value', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-A: b\rX-B: c\r\n') },
  { what: 'a bare LF after a header', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-A: b\nX-B: c\r\n') },
  { what: 'NUL in a value', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-A: b\0c\r\n') },
  { what: 'NUL in a name', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X\0A: b\r\n') },
  { what: 'a byte over 127 in a name', text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, 'X-\xe9: b\r\n') },
  { what: 'a tab in the request line', text: () => asLine(`GET\t${stage.site}/\tHTTP/1.1`) },
  { what: 'a space in the URL', text: () => asLine(`GET ${stage.site}/a b HTTP/1.1`) },
  { what: 'an unknown method', text: () => asLine(`BREW ${stage.site}/ HTTP/1.1`) },
  { what: 'a lower-case method', text: () => asLine(`get ${stage.site}/ HTTP/1.1`) },
  { what: 'TLS on the plain port', text: () => '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03' },
  { what: 'a SOCKS greeting', text: () => '\x05\x01\x00' },
  {
    what: 'too long a head',
    text: () => asLine(`GET ${stage.site}/ HTTP/1.1`, `X: ${'x'.repeat(110_000)}\r\n`),
    status: 413,
  },
];

describe.each(BAD)('$what', ({ text, status = 400 }) => {
  it(`robustness A01 gets one ${status} and a closed connection, and no target hears of it`, async () => {
    const received = await everything(stage.proxy.port, text() + smuggled());
    expect(statusesIn(received)).toEqual([status]);
    expect(received).toContain('X-Crawlera-Error: invalid_request\r\n');
    expect(received).toContain('Connection: close\r\n');
    expect(stage.origin.requests).toHaveLength(0);
  });
});

/** Chunked bodies that are wrong after a head that is right: the attempt has begun when that shows. */
const BAD_CHUNKS: readonly (readonly [string, string])[] = [
  ['a chunk size of 0x5', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['a negative chunk size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size that is no number', 'five\r\nhello\r\n0\r\n\r\n'],
  ['a chunk longer than its size', '4\r\nhello\r\n0\r\n\r\n'],
  ['a bare LF after a chunk size', '5\nhello\r\n0\r\n\r\n'],
  ['a bare LF after a chunk', '5\r\nhello\n0\r\n\r\n'],
  ['a space before a chunk size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['a chunk size beyond any counter', 'ffffffffffffffffff\r\nhello\r\n0\r\n\r\n'],
  ['Content-Length among the trailers', '5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n'],
  ['endless chunk extensions', `5;${'x'.repeat(20_000)}\r\nhello\r\n0\r\n\r\n`],
];

describe.each(BAD_CHUNKS)('a body with %s', (_what, body) => {
  it('robustness A01 gets one 400 and a closed connection, and the target sees no whole request', async () => {
    const before = stage.origin.received().length;
    const received = await everything(stage.proxy.port, post('Transfer-Encoding: chunked\r\n', body) + smuggled());
    expect(statusesIn(received)).toEqual([400]);
    expect(received).toContain('Connection: close\r\n');
    expect(stage.origin.requests).toHaveLength(0);
    expect(stage.origin.received().slice(before)).not.toContain('0\r\n\r\n');
  });

  it('robustness A01 does so when it shows only after the head was forwarded', async () => {
    const client = await line(stage.proxy.port);
    const before = stage.origin.accepted();
    client.write(post('Transfer-Encoding: chunked\r\n', '2\r\nok\r\n'));
    while (!stage.origin.received().endsWith('2\r\nok\r\n') || stage.origin.accepted() === before)
      await new Promise((resolve) => setImmediate(resolve));
    client.write(body + smuggled());
    const answer = await client.read();
    expect([answer.status, answer.header('Connection')]).toEqual([400, 'close']);
    client.socket.end();
    await client.closed;
    expect(client.rest()).toBe('');
    expect(stage.origin.requests).toHaveLength(0);
  });
});

describe('normalised', () => {
  const only = (): string => {
    expect(stage.origin.requests).toHaveLength(1);
    return stage.origin.requests[0]?.head ?? '';
  };

  it.each([
    ['an upper-case coding', 'Transfer-Encoding: CHUNKED\r\n'],
    ['a coding between white space', 'Transfer-Encoding: \t chunked \t\r\n'],
  ])('robustness A01 reads %s and forwards it in the usual spelling', async (_what, coding) => {
    const text = await everything(stage.proxy.port, post(`${coding}${LAST}`, '5\r\nhello\r\n0\r\n\r\n'));
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).toContain('\r\nTransfer-Encoding: chunked\r\n');
    expect(stage.origin.requests[0]?.body).toBe('hello');
  });

  it('robustness A01 drops chunk extensions (8)', async () => {
    await everything(
      stage.proxy.port,
      post(`Transfer-Encoding: chunked\r\n${LAST}`, '5;a="b;c"\r\nhello\r\n0;z\r\n\r\n'),
    );
    expect(only()).not.toContain('a=');
    expect(stage.origin.received()).toContain('\r\n\r\n5\r\nhello\r\n0\r\n\r\n');
  });

  it('robustness A12 drops trailers, and never merges them into the headers', async () => {
    const trailers = 'X-Late: 1\r\nHost: evil.example\r\nX-Crawlera-UA: nonsense\r\nProxy-Authorization: none\r\n';
    const text = await everything(
      stage.proxy.port,
      post(`Transfer-Encoding: chunked\r\nTrailer: X-Late\r\n${LAST}`, `5\r\nhello\r\n0\r\n${trailers}\r\n`),
    );
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).not.toMatch(/late|trailer|evil/i);
    expect(stage.origin.received().endsWith('5\r\nhello\r\n0\r\n\r\n')).toBe(true);
  });

  it('robustness A12 does the same with the trailers of a response', async () => {
    stage.origin.enqueue(
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Late\r\n\r\n5\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n',
    );
    const client = await line(stage.proxy.port);
    const answer = await client.ask(headFor(stage));
    expect(answer.body).toBe('hello');
    expect(answer.raw).not.toMatch(/late/i);
    expect((await client.ask(headFor(stage))).status).toBe(200);
  });

  it('robustness A01 skips empty lines before a request (8)', async () => {
    expect(statusesIn(await everything(stage.proxy.port, `\r\n\r\n${headFor(stage, '/', LAST)}`))).toEqual([200]);
    expect(only()).toMatch(/^GET \/ HTTP\/1\.1\r\n/);
  });

  it('robustness A01 hands bytes over 127 of a value on as they are (8)', async () => {
    await everything(stage.proxy.port, headFor(stage, '/', `X-Name: caf\xe9 \xff\x80\r\n${LAST}`));
    expect(only()).toContain('\r\nX-Name: caf\xe9 \xff\x80\r\n');
  });

  it('robustness A01 drops Content_Length and Transfer_Encoding (8)', async () => {
    const lines = 'Content_Length: 50\r\nTransfer_Encoding: chunked\r\nCONTENT_LENGTH: 1\r\n';
    const text = await everything(stage.proxy.port, headFor(stage, '/', lines + LAST));
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).not.toMatch(/_(length|encoding)/i);
  });

  it('robustness A01 A11 lets the URL outrank another Host (4)', async () => {
    await everything(stage.proxy.port, `GET ${stage.site}/ HTTP/1.1\r\nHost: evil.example\r\n${AUTH}${LAST}\r\n`);
    expect(only().match(/\r\nHost: .*\r\n/g)).toEqual([`\r\nHost: ${stage.authority}\r\n`]);
  });

  it('robustness A01 takes user information out of the URL (5)', async () => {
    const url = stage.site.replace('//', '//user:p%40ss@');
    const text = await everything(stage.proxy.port, `GET ${url}/ HTTP/1.1\r\nHost: x\r\n${AUTH}${LAST}\r\n`);
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).not.toMatch(/user:|ss@|authorization/i);
    expect(only()).toContain(`\r\nHost: ${stage.authority}\r\n`);
  });

  it.each([
    'ftp://shop.localhost/',
    'file:///etc/passwd',
    'gopher://shop.localhost/',
    'ws://shop.localhost/',
    'mailto:a@b',
  ])('robustness B06 refuses the URL %s as bad_uri or invalid_request (5)', async (url) => {
    const client = await line(stage.proxy.port);
    const answer = await client.ask(`GET ${url} HTTP/1.1\r\nHost: x\r\n${AUTH}\r\n`);
    expect(answer.status).toBe(400);
    expect(answer.header('X-Crawlera-Error')).toMatch(/^(bad_uri|invalid_request)$/);
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('robustness A01 A08 keeps framing and Host when Connection names them (7)', async () => {
    const named = 'Connection: close, content-length, host, X-Gone\r\nX-Gone: 1\r\nX-Stays: 1\r\n';
    const text = await everything(
      stage.proxy.port,
      post(`${named}Content-Length: ${smuggled().length}\r\n`, smuggled()),
    );
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).toContain(`\r\nContent-Length: ${smuggled().length}\r\n`);
    expect(only()).toContain(`\r\nHost: ${stage.authority}\r\n`);
    expect(only()).not.toMatch(/x-gone|connection/i);
    expect(only()).toContain('\r\nX-Stays: 1\r\n');
  });

  it('robustness A08 keeps Transfer-Encoding when Connection names it', async () => {
    const framing = 'Connection: close, Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n';
    await everything(stage.proxy.port, post(framing, '5\r\nhello\r\n0\r\n\r\n'));
    expect(only()).toContain('\r\nTransfer-Encoding: chunked\r\n');
    expect(stage.origin.requests[0]?.body).toBe('hello');
  });

  it('robustness A01 takes an HTTP/1.0 request with a length', async () => {
    const text = await everything(
      stage.proxy.port,
      post('Content-Length: 5\r\n', 'hello').replace('HTTP/1.1', 'HTTP/1.0'),
    );
    expect(statusesIn(text)).toEqual([200]);
    expect(only()).toMatch(/^POST \/ HTTP\/1\.1\r\n/);
    expect(stage.origin.requests[0]?.body).toBe('hello');
  });
});

describe('behind a good request', () => {
  it('robustness A01 answers the good one, in order, then the other with 400, and closes', async () => {
    const received = await everything(stage.proxy.port, `${headFor(stage, '/good')}nonsense\r\n\r\n${smuggled()}`);
    expect(statusesIn(received)).toEqual([200, 400]);
    expect(received).toContain('Connection: close\r\n');
    expect(stage.origin.requests.map(({ head }) => head.split(' ')[1])).toEqual(['/good']);
  });

  it('robustness A01 answers both when the first is done', async () => {
    const client = await line(stage.proxy.port);
    expect((await client.ask(headFor(stage, '/good'))).status).toBe(200);
    const bad = await client.ask(`nonsense\r\n\r\n${smuggled()}`);
    expect(bad.status).toBe(400);
    client.socket.end();
    await client.closed;
    expect(stage.origin.requests).toHaveLength(1);
  });

  it('robustness A01 serves nothing behind a request it refused as malformed', async () => {
    const two = asLine(`GET ${stage.site}/ HTTP/1.1`, 'Host: y\r\n');
    const received = await everything(stage.proxy.port, two + smuggled() + two);
    expect(statusesIn(received)).toEqual([400]);
    expect(stage.origin.requests).toHaveLength(0);
  });

  it('robustness A01 holds inside a tunnel', async () => {
    const inside = await openTunnel(stage.proxy, stage.authority);
    const answer = await inside.ask(
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled()}`,
    );
    expect(answer.status).toBe(400);
    inside.socket.end();
    await inside.closed;
    expect(inside.rest()).toBe('');
    expect(stage.origin.requests).toHaveLength(0);
  });
});
